"""Frames of any library, and files of any common format, through one adapter (narwhals)."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from microimpute.errors import SurveyError, first_line

__all__ = [
    "READABLE",
    "UNREADABLE",
    "Frame",
    "Series",
    "aligned",
    "as_frame",
    "is_path",
    "make_series",
    "plain_values",
    "read_file",
]

Frame = nw.DataFrame[Any]
Series = nw.Series[Any]

#: Endings that `read_file` knows.
READABLE = (".parquet", ".csv", ".csv.gz", ".dta")
#: What pyarrow and pandas raise at a file that is cut off or of another format.
UNREADABLE = (pa.ArrowInvalid, OSError, ValueError, EOFError, struct.error)


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
        If it is none of these, two columns share a name, a name is no text, or the file can't be read.
    """
    if isinstance(source, str | Path):
        return read_file(Path(source))
    frame: Any
    try:
        frame = nw.from_native(source, allow_series=True)
        names = frame.columns if isinstance(frame, nw.DataFrame) else []
    except nw.exceptions.DuplicateError:
        raise SurveyError(
            f"column name {_twice(source)!r} stands for several columns", "Rename or drop all but one."
        ) from None
    except TypeError as error:
        raise SurveyError(
            f"{type(source).__name__} is not a table: {' '.join(str(error).split())}",
            "Give a pandas or polars frame, an Arrow table, or the path of a Parquet, CSV or Stata file.",
        ) from None
    if isinstance(frame, nw.Series):
        raise SurveyError("a single column was given", "Give a whole table.")
    if isinstance(frame, nw.LazyFrame):
        raise SurveyError(f"{type(source).__name__} is not a table yet", "Have it computed first: frame.collect().")
    if odd := [n for n in names if not isinstance(n, str)]:
        raise SurveyError(
            f"column name {odd[0]!r} is no text", "Rename the columns: frame.columns = [str(c) for c in frame.columns]."
        )
    whole: Frame = frame
    return whole


def _twice(source: Any) -> object:
    """Return the first column name that a pandas frame or an Arrow table has twice."""
    names = list(getattr(source, "column_names", source.columns))
    return next(n for n in names if names.count(n) > 1)


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


def plain_values(series: Series) -> npt.NDArray[np.generic]:
    """Return a column's values, shape (rows,), alike from every library and file format, masked where missing."""
    values = _arrow(series)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("us"))  # a date is the midnight that other libraries make of it
    raw: npt.NDArray[Any]
    if pa.types.is_boolean(values.type) or pa.types.is_integer(values.type):
        raw = values.fill_null(0 if pa.types.is_integer(values.type) else False).to_numpy(zero_copy_only=False)
    elif pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        raw = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        raw = np.array([str(v) for v in values.to_pylist()], dtype=object)
    masked: npt.NDArray[Any] = np.ma.array(raw, mask=values.is_null().to_numpy(zero_copy_only=False))
    return masked


def _arrow(series: Series) -> Any:
    try:
        return pa.array(series.to_list(), from_pandas=True) if series.dtype == nw.Object else series.to_arrow()
    except (TypeError, ValueError, OverflowError, NotImplementedError):  # mixed types: known by their text
        pairs = zip(series.to_list(), series.is_null().to_list(), strict=True)
        return pa.array([None if gap else str(v) for v, gap in pairs], pa.string())


def read_file(path: Path) -> Frame:
    """Read a Parquet, CSV (also gzipped) or Stata file.

    Raises
    ------
    SurveyError
        If the file is missing, of another format, truncated, a web page, or text that is not UTF-8.
    """
    if not path.is_file():
        raise SurveyError(f"there is no file {path}", "Check the path.")
    name = path.name.lower()
    if not name.endswith(READABLE):
        raise SurveyError(f"{path.name} has an ending that is not known", f"Give one of {', '.join(READABLE)}.")
    refuse_html(path)
    try:
        table = _read_table(path, name)
    except UNREADABLE as error:
        raise SurveyError(
            f"{path.name} can't be read: {first_line(error)}", "Get the file again; it may be cut off."
        ) from None
    return as_frame(table)


def _read_table(path: Path, name: str) -> Any:
    import pandas as pd

    if name.endswith(".dta"):
        return pd.read_stata(path)
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        nameless = [c for c in table.column_names if c in index and c.startswith("__index_level_")]
        table = table.drop_columns(nameless)
    else:
        table = _read_csv(path, gzipped=name.endswith(".gz"))
    return table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)  # a named index is a column


def _read_csv(path: Path, *, gzipped: bool) -> Any:
    from pyarrow import csv

    compression = "gzip" if gzipped else None
    with pa.input_stream(str(path), compression=compression) as stream:
        table = csv.read_csv(stream, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    try:
        types = zip(table.column_names, table.schema.types, strict=True)
        bad = [f"column {name!r}" for name, kind in types if pa.types.is_binary(kind)]
    except UnicodeDecodeError:
        bad = ["its header"]
    if bad:
        with pa.input_stream(str(path), compression=compression) as stream:
            if b"\0" in stream.read(4096):
                raise ValueError("it is not text")
        remedy = "Convert it, from Latin-1 for example: iconv -f LATIN1 -t UTF-8 old.csv > new.csv"
        raise SurveyError(f"{path.name} is not UTF-8: {bad[0]} can't be read as text", remedy)
    return table


def refuse_html(path: Path) -> None:
    """Raise if a file is a web page that was saved under the wrong name."""
    with path.open("rb") as handle:
        start = handle.read(4096)
    if start.startswith(b"\x1f\x8b"):
        with contextlib.suppress(zlib.error):
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, 4096)
    start = start.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()  # byte-order marks, UTF-16
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<!--")):
        raise SurveyError(
            f"{path.name} is a web page, not a data file",
            "Download the file itself; the link may lead to a page.",
        )
