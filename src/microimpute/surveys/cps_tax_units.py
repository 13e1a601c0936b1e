"""The CPS Annual Social and Economic Supplement from Tax-Calculator's ``cps.csv.gz``, as households.

What must be known of that file (made by the taxdata project from the March supplements of 2013 to 2015):

* ``FLPDYR`` is the income year (2012 to 2014), ``FLPDYR`` with ``h_seq`` is the household.
* ``s006`` is the weight of the unit's CPS family in hundredths, divided by the three pooled years already.
* A dependent who files (``DSI`` = 1) has a unit of her own and is *not* in her parents' ``XTOT``: adding
  ``XTOT`` over units counts nobody twice.
* ``snap_ben`` is the whole household's and repeated on each of its units: it is taken once.
* Wages, interest, dividends, business income, unemployment insurance and IRA distributions were scaled, by
  state and over the three years together, to the IRS's totals of 2014; other income is as it was reported
  in dollars of the income year. Means-tested, veterans' and health benefits are modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.errors import SurveyError
from microimpute.frames import read_file
from microimpute.kinds import Kind
from microimpute.survey import Check, Survey
from microimpute.surveys.base import Connector

__all__ = ["CALIBRATED_YEAR", "PARTNER_AGE_GAP", "SCALED_TO_2014", "CPSTaxUnits"]

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Income scaled to the totals of this year, whatever the row's FLPDYR.
CALIBRATED_YEAR = 2014
SCALED_TO_2014 = ("e00200", "e00300", "e00600", "e00650", "e00900", "e01400", "e02300")

#: Largest age difference at which a lone unrelated adult counts as the unmarried householder's partner. The
#: file names no partners; with 15 years 7.6% of households have one (5 years: 5.5%, 20 years: 8.1%).
PARTNER_AGE_GAP = 15
#: Smallest age difference at which a relative counts as the householder's child.
CHILD_AGE_GAP = 15

#: Money columns, added up over the household's units; those of `FAMILY` over the householder's family too.
FAMILY = {
    "e00200": "Wages and salaries",
    "e00900": "Self-employment income (Schedule C)",
    "e02100": "Farm income (Schedule F)",
    "e00300": "Taxable interest",
    "e00400": "Tax-exempt interest",
    "e00600": "Dividends",
    "e00800": "Alimony received",
    "e01400": "Taxable IRA distributions (imputed from tax data)",
    "e01500": "Pensions and annuities",
    "e02300": "Unemployment insurance",
    "e02400": "Social Security",
    "ssi_ben": "Supplemental Security Income (modelled)",
    "tanf_ben": "TANF (modelled)",
}
HOUSEHOLD_ONLY = {
    "e00650": "Qualified dividends, within dividends",
    "e01100": "Capital gain distributions (imputed from tax data)",
    "e01700": "Taxable pensions",
    "vet_ben": "Veterans' benefits (modelled)",
    "wic_ben": "WIC (modelled)",
    "housing_ben": "Housing assistance (modelled)",
    "mcaid_ben": "Medicaid (modelled)",
    "mcare_ben": "Medicare (modelled)",
}
REQUIRED = (
    *("FLPDYR", "h_seq", "ffpos", "a_lineno", "s006", "fips", "DSI", "MARS", "XTOT", "nu18"),
    *("age_head", "age_spouse", "snap_ben", *FAMILY),
)
_SOURCE = "taxdata's cps.csv.gz, as counted once on the published file (Tax-Calculator 6.8.0)"
_FULL = {"tax units": 280_005, "households": 200_576}


class CPSTaxUnits(Connector):
    """Reads ``cps.csv.gz`` (or csv, Parquet) and puts the tax units of a household into one row.

    Sums keep Tax-Calculator's names. ``family_…`` columns cover the householder's family only: units of the
    householder's CPS family (``ffpos`` 1), the householder's likely partner, and nobody else.
    """

    name: ClassVar[str] = "cps_tax_units"
    title: ClassVar[str] = "CPS Annual Social and Economic Supplement 2013-2015 as tax units (Tax-Calculator)"
    publisher: ClassVar[str] = "https://github.com/PSLmodels/Tax-Calculator"
    variables: ClassVar[Mapping[str, str]] = {
        "FLPDYR": "Income year",
        "h_seq": "Household number within the year",
        "household_weight": "Weight: s006 / 100 of the head unit; sums to one year's households",
        "fips": "State, FIPS code",
        "tax_units": "Number of tax units in the household",
        "persons": "Number of persons: XTOT over the household's units",
        "nu18": "Persons under 18",
        "age_head": "Age of the head unit's taxpayer, 85 means 85 and over",
        "age_spouse": "Age of the head unit's spouse, 0 if none",
        "married": "1 if the head unit is a married couple (MARS = 2)",
        "partner": "1 if a single head lives with one unrelated single adult at most 15 years apart in age",
        "age_partner": "Age of that partner, 0 if none",
        "family_persons": "Number of persons in the householder's family, with the partner's unit",
        "family_children": "Children of head or partner: their dependants, and relatives with own units "
        "who are at least 15 years younger than the head",
        "snap_ben": "SNAP (modelled), dollars a year, of the household, counted once",
        **{c: f"{label}, dollars a year, all units of the household" for c, label in FAMILY.items()},
        **{c: f"{label}, dollars a year, all units of the household" for c, label in HOUSEHOLD_ONLY.items()},
        **{f"family_{c}": f"{label}, dollars a year, householder's family" for c, label in FAMILY.items()},
    }

    def read(self, path: Path, **options: Any) -> Survey:
        """Read the file.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page or another file.
        """
        self.check(options)
        path = Path(path)
        data = read_file(path).to_native()
        missing = [c for c in REQUIRED if c not in data]
        if missing:
            raise SurveyError(
                f"{path.name} is not Tax-Calculator's CPS file: it has no column {', '.join(missing)}",
                "Get cps.csv.gz from Tax-Calculator (not puf.csv, and not the Census Bureau's CPS).",
            )
        if not len(data):
            raise SurveyError(f"{path.name} has no rows", "Get the file again; it may be cut off.")
        units = _sorted_units(path, data)
        start = _starts(units)
        frame = _households(units, start)
        return Survey(
            frame,
            weight="household_weight",
            keys=("FLPDYR", "h_seq"),
            kinds=_kinds(frame),
            unit="household",
            source=f"{self.title} ({path.name})",
            labels={c: label for c, label in self.variables.items() if c in frame},
            checks=_checks(units, start, frame),
            notes=_notes(units, start, frame),
        )


def _sorted_units(path: Path, data: pd.DataFrame) -> dict[str, Ints]:
    """Sort units by household, family, adults who are no dependants, line: the head unit comes first."""
    wanted = [c for c in (*REQUIRED, *HOUSEHOLD_ONLY) if c in data]
    units = {c: _whole_numbers(path, data[c]) for c in wanted}
    subordinate = (units["DSI"] == 1) | (units["age_head"] < 18)
    order = np.lexsort((units["a_lineno"], subordinate, units["ffpos"], units["h_seq"], units["FLPDYR"]))
    return {c: values[order] for c, values in units.items()}


def _whole_numbers(path: Path, column: pd.Series[Any]) -> Ints:
    whole = pd.api.types.is_numeric_dtype(column) and not column.isna().any()
    values = column.to_numpy(np.float64) if whole else np.empty(0)
    if not whole or not np.array_equal(values, np.rint(values)):
        raise SurveyError(
            f"{path.name}: column {str(column.name)!r} holds gaps or something else than whole numbers",
            "Get the file again; in the published one every value is a whole number.",
        )
    return values.astype(np.int64)


def _starts(units: dict[str, Ints]) -> Ints:
    """Return where each household's units begin, shape (households,)."""
    year, number = units["FLPDYR"], units["h_seq"]
    new = np.r_[True, (year[1:] != year[:-1]) | (number[1:] != number[:-1])]
    return np.flatnonzero(new)


