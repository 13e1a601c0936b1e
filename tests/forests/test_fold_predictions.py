"""Predictions that trees read: receivers' come from regressions on as many donors as the donors' own do."""

import numpy as np
import pytest

from microimpute.blocks import Block
from microimpute.forests.chain import Chain
from microimpute.forests.links import FOLDS, Growth
from microimpute.kinds import Kind, Table, Variable
from microimpute.transforms import Inputs

ROWS, NUISANCE = 300, 15


def grown():
    """An amount that nothing predicts, many predictors: predictions are noise, more of it the fewer donors make them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, NUISANCE))
    X = Table(tuple(Variable(f"x{i}", Kind.CONTINUOUS) for i in range(NUISANCE)), x)
    Y = Table((Variable("y", Kind.CONTINUOUS),), 0.3 * x[:, :1] + rng.normal(size=(ROWS, 1)))
    growth = Growth("forest", trees=3, leaf=10, features=1.0, share=0.5, predict=True)
    chain = Chain.grow(X, Y, [Block((0,))], np.ones(ROWS), rng, growth)
    linear = Inputs(ROWS)
    for feature, column in zip(chain.features, x.T, strict=False):
        linear.add(feature, column)
    return chain.links[0], linear


def test_each_row_is_predicted_by_one_fold():
    link, linear = grown()
    assert len(link.predicts) == FOLDS
    which = np.random.default_rng(1).random(ROWS)
    nothing = np.zeros((ROWS, 0), dtype=np.float32)
    got = link.reads(nothing, linear, which)[:, 0]
    each = np.array([linear.predict(beta[0]) for beta in link.predicts])
    expected = each[(which * FOLDS).astype(int), np.arange(ROWS)]
    assert got == pytest.approx(expected.astype(np.float32))
    # the fault: all folds' mean scatters less than any of them
    assert got.std() > each.mean(axis=0).std() * 1.02


def test_a_forest_without_predictions_reads_features_alone():
    link, linear = grown()
    bare = type(link)(link.block, link.donors, link.forest)
    features = np.ones((ROWS, 2), dtype=np.float32)
    assert np.array_equal(bare.reads(features, linear, np.full(ROWS, 0.5)), features)
