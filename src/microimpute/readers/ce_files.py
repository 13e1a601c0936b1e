"""Releases of the Consumer Expenditure Surveys' public-use microdata: a zip of csv files, or its folder.

The Bureau of Labor Statistics publishes one zip a year and survey, ``intrvw21.zip`` and ``diary21.zip``, which hold
per quarter the families (fmli, fmld), their members (memi, memd), expenditures by UCC (mtbi, expd) and incomes by UCC
(itbi, dtbd). The Interview's first quarter ends in x, and the first quarter of the next year is a fifth file. Only the
columns asked for are read, out of the zip.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from microimpute.errors import SurveyError, closest, first_line
from microimpute.frames import UNREADABLE, refuse_html

__all__ = ["Release", "open_release", "read_columns", "whole_numbers"]

_NAME = re.compile(r"^(fmli|memi|mtbi|itbi|ntaxi|fmld|memd|expd|dtbd)(\d\d)([1-4])x?\.csv$", re.IGNORECASE)
_SURVEYS = {"fmli": ("Interview", "cex"), "fmld": ("Diary", "cex_diary")}
#: What stands for a missing value: Stata's and SAS's point, R's NA, nothing.
_NULLS = ["", ".", "NA"]
_CUT_OFF = "Get it again; it may be cut off."


@dataclass(frozen=True)
class Release:
    """A release that is open.

    Attributes
    ----------
    path
        The zip or folder.
    members
        (file, year, quarter) → name inside, e.g. ("fmli", 2021, 1) → ``intrvw21/fmli211x.csv``.
    year
        The calendar year.
    archive
        The zip, None for a folder.
    """

    path: Path
    members: Mapping[tuple[str, int, int], str]
    year: int
    archive: zipfile.ZipFile | None

    @contextmanager
    def opened(self, key: tuple[str, int, int]) -> Iterator[IO[bytes]]:
        """Open a member.

        Raises
        ------
        SurveyError
            If it can't be unpacked.
        """
        name = self.members[key]
        try:
            with (self.path / name).open("rb") if self.archive is None else self.archive.open(name) as handle:
                yield handle
        except (zipfile.BadZipFile, zlib.error, *UNREADABLE) as error:
            raise SurveyError(f"{name} in {self.path.name} can't be read: {first_line(error)}", _CUT_OFF) from None


@contextmanager
def open_release(path: Path, files: Sequence[str], year: int | None, quarters: int) -> Iterator[Release]:
    """Open a release and check that it is of one year, complete and of the right survey.

    Parameters
    ----------
    path
        Zip or folder.
    files
        Kinds of files that are needed, families first: ("fmli", "mtbi").
    year
        Calendar year that is asked for; None takes what is there.
    quarters
        4, or 5 where the first quarter of the year after is needed too.

    Raises
    ------
    SurveyError
        If the path leads to nothing, a web page, something cut off, another survey, another year, several years, or a
        release with a quarter missing.
    """
    if not path.exists():
        raise SurveyError(f"there is no file {path}", "Check the path.")
    if path.is_dir():
        names = [str(p.relative_to(path)) for p in sorted(path.rglob("*.csv"))]
        members = _members(path, names)
        yield Release(path, members, _one_year(path, members, files, year, quarters), None)
        return
    refuse_html(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, *UNREADABLE) as error:
        raise SurveyError(f"{path.name} can't be unpacked: {first_line(error)}", _CUT_OFF) from None
    with archive:
        members = _members(path, archive.namelist())
        yield Release(path, members, _one_year(path, members, files, year, quarters), archive)


def _members(path: Path, names: Sequence[str]) -> dict[tuple[str, int, int], str]:
    members: dict[tuple[str, int, int], str] = {}
    for name in names:
        match = _NAME.match(name.rsplit("/", 1)[-1])
        if match is None or "__MACOSX" in name:
            continue
        kind, digits, quarter = match.groups()
        key = (kind.lower(), (1900 if int(digits) >= 80 else 2000) + int(digits), int(quarter))
        if key in members:
            raise SurveyError(
                f"{path.name} holds two files of one quarter, {members[key]} and {name}", "Leave one of them out."
            )
        members[key] = name
    return members


def _one_year(
    path: Path, members: Mapping[tuple[str, int, int], str], files: Sequence[str], year: int | None, quarters: int
) -> int:
    family = files[0]
    there = sorted((y, q) for kind, y, q in members if kind == family)
    survey, _ = _SURVEYS[family]
    if not there:
        other = next((k for k in _SURVEYS if k != family and any(m[0] == k for m in members)), None)
        if other:
            raise SurveyError(
                f"{path.name} is of the {_SURVEYS[other][0]}, not of the {survey}",
                f"Read it with the connector {_SURVEYS[other][1]!r}.",
            )
        raise SurveyError(
            f"{path.name} holds no {family}<year><quarter>.csv", f"Give the {survey}'s csv release of one year."
        )
    found = there[0][0]
    if year is not None and year != found:
        raise SurveyError(f"{path.name} is of {found}, not of {year}", "Give the other year, or the other file.")
    wanted = [(found, q) for q in (1, 2, 3, 4)] + [(found + 1, 1)]
    if strange := [f"{y}Q{q}" for y, q in there if (y, q) not in wanted]:
        raise SurveyError(
            f"{path.name} mixes years: beside {found} it holds {', '.join(strange)}", "Give one year's release."
        )
    for kind in files:
        if gone := [f"{y}Q{q}" for y, q in wanted[:quarters] if (kind, y, q) not in members]:
            raise SurveyError(
                f"{path.name} has no {kind} file of {', '.join(gone)}",
                "Get the whole release: "
                + ("four quarters" if quarters == 4 else "four quarters and the one after")
                + f" of {found}.",
            )
    return found


def read_columns(
    release: Release, key: tuple[str, int, int], required: Sequence[str], optional: Sequence[str] = ()
) -> pa.Table:
    """Read columns of a member as numbers.

    Parameters
    ----------
    release
        An open release.
    key
        File, year and quarter.
    required, optional
        Names in capitals; the file's may be in small letters. UCC and NEWID come as int64, others as float64.

    Raises
    ------
    SurveyError
        If a required column is not there, or holds something else than numbers; names it.
    """
    name = release.members[key]
    with release.opened(key) as handle:
        first = handle.readline()
    header = [c.strip().strip('"') for c in first.decode("utf-8-sig", errors="replace").strip().split(",")]
    if header[0].lower().startswith(("<!doctype", "<html", "<?xml", "<!--")):
        raise SurveyError(f"{name} in {release.path.name} is a web page, not a data file", "Get the release again.")
    upper = {c.upper(): c for c in header}
    if missing := [c for c in required if c not in upper]:
        raise SurveyError(
            f"{name} in {release.path.name} has no column {', '.join(missing)}", closest(missing[0], upper)
        )
    wanted = [c for c in (*required, *optional) if c in upper]
    types = {upper[c]: pa.int64() if c in ("NEWID", "UCC") else pa.float64() for c in wanted}
    options = arrow_csv.ConvertOptions(
        include_columns=[upper[c] for c in wanted], column_types=types, null_values=_NULLS, strings_can_be_null=True
    )
    with release.opened(key) as handle:
        table = arrow_csv.read_csv(handle, convert_options=options)
    table = table.rename_columns(wanted)
    if table["NEWID"].null_count:
        raise SurveyError(f"column NEWID of {name} holds gaps", "Get the file again; it is complete as published.")
    return table


def whole_numbers(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Turn codes that were read as decimals into whole numbers; those with fractions stay."""
    for column in (c for c in columns if c in table.column_names):
        values = table[column].to_numpy()
        known = values[np.isfinite(values)]
        if np.array_equal(known, np.rint(known)):
            place = table.column_names.index(column)
            table = table.set_column(place, column, table[column].cast(pa.int64()))
    return table