def _partners(units: dict[str, Ints], start: Ints, household: Ints) -> Mask:
    """Say which units are the head's likely partner: the only unrelated adult, single, of like age."""
    head = start[household]
    first = np.zeros(len(household), dtype=bool)
    first[start] = True
    unrelated = ~first & (units["DSI"] == 0) & (units["age_head"] >= 18) & (units["ffpos"] > 1)
    alone = np.add.reduceat(unrelated.astype(np.int64), start)[household] == 1
    single = (units["MARS"][head] != 2) & (units["MARS"] != 2)
    gap = np.abs(units["age_head"] - units["age_head"][head])
    result: Mask = unrelated & alone & single & (gap <= PARTNER_AGE_GAP)
    return result


def _children(units: dict[str, Ints], start: Ints, household: Ints, partner: Mask) -> Ints:
    """Count children in each unit: dependants of head and partner, and relatives a generation younger."""
    first = np.zeros(len(household), dtype=bool)
    first[start] = True
    couple = (units["MARS"] == 2) & (units["XTOT"] > 1)
    dependants = np.where(first | partner, units["XTOT"] - 1 - couple, 0)
    younger = units["age_head"][start][household] - units["age_head"] >= CHILD_AGE_GAP
    grown: Ints = dependants + (~first & (units["ffpos"] == 1) & younger)
    return grown


