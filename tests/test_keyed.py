"""Random numbers: uniform, independent across streams, and tied to the row's key alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from microimpute.keyed import RowRandom, generator, hash_columns, occurrence

KEYS = hash_columns([np.arange(100_000)], 100_000)


def test_uniform():
    u = RowRandom(0, 1, KEYS).uniform("a")
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    "other",
    [
        RowRandom(0, 1, KEYS).uniform("b"),
        RowRandom(0, 2, KEYS).uniform("a"),
        RowRandom(1, 1, KEYS).uniform("a"),
    ],
    ids=["stream", "implicate", "seed"],
)
def test_streams_implicates_and_seeds_are_independent(other):
    u = RowRandom(0, 1, KEYS).uniform("a")
    table, *_ = np.histogram2d(u, other, bins=10)
    assert stats.chisquare(table.ravel()).pvalue > 1e-3
    assert abs(np.corrcoef(u, other)[0, 1]) < 4 / np.sqrt(len(u))


def test_neighbouring_keys_are_independent():
    u = RowRandom(0, 1, np.arange(100_000, dtype=np.uint64)).uniform("a")
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 4 / np.sqrt(len(u))


@given(st.permutations(range(30)))
def test_order_does_not_matter(order):
    rng = RowRandom(3, 1, KEYS[:30])
    assert np.array_equal(rng.uniform("x")[order], rng.take(np.array(order)).uniform("x"))


@given(st.lists(st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False)), min_size=1, max_size=20))
def test_hash_tells_values_apart(values):
    column = np.array(values, dtype=np.float64)
    assert len(np.unique(hash_columns([column], len(column)))) == len(np.unique(column + 0.0))


def test_hash_depends_on_column_order_not_on_zero_sign():
    a, b = np.array([1, 2]), np.array([2, 1])
    assert not np.array_equal(hash_columns([a, b], 2), hash_columns([b, a], 2))
    assert hash_columns([np.array([0.0])], 1) == hash_columns([np.array([-0.0])], 1)
    assert len(set(hash_columns([np.array(["a", "b", "a"], dtype=object)], 3).tolist())) == 2


def test_known_numbers_stay():
    """Seeds must mean the same in every later version."""
    u = RowRandom(42, 3, hash_columns([np.arange(3)], 3)).uniform("donor")
    np.testing.assert_allclose(u, KNOWN, rtol=0, atol=1e-15)


KNOWN = [0.592816018473926, 0.8830054664385902, 0.23233165056886845]


@given(st.lists(st.integers(0, 4), max_size=30))
def test_occurrence_counts(values):
    seen: dict[int, int] = {}
    expected = []
    for v in values:
        expected.append(seen.get(v, 0))
        seen[v] = seen.get(v, 0) + 1
    assert occurrence(np.array(values, dtype=np.uint64)).tolist() == expected


def test_generators_differ_by_purpose():
    assert generator(0, 1, "fit").random() == generator(0, 1, "fit").random()
    assert generator(0, 1, "fit").random() != generator(0, 2, "fit").random()
