"""Tail metrics against brute force, closed forms and planted faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.kinds import Kind
from microimpute.metrics import tails
from microimpute.metrics.base import AMOUNTS, CLASSES, metrics

ALL = [getattr(tails, name) for name in tails.__all__]
SEMI = (Kind.SEMICONTINUOUS,)


def only(errors):
    (value,) = errors.values()
    return value


def test_all_are_found_with_their_facts():
    found = metrics()
    for cls in ALL:
        assert found[cls.name] is cls
        assert cls.family == "tails"
        assert cls.anchored
        assert cls.matters > 0
        assert cls.kinds in (AMOUNTS, CLASSES)


def test_share_nonzero_is_the_difference_of_the_mean_share(scored):
    truth = np.r_[np.zeros(50), np.ones(50)]
    draws = np.array([np.r_[np.zeros(60), np.ones(40)], np.r_[np.zeros(20), np.ones(80)]])
    assert only(tails.ShareNonZero().score(scored(truth, draws))) == pytest.approx(0.1)


def test_share_nonzero_needs_a_mass_at_zero_in_truth_or_donors(scored):
    none, some = np.arange(1.0, 101), np.r_[0.0, np.arange(1.0, 100)]
    assert tails.ShareNonZero().score(scored(none, [none])) == {}
    assert tails.ShareNonZero().score(scored(np.zeros(100), [some])) == {}
    by_donors = tails.ShareNonZero().score(scored(none, [some], donor_y=some))
    assert by_donors == {"y0": pytest.approx(0.01)}


def test_cells_see_what_the_overall_share_does_not(scored):
    level = np.repeat([0.0, 1.0], 100)
    truth = level.copy()  # only level 1 has any
    draws = [1 - level]
    run = scored(truth, draws, level, x_kinds=(Kind.BINARY,))
    assert only(tails.ShareNonZero().score(run)) == pytest.approx(0)
    assert only(tails.ShareNonZeroInCells().score(run)) == pytest.approx(1)


def test_cells_against_brute_force(scored):
    rng = np.random.default_rng(1)
    n, m = 400, 3
    x = np.column_stack([rng.integers(-1, 3, n), rng.lognormal(size=n)])
    y, d = rng.integers(0, 2, n) * 1.0, rng.integers(0, 2, (m, n)) * 1.0
    w, v = rng.integers(1, 5, n) * 1.0, rng.integers(0, 4, (m, n)) * 1.0
    donor = np.column_stack([rng.integers(0, 3, 99), rng.lognormal(size=99)])
    x[:60, 1] = np.repeat(np.sort(donor[:, 1])[[24, 49, 74]], 20)  # a value at a bound is below it
    run = scored(
        y, d, x, weight=w, draw_weight=v, kinds=SEMI, x_kinds=(Kind.CATEGORICAL, Kind.CONTINUOUS), donor_x=donor,
        donor_y=np.zeros(99),
    )  # fmt: skip
    q = np.sort(donor[:, 1])[[24, 49, 74]]
    groups = [[x[:, 0] == c for c in (-1, 0, 1, 2)]]
    groups.append([(lo < x[:, 1]) & (x[:, 1] <= hi) for lo, hi in zip([-1, *q], [*q, np.inf], strict=True)])
    want = 0.0
    for cells in groups:
        for c in cells:
            drawn = np.mean([np.average(d[i][c], weights=v[i][c]) for i in range(m)])
            want += w[c].sum() / w.sum() * abs(drawn - np.average(y[c], weights=w[c])) / 2
    assert only(tails.ShareNonZeroInCells().score(run)) == pytest.approx(want)
    assert want > 0.01


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_gini_is_half_the_relative_mean_difference(shift):
    rng = np.random.default_rng(2)
    y, w = rng.lognormal(size=60) - shift, rng.uniform(0.1, 3, 60)
    difference = np.abs(y[:, None] - y) * np.outer(w, w)
    want = difference.sum() / w.sum() / (2 * w @ np.abs(y))
    assert tails.Gini().statistic(y, w) == pytest.approx(want)
    assert 0 < want < 1


def test_gini_bounds():
    gini = tails.Gini().statistic
    assert gini(np.full(5, 3.0), np.ones(5)) == pytest.approx(0)
    assert gini(np.zeros(5), np.ones(5)) == 0
    assert gini(np.r_[-1e6, np.zeros(9998), 1e6], np.ones(10_000)) == pytest.approx(1, abs=1e-3)


def pareto(alpha, rows=200_000):
    return (1 - (np.arange(rows) + 0.5) / rows) ** (-1 / alpha)


@pytest.mark.parametrize("alpha", [2.5, 4.0])
def test_closed_forms_of_pareto(alpha):
    y = pareto(alpha)
    w = np.ones(len(y))
    assert tails.Gini().statistic(y, w) == pytest.approx(1 / (2 * alpha - 1), rel=0.01)
    assert tails.HillIndex().statistic(y, w) == pytest.approx(1 / alpha, rel=0.01)
    assert tails.TopShares().statistic(y, w) == pytest.approx(np.array([0.01, 0.1]) ** (1 - 1 / alpha), rel=0.03)
    assert tails.QuantileRatio().statistic(y, w) == pytest.approx(np.log(5) / alpha, rel=0.001)


def test_errors_are_of_the_mean_statistic(scored):
    truth = pareto(3.0, 2000)
    run = scored(truth, [pareto(2.0, 2000), pareto(4.0, 2000)])
    for cls in (tails.Gini, tails.HillIndex, tails.QuantileRatio):
        mean = np.mean([cls().statistic(d, run.weight) for d in (pareto(2.0, 2000), pareto(4.0, 2000))])
        want = abs(mean - cls().statistic(truth, run.weight))
        assert only(cls().score(run)) == pytest.approx(want)
        assert want > 1e-3


@pytest.mark.parametrize("cls", [tails.Gini, tails.HillIndex, tails.QuantileRatio, tails.ShareNonZero])
def test_weights_stand_for_repeated_rows(cls):
    rng = np.random.default_rng(5)
    y = rng.lognormal(0, 2, 500) * (rng.random(500) < 0.9)
    w = np.where(y > np.median(y), 1, 4)
    found = cls().statistic(y, w.astype(float))
    assert found == pytest.approx(cls().statistic(np.repeat(y, w), np.ones(w.sum())))
    assert found != pytest.approx(cls().statistic(y, np.ones(500)), rel=0.01)


def test_top_shares_of_unequal_weights():
    # one row of weight 5 in 100 holds half: the top 1% a fifth of that, the top 10% all of it and 5/95 of the rest
    shares = tails.TopShares().statistic(np.array([0.5 / 95, 0.5 / 5]), np.array([95.0, 5.0]))
    assert shares == pytest.approx([0.1, 0.5 + 0.5 * 5 / 95])


def test_tails_that_the_truth_lacks_are_left_out(scored):
    owing, rare = -np.arange(1.0, 101), np.r_[np.zeros(970), np.ones(30)]
    for cls in (tails.TopShares, tails.QuantileRatio, tails.HillIndex):
        assert cls().score(scored(owing, [owing])) == {}
    assert tails.HillIndex().score(scored(rare, [rare])) == {}
    few = np.arange(1.0, 901)  # 45 rows in the top 5%
    assert tails.HillIndex().score(scored(few, [few])) == {}
    assert tails.HillIndex().score(scored(np.arange(1.0, 1101), [np.arange(1.0, 1101)])) == {"y0": 0}


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_draws_without_any_tail_score_finite_and_badly(scored, bad):
    truth = pareto(2.0, 2000)
    run = scored(truth, np.full((2, 2000), bad))
    assert only(tails.QuantileRatio().score(run)) == pytest.approx(np.log(1000) - np.log(5) / 2, rel=0.01)
    assert only(tails.HillIndex().score(run)) == pytest.approx(0.5, rel=0.05)
    assert only(tails.TopShares().score(run)) > 1


def test_total_variation(scored):
    truth, draws = np.r_[np.zeros(6), np.ones(4)], [np.r_[np.zeros(5), np.ones(3), 2, 2]]
    assert only(tails.TotalVariation().score(scored(np.r_[truth[:-1], 2], draws, kinds=(Kind.CATEGORICAL,)))) == (
        pytest.approx((0.1 + 0 + 0.1) / 2)
    )
    assert tails.TotalVariation().score(scored(truth, draws)) == {}


def test_totals_are_scored_and_classes_are_not(scored):
    rng = np.random.default_rng(3)
    y = np.column_stack([rng.integers(0, 2, 2000), rng.lognormal(size=2000) + 1])
    total = y[:, 1] * (rng.random(2000) < 0.9)
    run = scored(
        y, [y], y[:, :1], kinds=(Kind.BINARY, Kind.CONTINUOUS), x_kinds=(Kind.BINARY,),
        totals={"all": total}, drawn_totals={"all": total[None] * 0},
    )  # fmt: skip
    for cls in ALL:
        want = {"y0"} if cls is tails.TotalVariation else {"all"} if "nonzero" in cls.name else {"y1", "all"}
        errors = cls().score(run)
        assert set(errors) == want
        assert errors.get("all", 1) > 0.1  # nothing is drawn of it
        assert errors.get("y1", 0) == 0


def example(scored, rows, w, v, seed):
    rng = np.random.default_rng(seed)
    n = len(w)
    amount = np.round(rng.lognormal(3, 1, (3, n)) * (rng.random((3, n)) < 0.9)) - rng.integers(0, 2, (3, n))
    classes = rng.integers(0, 3, (3, n))
    y = np.stack([amount, classes], axis=2)[:, rows]
    x = rng.normal(size=(n, 1))[rows]
    donor = rng.normal(size=(9, 1))
    return scored(
        y[0], y[1:], x, kinds=(Kind.SEMICONTINUOUS, Kind.CATEGORICAL), weight=w[rows], draw_weight=v[:, rows],
        donor_x=donor, donor_y=np.zeros((9, 2)),
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(0, 1000), st.sampled_from(ALL))
def test_weights(scored, data, seed, cls):
    n = 1200 if cls is tails.HillIndex else 40
    rng = np.random.default_rng(seed)
    w, v = rng.integers(1, 6, n) * 1.0, rng.integers(0, 6, (2, n)) * 1.0
    row = data.draw(st.integers(0, n - 1))
    plain = cls().score(example(scored, np.arange(n), w, v, seed))
    twice = cls().score(example(scored, np.arange(n), 2 * w, 2 * v, seed))
    assert plain == pytest.approx(twice)
    there = w.copy(), v.copy()
    there[0][row] *= 2
    there[1][:, row] *= 2
    doubled = cls().score(example(scored, np.arange(n), *there, seed))
    repeated = cls().score(example(scored, np.r_[np.arange(n), row], w, v, seed))
    assert repeated == pytest.approx(doubled)
    assert all(np.isfinite(e) and e >= 0 for e in plain.values())


def test_weights_matter(scored):
    rng = np.random.default_rng(4)
    n = 1200
    w, v = np.ones(n), np.ones((2, n))
    heavy = rng.integers(1, 6, n) * 1.0
    for cls in ALL:
        errors = cls().score(example(scored, np.arange(n), w, v, 4))
        assert errors
        assert cls().score(example(scored, np.arange(n), heavy, v, 4)) != pytest.approx(errors)
        assert cls().score(example(scored, np.arange(n), w, np.tile(heavy, (2, 1)), 4)) != pytest.approx(errors)
