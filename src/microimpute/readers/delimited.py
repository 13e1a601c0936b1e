"""Some columns of a wide CSV file, by name, without holding the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from microimpute.errors import SurveyError, closest, first_line

__all__ = ["read_numbers"]

FloatArray = npt.NDArray[np.float64]

#: Bytes parsed at a time: bounds memory whatever the file's size.
BLOCK = 8 << 20


def read_numbers(
    handle: IO[bytes], name: str, required: Iterable[str], optional: Iterable[str] = (), *, what: str
) -> dict[str, FloatArray]:
    """Read numeric columns of a CSV file with a header, in any case.

    Parameters
    ----------
    handle
        The file, at its beginning.
    name
        Its name, for errors.
    required, optional
        Columns wanted, in upper case; optional ones may be missing.
    what
        What the file should be, for errors.

    Returns
    -------
    dict
        Upper-case name → float64, shape (rows,), NaN where nothing stands.

    Raises
    ------
    SurveyError
        If it is a web page, not CSV, cut off within a line, lacks a required column, or a column holds text.
    """
    header = _header(handle, name)
    actual = {c.upper(): c for c in header}
    missing = [c for c in required if c not in actual]
    if missing:
        near = closest(missing[0], actual)
        raise SurveyError(f"{name} is not {what}: it has no column {', '.join(missing[:6])}", near)
    wanted = [c for c in dict.fromkeys((*required, *optional)) if c in actual]
    convert = csv.ConvertOptions(
        include_columns=[actual[c] for c in wanted],
        column_types={actual[c]: pa.float64() for c in wanted},
    )
    read = csv.ReadOptions(block_size=BLOCK, column_names=header, use_threads=True)
    try:
        with csv.open_csv(pa.PythonFile(handle, mode="r"), read_options=read, convert_options=convert) as reader:
            table = reader.read_all()
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise SurveyError(
            f"{name} can't be read: {first_line(error)}", "Get the file again; it may be cut off or not as published."
        ) from None
    if not table.num_rows:
        raise SurveyError(f"{name} has no rows", "Get the file again; it may be cut off.")
    return {c: table[actual[c]].to_numpy().astype(np.float64, copy=False) for c in wanted}


def _header(handle: IO[bytes], name: str) -> list[str]:
    """Read the first line byte by byte's worth, leaving the handle behind it."""
    line = handle.readline(1 << 20)
    text = line.decode("utf-8", errors="replace").lstrip("\ufeff").strip()
    if text.lower().startswith(("<!doctype", "<html", "<?xml", "<!--")):
        raise SurveyError(f"{name} is a web page, not a data file", "Download the file itself.")
    if not text or "\0" in text or "," not in text:
        raise SurveyError(f"{name} is no CSV file with a header", "Get the file again, as published.")
    return [c.strip().strip('"') for c in text.split(",")]
