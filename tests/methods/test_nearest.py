"""Nearest neighbours: the stated distances, weights among ties, learnt importance, radius, classes."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute, method
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.matching import statmatch
from microimpute.matching.neighbours import Donors
from microimpute.testing import example_donor, example_receiver

X = (
    Variable("a", Kind.CONTINUOUS),
    Variable("b", Kind.SEMICONTINUOUS),
    Variable("c", Kind.CATEGORICAL, ("u", "v", "w")),
    Variable("d", Kind.BINARY, (False, True)),
)


def table(rows, seed):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(size=rows), rng.exponential(size=rows), rng.integers(0, 3, rows), rng.integers(0, 2, rows)]
    return Table(X, np.column_stack(columns).astype(float))


def fitted(settings, donors, weight=None, name="nearest"):
    Y = Table((Variable("row", Kind.CONTINUOUS),), np.arange(len(donors), dtype=float)[:, None])
    weight = np.ones(len(donors)) if weight is None else weight
    return method(name, settings).fit(donors, Y, weight, np.random.default_rng(0))


def drawn(model, receivers, implicate=1):
    rng = RowRandom(0, implicate, np.arange(len(receivers), dtype=np.uint64))
    return model.draw(receivers, rng)[:, 0].astype(int)


def expected(distance, receivers, donors):
    x, y = receivers.values, donors.values
    if distance == "gower":
        return statmatch.gower(x, y, [v.kind.is_class for v in X], np.ptp(y, axis=0))
    flags = [
        np.column_stack([t[:, :2], *(t[:, 2] == k for k in range(3)), *(t[:, 3] == k for k in (0, 1))]) for t in (x, y)
    ]
    if distance == "mahalanobis":
        return statmatch.mahalanobis(*flags, np.cov(flags[1].T, ddof=0))
    a, b = (f / flags[1].std(axis=0) for f in flags)
    difference = np.abs(a[:, None] - b)
    if distance == "minimax":
        return difference.max(axis=2)
    return difference.sum(axis=2) if distance == "manhattan" else np.sqrt((difference**2).sum(axis=2))


@pytest.mark.parametrize("distance", ["gower", "manhattan", "euclidean", "mahalanobis", "minimax"])
def test_one_neighbour_is_the_nearest(distance):
    donors, receivers = table(300, 0), table(100, 1)
    settings = {"distance": distance, "neighbours": 1, "importance": "equal", "amounts": "plain"}
    got = drawn(fitted(settings, donors), receivers)
    truth = expected(distance, receivers, donors)
    np.testing.assert_allclose(truth[np.arange(100), got], truth.min(axis=1), atol=1e-9)
    assert np.array_equal(got, drawn(fitted(settings, donors), receivers, implicate=2))  # nothing is random


def test_many_columns_are_searched_otherwise_and_alike():
    rng = np.random.default_rng(0)
    at, x = rng.integers(0, 3, (500, 20)).astype(float), rng.integers(0, 3, (50, 20)).astype(float)
    for power in (1, 2, np.inf):
        donors = Donors(at, np.ones(500), np.zeros(500, dtype=int), power)
        assert donors.everyone.tree is None
        got = donors.draw(x, np.zeros(50, dtype=int), rng.random(50), 1)[0]
        distance = np.linalg.norm(x[:, None] - at, ord=power, axis=2)
        np.testing.assert_allclose(distance[np.arange(50), got], distance.min(axis=1))


def test_neighbours_are_drawn_in_proportion_to_weight():
    donors = Table(X[:1], np.array([0.0, 0.1, 0.2, 9.0])[:, None])
    model = fitted({"neighbours": 3, "importance": "equal"}, donors, np.array([1.0, 2.0, 5.0, 100.0]))
    share = np.bincount(drawn(model, Table(X[:1], np.zeros((8000, 1)))), minlength=4) / 8000
    np.testing.assert_allclose(share, [1 / 8, 2 / 8, 5 / 8, 0], atol=4 * np.sqrt(0.25 / 8000))


def test_all_that_tie_are_drawn_from():
    """A thousand donors share each place: ten neighbours would be an accident of the file's order."""
    donors = Table(X[3:], np.repeat([0.0, 1.0], 1000)[:, None])
    got = drawn(fitted({"neighbours": 10}, donors), Table(X[3:], np.ones((5000, 1))))
    assert got.min() >= 1000
    assert len(np.unique(got)) > 900


