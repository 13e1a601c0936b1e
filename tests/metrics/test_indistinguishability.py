"""Indistinguishability against independent implementations and planted faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.kinds import Kind
from microimpute.metrics import indistinguishability as own
from microimpute.metrics.base import BUNDLE, metrics

ALL = [getattr(own, name) for name in own.__all__]


def run(scored, draw, n=2000, seed=5, **more):
    """Receivers with y = x + noise, and draws of the same kind made by `draw(rng, x, y)`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    return scored(y, np.array(draw(rng, x, y)), x, **more)


def right(rng, x, y):
    return [x + rng.normal(size=len(x)) for _ in range(2)]


def test_all_are_found_with_their_facts():
    for cls in ALL:
        assert metrics()[cls.name] is cls
        assert cls.family == "indistinguishability"
        assert cls.anchored
        assert cls.kinds == frozenset(Kind)


def test_draws_from_the_truth_pass(scored):
    good = run(scored, right)
    assert own.ClassifierTwoSample().score(good)[BUNDLE] < 0.04
    assert own.EnergyDistance().score(good)[BUNDLE] < 0.01
    assert own.PMSE().score(good)[BUNDLE] < 0.3


def test_medians_instead_of_draws_are_told_apart(scored):
    medians = run(scored, lambda rng, x, y: [x])
    assert own.ClassifierTwoSample().score(medians)[BUNDLE] > 0.35
    assert own.EnergyDistance().score(medians)[BUNDLE] > 0.02
    assert own.PMSE().score(medians)[BUNDLE] > 3


def test_a_constant_is_told_apart_nearly_always(scored):
    constant = run(scored, lambda rng, x, y: [np.zeros(len(x))])
    assert own.ClassifierTwoSample().score(constant)[BUNDLE] == pytest.approx(0.5, abs=0.01)


def test_shuffled_rows_are_told_apart_by_trees_and_distances(scored):
    shuffled = run(scored, lambda rng, x, y: [rng.permutation(y), rng.permutation(y)])
    assert own.ClassifierTwoSample().score(shuffled)[BUNDLE] > 0.1
    assert own.EnergyDistance().score(shuffled)[BUNDLE] > 0.02
    assert own.PMSE().score(shuffled)[BUNDLE] > 0.5


def test_the_oracle_passes(scored):
    rng = np.random.default_rng(6)
    weight = rng.multinomial(2000, np.full(2000, 1 / 2000), size=2)
    oracle = run(scored, lambda rng, x, y: [y, y], draw_weight=weight)
    assert own.ClassifierTwoSample().score(oracle)[BUNDLE] < 0.03
    assert own.EnergyDistance().score(oracle)[BUNDLE] < 0.01
    assert own.PMSE().score(oracle)[BUNDLE] < 0.3


def test_weights_of_draws_tell_them_apart(scored):
    """Draws right but for their weights: large amounts weigh more."""
    tilted = run(scored, lambda rng, x, y: [y])
    weight = np.where(tilted.truth.values[:, 0] > 0, 3.0, 0.3)[None]
    tilted = run(scored, lambda rng, x, y: [y], draw_weight=weight)
    for cls, least in ((own.ClassifierTwoSample, 0.15), (own.EnergyDistance, 0.1), (own.PMSE, 3)):
        assert cls().score(tilted)[BUNDLE] > least


def test_identical_draws_are_at_zero(scored):
    same = run(scored, lambda rng, x, y: [y])
    for cls in ALL:
        assert cls().score(same)[BUNDLE] == pytest.approx(0, abs=1e-9)


def test_area_against_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(7)
    value, side, weight = rng.integers(0, 30, 300) * 1.0, rng.integers(0, 2, 300), rng.uniform(0.1, 2, 300)
    want = roc_auc_score(side, value, sample_weight=weight)
    assert own._area(value, side, weight) == pytest.approx(want)
    assert own._area(value, side, weight * side) == 0.5


def test_energy_is_the_mean_over_different_pairs():
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, 12, 3))
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    size = np.linalg.norm
    want = np.mean([2 * size(a[i] - b[j]) - size(a[i] - a[j]) - size(b[i] - b[j]) for i, j in pairs])
    assert own._energy(a, b) == pytest.approx(want)


def test_energy_in_one_dimension_against_scipy(scored):
    from scipy.stats import energy_distance

    rng = np.random.default_rng(9)
    y, d = rng.lognormal(3, 1, 3000), rng.lognormal(4, 1, (2, 3000))
    w = rng.uniform(0.2, 3, 3000)
    case = scored(y, d, weight=w)
    z, drawn = case.z[:, 0], case.z_draws[:, :, 0]
    want = energy_distance(z, drawn.ravel(), w, np.tile(w, 2)) ** 2
    found = np.mean([own.EnergyDistance().score(scored(y, d, weight=w, seed=s))[BUNDLE] for s in range(4)])
    assert found == pytest.approx(want, rel=0.07)


