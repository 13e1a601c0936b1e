"""Rows of persons, families, SPM units, tax units or households from the CPS ASEC's records, with keys between them.

Columns in upper case are the Census Bureau's; those in lower case are made here. In rows of units, characteristics
(`A_AGE`, …) are those of the unit's reference person and amounts are sums over its persons; ``family_…`` columns of
household rows sum over the householder's family and the unmarried partner's, without roomers and other families.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError, closest
from microimpute.readers.asec_files import UNMATCHED, AsecTables, asec_variables

__all__ = ["MADE", "UNITS", "Units", "build"]

FloatArray = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Columns = dict[str, FloatArray]

#: Unit → columns that identify it besides the year, its weight, and what a row is.
UNITS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "person": (("H_SEQ", "A_LINENO"), "MARSUPWT", "person"),
    "household": (("H_SEQ",), "HSUP_WGT", "household"),
    "family": (("H_SEQ", "PF_SEQ"), "FSUP_WGT", "family"),
    "spm unit": (("H_SEQ", "SPM_ID"), "SPM_WEIGHT", "SPM unit"),
    "tax unit": (("H_SEQ", "TAX_ID"), "MARSUPWT", "tax unit"),
}
#: Columns made here → what they are.
MADE: Mapping[str, str] = {
    "YEAR": "Survey year; incomes are of the calendar year before",
    "householder": "1 for the reference person of the household",
    "householder_family": "1 for persons in the family of the householder or of the householder's unmarried partner",
    "retirement": "Pensions, annuities and withdrawals as PTOTVAL counts them, dollars a year: RTM_VAL to 2018, "
    "PNSN_VAL + ANN_VAL + DST_VAL1 + DST_VAL2 from 2019",
    "persons": "Persons in the unit",
    "adults": "Persons aged 18 and over",
    "under_18": "Persons under 18",
    "earners": "Persons with earnings (PEARNVAL not 0)",
    "spouse": "1 if the reference person's spouse is in the unit",
    "partner": "1 if the reference person's unmarried partner (PECOHAB) is in the unit",
    "couple": "1 if spouse or partner is in the unit",
    "spouse_age": "Age of spouse or partner, 0 if none",
    "spouse_sex": "Sex of spouse or partner: 1 male, 2 female, 0 if none",
    "spouse_education": "A_HGA of spouse or partner, 0 if none",
    "own_children": "Children of any age of the reference person or of spouse or partner, in the unit",
    "own_children_under_18": "Those of them under 18",
    "families": "Families in the household, one-person families counted",
    "family_persons": "Persons in the householder's family, with the unmarried partner and the partner's children",
}
#: Sums of these make `retirement`, where they are in the file.
_RETIREMENT = (("PNSN_VAL", "ANN_VAL", "DST_VAL1", "DST_VAL2"), ("RTM_VAL",))
_REFERENCE = ("A_AGE", "A_SEX", "A_HGA", "PRDTRACE", "PEHSPNON", "A_MARITL", "LJCW", "A_CLSWKR")
_POINTERS = ("A_PARENT", "PELNMOM", "PELNDAD", "PEPAR1", "PEPAR2")
_IDS = ("PH_SEQ", "A_LINENO", "PF_SEQ", "A_SPOUSE", "PECOHAB", *_POINTERS, "DEP_STAT", "TAX_ID", "SPM_ID", "PPPOS")


@dataclass
class Units:
    """Rows of one kind of unit.

    Attributes
    ----------
    columns
        Name → values, shape (rows,).
    person
        Row number of the unit's reference person among the persons, shape (rows,).
    notes
        What was found, with counts.
    """

    columns: Columns
    person: Ints
    notes: list[str] = field(default_factory=list)


def money() -> tuple[str, ...]:
    """List the persons' amounts, which are added up over units."""
    rows = [r for r in asec_variables() if r["record"] == "person" and r["kind"] == "semicontinuous"]
    return tuple(r["name"] for r in rows if not r["name"].startswith("SPM_"))


def build(tables: AsecTables, unit: str) -> Units:
    """Return one row per unit.

    Parameters
    ----------
    tables
        See `microimpute.readers.asec_files.read_asec`.
    unit
        A key of `UNITS`.

    Raises
    ------
    SurveyError
        If there is no such unit, its identifier is not in the file, or too many households have no householder.
    """
    if unit not in UNITS:
        raise SurveyError(f"there is no unit {unit!r} in the CPS ASEC", closest(unit, UNITS))
    identifier = UNITS[unit][0][-1]
    person = _with_made(tables)
    if identifier not in ("H_SEQ", *person):
        raise SurveyError(
            f"{tables.name} has no column {identifier}, so there are no rows of {unit}s",
            "Choose another unit; the fixed-width release has no tax units and SPM units.",
        )
    if unit == "person":
        return _persons(tables, person)
    units = _Grouped(tables, person, unit).rows()
    if unit == "household":
        _add_household(tables, units)
    elif unit == "family":
        _add_family(tables, units)
    return units


