"""Joint scores: against other implementations and closed forms, weights, planted faults."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.kinds import Kind
from microimpute.metrics.base import BUNDLE, metric, metrics
from microimpute.metrics.joint import (
    EnergyScore,
    RankCorrelationAcross,
    RankCorrelationWithin,
    TailDependence,
    VariogramScore,
)

ALL = [EnergyScore, VariogramScore, RankCorrelationWithin, RankCorrelationAcross, TailDependence]
ANCHORED = [RankCorrelationWithin, RankCorrelationAcross, TailDependence]
KINDS = (Kind.CONTINUOUS, Kind.SEMICONTINUOUS, Kind.ORDINAL, Kind.CATEGORICAL)
X_KINDS = (Kind.CONTINUOUS, Kind.COUNT, Kind.CATEGORICAL)


def targets(rng, x):
    """One joint draw given x: correlated amounts, an ordered class and one without an order."""
    rows = len(x)
    shared = rng.normal(size=rows)
    a = np.exp(x[:, 0] + shared)
    b = np.maximum(np.round(2 * (shared + 0.3 * rng.normal(size=rows)) + x[:, 1]), 0.0)
    c = np.clip(np.round(1 + shared), 0, 2)
    return np.column_stack([a, b, c, rng.integers(0, 3, rows)])


def world(scored, rows=700, m=6, seed=0, **more):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=rows), rng.integers(0, 4, rows), rng.integers(0, 3, rows)])
    draws = np.stack([targets(rng, x) for _ in range(m)])
    fixed = np.column_stack([rng.normal(size=200), rng.integers(0, 4, 200), rng.integers(0, 3, 200)])
    parts = {"weight": rng.uniform(0.2, 3, rows), "donor_y": targets(rng, fixed), "donor_x": fixed, **more}
    truth = targets(rng, x)
    truth[:3, 2:] = [[0, 0], [1, 1], [2, 2]]  # all levels occur
    return scored(truth, draws, x, kinds=KINDS, x_kinds=X_KINDS, **parts)


def shuffle_columns(s, seed=0):
    """Margins of each draw kept, dependence between targets and on predictors lost."""
    rng = np.random.default_rng(seed)
    return dataclasses.replace(s, draws=rng.permuted(s.draws, axis=1))


def shuffle_across_draws(s, seed=0):
    """Each row's margins kept, dependence within the row lost."""
    rng = np.random.default_rng(seed)
    return dataclasses.replace(s, draws=rng.permuted(s.draws, axis=0))


def test_registered_under_their_names():
    for cls in ALL:
        assert metrics()[cls.name] is cls
        assert metric(cls.name).family == "joint"
        assert cls.anchored is (cls in ANCHORED)


def test_energy_score_agrees_with_scoringrules(scored):
    sr = pytest.importorskip("scoringrules")
    s = world(scored)  # more rows than are worked on at a time
    scaled = np.stack([s.scale(d) for d in s.draws])
    rows = sr.es_ensemble(s.z, scaled, m_axis=0, estimator="fair")
    assert EnergyScore().score(s) == {BUNDLE: pytest.approx(np.average(rows, weights=s.weight), rel=1e-5)}


def test_variogram_score_agrees_with_scoringrules(scored):
    sr = pytest.importorskip("scoringrules")
    s = world(scored)
    scaled = np.stack([s.scale(d) for d in s.draws])
    k = scaled.shape[2]
    rows = sr.vs_ensemble(s.z, scaled, m_axis=0, p=0.5, estimator="fair") / (k * (k - 1))
    assert VariogramScore().score(s) == {BUNDLE: pytest.approx(np.average(rows, weights=s.weight), rel=1e-4)}


@pytest.mark.parametrize("cls", [EnergyScore, VariogramScore])
def test_proper_scores_do_not_depend_on_the_number_of_draws(scored, cls):
    many = world(scored, rows=3000, m=40)
    two = dataclasses.replace(many, draws=many.draws[:2], draw_weight=many.draw_weight[:2])
    a, b = cls().score(many)[BUNDLE], cls().score(two)[BUNDLE]
    assert a == pytest.approx(b, rel=0.05)  # unfair, two draws would cost 50% more


@pytest.mark.parametrize("cls", [EnergyScore, VariogramScore])
def test_wrong_dependence_within_a_row_costs(scored, cls):
    """Margins of each row are the same, so that only what joins them can tell."""
    rng = np.random.default_rng(0)
    rows, m = 4000, 10
    joined = rng.normal(size=(m + 1, rows, 1)) + 0.3 * rng.normal(size=(m + 1, rows, 3))
    s = scored(joined[0], joined[1:])
    assert cls().score(shuffle_across_draws(s))[BUNDLE] > 1.03 * cls().score(s)[BUNDLE]


@pytest.mark.parametrize("cls", ALL)
def test_independent_columns_cost(scored, cls):
    s = world(scored, rows=2000)
    right, wrong = cls().score(s), cls().score(shuffle_columns(s))
    for name in right:
        # The ordinal target does not depend on the predictors, so that shuffling costs it nothing.
        assert name == "y2" or wrong[name] > (3 if cls.anchored else 1.05) * right[name]


