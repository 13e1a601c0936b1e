"""Regressions without a fold: what the others give when they are fitted by themselves."""

import numpy as np
import pytest

from microimpute.regressions import glm

ROWS, FOLDS = 300, 7


def design():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(ROWS), rng.normal(size=(ROWS, 6)), rng.random(ROWS) < 0.02])
    Y = X[:, 1:3] * [1.0, -0.3] + rng.normal(size=(ROWS, 2))
    return X, Y, rng.integers(FOLDS, size=ROWS), rng


def each(X, Y, weight, least):
    """The regressions one by one."""
    return np.array([glm.normal(X, y, weight, least, None)[0] for y in Y.T])


def test_coefficients_are_those_of_the_others_alone():
    X, Y, fold, _ = design()
    weight = np.full(ROWS, 2.5)
    found = list(glm.without_folds(X, Y, weight, fold, 1.0))
    assert len(found) == FOLDS
    assert np.sum([own for own, _ in found], axis=0).tolist() == [1] * ROWS
    for own, beta in found:
        alone = each(X[~own], Y[~own], weight[~own], 1.0)
        assert beta == pytest.approx(alone, rel=1e-6, abs=1e-8)


def test_with_uneven_weights_only_the_strength_of_the_ridge_differs():
    """Weights sum to the effective number of all donors, not of those left."""
    X, Y, fold, rng = design()
    weight = rng.exponential(size=ROWS)
    whole = each(X, Y, weight, 1.0)
    alone, others = [], []
    for own, beta in glm.without_folds(X, Y, weight, fold, 1.0):
        alone.append(beta - each(X[~own], Y[~own], weight[~own], 1.0))
        others.append(beta - whole)
    assert np.std(alone) < 0.2 * np.std(others)


def test_a_fold_of_all_gives_nothing():
    X, Y, fold, _ = design()
    assert list(glm.without_folds(X, Y, np.ones(ROWS), np.zeros_like(fold), 1.0)) == []
    known = np.where(fold == 2, 1.0, 0.0)
    assert len(list(glm.without_folds(X, Y, known, fold, 1.0))) == FOLDS - 1  # without fold 2 nobody is left
