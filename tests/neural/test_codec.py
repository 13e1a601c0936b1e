"""The codec: every kind of target goes to classes and scores and comes back as it was."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from microimpute import Fusion
from microimpute.errors import MethodError
from microimpute.kinds import Kind, Table, Variable
from microimpute.neural.codec import FEW, NONE, Codec
from microimpute.rules import parse
from microimpute.testing import example_donor, example_receiver
from microimpute.ties import Ties, ties


def training(rows=500, rules=()):
    donor = example_donor(rows).assign(same=7.0, visits=lambda f: f["trips"] % 3)
    donor["shift"] = np.random.default_rng(0).normal(size=rows)
    fusion = Fusion(
        donor,
        example_receiver(5),
        targets=["wealth", "debt", "trips", "visits", "owner", "region_of_work", "health", "same", "shift"],
        predictors=["income"],
        kinds={"trips": Kind.COUNT, "health": Kind.ORDINAL},
        rules=rules,
    )
    return fusion.training(1).Y, np.random.default_rng(1).exponential(size=rows)


@pytest.mark.parametrize("rules", [(), ("debt requires wealth", "wealth requires visits")])
def test_every_kind_comes_back_exactly(rules):
    Y, weight = training()
    if rules:  # the example has wealth without visits
        Y.values[Y.values[:, 3] == 0, :2] = 0.0
        Y = replace(Y, ties=ties([parse(r) for r in rules], Y.names))
    codec = Codec.fit(Y, weight, "test")
    coded = codec.encode(Y.values)
    for within in (1e-9, 0.5, 1 - 1e-9):  # anywhere in a value's interval
        scores = ndtri(coded.low + within * (coded.high - coded.low))
        assert np.array_equal(codec.decode(coded.classes, scores), Y.values)
    again = Codec.from_state(codec.state(), Y.variables)
    assert np.array_equal(again.decode(coded.classes, scores), Y.values)
    assert again.counts == codec.counts
    assert again.scored == codec.scored == (0, 1, 8)


def test_classes_are_what_targets_are():
    Y, weight = training()
    codec = Codec.fit(Y, weight, "test")
    # wealth: zero, losses, gains; debt: zero, gains; trips, visits: their values; same: one; shift: one regime
    assert codec.counts == (3, 2, len(np.unique(Y.values[:, 2])), 3, 2, 4, 3, 1, 1)
    assert codec.counts[2] <= FEW
    onehot = codec.onehot(codec.encode(Y.values).classes)
    assert onehot.shape == (500, codec.width)
    for target, columns in enumerate(codec.columns):
        assert (onehot[:, columns].sum(axis=1) == 1).all()
        assert onehot[:, columns].shape[1] == codec.counts[target]


def test_scores_are_normal_by_weight_within_a_regime():
    Y, weight = training(rows=4000)
    codec = Codec.fit(Y, weight, "test")
    coded = codec.encode(Y.values)
    gains = Y.values[:, 0] > 0
    middle = (coded.low + coded.high)[gains, 0] / 2
    assert np.average(middle, weights=weight[gains]) == pytest.approx(0.5, abs=1e-9)
    assert np.average(middle < 0.1, weights=weight[gains]) == pytest.approx(0.1, abs=0.005)
    order = np.argsort(Y.values[gains, 0])
    assert (np.diff(middle[order]) >= 0).all()
    assert not coded.scored[Y.values[:, 0] == 0, 0].any()


def test_targets_without_their_condition_are_none():
    Y, weight = training(rules=["debt requires wealth"])
    codec = Codec.fit(Y, weight, "test")
    poor = Y.values[:, 0] == 0
    coded = codec.encode(Y.values)
    assert (coded.classes[poor, 1] == NONE).all()
    assert (coded.classes[~poor, 1] != NONE).all()
    assert codec.onehot(coded.classes)[poor, codec.columns[1]].sum() == 0
    assert (codec.decode(np.full((3, 9), NONE), np.zeros((3, 3))) == 0).all()


def test_rules_that_need_one_donor_are_refused():
    values = np.random.default_rng(2).exponential(size=(50, 3))
    Y = Table(tuple(Variable(n, Kind.CONTINUOUS) for n in "abc"), values, Ties(together=((0, 1, 2),)))
    with pytest.raises(MethodError, match="'mine' draws targets one by one"):
        Codec.fit(Y, np.ones(50), "mine")


@pytest.mark.parametrize(
    "damage", [{"y4.atoms": np.array([0.0, 9.0])}, {"y0.target": np.array([77])}, {"y0.0.upper": np.zeros(2)}]
)
def test_damaged_arrays_are_refused(damage):
    Y, weight = training()
    state = Codec.fit(Y, weight, "test").state()
    with pytest.raises(MethodError):
        Codec.from_state(state | damage, Y.variables)


def test_values_with_heaps_are_intervals():
    heaped = pd.Series(np.repeat([10.0, 20.0, *np.arange(100, 140)], [50, 10, *[1] * 40]))
    Y = Table((Variable("y", Kind.CONTINUOUS),), heaped.to_numpy()[:, None])
    coded = Codec.fit(Y, np.ones(100), "test").encode(Y.values)
    assert (coded.low[0, 0], coded.high[0, 0]) == (0.0, 0.5)
