"""The Consumer Expenditure Diary: public-use releases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from microimpute.errors import SurveyError
from microimpute.readers.ce_columns import (
    CHARACTERISTICS,
    DESIGN_LABELS,
    PUBLISHED,
    REPLICATES,
    TABLES,
    WEIGHT,
    kinds_of,
    labels_of,
)
from microimpute.readers.ce_files import Release, open_release, read_columns, whole_numbers
from microimpute.readers.ce_spending import Tally
from microimpute.readers.ucc import CATEGORIES, UccTable, read_grouping, ucc_table
from microimpute.survey import Check, Survey
from microimpute.surveys.base import Connector

__all__ = ["CEXDiary"]

WEEKS = 52.0
#: Mean annual spending on food at home, taken from the Diary alone in the published tables.
FOOD_AT_HOME = {
    **{2013: 3_977, 2014: 3_971, 2015: 4_015, 2016: 4_049, 2017: 4_363, 2018: 4_464, 2019: 4_643, 2020: 4_942},
    **{2021: 5_259, 2022: 5_703, 2023: 6_053},
}
_PERIODS = {"week": 1.0, "year": WEEKS}
_WHOLE = tuple(c for c, (k, _) in CHARACTERISTICS.items() if k.value != "semicontinuous")
#: The Diary's characteristics have the Interview's names; its income differs, and its own columns of one member.
_ASKED = ("AGE_REF", "SEX_REF", "EDUC_REF", "HIGH_EDU", "REF_RACE", "HISP_REF", "MARITAL1", "FAM_SIZE", "FAM_TYPE")
_ASKED_TOO = ("PERSLT18", "PERSOT64", "NO_EARNR", "CUTENURE", "REGION", "STATE", "BLS_URBN", "POPSIZE", "VEHQ")
_OWN_LABELS = {
    "NEWID": "consumer unit and week (last digit, 1 or 2)",
    "WEEK": "week of the diary, 1 or 2",
    "YEAR": "year of the release",
    "QUARTER": "quarter of the release",
    "FINLWT21": "weight as published; each quarter's add up to one population",
    "not_spending": "lines that are no part of total expenditures: savings, taxes, mortgage payments, property",
}


class CEXDiary(Connector):
    """Reads one year's Diary release, ``diary21.zip`` or its folder.

    A row is a week of a consumer unit; a category without a line is 0. The Diary asks of small and frequent purchases:
    what it says of large ones is not for use. A week is no year: many zeros of a week are none of a year, so it is a
    source of means and of checks on the Interview, hardly a donor of amounts.
    """

    name: ClassVar[str] = "cex_diary"
    title: ClassVar[str] = "Consumer Expenditure Surveys, Diary, public-use microdata"
    publisher: ClassVar[str] = "https://www.bls.gov/cex/pumd.htm"
    variables: ClassVar[Mapping[str, str]] = {
        **{c: DESIGN_LABELS[c] for c in ("CUID", WEIGHT, *REPLICATES)},
        **{c: CHARACTERISTICS[c][1] for c in (*_ASKED, *_ASKED_TOO)},
        "total": "total expenditures, dollars",
        **{c: f"{label}, dollars" for c, label in CATEGORIES.items()},
        **_OWN_LABELS,
    }
    options: ClassVar[Mapping[str, str]] = {
        "year": "calendar year; default: found in the release",
        "period": "'week' (default): dollars a week; 'year': times 52, dollars a year",
        "grouping": "a hierarchical grouping file that goes before the table of UCCs known here",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "year": (int, np.integer),
        "period": (str,),
        "grouping": (str, Path),
    }

    def read(self, path: Path, **options: Any) -> Survey:
        """Read one year's release.

        Parameters
        ----------
        path
            ``diary21.zip`` or its folder.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page, of another year or survey, or lacks a quarter or a column
            (replicate weights too); if too much belongs to no consumer unit or to UCCs that nobody knows.
        """
        self.check(options)
        path, period = Path(path), options.get("period") or "week"
        if period not in _PERIODS:
            raise SurveyError(f"option 'period' is {period!r}", "Choose 'week' or 'year'.")
        known = ucc_table()
        if options.get("grouping") is not None:
            known = known.with_grouping(read_grouping(Path(options["grouping"])))
        once = UccTable(known.code, np.ones_like(known.factor))  # factors are of questions of the Interview
        with open_release(path, ("fmld", "expd"), options.get("year"), 4) as release:
            year = release.year
            frame = pd.concat([_families(release, (year, q)) for q in (1, 2, 3, 4)], ignore_index=True)
            tally = Tally(frame["NEWID"].to_numpy(np.int64), once, tuple(CATEGORIES))
            for quarter in (1, 2, 3, 4):
                tally.add(read_columns(release, ("expd", year, quarter), ["NEWID", "UCC", "COST"]))
        frame = _with_spending(frame, tally, _PERIODS[period])
        return Survey(
            nw.from_native(frame, eager_only=True),
            weight=WEIGHT,
            keys=("NEWID",),
            household=("CUID",),
            replicates=REPLICATES,
            replicate_rule="ce",
            kinds=kinds_of(frame.columns),
            dollars=year,
            unit="week of a consumer unit",
            source=f"{self.title}, {year}, Bureau of Labor Statistics ({path.name})",
            labels=labels_of(frame.columns) | {c: v for c, v in self.variables.items() if c in frame},
            checks=_checks(frame, year, _PERIODS[period]),
            notes=[
                f"{len(frame):,} weeks of {frame['CUID'].nunique():,} consumer units",
                "weights are FINLWT21 / 4, replicate weights likewise (blank ones 0); lines of one week and category "
                "are added up, categories without a line are 0",
                f"dollars a {period}" + ("" if period == "week" else f": a week's times {WEEKS:.0f}"),
                *tally.notes(),
            ],
        )


def _families(release: Release, quarter: tuple[int, int]) -> pd.DataFrame:
    key = ("fmld", *quarter)
    table = read_columns(release, key, ["NEWID", "FINLWT21", *REPLICATES], [*_ASKED, *_ASKED_TOO])
    frame: pd.DataFrame = whole_numbers(table, _WHOLE).to_pandas(types_mapper=pd.ArrowDtype)
    if gaps := int(frame["FINLWT21"].isna().sum()):
        raise SurveyError(
            f"column FINLWT21 of {release.members[key]} holds {gaps:,} gaps",
            "Get the file again; in the published one this column is complete.",
        )
    newid = frame["NEWID"].to_numpy(np.int64)
    weights = {c: frame[c].to_numpy(np.float64, na_value=0.0) / 4 for c in REPLICATES}
    weight = frame["FINLWT21"].to_numpy(np.float64) / 4
    design: dict[str, Any] = {
        "CUID": newid // 10,
        "WEEK": newid % 10,
        "YEAR": quarter[0],
        "QUARTER": quarter[1],
        WEIGHT: weight,
    }
    return frame.assign(**design, **weights)


def _with_spending(frame: pd.DataFrame, tally: Tally, times: float) -> pd.DataFrame:
    if twice := int(frame["NEWID"].duplicated().sum()):
        raise SurveyError(
            f"{twice:,} weeks (NEWID) stand in the family files more than once",
            "Get the release again; a quarter may stand in it twice.",
        )
    amounts = tally.amounts() * times
    spent = {"total": amounts.sum(axis=1)} | {c: amounts[:, i] for i, c in enumerate(CATEGORIES)}
    return frame.assign(**spent, not_spending=tally.not_spending * times)


def _checks(frame: pd.DataFrame, year: int, times: float) -> list[Check]:
    if year not in PUBLISHED:
        return []
    weight = frame[WEIGHT].to_numpy(np.float64)
    food = float(np.average(frame["food_home"], weights=weight)) * WEEKS / times
    return [
        Check("consumer units, millions", PUBLISHED[year][0] / 1e3, float(weight.sum()) / 1e6, 0.025, TABLES),
        Check("mean food at home, dollars a year", FOOD_AT_HOME[year], food, 0.04, TABLES),
    ]
