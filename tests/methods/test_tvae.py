"""The variational autoencoder: the distribution drawn, what hidden numbers carry, weights, settings, files."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from neural_laws import hidden_numbers_bind

from microimpute import impute, method
from microimpute.errors import MethodError
from microimpute.fusion import Fusion
from microimpute.keyed import generator
from microimpute.survey import Survey

SMALL = {"steps": 400, "width": 64}


def hurdle(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, n)
    return pd.DataFrame({"x": x, "y": np.where(rng.random(n) < x, np.exp(8 + 2 * x + 0.5 * rng.normal(size=n)), 0.0)})


@pytest.mark.parametrize("normalisation", ["scores", "modes"])
def test_conditional_distribution_is_that_of_the_truth(normalisation):
    """Zero shares, medians and spread within cells of the predictor, against a known law."""
    donor = hurdle(3000, 0)
    receiver = pd.DataFrame({"x": np.repeat([0.15, 0.5, 0.85], 2000)})
    chosen = method("tvae", SMALL | {"normalisation": normalisation})
    drawn = impute(donor, receiver, targets=["y"], method=chosen, m=2).numbers("y")
    for cell, at in enumerate((0.15, 0.5, 0.85)):
        values = drawn[:, 2000 * cell : 2000 * (cell + 1)].ravel()
        assert abs((values > 0).mean() - at) < 0.08  # about 300 donors near, resampled: s.e. .03
        logs = np.log(values[values > 0])
        assert abs(np.median(logs) - (8 + 2 * at)) < 0.2  # s.e. .05, and a net's own bias
        assert 0.35 < (np.quantile(logs, 0.84) - np.quantile(logs, 0.16)) / 2 < 0.7  # .5
    assert set(np.unique(drawn)) <= set(donor["y"])


def test_hidden_numbers_carry_what_binds_targets():
    hidden_numbers_bind(method("tvae", {"steps": 1200}))


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"width": 1.5},
        {"depth": True},
        {"hidden": 0},
        {"beta": 0},
        {"dropout": 1.0},
        {"normalisation": "log"},
        {"device": 3},
    ],
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("tvae", bad)


def test_learning_is_told_and_damaged_files_are_refused():
    donor = hurdle(200, 3)
    training = Fusion(Survey(donor), Survey(donor[["x"]]), targets=["y"]).training(1)
    fitted = method("tvae", {"steps": 50, "width": 8})
    fitted.fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    told = fitted.learnt()
    assert 0 < told["best step"] <= told["steps"] <= 50
    assert told["held-out loss"] > 0
    state = fitted.state()
    for damage in ({"net.first.first.weight": np.zeros((8, 3))}, {"y0.atoms": np.zeros(2)}, {"bias0": np.zeros(3)}):
        with pytest.raises(MethodError):
            fitted.set_state(state | damage)


@pytest.mark.parametrize("n", [2, 12, 45])
def test_fewer_than_fifty_donors(n):
    donor = hurdle(n, 4)
    chosen = method("tvae", SMALL | {"steps": 60})
    got = impute(donor, hurdle(100, 5)[["x"]], targets=["y"], method=chosen, m=2, draws=2).numbers("y")
    assert set(np.unique(got)) <= set(donor["y"])
