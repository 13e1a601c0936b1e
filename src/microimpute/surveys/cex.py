"""The Consumer Expenditure Interview: public-use releases, and the family records of the R package rpms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.readers.ce_columns import (
    CHARACTERISTICS,
    DESIGN_LABELS,
    MONEY,
    PUBLISHED,
    REPLICATES,
    SPENDING,
    TABLES,
    WEIGHT,
    kinds_of,
    labels_of,
)
from microimpute.readers.ce_files import open_release
from microimpute.readers.ce_incomes import INCOME_TOTAL, INCOMES
from microimpute.readers.ce_interview import IMPLICATES, read_interview
from microimpute.readers.ce_members import MEMBERS, MEMBERS_MONEY
from microimpute.readers.ce_rows import by_consumer_unit
from microimpute.readers.ce_subset import read_subset
from microimpute.readers.ucc import read_grouping, ucc_table
from microimpute.survey import Check, Survey
from microimpute.surveys.base import Connector

__all__ = ["CEX"]

#: Years whose groupings the table of UCCs was made from.
GROUPED = range(2013, 2023)
_TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")
_CHOICES = {
    "spending": ("ucc", "summary"),
    "period": ("calendar", "collection"),
    "unit": ("interview", "consumer unit"),
    "replicates": (True, False),
    "implicates": (True, False),
    "members": (True, False),
    "incomes": (True, False),
}
_RELEASE_ONLY = ("year", "spending", "period", "replicates", "implicates", "members", "incomes", "grouping")
_SUBSET_ONLY = ("first", "months_from", "share")
#: The Interview alone has no housekeeping supplies, personal care products and non-prescription drugs, and the
#: integrated tables take some items from the Diary, so totals are below theirs: 10% is a bound of ours.
_TOLERANCE = {"consumer units, millions": 0.025, "mean total expenditures": 0.10, "mean income before taxes": 0.04}


class CEX(Connector):
    """Reads one year's Interview release (zip or folder), or a csv of family records of the package rpms.

    A row is an interview of a consumer unit, or a consumer unit, with spending brought to a year. Interviews weigh by
    their months in scope, so that weighted means are those of the published tables.
    """

    name: ClassVar[str] = "cex"
    title: ClassVar[str] = "Consumer Expenditure Surveys, Interview, public-use microdata"
    publisher: ClassVar[str] = "https://www.bls.gov/cex/pumd.htm"
    variables: ClassVar[Mapping[str, str]] = {
        **labels_of((*DESIGN_LABELS, *CHARACTERISTICS, *SPENDING)),
        **{name: label for name, (_, label) in MEMBERS.items()},
        **{name: f"{label}, dollars a year" for name, label in INCOMES.items()},
    }
    options: ClassVar[Mapping[str, str]] = {
        "unit": "'interview' (default): a row per interview; 'consumer unit': its interviews put together",
        "dollars": "year to whose prices (CPI-U) all money is brought; default: as it is",
        "year": "release: calendar year; default: found in it",
        "spending": "release: 'ucc' (default), from expenditures by UCC; 'summary', from the family files alone",
        "period": "release: 'calendar' (default), spending of the year; 'collection', of the year's interviews",
        "replicates": "release: whether the 44 replicate weights are read; default true",
        "implicates": "release: whether each row stands five times, with the implicates of income; default false",
        "members": "release: whether columns are made from the members' files (memi); default false",
        "incomes": "release: whether incomes by UCC (itbi) are read and made annual; default false",
        "grouping": "release: a hierarchical grouping file that goes before the table of UCCs known here",
        "first": "csv: the first quarter in it, '2013q3'; default: found in its name",
        "months_from": "csv without months of interview: a csv that has them, of the same consumer units",
        "share": "csv: share of all consumer units that is in it; default: estimated from its weights",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **dict.fromkeys(("year", "dollars"), (int, np.integer)),
        **dict.fromkeys(("unit", "spending", "period", "first"), (str,)),
        **dict.fromkeys(("grouping", "months_from"), (str, Path)),
        "share": (float, int),
    }

    def read(self, path: Path, **options: Any) -> Survey:
        """Read a release or a csv.

        Parameters
        ----------
        path
            ``intrvw21.zip`` or its folder, or a csv of the package rpms.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page, of another year or survey, or lacks a quarter or a column; if
            too much of its spending belongs to no consumer unit or to UCCs that nobody knows.
        """
        self.check(options)
        given = {k: v for k, v in options.items() if v is not None}
        _refuse_choices(given)
        path = Path(path)
        table = path.name.lower().endswith(_TABLE_ENDINGS) and not path.is_dir()
        for name in _RELEASE_ONLY if table else _SUBSET_ONLY:
            if name in given:
                raise SurveyError(
                    f"option {name!r} does not go with {path.name}", f"It is for a {'release' if table else 'csv'}."
                )
        return self._subset(path, given) if table else self._release(path, given)

    def _release(self, path: Path, given: Mapping[str, Any]) -> Survey:
        by_ucc, calendar = given.get("spending", "ucc") == "ucc", given.get("period", "calendar") == "calendar"
        replicates, implicates = given.get("replicates", True), given.get("implicates", False)
        uccs = ucc_table()
        if "grouping" in given:
            uccs = uccs.with_grouping(read_grouping(Path(given["grouping"])))
        extra = [*(REPLICATES if replicates else ()), *(IMPLICATES if implicates else ())]
        wanted = {name: bool(given.get(name, False)) for name in ("members", "incomes")}
        files = ["fmli", *["mtbi"] * by_ucc, *["memi"] * wanted["members"], *["itbi"] * wanted["incomes"]]
        with open_release(path, files, given.get("year"), 5 if calendar else 4) as release:
            year = release.year
            others = sorted({kind for kind, _, _ in release.members} - set(files))
            read = read_interview(release, by_ucc=by_ucc, calendar=calendar, extra=extra, table=uccs, **wanted)
        if by_ucc and "grouping" not in given and year not in GROUPED:
            read.notes.append(
                f"categories are those of the groupings of {GROUPED[0]} to {GROUPED[-1]}; codes of {year} may differ"
            )
        unread = (
            [f"in the release and not read: {', '.join(others)} (memi: members=, itbi: incomes=)"] if others else []
        )
        notes = [
            f"spending of {'calendar year' if calendar else 'interviews of'} {year}, from "
            f"{'expenditures by UCC (MTBI)' if by_ucc else 'summary variables of the family files'}; "
            f"weights are FINLWT21 / 4 × months in scope / 3, replicate weights likewise (blank ones 0)",
            *read.notes,
            *unread,
        ]
        frame = _of_units(read.frame, read.spending, given, notes)
        checks = _checks(frame, year, year, "FINCBTXM")
        frame = _in_dollars(frame, read.spending, given.get("dollars"), lambda f: np.full(len(f), year))
        if implicates:
            frame = _five(frame, given, notes)
        return self._survey(
            frame,
            replicates=REPLICATES if replicates else (),
            replicate_rule="ce" if replicates else "",
            implicate="IMPLICATE" if implicates else None,
            dollars=given.get("dollars", year),
            unit=given.get("unit", "interview"),
            source=f"{self.title}, {year}, Bureau of Labor Statistics ({path.name})",
            checks=checks,
            notes=notes,
        )

    def _subset(self, path: Path, given: Mapping[str, Any]) -> Survey:
        months_from = Path(given["months_from"]) if "months_from" in given else None
        frame, spending, notes = read_subset(
            path, first=given.get("first"), months_from=months_from, share=given.get("share")
        )
        years = frame["YEAR"].to_numpy(np.int64)
        checks = _checks(frame, int(years.min()), int(years.max()), None)
        frame = _in_dollars(frame, spending, given.get("dollars"), lambda f: f["YEAR"].to_numpy(np.int64))
        frame = _of_units(frame, spending, given, notes)
        dollars = given.get("dollars", int(years[0]) if years.min() == years.max() else None)
        if dollars is None:
            notes.append(f"money is in dollars of each interview's own year, {years.min()} to {years.max()}")
        return self._survey(
            frame,
            dollars=dollars,
            unit=given.get("unit", "interview"),
            source=f"{self.title}, Bureau of Labor Statistics, as in the R package rpms ({path.name})",
            checks=checks,
            notes=notes,
        )

    def _survey(self, frame: pd.DataFrame, **design: Any) -> Survey:
        one = design["unit"] == "consumer unit"
        return Survey(
            nw.from_native(frame, eager_only=True),
            weight=WEIGHT,
            keys=("CUID",) if one else ("NEWID",),
            household=("CUID",),
            kinds=_kinds(frame),
            labels={c: self.variables[c] for c in frame.columns if c in self.variables},
            **design,
        )


def _kinds(frame: pd.DataFrame) -> dict[str, Kind]:
    made = {c: kind for c, (kind, _) in MEMBERS.items()} | dict.fromkeys(INCOMES, Kind.SEMICONTINUOUS)
    return kinds_of(frame.columns) | {c: made[c] for c in frame.columns if c in made}


def _refuse_choices(given: Mapping[str, Any]) -> None:
    for name, allowed in _CHOICES.items():
        if name in given and not (given[name] in allowed and isinstance(given[name], type(allowed[0]))):
            raise SurveyError(f"option {name!r} is {given[name]!r}", f"Choose {' or '.join(repr(a) for a in allowed)}.")
    if "share" in given and not 0 < given["share"] <= 1:
        raise SurveyError(f"option 'share' is {given['share']!r}", "Give a number above 0 and at most 1.")


def _of_units(frame: pd.DataFrame, spending: Sequence[str], given: Mapping[str, Any], notes: list[str]) -> pd.DataFrame:
    notes.insert(0, f"{len(frame):,} interviews of {frame['CUID'].nunique():,} consumer units")
    if given.get("unit", "interview") == "interview":
        return frame
    parts = [c for c in spending if c != "total"]
    out = by_consumer_unit(frame, parts)
    if "total" in spending:
        out["total"] = out[parts].to_numpy(np.float64).sum(axis=1)
    notes.append(
        "a row is a consumer unit: characteristics of its last interview, spending the mean of its interviews "
        f"(weighted), weights added up; {float(np.average(out['months'], weights=out[WEIGHT])):.1f} months on average"
    )
    return out


def _in_dollars(frame: pd.DataFrame, spending: Sequence[str], dollars: int | None, of: Any) -> pd.DataFrame:
    if dollars is None:
        return frame
    years = of(frame)
    factor = np.array([price_factor(y, int(dollars)) for y in range(years.min(), years.max() + 1)])[years - years.min()]
    sources = [c for c in INCOMES if c != INCOME_TOTAL]
    money = [c for c in (*MONEY, *MEMBERS_MONEY, *sources, *IMPLICATES, *spending) if c in frame]
    frame = frame.assign(**{c: frame[c].to_numpy(np.float64, na_value=np.nan) * factor for c in money if c != "total"})
    for total, parts in (("total", [c for c in spending if c != "total"]), (INCOME_TOTAL, sources)):
        if total in frame:
            frame[total] = frame[parts].to_numpy(np.float64).sum(axis=1)
    return frame


def _five(frame: pd.DataFrame, given: Mapping[str, Any], notes: list[str]) -> pd.DataFrame:
    """Let each row stand five times, once with each implicate of income; weights are divided by five."""
    weights = [c for c in (WEIGHT, *REPLICATES) if c in frame]
    rest = frame.drop(columns=list(IMPLICATES))
    rest = rest.assign(**{c: rest[c].to_numpy(np.float64) / len(IMPLICATES) for c in weights})
    many = [
        rest.assign(IMPLICATE=i, FINCBTX=frame[column].to_numpy(np.float64, na_value=np.nan))
        for i, column in enumerate(IMPLICATES, 1)
    ]
    notes.append("each row stands five times, with the five implicates of income (FINCBTX); weights are divided by 5")
    return pd.concat(many, ignore_index=True)


def _checks(frame: pd.DataFrame, first: int, last: int, income: str | None) -> list[Check]:
    """Compare with the integrated tables, weighted by the years of the interviews."""
    years = frame["YEAR"].to_numpy(np.int64).clip(first, last)
    if not set(years.tolist()) <= set(PUBLISHED):
        return []
    weight = frame[WEIGHT].to_numpy(np.float64)
    units, total, before_tax = np.average([PUBLISHED[y] for y in years.tolist()], axis=0, weights=weight)
    found = [("consumer units, millions", units / 1e3, float(weight.sum()) / 1e6)]
    if "total" in frame:
        found.append(("mean total expenditures", total, float(np.average(frame["total"], weights=weight))))
    if income is not None:
        values = frame[income].to_numpy(np.float64)
        found.append(("mean income before taxes", before_tax, float(np.average(values, weights=weight))))
    return [Check(figure, float(p), f, _TOLERANCE[figure], TABLES) for figure, p, f in found]
