"""Columns of a fixed-width file from a table of their places; records of several kinds in one file.

The whole file is held as bytes and each field is cut out of all records at once, so that lines may be of different
lengths (trailing blanks are often stripped) and a field beyond a line's end is blank.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError, closest

__all__ = ["Field", "Lines", "blocks", "parse_numbers", "read_layout"]

FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

#: Whole numbers of more digits than this are not exact in float64.
_EXACT_DIGITS = 15


@dataclass(frozen=True)
class Field:
    """Where a column stands in a line.

    Attributes
    ----------
    name
        In upper case.
    start
        First character, counted from 1.
    width
        Number of characters.
    decimals
        How many of the digits are behind the decimal point that is not written.
    """

    name: str
    start: int
    width: int
    decimals: int = 0


def read_layout(path: Path) -> dict[str, dict[str, Field]]:
    """Read a layout table: columns record, name, start, width, decimals (and others, which are left out).

    Returns
    -------
    dict
        Kind of record → upper-case name → field.

    Raises
    ------
    SurveyError
        If the table lacks one of these columns, or a place is no whole number from 1 on.
    """
    if not path.is_file():
        raise SurveyError(f"there is no layout {path}", "Check the path.")
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    wanted = ("record", "name", "start", "width", "decimals")
    if not rows or any(c not in rows[0] for c in wanted):
        raise SurveyError(f"{path.name} is no layout table", f"Give a CSV with the columns {', '.join(wanted)}.")
    layout: dict[str, dict[str, Field]] = {}
    for number, row in enumerate(rows, 2):
        try:
            field = Field(row["name"].upper(), int(row["start"]), int(row["width"]), int(row["decimals"] or 0))
        except (ValueError, TypeError, AttributeError):
            raise SurveyError(f"{path.name}, line {number}: a place is no whole number", "Correct it.") from None
        if field.start < 1 or field.width < 1 or not 0 <= field.decimals <= field.width:
            raise SurveyError(f"{path.name}, line {number}: {field} can't be", "Count characters from 1.")
        layout.setdefault(row["record"].lower(), {})[field.name] = field
    return layout


class Lines:
    """The lines of a fixed-width file.

    Parameters
    ----------
    content
        The file's bytes; lines end with a line feed, or with carriage return and line feed.
    name
        The file's name, for errors.

    Raises
    ------
    SurveyError
        If the file is empty, or a web page.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        if content[:200].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
            raise SurveyError(f"{name} is a web page, not a data file", "Download the file itself.")
        self._bytes: Bytes = np.frombuffer(content, dtype=np.uint8)
        ends = np.flatnonzero(self._bytes == 10).astype(np.int64)
        if len(content) and content[-1] != 10:
            ends = np.append(ends, len(content))
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]) if len(ends) else ends
        back = ends[ends > starts] - 1
        ends[ends > starts] -= (self._bytes[back] == 13).astype(np.int64)
        full = ends > starts
        self._starts, self._ends = starts[full], ends[full]
        if not len(self._starts):
            raise SurveyError(f"{name} is empty", "Get the file again.")

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def lengths(self) -> Ints:
        """Characters in each line, shape (lines,)."""
        return self._ends - self._starts

    def first(self) -> Bytes:
        """Return the first character of each line, shape (lines,)."""
        first: Bytes = self._bytes[self._starts]
        return first

    def cut(self, field: Field, rows: Ints) -> Bytes:
        """Return a field's characters, shape (rows, width); blanks behind a line's end."""
        place = self._starts[rows, None] + np.arange(field.start - 1, field.start - 1 + field.width)
        inside = place < self._ends[rows, None]
        if inside.all():
            return np.asarray(self._bytes[place])
        return np.where(inside, self._bytes[np.where(inside, place, 0)], np.uint8(32))

    def numbers(
        self, fields: Mapping[str, Field], columns: Iterable[str], rows: Ints, what: str
    ) -> dict[str, FloatArray]:
        """Read numeric columns of some lines.

        Parameters
        ----------
        fields
            Name → field, of this kind of record.
        columns
            Which to read.
        rows
            Numbers of the lines, from 0.
        what
            Kind of record, for errors.

        Returns
        -------
        dict
            Name → float64, shape (rows,), NaN where the field is blank or a lone point.

        Raises
        ------
        SurveyError
            If the layout has no such column, or a field holds something else than a number.
        """
        out: dict[str, FloatArray] = {}
        for column in columns:
            if column not in fields:
                raise SurveyError(f"the layout has no {what} column {column!r}", closest(column, fields))
            field = fields[column]
            values, odd = parse_numbers(self.cut(field, rows), field.decimals)
            if odd is not None:
                raise SurveyError(
                    f"{self.name}: {what} column {column!r} (characters {field.start} to "
                    f"{field.start + field.width - 1}) holds {odd!r}, no number",
                    "The file may be of another year or release than its layout, or cut off; get the one that fits.",
                )
            out[column] = values
        return out


def parse_numbers(characters: Bytes, decimals: int) -> tuple[FloatArray, str | None]:
    """Turn characters into numbers.

    Parameters
    ----------
    characters
        Shape (rows, width).
    decimals
        Decimals that are implied where no point is written.

    Returns
    -------
    tuple
        Numbers, shape (rows,), NaN for blanks; and the first text that is none, or None.
    """
    digit = (characters >= 48) & (characters <= 57)
    blank = characters == 32
    leading = np.logical_and.accumulate(blank, axis=1)
    plain = (digit | leading).all(axis=1)
    width = characters.shape[1]
    values = np.zeros(len(characters))
    if width <= _EXACT_DIGITS:
        powers = 10.0 ** np.arange(width - 1, -1, -1)
        values = np.where(digit, characters - np.uint8(48), 0).astype(np.float64) @ powers / 10.0**decimals
    else:
        plain = leading.all(axis=1)
    values[leading.all(axis=1)] = np.nan
    rest = np.flatnonzero(~plain)
    if len(rest):  # signs, points, blanks behind: few different texts
        texts, inverse = np.unique(
            np.ascontiguousarray(characters[rest]).view(f"S{width}").ravel(), return_inverse=True
        )
        known = np.empty(len(texts))
        for i, text in enumerate(texts):
            number = _number(text, decimals)
            if number is None:
                return values, text.decode("latin-1")
            known[i] = number
        values[rest] = known[inverse]
    return values, None


def _number(text: bytes, decimals: int) -> float | None:
    stripped = text.strip()
    if stripped in (b"", b"."):
        return float("nan")
    try:
        value = float(stripped)
    except ValueError:
        return None
    if not np.isfinite(value):
        return None
    return value if b"." in stripped else value / 10.0**decimals


def blocks(handle: IO[bytes], name: str, size: int = 64 << 20) -> Iterator[Lines]:
    """Read a file's lines a block at a time, so that a large file need not be held.

    Parameters
    ----------
    handle
        The file.
    name
        Its name, for errors.
    size
        Bytes of a block.

    Raises
    ------
    SurveyError
        If the file is empty, or a web page.
    """
    rest, any_lines = b"", False
    while content := handle.read(size):
        whole, newline, rest = (rest + content).rpartition(b"\n")
        if newline:
            any_lines = True
            yield Lines(whole + newline, name)
    if rest.strip() or not any_lines:
        yield Lines(rest, name)
