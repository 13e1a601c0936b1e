"""The CPS ASEC's public-use files, in both forms that the Census Bureau has published, as three tables.

CSV release (2019 on): ``hhpub<yy>.csv``, ``ffpub<yy>.csv``, ``pppub<yy>.csv`` in ``asecpub<yy>csv.zip``; weights are
whole numbers of hundredths. Fixed-width release (to 2018): one file of household, family and person records told apart
by the first character (1, 2, 3). Layouts of 2014 and 2015 travel with the package.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.readers.delimited import read_numbers
from microimpute.readers.fixed_width import Field, Lines, read_layout
from microimpute.readers.members import names, only, opened

__all__ = ["LAYOUT_YEARS", "UNMATCHED", "AsecTables", "asec_variables", "read_asec"]

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]

#: Years whose fixed-width layout travels with the package.
LAYOUT_YEARS = (2014, 2015)
#: Largest share of records whose household is not there, or not complete, before reading stops.
UNMATCHED = 0.01
#: Record → stem of its CSV file and first character of its fixed-width line.
RECORDS = {"household": ("hhpub", b"1"), "family": ("ffpub", b"2"), "person": ("pppub", b"3")}
#: Weights written as whole numbers of hundredths in the CSV release.
HUNDREDTHS = ("HSUP_WGT", "FSUP_WGT", "MARSUPWT", "SPM_WEIGHT")
#: Amounts that may be losses; in all others a number below 0 is a code for "not in universe".
SIGNED = ("PTOTVAL", "PEARNVAL", "SEMP_VAL", "FRSE_VAL", "RNT_VAL", "CAP_VAL", "HTOTVAL", "FTOTVAL", "AGI", "FEDTAX_AC")
_PUBLISHED = "Get the public-use files of one year as the Census Bureau publishes them (asecpub<yy>csv.zip)."


@dataclass
class AsecTables:
    """Household, family and person records of interviewed households.

    Attributes
    ----------
    year
        Survey year; incomes are of the calendar year before.
    household, family, person
        Upper-case name → float64, one per record; persons sorted by household and line number.
    name
        Of the file.
    notes
        What was left out or changed, with counts.
    """

    year: int
    household: Columns
    family: Columns
    person: Columns
    name: str
    notes: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def asec_variables() -> tuple[dict[str, str], ...]:
    """List the columns that are read: record, name, role, kind, of (which column a flag is about), label."""
    with bundled("cps_asec_variables.csv").open(newline="", encoding="utf-8") as handle:
        return tuple(csv.DictReader(handle))


def _wanted(record: str, *, required: bool) -> list[str]:
    rows = asec_variables()
    return [r["name"] for r in rows if r["record"] == record and (r["role"] == "required") is required]


def read_asec(path: Path, layout: Path | None = None) -> AsecTables:
    """Read either release.

    Parameters
    ----------
    path
        Zip or folder with the three CSV files; or a fixed-width file, also gzipped or in a zip.
    layout
        Layout table for a fixed-width year that the package has none of.

    Raises
    ------
    SurveyError
        If files are missing, cut off, web pages, of different years, or another survey's; or if more than `UNMATCHED`
        of the persons belong to no household, or of the households lack persons.
    """
    path = Path(path)
    inside = [Path(n).name.lower() for n in names(path)]
    if any(re.fullmatch(r"(hh|ff|pp)pub\d\d\.csv(\.gz)?", n) for n in inside):
        if layout is not None:
            raise SurveyError(f"{path.name} is the CSV release, which has no layout", "Leave layout out.")
        tables = _read_csv_release(path)
    elif path.name.lower().endswith(".csv") or any(n.endswith(".csv") for n in inside):
        raise SurveyError(f"{path.name} does not hold hhpub<yy>.csv, ffpub<yy>.csv and pppub<yy>.csv", _PUBLISHED)
    else:
        tables = _read_fixed_release(path, layout)
    _keep_interviewed(tables)
    _refuse_gaps(tables)
    _match(tables)
    _decode_universe(tables)
    return tables


def _read_csv_release(path: Path) -> AsecTables:
    files = {r: only(path, stem + r"\d\d\.csv(\.gz)?", f"the {r} file") for r, (stem, _) in RECORDS.items()}
    years = {r: 2000 + int(re.findall(r"pub(\d\d)", Path(n).name.lower())[0]) for r, n in files.items()}
    if len(set(years.values())) > 1:
        listed = ", ".join(f"{Path(n).name}" for n in files.values())
        raise SurveyError(f"{path.name} mixes years: {listed}", _PUBLISHED)
    tables: dict[str, Columns] = {}
    notes: list[str] = []
    for record, file in files.items():
        with opened(path, file) as handle:
            what = f"the CPS ASEC's {record} file"
            required, optional = (_wanted(record, required=r) for r in (True, False))
            tables[record] = read_numbers(handle, Path(file).name, required, optional, what=what)
        notes += _resolve_hundredths(tables[record])
    year = years["household"]
    _check_year(path, tables["household"], year)
    return AsecTables(year, tables["household"], tables["family"], tables["person"], path.name, notes)


def _resolve_hundredths(table: Columns) -> list[str]:
    notes = []
    for column in HUNDREDTHS:
        if column not in table:
            continue
        values = table[column]
        if np.array_equal(values, np.trunc(values), equal_nan=True):
            table[column] = values / 100.0
        else:
            notes.append(f"{column} is written with decimals, so none were taken as implied")
    return notes


def _check_year(path: Path, household: Mapping[str, FloatArray], year: int) -> None:
    if "H_YEAR" in household and (odd := set(np.unique(household["H_YEAR"])) - {float(year)}):
        found = ", ".join(f"{y:.0f}" for y in sorted(odd)[:3])
        raise SurveyError(f"{path.name} is named as of {year} and its H_YEAR says {found}", _PUBLISHED)


def _read_fixed_release(path: Path, layout: Path | None) -> AsecTables:
    file = only(path, r".*\.(dat|txt|pub|asc)(\.gz)?|asec\d{4}[^.]*|cpsmar\d\d.*", "the fixed-width file")
    with opened(path, file) as handle:
        lines = Lines(handle.read(), Path(file).name)
    kinds = lines.first()
    odd = int(np.sum((kinds < 49) | (kinds > 51)))
    if odd:
        raise SurveyError(
            f"{lines.name}: {odd:,} of {len(lines):,} lines begin with none of 1, 2, 3 (household, family, person)",
            "Get the CPS ASEC's public-use file (March supplement), not the basic monthly or the replicate weights.",
        )
    rows = {r: np.flatnonzero(kinds == ord(first)).astype(np.int64) for r, (_, first) in RECORDS.items()}
    if missing := [r for r, n in rows.items() if not len(n)]:
        raise SurveyError(f"{lines.name} has no {missing[0]} records", "Get the file again; it may be cut off.")
    place = Field("H_YEAR", 14, 4)  # the same in every year that is known
    found = np.unique(lines.numbers({"H_YEAR": place}, ["H_YEAR"], rows["household"], "household")["H_YEAR"])
    if len(found) != 1 or not np.isfinite(found).all():
        listed = ", ".join(f"{y:.0f}" for y in found[:4])
        raise SurveyError(f"{lines.name}: its households are of the years {listed}", "Give one year's file.")
    year = int(found[0])
    fields = read_layout(_layout(year, layout, lines.name))
    tables = {}
    for record, numbers in rows.items():
        known = fields.get(record, {})
        columns = _wanted(record, required=True)
        columns += [c for c in _wanted(record, required=False) if c in known]
        tables[record] = lines.numbers(known, columns, numbers, record)
    notes = [f"fixed-width release, {len(lines):,} lines"]
    if year == 2014:
        notes.append(
            "the sample of 2014 was split: 5/8 answered the old income questions, 3/8 new ones, in files of their own "
            "that each sum to the population"
        )
    return AsecTables(year, tables["household"], tables["family"], tables["person"], path.name, notes)


def _layout(year: int, given: Path | None, name: str) -> Path:
    if given is not None:
        return Path(given)
    if year in LAYOUT_YEARS:
        return bundled(f"cps_asec_{year}_layout.csv")
    raise SurveyError(
        f"{name} is of {year}, and there is no layout of that year here",
        "Give layout=, a CSV with record, name, start, width, decimals; known are "
        f"{', '.join(map(str, LAYOUT_YEARS))}.",
    )


def _select(table: Columns, rows: npt.NDArray[np.bool_]) -> Columns:
    return {c: v[rows] for c, v in table.items()}


def _keep_interviewed(tables: AsecTables) -> None:
    interviewed = tables.household["H_HHTYPE"] == 1
    out = int((~interviewed).sum())
    if not interviewed.any():
        raise SurveyError(f"{tables.name} has no interviewed household (H_HHTYPE is never 1)", _PUBLISHED)
    tables.household = _select(tables.household, interviewed)
    tables.notes.append(f"{out:,} households that were not interviewed (H_HHTYPE 2, 3) left out")


def _refuse_gaps(tables: AsecTables) -> None:
    """Refuse gaps in required columns: as published they are complete, so a line was cut off."""
    for record in RECORDS:
        table: Columns = getattr(tables, record)
        for column in _wanted(record, required=True):
            if gaps := int((~np.isfinite(table[column])).sum()):
                raise SurveyError(
                    f"{tables.name}: {record} column {column} is blank in {gaps:,} of {len(table[column]):,} records",
                    "The file may be cut off, or its layout be another year's; get it again.",
                )


def _match(tables: AsecTables) -> None:
    """Sort, check keys, and see that persons and households belong together."""
    _sort(tables)
    known = tables.household["H_SEQ"]
    for record, column in (("person", "PH_SEQ"), ("family", "FH_SEQ")):
        table: Columns = getattr(tables, record)
        there = np.isin(table[column], known)
        lost = int((~there).sum())
        if lost > UNMATCHED * len(there):
            raise SurveyError(
                f"{tables.name}: {lost:,} of {len(there):,} {record} records belong to no interviewed household "
                f"({column} is no H_SEQ)",
                "The files may be of different years, or the household file cut off; get all three again.",
            )
        if lost:
            tables.notes.append(f"{lost:,} {record} records belong to no interviewed household and were left out")
            setattr(tables, record, _select(table, there))
    _count_persons(tables)


def _sort(tables: AsecTables) -> None:
    for record, keys in (
        ("household", ("H_SEQ",)),
        ("family", ("FH_SEQ", "FFPOS")),
        ("person", ("PH_SEQ", "A_LINENO")),
    ):
        table: Columns = getattr(tables, record)
        order = np.lexsort([table[k] for k in reversed(keys)])
        table = {c: v[order] for c, v in table.items()}
        same = np.all([table[k][1:] == table[k][:-1] for k in keys], axis=0)
        if same.any():
            raise SurveyError(
                f"{tables.name}: {int(same.sum()):,} {record} records share {' and '.join(keys)} with another",
                "Give one year's file; records may be doubled.",
            )
        setattr(tables, record, table)


def _count_persons(tables: AsecTables) -> None:
    number = tables.household["H_SEQ"]
    found = np.bincount(np.searchsorted(number, tables.person["PH_SEQ"]), minlength=len(number))
    short = int(np.sum(found != tables.household["H_NUMPER"]))
    if short > UNMATCHED * len(number):
        raise SurveyError(
            f"{tables.name}: {short:,} of {len(number):,} households don't have H_NUMPER persons in the person file",
            "The files may be of different years, or the person file cut off; get all three again.",
        )
    if found[-1] < tables.household["H_NUMPER"][-1]:  # one among thousands, but where a file is cut off
        raise SurveyError(
            f"{tables.name}: the last household has {found[-1]} of its {tables.household['H_NUMPER'][-1]:.0f} persons",
            "Get the file again; it may be cut off.",
        )
    if short:
        tables.notes.append(f"{short:,} households have another number of persons than H_NUMPER says")
    empty = found == 0
    if empty.any():
        tables.household = _select(tables.household, ~empty)
        tables.notes.append(f"{int(empty.sum()):,} households without persons left out")


def _decode_universe(tables: AsecTables) -> None:
    """Set codes below 0 of amounts that can't be negative to 0: nobody who is not asked gets them."""
    for v in asec_variables():
        table: Columns = getattr(tables, v["record"])
        name = v["name"]
        if v["kind"] != "semicontinuous" or name in SIGNED or name.startswith("SPM_") or name not in table:
            continue
        codes = table[name] < 0
        if codes.any():
            table[name] = np.where(codes, 0.0, table[name])
            tables.notes.append(f"{int(codes.sum()):,} codes below 0 of {name} (not in universe) set to 0")
