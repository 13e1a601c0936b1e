"""Quantile regression as a method: independent numbers for rows and targets, hurdles, weights, spread."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute, method
from microimpute.errors import MethodError
from microimpute.testing import example_donor, example_receiver

ROWS = 4000


def people(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=ROWS)
    spread = np.exp(0.5 * x)
    return pd.DataFrame({"x": x, "a": 5 + spread * rng.normal(size=ROWS), "b": 5 + spread * rng.normal(size=ROWS)})


def drawn(donor, targets, **settings):
    receiver = people(1)
    done = impute(donor, receiver[["x"]], targets=targets, method=method("quantile_regression", settings), m=1)
    return receiver["x"].to_numpy(), [done.numbers(t)[0] for t in targets]


def test_independent_targets_stay_independent():
    """One random number for both would make their residuals the same but for noise."""
    x, (a, b) = drawn(people(0), ["a", "b"])
    rest = [(v - 5) / np.exp(0.5 * x) for v in (a, b)]
    assert abs(np.corrcoef(*rest)[0, 1]) < 4 / np.sqrt(ROWS)
    neighbours = np.corrcoef(rest[0][:-1], rest[0][1:])[0, 1]  # nor do rows share one
    assert abs(neighbours) < 4 / np.sqrt(ROWS)


def test_spread_follows_the_predictor():
    x, (a,) = drawn(people(0), ["a"])
    for low, high in ((-3, -1), (-0.5, 0.5), (1, 3)):
        some = (x > low) & (x < high)
        expected = np.sqrt(np.mean(np.exp(x[some])))
        # 4 standard errors of a standard deviation, donors' and receivers' together
        assert a[some].std() == pytest.approx(expected, rel=4 * np.sqrt(1 / some.sum()))


def test_parts_come_in_the_donors_weighted_shares():
    donor, receiver = example_donor(4000), example_receiver(4000)
    donor["weight"] = np.where(donor["wealth"] > 0, 0.3, 1.0) * np.random.default_rng(0).uniform(0.5, 2, 4000)
    receiver[["income", "age", "region"]] = donor[["income", "age", "region"]].to_numpy()
    receiver = receiver.astype({"income": float, "age": int})
    fusion = Fusion(
        Survey(donor, weight="weight", keys="id"),
        Survey(receiver, keys="id"),
        targets=["wealth", "debt", "trips"],
        predictors=["income", "age", "region"],
        kinds={"trips": "count"},
        rules=["debt requires wealth"],
    )
    done = impute(fusion, method="quantile_regression", m=4)
    assert done.manifest["rules"][0]["broken_draws"] == 0
    weight = donor["weight"].to_numpy()
    for target, holds in (("wealth", np.sign), ("trips", lambda v: np.minimum(v, 4))):
        truth, got = holds(donor[target].to_numpy()), holds(done.numbers(target))
        for value in np.unique(truth):
            mine = truth == value
            share = np.average(mine, weights=weight)
            error = np.sqrt(2 * np.sum(weight**2 * (mine - share) ** 2)) / weight.sum()
            found = np.average((got == value).mean(axis=0), weights=weight)
            assert found == pytest.approx(share, abs=4 * error), (target, value)
    trips = done.numbers("trips")
    assert (trips == np.rint(trips)).all()


@pytest.mark.parametrize("bad", [{"quantiles": 2}, {"quantiles": 5.0}, {"ridge": 0}, {"ridge": True}])
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("quantile_regression", bad)
