"""Classes among stages: what a bridge hands on."""

import numpy as np
import pandas as pd
import pytest

from microimpute.errors import FusionError
from microimpute.stages import Bridge, Stage, fuse

ROWS = 600


def surveys(levels):
    """Two donors that see a class, spending by it, and receivers without it."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, ROWS))
    code = rng.integers(0, 3, size=(2, ROWS))
    first, second = (pd.DataFrame({"x": x[k], "tenure": np.array(levels)[code[k]]}) for k in range(2))
    second["rent"] = 100.0 * code[1] + rng.normal(size=ROWS)
    return first, second, pd.DataFrame({"x": x[2]})


@pytest.mark.parametrize("levels", [["owner", "tenant", "free"], [1, 2, 4]])
def test_a_bridge_that_is_a_class_hands_on_its_levels(levels):
    first, second, receiver = surveys(levels)
    kinds = {"tenure": "categorical"}
    given = [
        Stage("home", first, ["tenure"], ["x"], kinds=kinds, method="hotdeck"),
        Stage("rent", second, ["rent"], ["x"], kinds=kinds, bridges=[Bridge("tenure", "tenure")], method="forest"),
    ]
    made = fuse(receiver, given, m=2).imputations.complete(2)
    means = made.groupby("tenure")["rent"].mean()
    for code, level in enumerate(levels):
        assert means[level] == pytest.approx(100 * code, abs=25)


def test_a_bridge_that_is_no_number_is_refused():
    _, second, receiver = surveys([1, 2, 4])
    donor = pd.DataFrame({"x": second["x"], "cash": second["rent"]})
    log = Bridge("log_cash", "cash", lambda c: np.log(np.where(c["cash"] > 50, c["cash"], np.nan)))
    later = second.assign(log_cash=1.0 * second["tenure"])
    given = [
        Stage("cash", donor, ["cash"], ["x"], method="hotdeck"),
        Stage("rent", later, ["rent"], ["x"], bridges=[log], method="hotdeck"),
    ]
    with pytest.raises(FusionError, match=r"bridge 'log_cash' is no number for \d+ of 600 receivers"):
        fuse(receiver, given, m=1)
