"""Calibrated weights against R's survey::calibrate and survey::rake, and totals that can't be met."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.calibration.distances import distance
from microimpute.calibration.solving import calibrated_weights
from microimpute.errors import CalibrationError

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def sample():
    return pd.read_csv(GOLDEN / "calibration_weights.csv")


@pytest.fixture(scope="module")
def totals():
    return pd.read_csv(GOLDEN / "calibration_totals.csv").set_index("name").total


def design(sample):
    columns = [np.ones(len(sample)), sample.sex == 2, *(sample.region == r for r in (2, 3, 4)), sample.income]
    return np.column_stack(columns).astype(float)


@pytest.mark.parametrize(
    ("golden", "name", "bounds"),
    [
        ("linear", "linear", None),
        ("linear_bounded", "linear", (0.9, 1.2)),
        ("raking", "raking", None),
        ("raking_bounded", "raking", (0.9, 1.2)),
        ("logit", "logit", (0.8, 1.4)),
    ],
)
def test_weights_of_r_survey(sample, totals, golden, name, bounds):
    got = calibrated_weights(
        design(sample), sample.w.to_numpy(), totals.to_numpy(), distance(name, bounds), totals.index
    )
    np.testing.assert_allclose(got, sample[golden], rtol=1e-10)
    np.testing.assert_allclose(got @ design(sample), totals, rtol=1e-9)
    if bounds:
        ratio = got / sample.w
        assert ratio.min() >= bounds[0] - 1e-12
        assert ratio.max() <= bounds[1] + 1e-12
        assert (np.isclose(ratio, bounds[0]).any() or np.isclose(ratio, bounds[1]).any()) == (name != "logit")


def test_raking_with_redundant_margins_is_what_r_rake_does(sample, totals):
    everyone = totals["(Intercept)"]
    x = np.column_stack([*(sample.sex == s for s in (1, 2)), *(sample.region == r for r in (1, 2, 3, 4))]).astype(float)
    region = totals[["region2", "region3", "region4"]].to_numpy()
    wanted = np.array([everyone - totals.sex2, totals.sex2, everyone - region.sum(), *region])
    got = calibrated_weights(x, sample.w.to_numpy(), wanted, distance("raking"), [""] * 6)
    np.testing.assert_allclose(got, sample.margins, rtol=1e-10)


def numeric_slope(f, u):
    return (f(u + 1e-6) - f(u - 1e-6)) / 2e-6


@pytest.mark.parametrize(
    ("name", "bounds"),
    [("linear", None), ("linear", (0.5, 1.8)), ("raking", None), ("raking", (0.5, 1.8)), ("logit", (0.5, 1.8))],
)
def test_slope_and_integral_belong_to_the_factor(name, bounds):
    one, u = distance(name, bounds), np.linspace(-2.03, 2.04, 41)
    np.testing.assert_allclose(one.factor(np.zeros(1)), 1)
    np.testing.assert_allclose(one.integral(np.zeros(1)), 0, atol=1e-15)
    np.testing.assert_allclose(numeric_slope(one.integral, u), one.factor(u), rtol=1e-6)
    np.testing.assert_allclose(numeric_slope(one.factor, u), one.slope(u), rtol=1e-5, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["raking", "logit", "linear"]))
def test_whatever_weights_within_bounds_could_give_is_met(seed, name):
    rng = np.random.default_rng(seed)
    rows, count = 60, 4
    x = np.column_stack([np.ones(rows), rng.lognormal(8, 2, rows), rng.normal(size=(rows, count - 2))])
    x[rng.random(rows) < 0.3, 1] = 0
    weight = rng.gamma(2, 100, rows)
    wanted = (weight * rng.uniform(0.6, 1.7, rows)) @ x
    got = calibrated_weights(x, weight, wanted, distance(name, (0.5, 2.0)), [""] * count)
    assert ((got / weight > 0.5 - 1e-12) & (got / weight < 2 + 1e-12)).all()
    np.testing.assert_allclose(got @ x, wanted, atol=1e-9 * (weight @ np.abs(x)).max())


def test_one_total_out_of_reach_is_named_with_its_range():
    x, w = np.array([[1.0, 1], [1, 0], [1, 2]]), np.array([10.0, 10, 10])
    with pytest.raises(CalibrationError, match=r"wealth should be 100; it is 30 now.*between 15 and 60 only"):
        calibrated_weights(x, w, np.array([30.0, 100]), distance("logit", (0.5, 2)), ["people", "wealth"])
    with pytest.raises(CalibrationError, match=r"debt should be -1; .* between 0 and inf only"):
        calibrated_weights(x, w, np.array([30.0, -1]), distance("raking"), ["people", "debt"])
    x[:, 1] = 0
    with pytest.raises(CalibrationError, match=r"wealth should be 5, but no row counts in it"):
        calibrated_weights(x, w, np.array([30.0, 5]), distance("linear"), ["people", "wealth"])


def test_totals_that_contradict_each_other_are_named_with_the_range_left():
    x = np.array([[1.0, 0, 1], [1, 0, 1], [0, 1, 1]])
    w = np.array([10.0, 10, 10])
    for one in (distance("raking"), distance("linear"), distance("logit", (0.1, 9))):
        with pytest.raises(
            CalibrationError, match=r"contradicts the other totals.*between (33 and 33|2[01] and 2[01])"
        ):
            calibrated_weights(x, w, np.array([21.0, 12, 40]), one, ["men", "women", "all"])


def test_the_range_left_by_the_other_totals_is_right():
    # 40 people, each 5 to 20: the most income is 3 · 20 + 15 (5 have none), the least 3 · 5 + 15 (20 have none)
    x = np.array([[1.0, 3], [1, 1], [1, 1], [1, 0]])
    with pytest.raises(CalibrationError, match=r"income should be 80, .* with the others met .* between 30 and 75\."):
        calibrated_weights(x, np.full(4, 10.0), np.array([40.0, 80]), distance("raking", (0.5, 2)), ["all", "income"])
    inside = calibrated_weights(
        x, np.full(4, 10.0), np.array([40.0, 74.9]), distance("raking", (0.5, 2)), ["all", "income"]
    )
    np.testing.assert_allclose(inside @ x, [40, 74.9])


@pytest.mark.parametrize("bounds", [(1.1, 2), (0.5, 0.9), (2, 0.5), "no", (-1, 2), (0.5,)])
def test_bounds_have_to_lie_around_one(bounds):
    with pytest.raises(CalibrationError, match="bounds are"):
        distance("raking", bounds)


def test_unknown_distance():
    with pytest.raises(CalibrationError, match=r"no distance 'rakeing'.*'raking'"):
        distance("rakeing")
    with pytest.raises(CalibrationError, match="needs bounds"):
        distance("logit")
