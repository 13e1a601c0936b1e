"""Sequential regressions: posteriors as theory has them, no tail that blows up, nothing that breaks a fit."""

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, method
from microimpute.errors import MethodError
from microimpute.fusion import Fusion
from microimpute.keyed import RowRandom, generator
from microimpute.methods.base import Method
from microimpute.regressions import glm
from microimpute.survey import Survey
from microimpute.transforms import Inputs, Scale

METHODS = ["srmi", "regression", "copula"]


def _linear(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": 1 + 2 * x + 1.5 * rng.normal(size=n)})


def test_the_posterior_is_the_closed_form():
    """As mice's norm (Rubin 1987, p. 167): σ² = RSS / χ²(n − p), β normal around least squares given σ²."""
    rng = np.random.default_rng(0)
    n = 60
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    y = X @ [1.0, 2.0, -1.0] + 0.7 * rng.normal(size=n)
    beta, rest, *_ = np.linalg.lstsq(X, y)
    drawn = [glm.normal(X, y, np.ones(n), 1e-9, rng) for _ in range(4000)]
    coefficients, sigma = np.array([b for b, _ in drawn]), np.array([s for _, s in drawn])
    expected = np.linalg.inv(X.T @ X) * rest[0] / (n - 3 - 2)
    assert np.allclose(coefficients.mean(0), beta, atol=4 * np.sqrt(np.diag(expected) / 4000))
    assert np.allclose(np.cov(coefficients.T), expected, atol=0.1 * expected.max())
    assert np.mean(sigma**2) == pytest.approx(rest[0] / (n - 3 - 2), rel=0.03)


def test_weights_count_as_their_effective_number():
    rng = np.random.default_rng(1)
    n = 3000
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = X @ [0.0, 1.0] + rng.normal(size=n)
    weight = rng.exponential(size=n)
    slopes = [glm.normal(X, y, weight, 1.0, rng)[0][1] for _ in range(1000)]
    assert np.std(slopes) == pytest.approx(1 / np.sqrt(weight.sum() ** 2 / np.sum(weight**2)), rel=0.12)
    assert np.array_equal(glm.effective(weight), glm.effective(7 * weight)) or np.allclose(
        glm.effective(weight), glm.effective(7 * weight)
    )


def test_logits_spread_as_their_information_says():
    rng = np.random.default_rng(2)
    n = 2000
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = (rng.random(n) < 1 / (1 + np.exp(-X @ [-1.0, 1.0]))).astype(float)
    drawn = np.array([glm.logit(X, y, np.ones(n), 1.0, rng) for _ in range(500)])
    chance = 1 / (1 + np.exp(-X @ [-1.0, 1.0]))
    error = np.sqrt(np.diag(np.linalg.inv(X.T @ (X * (chance * (1 - chance))[:, None]))))
    assert np.allclose(drawn.std(0), error, rtol=0.15)
    assert np.all(np.abs(drawn.mean(0) - [-1, 1]) < 4 * error)


def test_counts_know_their_dispersion():
    rng = np.random.default_rng(3)
    n = 20_000
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    mean = np.exp(X @ [1.0, 0.3])
    assert glm.count(X, rng.poisson(mean).astype(float), np.ones(n), 1.0, None)[1] < 0.02
    mixed = rng.poisson(mean * rng.gamma(2.0, 0.5, n)).astype(float)  # negative binomial, a = 1/2
    beta, dispersion = glm.count(X, mixed, np.ones(n), 1.0, None)
    assert dispersion == pytest.approx(0.5, rel=0.1)
    assert np.allclose(beta, [1.0, 0.3], atol=0.05)


def test_between_variance_of_a_regression_matches_theory():
    """Slopes of implicates spread by the donors' posterior and by the receivers' residuals, no more, no less."""
    n, big = 400, 4000
    donor, receiver = _linear(n, 4), _linear(big, 5)[["x"]]
    got = impute(donor, receiver, targets=["y"], method="srmi", m=200, seed=1).numbers("y")
    x = receiver["x"] - receiver["x"].mean()
    slopes = got @ x.to_numpy() / (x**2).sum()
    fitted = np.polyfit(donor["x"], donor["y"], 1)
    sigma = np.std(donor["y"] - np.polyval(fitted, donor["x"]), ddof=2)
    theory = sigma**2 * (1 / ((donor["x"] - donor["x"].mean()) ** 2).sum() + 1 / (x**2).sum())
    assert slopes.mean() == pytest.approx(fitted[0], abs=0.1)
    assert 0.7 < slopes.var(ddof=1) / theory < 1.3  # three standard errors of the variance of 200: √(2/199) = .1


def _wealth(n, seed, losses=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    some = rng.random(n) < 1 / (1 + np.exp(-x))
    y = np.where(some, np.exp(8 + 0.7 * x + 2.0 * rng.standard_t(4, n)), 0.0)
    y = np.where(some & (rng.random(n) < losses), -0.1 * y, y)
    return pd.DataFrame({"x": x, "y": y, "weight": rng.uniform(0.2, 3, n)})


@pytest.mark.parametrize("name", METHODS)
def test_heavy_tails_do_not_blow_up_and_zeros_follow_the_predictor(name):
    losses = 0.0 if name == "copula" else 0.1  # to a copula, what makes gains likely makes losses unlikely
    donor, receiver = _wealth(3000, 6, losses), _wealth(6000, 7, losses)
    got = impute(donor, receiver[["x", "weight"]], targets=["y"], weight="weight", method=name, m=5).numbers("y")
    y, w = donor["y"].to_numpy(), donor["weight"].to_numpy()
    mean = np.average(y, weights=w)
    error = np.sqrt(np.sum(w**2 * (y - mean) ** 2)) / w.sum()
    assert got.min() >= y.min()
    assert got.max() <= y.max()
    assert abs(np.mean([np.average(g, weights=receiver["weight"]) for g in got]) - mean) < 4 * error
    for part in (receiver["x"] < -0.5, receiver["x"] > 0.5):
        chance = 1 / (1 + np.exp(-receiver["x"][part]))
        assert (got[:, part] != 0).mean() == pytest.approx(chance.mean(), abs=0.04)
    assert (got < 0).mean() == pytest.approx(losses / 2, abs=0.02)


@pytest.mark.parametrize("name", METHODS)
def test_weights_come_back_and_donors_without_weight_do_not_matter(name):
    rng = np.random.default_rng(8)
    n = 3000
    donor = pd.DataFrame({"x": rng.normal(size=n), "y": np.exp(rng.normal(size=n)), "weight": 1.0})
    donor.loc[donor["y"] > 3, "weight"] = 0.1
    truth = np.average(donor["y"], weights=donor["weight"])
    assert abs(truth - donor["y"].mean()) > 0.2
    ghosts = pd.DataFrame({"x": rng.normal(size=50), "y": 1e9, "weight": 0.0})
    receiver = donor[["x"]]
    both = pd.concat([donor, ghosts], ignore_index=True)
    got = impute(both, receiver, targets=["y"], weight="weight", method=name, m=5).numbers("y")
    weight = donor["weight"].to_numpy()
    again = np.average(got.mean(0), weights=np.ones(n))
    error = np.sqrt(np.sum(weight**2 * (donor["y"] - truth) ** 2)) / weight.sum()
    assert abs(again - truth) < 4 * np.sqrt(2) * error
    assert got.max() < 1e9


@pytest.mark.parametrize("name", METHODS)
def test_separation_collinear_constant_and_many_levels(name):
    rng = np.random.default_rng(9)
    n = 1500
    x = rng.normal(size=n)
    donor = pd.DataFrame({"x": x, "twice": 2 * x, "same": 5.0, "state": [f"s{i % 200}" for i in range(n)]})
    donor["sure"] = x > 0
    donor["visits"] = rng.poisson(np.exp(0.5 * x))
    donor["debt"] = np.where(x > 0, np.exp(x), 0.0)
    receiver = donor[["x", "twice", "same", "state"]].assign(state=["unheard of"] * 700 + ["s7"] * 800)
    kinds = {"visits": "count"}
    done = impute(donor, receiver, targets=["sure", "visits", "debt"], kinds=kinds, method=name, m=2)
    for target in ("sure", "debt"):
        wrong = (done.numbers(target) != 0) != (x > 0)
        assert wrong.mean() < 0.06, target
    assert set(np.unique(done.numbers("visits"))) <= set(range(int(donor["visits"].max()) + 1))


def test_separation_leaves_coefficients_finite():
    X = np.column_stack([np.ones(200), np.linspace(-2, 2, 200)])
    drawn = [glm.logit(X, (X[:, 1] > 0) * 1.0, np.ones(200), 1.0, np.random.default_rng(i)) for i in range(20)]
    assert np.abs(drawn).max() < 50


@pytest.mark.parametrize("name", ["srmi", "regression"])
def test_a_target_of_200_levels(name):
    rng = np.random.default_rng(10)
    home = rng.integers(200, size=4000)
    work = np.where(rng.random(4000) < 0.7, home // 20 * 20, home)
    donor = pd.DataFrame({"region": [f"r{h // 20}" for h in home], "work": [f"w{w:03}" for w in work]})
    done = impute(donor, donor[["region"]], targets=["work"], method=name, m=1).complete()
    inside = [int(w[1:]) // 20 == int(r[1:]) for w, r in zip(done["work"], donor["region"], strict=True)]
    assert np.mean(inside) > 0.8  # by chance .1


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n", [2, 12, 45])
def test_fewer_than_fifty_donors(name, n):
    donor, receiver = _wealth(n, 11), _wealth(200, 12)[["x"]]
    got = impute(donor.drop(columns="weight"), receiver, targets=["y"], method=name, m=3).numbers("y")
    assert set(np.unique(got)) <= set(donor["y"])


def _three(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    a = x + rng.normal(size=n)
    return pd.DataFrame({"x": x, "a": a, "b": a + 0.3 * rng.normal(size=n), "c": 0.5 * a + rng.normal(size=n)})


@pytest.mark.parametrize(("name", "binds"), [("srmi", True), ("copula", True), ("regression", False)])
def test_joint_methods_keep_correlations_given_the_predictors(name, binds):
    donor, receiver = _three(2000, 13), _three(2000, 14)
    got = impute(donor, receiver[["x"]], targets=["a", "b", "c"], method=name, m=1)
    left = [got.numbers(t)[0] - receiver["x"] for t in "ab"]
    assert (np.corrcoef(left)[0, 1] > 0.9) == binds
    assert binds or abs(np.corrcoef(left)[0, 1]) < 0.1


def test_a_copula_binds_zeros_as_it_binds_amounts():
    """Donors at zero only say that their score is low: drawn anew each round, or dependence would fade there."""
    rng = np.random.default_rng(20)
    n = 6000
    a, b = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], n).T
    donor = pd.DataFrame({"x": rng.normal(size=n)})
    donor["a"], donor["b"] = (np.where(s > 1.0, np.exp(s), 0.0) for s in (a, b))
    got = impute(donor, donor[["x"]], targets=["a", "b"], method="copula", m=2)
    both = ((got.numbers("a") != 0) & (got.numbers("b") != 0)).mean()
    truth = ((donor["a"] != 0) & (donor["b"] != 0)).mean()
    assert abs(both - truth) < 3 * np.sqrt(2 * truth * (1 - truth) / n)


def test_a_copulas_margins_come_back_whatever_the_predictors():
    """A rare predictor with a strong effect: scores given it are far from normal, margins must not be."""
    rng = np.random.default_rng(21)
    n = 6000
    x = (rng.random(n) < 0.1) * 1.0
    donor = pd.DataFrame({"x": x, "y": np.exp(3 * x + rng.normal(size=n))})
    got = impute(donor, donor[["x"]], targets=["y"], method="copula", m=1).numbers("y")[0]
    places = np.searchsorted(np.sort(donor["y"]), np.sort(got), side="right") / n
    assert np.abs(places - np.arange(1, n + 1) / n).max() < 1.95 * np.sqrt(2 / n)  # Kolmogorov–Smirnov at .001


def test_order_is_shuffled_per_implicate_and_requirements_stay_first():
    donor = _three(300, 15)
    fusion = Fusion(Survey(donor), Survey(donor[["x"]]), targets=["a", "b", "c"], rules=["a requires b"])
    training = fusion.training(1)
    orders = set()
    for seed in range(30):
        chosen = method("srmi", {"shuffle_order": True})
        chosen.fit(training.X, training.Y, training.weight, generator(seed, 1, "fit"))
        order = tuple(b.targets[0] for b in chosen.chain.blocks)
        assert order.index(1) < order.index(0)
        orders.add(order)
    assert len(orders) == 3
    fixed = method("srmi").fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    assert tuple(b.targets[0] for b in fixed.chain.blocks) == (1, 0, 2)


@pytest.mark.parametrize("name", METHODS)
def test_required_targets_hold(name):
    donor = _wealth(800, 16).rename(columns={"y": "home"})
    donor["mortgage"] = np.where(donor["home"] > 0, donor["home"].abs() ** 0.8, 0.0)
    got = impute(donor, donor[["x"]], targets=["mortgage", "home"], rules=["mortgage requires home"], method=name, m=2)
    assert got.manifest["rules"][0]["broken_draws"] == 0
    owed = (donor["mortgage"] != 0).mean()
    assert (got.numbers("mortgage") != 0).mean() == pytest.approx(owed, abs=0.06)


@pytest.mark.parametrize("name", METHODS)
def test_rules_that_need_one_donor_are_refused(name):
    donor = _three(50, 17).abs()
    rules = ["total = a + b", "c requires total"]
    with pytest.raises(MethodError, match="a, b, c to one donor"):
        impute(donor, donor[["x"]], targets=["a", "b", "c"], rules=rules, method=name, m=1)


@pytest.mark.parametrize("bad", [{"ridge": 0}, {"ridge": True}, {"ridge": float("inf")}, {"shuffle_order": 1}])
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("srmi", bad)


@pytest.mark.parametrize("name", METHODS)
def test_damaged_files_are_refused(name):
    donor = _wealth(200, 18)
    fusion = Fusion(Survey(donor), Survey(donor[["x"]]), targets=["y"])
    training = fusion.training(1)
    fitted = method(name).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    state = fitted.state()
    for key, array in state.items():
        if not np.issubdtype(array.dtype, np.floating) or "centre" in key or array.size < 2:
            continue
        other: Method = fitted.fresh()
        other.predictors, other.targets = fitted.predictors, fitted.targets
        with pytest.raises((MethodError, KeyError)):
            other.set_state(state | {key: np.full_like(array, np.nan)})
    with pytest.raises((MethodError, KeyError)):
        fitted.set_state(state | {"0.target": np.array([5])})


@pytest.mark.parametrize("shape", [np.exp, lambda z: z, lambda z: np.round(z, 1), lambda z: np.maximum(z, 0)])
def test_scales_return_every_donors_amount(shape):
    rng = np.random.default_rng(19)
    values, weight = shape(rng.normal(size=500)), rng.exponential(size=500)
    scale = Scale.fit(values, weight, exact=True)
    assert np.allclose(scale.amounts(scale.scores(values)), values, rtol=1e-12, atol=1e-12)
    far = scale.amounts(np.array([-40.0, 40.0]))
    assert far.tolist() == [values.min(), values.max()]


def test_predictions_do_not_depend_on_how_many_rows_there_are():
    rng = np.random.default_rng(20)
    donor = _three(300, 21)
    fusion = Fusion(Survey(donor), Survey(donor[["x"]]), targets=["a", "b"])
    training = fusion.training(1)
    fitted = method("srmi").fit(training.X, training.Y, training.weight, rng)
    numbers = RowRandom(0, 1, fusion.receiver_keys)
    whole = fitted.draw(fusion.receivers, numbers)
    part = slice(7, 10)
    assert np.array_equal(fitted.draw(fusion.receivers.take(part), numbers.take(part)), whole[part])
    inputs = Inputs(3)
    assert inputs.predict(np.array([2.0])).tolist() == [2.0] * 3
