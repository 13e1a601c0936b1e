"""Quantile regressions agree with the linear program, draws with the distribution that the data come from."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri
from sklearn.linear_model import QuantileRegressor

from microimpute.errors import MethodError
from microimpute.regressions.parametric import Amount
from microimpute.regressions.quantiles import QuantileAmount, fit_quantiles, grid
from microimpute.transforms import Inputs, Scale


def skewed(rows, seed):
    """Spread goes fourfold along the second predictor; the residual is skewed."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.5, 1.5, size=(rows, 2))
    return x, x[:, 0] + (1 + 0.4 * x[:, 1]) * rng.gumbel(size=rows)


def truth(x):
    return stats.gumbel_r(loc=x[:, 0], scale=1 + 0.4 * x[:, 1])


def design(x):
    return np.column_stack([np.ones(len(x)), x])


class Given(Inputs):
    """Inputs of a ready matrix."""

    def __init__(self, X):
        super().__init__(len(X))
        self.X = X

    def predict(self, coefficients):
        return self.X @ coefficients


def test_fits_lose_hardly_more_than_the_linear_program():
    x, z = skewed(1200, 0)
    weight = np.exp(z / 4) * np.random.default_rng(1).exponential(size=1200)  # weights that matter
    levels = grid(13)
    found = fit_quantiles(design(x), z, weight, levels, 1e-6)
    for level, beta in zip(ndtr(levels[::4]), found[::4], strict=True):
        exact = QuantileRegressor(quantile=level, alpha=0).fit(x, z, sample_weight=weight)

        def loss(fitted, level=level):
            rest = z - fitted
            return np.average(np.maximum(level * rest, (level - 1) * rest), weights=weight)

        assert loss(design(x) @ beta) < 1.005 * loss(exact.predict(x))  # weights ignored: 1.04 to 1.15


def test_slopes_follow_the_spread_where_the_data_say_so_and_the_mean_where_they_do_not():
    x, z = skewed(4000, 2)
    slopes = fit_quantiles(design(x), z, np.ones(4000), grid(13), 1.0)[:, 2]
    expected = 0.4 * stats.gumbel_r.ppf(ndtr(grid(13)))
    assert np.abs(slopes - expected).max() < 0.2  # from -0.54 to 1.51; standard errors up to 0.11
    few = np.random.default_rng(3).normal(size=(30, 10))
    parallel = fit_quantiles(design(few), few[:, 0] + few[::-1, 1], np.ones(30), grid(13), 1.0)[:, 1:]
    assert parallel.std(axis=0).max() < 0.1  # with a ridge of nothing: up to .34


def fitted(rows=8000, seed=4, count=13):
    x, z = skewed(rows, seed)
    return QuantileAmount.fit(design(x), z, np.ones(rows), 1.0, count)


def test_draws_have_the_conditional_distribution():
    model = fitted()
    for place in ([0.0, 0.0], [1.0, 1.2], [-1.0, -1.2]):
        x = np.tile(place, (20_000, 1))
        drawn = model.draw(Given(design(x)), lambda stream: (np.arange(20_000) + 0.5) / 20_000)
        shares = truth(x).cdf(drawn)
        for share in (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995):
            # on normal scores the quantiles are not quite straight lines; quantiles cut at the outermost would
            # leave nothing below .02, and for a normal residual see below
            assert np.mean(shares < share) == pytest.approx(share, abs=0.01 + 0.08 * np.sqrt(share * (1 - share)))
            assert np.mean(shares < 0.005) > 0


def test_a_normal_residual_would_be_seen():
    x, z = skewed(8000, 4)
    model = Amount.fit(design(x), z, np.ones(8000), 1.0, None)
    at = np.tile([1.0, 1.2], (20_000, 1))
    drawn = model.draw(Given(design(at)), lambda stream: (np.arange(20_000) + 0.5) / 20_000)
    assert np.mean(truth(at).cdf(drawn) < 0.25) < 0.19


def test_crossing_quantiles_are_put_in_order():
    levels = grid(3)
    line = Scale(np.array([-100.0, 100.0]), np.array([0.5, 1.0]), np.array([0.0, 1.0]))
    beta = np.array([[1.0], [0.0], [2.0]])  # the first lies above the second
    model = QuantileAmount(line, levels, beta, np.zeros(0), np.zeros(0))
    drawn = model.draw(Given(np.ones((999, 1))), lambda stream: (np.arange(999) + 0.5) / 999)
    assert (np.diff(drawn) >= 0).all()
    assert np.mean(drawn < 1.0) == pytest.approx(0.5, abs=0.01)
    assert drawn[-1] == pytest.approx(1 + ndtri(998.5 / 999) / 2)  # on beyond the outermost, as within


def test_heaped_amounts_keep_their_heaps_and_shares():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4000, 2))
    amounts = np.round(np.exp(8 + x[:, 0] + rng.normal(size=4000)), -3) + 1000
    weight = rng.exponential(size=4000) * np.where(amounts > 5000, 0.3, 1.0)
    model = QuantileAmount.fit(design(x), amounts, weight, 1.0, 13)
    again = rng.choice(4000, 20_000, p=weight / weight.sum())
    drawn = model.draw(Given(design(x[again])), lambda stream: rng.random(20_000))
    assert set(drawn) <= set(amounts)
    error = np.sqrt(1 / 20_000 + 1 / 20_000)
    for cut in (1000, 2000, 5000, 20_000, 60_000):
        share = np.average(amounts <= cut, weights=weight)
        assert np.mean(drawn <= cut) == pytest.approx(share, abs=4 * error * np.sqrt(share * (1 - share)) + 0.004)


def test_a_constant_amount_stays_as_it_is():
    model = QuantileAmount.fit(
        design(np.random.default_rng(0).normal(size=(20, 2))), np.full(20, 3.5), np.ones(20), 1.0, 5
    )
    assert set(model.draw(Given(np.ones((9, 3))), lambda stream: (np.arange(9) + 0.5) / 9)) == {3.5}


def test_damaged_state_is_refused():
    arrays = fitted(200).state("a.")
    again = QuantileAmount.from_state(arrays, "a.", 3)
    assert np.array_equal(again.beta, fitted(200).beta)
    for name, bad in (("levels", np.zeros(13)), ("quantiles", np.zeros((13, 2))), ("scores", np.zeros(3))):
        with pytest.raises(MethodError, match="damaged"):
            QuantileAmount.from_state({**arrays, f"a.{name}": bad}, "a.", 3)


def test_the_donors_distribution_comes_back_where_straight_lines_do_not_fit():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4000, 2))
    y = np.exp(0.2 * rng.normal(size=4000) + 5 * (rng.random(4000) < ndtr(3 * x[:, 0])))
    model = QuantileAmount.fit(design(x), y, np.ones(4000), 1.0, 13)
    drawn = model.draw(Given(design(x[rng.integers(4000, size=40_000)])), lambda stream: rng.random(40_000))
    for share in (0.2, 0.5, 0.8):  # by the quantiles alone .186, .505, .817
        assert np.mean(drawn <= np.quantile(y, share)) == pytest.approx(share, abs=0.01)
