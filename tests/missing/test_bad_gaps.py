"""What can't be filled is refused: one error that names the column and what to do."""

import numpy as np
import pandas as pd
import pytest

from microimpute import MicroImputeError, Survey, impute_missing

ROWS = 60


def frame(**columns):
    rng = np.random.default_rng(0)
    plain = pd.DataFrame({"x": rng.normal(size=ROWS), "y": rng.normal(size=ROWS), "w": 1.0})
    plain.loc[:9, "y"] = np.nan
    return plain.assign(**columns)


def first(value, rest=np.nan):
    return [value] * 5 + [rest] * (ROWS - 5)


CASES = [
    ("'z' is missing in every row", {"z": np.nan}, {}),
    ("'z' is missing in every row", {"z": pd.Series([None] * ROWS, dtype=object)}, {}),
    ("no column has a missing value", {"y": 1.5}, {}),
    ("weight 'w' of the survey is missing in 5 of 60 rows", {"w": first(np.nan, 1.0)}, {"weight": "w"}),
    ("weight 'w' of the survey is negative", {"w": first(-1.0, 1.0)}, {"weight": "w"}),
    ("'z' has one observed value, 'yes'", {"z": first("yes", None)}, {}),
    ("'z' has one observed value, 3", {"z": first(3.0)}, {}),
    (
        "'z' has one observed value, 'yes'",
        {"z": ["yes"] * 5 + ["no"] + [None] * 54, "w": [1.0] * 5 + [0.0] + [1.0] * 54},
        {"weight": "w"},
    ),
    ("'z' is infinite in 5 rows", {"z": first(np.inf, 1.0)}, {}),
    ("target column 'yy' is not in the table. Did you mean 'y'", {}, {"targets": ["yy"]}),
    ("target 'x' has no missing value", {}, {"targets": ["x"]}),
    ("target 'w' is part of the survey's design", {}, {"targets": ["w"], "weight": "w"}),
    ("targets is one string", {}, {"targets": "y"}),
    ("there is no target", {}, {"targets": []}),
    ("predictor column 'xx' is not in the table", {}, {"predictors": {"y": ["xx"]}}),
    ("predictors are given for 'x', which is not filled", {}, {"predictors": {"x": ["y"]}}),
    ("'y' can't predict 'y'", {}, {"predictors": {"y": ["y"]}}),
    ("predictors of 'y' is one string", {}, {"predictors": {"y": "x"}}),
    ("order and targets differ in 'x'", {}, {"order": ["x", "y"]}),
    ("a kind is declared for 'q'", {}, {"kinds": {"q": "count"}}),
    ("a method is named for 'x', which is not filled", {}, {"method": {"x": "pmm"}}),
    ("there is no method 'prm'", {}, {"method": "prm"}),
    ("'mean' makes no draws", {}, {"method": "mean"}),
    ("'when' holds", {"when": pd.date_range("2020", periods=ROWS)}, {"predictors": {"y": ["when"]}}),
    ("iterations is 0", {}, {"iterations": 0}),
    ("m is 0", {}, {"m": 0}),
    ("seed is -1", {}, {"seed": -1}),
    ("workers is 0", {}, {"workers": 0}),
]


@pytest.mark.parametrize(("said", "columns", "options"), CASES, ids=[c[0] for c in CASES])
def test_one_clear_error(said, columns, options):
    with pytest.raises(MicroImputeError) as caught:
        impute_missing(frame(**columns), **options)
    assert said in str(caught.value)
    assert caught.value.remedy.strip()


def test_a_survey_with_implicates_or_without_rows_is_refused():
    with pytest.raises(MicroImputeError, match="implicates of its own"):
        impute_missing(Survey(frame(i=1), implicate="i"))
    with pytest.raises(MicroImputeError, match="has no rows"):
        impute_missing(frame().iloc[:0])
    with pytest.raises(MicroImputeError, match="more than once"):
        impute_missing(Survey(frame(i=1), keys="i"))


def test_what_is_left_as_it_is_is_said():
    dates = pd.Series(pd.date_range("2020", periods=ROWS)).mask(np.arange(ROWS) < 3)
    given = frame(when=dates, z=first(np.nan, 2.0), case=np.arange(ROWS) + 7)
    given["z"] = np.where(np.isnan(given["z"]), np.nan, np.arange(ROWS) % 7 + 0.5)
    done = impute_missing(given, targets=["y"], m=1)
    said = {note["text"]: note["warning"] for note in done.manifest["notes"]}
    assert any(text.startswith("when is left as it is: column 'when' holds") and loud for text, loud in said.items())
    assert any(text.startswith("z keeps its 5 gaps") for text in said)
    assert any(text.startswith("case names rows") for text in said)
    assert done.manifest["targets"][0]["predictors"] == ["x", "w", "z"]
    assert done.complete()["when"].isna().sum() == 3
    assert done.complete()["z"].isna().sum() == 5
    assert done.complete()["y"].notna().all()


def test_free_text_with_gaps_is_left_alone_and_said():
    text = [f"remark {i}" for i in range(ROWS - 5)] + [None] * 5
    done = impute_missing(frame(remark=text), m=1)
    assert done.columns == ("y",)
    assert any(note["text"].startswith("remark names rows") for note in done.manifest["notes"])


def test_a_weight_beside_a_survey_is_refused():
    with pytest.raises(MicroImputeError, match="beside a Survey"):
        impute_missing(Survey(frame()), weight="w")


def test_columns_never_observed_together_are_said():
    given = frame()
    given["z"] = np.where(np.isnan(given["y"]), np.arange(ROWS) * 1.0, np.nan)
    done = impute_missing(given, m=1, iterations=4)
    assert any("z and y are never" in n["text"] or "y and z are never" in n["text"] for n in done.manifest["notes"])