def test_propensity_error_of_three_cells_in_closed_form():
    """A tree on one feature of three values finds the cells: p̂ is each cell's share of the draws' weight."""
    rng = np.random.default_rng(10)
    features = np.stack([rng.integers(0, 3, 300), rng.integers(0, 4, 300).clip(max=2)])[:, :, None].astype(float)
    weight = rng.uniform(0.5, 2, (2, 300))
    found = own._propensity_error(own._Pairs(np.zeros((300, 0)), features, weight))
    mass = np.array([[weight[s][features[s, :, 0] == c].sum() for c in range(3)] for s in (0, 1)])
    expected = np.sum(mass.sum(axis=0) * (mass[1] / mass.sum(axis=0) - 0.5) ** 2) / mass.sum()
    assert found == pytest.approx(expected, rel=1e-6)


def test_swaps_keep_receivers_and_move_weights_along():
    rng = np.random.default_rng(11)
    y, w = np.arange(40.0).reshape(2, 20, 1), np.arange(40.0).reshape(2, 20)
    swapped = own._Pairs(np.zeros((20, 0)), y, w).swapped(rng)
    assert (swapped.y[..., 0] == swapped.weight).all()
    assert (np.sort(swapped.weight, axis=0) == w).all()
    assert 0 < (swapped.weight[0] > 19).sum() < 20


def test_classes_unseen_codes_and_large_tables(scored):
    rng = np.random.default_rng(12)
    n = own._ROWS + 500
    x = np.column_stack([rng.integers(-1, 3, n), rng.normal(size=n)])
    y = np.column_stack([x[:, 0] == -1, rng.normal(size=n)])
    kinds = {"kinds": (Kind.BINARY, Kind.CONTINUOUS), "x_kinds": (Kind.CATEGORICAL, Kind.CONTINUOUS)}
    donors = {"donor_x": np.abs(x), "donor_y": y}
    wrong = scored(y, [np.column_stack([1 - y[:, 0], y[:, 1]])], x, **kinds, **donors)
    assert own.ClassifierTwoSample().score(wrong)[BUNDLE] > 0.45  # only the unseen level tells
    for cls in ALL:
        assert np.isfinite(cls().score(wrong)[BUNDLE])
    assert len(own._Pairs.of(wrong, 0, rng).x) == own._ROWS


def test_few_rows_and_no_predictors(scored):
    for n in (1, 2, 6):
        case = scored(np.arange(n), np.zeros((1, n)))
        for cls in ALL:
            assert all(np.isfinite(v) and v >= 0 for v in cls().score(case).values())


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 99))
def test_weights(scored, seed, row):
    """Exact for the classifiers, whose receivers are collapsed; the energy distance when copies are neighbours."""
    rng = np.random.default_rng(seed)
    w, v = rng.integers(1, 6, 100) * 1.0, rng.integers(0, 6, (2, 100)) * 1.0
    x, y, d = rng.normal(size=100), rng.normal(size=100), rng.normal(size=(2, 100))
    base = {"donor_x": np.arange(9.0), "donor_y": np.arange(9.0)}
    more, often = w.copy(), v.copy()
    more[row] *= 2
    often[:, row] *= 2
    rows = np.sort(np.r_[np.arange(100), row])
    for cls in ALL:
        score = cls().score
        plain = score(scored(y, d, x, weight=w, draw_weight=v, **base))
        assert score(scored(y, d, x, weight=2 * w, draw_weight=2 * v, **base)) == pytest.approx(plain)
        doubled = score(scored(y, d, x, weight=more, draw_weight=often, **base))
        case = scored(y[rows], d[:, rows], x[rows], weight=w[rows], draw_weight=v[:, rows], **base)
        assert score(case) == pytest.approx(doubled)


def test_seed_decides_what_is_sampled(scored):
    one, two = run(scored, right, seed=5), scored(*_parts(run(scored, right, seed=5)), seed=2)
    for cls in (own.ClassifierTwoSample, own.PMSE):
        assert cls().score(one) == cls().score(one)
    assert own.ClassifierTwoSample().score(one) != own.ClassifierTwoSample().score(two)


def _parts(case):
    return case.truth.values, case.draws, case.X.values


def test_the_cheaper_classifier_test_agrees(scored):
    """Three folds, and ½ for the null: near the full test's figure, on good draws as on bad ones."""
    for draw in (right, lambda rng, x, y: [x], lambda rng, x, y: [rng.permutation(y)]):
        case = run(scored, draw)
        full, cheap = (m.score(case)[BUNDLE] for m in (own.ClassifierTwoSample(), own.ClassifierTwoSample().cheaper()))
        assert cheap == pytest.approx(full, abs=0.05)
    assert isinstance(own.PMSE().cheaper(), own.PMSE)  # other metrics are their own


def test_the_propensity_ratio_is_the_score_and_one(scored):
    medians = run(scored, lambda rng, x, y: [x])
    assert own.PMSE().ratio(medians) == pytest.approx(own.PMSE().score(medians)[BUNDLE] + 1)
    good = run(scored, right)
    assert own.PMSE().score(good)[BUNDLE] == max(own.PMSE().ratio(good) - 1, 0.0)
    assert 0.6 < own.PMSE().ratio(good) < 1.4
