"""Choosing by held-out draws: folds of households, skill between shuffle and truth, vetoes."""

from dataclasses import replace

import numpy as np
import pytest

from microimpute import selection
from microimpute.held_out import Donors, HeldOut
from microimpute.kinds import Kind, Table, Variable
from microimpute.rules import parse_all
from microimpute.selection import FAILED, Judge, Verdict, choose
from microimpute.ties import ties

NAMES = ("house", "mortgage", "kind")


def donors(rows=600, seed=0):
    """Houses follow a predictor; a mortgage needs a house; two persons a household."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    house = np.where(x + 0.5 * rng.normal(size=rows) > 0, np.exp(x + 0.3 * rng.normal(size=rows)), 0.0)
    mortgage = np.where((house > 0) & (rng.random(rows) < 0.5), house * rng.random(rows), 0.0)
    kind = (x + rng.normal(size=rows) > 0).astype(float)
    targets = (
        Variable("house", Kind.SEMICONTINUOUS),
        Variable("mortgage", Kind.SEMICONTINUOUS),
        Variable("kind", Kind.BINARY, ("a", "b")),
    )
    rules = parse_all(["mortgage requires house", "net = house - mortgage"])
    Y = Table(targets, np.column_stack([house, mortgage, kind]), ties(rules, NAMES))
    X = Table(
        (Variable("x", Kind.CONTINUOUS),), x[:, None], households=np.repeat(np.arange(rows // 2), 2).astype(np.uint64)
    )
    return Donors.of(X, Y, rng.uniform(0.5, 2.0, rows))


@pytest.fixture(scope="module")
def held_out():
    return HeldOut.divide(donors(), 1000, 3, 4, seed=0)


@pytest.fixture(scope="module")
def judge(held_out):
    return Judge(held_out)


def repeated(held_out):
    """The truth as its own draws, which no method knows: what is best in everything."""
    return np.repeat(held_out.donors.Y.values[None], held_out.draws, axis=0)


def test_households_stay_together_and_folds_are_even():
    divided = HeldOut.divide(donors(), 90, 3, 2, seed=1)
    names = divided.donors.households
    assert len(np.unique(names)) == 90
    assert len(divided.donors) == 180  # whole households
    assert all(len(np.unique(divided.fold[names == name])) == 1 for name in np.unique(names))
    assert [len(np.unique(names[divided.fold == f])) for f in range(3)] == [30, 30, 30]
    for _, learn, rows in divided.parts():
        assert not set(learn.households) & set(names[rows])


def test_households_are_resampled_whole():
    one = donors()
    again = one.resampled(np.random.default_rng(0))
    factor = again.weight / one.weight
    assert np.allclose(factor[::2], factor[1::2])
    assert again.weight.sum() == pytest.approx(len(one))
    assert np.std(factor[::2]) / np.mean(factor[::2]) == pytest.approx(1.0, abs=0.25)  # standard exponential numbers


def test_donors_without_weight_or_households():
    one = donors()
    weight = one.weight.copy()
    weight[:10] = 0
    bare = Table(one.X.variables, one.X.values)
    kept = Donors.of(bare, one.Y, weight)
    assert len(kept) == len(one) - 10
    assert len(np.unique(kept.households)) == len(kept)


def test_draws_come_from_the_other_folds(held_out):
    """A sampler that draws what it learnt from never draws a row's own household."""
    values = held_out.donors.Y.values[:, 0]
    drawn = held_out.draw(lambda learn, rng: lambda X, r: learn.Y.values[(r.uniform("a") * len(learn)).astype(int)])
    for part in (drawn, held_out.shuffled(0)):
        for number in range(held_out.folds):
            rows = held_out.fold == number
            own = set(values[rows]) - {0.0}
            assert not own & set(part[:, rows, 0].ravel())


def test_the_shuffle_goes_by_weight(held_out):
    """With owners' weights cut to a tenth, a tenth as many are drawn for each other donor."""
    owns = held_out.donors.Y.values[:, 0] > 0
    weight = np.where(owns, 0.1, 1.0)
    tilted = replace(held_out, donors=replace(held_out.donors, weight=weight))
    got = np.mean([np.mean(tilted.shuffled(r)[:, :, 0] > 0) for r in range(4)])
    assert got == pytest.approx(np.average(owns, weights=weight), abs=0.04)
    assert np.mean(owns) > 0.4  # far from that


