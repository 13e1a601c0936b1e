"""Survey: a table's design is said once, and rows are known by their keys, never by where they stand."""

import datetime as dt
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.errors import SurveyError
from microimpute.survey import Check, Survey, replace_survey

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
COLUMNS = {
    "home": [7, 7, 8, 9],
    "person": [1, 2, 1, 1],
    "wgt": [1.5, 2.0, 0.0, 3.0],
    "draw": [1, 1, 1, 1],
    "rep1": [1.0, 1.0, 2.0, 2.0],
    "pay": [10.0, None, -0.5, 4.0],
    "place": ["a", "b", "b", "a"],
    "owner": [True, False, True, True],
}
rows = st.lists(st.tuples(st.integers(-2, 2), st.sampled_from("ab"), st.sampled_from([0.0, 0.5])), min_size=1)


@pytest.mark.parametrize(
    ("published", "found", "tolerance", "passed"),
    [
        (100, 101, 0.01, True),
        (100, 101.5, 0.01, False),
        (100, 98.5, 0.01, False),
        (-100, -99, 0.01, True),
        (-100, -98, 0.01, False),
        (100, float("nan"), 0.01, False),
    ],
)
def test_published_figures(published, found, tolerance, passed):
    assert Check("households", published, found, tolerance, "table 1").passed is passed


@pytest.mark.parametrize("role", ["weight", "implicate", "keys", "household", "replicates", "kinds"])
def test_each_role_wants_a_column_that_is_there(role):
    name = {"replicates": ["plcae"], "kinds": {"plcae": "count"}}.get(role, "plcae")
    with pytest.raises(SurveyError, match=rf"{role} column 'plcae' is not in.*Did you mean 'place'\?"):
        Survey(pd.DataFrame(COLUMNS), **{role: name})


def test_without_a_design_every_row_counts_alike():
    survey = Survey(pd.DataFrame(COLUMNS))
    assert survey.weights().tolist() == [1.0] * 4
    assert survey.implicates().tolist() == [1] * 4
    assert survey.design == frozenset()
    assert np.array_equal(survey.household_keys(), survey.row_keys())


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_numbers_of_any_frame_library(make):
    survey = Survey(make(COLUMNS), weight="wgt")
    assert type(survey.native) is type(make(COLUMNS))
    assert len(survey) == 4
    assert survey.weights().tolist() == [1.5, 2.0, 0.0, 3.0]
    np.testing.assert_array_equal(survey.numbers("pay"), [10.0, np.nan, -0.5, 4.0])
    whole = survey.numbers("home")
    assert (whole.dtype, whole.tolist()) == (np.float64, [7.0, 7.0, 8.0, 9.0])
    with pytest.raises(SurveyError, match=r"'pya' is not.*'pay'"):
        survey.numbers("pya")


def test_design_is_everything_that_is_not_about_the_unit():
    survey = Survey(
        pd.DataFrame(COLUMNS),
        weight="wgt",
        keys=["home", "person"],
        household="home",
        implicate="draw",
        replicates=["rep1"],
        kinds={"place": "categorical"},
    )
    assert survey.design == {"wgt", "home", "person", "draw", "rep1"}


def test_households_default_to_keys():
    frame = pd.DataFrame(COLUMNS)
    both = Survey(frame, keys=["home", "person"], household="home")
    assert len(np.unique(both.row_keys())) == 4
    home = both.household_keys()
    assert [home.tolist().index(k) for k in home.tolist()] == [0, 0, 2, 3]
    assert np.array_equal(home, Survey(frame, keys="home").household_keys())
    assert Survey(frame, keys="home").household == ("home",)


@settings(max_examples=50)
@given(rows, st.randoms(use_true_random=False))
def test_rows_are_known_by_content_wherever_they_stand(content, random):
    """Without keys: rows alike are numbered, so that all keys differ and none depends on other rows' order."""
    frame = pd.DataFrame(content, columns=["i", "t", "f"])
    order = list(range(len(frame)))
    random.shuffle(order)
    plain, mixed = Survey(frame).row_keys(), Survey(frame.iloc[order]).row_keys()
    assert len(set(plain.tolist())) == len(frame)
    assert set(plain.tolist()) == set(mixed.tolist())
    alone = {c: k for c, k in zip(content, plain.tolist(), strict=True) if content.count(c) == 1}
    again = zip([content[o] for o in order], mixed.tolist(), strict=True)
    assert alone == {c: k for c, k in again if content.count(c) == 1}


@settings(max_examples=50)
@given(rows)
def test_every_frame_library_gives_the_same_keys(content):
    columns = dict(zip("itf", map(list, zip(*content, strict=True)), strict=True))
    for keys in ((), ("t",), ("f", "i")):
        first, *others = (Survey(make(columns), keys=keys).row_keys() for make in FRAMES.values())
        assert all(np.array_equal(first, other) for other in others)