def _households(units: dict[str, Ints], start: Ints) -> pd.DataFrame:
    household = np.repeat(np.arange(len(start)), np.diff(np.r_[start, len(units["h_seq"])]))
    partner = _partners(units, start, household)
    family = (units["ffpos"] == 1) | partner

    def total(values: npt.NDArray[Any], rows: Mask | None = None) -> Ints:
        chosen = values if rows is None else np.where(rows, values, 0)
        out: Ints = np.add.reduceat(chosen.astype(np.int64), start)
        return out

    columns: dict[str, npt.NDArray[Any]] = {c: units[c][start] for c in ("FLPDYR", "h_seq", "fips")}
    columns["household_weight"] = units["s006"][start] / 100.0
    columns["tax_units"] = total(np.ones(len(household)))
    columns["persons"] = total(units["XTOT"])
    columns["nu18"] = total(units["nu18"])
    columns |= {c: units[c][start] for c in ("age_head", "age_spouse")}
    columns["married"] = (units["MARS"][start] == 2).astype(np.int64)
    columns["partner"] = total(partner)
    columns["age_partner"] = total(units["age_head"], partner)
    columns["family_persons"] = total(units["XTOT"], family)
    columns["family_children"] = total(_children(units, start, household, partner))
    columns["snap_ben"] = np.maximum.reduceat(units["snap_ben"], start)
    columns |= {c: total(units[c]) for c in (*FAMILY, *HOUSEHOLD_ONLY) if c in units}
    columns |= {f"family_{c}": total(units[c], family) for c in FAMILY}
    frame = pd.DataFrame(columns)
    return frame.astype({c: "int64[pyarrow]" if frame[c].dtype.kind == "i" else "double[pyarrow]" for c in frame})


def _kinds(frame: pd.DataFrame) -> dict[str, Kind]:
    kinds = {str(c): Kind.SEMICONTINUOUS for c in frame if str(c).removeprefix("family_") in {*FAMILY, *HOUSEHOLD_ONLY}}
    counts = ("tax_units", "persons", "nu18", "family_persons", "family_children")
    return {
        **kinds,
        "snap_ben": Kind.SEMICONTINUOUS,
        "fips": Kind.CATEGORICAL,
        "age_head": Kind.CONTINUOUS,
        "married": Kind.BINARY,
        "partner": Kind.BINARY,
        **dict.fromkeys(counts, Kind.COUNT),
    }


def _checks(units: dict[str, Ints], start: Ints, frame: pd.DataFrame) -> list[Check]:
    weight = units["s006"] / 100.0
    households = float(frame["household_weight"].sum())
    people = float((weight * units["XTOT"]).sum())
    checks = [
        Check(
            "households, millions",
            123.5,
            households / 1e6,
            0.012,
            "Census Bureau, HH-1: 122.46, 123.23 and 124.59 in 2013 to 2015",
        ),
        Check("persons, millions", 308.5, people / 1e6, 0.01, f"306 to 311 by year, {_SOURCE}"),
        Check("tax units, millions", 170.63, float(weight.sum()) / 1e6, 0.01, _SOURCE),
    ]
    if not _is_sample(start):
        found = {"tax units": len(weight), "households": len(start)}
        checks += [Check(f"{what} in the file", n, found[what], 0.0, _SOURCE) for what, n in _FULL.items()]
    return checks


def _is_sample(start: Ints) -> bool:
    return len(start) < _FULL["households"] // 2


def _notes(units: dict[str, Ints], start: Ints, frame: pd.DataFrame) -> list[str]:
    high = np.maximum.reduceat(units["s006"], start)
    differ = int(np.sum(high != np.minimum.reduceat(units["s006"], start)))
    repeated = int(np.sum((frame["tax_units"] > 1) & (frame["snap_ben"] > 0)))
    notes = [
        f"{len(units['h_seq']):,} tax units put together to {len(frame):,} households of income years "
        f"{frame['FLPDYR'].min()} to {frame['FLPDYR'].max()}",
        f"in {differ:,} households units have different weights; the head unit's was taken",
        f"SNAP of {repeated:,} households with several units, repeated on each, was counted once",
        f"{int(frame['partner'].sum()):,} households have a likely partner, who is not named in the file",
        "wages, interest, dividends, self-employment income, IRA distributions, unemployment insurance are "
        "scaled to IRS totals of 2014 in the file; means-tested, veterans' and health benefits are modelled",
    ]
    if _is_sample(start):
        notes.insert(1, f"a sample of {len(frame):,} households, not the published file")
    return notes