def test_rank_correlation_within_agrees_with_scipy(scored):
    from scipy.stats import spearmanr

    copies = np.random.default_rng(1).integers(1, 4, 80)
    s = world(scored, rows=80, weight=copies.astype(float))

    def rho(y):
        return spearmanr(np.repeat(y[:, :3], copies, axis=0)).statistic[np.triu_indices(3, 1)]

    error = np.mean([rho(d) for d in s.draws], axis=0) - rho(s.truth.values)
    assert RankCorrelationWithin().score(s) == {BUNDLE: pytest.approx(np.abs(error).mean(), rel=1e-9)}


def test_rank_correlation_across_agrees_with_scipy(scored):
    from scipy.stats import spearmanr

    copies = np.random.default_rng(1).integers(1, 4, 80)
    s = world(scored, rows=80, weight=copies.astype(float))

    def rho(y):
        both = np.hstack([y[:, :3], s.X.values[:, :2]])
        return spearmanr(np.repeat(both, copies, axis=0)).statistic[:3, 3:]

    error = np.abs(np.mean([rho(d) for d in s.draws], axis=0) - rho(s.truth.values)).mean(axis=1)
    assert RankCorrelationAcross().score(s) == pytest.approx({f"y{j}": error[j] for j in range(3)}, rel=1e-9)


def test_rank_correlation_across_finds_the_target_that_ignores_predictors(scored):
    s = world(scored, rows=2000)
    draws = s.draws.copy()
    draws[:, :, 0] = np.random.default_rng(0).permuted(draws[:, :, 0], axis=1)
    before, after = RankCorrelationAcross().score(s), RankCorrelationAcross().score(dataclasses.replace(s, draws=draws))
    assert after["y0"] > 5 * before["y0"]
    assert {k: v for k, v in after.items() if k != "y0"} == {k: v for k, v in before.items() if k != "y0"}


