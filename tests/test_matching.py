"""Distances and constrained matching agree with StatMatch 1.4.3; matching one row at a time can't be constrained."""

import numpy as np
import pandas as pd
import pytest

from microimpute.errors import MethodError
from microimpute.matching import constrained, gower, mahalanobis, rank_distance


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "golden"
    if not (folder / "sm_A.csv").is_file():
        pytest.skip("StatMatch's results are not here")
    return {p.stem: pd.read_csv(p) for p in folder.glob("sm_*.csv")}


def column(table, name):
    return table[name].to_numpy(float)


def test_gower(golden):
    used = ["urb", "age", "sex"]
    a, b = golden["sm_A"][used].to_numpy(float)[:20], golden["sm_B"][used].to_numpy(float)[:25]
    np.testing.assert_allclose(gower(a, b, [True, False, True]), golden["sm_gower_20x25"], atol=1e-14)


def test_mahalanobis(golden):
    x = golden["sm_A"][["age", "n.income"]].to_numpy(float)
    np.testing.assert_allclose(mahalanobis(x[:20], x[20:45]), golden["sm_mahal_20x25"], rtol=1e-12)


def by_receiver(golden, name):
    """StatMatch's distances in the order of the receivers' file, which its rank hot deck keeps."""
    order = golden["sm_ranknnd_weighted"]["rec.id"]
    return golden[name].set_index("rec.id")["dist"].loc[order].to_numpy()


def test_nearest_donor_in_classes(golden):
    a, b = golden["sm_A"], golden["sm_B"]
    distance = np.abs(column(a, "age")[:, None] - column(b, "age"))
    for name in ("area5", "sex"):
        distance = np.where(a[name].to_numpy()[:, None] == b[name].to_numpy(), distance, np.inf)
    np.testing.assert_array_equal(distance.min(axis=1), by_receiver(golden, "sm_nnd_manhattan_donclass"))


def test_rank_distance(golden):
    a, b = golden["sm_A"], golden["sm_B"]
    distance = rank_distance(column(a, "age"), column(b, "age"), column(a, "ww"), column(b, "ww"))
    np.testing.assert_allclose(distance.min(axis=1), by_receiver(golden, "sm_ranknnd_weighted"), atol=1e-14)


def test_constrained(golden):
    a, b = golden["sm_A"], golden["sm_B"]
    distance = np.abs(column(a, "age")[:, None] - column(b, "age"))
    distance[column(a, "sex")[:, None] != column(b, "sex")] = np.inf
    donor = constrained(distance)
    assert len(set(donor)) == len(a)
    assert distance[np.arange(len(a)), donor].sum() == golden["sm_nnd_constrained"]["dist"].sum() == 16


def test_donors_are_used_at_most_so_often():
    x, donors = np.zeros(6), np.array([0.0, 1.0, 5.0])
    distance = np.abs(x[:, None] - donors)
    counts = np.bincount(constrained(distance, most=2), minlength=3)
    assert counts.tolist() == [2, 2, 2]
    assert np.bincount(constrained(distance, most=6), minlength=3).tolist() == [6, 0, 0]
    with pytest.raises(MethodError, match="at most 1 times"):
        constrained(distance)
    with pytest.raises(MethodError, match="can't each have"):
        constrained(np.array([[np.inf, 1.0], [np.inf, 2.0]]))
    with pytest.raises(MethodError, match="most is 0"):
        constrained(distance, most=0)
