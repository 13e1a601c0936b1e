"""Mixtures of methods: energy scores of mixtures, best shares, and gains on households not learnt from."""

import numpy as np
import pytest

from microimpute.keyed import RowRandom
from microimpute.mixture import LEAST, Distances, best_weights, gain, which


def draws(rng, truth, shift, m=6):
    return (truth * 0 + shift + rng.normal(size=(m, *truth.shape))).astype(np.float32)


def test_scores_are_the_energy_score_of_the_mixture():
    """Against the definition: mean distance to the truth less half that between two draws, all numbers apart."""
    rng = np.random.default_rng(0)
    truth, m, p = rng.normal(size=(4, 3)), 5, np.array([0.3, 0.7])
    both = [draws(rng, truth, s, m) for s in (0.0, 1.0)]
    got = Distances.of(truth, both).scores(p)
    for row in range(4):
        to_truth = [np.mean([np.linalg.norm(d[i, row] - truth[row]) for i in range(m)]) for d in both]
        between = np.zeros((2, 2))
        for j, a in enumerate(both):
            for k, b in enumerate(both):
                pairs = [np.linalg.norm(a[i, row] - b[h, row]) for i in range(m) for h in range(m) if i != h]
                between[j, k] = np.mean(pairs)
        assert got[row] == pytest.approx(p @ to_truth - 0.5 * p @ between @ p, rel=1e-5)


def points(rng, rows, share):
    """Two methods that always say 0 and 1, and a truth that is 1 with a known chance: the best share is that."""
    truth = (rng.random((rows, 1)) < share).astype(float)
    said = [np.full((2, rows, 1), value, dtype=np.float32) for value in (0.0, 1.0)]
    return truth, Distances.of(truth, said)


def test_the_best_shares_are_those_of_the_truth():
    truth, distances = points(np.random.default_rng(1), 500, 0.3)
    assert best_weights(distances, np.ones(500)) == pytest.approx([1 - truth.mean(), truth.mean()], abs=1e-4)


def test_weights_count_in_the_shares():
    truth, distances = points(np.random.default_rng(2), 500, 0.5)
    weight = np.where(truth[:, 0] == 1, 3.0, 1.0)
    share = np.average(truth[:, 0], weights=weight)
    assert best_weights(distances, weight) == pytest.approx([1 - share, share], abs=1e-4)


def test_small_shares_are_nothing():
    _, distances = points(np.random.default_rng(3), 2000, LEAST / 3)
    assert list(best_weights(distances, np.ones(2000))) == [1.0, 0.0]


def test_gain_is_on_folds_not_learnt_from():
    """The last of three folds is unlike the others: its rows get the shares that suit those, and lose."""
    truth = np.repeat([0.0, 0.0, 1.0], 100)[:, None]
    said = [np.full((2, 300, 1), value, dtype=np.float32) for value in (0.0, 1.0)]
    distances, fold = Distances.of(truth, said), np.repeat([0, 1, 2], 100)
    better, _, p = gain(distances, np.ones(300), fold, np.arange(300, dtype=np.uint64), 1)
    assert np.allclose(p[fold == 2], [1.0, 0.0])
    assert np.allclose(p[fold < 2], [0.5, 0.5], atol=1e-3)
    alone = distances.scores(np.array([0.0, 1.0])).mean()
    assert better == pytest.approx(alone - distances.scores(p).mean())


def test_rows_of_a_household_are_one_observation():
    _, distances = points(np.random.default_rng(4), 300, 0.4)
    fold, names = np.arange(300) % 3, np.arange(300, dtype=np.uint64)
    once = gain(distances, np.ones(300), fold, names, 0)
    thrice = Distances(np.repeat(distances.truth, 3, axis=0), np.repeat(distances.between, 3, axis=0))
    kept = gain(thrice, np.ones(900), np.repeat(fold, 3), np.repeat(names, 3), 0)
    apart = gain(thrice, np.ones(900), np.repeat(fold, 3), np.arange(900, dtype=np.uint64), 0)
    assert kept[:2] == pytest.approx(once[:2])
    assert apart[1] == pytest.approx(once[1] / np.sqrt(3), rel=0.01)


def test_rows_choose_parts_by_shares_whatever_the_chunk():
    rng = RowRandom(0, 1, np.arange(10_000, dtype=np.uint64))
    p = np.array([0.2, 0.5, 0.3])
    chosen = which(p, rng)
    assert np.bincount(chosen) / 10_000 == pytest.approx(p, abs=4 * np.sqrt(0.25 / 10_000))
    assert np.array_equal(chosen[7:9], which(p, rng.take(slice(7, 9))))
    own = np.eye(3)[np.arange(10_000) % 3]
    assert np.array_equal(which(own, rng), np.arange(10_000) % 3)
