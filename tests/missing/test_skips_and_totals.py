"""Skips and passive totals: what was not asked stays so, and sums are exact in every implicate."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Requires, impute_missing
from microimpute.errors import MethodError, SurveyError
from microimpute.kinds import Kind, Variable
from microimpute.methods.srmi import SRMI
from microimpute.missing.chain import Chain
from microimpute.missing.conditions import condition

pytestmark = pytest.mark.filterwarnings("ignore::microimpute.missing.ConvergenceWarning")


def workers(rows=600, seed=0):
    """Hours and wages only of those who work; some do not say whether they do, or how much."""
    rng = np.random.default_rng([seed, 21])
    age = rng.normal(45, 15, rows)
    works = rng.random(rows) < 1 / (1 + np.exp((age - 60) / 8))
    hours = np.where(works, np.round(rng.normal(38, 8, rows), 1), np.nan)
    wages = np.where(works, np.exp(6 + hours / 40 + 0.3 * rng.normal(size=rows)), np.nan)
    rent = np.where(rng.random(rows) < 0.7, 0.0, np.exp(rng.normal(6, 1, rows)))
    frame = pd.DataFrame({"age": age, "works": works, "hours": hours, "wages": wages, "rent": rent})
    frame["works"] = frame["works"].astype("boolean").mask(rng.random(rows) < 0.2)
    for column, share in (("hours", 0.2), ("wages", 0.2), ("rent", 0.2)):
        frame[column] = frame[column].mask(rng.random(rows) < share)
    return frame, works


SKIPS = {"hours": "works == 1", "wages": Requires("wages", ("works",))}


@pytest.fixture(scope="module")
def filled():
    frame, works = workers()
    done = impute_missing(frame, m=4, iterations=6, skips=SKIPS, passive=["income = wages + rent"], seed=1)
    return frame, works, done


def test_questions_not_asked_stay_not_asked_and_all_others_are_answered(filled):
    frame, _, done = filled
    for i in range(1, 5):
        got = done.complete(i)
        yes = got["works"].astype(bool)
        for column in ("hours", "wages"):
            assert (got[column].notna() == yes).all()
            kept = frame[column].notna()
            assert got[column][kept].equals(frame[column][kept])
        answered = frame["hours"].notna() | frame["wages"].notna()
        assert yes[answered].all()  # who says how long says that he works
        assert not yes[frame["works"].notna() & ~frame["works"].fillna(False)].any()


def test_they_are_counted_and_said(filled):
    frame, _, done = filled
    certain = int((frame["works"].notna() & ~frame["works"].fillna(False)).sum())
    skips = {s["column"]: s for s in done.manifest["skips"]}
    assert skips["hours"]["certain"] == skips["wages"]["certain"] == certain
    assert skips["hours"]["not_asked"] == [int(done.complete(i)["hours"].isna().sum()) for i in range(1, 5)]
    assert skips["hours"]["asked_if"] == "works == 1"
    assert any(f"not asked in {certain:,} rows" in note["text"] for note in done.manifest["notes"])


def test_the_share_who_work_comes_back_where_it_is_not_known(filled):
    """Drawn answers follow age; rows in which other answers tell all are among them."""
    frame, works, done = filled
    lost = frame["works"].isna().to_numpy()
    young = frame["age"].to_numpy() < 55
    for group in (lost & young, lost & ~young):
        got = np.mean([done.complete(i)["works"].to_numpy(dtype=float)[group].mean() for i in range(1, 5)])
        assert got == pytest.approx(works[group].mean(), abs=4 * np.sqrt(0.25 * 1.25 / group.sum()))


def test_answers_tell_nothing_back_to_the_question_that_decides_on_them(filled):
    _, _, done = filled
    predictors = {t["name"]: t["predictors"] for t in done.manifest["targets"]}
    assert predictors["works"] == ["age", "rent"]
    assert set(predictors["hours"]) == {"age", "works", "wages", "rent", "income"}
    assert set(predictors["wages"]) == {"age", "works", "hours", "rent"}  # income is its total
    order = done.manifest["order"]
    assert order.index("works") < min(order.index("hours"), order.index("wages"))


def test_totals_are_exact_in_every_implicate_and_what_was_not_asked_counts_nothing(filled):
    _, _, done = filled
    assert done.columns[-1] == "income"
    assert done.manifest["derived"] == ["income"]
    for i in range(1, 5):
        got = done.complete(i)
        assert (got["income"] == got["wages"].fillna(0.0) + got["rent"]).all()
    assert done.manifest["rules"] == [{"rule": "income = wages + rent", "broken_draws": 0}]


def test_an_observed_total_is_kept_and_an_incomplete_one_filled():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"a": rng.integers(0, 50, 200) + 0.4, "b": rng.normal(10, 2, 200), "z": rng.normal(size=200)})
    frame["total"] = np.round(frame["a"] - frame["b"])  # files hold rounded totals
    frame.loc[:59, ["a", "total"]] = np.nan
    frame.loc[40:79, ["b", "total"]] = np.nan
    frame.loc[100:119, "z"] = np.nan
    done = impute_missing(frame, m=2, passive=["total = a - b"], iterations=3)
    for i in (1, 2):
        got = done.complete(i)
        assert got["total"][80:].equals(frame["total"][80:])
        assert (got["total"] == got["a"] - got["b"])[:80].all()
    predictors = {t["name"]: t["predictors"] for t in done.manifest["targets"]}
    assert "total" in predictors["z"]
    assert "total" not in predictors["a"] + predictors["b"]


def test_an_observed_total_may_have_parts_that_were_not_asked():
    frame, _ = workers()
    frame["works"] = frame["works"].fillna(frame["hours"].notna() | frame["wages"].notna())
    unasked = ~frame["works"].astype(bool)
    frame["income"] = frame["rent"].where(unasked)  # of the others not known
    done = impute_missing(frame, m=1, skips=SKIPS, passive=["income = wages + rent"], iterations=4)
    got = done.complete()
    assert (got["income"] == got["wages"].fillna(0.0) + got["rent"]).all()
    wrong = frame.assign(income=frame["income"] + 5.0)
    refused("'income = wages + rent' is broken by", wrong, skips=SKIPS, passive=["income = wages + rent"])


@pytest.mark.parametrize("dtype", ["Int64", "float32"])
def test_totals_are_exact_for_whole_and_for_short_numbers(dtype):
    rng = np.random.default_rng(9)
    frame = pd.DataFrame(
        {"a": rng.normal(9000, 900, 200).round(), "b": rng.normal(9000, 900, 200).round(), "z": rng.normal(size=200)}
    )
    frame = frame.mask(rng.random(frame.shape) < 0.2).astype({"a": dtype, "b": dtype})
    got = impute_missing(frame, m=1, passive=["t = a + b"], iterations=4).complete()
    assert got["a"].dtype == frame["a"].dtype
    assert (got["t"] == got["a"].astype("float64") + got["b"].astype("float64")).all()


def test_a_total_predicts_as_it_stands():
    """z is the total and little else; drawn from the total alone, it fits the parts that were drawn."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"a": rng.normal(size=800), "b": rng.normal(size=800)})
    frame["z"] = frame["a"] + frame["b"] + 0.05 * rng.normal(size=800)
    for column in frame:
        frame.loc[rng.random(800) < 0.2, column] = np.nan
    done = impute_missing(frame, m=1, passive=["t = a + b"], predictors={"z": ["t"]}, iterations=8)
    got, lost = done.complete(), frame["z"].isna()
    assert (got["z"] - got["t"])[lost].std() < 0.15  # a stale total would be off by about 1
    assert np.allclose(got["t"], got["a"] + got["b"])


