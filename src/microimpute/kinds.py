"""Kinds of variables: declared, or inferred from what is certain; encoded to numbers and decoded again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.errors import FusionError
from microimpute.frames import Series, make_series
from microimpute.ties import Ties

__all__ = ["Kind", "Table", "Variable", "decode", "describe", "encode", "is_whole"]

FloatArray = npt.NDArray[np.float64]

#: A float column with more exact zeros than this share has a mass at zero.
ZERO_MASS = 0.01
#: Whole numbers up to here are exact in float64.
_EXACT = 2**53


class Kind(StrEnum):
    """What a variable is, statistically."""

    CONTINUOUS = "continuous"
    SEMICONTINUOUS = "semicontinuous"  # a mass at zero; may be negative on the other side
    COUNT = "count"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    ORDINAL = "ordinal"

    @property
    def is_class(self) -> bool:
        """Whether values are labels, not amounts."""
        return self in (Kind.BINARY, Kind.CATEGORICAL, Kind.ORDINAL)


@dataclass(frozen=True)
class Variable:
    """One column's name, kind and, for classes, its levels in order.

    Attributes
    ----------
    name
        Column name.
    kind
        See `Kind`.
    levels
        Values that codes 0, 1, 2, … stand for; empty for amounts and counts.
    reason
        ``"declared"``, or what the kind was inferred from.
    dtype
        Type of the column that it was made from; decoding returns to it.
    """

    name: str
    kind: Kind
    levels: tuple[object, ...] = ()
    reason: str = "declared"
    dtype: nw.dtypes.DType | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Table:
    """Variables as one numeric matrix: what methods see.

    Attributes
    ----------
    variables
        One per column of `values`.
    values
        float64, shape (rows, variables): amounts as they are, classes as codes 0, 1, 2, …
        In predictors a class that the donor does not have is coded −1.
    ties
        What rules say about the targets; nothing for predictors.
    totals
        float64, shape (rows, totals): totals that identities derive from the targets, for methods that
        want draws to add up to plausible ones; None for predictors.
    households
        uint64, shape (rows,): equal for rows of one household, for methods that hold some donors out while
        they learn; None where it is not known, and for targets and receivers.
    """

    variables: tuple[Variable, ...]
    values: FloatArray
    ties: Ties = field(default_factory=Ties)
    totals: FloatArray | None = None
    households: npt.NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(v.name for v in self.variables)

    def take(self, rows: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Table:
        """Keep some of the rows."""
        totals = None if self.totals is None else self.totals[rows]
        households = None if self.households is None else self.households[rows]
        return replace(self, values=self.values[rows], totals=totals, households=households)


def describe(series: Series, kind: Kind | str | None = None) -> Variable:
    """Say what kind of variable a column is.

    Parameters
    ----------
    series
        The donor's column.
    kind
        The declared kind; when None it is inferred from the column's type and, for floats and integers,
        from whether it has a mass at zero. Whole numbers are never taken for classes.

    Returns
    -------
    Variable

    Raises
    ------
    FusionError
        If the type can't be a variable (lists, dates, mixed types) or contradicts the declared kind.
    """
    name, dtype = series.name, series.dtype
    if kind is None:
        inferred, reason = _infer(series)
    else:
        inferred, reason = _declared(name, kind), "declared"
    levels: tuple[object, ...] = ()
    if inferred.is_class:
        levels = _levels(series, inferred)
    elif not dtype.is_numeric() and dtype != nw.Boolean:
        raise FusionError(
            f"column {name!r} is declared {inferred.value} but holds {_what_is_in(series)}",
            "Convert it to numbers, or declare it categorical.",
        )
    return Variable(name, inferred, levels, reason, dtype)


def _declared(name: str, kind: Kind | str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        known = ", ".join(k.value for k in Kind)
        raise FusionError(f"column {name!r} is declared {kind!r}, which is no kind", f"Kinds are: {known}.") from None


def _infer(series: Series) -> tuple[Kind, str]:
    dtype = series.dtype
    if dtype == nw.Boolean:
        return Kind.BINARY, "boolean column"
    if dtype == nw.Enum:
        return Kind.ORDINAL, "levels with a declared order"
    if dtype in (nw.String, nw.Categorical) or _all_text(series):
        return Kind.CATEGORICAL, "text column"
    if dtype.is_numeric():
        zeros = float((series == 0).mean() or 0.0)
        what = "whole numbers, never taken for classes" if dtype.is_integer() else "decimal numbers"
        if zeros > ZERO_MASS:
            return Kind.SEMICONTINUOUS, f"{what}; {zeros:.1%} exactly zero"
        return Kind.CONTINUOUS, what
    raise FusionError(
        f"column {series.name!r} holds {_what_is_in(series)}, which is neither numbers nor classes",
        "Convert it to numbers, text or booleans, or leave it out.",
    )


def _all_text(series: Series) -> bool:
    if series.dtype != nw.Object:
        return False
    return all(isinstance(v, str) for v in series.drop_nulls().to_list())


def _what_is_in(series: Series) -> str:
    if series.dtype == nw.Unknown:
        return str(series.to_native().dtype)
    if series.dtype != nw.Object:
        return str(series.dtype)
    types = sorted({type(v).__name__ for v in series.drop_nulls().to_list()})
    return "a mixture of " + ", ".join(types) if len(types) > 1 else f"objects of type {''.join(types)}"


def _levels(series: Series, kind: Kind) -> tuple[object, ...]:
    if isinstance(series.dtype, nw.Enum):
        levels = tuple(series.dtype.categories)
    else:
        if series.dtype in (nw.List, nw.Struct, nw.Array):
            raise FusionError(f"column {series.name!r} holds {series.dtype}", "Leave it out or unpack it.")
        known = [v for v in series.drop_nulls().to_list() if not (isinstance(v, float) and np.isnan(v))]
        try:
            found: set[Any] = {_plain(v) for v in known}
            levels = tuple(sorted(found))
        except TypeError:
            raise FusionError(
                f"column {series.name!r} holds {_what_is_in(series)}", "Convert its values to one type."
            ) from None
    if kind is Kind.BINARY and len(levels) > 2:
        raise FusionError(
            f"column {series.name!r} is declared binary but has {len(levels)} levels",
            "Declare it categorical or ordinal.",
        )
    return levels


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def encode(series: Series, variable: Variable) -> FloatArray:
    """Turn a column into numbers.

    Parameters
    ----------
    series
        A column of the donor or of the receiver.
    variable
        As described from the donor.

    Returns
    -------
    numpy.ndarray of float64, shape (rows,)
        Amounts as they are, codes of classes, −1 for a class that is not among the levels, NaN for missing.

    Raises
    ------
    FusionError
        If the column's type does not fit the variable, or whole numbers exceed 2**53.
    """
    if variable.kind.is_class:
        return _codes(series, variable)
    if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
        raise FusionError(
            f"column {series.name!r} holds {_what_is_in(series)} here and {variable.dtype} in the donor",
            "Give both sides the same type.",
        )
    values: FloatArray = series.cast(nw.Float64).to_numpy().astype(np.float64)
    if series.dtype.is_integer() and len(values) and np.nanmax(np.abs(values), initial=0.0) > _EXACT:
        raise FusionError(f"column {series.name!r} has whole numbers above 2**53", "Scale it or declare it as text.")
    return values


def _codes(series: Series, variable: Variable) -> FloatArray:
    index = {level: float(code) for code, level in enumerate(variable.levels)}
    if series.dtype.is_numeric():  # classes coded as numbers
        values = series.cast(nw.Float64).to_numpy()
        unique, inverse = np.unique(values, return_inverse=True)
        table = np.array([np.nan if u != u else index.get(_plain(u), -1.0) for u in unique], dtype=np.float64)
        return np.asarray(table[inverse]) if len(unique) else np.zeros(0)
    gaps = series.is_null().to_list()
    pairs = zip(series.to_list(), gaps, strict=True)
    return np.array([np.nan if gap else index.get(_plain(v), -1.0) for v, gap in pairs], dtype=np.float64)


def decode(values: FloatArray, variable: Variable, backend: nw.Implementation) -> Series:
    """Turn drawn numbers back into a column of the donor's type.

    Parameters
    ----------
    values
        float64, shape (rows,): amounts or codes.
    variable
        Describes the column.
    backend
        The frame library to make the column for.

    Returns
    -------
    narwhals.Series
    """
    dtype, levels = variable.dtype, list(variable.levels)
    if not variable.kind.is_class:
        numeric = np.rint(values) if is_whole(variable) else values
        return make_series(variable.name, numeric, nw.Float64, backend).cast(dtype or nw.Float64)
    chosen = [levels[c] for c in values.astype(np.int64)]
    target = dtype if dtype not in (None, nw.Object) else None
    if backend.is_pyarrow() and target == nw.Enum:
        target = nw.Categorical()  # Arrow knows dictionaries, not ordered enumerations
    if backend.is_pandas() and target in (nw.Enum, nw.Categorical):
        return _pandas_categorical(values, variable)
    series = make_series(variable.name, chosen, None, backend)
    return series if target is None else series.cast(target)


def is_whole(variable: Variable) -> bool:
    """Say whether a column's type is one of whole numbers, to which draws are rounded."""
    return not variable.kind.is_class and variable.dtype is not None and variable.dtype.is_integer()


def _pandas_categorical(values: FloatArray, variable: Variable) -> Series:
    import pandas as pd

    levels: list[Any] = list(variable.levels)
    ordered = variable.kind is Kind.ORDINAL
    codes = pd.Categorical.from_codes(values.astype(np.int64).tolist(), pd.Index(levels), ordered=ordered)
    return nw.from_native(pd.Series(codes, name=variable.name), series_only=True)
