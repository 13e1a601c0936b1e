"""All pairs of columns at once: against pairings tried one by one, and against what bounds one pair."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.dependence.bounds import frechet_bounds
from microimpute.dependence.pairs import presence, product_bounds, standard_ranks
from microimpute.dependence.policy import figure_bounds

values = st.lists(st.integers(-3, 3), min_size=8, max_size=8)


@settings(max_examples=30, deadline=None)
@given(values, values)
def test_bounds_are_the_extremes_of_all_pairings(y, z):
    """Two neighbourhoods of four rows: 24 pairings each."""
    group = np.repeat(["a", "b"], 4)
    y, z = np.array(y, float), np.array(z, float)
    found = product_bounds(y, z, group)
    each = [[sum(y[g] * z[g][list(p)]) for p in permutations(range(4))] for g in (slice(0, 4), slice(4, 8))]
    assert found.least[0, 0] == pytest.approx(sum(map(min, each)) / 8)
    assert found.most[0, 0] == pytest.approx(sum(map(max, each)) / 8)
    assert found.independent[0, 0] == pytest.approx(sum(map(np.mean, each)) / 8)
    assert found.drawn[0, 0] == pytest.approx(np.mean(y * z))


def columns():
    rng = np.random.default_rng(2)
    group = rng.integers(0, 40, 3000)
    shift = rng.normal(size=40)[group]
    y = np.maximum(rng.normal(size=(3000, 3)) + shift[:, None], 0)
    z = np.exp(rng.normal(size=(3000, 2)) + shift[:, None]) * (rng.random((3000, 2)) < [1.0, 0.6])
    return y, z, group


def test_every_pair_agrees_with_the_functions_for_one():
    y, z, group = columns()
    ranks = product_bounds(standard_ranks(y), standard_ranks(z), group)
    both = product_bounds(presence(y), presence(z), group)
    for j in range(3):
        for k in range(2):
            a, b = standard_ranks(y)[:, j], standard_ranks(z)[:, k]
            one = figure_bounds(lambda u, v: u * v, a, b, group)
            assert [ranks.least[j, k], ranks.most[j, k]] == pytest.approx([one.low, one.high])
            assert ranks.drawn[j, k] == pytest.approx(np.corrcoef(a, b)[0, 1])
            table = frechet_bounds(group, y[:, j] != 0, group, z[:, k] != 0)
            assert both.least[j, k] == pytest.approx(table.low_given_x[-1, -1])
            assert both.most[j, k] == pytest.approx(table.high_given_x[-1, -1])
            assert both.independent[j, k] == pytest.approx(table.independent[-1, -1])


def test_a_column_that_does_not_vary_has_no_ranks():
    assert np.isnan(standard_ranks(np.ones((5, 1)))).all()
