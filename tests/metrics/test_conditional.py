"""Conditional scores: against other implementations and closed forms, weights, planted faults."""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.kinds import Kind
from microimpute.metrics.base import metric, metrics
from microimpute.metrics.conditional import PIT, FairBrier, FairCRPS, Pinball, UpperTailCRPS

ALL = [FairCRPS, UpperTailCRPS, PIT, Pinball, FairBrier]
MIXED = (Kind.CONTINUOUS, Kind.SEMICONTINUOUS, Kind.CATEGORICAL)
#: Donors for which the unit is 1, the mean 0 and the spread asinh(1).
PLAIN = np.array([-1.0, 1.0])


def unscale(z):
    """Amounts whose scaled values, by the donors `PLAIN`, are z."""
    return np.sinh(np.arcsinh(1.0) * z)


def mixed(rng, rows):
    """Targets of several kinds that depend on x."""
    x = rng.normal(size=rows)
    amount = np.exp(x + 0.5 * rng.normal(size=rows))
    some = np.maximum(np.round(3 * x + rng.normal(size=rows)), 0.0)
    level = np.clip(np.round(x + 1 + 0.5 * rng.normal(size=rows)), 0, 2)
    return x, np.column_stack([amount, some, level])


def world(scored, rows=300, m=8, seed=0, **more):
    """Truth and m draws from the same conditional distribution."""
    rng = np.random.default_rng(seed)
    x, _ = mixed(rng, rows)

    def draw():
        amount = np.exp(x + 0.5 * rng.normal(size=rows))
        some = np.maximum(np.round(3 * x + rng.normal(size=rows)), 0.0)
        return np.column_stack([amount, some, np.clip(np.round(x + 1 + 0.5 * rng.normal(size=rows)), 0, 2)])

    donors = mixed(rng, 200)[1]
    weight = rng.uniform(0.2, 3, rows)
    draws = np.stack([draw() for _ in range(m)])
    return scored(draw(), draws, kinds=MIXED, donor_y=donors, **{"weight": weight, **more})


def test_registered_under_their_names():
    for cls in ALL:
        assert metrics()[cls.name] is cls
        assert metric(cls.name).family == "conditional"
        assert cls.anchored is (cls is PIT)


def test_crps_agrees_with_scoringrules(scored):
    sr = pytest.importorskip("scoringrules")
    s = world(scored)
    got = FairCRPS().score(s)
    assert set(got) == {"y0", "y1"}
    for j in (0, 1):
        y, d = s.scale.one(j, s.truth.values[:, j]), s.scale.one(j, s.draws[:, :, j])
        rows = sr.crps_ensemble(y, d, m_axis=0, estimator="fair")
        assert got[f"y{j}"] == pytest.approx(np.average(rows, weights=s.weight), rel=1e-10)


@pytest.mark.parametrize("m", [2, 5, 30])
def test_crps_of_a_normal_is_its_closed_form_for_any_number_of_draws(scored, m):
    """Expected CRPS of N(0, 1) against itself is 1/√π; against N(0, s) it is E|sZ − Z'| − s/√π."""
    rng = np.random.default_rng(m)
    rows = 20_000
    truth = unscale(rng.normal(size=rows))
    for s, expected in ((1.0, 1 / np.sqrt(np.pi)), (2.0, np.sqrt(2 * 5 / np.pi) - 2 / np.sqrt(np.pi))):
        got = FairCRPS().score(scored(truth, unscale(s * rng.normal(size=(m, rows))), donor_y=PLAIN))
        assert got["y0"] == pytest.approx(expected, abs=0.03)  # unfair, m = 2 would be 0.28 too high


