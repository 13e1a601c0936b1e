"""CSV files implicate by implicate, and the R that reads them with their types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from microimpute.export.columns import Column, Form
from microimpute.export.content import Content, columns_of
from microimpute.export.names import Naming
from microimpute.export.values import labelled

__all__ = [
    "R_NAMING",
    "arrow_types",
    "r_factors",
    "r_labels",
    "r_levels",
    "r_name",
    "r_reader",
    "read_blocks",
    "write_blocks",
]

Encode = Callable[[Column, pa.Array], pa.Array]

#: Names that stand in R's formulas as they are: mice builds formulas of all of them.
R_NAMING = Naming(
    bad="[^A-Za-z0-9._]",
    bad_start=r"[^A-Za-z.]|\.[0-9]",
    reserved=r"if|else|repeat|while|function|for|next|break|TRUE|FALSE|NULL|Inf|NaN|NA|NA_[a-z]+_|T|F|in|\.imp|\.id|\.+",
)
#: Whole numbers up to here are exact in R, whose numbers are doubles.
_EXACT = 2**53


def write_blocks(
    content: Content,
    names: Mapping[str, str],
    path: Path,
    implicates: Sequence[int],
    index: Callable[[int], Mapping[str, pa.Array]],
    encode: Encode = labelled,
) -> None:
    """Write implicates one below the other, text in quotes, missing values as nothing between commas.

    Parameters
    ----------
    content
        What to write.
    names
        Column → its name in the file.
    path
        The file.
    implicates
        Which, in order; 0 has what was imputed missing.
    index
        Implicate → columns that stand before the others.
    encode
        Turns values into what is written.
    """
    writer = None
    for i in implicates:
        block = content.block(i)
        columns = {names[c.name]: encode(c, block[c.name]) for c in content.columns}
        table = pa.table({**index(i), **columns})
        writer = writer or csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def read_blocks(
    path: Path, said: Mapping[str, Any], types: Mapping[str, pa.DataType], first: int = 0
) -> Iterator[dict[str, pa.Array]]:
    """Yield blocks of as many rows as the receiver has, from block `first` on."""
    table = read(path, types)
    rows = said["rows"]
    for start in range(first * rows, max(len(table), 1), rows or 1):
        part = table.slice(start, rows)
        yield {name: part[name].combine_chunks() for name in part.column_names}


def read(path: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Read one of our files; quoted nothing is empty text, nothing without quotes is missing."""
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict(types), strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    )


def arrow_types(said: Mapping[str, Any], *, codes: bool = False) -> dict[str, pa.DataType]:
    """Say as what type each column of a file is read, by its name there; `codes` if classes are numbers in it."""
    names: Mapping[str, str] = said["names"]
    return {names[c.name]: _read_as(c, codes=codes) for c in columns_of(said)}


_PLAIN = {Form.FLAG: pa.bool_(), Form.DATE: pa.date32()}


def _read_as(column: Column, *, codes: bool) -> pa.DataType:
    if column.form is Form.NUMBER:
        value = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        return value if pa.types.is_integer(value) else pa.float64()
    if column.form in _PLAIN:
        return _PLAIN[column.form]
    return pa.int32() if codes and column.form is Form.CLASS else pa.string()


def r_name(name: str) -> str:
    """Write a text as R reads it, whatever the encoding of its session."""
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(c if ord(c) < 128 else f"\\U{ord(c):08x}" for c in quoted)


def r_reader(content: Content, index: Sequence[str], file: str) -> str:
    """Write the R call that reads one file: types are given, so that nothing is guessed."""
    types = [*("integer" for _ in index), *(_r_type(c, content) for c in content.columns)]
    listed = ",\n    ".join(", ".join(f'"{t}"' for t in types[at : at + 8]) for at in range(0, len(types), 8))
    return f'read.csv({file}, check.names = FALSE, na.strings = "", encoding = "UTF-8", colClasses = c(\n    {listed}))'


_R_TYPES = {Form.FLAG: "logical", Form.DATE: "Date"}


def _r_type(column: Column, content: Content) -> str:
    if column.form in _R_TYPES:
        return _R_TYPES[column.form]
    if column.form is not Form.NUMBER:
        return "character"
    arrays = content.arrays(column.name)
    return "numeric" if all(_fits(a) for a in arrays) else "character"


def _fits(array: pa.Array) -> bool:
    values = array.dictionary if pa.types.is_dictionary(array.type) else array
    if not pa.types.is_integer(values.type):
        return True
    whole = values.drop_null().to_numpy(zero_copy_only=False)
    return bool(np.all((whole <= _EXACT) & (whole >= -_EXACT))) if len(whole) else True


def r_levels(column: Column) -> str:
    """Write a class's levels as arguments of R's `factor`."""
    ordered = ", ordered = TRUE" if getattr(column.type, "ordered", False) else ""
    return f"levels = c({', '.join(r_name(level) for level in column.levels)}){ordered}"


def r_factors(columns: Sequence[Column], names: Mapping[str, str], frame: str) -> list[str]:
    """Write the lines of R that make factors of classes, levels in order."""
    places = [(f"{frame}[[{r_name(names[c.name])}]]", c) for c in columns if c.form is Form.CLASS]
    return [f"{place} <- factor({place}, {r_levels(column)})" for place, column in places]


def r_labels(columns: Sequence[Column], names: Mapping[str, str], frame: str) -> list[str]:
    """Write the lines of R that say what columns mean."""
    said = [c for c in columns if c.label]
    return [f'attr({frame}[[{r_name(names[c.name])}]], "label") <- {r_name(c.label)}' for c in said]
