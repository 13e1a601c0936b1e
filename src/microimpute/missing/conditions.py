"""Who is asked a question: conditions on other variables, where some of those may not be known yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError, closest
from microimpute.kinds import Kind, Variable
from microimpute.rules import Requires, parse

__all__ = ["Comparison", "Condition", "condition"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Columns = Mapping[str, FloatArray]

_SIGNS: Mapping[str, Callable[[FloatArray, float], Flags]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
}
_PART = re.compile(r"""\s*([^\s=!<>]+)\s*(==|!=|>=|<=|>|<)\s*("[^"]*"|'[^']*'|[^\s"']+)\s*(and\b|$)""")
_FORMS = "Write 'works == 1', \"sector == 'public' and age >= 16\", or 'hours requires works or pension'."
#: Stands for a level that no row has: nothing equals it.
_NO_LEVEL = -9.0


@dataclass(frozen=True)
class Comparison:
    """A column compared with a number; classes by their codes."""

    column: str
    sign: str
    number: float

    def holds(self, values: FloatArray) -> Flags:
        """Say where it holds; nowhere that a value is missing."""
        return np.asarray(_SIGNS[self.sign](values, self.number) & ~np.isnan(values))


@dataclass(frozen=True)
class Condition:
    """Where a question is asked: all clauses hold, each of which is one or another comparison.

    Attributes
    ----------
    column
        The answer to the question.
    text
        The condition as it was written.
    clauses
        Alternatives each.
    """

    column: str
    text: str
    clauses: tuple[tuple[Comparison, ...], ...]

    @property
    def gates(self) -> tuple[str, ...]:
        """Columns that it looks at."""
        return tuple(dict.fromkeys(part.column for clause in self.clauses for part in clause))

    @property
    def needed(self) -> frozenset[str]:
        """Columns that must have a value where the question is asked: alone in a clause."""
        alone = [{part.column for part in clause} for clause in self.clauses]
        return frozenset(column for columns in alone if len(columns) == 1 for column in columns)

    def holds(self, columns: Columns) -> Flags:
        """Say where the question is asked, given values that are complete but for questions not asked."""
        found = [np.any([part.holds(columns[part.column]) for part in clause], axis=0) for clause in self.clauses]
        return np.asarray(np.all(found, axis=0))

    def excluded(self, columns: Columns, known: Mapping[str, Flags]) -> Flags:
        """Say where the question is certainly not asked, although some values are not known yet.

        Parameters
        ----------
        columns
            Values, NaN where missing, shape (rows,) each.
        known
            Where each column's state is known: observed, or certainly not asked.
        """
        out = np.zeros(len(next(iter(columns.values()))), dtype=bool)
        for clause in self.clauses:
            fails = [known[part.column] & ~part.holds(columns[part.column]) for part in clause]
            out |= np.all(fails, axis=0)
        return out

    def demands(self, gate: str, columns: Columns) -> list[tuple[tuple[Comparison, ...], Flags]]:
        """List what a gate must be in rows where the question was answered.

        Returns
        -------
        list of (comparisons, rows)
            One of the comparisons of the gate must hold in those rows, as no other alternative does.
        """
        out = []
        for clause in self.clauses:
            own = tuple(part for part in clause if part.column == gate)
            others = [part.holds(columns[part.column]) for part in clause if part.column != gate]
            if own:
                free = np.any(others, axis=0) if others else np.zeros(len(columns[gate]), dtype=bool)
                out.append((own, ~free))
        return out


def condition(column: str, written: str | Requires, variables: Mapping[str, Variable]) -> Condition:
    """Read who is asked for a column.

    Parameters
    ----------
    column
        The column.
    written
        Comparisons joined by ``and``; or `Requires`, as object or text: asked only where one of others is not zero.
    variables
        Columns that can be compared.

    Raises
    ------
    SurveyError
        If it can't be read, names another column, or a level that does not exist.
    """
    text = str(written)
    if not isinstance(written, str | Requires):
        raise SurveyError(f"the skip of {column!r} is {written!r}", _FORMS)
    if isinstance(written, Requires) or re.search(r"\srequires\s", text):
        rule = parse(text)
        if not isinstance(rule, Requires) or rule.column != column:
            raise SurveyError(f"the skip of {column!r} is {text!r}, which speaks of another column", _FORMS)
        parts = [tuple(_comparison(column, c, "!=", "0", variables) for c in rule.any_of)]
        return Condition(column, text, tuple(parts))
    return Condition(column, text, tuple((part,) for part in _parts(column, text, variables)))


def _parts(column: str, text: str, variables: Mapping[str, Variable]) -> list[Comparison]:
    out, at, more = [], 0, True
    while more:
        match = _PART.match(text, at)
        if not match:
            raise SurveyError(f"the skip of {column!r}, {text!r}, is not understood", _FORMS)
        out.append(_comparison(column, match[1], match[2], match[3], variables))
        at, more = match.end(), match[4] == "and"
    return out


def _comparison(column: str, gate: str, sign: str, value: str, variables: Mapping[str, Variable]) -> Comparison:
    if gate not in variables:
        raise SurveyError(f"the skip of {column!r} names {gate!r}, which is no usable column", closest(gate, variables))
    if gate == column:
        raise SurveyError(f"the skip of {column!r} is about itself", "Name the question before it.")
    variable, plain = variables[gate], value.strip("\"'")
    number = _number(plain)
    if not variable.kind.is_class:
        if number is None:
            raise SurveyError(f"the skip of {column!r} compares the amount {gate!r} with {value}", "Give a number.")
        return Comparison(gate, sign, number)
    if sign not in ("==", "!=") and variable.kind is Kind.CATEGORICAL:
        raise SurveyError(f"the skip of {column!r} orders {gate!r}, whose levels have no order", "Use == or !=.")
    for code, level in enumerate(variable.levels):
        if str(level) == plain or (number is not None and isinstance(level, int | float) and level == number):
            return Comparison(gate, sign, float(code))
    if number in (0.0, 1.0) and set(variable.levels) <= {0, 1}:  # all rows say yes, or all no
        return Comparison(gate, sign, _NO_LEVEL)
    shown = ", ".join(repr(level) for level in variable.levels[:5])
    raise SurveyError(f"the skip of {column!r} compares {gate!r} with {plain!r}, which no row has", f"It has {shown}.")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
