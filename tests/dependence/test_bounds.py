"""Bounds agree with StatMatch 1.4.3 and with all joints of tables small enough to list them."""

import itertools

import numpy as np
import pandas as pd
import pytest

from microimpute.dependence.bounds import frechet_bounds
from microimpute.dependence.correlations import check_correlations, rho_bounds, rho_range
from microimpute.errors import FusionError

INCOME = ["(-Inf,0]", "(0,10]", "(10,15]", "(15,20]", "(20,25]", "(25,35]", "(35, Inf]"]


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "golden"
    if not (folder / "sm_sampA_full.csv").is_file():
        pytest.skip("StatMatch's results are not here")
    return {p.stem: pd.read_csv(p) for p in folder.glob("sm_*.csv")}, folder


def classes(frame):
    return (frame["c.age"].astype(str) + "/" + frame["sex"].astype(str)).to_numpy()


def test_frechet_is_statmatch(golden):
    made, _ = golden
    a, b = made["sm_sampA_full"], made["sm_sampB_full"]
    y = pd.Categorical(a["c.neti"], INCOME).codes
    got = frechet_bounds(classes(a), y, classes(b), b["labour5"])
    wanted = made["sm_frechet_bounds"]
    fields = {"low.u": got.low, "low.cx": got.low_given_x, "CIA": got.independent}
    fields |= {"up.cx": got.high_given_x, "up.u": got.high}
    for name, table in fields.items():
        np.testing.assert_allclose(table.T.ravel(), wanted[name], atol=1e-10, rtol=0)
    average = made["sm_frechet_uncertainty"].loc[0]
    assert got.width == pytest.approx(average["av.u"], abs=1e-10)
    assert got.width_given_x == pytest.approx(average["av.cx"], abs=1e-10)
    bare = frechet_bounds(np.zeros(len(a)), y, np.zeros(len(b)), b["labour5"])
    np.testing.assert_allclose(bare.independent.T.ravel(), made["sm_frechet_bounds_noX"]["IA"], atol=1e-10, rtol=0)
    np.testing.assert_allclose(bare.high_given_x, bare.high, atol=1e-15)


def test_frechet_with_weights_is_frechet_with_rows_repeated():
    rng = np.random.default_rng(1)
    x1, y, x2, z = (rng.integers(0, k, 60) for k in (2, 3, 2, 2))
    w1, w2 = rng.integers(1, 5, 60), rng.integers(1, 5, 60)
    got = frechet_bounds(x1, y, x2, z, weight_y=w1, weight_z=w2)
    wanted = frechet_bounds(*(np.repeat(v, w) for v, w in ((x1, w1), (y, w1), (x2, w2), (z, w2))))
    np.testing.assert_allclose(got.low_given_x, wanted.low_given_x)
    np.testing.assert_allclose(got.high_given_x, wanted.high_given_x)
    assert np.abs(got.high_given_x - frechet_bounds(x1, y, x2, z).high_given_x).max() > 1e-3
    total = np.array([3.0, 1.0])
    moved = frechet_bounds(x1, y, x2, z, weight_y=w1, weight_z=w2, x_total=total)
    assert np.abs(moved.independent - got.independent).max() > 1e-3


def test_frechet_bounds_are_reached_and_never_passed():
    """All pairings of six rows in two classes: the extremes over them are the bounds."""
    x = np.array([0, 0, 0, 0, 1, 1])
    y, z = np.array([0, 0, 1, 0, 1, 0]), np.array([1, 0, 0, 0, 1, 0])
    got = frechet_bounds(x, y, x, z)
    tables = []
    for one, two in itertools.product(itertools.permutations(range(4)), itertools.permutations((4, 5))):
        paired = z[[*one, *two]]
        tables.append([[np.mean((y == i) & (paired == j)) for j in (0, 1)] for i in (0, 1)])
    np.testing.assert_allclose(np.min(tables, axis=0), got.low_given_x)
    np.testing.assert_allclose(np.max(tables, axis=0), got.high_given_x)


def test_class_of_one_file_only_is_named():
    with pytest.raises(FusionError, match=r"no weight in the file of Z, among them '2'.*Merge"):
        frechet_bounds([0, 1, 2], [0, 1, 0], [0, 1, 1], [0, 1, 0])


@pytest.mark.parametrize("weighted", [False, True])
def test_rho_bounds_are_statmatch(golden, weighted):
    made, folder = golden
    a, b = made["sm_sampA_full"], made["sm_sampB_full"]
    weights = {"weight_y": a["ww"], "weight_z": b["ww"]} if weighted else {}
    got = rho_bounds(a["age"], a["n.income"], b["age"], b["labour5"], **weights)
    wanted = (folder / f"sm_rhobounds_w{int(weighted)}.txt").read_text().splitlines()[1].split()
    np.testing.assert_allclose([got.low, got.independent, got.high], [float(v) for v in wanted], atol=1e-10)


def test_rho_range_is_where_the_matrix_stops_being_positive():
    rng = np.random.default_rng(2)
    whole = np.corrcoef(rng.normal(size=(20, 5)) @ rng.normal(size=(5, 5)), rowvar=False)
    got = rho_range(whole[:3, :3], whole[:3, 3], whole[:3, 4])

    def least(rho):
        tried = whole.copy()
        tried[3, 4] = tried[4, 3] = rho
        return np.linalg.eigvalsh(tried).min()

    for end, inward in ((got.low, 1), (got.high, -1)):
        assert abs(least(end)) < 1e-10
        assert least(end + inward * 1e-4) > 0 > least(end - inward * 1e-4)
    assert got.marginal(got.partial(whole[3, 4])) == pytest.approx(whole[3, 4])
    inverse = np.linalg.inv(whole)
    partial = -inverse[3, 4] / np.sqrt(inverse[3, 3] * inverse[4, 4])
    assert got.partial(whole[3, 4]) == pytest.approx(partial)
    with pytest.raises(FusionError, match=f"from {got.low:.4f} to {got.high:.4f}"):
        got.partial(got.high + 0.01)


def test_impossible_matrix_says_the_range():
    names = ["wealth", "spending", "pension"]
    matrix = [[1, 0.8, 0.7], [0.8, 1, -0.4], [0.7, -0.4, 1]]
    half = np.sqrt((1 - 0.8**2) * (1 - 0.7**2))
    with pytest.raises(FusionError, match=f"'spending' is -0.4.*between {0.56 - half:.4f} and {0.56 + half:.4f}"):
        check_correlations(matrix, names)
    matrix[1][2] = matrix[2][1] = 0.56 - half + 0.01
    assert check_correlations(matrix, names).shape == (3, 3)
    with pytest.raises(FusionError, match=r"it is 1\.2.*between -1 and 1"):
        check_correlations([[1, 1.2], [1.2, 1]], names[:2])
    four = np.eye(4)
    four[3, :2] = four[:2, 3] = 0.8
    with pytest.raises(FusionError, match=r"less than 0\.8839"):
        check_correlations(four, [*names, "rent"])
