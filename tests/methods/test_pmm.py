"""Predictive mean matching: donors of nearly the same predictions, of whole bundles or target by target."""

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, method
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable


def problem(rows=3000):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 6)), columns=[f"x{j}" for j in range(6)])
    shared = rng.normal(size=rows)
    frame["y"] = frame["x0"] + 0.5 * shared
    frame["z"] = frame["x1"] - 0.5 * shared + 0.1 * rng.normal(size=rows)
    return frame


@pytest.mark.parametrize("univariate", [False, True])
def test_draws_follow_predictions_and_keep_what_targets_share(univariate):
    frame = problem()
    x = frame[[f"x{j}" for j in range(6)]]
    chosen = method("pmm", {"univariate": univariate})
    got = impute(frame, x, targets=["y", "z"], method=chosen, m=1)
    y, z = got.numbers("y")[0], got.numbers("z")[0]
    assert np.corrcoef(y, x["x0"])[0, 1] > 0.8  # .89 in truth
    assert np.corrcoef(z, x["x1"])[0, 1] > 0.8
    assert np.corrcoef(y - x["x0"], z - x["x1"])[0, 1] < -0.6  # −.98 in truth, blurred by the distance to donors
    rows = set(zip(frame["y"], frame["z"], strict=True))
    together = np.mean([pair in rows for pair in zip(y, z, strict=True)])
    assert together < 0.5 if univariate else together == 1


def test_one_neighbour_is_the_nearest_prediction():
    frame = problem(500)
    X = Table(tuple(Variable(f"x{j}", Kind.CONTINUOUS) for j in range(6)), frame.iloc[:, :6].to_numpy())
    Y = Table((Variable("y", Kind.CONTINUOUS),), frame[["y"]].to_numpy())
    fitted = method("pmm", {"neighbours": 1}).fit(X, Y, np.ones(500), np.random.default_rng(0))
    got = [fitted.draw(X, RowRandom(0, i, np.arange(500, dtype=np.uint64))) for i in (1, 2)]
    assert np.array_equal(got[0], Y.values)  # each donor is nearest to itself
    assert np.array_equal(*got)


def test_targets_that_are_predicted_well_count_more():
    """Predictions are compared in units of what they leave unexplained: y is nearly known, z hardly."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(3000, 2)), columns=["x0", "x1"])
    frame["y"] = frame["x0"] + 0.02 * rng.normal(size=3000)
    frame["z"] = 0.3 * frame["x1"] + rng.normal(size=3000)
    got = impute(frame, frame[["x0", "x1"]], targets=["y", "z"], method=method("pmm", {"neighbours": 200}), m=1)
    inner = frame["x0"].abs() < 1.5  # farther out neighbours lie on one side
    error = (got.numbers("y")[0] - frame["x0"])[inner]
    # 200 of 3,000 in one direction reach 1/30 of the mass to each side: ± .084 to .26 in x0; in both, ± .4 and more
    assert np.sqrt(np.mean(error**2)) < 0.15


@pytest.mark.parametrize("bad", [{"neighbours": 0}, {"univariate": 1}])
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("pmm", bad)


def test_the_ridge_holds_noise_back_where_donors_are_few():
    """Donors fitted to themselves by thirty columns of noise stand where no receiver's prediction is."""
    rng = np.random.default_rng(8)
    donor, receiver = (
        pd.DataFrame(rng.normal(size=(n, 31)), columns=[f"x{j}" for j in range(31)]) for n in (120, 2000)
    )
    donor["y"] = donor["x0"] + 0.5 * rng.normal(size=120)
    chosen = method("pmm", {"neighbours": 5})
    got = impute(donor, receiver, targets=["y"], method=chosen, m=5).numbers("y").mean(axis=0)
    error = np.mean((got - receiver["x0"]) ** 2)
    assert error < 0.4  # .31; with next to no ridge .50


def test_donor_classes_agree_in_every_block():
    frame = problem().assign(group=np.arange(3000) % 3)
    frame["y"] += 100 * frame["group"]
    frame["z"] += 100 * frame["group"]
    kinds = {"group": "categorical"}
    receiver = frame.drop(columns=["y", "z"])
    for univariate in (False, True):
        chosen = method("pmm", {"classes": ["group"], "univariate": univariate})
        done = impute(frame, receiver, targets=["y", "z"], kinds=kinds, method=chosen, m=1)
        for target in ("y", "z"):
            assert np.array_equal(np.rint(done.numbers(target)[0] / 100), receiver["group"]), target
    with pytest.raises(MethodError, match="'x0'"):
        impute(frame, receiver, targets=["y"], method=method("pmm", {"classes": ["x0"]}), m=1)
