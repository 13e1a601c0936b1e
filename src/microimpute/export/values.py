"""Values of a column as other programs hold them, and back: what goes out by its form comes in as it was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from microimpute.errors import OutputError
from microimpute.export.columns import Column, Form, is_text

__all__ = ["labelled", "numbers", "portable", "restore", "texts"]

FloatArray = npt.NDArray[np.float64]


def portable(column: Column, array: pa.Array) -> pa.Array:
    """Turn values into numbers, booleans, int32 codes from 1, dates, or strings, by the column's form."""
    if column.form is Form.CLASS:
        index = pc.index_in(_decoded(array).cast(pa.string()), value_set=pa.array(column.levels, pa.string()))
        return pc.add(index, 1).cast(pa.int32())
    plain = _decoded(array)
    if column.form is Form.DATE:
        return plain.cast(pa.date32())
    if column.form is Form.TEXT:
        return plain.cast(pa.string())
    return plain.cast(pa.float64()) if pa.types.is_null(plain.type) else plain


def numbers(column: Column, array: pa.Array, program: str) -> FloatArray:
    """Return numbers, flags, codes or days since 1970 as float64, shape (rows,), missing as NaN.

    Raises
    ------
    OutputError
        If a number has more digits than a double holds; names column and program.
    """
    plain = portable(column, array)
    if column.form is Form.DATE:
        plain = plain.cast(pa.int32())
    try:
        out = plain.cast(pa.float64(), safe=False)
        same = out.cast(plain.type).equals(plain)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        same = False
    if not same:
        raise OutputError(
            f"column {column.name!r} has numbers of more digits than {program} holds",
            "Convert it to text; numbers are exact up to 2**53.",
        )
    values: FloatArray = out.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def texts(column: Column, array: pa.Array) -> list[str]:
    """Return text, or the labels of a class, missing as empty.

    Raises
    ------
    OutputError
        If a class has an empty label and missing values, which would be the same; names it.
    """
    plain = labelled(column, array)
    if "" in column.levels and plain.null_count:
        raise OutputError(f"column {column.name!r} has both an empty level and missing values", "Name the level.")
    return list(plain.fill_null("").to_pylist())


def labelled(column: Column, array: pa.Array) -> pa.Array:
    """Turn values into what a person reads: classes by their labels, all else as in `portable`."""
    plain = portable(column, array)
    if column.form is not Form.CLASS:
        return plain
    return pa.array(column.levels, pa.string()).take(pc.subtract(plain, 1))


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def restore(column: Column, array: pa.Array, *, blind: bool) -> pa.Array:
    """Bring back what `portable`, `numbers`, `texts` or `labelled` made.

    Parameters
    ----------
    column
        What the column was.
    array
        As a file gave it.
    blind
        Whether the file can't tell empty text from missing text.

    Returns
    -------
    pyarrow.Array
        Of the column's type.
    """
    kind = column.type
    dictionary = pa.types.is_dictionary(kind)
    value = kind.value_type if dictionary else kind
    if pa.types.is_null(kind):
        return pa.nulls(len(array))
    if column.form is Form.FLAG:
        plain = array.cast(pa.bool_())
    elif column.form is Form.TEXT:
        plain = (_with_gaps(column, array) if blind else array).cast(value)
    elif column.form is Form.DATE:
        days = array if pa.types.is_date(array.type) else array.cast(pa.int32()).cast(pa.date32())
        plain = days.cast(value)
    elif column.form is Form.CLASS and not is_text(array.type):
        places = pc.subtract(array.cast(pa.int64()), 1)
        plain = pa.array(column.levels, pa.string()).take(places).cast(value)
    elif blind and column.form is Form.CLASS and "" not in column.levels:
        plain = pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array).cast(value)
    else:
        plain = array.cast(value)
    return _categories(column, plain) if dictionary else plain


def _categories(column: Column, plain: pa.Array) -> pa.Array:
    levels = pa.array(column.levels or (False, True), column.type.value_type)
    codes = pc.index_in(plain, value_set=levels).cast(column.type.index_type)
    return pa.DictionaryArray.from_arrays(codes, levels, ordered=column.type.ordered)


def _with_gaps(column: Column, array: pa.Array) -> pa.Array:
    """Take empty text for missing, but where it was known to be text."""
    if column.blanks is None:
        return array.fill_null("")
    missing = pc.equal(array.fill_null(""), "").to_numpy(zero_copy_only=False).copy()
    missing[list(column.blanks)] = False
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), array.fill_null(""))