def test_answers_asked_by_one_of_several_conditions():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"job": rng.integers(0, 2, 300) * 1.0, "shop": rng.integers(0, 2, 300) * 1.0})
    asked = (frame["job"] != 0) | (frame["shop"] != 0)
    frame["hours"] = np.where(asked, rng.normal(30, 5, 300), np.nan)
    frame["over"] = np.where(frame["hours"] > 30, rng.normal(5, 1, 300), np.nan)
    for column in ("job", "shop", "hours"):
        frame[column] = frame[column].mask(rng.random(300) < 0.25)
    frame["over"] = frame["over"].mask(rng.random(300) < 0.2)
    skips = {"over": "hours > 30", "hours": "hours requires job or shop"}
    done = impute_missing(frame, m=3, skips=skips, kinds={"job": "binary", "shop": "binary"}, iterations=5)
    for i in (1, 2, 3):
        got = done.complete(i)
        assert (got["hours"].notna() == ((got["job"] != 0) | (got["shop"] != 0))).all()
        assert (got["over"].notna() == (got["hours"] > 30)).all()
        known = frame["over"].notna()
        assert (got["hours"][known] > 30).all()


def test_between_a_gate_and_what_it_decides_others_see_no_half_changed_rows(monkeypatch):
    """Rent is drawn after works and before hours: there, too, hours have a value exactly where they are asked."""
    seen = []

    def watched(self, target, rows, donors, number):
        if target.name == "rent" and number > 1:
            seen.append((np.isnan(self.values["hours"]) == (self.values["works"] == 0)).all())
            new = self.values["hours"][~np.isnan(self.values["hours"])]
            seen.append(set(new) <= set(frame["hours"].dropna()) | drawn)
        out = draw(self, target, rows, donors, number)
        if target.name == "hours":
            drawn.update(out)
        return out

    frame, drawn, draw = workers()[0], set(), Chain._draw
    monkeypatch.setattr(Chain, "_draw", watched)
    impute_missing(frame, m=1, iterations=4, skips=SKIPS, order=["works", "rent", "hours", "wages"])
    assert len(seen) == 6
    assert all(seen)


