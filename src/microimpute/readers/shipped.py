"""Extracts whose description comes with the package, read with it and checked to be what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from microimpute.errors import SurveyError, closest
from microimpute.frames import as_frame
from microimpute.readers.description import Description, described, find
from microimpute.survey import Survey

__all__ = ["read_described"]


def read_described(path: Path, description: str, required: Sequence[str], what: str) -> Survey:
    """Read a file with one of the package's descriptions.

    Parameters
    ----------
    path
        A CSV (also gzipped), Parquet or Stata file.
    description
        Name of the description, without ending.
    required
        Columns that it must have.
    what
        What the file should be, for errors.

    Raises
    ------
    SurveyError
        If it is missing, a web page, cut off, or lacks a column.
    """
    table = as_frame(path)
    if missing := [c for c in required if c not in table.columns]:
        raise SurveyError(
            f"{path.name} is not {what}: it has no column {', '.join(missing[:6])}", closest(missing[0], table.columns)
        )
    return described(table, Description.read(find(description, path)), f"file {path.name}")
