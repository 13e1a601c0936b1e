"""The Current Population Survey's Annual Social and Economic Supplement, as the Census Bureau publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.kinds import Kind
from microimpute.readers.asec_files import AsecTables, asec_variables, read_asec
from microimpute.readers.asec_replicates import attach
from microimpute.readers.asec_units import MADE, UNITS, build
from microimpute.readers.frames_of_numbers import as_numbers
from microimpute.survey import Check, Survey
from microimpute.surveys.base import Connector

__all__ = ["CPSASEC"]

FloatArray = npt.NDArray[np.float64]

#: Households in millions by survey year, which are what the supplement's household weights add up to.
HOUSEHOLDS = {
    **{2014: 123.23, 2015: 124.59, 2016: 125.82, 2017: 126.22, 2018: 127.59, 2019: 128.58},
    **{2020: 128.45, 2021: 129.22, 2022: 131.20, 2023: 131.43, 2024: 132.22},
}
HH1 = "Census Bureau, Historical Households Tables, HH-1"
#: 2021 was published again on the population base of 2020: its first files sum to half a percent more.
TOLERANCE = 0.015
#: Interviewed households below which a file is no published one.
FULL = 20_000

_COUNTS = ("persons", "adults", "under_18", "earners", "families", "family_persons")
_CHILDREN = ("own_children", "own_children_under_18")


class CPSASEC(Connector):
    """Reads the CSV release (2019 on) and the fixed-width release (2014, 2015; others with a layout).

    Money is in dollars of the income year, the calendar year before the survey. Columns in upper case are the Census
    Bureau's, in lower case made here; see `microimpute.readers.asec_units`.
    """

    name: ClassVar[str] = "cps_asec"
    title: ClassVar[str] = "Current Population Survey, Annual Social and Economic Supplement (Census Bureau)"
    publisher: ClassVar[str] = "https://www.census.gov/data/datasets/time-series/demo/cps/cps-asec.html"
    variables: ClassVar[Mapping[str, str]] = {
        **{v["name"]: v["label"] for v in asec_variables() if v["role"] in ("required", "optional")},
        **MADE,
    }
    options: ClassVar[Mapping[str, str]] = {
        "unit": "what a row is: person, household, family, spm unit or tax unit; default: household",
        "replicates": "file of the 160 replicate weights (CSV or fixed width, also gzipped or zipped)",
        "layout": "layout table of a fixed-width year other than 2014 and 2015",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "unit": (str,),
        "replicates": (str, Path),
        "layout": (str, Path),
    }
    #: Kinds of the columns whose kind is certain.
    kinds: ClassVar[Mapping[str, Kind]] = {
        **{v["name"]: Kind(v["kind"]) for v in asec_variables() if v["kind"]},
        **dict.fromkeys((*_COUNTS, *_CHILDREN), Kind.COUNT),
        **dict.fromkeys(("spouse", "partner", "couple", "householder", "householder_family"), Kind.BINARY),
        **{"retirement": Kind.SEMICONTINUOUS, "spouse_sex": Kind.CATEGORICAL, "spouse_education": Kind.ORDINAL},
        "spouse_age": Kind.SEMICONTINUOUS,
    }

    def read(self, path: Path, **options: Any) -> Survey:
        """Read one year.

        Parameters
        ----------
        path
            Zip or folder with hhpub, ffpub and pppub of a year; or a fixed-width file, also gzipped or zipped.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If files are missing, cut off, web pages, of different years or another survey's; if keys don't match; if
            the replicate weights are not this file's.
        """
        self.check(options)
        unit = options.get("unit") or "household"
        layout = options.get("layout")
        tables = read_asec(Path(path), None if layout is None else Path(layout))
        units = build(tables, unit)
        keys, weight, word = UNITS[unit]
        frame = as_numbers(units.columns)
        notes = [f"{len(frame):,} rows of {word}s, survey year {tables.year}", *tables.notes, *units.notes]
        notes += _universe(tables) + _flag_shares(tables)
        replicates: tuple[str, ...] = ()
        if options.get("replicates") is not None:
            many, said = attach(Path(options["replicates"]), tables, units, weight, unit)
            frame = pd.concat([frame, many], axis=1)
            replicates = tuple(many.columns)
            notes += said
        else:
            notes.append("no replicate weights were given (replicates=), so sampling variances can't be estimated")
        return Survey(
            frame,
            weight=weight,
            keys=("YEAR", *keys),
            household=("YEAR", "H_SEQ"),
            replicates=replicates,
            replicate_rule="cps asec" if replicates else "",
            kinds=self._kinds(frame),
            dollars=tables.year - 1,
            unit=word,
            source=f"{self.title}, {tables.year} ({tables.name})",
            labels=self._labels(frame, unit),
            checks=_checks(tables, notes),
            notes=notes,
        )

    def _kinds(self, frame: pd.DataFrame) -> dict[str, Kind | str]:
        named = {str(c): str(c).removeprefix("family_") if str(c) not in self.kinds else str(c) for c in frame}
        return {c: self.kinds[n] for c, n in named.items() if n in self.kinds}

    def _labels(self, frame: pd.DataFrame, unit: str) -> dict[str, str]:
        labels = {}
        for column in map(str, frame):
            inner = column.removeprefix("family_")
            if column in self.variables:
                labels[column] = self.variables[column]
            elif inner in self.variables:
                labels[column] = f"{self.variables[inner]}, householder's family"
        if unit != "person":
            who = "householder" if unit == "household" else "unit's reference person"
            for column in ("A_AGE", "A_SEX", "A_HGA", "PRDTRACE", "PEHSPNON", "A_MARITL", "LJCW", "A_CLSWKR"):
                if column in labels:
                    labels[column] += f" ({who})"
        return labels


def _universe(tables: AsecTables) -> list[str]:
    person, household = tables.person, tables.household
    young = int(np.sum(person["A_AGE"] < 15))
    notes = [
        f"{young:,} persons under 15 are not in the universe of the income questions; their amounts are 0 or blank in "
        "the file and count as nothing in sums"
    ]
    if "HPROP_VAL" in household:
        out = int(np.sum(household["H_TENURE"] != 1))
        notes.append(f"{out:,} households don't own their home: HPROP_VAL is not in universe and 0")
    ages = int(np.sum(person["A_AGE"] >= 80))
    notes.append(f"{ages:,} persons have the top-coded ages 80 (80 to 84) and 85 (85 and over)")
    return notes


def _flag_shares(tables: AsecTables) -> list[str]:
    """Say what share of the amounts other than 0 the Census Bureau imputed, and what share is topcoded or swapped."""
    weights = {"person": "MARSUPWT", "household": "HSUP_WGT"}
    notes = []
    for role, words in (("allocation", "allocated (imputed by the Census Bureau)"), ("topcode", "topcoded or swapped")):
        shares = []
        for v in (v for v in asec_variables() if v["role"] == role):
            table = getattr(tables, v["record"])
            if v["name"] in table and v["of"] in table:
                flagged, any_amount = np.nan_to_num(table[v["name"]]) > 0, np.nan_to_num(table[v["of"]]) != 0
                weight = table[weights[v["record"]]] * any_amount
                if weight.sum() > 0:
                    shares.append(f"{v['of']} {float((weight * flagged).sum() / weight.sum()):.1%}")
        if shares:
            notes.append(f"share of amounts other than 0 that are {words}: {', '.join(shares)}")
        else:
            notes.append(f"the file has no flags for amounts that are {words}")
    return notes


def _checks(tables: AsecTables, notes: list[str]) -> list[Check]:
    households = len(tables.household["H_SEQ"])
    if households < FULL:
        notes.append(f"{households:,} households, not the published file; totals were not compared with published ones")
        return []
    total = float(tables.household["HSUP_WGT"].sum()) / 1e6
    if tables.year not in HOUSEHOLDS:
        notes.append(
            f"no published number of households of {tables.year} is known here; weights sum to {total:.2f} million"
        )
        return []
    return [Check("households, millions", HOUSEHOLDS[tables.year], total, TOLERANCE, HH1)]
