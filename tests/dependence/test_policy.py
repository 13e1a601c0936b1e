"""Bounds of a figure are the extremes over all pairings: by enumeration, by linear programming, by known formulas."""

import itertools
import time

import numpy as np
import pytest
from scipy.optimize import linprog

from microimpute.dependence.policy import figure_bounds, shape_of
from microimpute.errors import FusionError


def product(y, z):
    return y * z


def rich_spend(y, z):
    return z * (y > 0.5)


def close(y, z):
    return -((y - z) ** 2)


def band(y, z):
    return ((y > -0.4) & (y < 0.5)) * np.sin(z)


def gap(y, z):
    return np.maximum(z - y, 0.0)


def by_lp(f, y, z, weight, group, sign):
    """The transport problem of each group, solved as a linear program."""
    total = 0.0
    for g in np.unique(group):
        rows = np.flatnonzero(group == g)
        k = len(rows)
        w = weight[rows] / weight.sum()
        cost = sign * f(y[rows][:, None], z[rows][None, :])
        margins = np.concatenate([np.kron(np.eye(k), np.ones(k)), np.kron(np.ones(k), np.eye(k))])
        total += sign * linprog(cost.ravel(), A_eq=margins, b_eq=np.r_[w, w], method="highs").fun
    return total


@pytest.mark.parametrize(
    ("figure", "shape"),
    [(product, "supermodular"), (rich_spend, "supermodular"), (close, "supermodular"), (gap, "submodular")],
)
def test_sorted_pairings_are_the_linear_programs(figure, shape):
    rng = np.random.default_rng(1)
    y, z = rng.normal(size=(2, 60))
    y[:10] = 0.0
    group, weight = rng.integers(0, 4, 60), rng.exponential(size=60) + 0.05
    got = figure_bounds(figure, y, z, group, weight=weight)
    assert got.shape == shape
    assert got.low == pytest.approx(by_lp(figure, y, z, weight, group, 1), abs=1e-9)
    assert got.high == pytest.approx(by_lp(figure, y, z, weight, group, -1), abs=1e-9)
    assert got.low < got.independent < got.high
    assert got.low <= got.drawn <= got.high


def test_all_pairings_listed():
    rng = np.random.default_rng(2)
    y, z = rng.normal(size=(2, 9))
    group = np.repeat([0, 1], [4, 5])
    values = []
    for one, two in itertools.product(itertools.permutations(range(4)), itertools.permutations(range(4, 9))):
        values.append(np.mean(band(y, z[[*one, *two]])))
    got = figure_bounds(band, y, z, group)
    assert got.shape == "other"
    assert got.thinned == 0
    assert (got.low, got.high) == pytest.approx((min(values), max(values)), abs=1e-12)
    assert got.independent == pytest.approx(np.mean(values), abs=0.01)


def test_points_come_close_to_the_linear_program():
    rng = np.random.default_rng(3)
    y, z = rng.normal(size=(2, 130))
    group, weight = np.repeat([0, 1], [70, 60]), rng.exponential(size=130) + 0.05
    got = figure_bounds(band, y, z, group, weight=weight)
    assert got.thinned == 2
    assert got.low == pytest.approx(by_lp(band, y, z, weight, group, 1), abs=0.02)
    assert got.high == pytest.approx(by_lp(band, y, z, weight, group, -1), abs=0.02)


def test_normal_population_has_the_known_bounds():
    """Y and Z standard normal given X, independent of it: E(YZ) can be anything from −1 to 1, given wide groups."""
    rng = np.random.default_rng(4)
    x, y, z = rng.normal(size=(3, 40_000))
    group = np.digitize(x, np.linspace(-2, 2, 40))
    got = figure_bounds(product, x + y, x + z, group)
    within = np.mean([np.var(x[group == g]) for g in range(1, 40)])
    assert got.high == pytest.approx(1 + 1 + within, abs=0.06)
    assert got.low == pytest.approx(1 - 1, abs=0.06)
    assert got.independent == pytest.approx(1, abs=0.04)
    one = figure_bounds(product, x + y, x + z, np.zeros(40_000))
    assert one.high == pytest.approx(2, abs=0.04)
    assert one.low == pytest.approx(-2, abs=0.04)


def test_weights_are_repetitions():
    rng = np.random.default_rng(5)
    y, z = rng.normal(size=(2, 40))
    group, weight = rng.integers(0, 2, 40), rng.integers(0, 4, 40)
    many = np.repeat(np.arange(40), weight)
    got = figure_bounds(gap, y, z, group, weight=weight)
    same = figure_bounds(gap, y[many], z[many], group[many])
    assert (got.low, got.high) == pytest.approx((same.low, same.high), abs=1e-12)
    plain = figure_bounds(gap, y, z, group)
    assert abs(got.low - plain.low) > 1e-3


def test_shape_is_seen_and_can_be_told():
    y, z = np.random.default_rng(6).normal(size=(2, 500))
    for figure, shape in ((product, "supermodular"), (lambda y, z: y - z, "supermodular"), (gap, "submodular")):
        assert shape_of(figure, y, z) == shape
    assert shape_of(band, y, z) == "other"
    told = figure_bounds(gap, y, z, np.zeros(500), shape="submodular")
    assert told.told
    assert told.high == figure_bounds(gap, y, z, np.zeros(500)).high
    other = figure_bounds(gap, y[:80], z[:80], np.zeros(80), shape="other")
    assert other.high == pytest.approx(figure_bounds(gap, y[:80], z[:80], np.zeros(80)).high, abs=1e-12)


@pytest.mark.parametrize("figure", [product, band])
def test_two_hundred_thousand_receivers_in_time(figure):
    rng = np.random.default_rng(7)
    y, z = rng.normal(size=(2, 200_000))
    group, weight = rng.integers(0, 1_500, 200_000), rng.exponential(size=200_000)
    begun = time.process_time()
    got = figure_bounds(figure, y, z, group, weight=weight)
    assert time.process_time() - begun < 30
    assert got.low < got.independent < got.high


def test_bad_figures():
    y, z = np.ones((2, 5))
    with pytest.raises(FusionError, match="missing or infinite"):
        figure_bounds(lambda y, z: y / (z - 1), y, z + np.arange(5), np.zeros(5))
    with pytest.raises(FusionError, match="element by element"):
        figure_bounds(lambda y, z: z * y.cumsum(), y, np.arange(5.0), np.zeros(5))
    with pytest.raises(FusionError, match="4 rows where 5"):
        figure_bounds(product, y, z, np.zeros(4))
    with pytest.raises(FusionError, match="shape 'round'"):
        figure_bounds(product, y, z, np.zeros(5), shape="round")
