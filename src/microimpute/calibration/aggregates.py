"""Published aggregates, and what they say of each row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.errors import CalibrationError, closest
from microimpute.frames import Series
from microimpute.survey import Survey

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = ["Aggregate", "Line", "Side", "no_total", "read_all"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Aggregate:
    """A published weighted total, of all or by group.

    Parameters
    ----------
    of
        Column whose weighted total it is; None: the number of units.
    total
        The total; with `by`, group → total. Groups are values of the column, or tuples of them where `by` names
        several. Groups that are not named are bound by no total of this aggregate.
    by
        Column, or columns, that divide units into groups.
    source
        Where the figure is published.
    """

    of: str | None
    total: float | Mapping[Any, float]
    by: str | Sequence[str] = ()
    source: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns of `by`."""
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)


@dataclass(frozen=True)
class Line:
    """One total of one group.

    Attributes
    ----------
    aggregate
        Where it is from.
    group
        Values of the grouping columns; empty for all.
    target
        The published total.
    """

    aggregate: Aggregate
    group: tuple[Hashable, ...]
    target: float

    def __str__(self) -> str:
        what = f"the total of {self.aggregate.of}" if self.aggregate.of else "the number of units"
        pairs = zip(self.aggregate.groups, self.group, strict=True)
        where = " and ".join(f"{column} = {value}" for column, value in pairs)
        return f"{what} where {where}" if where else what


class Side:
    """Columns of a survey, or of imputations, implicate by implicate."""

    def __init__(self, data: Survey | Imputations) -> None:
        imputed = not isinstance(data, Survey)
        self.survey: Survey = data.receiver if imputed else data  # type: ignore[union-attr,assignment]
        self.values: Mapping[str, tuple[Series, ...]] = data.values if imputed else {}  # type: ignore[union-attr]
        self.m: int = data.m if imputed else 1  # type: ignore[union-attr]
        self._weights()

    @classmethod
    def planned(cls, receiver: Survey, columns: Iterable[str]) -> Side:
        """Return a receiver beside columns that it is going to be given, of which nothing but the names is known."""
        side = cls(receiver)
        side.values, side.m = dict.fromkeys(columns, ()), 0
        return side

    def _weights(self) -> None:
        weight = self.survey.weights()
        name = f"weight column {self.survey.weight!r}"
        for bad, what in ((~np.isfinite(weight), "missing"), (weight < 0, "negative")):
            if count := int(bad.sum()):
                raise CalibrationError(f"{name} is {what} in {count:,} rows", "Mend or leave out those rows first.")
        if not weight.any():
            raise CalibrationError(f"{name} is zero in all rows", "Name another weight.")

    @property
    def columns(self) -> list[str]:
        """All columns, those that were imputed last."""
        return list(dict.fromkeys([*self.survey.columns, *self.values]))

    def series(self, column: str, implicate: int, role: str) -> Series:
        """Return a column as one implicate has it.

        Raises
        ------
        CalibrationError
            If there is none.
        """
        if column in self.values:
            return self.values[column][implicate]
        if column not in self.survey.columns:
            raise CalibrationError(f"{role} column {column!r} is not there", closest(column, self.columns))
        return self.survey.frame[column]

    def numbers(self, column: str, implicate: int) -> FloatArray:
        """Return an amount, missing as NaN, shape (rows,).

        Raises
        ------
        CalibrationError
            If it does not hold numbers.
        """
        series = self.series(column, implicate, "target")
        if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
            raise no_total(column, str(series.dtype))
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)

    def codes(self, lines: Sequence[Line], implicate: int) -> IntArray:
        """Return which of an aggregate's lines each row belongs to, −1 for none, shape (rows,).

        Raises
        ------
        CalibrationError
            If a grouping column is not there, or a group has no rows.
        """
        groups = lines[0].aggregate.groups
        if not groups:
            return np.zeros(len(self.survey), dtype=np.int64)
        columns = [_levels(self.series(c, implicate, "group")) for c in groups]
        out = np.full(len(self.survey), -1, dtype=np.int64)
        for number, line in enumerate(lines):
            inside = np.all([_equal(c, g) for c, g in zip(columns, line.group, strict=True)], axis=0)
            if not inside.any():
                known = sorted({str(v) for v in columns[0] if v is not None and v == v})
                there = f"{groups[0]} has: {', '.join(known[:20])}{', …' if len(known) > 20 else ''}."
                raise CalibrationError(f"{line}: no row is in that group", there)
            out[inside] = number
        return out


def no_total(column: str, holds: str) -> CalibrationError:
    """Return the error that a column is not one of amounts."""
    return CalibrationError(
        f"target column {column!r} holds {holds}, which has no total",
        f"For numbers of units in its groups leave the column out of `of`, and say by = {column!r} and a number each.",
    )


def _levels(series: Series) -> npt.NDArray[Any]:
    if series.dtype.is_numeric():
        return np.asarray(series.cast(nw.Float64).to_numpy())
    return np.array(series.to_list(), dtype=object)


def _equal(values: npt.NDArray[Any], level: Hashable) -> npt.NDArray[np.bool_]:
    if values.dtype == object:
        return np.array([v is not None and v == level for v in values], dtype=bool)
    return np.asarray(values == level) if isinstance(level, int | float | np.number) else np.zeros(len(values), bool)


def read_all(targets: Mapping[str, Any] | Iterable[Aggregate]) -> list[list[Line]]:
    """Read targets into lines, one list per aggregate.

    Parameters
    ----------
    targets
        Aggregates; or column → total, for totals over all units.

    Raises
    ------
    CalibrationError
        If there are none, a total is no finite number, one is given twice, or groups and `by` do not fit.
    """
    if isinstance(targets, Aggregate):
        targets = [targets]
    if isinstance(targets, Mapping):
        targets = [Aggregate(column, total) for column, total in targets.items()]
    lines = [_lines(aggregate) for aggregate in targets]
    if not lines:
        raise CalibrationError("there are no targets", "Name at least one published total.")
    names = [str(line) for of in lines for line in of]
    if twice := [n for n in names if names.count(n) > 1]:
        raise CalibrationError(f"{twice[0]} is given twice", "Give each total once.")
    return lines


def _lines(aggregate: Aggregate) -> list[Line]:
    if not isinstance(aggregate, Aggregate):
        raise CalibrationError(f"target {aggregate!r} is no Aggregate", "Write Aggregate(column, total, by=...).")
    name, groups = aggregate.of or "the number of units", aggregate.groups
    if isinstance(aggregate.total, Mapping) != bool(groups):
        raise CalibrationError(
            f"the target of {name} has {'no groups' if groups else 'groups, but no column to find them in'}",
            "With by, give {group: total}; without, one number.",
        )
    given = aggregate.total if isinstance(aggregate.total, Mapping) else {(): aggregate.total}
    if not given:
        raise CalibrationError(f"the target of {name} by {', '.join(groups)} names no group", "Name at least one.")
    lines = []
    for level, total in given.items():
        group = level if isinstance(level, tuple) else (level,)
        if len(group) != len(groups):
            raise CalibrationError(
                f"group {level!r} of the target of {name} has {len(group)} values for {len(groups)} columns",
                f"Give one for each of {', '.join(groups)}.",
            )
        if isinstance(total, bool) or not isinstance(total, int | float | np.number) or not np.isfinite(total):
            raise CalibrationError(f"the target of {name} is {total!r}", "Give a finite number.")
        lines.append(Line(aggregate, group, float(total)))
    return lines
