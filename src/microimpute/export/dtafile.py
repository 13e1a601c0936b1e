"""Files of Stata's (.dta, format 118): how each column is stored, and a writer that takes rows block by block."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.io.stata import StataWriterUTF8  # type: ignore[attr-defined]  # the stubs leave it out

from microimpute.errors import OutputError
from microimpute.export.columns import Column, Form
from microimpute.export.content import Content
from microimpute.export.values import numbers, texts

__all__ = ["EPOCH", "MISSING_BYTE", "DtaWriter", "Variable", "variable"]

#: Longest text of a fixed width, in bytes; longest text of a value label's levels together.
TEXT, LEVELS = 2045, 32_000
#: Largest number that a double of Stata's holds; above are its missing values.
LARGEST = 2.0**1023 - 2.0**970
#: Days from Stata's first, 1 January 1960, to 1970.
EPOCH = 3653
#: numpy type → Stata's code of it, smallest, largest, missing (`.`), format for display.
_TYPES: dict[str, tuple[int, float, float, float, str]] = {
    "i1": (65530, -127, 100, 101, "%8.0g"),
    "i2": (65529, -32_767, 32_740, 32_741, "%8.0g"),
    "i4": (65528, -2_147_483_647, 2_147_483_620, 2_147_483_621, "%12.0g"),
    "f8": (65526, -np.inf, LARGEST, 2.0**1023, "%10.0g"),
}
#: What stands for missing (`.`) in a column of one byte.
MISSING_BYTE = 101


@dataclass(frozen=True)
class Variable:
    """A column as Stata stores it."""

    name: str
    dtype: str
    column: Column | None = None

    @property
    def dated(self) -> bool:
        """Whether it holds days."""
        return self.column is not None and self.column.form is Form.DATE

    @property
    def code(self) -> int:
        """Stata's code of the type: bytes of a text, or one of the numbers'."""
        return int(self.dtype[1:]) if self.dtype.startswith("S") else _TYPES[self.dtype][0]

    @property
    def display(self) -> str:
        """Stata's format for display."""
        if self.dated:
            return "%td"
        return f"%{self.code}s" if self.dtype.startswith("S") else _TYPES[self.dtype][4]

    def values(self, array: pa.Array) -> npt.NDArray[Any]:
        """Return a column's values as they are stored, shape (rows,).

        Raises
        ------
        OutputError
            If a number has more digits than a double holds, or a class an empty label and missing values.
        """
        assert self.column is not None
        if self.dtype.startswith("S"):
            return np.array([t.encode() for t in texts(self.column, array)], dtype=self.dtype)
        plain = numbers(self.column, array, "Stata") + (EPOCH if self.dated else 0)
        return np.where(np.isnan(plain), _TYPES[self.dtype][3], plain).astype("<" + self.dtype)


class DtaWriter(StataWriterUTF8):  # type: ignore[misc]
    """pandas' writer, with characteristics, and rows that come block by block."""

    blocks: Callable[[], Iterator[npt.NDArray[Any]]]

    def __init__(
        self,
        path: Path,
        variables: Sequence[Variable],
        labels: Mapping[str, str],
        value_labels: Mapping[str, Mapping[int, str]],
        traits: Mapping[str, str],
        written_at: datetime,
    ) -> None:
        self._variables = variables
        self._traits = traits
        # pandas learns names and labels from a frame of no rows; types and rows are ours
        empty = pd.DataFrame({v.name: pd.Series(dtype="int8") for v in variables})
        super().__init__(
            path,
            empty,
            write_index=False,
            byteorder="<",
            time_stamp=written_at,
            data_label="Imputations made by microimpute",
            variable_labels=dict(labels),
            value_labels={name: dict(levels) for name, levels in value_labels.items()},
            version=118,
        )

    def _check_column_names(self, data: pd.DataFrame) -> pd.DataFrame:
        return data  # `Naming` has made them; pandas also refuses words that Stata takes, such as class

    def _set_formats_and_types(self, dtypes: Any) -> None:
        self.typlist = [v.code for v in self._variables]
        self.fmtlist = [v.display for v in self._variables]

    def _write_characteristics(self) -> None:
        self._update_map("characteristics")
        parts = [_characteristic("_dta", name, text) for name, text in self._traits.items()]
        self._write_bytes(self._tag(b"".join(parts), "characteristics"))

    def _prepare_data(self) -> Any:
        return None

    def _write_data(self, records: Any) -> None:
        self._update_map("data")
        self._write_bytes(b"<data>")
        for block in self.blocks():
            self._write_bytes(block.tobytes())
        self._write_bytes(b"</data>")


def _characteristic(variable: str, name: str, text: str) -> bytes:
    body = variable.encode().ljust(129, b"\0") + name.encode().ljust(129, b"\0") + text.encode() + b"\0"
    return b"<ch>" + struct.pack("<I", len(body)) + body + b"</ch>"


def variable(content: Content, column: Column, name: str) -> Variable:
    """Choose the smallest type that holds every value of a column.

    Raises
    ------
    OutputError
        If none does; names the column.
    """
    arrays = content.arrays(column.name)
    if column.form is Form.TEXT or (column.own and not _labels_fit(column)):
        width = max((len(t.encode()) for a in arrays for t in texts(column, a)), default=0)
        if width > TEXT:
            raise OutputError(
                f"column {column.name!r} has a text of {width:,} bytes; Stata's hold {TEXT:,}",
                "Shorten it, or leave the column out.",
            )
        return Variable(name, f"S{max(width, 1)}", column)
    if not _labels_fit(column):
        raise OutputError(
            f"the levels of column {column.name!r} are longer than {LEVELS:,} characters together",
            "Give it fewer or shorter levels; what Stata imputes is numbers with labels.",
        )
    low, high = 0.0, 0.0
    for array in arrays:
        known = numbers(column, array, "Stata")
        known = known[~np.isnan(known)]
        known = known + (EPOCH if column.form is Form.DATE else 0)
        low, high = min(low, known.min(initial=0.0)), max(high, known.max(initial=0.0))
    whole = column.form is not Form.NUMBER or pa.types.is_integer(_value_type(column.type))
    for dtype in _TYPES if whole else ("f8",):
        if _TYPES[dtype][1] <= low and high <= _TYPES[dtype][2]:
            return Variable(name, dtype, column)
    raise OutputError(f"column {column.name!r} has numbers up to {high:.3g}, more than Stata's", "Scale it.")


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _labels_fit(column: Column) -> bool:
    return sum(len(text.encode()) + 1 for text in column.value_labels.values()) <= LEVELS