def test_tail_dependence_is_a_conditional_share(scored):
    """Without ties, λ is counted by hand: 100 rows, the ten highest of each column."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4, 100, 2)) + rng.normal(size=(4, 100, 1))
    x = rng.normal(size=100) + y[0, :, 0]

    def shares(two):
        top = [set(np.argsort(v)[-10:]) for v in (two[:, 0], two[:, 1], x)]
        return np.array([len(top[i] & top[j]) / 10 for i, j in ((0, 1), (0, 2), (1, 2))])

    error = np.mean([shares(d) for d in y[1:]], axis=0) - shares(y[0])
    got = TailDependence().score(scored(y[0], y[1:], x))
    assert got == {BUNDLE: pytest.approx(np.abs(error).mean(), rel=1e-9)}
    assert got[BUNDLE] > 0


def test_tail_dependence_of_what_moves_together_or_apart(scored):
    v = np.arange(1000.0)
    independent = np.column_stack([v, np.random.default_rng(0).permutation(v)])
    got = TailDependence().score(scored(np.column_stack([v, v]), independent[None]))
    assert got[BUNDLE] == pytest.approx(0.9, abs=0.08)
    got = TailDependence().score(scored(np.column_stack([v, v]), np.column_stack([v, -v])[None]))
    assert got[BUNDLE] == pytest.approx(1.0)


def test_ties_count_as_if_broken_at_random(scored):
    rng = np.random.default_rng(0)
    shared = rng.poisson(1.0, 500)
    whole = np.column_stack([shared + rng.poisson(0.3, 500), shared + rng.poisson(0.3, 500)]).astype(float)
    flat = np.ones((1, 500, 2))  # λ of constants is .1, so that the error tells λ of the truth
    tied = TailDependence().score(scored(whole, flat))[BUNDLE]
    broken = [TailDependence().score(scored(whole + 0.9 * rng.random((500, 2)), flat))[BUNDLE] for _ in range(200)]
    assert tied == pytest.approx(np.mean(broken), abs=4 * np.std(broken) / np.sqrt(200))
    assert tied > 0.2


@pytest.mark.parametrize("cls", ANCHORED)
def test_the_truth_has_no_error_and_draws_are_weighed_by_their_own_weights(scored, cls):
    s = world(scored)
    truth = np.tile(s.truth.values, (6, 1, 1))
    same = dataclasses.replace(s, draws=truth)
    assert list(cls().score(same).values()) == pytest.approx([0.0] * len(cls().score(same)), abs=1e-12)
    bootstrap = s.weight * np.random.default_rng(0).exponential(size=(6, 700))
    oracle = cls().score(dataclasses.replace(same, draw_weight=bootstrap))
    null = cls().score(shuffle_columns(s))
    assert all(1e-4 < error < (0.06 if name == "y2" else null[name]) for name, error in oracle.items())


@pytest.mark.parametrize("cls", ANCHORED)
def test_draw_weights_are_copies(scored, cls):
    copies = np.random.default_rng(2).integers(1, 4, 60)
    s = world(scored, rows=60, m=3)
    rows = np.repeat(np.arange(60), copies)
    a = dataclasses.replace(s, draw_weight=np.tile(copies.astype(float), (3, 1)), weight=np.ones(60))
    b = dataclasses.replace(a, weight=copies.astype(float))
    parts = {"kinds": KINDS, "x_kinds": X_KINDS, "donor_y": s.donor_y.values, "donor_x": s.donor_x.values}
    c = scored(s.truth.values[rows], s.draws[:, rows], s.X.values[rows], **parts)
    assert cls().score(b) == pytest.approx(cls().score(c), rel=1e-9, abs=1e-12)
    assert cls().score(a) != pytest.approx(cls().score(b), rel=1e-3)


@pytest.mark.parametrize("cls", ANCHORED)
def test_truth_and_a_draw_with_their_weights_can_change_places(scored, cls):
    s = world(scored, rows=60, m=1)
    own = np.random.default_rng(2).exponential(size=60)
    a = dataclasses.replace(s, draw_weight=own[None])
    swapped = dataclasses.replace(s.truth, values=s.draws[0])
    b = dataclasses.replace(
        s, truth=swapped, draws=s.truth.values[None], weight=own, draw_weight=np.asarray(s.weight)[None]
    )
    assert cls().score(a) == pytest.approx(cls().score(b), rel=1e-9)


@pytest.mark.parametrize("cls", ALL)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), copies=st.lists(st.integers(1, 4), min_size=14, max_size=14))
def test_weights_are_copies_and_their_size_does_not_matter(scored, cls, seed, copies):
    s = world(scored, rows=14, m=3, seed=seed, weight=np.array(copies, dtype=float))
    got = cls().score(s)
    assert got
    assert all(np.isfinite(v) for v in got.values())
    double = dataclasses.replace(s, weight=2 * s.weight, draw_weight=2 * s.draw_weight)
    assert cls().score(double) == pytest.approx(got, rel=1e-6, abs=1e-9)
    rows = np.repeat(np.arange(14), copies)
    parts = {"kinds": KINDS, "x_kinds": X_KINDS, "donor_y": s.donor_y.values, "donor_x": s.donor_x.values}
    copied = scored(s.truth.values[rows], s.draws[:, rows], s.X.values[rows], **parts)
    assert cls().score(copied) == pytest.approx(got, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("cls", ALL)
def test_constant_columns_stay_finite(scored, cls):
    s = world(scored)
    draws, truth, x = s.draws.copy(), s.truth.values.copy(), s.X.values.copy()
    draws[:, :, 0], truth[:, 1], x[:, 1] = 5.0, 0.0, 3.0
    parts = {"kinds": KINDS, "x_kinds": X_KINDS, "donor_y": s.donor_y.values, "donor_x": s.donor_x.values}
    got = cls().score(scored(truth, draws, x, **parts))
    assert got
    assert all(np.isfinite(v) for v in got.values())


@pytest.mark.parametrize("cls", [RankCorrelationAcross, TailDependence])
def test_constant_predictors_are_skipped(scored, cls):
    rng = np.random.default_rng(0)
    truth, draws, x = rng.normal(size=(50, 2)), rng.normal(size=(3, 50, 2)), rng.normal(size=50)
    both = np.column_stack([x, np.ones(50)])
    assert cls().score(scored(truth, draws, both)) == pytest.approx(cls().score(scored(truth, draws, x)), rel=1e-9)


def test_constant_targets_have_no_tail_dependence(scored):
    rng = np.random.default_rng(0)
    truth, draws, x = rng.normal(size=(50, 2)), rng.normal(size=(3, 50, 2)), rng.normal(size=50)
    truth[:, 1] = 1.0
    alone = TailDependence().score(scored(truth[:, 0], draws[:, :, 0], x))
    assert TailDependence().score(scored(truth, draws, x)) == pytest.approx(alone, rel=1e-9)


def test_a_constant_draw_has_no_correlation(scored):
    v = np.arange(50.0)
    s = scored(np.column_stack([v, v]), np.stack([np.column_stack([v, np.ones(50)])]), v)
    assert RankCorrelationWithin().score(s) == {BUNDLE: pytest.approx(1.0)}
    assert RankCorrelationAcross().score(s) == pytest.approx({"y0": 0.0, "y1": 1.0}, abs=1e-12)


def test_nothing_where_nothing_is_defined(scored):
    rng = np.random.default_rng(0)
    single = scored(rng.normal(size=30), rng.normal(size=(3, 30)))
    assert all(cls().score(single) == {} for cls in ALL)
    with_x = dataclasses.replace(single, X=scored(np.arange(30.0), np.zeros((3, 30)), np.arange(30.0)).X)
    assert set(TailDependence().score(with_x)) == {BUNDLE}
    assert set(RankCorrelationAcross().score(with_x)) == {"y0"}
    assert all(cls().score(with_x) == {} for cls in (EnergyScore, VariogramScore, RankCorrelationWithin))
    one_draw = world(scored, m=1)
    assert EnergyScore().score(one_draw) == VariogramScore().score(one_draw) == {}
    unordered = scored(rng.integers(0, 3, (30, 2)), rng.integers(0, 3, (3, 30, 2)), kinds=(Kind.CATEGORICAL,) * 2)
    assert all(cls().score(unordered) == {} for cls in ANCHORED)