def _with_made(tables: AsecTables) -> Columns:
    person = dict(tables.person)
    person["household"] = np.searchsorted(tables.household["H_SEQ"], person["PH_SEQ"]).astype(np.float64)
    parts = next((p for p in _RETIREMENT if any(c in person for c in p)), ())
    if parts:
        person["retirement"] = np.sum([np.nan_to_num(person[c]) for c in parts if c in person], axis=0)
    heads, lacking = _householders(person, len(tables.household["H_SEQ"]))
    if lacking > UNMATCHED * len(heads):
        raise SurveyError(
            f"{tables.name}: {lacking:,} of {len(heads):,} households don't have exactly one reference person "
            "(A_EXPRRP 1 or 2)",
            "The relationship codes may be another release's; get the public-use files as published.",
        )
    if lacking:
        tables.notes.append(f"in {lacking:,} households without exactly one reference person, the first line was taken")
    person["householder"] = np.zeros(len(person["PH_SEQ"]))
    person["householder"][heads] = 1
    person["householder_family"] = _household_family(person, heads).astype(np.float64)
    return person


def _householders(person: Columns, households: int) -> tuple[Ints, int]:
    """Return the row of each household's reference person, and how many households don't have exactly one."""
    group = person["household"].astype(np.int64)
    reference = np.isin(person["A_EXPRRP"], (1, 2))
    count = np.bincount(group[reference], minlength=households)
    order = np.lexsort((person["A_LINENO"], ~reference, group))
    first = order[np.searchsorted(group[order], np.arange(households))]
    return first, int(np.sum(count != 1))


def _row_of(person: Columns, household: FloatArray, line: FloatArray) -> Ints:
    """Return the row of a line of a household, -1 where there is none; persons are sorted by both."""
    key = person["household"] * 1000 + person["A_LINENO"]
    wanted = household * 1000 + line
    place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where((key[place] == wanted) & (line > 0), place, -1).astype(np.int64)


def _partner_row(person: Columns, rows: Ints, column: str) -> Ints:
    if column not in person:
        return np.full(len(rows), -1, dtype=np.int64)
    return _row_of(person, person["household"][rows], np.nan_to_num(person[column][rows]))


def _household_family(person: Columns, heads: Ints) -> Mask:
    group = person["household"].astype(np.int64)
    own = person["PF_SEQ"][heads][group]
    partner = _partner_row(person, heads, "PECOHAB")
    other = np.where(partner >= 0, person["PF_SEQ"][np.maximum(partner, 0)], own[heads])[group]
    return np.asarray((person["PF_SEQ"] == own) | (person["PF_SEQ"] == other))


def _persons(tables: AsecTables, person: Columns) -> Units:
    group = person["household"].astype(np.int64)
    columns: Columns = {"YEAR": np.full(len(group), float(tables.year)), "H_SEQ": person["PH_SEQ"]}
    flags = {r["name"] for r in asec_variables() if r["role"] in ("allocation", "topcode")}
    columns |= {c: v for c, v in person.items() if c not in ("PH_SEQ", "household") and c not in flags}
    carried = ("GESTFIPS", "GEREG", "GTMETSTA", "H_TENURE", "H_NUMPER", "HTOTVAL", "HSUP_WGT")
    columns |= {c: tables.household[c][group] for c in carried if c in tables.household}
    return Units(columns, np.arange(len(group)))


