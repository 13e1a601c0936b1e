"""Columns in the few forms that every statistics program holds: numbers, flags, classes with labels, text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from microimpute.errors import OutputError, first_line
from microimpute.frames import Series

__all__ = ["Column", "Form", "Role", "describe", "from_series", "is_text"]

_LEAVE_OUT = "Convert it, or leave the column out of the receiver."


class Form(StrEnum):
    """How other programs hold a column."""

    NUMBER = "number"
    FLAG = "flag"  # false or true
    CLASS = "class"  # codes 1, 2, … with labels
    DATE = "date"  # days since 1970
    TEXT = "text"


class Role(StrEnum):
    """Where a column comes from."""

    OWN = "own"
    IMPUTED = "imputed"
    DERIVED = "derived"  # a total of imputed columns


@dataclass(frozen=True)
class Column:
    """One column, and what it takes to bring it back as it was.

    Attributes
    ----------
    name
        As in the receiver or among the targets.
    role
        The receiver's own, imputed, or derived from what was imputed.
    form
        How other programs hold it.
    type
        Arrow type that it comes back to.
    levels
        What the codes 1, 2, … of a class mean; the categories of numbers that were declared to be such; else empty.
    label
        What it means, in words; may be empty.
    blanks
        Rows whose text is empty and not missing, for programs that can't tell the two apart; None if all are.
    """

    name: str
    role: Role
    form: Form
    type: pa.DataType
    levels: tuple[Any, ...] = ()
    label: str = ""
    blanks: tuple[int, ...] | None = ()

    @property
    def own(self) -> bool:
        """Whether the receiver brought it."""
        return self.role is Role.OWN

    @property
    def value_labels(self) -> dict[int, str]:
        """What codes mean, for programs with value labels."""
        if self.form is Form.FLAG:
            return {0: "false", 1: "true"}
        return dict(enumerate(self.levels, 1)) if self.form is Form.CLASS else {}


def from_series(series: Series) -> pa.Array:
    """Make one Arrow array of a column; what is no number is missing.

    Raises
    ------
    OutputError
        If it holds values of several types.
    """
    try:
        array: Any = series.to_frame().to_arrow()[series.name]
    except (TypeError, ValueError, NotImplementedError) as error:  # Arrow's errors are of these
        raise OutputError(f"column {series.name!r} can't be exported: {first_line(error)}", _LEAVE_OUT) from None
    if pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    array = array.combine_chunks()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array


def describe(name: str, arrays: Sequence[pa.Array], role: Role, label: str) -> Column:
    """Say in which form a column goes out, from all of its implicates.

    Raises
    ------
    OutputError
        If no other program holds such values; names the column.
    """
    kind = arrays[0].type
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_boolean(value):
        return Column(name, role, Form.FLAG, kind, label=label)
    if _is_number(value):
        _refuse_infinite(name, arrays)
        levels = tuple(arrays[0].dictionary.drop_null().to_pylist()) if pa.types.is_dictionary(kind) else ()
        return Column(name, role, Form.NUMBER, kind, levels, label)
    if is_text(value):
        _refuse_nul(name, arrays)
        if pa.types.is_dictionary(kind) or role is not Role.OWN:
            return Column(name, role, Form.CLASS, kind, _levels(arrays), label)
        return Column(name, role, Form.TEXT, kind, label=label, blanks=_blanks(arrays[0]))
    _refuse_untellable(name, arrays)
    form = Form.DATE if all(_is_date(array) for array in arrays) else Form.TEXT
    return Column(name, role, form, kind, label=label)


def _is_number(value: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(check(value) for check in checks)


def is_text(value: pa.DataType) -> bool:
    """Say whether an Arrow type is one of text."""
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(value) for check in checks)


def _is_date(array: pa.Array) -> bool:
    """Whether values are days: dates, or points in time that are all midnights."""
    if pa.types.is_timestamp(array.type) and array.type.tz is None:
        return bool(array.cast(pa.date32(), safe=False).cast(array.type).equals(array))
    return bool(pa.types.is_date(array.type))


def _levels(arrays: Sequence[pa.Array]) -> tuple[str, ...]:
    """Return the declared levels in order, then others; of plain text all values, sorted."""
    found: dict[str, None] = {}
    for array in arrays:
        declared = pa.types.is_dictionary(array.type)
        known = array.dictionary.to_pylist() if declared else sorted(pc.unique(array.drop_null()).to_pylist())
        found |= dict.fromkeys(v for v in known if v is not None)
    return tuple(found) if pa.types.is_dictionary(arrays[0].type) else tuple(sorted(found))


def _blanks(array: pa.Array) -> tuple[int, ...] | None:
    empty = pc.equal(array.cast(pa.string()), "")
    rows = np.flatnonzero(empty.fill_null(False).to_numpy(zero_copy_only=False))
    return None if len(rows) and not array.null_count else tuple(int(r) for r in rows)


def _refuse_infinite(name: str, arrays: Sequence[pa.Array]) -> None:
    for array in arrays:
        values = array.dictionary if pa.types.is_dictionary(array.type) else array
        if pa.types.is_floating(values.type) and (count := pc.sum(pc.is_inf(values)).as_py()):
            raise OutputError(f"column {name!r} is infinite in {count:,} rows", "Other programs hold finite numbers.")


def _refuse_nul(name: str, arrays: Sequence[pa.Array]) -> None:
    for array in arrays:
        values = array.dictionary if pa.types.is_dictionary(array.type) else array
        if pc.any(pc.match_substring(values.cast(pa.string()), "\0")).as_py():
            raise OutputError(f"column {name!r} has text with a zero byte in it", "Take it out; text ends there.")


def _refuse_untellable(name: str, arrays: Sequence[pa.Array]) -> None:
    """Raise unless dates and the like come back from their text."""
    for array in arrays:
        try:
            same = array.cast(pa.string()).cast(array.type).equals(array)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            same = False
        if not same:
            raise OutputError(f"column {name!r} holds {array.type}, which other programs do not hold", _LEAVE_OUT)
