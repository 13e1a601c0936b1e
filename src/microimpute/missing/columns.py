"""A survey's columns as numbers, and how incomplete ones are shown to methods as predictors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import checks
from microimpute.errors import FusionError, SurveyError, closest
from microimpute.kinds import Kind, Variable, describe, encode
from microimpute.missing.conditions import Condition
from microimpute.survey import Survey
from microimpute.weighted import quantile

__all__ = ["Columns", "Shown", "answered", "as_held", "not_asked", "read"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """All columns of a survey that can be variables.

    Attributes
    ----------
    variables
        Descriptions by name.
    values
        float64, shape (rows,) each: amounts, codes of classes, NaN where missing.
    unusable
        Other columns → what is wrong with them.
    naming
        Columns that name rows.
    """

    variables: Mapping[str, Variable]
    values: Mapping[str, FloatArray]
    unusable: Mapping[str, str]
    naming: tuple[str, ...]

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Names of those with a gap."""
        return tuple(c for c, v in self.values.items() if np.isnan(v).any())

    def check(self, name: str, role: str, survey: Survey) -> None:
        """Raise unless a column can be used.

        Raises
        ------
        SurveyError
            Says that it is not there, belongs to the design, or holds what is no variable.
        """
        survey.require(name, role)
        if name in survey.design:
            raise SurveyError(f"{role} {name!r} is part of the survey's design", "Leave it out.")
        if name in self.unusable:
            raise SurveyError(self.unusable[name], f"Convert it, or leave it out of the {role}s.")


def read(survey: Survey, kinds: Mapping[str, Kind | str]) -> Columns:
    """Describe and encode a survey's columns.

    Raises
    ------
    SurveyError
        If a kind is declared for no column, or an amount is infinite.
    FusionError
        If a column does not fit the kind that is declared for it.
    """
    for column in kinds:
        if column not in survey.columns:
            raise SurveyError(f"a kind is declared for {column!r}, which is not in the table", _near(column, survey))
    declared = {**survey.kinds, **kinds}
    variables: dict[str, Variable] = {}
    values: dict[str, FloatArray] = {}
    unusable: dict[str, str] = {}
    for column in survey.columns:
        if column in survey.design:
            continue
        try:
            variables[column] = describe(survey.frame[column], declared.get(column))
            values[column] = encode(survey.frame[column], variables[column])
        except FusionError as error:
            if column in declared:
                raise
            variables.pop(column, None)
            unusable[column] = error.problem
            continue
        if bad := int(np.isinf(values[column]).sum()):
            raise SurveyError(f"column {column!r} is infinite in {bad:,} rows", "Mend these values, or make them gaps.")
    naming = tuple(c for c in variables if _names_rows(survey, c))
    return Columns(variables, values, unusable, naming)


def as_held(values: FloatArray, variable: Variable) -> FloatArray:
    """Round what was drawn to what a column of its type holds, so that totals are those of what comes out."""
    dtype = variable.dtype
    if variable.kind.is_class or dtype is None:
        return values
    if dtype.is_integer():
        return np.rint(values)
    return values.astype(np.float32).astype(np.float64) if dtype == nw.Float32 else values


def _names_rows(survey: Survey, column: str) -> bool:
    """Say whether a column looks like a key; also text with gaps that is otherwise never the same twice."""
    known = survey.frame[column].drop_nulls()
    text = known.dtype == nw.String and len(known) > checks.MANY and known.n_unique() == len(known)
    return text or checks.names_rows(survey, column)


def _near(column: str, survey: Survey) -> str:
    return closest(column, survey.columns)


@dataclass(frozen=True)
class Shown:
    """How a predictor that may have no value in some rows is shown to methods.

    A class gets a level of its own; an amount is filled with its observed weighted median and followed by a flag.

    Attributes
    ----------
    variable
        The predictor.
    middle
        What an amount is filled with.
    word
        What to call having no value: ``"not asked"`` or ``"missing"``.
    """

    variable: Variable
    middle: float
    word: str

    @classmethod
    def learn(cls, variable: Variable, values: FloatArray, weight: FloatArray, word: str) -> Shown:
        """Find an amount's weighted median; values of shape (rows,), NaN where missing."""
        known = ~np.isnan(values) & (weight > 0)
        order = np.lexsort((weight[known], values[known]))  # the file's order must not tip ties
        middle = float(quantile(values[known][order], 0.5, weight[known][order])) if known.any() else 0.0
        return cls(variable, middle, word)

    def of(self, values: FloatArray) -> list[tuple[Variable, FloatArray]]:
        """Return the columns that methods see, shape (rows,) each."""
        gap = np.isnan(values)
        name = self.variable.name
        if self.variable.kind.is_class:
            levels = (*self.variable.levels, f"({self.word})")
            return [(Variable(name, Kind.CATEGORICAL, levels), np.where(gap, float(len(levels) - 1), values))]
        flag = Variable(f"{name} {self.word}", Kind.BINARY, (False, True))
        return [(self.variable, np.where(gap, self.middle, values)), (flag, gap.astype(np.float64))]


def not_asked(conditions: Mapping[str, Condition], values: Mapping[str, FloatArray]) -> dict[str, Flags]:
    """Say where each question with a condition is certainly not asked, gates before what they decide.

    Parameters
    ----------
    conditions
        By column; an order in which gates come first is found here.
    values
        By column, NaN where missing.

    Returns
    -------
    dict
        Column → shape (rows,), in an order in which gates come first.

    Raises
    ------
    SurveyError
        If conditions go in a circle, or a question is answered where it is not asked.
    """
    known = {c: ~np.isnan(v) for c, v in values.items()}
    out: dict[str, Flags] = {}
    waiting = dict(conditions)
    while waiting:
        ready = next((c for c, rule in waiting.items() if not set(rule.gates) & set(waiting)), None)
        if ready is None:
            raise SurveyError(f"the skips of {', '.join(waiting)} go in a circle", "Break the circle.")
        rule = waiting.pop(ready)
        out[ready] = rule.excluded(values, known)
        if wrong := int((out[ready] & known[ready]).sum()):
            raise SurveyError(
                f"column {ready!r} has a value in {wrong:,} rows where '{rule.text}' does not hold",
                "Mend these rows, or the skip.",
            )
        known[ready] = known[ready] | out[ready]
    return out


def answered(conditions: Mapping[str, Condition], values: Mapping[str, FloatArray]) -> dict[str, Flags]:
    """Say where each question with a condition certainly was asked.

    Parameters
    ----------
    conditions
        By column, gates first.
    values
        By column, NaN where missing.

    Returns
    -------
    dict
        Column → shape (rows,): it has an answer, or a question has that is asked only where it has one.
    """
    out = {c: ~np.isnan(values[c]) for c in conditions}
    for column, rule in reversed(list(conditions.items())):
        for gate in rule.needed & set(conditions):
            out[gate] = out[gate] | out[column]
    return out
