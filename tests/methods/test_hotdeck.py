"""The hot deck: donors from the receiver's own class, coarser classes where there are too few."""

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, method
from microimpute.errors import MethodError


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


@pytest.mark.parametrize("bad", [{"groups": 0}, {"least": -1}, {"groups": 2.5}])
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("hotdeck", bad)
