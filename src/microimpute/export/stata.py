"""Stata: files that are `mi set` already, flong or mlong, and the .do that imports them the long way."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.io.stata import StataWriterUTF8  # type: ignore[attr-defined]  # the stubs leave it out

from microimpute.errors import OutputError
from microimpute.export.base import Format
from microimpute.export.columns import Column, Form, Role, numbers, texts
from microimpute.export.content import Content, columns_of
from microimpute.export.names import Naming, cut

__all__ = ["Flong", "Mlong"]

#: Longest text of a fixed width, in bytes; longest text of a value label's levels together; longest label.
TEXT, LEVELS, LABEL = 2045, 32_000, 80
#: Longest characteristic, in bytes.
CHARACTERISTIC = 67_784
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
_RESERVED = (
    "_all|_b|byte|_coef|_cons|double|float|if|in|int|long|_n|_N|_pi|_pred|_rc|_skip|using|with|str[0-9]+|strL|_mi_.*"
)
_DO = """\
* Sets up {file} the long way, should Stata not take it as it is: as it is, the file is mi set already, so that
*   use "{file}", clear
*   mi estimate: regress y x
* is all. Run this file where {file} is.
version 12
use "{file}", clear
foreach c in marker style M N n ivars pvars rvars update {{
    char _dta[_mi_`c']
}}
drop _mi_miss
rename (_mi_m _mi_id) ({m} {id})
mi import flong, m({m}) id({id}) imputed({imputed}){passive} clear
mi register regular {regular}
"""


@dataclass(frozen=True)
class _Variable:
    """A column as Stata stores it."""

    name: str
    dtype: str
    column: Column | None = None

    @property
    def dated(self) -> bool:
        return self.column is not None and self.column.form is Form.DATE

    @property
    def code(self) -> int:
        return int(self.dtype[1:]) if self.dtype.startswith("S") else _TYPES[self.dtype][0]

    @property
    def display(self) -> str:
        if self.dated:
            return "%td"
        return f"%{self.code}s" if self.dtype.startswith("S") else _TYPES[self.dtype][4]

    def values(self, array: pa.Array) -> npt.NDArray[Any]:
        assert self.column is not None
        if self.dtype.startswith("S"):
            return np.array([t.encode() for t in texts(self.column, array)], dtype=self.dtype)
        plain = numbers(self.column, array, "Stata") + (EPOCH if self.dated else 0)
        return np.where(np.isnan(plain), _TYPES[self.dtype][3], plain).astype("<" + self.dtype)


class Flong(Format):
    """A .dta file (format 118) that Stata takes for its own mi data in style flong.

    m = 0 is the receiver with what was imputed missing (`.`), then come the m implicates, each with all rows in the
    same order. Source: [MI] technical in Stata's manual.
    """

    name = "stata"
    program = "Stata"
    summary = "Stata .dta, mi set in style flong, labels included, and a .do file as fallback"
    suffix = ".dta"
    naming = Naming(limit=32, imputed=29, bad=r"[^A-Za-z0-9_]", bad_start="[0-9]", reserved=_RESERVED)
    blind = True
    #: Stata's name of the style.
    style = "flong"

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the data and the .do file."""
        variables = [_variable(content, c, names[c.name]) for c in content.columns]
        lists = {role: [v.name for v in variables if v.column and v.column.role is role] for role in Role}
        traits, notes = self._traits(content, lists)
        labels, more = _labels(content, names)
        system = [_Variable("_mi_m", "i2"), _Variable("_mi_id", "i4"), *variables, _Variable("_mi_miss", "i1")]
        values = {names[c.name]: c.value_labels for c in content.columns if c.value_labels}
        writer = _Writer(path, system, labels, {k: v for k, v in values.items() if _coded(k, system)}, traits)
        writer.blocks = lambda: _records(content, system)
        writer.nobs = content.rows * (content.m + 1)
        writer.write_file()
        path.with_suffix(".do").write_text(_do(path.name, lists, set(names.values())), encoding="utf-8")
        return [*notes, *more]

    def _traits(self, content: Content, lists: Mapping[Role, Sequence[str]]) -> tuple[dict[str, str], list[str]]:
        """Return the characteristics of the data set by which Stata knows mi data."""
        said = {"marker": "_mi_ds_1", "style": self.style, "M": str(content.m), "N": str(content.rows)}
        if self.style == "mlong":
            said["n"] = str(content.rows)  # rows that are incomplete in m = 0: all
        for name, role in (("ivars", Role.IMPUTED), ("pvars", Role.DERIVED), ("rvars", Role.OWN)):
            said[name] = " ".join(lists[role])
        said["update"] = str(int((now() - datetime(1960, 1, 1, tzinfo=UTC)).total_seconds()))
        notes = []
        if len(said["rvars"]) >= CHARACTERISTIC:
            said["rvars"] = ""
            notes.append("The receiver's own columns are too many for Stata's list and are not registered as regular.")
        return {f"_mi_{k}": v for k, v in said.items() if v}, notes

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        frame = pd.read_stata(path, convert_categoricals=False, convert_dates=False)
        frame = frame.sort_values(["_mi_m", "_mi_id"])
        for column in columns_of(said):
            if column.form is Form.DATE:
                name = said["names"][column.name]
                frame[name] = frame[name].astype(np.float64) - EPOCH  # days may stand as two-byte integers
        for _, block in frame[frame["_mi_m"] > 0].groupby("_mi_m"):
            yield {str(name): pa.array(block[name], from_pandas=True) for name in block.columns}


class Mlong(Flong):
    """A .dta file (format 118) that Stata takes for its own mi data in style mlong.

    The rows are those of flong, for every row of a receiver lacks what is imputed and none can be left out.
    """

    name = "stata-mlong"
    summary = "Stata .dta, mi set in style mlong, labels included, and a .do file as fallback"
    style = "mlong"


def now() -> datetime:
    """Return the time that is written into the file."""
    return datetime.now(UTC)


class _Writer(StataWriterUTF8):  # type: ignore[misc]
    """pandas' writer, with characteristics, and rows that come block by block."""

    blocks: Callable[[], Iterator[npt.NDArray[Any]]]

    def __init__(
        self,
        path: Path,
        variables: Sequence[_Variable],
        labels: Mapping[str, str],
        value_labels: Mapping[str, Mapping[int, str]],
        traits: Mapping[str, str],
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
            time_stamp=now(),
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


def _records(content: Content, variables: Sequence[_Variable]) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of m = 0, 1, … as Stata stores them."""
    kind = np.dtype([(v.name, v.dtype if v.dtype.startswith("S") else "<" + v.dtype) for v in variables])
    own = {v.name: v.values(content.own[v.column.name]) for v in variables if v.column and v.column.own}
    for i in range(content.m + 1):
        out = np.zeros(content.rows, dtype=kind)
        block = content.block(i)
        out["_mi_m"], out["_mi_id"] = i, np.arange(1, content.rows + 1)
        out["_mi_miss"] = 1 if i == 0 else _TYPES["i1"][3]
        for v in variables:
            if v.column is not None:
                out[v.name] = own[v.name] if v.column.own else v.values(block[v.column.name])
        yield out


def _variable(content: Content, column: Column, name: str) -> _Variable:
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
        return _Variable(name, f"S{max(width, 1)}", column)
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
            return _Variable(name, dtype, column)
    raise OutputError(f"column {column.name!r} has numbers up to {high:.3g}, more than Stata's", "Scale it.")


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _labels_fit(column: Column) -> bool:
    return sum(len(text.encode()) + 1 for text in column.value_labels.values()) <= LEVELS


def _coded(name: str, variables: Sequence[_Variable]) -> bool:
    return any(v.name == name and not v.dtype.startswith("S") for v in variables)


def _labels(content: Content, names: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return what variables mean, in at most 80 characters, and say which were cut."""
    labels = {"_mi_m": "Imputation number", "_mi_id": "Observation", "_mi_miss": "Incomplete observation"}
    notes = []
    for column in content.columns:
        text = column.label or (column.name if names[column.name] != column.name else "")
        if len(text) > LABEL:
            notes.append(f"The label of {column.name!r} is cut to {LABEL} characters.")
        labels[names[column.name]] = cut(text, LABEL)
    return labels, notes


def _do(file: str, lists: Mapping[Role, Sequence[str]], taken: set[str]) -> str:
    free = ["implicate", "observation"]
    free = [next(n for n in (name, f"{name}_", f"{name}__") if n not in taken) for name in free]
    passive = " ".join(lists[Role.DERIVED])
    return _DO.format(
        file=file,
        m=free[0],
        id=free[1],
        imputed=" ".join(lists[Role.IMPUTED]),
        passive=f" passive({passive})" if passive else "",
        regular=" ".join(lists[Role.OWN]),
    )