class _Grouped:
    """Persons of each unit together."""

    def __init__(self, tables: AsecTables, person: Columns, unit: str) -> None:
        self.tables, self.person, self.unit = tables, person, unit
        self.keys = tuple("PH_SEQ" if k == "H_SEQ" else k for k in UNITS[unit][0])
        stacked = np.stack([person[k] for k in self.keys])
        if not np.isfinite(stacked).all():
            raise SurveyError(f"{tables.name}: {self.keys[-1]} has gaps", "Get the file again.")
        unique, self.group = np.unique(stacked, axis=1, return_inverse=True)
        self.group = self.group.ravel()
        self.unique = unique
        self.count = unique.shape[1]
        order = np.lexsort((person["A_LINENO"], ~self._is_reference(), self.group))
        self.reference: Ints = order[np.searchsorted(self.group[order], np.arange(self.count))]

    def _is_reference(self) -> Mask:
        person = self.person
        if self.unit == "household":
            return np.asarray(person["householder"] == 1, dtype=bool)
        column, value = {"family": ("A_FAMREL", 1), "spm unit": ("SPM_HEAD", 1), "tax unit": ("DEP_STAT", 0)}[self.unit]
        if column not in person:
            return np.zeros(len(self.group), dtype=bool)
        found: Mask = person[column] == value
        return found

    def total(self, values: npt.NDArray[np.generic], rows: Mask | None = None) -> FloatArray:
        """Add up values over each unit's persons; gaps count as nothing."""
        chosen = np.nan_to_num(np.asarray(values, dtype=np.float64))
        kept = chosen if rows is None else np.where(rows, chosen, 0.0)
        return np.asarray(np.bincount(self.group, kept, self.count), dtype=np.float64)

    def rows(self) -> Units:
        person, reference = self.person, self.reference
        columns: Columns = {"YEAR": np.full(self.count, float(self.tables.year))}
        columns |= {("H_SEQ" if k == "PH_SEQ" else k): v for k, v in zip(self.keys, self.unique, strict=True)}
        weight = UNITS[self.unit][1]
        if weight in person:
            columns[weight] = person[weight][reference]
        columns["persons"] = self.total(np.ones(len(self.group)))
        columns["adults"] = self.total(person["A_AGE"] >= 18)
        columns["under_18"] = self.total(person["A_AGE"] < 18)
        columns["earners"] = self.total(np.nan_to_num(person["PEARNVAL"]) != 0)
        columns |= {c: person[c][reference] for c in _REFERENCE if c in person}
        columns |= self._couple()
        if self.unit == "spm unit":
            columns |= {c: v[reference] for c, v in person.items() if c.startswith("SPM_") and c not in columns}
        amounts = [c for c in (*money(), "retirement") if c in person]
        columns |= {c: self.total(person[c]) for c in amounts}
        if self.unit == "household":
            family = person["householder_family"] == 1
            columns["family_persons"] = self.total(family)
            columns |= {f"family_{c}": self.total(person[c], family) for c in amounts}
            columns["families"] = self._families()
        return Units(columns, reference)

    def _families(self) -> FloatArray:
        pairs = np.unique(np.stack([self.group, self.person["PF_SEQ"]]), axis=1)
        return np.bincount(pairs[0].astype(np.int64), minlength=self.count).astype(np.float64)

    def _couple(self) -> Columns:
        person, reference = self.person, self.reference
        spouse, partner = (_partner_row(person, reference, c) for c in ("A_SPOUSE", "PECOHAB"))
        inside = np.arange(self.count)
        spouse = np.where((spouse >= 0) & (self.group[spouse] == inside), spouse, -1)
        partner = np.where((partner >= 0) & (self.group[partner] == inside) & (spouse < 0), partner, -1)
        other = np.maximum(spouse, partner)
        has = other >= 0
        children = self._children(other)
        return {
            "spouse": (spouse >= 0).astype(np.float64),
            "partner": (partner >= 0).astype(np.float64),
            "couple": has.astype(np.float64),
            "spouse_age": np.where(has, person["A_AGE"][other], 0.0),
            "spouse_sex": np.where(has, person["A_SEX"][other], 0.0),
            "spouse_education": np.where(has, person["A_HGA"][other], 0.0),
            "own_children": self.total(children),
            "own_children_under_18": self.total(children & (person["A_AGE"] < 18)),
        }

    def _children(self, other: Ints) -> Mask:
        """Say who is a child of the unit's reference person or of its spouse or partner."""
        person, group = self.person, self.group
        head = self.reference[group]
        second = other[group]
        child = (person["A_EXPRRP"] == 5) & (person["householder"][head] == 1)
        same = person["household"] == person["household"][head]
        for column in (c for c in _POINTERS if c in person):
            line = np.nan_to_num(person[column])
            child |= same & (line > 0) & (line == person["A_LINENO"][head])
            child |= same & (line > 0) & (second >= 0) & (line == person["A_LINENO"][second])
        return np.asarray(child)


def _add_household(tables: AsecTables, units: Units) -> None:
    """Put the household record's columns in front; both are sorted by H_SEQ and complete."""
    skip = {"H_SEQ", "H_HHTYPE", "H_YEAR"} | {
        r["name"] for r in asec_variables() if r["role"] in ("allocation", "topcode")
    }
    units.columns |= {c: v for c, v in tables.household.items() if c not in skip}
    apart = int(np.sum(np.abs(units.columns["PTOTVAL"] - units.columns["HTOTVAL"]) > 1))
    units.notes.append(f"HTOTVAL differs from the sum of PTOTVAL in {apart:,} of {len(units.person):,} households")


def _add_family(tables: AsecTables, units: Units) -> None:
    record = tables.family
    key = record["FH_SEQ"] * 1000 + record["FFPOS"]
    wanted = units.columns["H_SEQ"] * 1000 + units.columns["PF_SEQ"]
    place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    there = key[place] == wanted
    lost = int((~there).sum())
    if lost > UNMATCHED * len(there):
        raise SurveyError(
            f"{tables.name}: {lost:,} of {len(there):,} families of persons (PF_SEQ) have no family record (FFPOS)",
            "The files may be of different years; get all three again.",
        )
    units.columns |= {c: v[place] for c, v in record.items() if c not in ("FH_SEQ", "FFPOS")}
    units.columns = {c: v[there] for c, v in units.columns.items()}
    units.person = units.person[there]
    left = len(key) - len(np.unique(place[there]))
    units.notes.append(
        f"{left:,} family records to which no PF_SEQ points (related subfamilies, whose persons are in the primary "
        "family) left out" + (f"; {lost:,} families without a record left out" if lost else "")
    )