def test_tail_crps_agrees_with_scoringrules(scored):
    sr = pytest.importorskip("scoringrules")
    s = world(scored)
    for j, got in zip((0, 1), UpperTailCRPS().score(s).values(), strict=True):
        y, d = s.scale.one(j, s.truth.values[:, j]), s.scale.one(j, s.draws[:, :, j])
        t = np.sort(s.scale.one(j, s.donor_y.values[:, j]))[179]  # 90% of 200 donors of equal weight
        rows = sr.twcrps_ensemble(y, d, m_axis=0, v_func=lambda z, t=t: np.maximum(z, t), estimator="fair")
        assert got == pytest.approx(np.average(rows, weights=s.weight), rel=1e-10)
        assert got > 0


def test_tail_crps_sees_the_top_alone(scored):
    s = world(scored)
    q = np.quantile(s.donor_y.values[:, 0], 0.9)
    draws = s.draws.copy()
    low = draws[:, :, 0] < q * 0.9
    draws[:, :, 0][low] /= 10
    changed = dataclasses.replace(s, draws=draws)
    assert UpperTailCRPS().score(changed)["y0"] == UpperTailCRPS().score(s)["y0"]
    assert FairCRPS().score(changed)["y0"] > 1.2 * FairCRPS().score(s)["y0"]
    draws = np.where(s.draws > q, q, s.draws)  # nobody far above
    assert UpperTailCRPS().score(dataclasses.replace(s, draws=draws))["y0"] > 1.2 * UpperTailCRPS().score(s)["y0"]


def test_tail_threshold_goes_by_donors_weights(scored):
    rng = np.random.default_rng(0)
    truth, draws, donors = rng.exponential(size=50), rng.exponential(size=(4, 50)), rng.exponential(size=30)
    copies = rng.integers(1, 5, 30)
    a = UpperTailCRPS().score(scored(truth, draws, donor_y=donors, donor_weight=copies))
    b = UpperTailCRPS().score(scored(truth, draws, donor_y=np.repeat(donors, copies)))
    assert a["y0"] == pytest.approx(b["y0"], rel=1e-9)


def test_pit_is_what_randomised_pits_average_to(scored):
    s = world(scored, rows=40, m=4)
    got = PIT().score(s)["y1"]
    rng = np.random.default_rng(1)
    truth, draws = s.truth.values[:, 1], s.draws[:, :, 1]
    below, equal = (draws < truth).sum(axis=0), (draws == truth).sum(axis=0)
    assert (equal > 0).any()
    pit = (below + rng.random((20_000, 40)) * (equal + 1)) / 5
    grid = (np.arange(2000) + 0.5) / 2000
    place = np.argsort(pit.ravel())
    share = np.cumsum(np.tile(s.weight, 20_000)[place]) / s.weight.sum() / 20_000
    f = np.interp(grid, pit.ravel()[place], share)
    assert got == pytest.approx(np.sqrt(np.mean((f - grid) ** 2)), abs=1e-3)


def test_pit_at_its_best_and_worst(scored):
    truth = np.arange(1.0, 51)
    best = PIT().score(scored(truth, np.tile(truth, (9, 1))))
    assert best["y0"] == pytest.approx(0, abs=1e-12)  # all tied, so spread over everything
    worst = PIT().score(scored(truth, np.tile(truth + 1, (999, 1))))
    assert worst["y0"] == pytest.approx(np.sqrt(1 / 3), abs=2e-3)


@pytest.mark.parametrize("m", [1, 3, 20])
def test_pit_finds_bias_and_overconfidence(scored, m):
    rng = np.random.default_rng(m)
    rows = 4000
    centre = rng.normal(size=rows)
    truth = centre + rng.normal(size=rows)

    def error(shift, spread):
        return PIT().score(scored(truth, centre + shift + spread * rng.normal(size=(m, rows))))["y0"]

    assert error(0, 1) < 0.015
    assert error(1, 1) > 0.08
    if m > 1:  # a single draw of half the spread is still above the truth half of the time
        assert error(0, 0.4) > 0.03


