"""The fitted tail: its law comes back, and where there is too little it is not fitted."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microimpute.forests.pareto import Tail, fit_tail


def sorted_by_value(values, weight):
    order = np.argsort(values)
    return values[order], weight[order]


@pytest.mark.parametrize("index", [1.5, 3.0])
def test_the_index_of_a_pareto_comes_back_whatever_the_weights(index):
    """The likeliest shape has standard error (1 + shape) / √(effective donors above); a mean tells it less well."""
    rng = np.random.default_rng(0)
    errors, effective = [], []
    for _ in range(40):
        values = rng.random(20_000) ** (-1 / index)
        large = values > 0.004 ** (-1 / index)  # oversampled, and weighted down
        kept = large | (rng.random(20_000) < 0.25)
        values, weight = sorted_by_value(values[kept], np.where(large[kept], 1.0, 4.0))
        tail = fit_tail(values, weight)
        errors.append(tail.law[1] - 1 / index)
        above = weight[-tail.count :]
        effective.append(above.sum() ** 2 / (above**2).sum())
    error = (1 + 1 / index) / np.sqrt(np.mean(effective))
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(40) + 0.05  # and its bias in finite samples
    assert np.std(errors) < 1.5 * error


@given(index=st.floats(1.3, 5), power=st.floats(0, 0.5), seed=st.integers(0, 10**6))
def test_the_tail_has_the_donors_mean(index, power, seed):
    """Totals don't move: only a shape at the ends of what is kept gives another mean."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.random(3000) ** (-1 / index))
    weight = values**-power * rng.exponential(size=3000)
    tail = fit_tail(values, weight)
    assume(tail is not None)
    threshold, shape, scale, _ = tail.law
    above = slice(len(values) - tail.count, None)
    assume(-0.5 < shape < 0.9)
    assert threshold + scale / (1 - shape) == pytest.approx(np.average(values[above], weights=weight[above]), rel=1e-9)


def test_no_tail_where_the_donors_tell_far_quantiles_themselves():
    values = np.sort(np.random.default_rng(5).random(60_000) ** (-1 / 1.5))
    assert fit_tail(values, np.ones(60_000)) is None
    assert fit_tail(values, np.where(np.arange(60_000) < 59_000, 1.0, 0.5)) is None
    assert fit_tail(values[::2], np.ones(30_000)) is not None


def test_light_and_finite_tails_stay_light():
    rng = np.random.default_rng(1)
    shapes = {
        name: fit_tail(np.sort(values), np.ones(40_000)).law[1]
        for name, values in (("exponential", rng.exponential(size=40_000)), ("uniform", rng.random(40_000)))
    }
    assert abs(shapes["exponential"]) < 4 / np.sqrt(400)
    assert shapes["uniform"] == -0.5  # of −1, where the kept range ends


def test_heavier_than_a_mean_is_kept_to_one_with_a_mean():
    values = np.sort(np.random.default_rng(2).random(20_000) ** -2.0)
    tail = fit_tail(values, np.ones(20_000))
    assert tail.law[1] == 0.9
    draws = tail.amount(np.arange(tail.count), np.full(tail.count, 0.5))
    above = values[values > tail.law[0]]
    assert np.median(draws) == pytest.approx(np.median(above), rel=0.1)


def test_draws_over_donors_have_the_fitted_law_and_keep_the_donors_order():
    rng = np.random.default_rng(3)
    values, weight = sorted_by_value(rng.random(5000) ** (-1 / 2), rng.exponential(size=5000))
    tail = fit_tail(values, weight)
    above = np.searchsorted(tail.share[1:], rng.random(200_000))
    drawn = tail.amount(above, rng.random(200_000))
    threshold, shape, scale, _ = tail.law
    rank = 1 - (1 + shape * (drawn - threshold) / scale) ** (-1 / shape)
    assert np.abs(np.sort(rank) - (np.arange(200_000) + 0.5) / 200_000).max() < 1.95 / np.sqrt(200_000)  # KS, .001
    assert drawn.max() > values[-1]
    assert (np.diff(drawn[np.lexsort((drawn, above))]) >= 0).all()


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        (np.zeros(0), np.zeros(0)),
        (np.zeros(500), np.ones(500)),
        (np.full(500, 7.0), np.ones(500)),
        (-np.arange(500.0)[::-1], np.ones(500)),
        (np.arange(150.0), np.ones(150)),  # a tenth of 150 is fewer than 20
        (np.minimum(np.arange(5000.0), 4900), np.ones(5000)),  # one amount above: top-coded
        (np.arange(5000.0), np.where(np.arange(5000) == 4999, 1e6, 1.0)),  # one donor outweighs the rest
    ],
    ids=["none", "zeros", "constant", "losses", "few", "top-coded", "one heavy donor"],
)
def test_no_tail_where_there_is_too_little(values, weight):
    assert fit_tail(values, weight) is None


def test_threshold_and_the_largest():
    tail = fit_tail(np.arange(1, 40_001.0), np.ones(40_000), largest=40_500)
    assert (tail.law[0], tail.count) == (39_600, 400)
    tail = fit_tail(np.arange(1, 4_001.0), np.ones(4_000))
    assert (tail.law[0], tail.count) == (3_900, 100)
    tail = fit_tail(np.arange(1, 501.0), np.ones(500))
    assert (tail.law[0], tail.count) == (450, 50)
    heavy = np.sort(np.random.default_rng(4).random(20_000) ** -1.5)
    tail = fit_tail(heavy, np.ones(20_000), largest=heavy[-1] + 1)
    assert tail.amount(np.array([tail.count - 1]), np.array([1 - 1e-12]))[0] == heavy[-1] + 1


@pytest.mark.parametrize(
    "bad",
    [
        {"law": np.array([1.0, 2.0, 1.0, 9.0])},
        {"law": np.array([1.0, np.nan, 1.0, 9.0])},
        {"law": np.array([1.0, 0.1, 0.0, 9.0])},
        {"law": np.array([1.0, 0.1])},
        {"share": np.array([0.0, 0.6, 0.5, 1.0])},
        {"share": np.array([0.0, 0.5])},
        {"share": np.linspace(0, 1, 12)},
    ],
)
def test_unsound_tails_are_known(bad):
    sound = {"law": np.array([1.0, 0.1, 1.0, 9.0]), "share": np.linspace(0, 1, 11)}
    assert Tail(**sound).is_sound(10)
    assert not Tail(**(sound | bad)).is_sound(10)


def test_no_tail_where_amounts_are_heaped():
    rng = np.random.default_rng(6)
    values = np.sort(20 * rng.random(3000) ** (-1 / 1.8))
    assert fit_tail(values, np.ones(3000)) is not None
    assert fit_tail(np.ceil(values / 10) * 10, np.ones(3000)) is None
