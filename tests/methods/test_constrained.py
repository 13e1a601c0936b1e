"""Constrained matching as a method: how often donors are used, how near they are, all rows at once."""

import numpy as np
import pytest

from microimpute import Fusion, Survey, implicates, impute, method
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.testing import example_donor, example_receiver

X = (Variable("a", Kind.CONTINUOUS), Variable("b", Kind.CONTINUOUS), Variable("c", Kind.CATEGORICAL, ("u", "v")))


def table(rows, seed):
    rng = np.random.default_rng(seed)
    return Table(X, np.column_stack([rng.normal(size=(rows, 2)), rng.integers(0, 2, rows)]))


def fitted(settings, donors, weight):
    Y = Table((Variable("row", Kind.CONTINUOUS),), np.arange(float(len(donors)))[:, None])
    plain = {"importance": "equal", "neighbours": 12} | settings
    return method("constrained", plain).fit(donors, Y, weight, np.random.default_rng(0))


def keys(rows, implicate=1):
    return RowRandom(0, implicate, np.random.default_rng(9).permutation(rows).astype(np.uint64))


def asked(model, receivers):
    """How often each donor would be used by random nearest neighbours, and how far each row's neighbours reach."""
    uses, reach = np.zeros(len(model.bundles)), np.zeros(len(receivers))
    for rows, far, able, some in model.places.uses(
        model.space.of(receivers.values), model._cells(receivers), model.neighbours
    ):
        uses[able] += some
        reach[rows] = far
    return uses, reach


def test_donors_are_used_as_often_as_the_receivers_near_them_ask_for():
    donors, receivers = table(200, 0), table(700, 1)
    weight = np.random.default_rng(2).exponential(size=200) * (np.arange(200) > 9)
    model = fitted({}, donors, weight)
    uses, _ = asked(model, receivers)
    assert uses.sum() == pytest.approx(700)
    assert (uses[:10] == 0).all()
    drawn = [np.bincount(model.choose(receivers, keys(700, i))[0], minlength=200) for i in range(1, 31)]
    assert np.abs(drawn - uses).max() < 1  # rounded up or down
    assert np.mean(drawn, axis=0) == pytest.approx(uses, abs=4 * 0.5 / np.sqrt(30))  # and neither too often
    # random nearest neighbours use donors as often on average
    nearest = method("nearest", {"importance": "equal", "neighbours": 12}).fit(
        donors, Table((Variable("row", Kind.CONTINUOUS),), np.arange(200.0)[:, None]), weight, np.random.default_rng(0)
    )
    often = np.mean(
        [np.bincount(nearest.choose(receivers, keys(700, i))[0], minlength=200) for i in range(1, 31)], axis=0
    )
    assert np.abs(often - uses).max() < 4.5 * np.sqrt(uses.max() / 30)


def test_matches_are_neighbours_and_the_rest_is_near():
    donors, receivers = table(300, 0), table(400, 1)
    model = fitted({}, donors, np.ones(300))
    _, reach = asked(model, receivers)
    got, fell_back = model.choose(receivers, keys(400))
    at = model.space.of(receivers.values)
    distance = np.abs(at[:, None] - model.places.at).sum(axis=2)
    mine = distance[np.arange(400), got]
    assert not fell_back.any()
    assert np.mean(mine <= reach + 1e-9) > 0.9  # donors given in any order: 12 of 300
    assert np.maximum(mine - reach, 0).mean() < 0.02 * distance.mean()
    among = [np.mean(distance[i] <= mine[i]) * 300 for i in range(400) if mine[i] <= reach[i]]
    assert np.mean(among) == pytest.approx(6.5, abs=0.8)  # which of the twelve is left to chance


def test_no_donor_is_used_more_often_than_it_may():
    donors, receivers = table(100, 0), table(299, 1)
    weight = np.random.default_rng(2).exponential(size=100) ** 3
    for most in (3, 5):
        counts = np.bincount(fitted({"most": most}, donors, weight).choose(receivers, keys(299))[0], minlength=100)
        assert counts.sum() == 299
        assert counts.max() == most
    free = np.bincount(fitted({}, donors, weight).choose(receivers, keys(299))[0], minlength=100)
    assert free.max() > 10
    with pytest.raises(MethodError, match=r"299 receivers can't each have one of 100 donors used at most 2 times"):
        fitted({"most": 2}, donors, weight).choose(receivers, keys(299))


def test_classes_agree_or_fall_back():
    donors, receivers = table(200, 0), table(200, 1)
    model = fitted({"classes": ["c"]}, donors, np.ones(200))
    got, fell_back = model.choose(receivers, keys(200))
    assert (donors.values[got, 2] == receivers.values[:, 2]).all()
    assert not fell_back.any()
    only = fitted(
        {"classes": ["c"]}, donors.take(donors.values[:, 2] == 0), np.ones(int((donors.values[:, 2] == 0).sum()))
    )
    assert np.array_equal(only.choose(receivers, keys(200))[1], receivers.values[:, 2] == 1)


def test_all_rows_are_drawn_in_one_call(monkeypatch):
    fusion = Fusion(
        Survey(example_donor(150), weight="weight", keys="id"),
        Survey(example_receiver(300), keys="id"),
        targets=["trips"],
        predictors=["income", "age", "region"],
    )
    chosen = method("constrained", {"most": 2})
    whole = impute(fusion, method=chosen, m=1)
    assert whole.manifest["donor_use"][0]["most_used"] == 2
    assert whole.manifest["donor_use"][0]["used"] == 150
    monkeypatch.setattr(implicates, "CHUNK", 100)
    again = impute(fusion, method=chosen, m=1)
    assert np.array_equal(whole.numbers("trips"), again.numbers("trips"))


@pytest.mark.parametrize(
    "bad", [{"most": 0}, {"most": 1.5}, {"neighbours": 0}, {"distance": "cosine"}, {"amounts": "x"}]
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("constrained", bad)


def test_damaged_files_are_refused():
    model = fitted({}, table(30, 0), np.ones(30))
    again = model.fresh()
    again.predictors, again.targets = model.predictors, model.targets
    arrays = model.state()
    for damaged in ("bundles", "donors.at", "donors.weight", "donors.cell", "scale", "counts"):
        with pytest.raises(MethodError):
            again.set_state({**arrays, damaged: arrays[damaged][:-1]})
