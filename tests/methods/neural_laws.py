"""Laws that neural methods are held to: known distributions, small enough for tests."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute, method
from microimpute.errors import MethodError
from microimpute.keyed import generator


def hurdle(n, seed):
    """An amount that is there with the chance x, and then log-normal around 8 + 2x with spread .5."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, n)
    return pd.DataFrame({"x": x, "y": np.where(rng.random(n) < x, np.exp(8 + 2 * x + 0.5 * rng.normal(size=n)), 0.0)})


def follows_the_hurdle(chosen):
    """Zero shares, medians and spread within cells of the predictor."""
    donor = hurdle(3000, 0)
    receiver = pd.DataFrame({"x": np.repeat([0.15, 0.5, 0.85], 2000)})
    drawn = impute(donor, receiver, targets=["y"], method=chosen, m=2).numbers("y")
    for cell, at in enumerate((0.15, 0.5, 0.85)):
        values = drawn[:, 2000 * cell : 2000 * (cell + 1)].ravel()
        assert abs((values > 0).mean() - at) < 0.08  # about 300 donors near, resampled: s.e. .03
        logs = np.log(values[values > 0])
        assert abs(np.median(logs) - (8 + 2 * at)) < 0.2  # s.e. .05, and a net's own bias
        assert 0.35 < (np.quantile(logs, 0.84) - np.quantile(logs, 0.16)) / 2 < 0.7  # .5
    assert set(np.unique(drawn)) <= set(donor["y"])


def binds_targets(chosen, slack):
    """Amounts, zeros, and amounts among those that have them, correlate given the predictor as in the donors."""
    rng = np.random.default_rng(1)
    x, a = rng.normal(size=(2, 3000))
    b = 0.8 * a + 0.6 * rng.normal(size=3000)
    donor = pd.DataFrame({"x": x, "a": a + x, "b": b - x})
    donor["c"], donor["d"] = np.where(a > 0, np.exp(a + 0.3 * rng.normal(size=3000)), 0.0), np.where(b > 0, b, 0.0)
    got = impute(donor, donor[["x"]], targets=list("abcd"), method=chosen, m=1)
    left, some = got.numbers("a")[0] - x, got.numbers("c")[0] > 0
    assert np.corrcoef(left, got.numbers("b")[0] + x)[0, 1] == pytest.approx(0.8, abs=slack)
    both = np.corrcoef(some, got.numbers("d")[0] > 0)[0, 1]
    assert both == pytest.approx(np.corrcoef(a > 0, b > 0)[0, 1], abs=slack)  # about .6
    truth = np.corrcoef(a[a > 0], np.log(donor["c"][a > 0]))[0, 1]  # about .9
    assert np.corrcoef(left[some], np.log(got.numbers("c")[0][some]))[0, 1] == pytest.approx(truth, abs=2 * slack)


def refuses_damage(name, settings):
    """What learning found is told; arrays that do not fit are refused."""
    donor = hurdle(200, 2)
    training = Fusion(Survey(donor), Survey(donor[["x"]]), targets=["y"]).training(1)
    fitted = method(name, settings)
    fitted.fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    told = fitted.learnt()
    assert 0 < told["best step"] <= told["steps"]
    state = fitted.state()
    weights = next(k for k in state if k.startswith("net.") and state[k].ndim == 2)
    for damage in ({weights: state[weights][:, 1:]}, {"y0.atoms": np.zeros(2)}, {"bias0": np.zeros(3)}):
        with pytest.raises(MethodError):
            fitted.set_state(state | damage)
    with pytest.raises((MethodError, KeyError)):
        fitted.set_state({k: v for k, v in state.items() if k != weights})


def draws_from_few(n, chosen):
    """A handful of donors still gives draws, all of them donors' values."""
    donor = hurdle(n, 3)
    got = impute(donor, hurdle(100, 4)[["x"]], targets=["y"], method=chosen, m=2, draws=2).numbers("y")
    assert set(np.unique(got)) <= set(donor["y"])


def together(n, seed):
    """Two zeros that come together, and two amounts that do, whatever the predictor says."""
    rng = np.random.default_rng(seed)
    both, size = rng.random(n) < 0.5, rng.normal(size=n)
    frame = {"x": rng.normal(size=n)}
    for name in ("a", "b"):
        own = np.where(rng.random(n) < 0.9, both, ~both)
        frame[name] = np.where(own, np.exp(7 + size + 0.3 * rng.normal(size=n)), 0.0)
    return pd.DataFrame(frame)


def hidden_numbers_bind(chosen):
    """What no predictor tells, and only noise that targets share can carry, is there among the draws."""
    done = impute(together(3000, 1), together(4000, 2)[["x"]], targets=["a", "b"], method=chosen, m=1)
    a, b = done.numbers("a"), done.numbers("b")
    assert np.mean((a > 0) == (b > 0)) > 0.68  # .82; .5 if they were independent
    some = (a > 0) & (b > 0)
    assert np.corrcoef(np.log(a[some]), np.log(b[some]))[0, 1] > 0.65  # .92; 0 if they were independent
