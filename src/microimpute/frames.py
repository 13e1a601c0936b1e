"""Frames of any library, and files of any common format, through one adapter (narwhals)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from microimpute.errors import SurveyError

__all__ = ["READABLE", "Frame", "Series", "aligned", "as_frame", "is_path", "make_series", "read_file"]

Frame = nw.DataFrame[Any]
Series = nw.Series[Any]

#: Endings that `read_file` knows.
READABLE = (".parquet", ".csv", ".csv.gz", ".dta")


def is_path(source: object) -> bool:
    """Whether something names a file."""
    return isinstance(source, str | Path)


def as_frame(source: object) -> Frame:
    """Wrap a pandas or polars frame or an Arrow table, or read a file.

    Parameters
    ----------
    source
        A frame, or a path that ends in one of `READABLE`; a file becomes a pandas frame with Arrow types,
        which keeps whole numbers with gaps as whole numbers.

    Raises
    ------
    SurveyError
        If it is none of these, two columns share a name, or the file can't be read.
    """
    if isinstance(source, str | Path):
        return read_file(Path(source))
    frame: Any
    try:
        frame = nw.from_native(source, eager_only=True)
    except (TypeError, nw.exceptions.DuplicateError) as error:
        raise SurveyError(
            f"{type(source).__name__} is not a table: {error}",
            "Give a pandas or polars frame, an Arrow table, or the path of a Parquet, CSV or Stata file.",
        ) from None
    if isinstance(frame, nw.Series):
        raise SurveyError("a single column was given", "Give a whole table.")
    whole: Frame = frame
    return whole


def make_series(name: str, values: Any, dtype: Any, backend: nw.Implementation) -> Series:
    """Make a column for a frame library."""
    chosen: Any = backend
    return nw.new_series(name, values, dtype, backend=chosen)


def aligned(series: Series, frame: Frame) -> Series:
    """Give a pandas series the frame's index, so that rows meet by position."""
    if not frame.implementation.is_pandas():
        return series
    native = series.to_native().set_axis(frame.to_native().index)
    return nw.from_native(native, series_only=True)


def read_file(path: Path) -> Frame:
    """Read a Parquet, CSV (also gzipped) or Stata file.

    Raises
    ------
    SurveyError
        If the file is missing, of another format, truncated, or a web page.
    """
    if not path.is_file():
        raise SurveyError(f"there is no file {path}", "Check the path.")
    name = path.name.lower()
    if not name.endswith(READABLE):
        raise SurveyError(f"{path.name} has an ending that is not known", f"Give one of {', '.join(READABLE)}.")
    refuse_html(path)
    try:
        table = _read_table(path, name)
    except (pa.ArrowInvalid, OSError, ValueError, EOFError) as error:
        first = str(error).splitlines()[0]
        raise SurveyError(f"{path.name} can't be read: {first}", "Get the file again; it may be cut off.") from None
    return as_frame(table)


def _read_table(path: Path, name: str) -> Any:
    import pandas as pd

    if name.endswith(".dta"):
        return pd.read_stata(path)
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        table = pq.read_table(path)
    else:
        from pyarrow import csv

        table = csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def refuse_html(path: Path) -> None:
    """Raise if a file is a web page that was saved under the wrong name."""
    with path.open("rb") as handle:
        start = handle.read(512).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise SurveyError(
            f"{path.name} is a web page, not a data file",
            "Download the file itself; the link may lead to a page.",
        )
