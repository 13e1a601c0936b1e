"""Means and medians: good points, refused as files."""

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, method, say
from microimpute.errors import MethodError
from microimpute.fusion import Fusion
from microimpute.keyed import RowRandom, generator
from microimpute.survey import Survey


def _drawn(name, donor, receiver, targets, kinds=None):
    fusion = Fusion(Survey(donor, weight="weight"), Survey(receiver), targets=targets, kinds=kinds)
    training = fusion.training(1)
    fitted = method(name).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    return fitted.draw(fusion.receivers, RowRandom(0, 1, fusion.receiver_keys))


@pytest.fixture(scope="module")
def donor():
    rng = np.random.default_rng(0)
    n = 4000
    x = rng.uniform(-1, 1, n)
    frame = pd.DataFrame({"x": x, "y": np.exp(2 + x + rng.normal(size=n)), "weight": rng.uniform(0.5, 2, n)})
    frame["home"] = np.where(rng.random(n) < 0.3 + 0.6 * (x > 0), "own", "rent")
    return frame


def test_points_are_the_conditional_mean_and_median(donor):
    receiver = pd.DataFrame({"x": np.linspace(-0.8, 0.8, 50)})
    mean = _drawn("mean", donor, receiver, ["y"])[:, 0]
    median = _drawn("median", donor, receiver, ["y"])[:, 0]
    assert np.sqrt(np.mean((np.log(mean) - 2.5 - receiver["x"]) ** 2)) < 0.3
    assert np.sqrt(np.mean((np.log(median) - 2.0 - receiver["x"]) ** 2)) < 0.3
    assert np.mean(np.log(mean) - np.log(median)) == pytest.approx(0.5, abs=0.1)


def test_the_mean_beats_a_draw_by_squared_error(donor):
    receiver = donor[["x"]].iloc[:2000]
    rest, truth = donor.iloc[2000:], donor["y"].iloc[:2000]
    error = {n: np.mean((_drawn(n, rest, receiver, ["y"])[:, 0] - truth) ** 2) for n in ("mean", "forest")}
    assert error["mean"] < 0.8 * error["forest"]


@pytest.mark.parametrize("name", ["mean", "median"])
def test_classes_are_the_likeliest(name, donor):
    receiver = pd.DataFrame({"x": [-0.5, 0.5]})
    got = _drawn(name, donor, receiver, ["home"])[:, 0]
    assert got.tolist() == [1.0, 0.0]  # rent, own


@pytest.mark.parametrize("name", ["mean", "median"])
def test_files_are_refused_with_the_reason(name, donor):
    with pytest.raises(MethodError, match=f"a {name} is no draw"):
        impute(donor, donor[["x"]], targets=["y"], method=name, m=1)


def test_the_list_of_methods_says_so():
    lines = {line.split()[0]: line.split()[1] for line in say.methods().splitlines() if line}
    assert lines["mean"] == lines["median"] == "no"
    assert lines["forest"] == "yes"
