"""Leaf sizes and lines are chosen by what donors held out say."""

import numpy as np

from microimpute.forests.tuning import TOO_FEW, Judged, tune
from microimpute.kinds import Kind, Table, Variable
from microimpute.transforms import Feature, Inputs

ROWS, NUISANCES = 2000, 5


def judged(x, y, households=None):
    linear = Inputs(len(y))
    for column in x.T:
        linear.add(Feature.fit(Variable("x", Kind.CONTINUOUS), column, np.ones(len(y))), column)
    part = Table((Variable("y", Kind.CONTINUOUS),), y[:, None])
    return Judged(part, x.astype(np.float32), linear.dense(), np.ones(len(y)), households)


def choices(make, free=(0,), seeds=5):
    out = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, (ROWS, NUISANCES + 1))
        out.append(tune(judged(x, make(x, rng)), free, rng, leaf=10, ridge=1.0, cuts=2))
    return out


def test_weak_effects_get_larger_leaves_than_strong_ones():
    weak = choices(lambda x, rng: 0.5 * (x[:, 0] > 0) + rng.normal(size=ROWS))
    strong = choices(lambda x, rng: np.sin(6 * x[:, 0]) + 0.05 * rng.normal(size=ROWS))
    assert np.median([t.leaf for t in weak]) >= 40
    assert np.median([t.leaf for t in strong]) <= 10


def test_a_line_helps_where_there_is_one_and_not_where_there_is_none():
    linear = choices(lambda x, rng: x.sum(axis=1) + 0.3 * rng.normal(size=ROWS))
    nothing = choices(lambda x, rng: np.where(x[:, 0] * x[:, 1] > 0, 2.0, -2.0) + 0.3 * rng.normal(size=ROWS))
    assert all(t.helped == {0} for t in linear)
    assert sum(t.helped == {0} for t in nothing) <= 2  # by chance 16% of seeds are better by a standard error


def test_a_target_that_is_not_free_is_never_helped():
    assert all(not t.helped for t in choices(lambda x, rng: x.sum(axis=1), free=(), seeds=2))


def test_households_are_not_divided():
    """Ten copies of each household: divided, copies would be found in the smallest leaves."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.uniform(-1, 1, (ROWS // 10, NUISANCES + 1)), 10, axis=0)
    y = np.repeat(0.3 * x[::10, 0] + rng.normal(size=ROWS // 10), 10)
    households = np.repeat(np.arange(ROWS // 10, dtype=np.uint64), 10)
    together = tune(judged(x, y, households), (), np.random.default_rng(1), leaf=10, ridge=1.0, cuts=2)
    divided = tune(judged(x, y), (), np.random.default_rng(1), leaf=10, ridge=1.0, cuts=2)
    assert divided.leaf <= 10 < together.leaf  # the second is the planted fault


def test_with_few_donors_what_was_asked_is_kept():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (TOO_FEW - 1, 2))
    assert tune(judged(x, x[:, 0]), (0,), rng, leaf=7, ridge=1.0, cuts=2).leaf == 7