VARIABLES = {
    "works": Variable("works", Kind.BINARY, (False, True)),
    "sector": Variable("sector", Kind.CATEGORICAL, ("home and away", "private", "public")),
    "grade": Variable("grade", Kind.ORDINAL, ("low", "middle", "high")),
    "age": Variable("age", Kind.CONTINUOUS),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("works == 1", [1, 1, 0, 0]),
        ("works != True", [0, 0, 1, 0]),
        ("age>=16", [1, 0, 1, 1]),
        ("age < 16.5 and works == 1", [0, 1, 0, 0]),
        ("sector == 'home and away' and age > 0", [1, 0, 0, 1]),
        ('sector != "public"', [1, 0, 1, 1]),
        ("grade >= middle", [0, 1, 1, 0]),
        ("hours requires works", [1, 1, 0, 0]),
    ],
)
def test_conditions_are_read(text, holds):
    columns = {
        "works": np.array([1.0, 1.0, 0.0, np.nan]),
        "sector": np.array([0.0, 2.0, 1.0, 0.0]),
        "grade": np.array([0.0, 1.0, 2.0, np.nan]),
        "age": np.array([20.0, 10.0, 30.0, 16.5]),
    }
    assert condition("hours", text, VARIABLES).holds(columns).tolist() == [bool(h) for h in holds]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("works", "is not understood"),
        ("works == 1 or age > 3", "is not understood"),
        ("works == 1 and", "is not understood"),
        ("work == 1", "Did you mean 'works'"),
        ("works == 2", "'works' with '2', which no row has"),
        ("sector > public", "whose levels have no order"),
        ("age == old", "compares the amount 'age' with old"),
        ("hours > 3", "about itself"),
        ("wages requires works", "speaks of another column"),
        (3, "the skip of 'hours' is 3"),
    ],
)
def test_conditions_that_can_not_be_read(text, said):
    with pytest.raises(SurveyError, match=said.replace("(", r"\(")):
        condition("hours", text, VARIABLES | {"hours": Variable("hours", Kind.CONTINUOUS)})


def refused(said, frame=None, **options):
    with pytest.raises(SurveyError) as caught:
        impute_missing(workers()[0] if frame is None else frame, **options)
    assert said in str(caught.value)
    assert caught.value.remedy


def test_contradictions_are_refused():
    frame, _ = workers()
    odd = frame.assign(hours=frame["hours"].where(frame.index != frame.index[frame["works"] == False][0], 12.0))  # noqa: E712
    refused("'hours' has a value in 1 rows where 'works == 1' does not hold", odd, skips=SKIPS)
    refused("go in a circle", skips={"hours": "wages > 0", "wages": "hours > 0"})
    refused("'works' decides whether 'hours' is asked", targets=["hours"], skips=SKIPS)
    refused("order has 'hours' before 'works'", skips=SKIPS, order=["hours", "works", "wages", "rent"])
    refused("'hours' can't predict 'works': it is asked only where", skips=SKIPS, predictors={"works": ["hours"]})
    refused("'t' can't predict 'rent': it is the total", passive=["t = rent + age"], predictors={"rent": ["t"]})
    refused("is no identity", passive=["rent >= 0"])
    refused("needs amounts, but 'works' is a class", passive=["t = rent + works"])
    refused("passive is one rule", passive="t = rent + age")
    refused("part 'rent' of 't = rent + age' has gaps", targets=["wages"], passive=["t = rent + age"])
    total = frame.assign(t=frame["rent"].fillna(0) + frame["age"])
    refused("total 't' is observed in", total, passive=["t = rent + age"])
    wrong = frame.assign(t=np.where(frame["rent"].isna(), np.nan, frame["age"] + 99))
    refused("passive rule 't = rent + age' is broken by", wrong, passive=["t = rent + age"])
    refused("skip column 'hour' is not in the table", skips={"hour": "works == 1"})
    refused(
        "'t' is a passive total and can't have a skip",
        wrong.assign(t=np.nan),
        passive=["t = rent + age"],
        skips={"t": "works == 1"},
    )


def test_an_answer_for_which_nobody_is_known_to_be_asked():
    """Who answers is over five, but nobody who is known to be so can be drawn from."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"size": rng.uniform(0, 5, 80), "staff": np.nan, "x": rng.normal(size=80)})
    frame.loc[:9, "size"] = np.nan
    frame.loc[:4, "staff"] = [10.0, 20.0, 30.0, 40.0, 50.0]
    with pytest.raises(SurveyError, match="5 rows without 'size' answer what is asked only if"):
        impute_missing(frame, skips={"staff": "size > 5"})
    frame.loc[10:12, "size"] = [6.0, 7.0, 8.0]
    got = impute_missing(frame, skips={"staff": "size > 5"}, m=1).complete()
    assert (got["size"][:5] > 5).all()
    assert got["staff"][10:13].notna().all()


def test_draws_that_contradict_answers_are_refused():
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"size": rng.uniform(3, 7, 200), "x": rng.normal(size=200)})
    frame["staff"] = np.where(frame["size"] > 5, rng.normal(10, 2, 200), np.nan)
    frame.loc[rng.random(200) < 0.3, "size"] = np.nan
    options = {"skips": {"staff": "size > 5"}, "m": 2, "iterations": 4}
    got = impute_missing(frame, **options).complete()
    assert (got["size"][frame["staff"].notna()] > 5).all()
    with pytest.raises(MethodError, match=r"'srmi' drew .* values of 'size' that contradict answers"):
        impute_missing(frame, method={"size": SRMI(bounds={"size": [None, None]})}, **options)