def test_the_shuffle_has_no_skill_and_the_truth_has_all(held_out, judge):
    judge.hear("shuffle", held_out.shuffled(7))
    judge.hear("truth", repeated(held_out))
    verdicts = judge.verdicts()
    assert all(skill > 0.95 for family, skill in verdicts["truth"].families.items() if family != "policy")
    assert abs(verdicts["shuffle"].mean) < 0.15
    assert verdicts["truth"].mean > 0.9


def test_totals_are_asked_too(held_out, judge):
    scored = judge.question(held_out.shuffled(0))
    house, mortgage = held_out.donors.Y.values[:, :2].T
    assert np.allclose(scored.totals["total 0"], house - mortgage)
    assert scored.drawn_totals["total 0"].shape == (4, len(house))


@pytest.mark.parametrize(
    ("position", "value", "told"),
    [
        (0, np.nan, "missing or infinite"),
        (0, 0.0, "an edit rule on 'mortgage'"),
        (1, -1.0, "'mortgage' are none that a donor could have"),
        (2, 2.0, "'kind' are none that a donor could have"),
        (2, 0.5, "'kind' are none that a donor could have"),
    ],
)
def test_what_no_donor_could_have_is_refused(held_out, judge, position, value, told):
    drawn = repeated(held_out)
    assert judge.hear("fine", drawn) is None
    drawn[0, :, position] = value
    assert told in judge.hear("bad", drawn)


def test_an_unstable_figure_is_not_asked(monkeypatch):
    """A median hardly above zero: its ratio to P90 is far off in any resample, and says nothing of methods."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=400)
    y += 0.001 - np.quantile(y, 0.5, method="inverted_cdf")
    X = Table((Variable("x", Kind.CONTINUOUS),), rng.normal(size=(400, 1)))
    Y = Table((Variable("y", Kind.CONTINUOUS),), y[:, None])
    judge = Judge(HeldOut.divide(Donors.of(X, Y, np.ones(400)), 400, 3, 4, seed=0))
    judge.hear("normal", rng.normal(size=(4, 400, 1)) + 0.001)
    asked = []
    skill = selection.with_skill
    monkeypatch.setattr(selection, "with_skill", lambda frame: asked.append(set(frame["metric"])) or skill(frame))
    judge.verdicts()
    assert "p90_p50" not in asked[0]
    assert {"crps", "gini", "pmse"} <= asked[0]


def verdict(**families):
    return Verdict(families)


def test_the_highest_mean_wins_unless_it_fails_a_family():
    sound, failing = verdict(joint=0.4, tails=0.2), verdict(joint=0.9, tails=FAILED - 0.01)
    chosen, why = choose({"failing": failing, "sound": sound})
    assert chosen == "sound"
    assert why == {"failing": "vetoed: worse than ignoring the predictors in tails"}
    chosen, why = choose({"nearly": verdict(joint=0.9, tails=FAILED), "sound": sound})
    assert chosen == "nearly"
    assert why == {"sound": "lower mean skill"}


def test_where_all_fail_the_mean_decides():
    chosen, why = choose({"a": verdict(joint=0.1, tails=-0.5), "b": verdict(joint=0.6, tails=-0.5)})
    assert chosen == "b"
    assert why == {"a": "lower mean skill"}


def test_ties_go_to_the_first_that_is_the_cheapest():
    chosen, why = choose({"cheap": verdict(joint=0.5), "dear": verdict(joint=0.5)})
    assert chosen == "cheap"
    assert why == {"dear": "no higher mean skill, and costs more"}
    assert choose({"a": verdict(), "b": verdict()})[0] == "a"  # nothing can be told


def test_figures_of_a_verdict():
    one = verdict(joint=0.5, tails=-0.2)
    assert one.mean == pytest.approx(0.15)
    assert one.worst == "tails"
    assert one.fails
    nothing = verdict()
    assert nothing.mean is None
    assert nothing.worst is None
    assert not nothing.fails
