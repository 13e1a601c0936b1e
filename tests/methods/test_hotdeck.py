"""The hot deck: donors from the receiver's own class, coarser classes where there are too few."""

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, method
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable


def test_donors_come_from_the_receivers_class_in_proportion_to_weight():
    rng = np.random.default_rng(0)
    donor = pd.DataFrame({"region": rng.choice(["a", "b"], 2000), "weight": rng.exponential(size=2000)})
    donor["y"] = np.where(donor["region"] == "a", 1.0, 2.0) + 10.0 * (rng.random(2000) < 0.3)
    receiver = pd.DataFrame({"region": ["a"] * 3000 + ["b"] * 3000})
    got = impute(donor, receiver, targets=["y"], weight="weight", method="hotdeck", m=5).numbers("y")
    assert set(np.unique(got[:, :3000])) == {1.0, 11.0}
    assert set(np.unique(got[:, 3000:])) == {2.0, 12.0}
    mine = donor[donor["region"] == "a"]
    share = np.average(mine["y"] > 5, weights=mine["weight"])
    weight = mine["weight"] / mine["weight"].sum()
    error = np.sqrt(np.sum(weight**2) * share * (1 - share))
    assert abs((got[:, :3000] > 5).mean() - share) < 4 * error


def test_small_classes_back_off_from_the_last_predictor():
    donor = pd.DataFrame({"first": ["a"] * 50 + ["b"] * 50, "second": (["u"] * 49 + ["v"]) * 2, "y": np.arange(100.0)})
    receiver = pd.DataFrame({"first": ["a"] * 200, "second": ["v"] * 200})
    got = impute(donor, receiver, targets=["y"], method="hotdeck", m=1).numbers("y")
    assert got.max() < 50  # the first predictor is kept
    assert len(np.unique(got)) > 10  # the second is not
    lone = impute(donor, receiver, targets=["y"], method=method("hotdeck", {"least": 1}), m=1).numbers("y")
    assert set(np.unique(lone)) == {49.0}


def fitted(donor, weight, **settings):
    kinds = [Kind.CATEGORICAL, Kind.CATEGORICAL]
    variables = tuple(Variable(n, k, tuple(range(9))) for n, k in zip("ab", kinds, strict=True))
    X = Table(variables, donor)
    Y = Table((Variable("row", Kind.CONTINUOUS),), np.arange(float(len(donor)))[:, None])
    return X, method("hotdeck", settings).fit(X, Y, weight, np.random.default_rng(0))


def test_classes_divide_the_donors_so_that_weighted_shares_come_back():
    rng = np.random.default_rng(1)
    donor = rng.choice(9, (300, 2), p=np.arange(1, 10) ** 2 / 285).astype(float)
    weight = rng.exponential(size=300)
    weight[7] = 100.0
    X, model = fitted(donor, weight, least=10)
    start, end, wider = model._ranges(X)  # of receivers just like the donors
    shares = np.zeros(300)
    for one, first, last in zip(weight, start, end, strict=True):
        mine = model.order[first:last]
        shares[mine] += one * weight[mine] / weight[mine].sum()
    # by the cells of as many first predictors as suffice for each receiver, donor 7 had half of its weight only
    np.testing.assert_allclose(shares, weight)
    assert wider.any()
    assert not wider.all()
    classes = {(a, b): weight[model.order[a:b]] for a, b in zip(start, end, strict=True)}
    assert model.learnt() == {"cells": len(np.unique(donor, axis=0)), "classes": len(classes)}
    effective = np.array([w.sum() ** 2 / np.sum(w**2) for w in classes.values()])
    assert ((effective >= 10) | [len(w) >= 40 for w in classes.values()]).all()
    assert min(len(w) for w in classes.values() if 100.0 in w) < 60  # it takes no more than it needs
    assert len(classes) > 8
    got, _ = model.choose(X, RowRandom(0, 1, np.arange(300, dtype=np.uint64)))
    assert all(g in model.order[a:b] for g, a, b in zip(got, start, end, strict=True))


def test_unseen_cells_take_those_who_agree_in_the_first_predictors():
    donor = np.array([[a, b] for a in (0, 1) for b in (0, 1, 2) for _ in range(20)], dtype=float)
    X, model = fitted(donor, np.ones(120))
    asked = Table(X.variables, np.array([[1.0, 8.0], [1.0, -1.0], [-1.0, 0.0], [0.0, 2.0]]).repeat(300, axis=0))
    got, fell_back = model.choose(asked, RowRandom(0, 1, np.arange(1200, dtype=np.uint64)))
    sides = [set(np.unique(donor[got[k : k + 300]], axis=0)[:, j]) for k in (0, 300, 600, 900) for j in (0, 1)]
    assert sides == [{1}, {0, 1, 2}, {1}, {0, 1, 2}, {0, 1}, {0, 1, 2}, {0}, {2}]
    assert fell_back.reshape(4, 300).all(axis=1).tolist() == [True, True, True, False]


def test_damaged_files_are_refused():
    model = fitted(np.zeros((5, 2)), np.ones(5))[1]
    again = model.fresh()
    again.predictors, again.targets = model.predictors, model.targets
    arrays = model.state()
    damages = {"order": arrays["order"] + 1, "classes": np.array([0, 2]), "starts": np.array([0, 6])}
    for name, bad in (damages | {"cells": arrays["cells"][:, :1], "weight": np.ones(4)}).items():
        with pytest.raises(MethodError, match="damaged"):
            again.set_state({**arrays, name: bad})


@pytest.mark.parametrize("bad", [{"groups": 0}, {"least": -1}, {"groups": 2.5}])
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("hotdeck", bad)