def test_donors_without_weight_are_not_drawn():
    donors = table(50, 0)
    weight = np.where(np.arange(50) % 2 == 0, 1.0, 0.0)
    for settings in ({}, {"radius": 0.4}, {"neighbours": 1}):
        assert (drawn(fitted(settings, donors, weight), table(500, 1)) % 2 == 0).all()


@pytest.mark.parametrize("distance", ["gower", "euclidean"])
def test_radius(distance):
    donors, receivers = table(300, 0), table(400, 1)
    limit = {"gower": 0.04, "euclidean": 0.5}[distance]
    settings = {"distance": distance, "radius": limit, "importance": "equal", "amounts": "plain"}
    model = fitted(settings, donors)
    truth = expected(distance, receivers, donors)
    got = np.array([drawn(model, receivers, implicate=i) for i in range(40)])
    reached = np.take_along_axis(truth, got.T, axis=1)
    some = (truth <= limit).any(axis=1)
    assert 10 < some.sum() < 390
    assert (reached[some] <= limit + 1e-9).all()
    np.testing.assert_allclose(reached[~some], truth[~some].min(axis=1)[:, None] * np.ones(40), atol=1e-9)
    many = (truth <= limit).sum(axis=1) == 4
    assert np.mean([len(set(g)) for g in got.T[many]]) == pytest.approx(4, abs=0.05)  # all of them, not the nearest


@pytest.mark.parametrize(("setting", "count"), [(7, 7), ("root", 20), (0.01, 4), (0.0101, 5)])
@pytest.mark.parametrize("name", ["nearest", "pmm"])
def test_neighbours_as_a_number_a_share_or_the_root_of_the_donors(name, setting, count):
    """As StatMatch's cut.don: "exact", "rot" and "span", of the donors that can be drawn."""
    donors = Table(X[:1], np.arange(500.0)[:, None])
    weight = np.where(np.arange(500) % 5, 1.0, 0.0)  # 400 donors
    model = fitted({"neighbours": setting}, donors, weight, name)
    receivers = Table(X[:1], np.full((3000, 1), 250.2))
    assert len(set(drawn(model, receivers))) == count


def test_a_share_of_a_class_is_of_its_donors():
    donors = Table(X[2:], np.column_stack([np.repeat([0.0, 1.0], [400, 100]), np.zeros(500)]))
    places = Donors(np.arange(500.0)[:, None], np.ones(500), donors.values[:, 0].astype(int), 1)
    for cell, count in ((0, 20), (1, 10)):
        got, _ = places.draw(np.full((2000, 1), 400.0), np.full(2000, cell), np.arange(2000) / 2000, "root")
        assert len(set(got)) == count


def test_what_falls_back_is_marked():
    donors, receivers = table(300, 0), table(200, 1)
    rng = RowRandom(0, 1, np.arange(200, dtype=np.uint64))
    limit = {"distance": "gower", "radius": 0.03, "importance": "equal", "amounts": "plain"}
    far = (expected("gower", receivers, donors) > 0.03).all(axis=1)
    assert 10 < far.sum() < 190
    assert np.array_equal(fitted(limit, donors).choose(receivers, rng)[1], far)
    some = donors.take(donors.values[:, 2] != 1)
    for name in ("nearest", "rank", "pmm"):
        marked = fitted({"classes": ["c"]}, some, name=name).choose(receivers, rng)[1]
        assert np.array_equal(marked, receivers.values[:, 2] == 1), name
    assert not fitted({}, donors).choose(receivers, rng)[1].any()


def test_importance_by_name():
    donors, receivers = table(400, 0), table(100, 1)
    only = {"neighbours": 1, "amounts": "plain", "importance": {"b": 2}}
    got = drawn(fitted(only, donors), receivers)
    nearest = np.abs(receivers.values[:, 1][:, None] - donors.values[:, 1]).argmin(axis=1)
    assert np.array_equal(got, nearest)
    both = {"distance": "manhattan", "neighbours": 1, "amounts": "plain", "importance": {"a": 3, "b": 1}}
    model = fitted(both, donors)
    assert model.learnt() == {"importance": {"a": 3, "b": 1, "c": 0, "d": 0}}
    scaled = [np.abs(receivers.values[:, j][:, None] - donors.values[:, j]) / donors.values[:, j].std() for j in (0, 1)]
    assert np.array_equal(drawn(model, receivers), (3 * scaled[0] + scaled[1]).argmin(axis=1))
    for bad, named in (({"e": 1}, "'e'"), ({"a": -1}, "'a' is -1"), ({"a": 0}, "0 for all"), ({"a": True}, "'a'")):
        with pytest.raises(MethodError, match=named):
            fitted({"importance": bad}, donors)


