"""Draws by odds: what leaves give to rows that are no donors is not too rich where the rich have small weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microimpute.forests.leaves import LeafForest, Tree


def one_split(leaves, weight):
    """A tree that sends x <= 0 to node 1 and the others to node 2, with the donors' leaves given."""
    ends = np.array([-1, -1, -1], dtype=np.int32)
    left, right = ends.copy(), ends.copy()
    left[0], right[0] = 1, 2
    tree = Tree(left, right, np.zeros(3, dtype=np.int32), np.zeros(3), np.asarray(leaves, dtype=np.int32))
    return LeafForest.build([tree], np.asarray(weight, dtype=np.float64))


def mean_given(forest, y):
    """Mean of draws for a population of which half is in either leaf."""
    mass = forest.totals(np.ones((len(y), 1)))[1:, 0]
    return float(np.mean(forest.totals(y[:, None])[1:, 0] / mass))


@pytest.mark.parametrize("resampled", [False, True])
def test_the_mean_comes_back_where_the_rich_are_light(resampled):
    """Donors sampled with chances that grow with y, weighted by the inverse; by weight the mean is too high."""
    rng = np.random.default_rng(0)
    by_weight, by_odds = [], []
    for _ in range(4000):
        cell = np.repeat([1, 2], 400)
        rich = rng.random(800) < 0.1 * cell
        chance = np.where(rich, 0.5, 0.03)
        taken = rng.random(800) < chance
        if min(np.bincount(cell[taken], minlength=3)[1:]) < 2:
            continue
        y, cell, weight = 1.0 + 9 * rich[taken], cell[taken], 1 / chance[taken]
        forest = one_split(cell, weight * (rng.exponential(size=len(y)) if resampled else 1.0))
        by_weight.append(mean_given(forest, y))
        by_odds.append(mean_given(forest.debiased(), y))
    truth = 1 + 9 * 0.15
    error = np.std(by_odds) / np.sqrt(len(by_odds))
    biased = np.mean(by_weight) - truth
    assert biased > 8 * error
    assert abs(np.mean(by_odds) - truth) < 4 * error  # first order is enough here


def test_equal_weights_stay_equal_and_leaves_keep_their_weight():
    forest = one_split([1, 1, 1, 2, 2], np.full(5, 3.0))
    assert forest.debiased().cumulative == pytest.approx(forest.cumulative)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=12))
def test_no_chance_is_negative_and_heavier_donors_stay_ahead(weights):
    weight = np.array([1.0, *weights])
    forest = one_split(np.r_[1, np.full(len(weights), 2)], weight)
    again = forest.debiased()
    got = np.diff(again.cumulative)
    assert (got >= 0).all()
    assert np.isfinite(got).all()
    assert got[0] == pytest.approx(1.0)  # alone in its leaf
    assert again.cumulative[-1] == pytest.approx(weight.sum())
    in_order = weight[forest.order][1:]
    assert (np.diff(got[1:][np.argsort(in_order, kind="stable")]) >= -1e-9 * weight.sum()).all()


def test_a_donor_of_nearly_all_the_weight_leaves_the_others_a_chance():
    got = np.diff(one_split([1, 2, 2, 2], [1.0, 97.0, 2.0, 1.0]).debiased().cumulative)[1:] / 100
    odds = np.array([97 / 3, 2 / 98, 1 / 99])
    assert got == pytest.approx(odds / odds.sum())
    assert got.min() > 0
