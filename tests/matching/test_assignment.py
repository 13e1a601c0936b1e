"""Distances and constrained matching agree with StatMatch 1.4.3; shares are rounded, capped and assigned."""

import numpy as np
import pandas as pd
import pytest

from microimpute.errors import MethodError
from microimpute.matching import assignment
from microimpute.matching.assignment import allot, assign, capped, constrained
from microimpute.matching.statmatch import gower, mahalanobis, rank_distance


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


def test_assignment_of_places(golden):
    a, b = golden["sm_A"], golden["sm_B"]
    total = 0.0
    for sex in np.unique(column(a, "sex")):
        x, y = (column(t, "age")[column(t, "sex") == sex][:, None] for t in (a, b))
        place = assign(x, y, 1)
        assert len(set(place)) == len(x)
        total += np.abs(x - y[place]).sum()
    assert total == golden["sm_nnd_constrained"]["dist"].sum()


@pytest.mark.parametrize("power", [1, 2, np.inf])
def test_assignment_part_by_part_is_nearly_the_best(monkeypatch, power):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(390, 3))

    def total(place):
        assert len(set(place)) == 300
        return np.linalg.norm(x - y[place], ord=power, axis=1).sum()

    best = total(assign(x, y, power))
    monkeypatch.setattr(assignment, "BLOCK", 50)
    parts = total(assign(x, y, power))
    assert best < parts < 1.45 * best  # in any order: about 3 times as much
    full = assign(x, y[:300], power)
    assert np.array_equal(np.sort(full), np.arange(300))


def test_within_reach_chance_decides():
    x, y = np.zeros((1, 1)), np.array([[0.1], [0.2], [0.3], [5.0]])
    got = [assign(x, y, 1, np.array([0.25]), seed)[0] for seed in range(200)]
    assert set(got) == {0, 1}
    assert np.mean(got) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(200))


def test_uses_are_rounded_without_favour():
    uses = np.array([0.25, 2.5, 0.0, 3.25, 1e-9, 4.0 - 1e-9])
    drawn = np.array([allot(uses, (i + 0.5) / 1000) for i in range(1000)])
    assert (drawn.sum(axis=1) == 10).all()
    assert (np.abs(drawn - uses) < 1).all()
    assert drawn.mean(axis=0) == pytest.approx(uses, abs=0.002)


def test_what_is_over_the_cap_goes_to_others():
    held = capped(np.array([6.0, 1.0, 1.0, 0.0]), 3, np.ones(4))
    assert held == pytest.approx([3, 2.5, 2.5, 0])
    full = capped(np.array([6.0, 2.0, 0.0, 0.0]), 3, np.array([1.0, 1.0, 1.0, 3.0]))
    assert full == pytest.approx([3, 3, 0.5, 1.5])  # the unused by their weight
    assert capped(np.array([8.0, 0.0]), 4, np.ones(2)) == pytest.approx([4, 4])


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
