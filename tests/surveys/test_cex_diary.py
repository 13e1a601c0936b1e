"""The Diary's release of 2021, and spoilt copies of a small one."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ce_made import Change, write_release

from microimpute.errors import SurveyError
from microimpute.readers.ce_columns import REPLICATES
from microimpute.readers.ucc import CATEGORIES
from microimpute.survey import Survey
from microimpute.surveys.base import connector
from microimpute.surveys.cex_diary import CEXDiary


@pytest.fixture(scope="module")
def published(shared: Path) -> Survey:
    return CEXDiary().read(shared / "data" / "ce_diary_2021" / "diary21.zip")


def test_published_figures(published: Survey) -> None:
    weight = published.weights()
    assert len(published) == 12_067
    assert weight.sum() == pytest.approx(133.3086e6, rel=1e-6)
    every = published.numbers("total") + published.numbers("not_spending")
    assert np.average(every, weights=weight) == pytest.approx(784.88, abs=0.005)
    assert [(c.figure, c.passed) for c in published.checks] == [
        ("consumer units, millions", True),
        ("mean food at home, dollars a year", True),
    ]
    assert "389,032 lines of expenditure" in published.notes
    assert not any("no grouping" in note or "belong to no" in note for note in published.notes)


def test_replicates_make_a_plausible_error(published: Survey) -> None:
    """Half-samples: the error of mean food at home is near that of a simple sample of clusters, 1% to 4%."""
    many = published.replicated()
    food = published.numbers("food_home")
    full = np.average(food, weights=many.weight)
    halves = np.array([np.average(food, weights=many.replicates[:, r]) for r in range(44)])
    assert 0.01 < np.sqrt(np.mean((halves - full) ** 2)) / full < 0.04
    assert many.replicates.sum(axis=0) == pytest.approx(np.full(44, many.weight.sum()), rel=0.06)


def test_weeks_without_a_line_are_zero(published: Survey) -> None:
    assert np.isfinite(published.numbers("tobacco")).all()
    assert (published.numbers("tobacco") == 0).mean() > 0.9
    assert len(np.unique(published.numbers("CUID"))) == 6_172
    assert published.household == ("CUID",)


def small(path: Path, changes: Mapping[str, Change] | None = None, leave_out: tuple[str, ...] = ()) -> Path:
    """Two consumer units with two weeks each a quarter, in the layout of the trimmed file at hand."""
    with zipfile.ZipFile(path, "w") as archive:
        for q in (1, 2, 3, 4):
            newid = [1000 * q + 11, 1000 * q + 12, 1000 * q + 21, 1000 * q + 22]
            families = pd.DataFrame({"NEWID": [f"{n:08d}" for n in newid], "FINLWT21": [10.0, 10.0, 30.0, 30.0]})
            for i, r in enumerate(REPLICATES):
                families[r] = [20.0, 20.0, np.nan, np.nan] if i % 2 else [np.nan, np.nan, 60.0, 60.0]
            spent = pd.DataFrame(
                [(newid[0], 5.0, 2, "790240"), (newid[0], 7.0, 2, "010110"), (newid[3], 100.0, 2, "001000")],
                columns=["NEWID", "COST", "PUB_FLAG", "UCC"],
            ).assign(EXPNMO=3 * q, EXPNYR=2021)
            for name, table in ((f"fmld21{q}", families), (f"expd21{q}", spent)):
                if name not in leave_out:
                    content = (changes or {}).get(name, lambda t: t)(table)
                    archive.writestr(f"diary21/{name}.csv", content.to_csv(index=False, na_rep="NA"))
    return path


def test_lines_are_added_up(tmp_path: Path) -> None:
    week, year = (CEXDiary().read(small(tmp_path / "diary21.zip"), period=p) for p in ("week", "year"))
    assert week.numbers("food_home").tolist() == [12.0, 0.0, 0.0, 0.0] * 4
    assert week.numbers("not_spending").tolist() == [0.0, 0.0, 0.0, 100.0] * 4  # its factor of 4 is the Interview's
    assert year.numbers("food_home").tolist() == [624.0, 0.0, 0.0, 0.0] * 4
    assert year.numbers("total").tolist() == year.numbers("food_home").tolist()
    assert week.weights().sum() == 80.0
    assert week.numbers("WTREP01").tolist() == [0.0, 0.0, 15.0, 15.0] * 4
    assert set(CATEGORIES) <= set(week.columns)
    assert set(week.columns) <= set(CEXDiary.variables)
    assert not week.checks[0].passed


@pytest.mark.parametrize(
    ("changes", "leave_out", "message"),
    [
        ({"fmld212": lambda t: t.drop(columns=["WTREP07"])}, (), "fmld212.csv in diary21.zip has no column WTREP07"),
        ({"expd213": lambda t: t.rename(columns={"UCC": "CODE"})}, (), "expd213.csv in diary21.zip has no column UCC"),
        ({"fmld212": lambda t: pd.concat([t, t])}, (), r"4 weeks \(NEWID\) stand in the family files more than once"),
        ({"fmld212": lambda t: t.assign(FINLWT21=np.nan)}, (), "FINLWT21 of diary21/fmld212.csv holds 4 gaps"),
        ({"expd213": lambda t: t.assign(NEWID=99)}, (), "3 of 12 lines of expenditure .25.0%. have a NEWID that no"),
        ({"expd213": lambda t: t.assign(UCC="123456")}, (), "no grouping knows: 123456"),
        ({"expd213": lambda t: t.assign(UCC="12345678")}, (), "more than six digits"),
        ({}, ("expd214",), "diary21.zip has no expd file of 2021Q4"),
        ({}, ("fmld211", "fmld212", "fmld213", "fmld214"), "holds no fmld"),
    ],
)
def test_spoilt(changes: Mapping[str, Change], leave_out: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=message):
        CEXDiary().read(small(tmp_path / "diary21.zip", changes, leave_out))


def test_broken_files(tmp_path: Path) -> None:
    path = small(tmp_path / "diary21.zip")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(SurveyError, match=r"can't be unpacked.*cut off"):
        CEXDiary().read(path)
    path.write_text("<html></html>")
    with pytest.raises(SurveyError, match="web page"):
        CEXDiary().read(path)
    write_release(path)
    with pytest.raises(SurveyError, match=r"is of the Interview, not of the Diary.*'cex'"):
        CEXDiary().read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"year": 2020}, "is of 2021, not of 2020"),
        ({"period": "month"}, "'month'"),
        ({"unit": "x"}, "no option 'unit'"),
    ],
)
def test_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=message):
        CEXDiary().read(small(tmp_path / "diary21.zip"), **options)


def test_registry_finds_it() -> None:
    assert isinstance(connector("cex_diary"), CEXDiary)