def test_pinball_agrees_with_other_implementations(scored):
    from sklearn.metrics import mean_pinball_loss

    s = world(scored, rows=60, m=13)
    got = Pinball().score(s)
    for j in (0, 1):
        y, d = s.scale.one(j, s.truth.values[:, j]), s.scale.one(j, s.draws[:, :, j])
        deciles = np.array([statistics.quantiles(row, n=10, method="exclusive") for row in d.T])
        losses = [
            mean_pinball_loss(y, deciles[:, round(10 * tau) - 1], alpha=tau, sample_weight=s.weight)
            for tau in (0.1, 0.3, 0.5, 0.7, 0.9)
        ]
        assert got[f"y{j}"] == pytest.approx(np.mean(losses), rel=1e-10)


def test_brier_agrees_with_its_formula_and_with_pairs_of_draws(scored):
    s = world(scored, rows=80, m=6)
    got = FairBrier().score(s)
    assert set(got) == {"y2"}
    y, d = s.truth.values[:, 2], s.draws[:, :, 2]
    f = np.stack([(d == level).mean(axis=0) for level in range(3)])
    o = np.stack([y == level for level in range(3)])
    formula = ((f - o) ** 2 - f * (1 - f) / 5).sum(axis=0) / 2
    pairs = sum((d[i] != d[j]) for i in range(6) for j in range(i))
    assert got["y2"] == pytest.approx(np.average(formula, weights=s.weight), rel=1e-10)
    assert got["y2"] == pytest.approx(np.average((d != y).mean(axis=0) - pairs / 30, weights=s.weight), rel=1e-10)


@pytest.mark.parametrize("m", [2, 10])
def test_brier_of_a_coin_is_its_closed_form(scored, m):
    """E (p − o)² = p (1 − p) + (p − q)² for chance q, forecast p."""
    rng = np.random.default_rng(m)
    truth = rng.random(40_000) < 0.3
    for p in (0.3, 0.8):
        s = scored(truth, rng.random((m, 40_000)) < p, kinds=(Kind.BINARY,))
        assert FairBrier().score(s)["y0"] == pytest.approx(0.21 + (p - 0.3) ** 2, abs=0.01)


@pytest.mark.parametrize("cls", [FairCRPS, UpperTailCRPS, Pinball, FairBrier])
def test_shuffled_rows_cost(scored, cls):
    s = world(scored, rows=800)
    order = np.random.default_rng(3).permutation(800)
    shuffled = cls().score(dataclasses.replace(s, draws=s.draws[:, order]))
    for name, error in cls().score(s).items():
        assert shuffled[name] > 1.2 * error


@pytest.mark.parametrize("cls", ALL)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), copies=st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_weights_are_copies_and_their_size_does_not_matter(scored, cls, seed, copies):
    s = world(scored, rows=12, m=4, seed=seed, weight=np.array(copies, dtype=float))
    got = cls().score(s)
    assert all(np.isfinite(v) for v in got.values())
    assert got
    double = dataclasses.replace(s, weight=2 * s.weight, draw_weight=2 * s.draw_weight)
    assert cls().score(double) == pytest.approx(got, rel=1e-9, abs=1e-12)
    rows = np.repeat(np.arange(12), copies)
    copied = scored(s.truth.values[rows], s.draws[:, rows], kinds=MIXED, donor_y=s.donor_y.values)
    assert cls().score(copied) == pytest.approx(got, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("cls", ALL)
def test_weights_count(scored, cls):
    s = world(scored)
    flat = dataclasses.replace(s, weight=np.ones(300))
    assert all(abs(cls().score(s)[name] - error) > 1e-5 for name, error in cls().score(flat).items())


@pytest.mark.parametrize("cls", ALL)
def test_constants_and_single_draws_stay_finite(scored, cls):
    s = scored(np.zeros((20, 3)), np.zeros((3, 20, 3)), kinds=MIXED)
    assert list(cls().score(s).values()) == pytest.approx([0.0] * (1 if cls is FairBrier else 2), abs=1e-12)
    one = cls().score(world(scored, m=1))
    assert set(one) == ({"y0", "y1"} if cls in (PIT, Pinball) else set())
    assert all(np.isfinite(v) for v in one.values())