GAPPY = {
    "whole": [3, None, 2**40, -1],
    "pay": [0.5, None, 2.0, -0.0],
    "owner": [True, None, False, True],
    "place": ["Zürich", None, "b", "7a"],
    "day": [dt.date(2020, 2, 29), None, dt.date(1999, 1, 1), dt.date(2020, 3, 1)],
    "none": [None] * 4,
}
SOURCES = {
    **FRAMES,
    "arrow types": lambda columns: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "datetimes": lambda columns: pd.DataFrame(columns).assign(day=pd.to_datetime(pd.Series(columns["day"]))),
    "a.csv": lambda columns: pd.DataFrame(columns).to_csv("a.csv", index=False),
    "b.csv": lambda columns: pl.DataFrame(columns).write_csv("b.csv"),
    "a.parquet": lambda columns: pd.DataFrame(columns).to_parquet("a.parquet"),
    "b.parquet": lambda columns: pl.DataFrame(columns).write_parquet("b.parquet"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_gaps_give_the_same_keys_from_every_library_and_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = SOURCES[name](GAPPY)
    survey, known = Survey(name if made is None else made), Survey(pl.DataFrame(GAPPY))
    for column in GAPPY:
        keys = [replace_survey(s, household=(column,)).household_keys().tolist() for s in (survey, known)]
        assert keys[0] == keys[1], column
    assert np.array_equal(survey.row_keys(), known.row_keys())


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_a_gap_changes_its_own_rows_key_alone(make):
    whole = {"i": [1, 2, 3], "t": ["a", "b", "c"], "o": [True, False, True]}
    gappy = {name: [values[0], None, values[2]] for name, values in whole.items()}
    for columns in (("i",), ("t",), ("o",), tuple(whole)):
        full, some = (Survey(make({c: v[c] for c in columns})).row_keys()[[0, 2]] for v in (whole, gappy))
        assert np.array_equal(full, some)
    missing = {int(Survey(make(gappy), household=c).household_keys()[1]) for c in whole}
    assert len(missing) == 1  # missing is missing, whatever the column holds


def test_keys_of_keyed_surveys_stay():
    """Seeds must mean the same in every later version."""
    frame = pd.DataFrame({"id": [7, 2**40], "code": ["a7", "Zürich"], "own": [True, True]})
    keys = [Survey(frame, keys=k).row_keys().tolist() for k in ("id", "code", ("id", "code", "own"))]
    assert keys == [
        [14224943431336251958, 2165167520313135935],
        [17533665259217699520, 3271749273812583913],
        [10570380438117656960, 4799785616950626103],
    ]


def test_numbers_and_implicates_want_numbers():
    for make in FRAMES.values():
        with pytest.raises(SurveyError, match=r"column 'place' holds String, not numbers\. Convert it"):
            Survey(make(COLUMNS)).numbers("place")
        for odd in ([1.2, 1.7, 1.0], [1.0, None, 2.0]):
            with pytest.raises(
                SurveyError, match=r"implicate column 'i' is missing or no whole number in \d of 3 rows"
            ):
                Survey(make({"i": odd}), implicate="i")
        with pytest.raises(SurveyError, match=r"'i' holds String, not numbers"):
            Survey(make({"i": ["1", "2"]}), implicate="i")
        assert Survey(make({"i": [1.0, 2.0]}), implicate="i").implicates().tolist() == [1, 2]


def test_keys_do_not_see_other_columns():
    frame = pd.DataFrame(COLUMNS)
    keyed = Survey(frame, keys=["home", "person"]).row_keys()
    assert np.array_equal(Survey(frame.assign(pay=0.0), keys=["home", "person"]).row_keys(), keyed)
    assert not np.array_equal(Survey(frame, keys=["person", "home"]).row_keys(), keyed)


def test_new_columns_meet_rows_by_position_and_never_overwrite():
    frame = pd.DataFrame(COLUMNS, index=[3, 2, 2, 0])
    survey = Survey(frame, weight="wgt", kinds={"pay": "continuous"}, dollars=2014, unit="person", notes=["n"])
    more = survey.with_columns({"age": np.array([5, 6, 7, 8])}, dollars=2019)
    assert more.native["age"].tolist() == [5, 6, 7, 8]
    assert more.native.index.tolist() == [3, 2, 2, 0]
    assert (more.dollars, more.weight, more.unit, more.notes) == (2019, "wgt", "person", ("n",))
    assert more.kinds == {"pay": "continuous"}
    assert (survey.dollars, survey.columns) == (2014, list(COLUMNS))
    with pytest.raises(SurveyError, match="column 'pay' is in the table already"):
        survey.with_columns({"pay": np.zeros(4)})


def test_surveys_do_not_change_behind_ones_back():
    kinds = {"pay": "continuous"}
    survey = Survey(pd.DataFrame(COLUMNS), kinds=kinds)
    kinds["nowhere"] = "count"
    assert survey.kinds == {"pay": "continuous"}
    with pytest.raises(FrozenInstanceError):
        survey.weight = "wgt"
    with pytest.raises(SurveyError, match="'nowhere'"):
        replace_survey(survey, kinds=kinds)