@pytest.mark.parametrize("name", ["nearest", "rank", "pmm"])
def test_classes_agree_or_fall_back(name):
    donors, receivers = table(400, 0), table(600, 1)
    donors = donors.take((donors.values[:, 2] != 2) | (donors.values[:, 3] == 0))
    got = drawn(fitted({"classes": ["c", "d"]}, donors, name=name), receivers)
    same = (receivers.values[:, 2:] == donors.values[got, 2:]).all(axis=1)
    nobody = (receivers.values[:, 2] == 2) & (receivers.values[:, 3] == 1)
    assert same[~nobody].all()
    assert nobody.any()
    assert not same[nobody].any()
    unknown = Table(X, np.array([[0.0, 1.0, -1.0, 1.0]]))
    assert len(drawn(fitted({"classes": ["c"]}, donors, name=name), unknown)) == 1


def test_learnt_importance_beats_equal_among_noise():
    rng = np.random.default_rng(3)
    donor, receiver = (
        pd.DataFrame(rng.normal(size=(n, 12)), columns=[f"x{j}" for j in range(12)]) for n in (3000, 1000)
    )
    donor["y"] = donor["x4"] + 0.5 * rng.normal(size=3000)
    error = {}
    for importance in ("equal", "learnt"):
        chosen = method("nearest", {"importance": importance})
        got = impute(donor, receiver, targets=["y"], method=chosen, m=1).numbers("y")[0]
        error[importance] = np.mean((got - receiver["x4"]) ** 2)
    assert error["learnt"] < 0.35 < 0.7 < error["equal"]  # .25 is the least there can be


def test_receivers_far_from_all_donors():
    donors = table(100, 0)
    far = Table(X, np.array([[1e12, -1e12, -1.0, -1.0], [-1e300, 1e300, 0.0, 1.0]]))
    for settings in ({}, {"amounts": "plain"}, {"amounts": "logs", "distance": "mahalanobis"}, {"radius": 0.01}):
        got = drawn(fitted(settings, donors), far.take(slice(0, 1)))
        assert 0 <= got[0] < 100
    assert len(drawn(fitted({}, donors), far)) == 2


@pytest.mark.parametrize("name", ["nearest", "rank", "pmm"])
def test_edit_rules_hold(name):
    fusion = Fusion(
        Survey(example_donor(1500), weight="weight", keys="id"),
        Survey(example_receiver(3000), keys="id"),
        targets=["debt", "trips", "wealth"],
        rules=["debt requires wealth", "net = wealth - debt", "debt >= 0"],
        predictors=["income", "age", "region"],
    )
    settings = [{}, {"univariate": True}] if name == "pmm" else [{}]
    for chosen in settings:
        assert all(r["broken_draws"] == 0 for r in impute(fusion, method=method(name, chosen), m=1).manifest["rules"])


@pytest.mark.parametrize(
    "bad",
    [
        {"distance": "cosine"},
        {"neighbours": 0},
        {"neighbours": 1.5},
        {"neighbours": "some"},
        {"radius": -1},
        {"radius": float("nan")},
        {"importance": "some"},
        {"amounts": "cubes"},
    ],
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("nearest", bad)


def test_unknown_class_is_named():
    with pytest.raises(MethodError, match="'e'"):
        fitted({"classes": ["e"]}, table(20, 0))


@pytest.mark.parametrize("name", ["nearest", "rank", "pmm"])
def test_damaged_files_are_refused(name):
    model = fitted({}, table(30, 0), name=name)
    arrays = model.state()
    again = model.fresh()
    again.predictors, again.targets = model.predictors, model.targets
    for damaged in arrays:
        if damaged.endswith(("at", "weight", "rows", "bundles", "cell")):
            short = {**arrays, damaged: arrays[damaged][:-1]}
            with pytest.raises(MethodError):
                again.set_state(short)
