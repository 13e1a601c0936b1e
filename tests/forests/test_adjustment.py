"""Lines that move a leaf donor's amount to the receiver's own predictors."""

import numpy as np
import pytest
from scipy.stats import kstest

from microimpute.forests.adjustment import adjust, ranks, separations
from microimpute.forests.trees import grow
from microimpute.kinds import Kind, Table, Variable
from microimpute.transforms import Feature, Inputs

ROWS = 4000


def donors(seed=0, kind=Kind.CONTINUOUS):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, ROWS)
    y = np.exp(1.5 * x + 0.3 * rng.normal(size=ROWS))
    if kind is Kind.SEMICONTINUOUS:
        y = np.where(rng.random(ROWS) < 0.3, 0.0, np.where(rng.random(ROWS) < 0.2, -y, y))
    feature = Feature.fit(Variable("x", Kind.CONTINUOUS), x, np.ones(ROWS))
    linear = Inputs(ROWS)
    linear.add(feature, x)
    return x, Table((Variable("y", kind),), y[:, None]), linear, rng.uniform(0.5, 2, ROWS)


def coarse_draws(x, part, linear, weight, moved, seed=1):
    """Draw for the donors themselves from leaves of a quarter of all donors."""
    rng = np.random.default_rng(seed)
    read = x[:, None].astype(np.float32)
    forest = grow(read, part.values, weight, rng, trees=20, leaf=ROWS // 4, features=1.0, share=1.0)
    place = forest.draw(read, np.arange(ROWS), rng.random(ROWS), rng.random(ROWS))
    drawn = part.values[place, 0]
    design = linear.dense()
    for line in adjust(part, {0}, design, weight, 1.0) if moved else ():
        other = forest.draw(read, np.arange(ROWS), rng.random(ROWS), rng.random(ROWS))
        drawn = line.ranked(other, linear, weight).move(drawn, place, linear)
    return drawn


def test_what_varies_within_leaves_comes_back_only_with_the_line():
    x, part, linear, weight = donors()
    truth = np.corrcoef(x, np.log(part.values[:, 0]))[0, 1]  # about .94
    error = (1 - truth**2) / np.sqrt(ROWS)
    moved, plain = (np.corrcoef(x, np.log(coarse_draws(x, part, linear, weight, m)))[0, 1] for m in (True, False))
    assert abs(moved - truth) < 0.02 + 4 * error
    assert plain < truth - 0.05  # the fault that the line mends


def test_the_donors_weighted_margin_comes_back():
    x, part, linear, weight = donors()
    weight = np.where(x > 0.5, 5.0, 1.0)  # weights go with the amount
    drawn = coarse_draws(x, part, linear, weight, moved=True)
    place = ranks(part.values[:, 0], weight)
    order = np.argsort(part.values[:, 0])
    drawn_rank = np.interp(drawn, part.values[order, 0], place[order])
    at = np.linspace(0.02, 0.98, 49)
    share = np.array([np.average(drawn_rank <= u, weights=weight) for u in at])
    effective = weight.sum() ** 2 / np.sum(weight**2)
    assert np.abs(share - at).max() < 1.63 * np.sqrt(2 / effective)  # Kolmogorov–Smirnov at .01, draws and donors


def test_amounts_stay_donors_own_and_signs_and_zeros_stay_the_leaf_donors():
    x, part, linear, weight = donors(kind=Kind.SEMICONTINUOUS)
    moved, plain = (coarse_draws(x, part, linear, weight, m) for m in (True, False))
    assert np.array_equal(np.sign(moved), np.sign(plain))
    assert set(moved) <= set(part.values[:, 0])
    assert (moved != plain).mean() > 0.5


def test_targets_bound_by_rules_and_classes_and_counts_have_no_line():
    _, part, linear, weight = donors()
    design = linear.dense()
    assert len(adjust(part, {0}, design, weight, 1.0)) == 1
    assert adjust(part, set(), design, weight, 1.0) == ()
    for kind in (Kind.COUNT, Kind.BINARY):
        other = Table((Variable("y", kind, (0, 1) if kind.is_class else ()),), part.values > 1.0)
        assert adjust(other, {0}, design, weight, 1.0) == ()


def test_few_amounts_of_a_sign_have_no_line():
    _, part, linear, weight = donors()
    values = part.values.copy()
    values[:-40] = 0.0  # 40 gains are left
    assert adjust(Table((Variable("y", Kind.SEMICONTINUOUS),), values), {0}, linear.dense(), weight, 1.0) == ()


def test_trees_are_shown_residuals_and_ranks():
    _, part, linear, weight = donors()
    lines = adjust(part, {0}, linear.dense(), weight, 1.0)
    columns, ranked = separations(part, lines, weight)
    assert columns.shape == ranked.shape == (ROWS, 1)
    assert np.average(columns, axis=0, weights=weight) == pytest.approx(0, abs=1e-9)
    assert np.average(columns**2, axis=0, weights=weight) == pytest.approx(1)
    assert abs(np.corrcoef(columns[:, 0], lines[0].rest)[0, 1]) == pytest.approx(1)
    assert kstest(ranked[:, 0], "uniform").statistic < 0.1  # weights vary, ranks are weighted


def test_ties_share_a_weighted_middle_rank():
    assert np.allclose(ranks(np.array([3.0, 1.0, 3.0]), np.array([1.0, 2.0, 1.0])), [0.75, 0.25, 0.75])
