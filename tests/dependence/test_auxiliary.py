"""A third file with both targets: StatMatch's two-way stratifications, and the truth of a small population."""

import numpy as np
import pandas as pd
import pytest

from microimpute.dependence.auxiliary import Side, calibrate, cross_table
from microimpute.errors import FusionError

INCOME = ["(-Inf,0]", "(0,10]", "(10,15]", "(15,20]", "(20,25]", "(25,35]", "(35, Inf]"]


@pytest.fixture(scope="module")
def sides(shared):
    folder = shared / "golden"
    if not (folder / "sm_sampA_full.csv").is_file():
        pytest.skip("StatMatch's results are not here")
    a, b, c = (pd.read_csv(folder / f"sm_samp{name}_full.csv") for name in "ABC")
    weight = [pd.read_csv(folder / f"sm_harmonize_w{name}.csv")["w"] for name in "AB"] + [c["ww"]]
    x = [(f["c.age"].astype(str) + "/" + f["sex"].astype(str)).to_numpy(object) for f in (a, b, c)]
    y = [pd.Categorical(f["c.neti"], INCOME).codes for f in (a, c)]
    made = [
        Side(x[0], y=y[0], weight=weight[0]),
        Side(x[1], z=b["labour5"], weight=weight[1]),
        Side(x[2], y=y[1], z=c["labour5"], weight=weight[2]),
    ]
    return made, folder


def test_two_way_stratifications_are_statmatch(sides):
    made, folder = sides
    got = cross_table(*made)
    wanted = pd.read_csv(folder / "sm_comb_CIA.csv").to_numpy()
    np.testing.assert_allclose(got.independent, wanted, rtol=1e-10)
    for name in ("incomplete", "synthetic"):
        short = {"incomplete": "ITWS", "synthetic": "STWS"}[name]
        table = pd.read_csv(folder / f"sm_comb_{short}.csv")["Freq"].to_numpy()
        np.testing.assert_allclose(getattr(got, name).T.ravel(), table, rtol=1e-9, atol=1e-4)


def test_raking_keeps_weights_positive_and_margins(sides):
    made, _ = sides
    linear, raked = cross_table(*made), cross_table(*made, distance="raking")
    assert raked.weight_incomplete.min() > 0
    np.testing.assert_allclose(raked.incomplete.sum(axis=0), linear.incomplete.sum(axis=0), rtol=1e-6)
    assert np.abs(raked.incomplete - linear.incomplete).max() > 100


def population(rng, rows, twist=0.8):
    """Y and Z of three classes each, alike beyond what X says."""
    x = rng.integers(0, 3, rows)
    y = np.clip(x + rng.integers(-1, 2, rows), 0, 2)
    z = np.where(rng.random(rows) < twist, y, np.clip(2 - x + rng.integers(-1, 2, rows), 0, 2))
    return x, y, z


def test_tables_come_nearer_to_the_truth_with_a_small_auxiliary_file():
    rng = np.random.default_rng(1)
    x, y, z = population(rng, 60_000)
    truth = np.array([[np.sum((y == i) & (z == j)) for j in range(3)] for i in range(3)])
    a, b = np.arange(20_000), np.arange(20_000, 40_000)
    c = rng.choice(np.arange(40_000, 60_000), 800, p=(w := 1.0 + (y[40_000:] == 2)) / w.sum())  # one class too often
    sides = (Side(x[a], y=y[a], weight=np.full(20_000, 3)), Side(x[b], z=z[b], weight=np.full(20_000, 3)))
    got = cross_table(*sides, Side(x[c], y[c], z[c]))
    off = {n: np.abs(getattr(got, n) - truth).sum() / 60_000 for n in ("independent", "incomplete", "synthetic")}
    assert off["independent"] > 0.3
    assert max(off["incomplete"], off["synthetic"]) < 0.08
    np.testing.assert_allclose(
        got.synthetic.sum(axis=1), 3 * np.bincount(y[a]), rtol=0.02
    )  # X differs a little between A and B


def test_what_is_not_in_the_auxiliary_file_is_said():
    rng = np.random.default_rng(2)
    x, y, z = population(rng, 3_000)
    a, b = Side(x, y=y), Side(x, z=z)
    few = y != 2
    with pytest.raises(FusionError, match=r"misses the total of column.*Merge"):
        cross_table(a, b, Side(x[few], y[few], z[few]))
    with pytest.raises(FusionError, match="Y has the level '7' in the auxiliary file only"):
        cross_table(a, b, Side(x, np.where(y == 2, 7, y), z))
    with pytest.raises(FusionError, match="lacks Y or Z"):
        cross_table(a, b, Side(x, y))


def test_calibration_changes_little_and_reaches():
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(200), rng.normal(size=(200, 2))])
    weight = rng.exponential(size=200) + 0.1
    for distance in ("linear", "raking"):
        got = calibrate(x, weight, weight @ x * [1.0, 1.1, 0.9] + [0, 2, 1], distance)
        np.testing.assert_allclose(got @ x, weight @ x * [1.0, 1.1, 0.9] + [0, 2, 1], atol=1e-5)
        np.testing.assert_allclose(calibrate(x, weight, weight @ x, distance), weight)
    with pytest.raises(FusionError, match="distance 'logit'"):
        calibrate(x, weight, weight @ x, "logit")
