"""What is filled, in which order, from what, by which method: everything that is checked before a draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from microimpute import checks
from microimpute.checks import Note
from microimpute.errors import SurveyError
from microimpute.keyed import Keys
from microimpute.kinds import Kind, Variable
from microimpute.methods.base import Method
from microimpute.missing import choosing
from microimpute.missing.columns import Columns, Shown, answered, not_asked, read
from microimpute.missing.conditions import Condition, condition
from microimpute.missing.passive import check_totals, leaves, read_identities, total
from microimpute.rules import Identity, Requires, Rule
from microimpute.survey import Survey

__all__ = ["Plan", "Target", "Wanted"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Wanted:
    """What the caller asked for; see `impute_missing`."""

    targets: Sequence[str] | None = None
    method: choosing.Chosen = choosing.DEFAULT
    predictors: Mapping[str, Sequence[str]] | None = None
    passive: Sequence[Rule | str] = ()
    skips: Mapping[str, str | Requires] | None = None
    order: Sequence[str] | None = None
    kinds: Mapping[str, Kind | str] | None = None


@dataclass(frozen=True)
class Target:
    """One incomplete variable.

    Attributes
    ----------
    variable
        What it is.
    method
        What draws it.
    predictors
        Columns that it is drawn from, passive totals among them.
    gaps
        bool, shape (rows,): where it is missing and was, or may have been, asked.
    observed
        bool, shape (rows,).
    """

    variable: Variable
    method: Method
    predictors: tuple[str, ...]
    gaps: Flags
    observed: Flags

    @property
    def name(self) -> str:
        """The column's name."""
        return self.variable.name


@dataclass(frozen=True)
class Plan:
    """All that a chain needs to know.

    Attributes
    ----------
    survey, weight, keys, households
        The survey; its weights, hashed row keys and hashed households, shape (rows,).
    columns
        Its columns as numbers; `totals` are not among them.
    targets
        In the order of drawing.
    identities
        Passive totals in the order in which they are derived.
    conditions
        Who is asked, by column, gates first.
    unasked
        Where questions are certainly not asked, by column, shape (rows,).
    answered
        Where such questions certainly are asked, as they, or what is asked only after them, have an answer.
    shown
        How columns that may have no value are shown as predictors.
    monotone
        Whether one pass is enough.
    notes
        What was counted and assumed.
    """

    survey: Survey
    weight: FloatArray
    keys: Keys
    households: Keys
    columns: Columns
    targets: tuple[Target, ...]
    identities: tuple[Identity, ...]
    conditions: Mapping[str, Condition]
    unasked: Mapping[str, Flags]
    answered: Mapping[str, Flags]
    shown: Mapping[str, Shown]
    monotone: bool
    notes: tuple[Note, ...]

    @classmethod
    def make(cls, survey: Survey, wanted: Wanted) -> Plan:
        """Check everything and plan.

        Raises
        ------
        SurveyError, FusionError, MethodError
            Each names the column and the remedy.
        """
        weight, keys, notes = _design(survey)
        columns = read(survey, wanted.kinds or {})
        identities = read_identities(columns, survey, wanted.passive)
        totals = tuple(i.total for i in identities)
        conditions, unasked = _conditions(columns, survey, wanted.skips or {}, totals)
        check_totals(identities, columns, unasked)
        gaps = {c: np.isnan(columns.values[c]) for c in columns.variables if c not in totals}
        gaps |= {c: gaps[c] & ~rows for c, rows in unasked.items()}
        names = choosing.targets(columns, survey, wanted.targets, gaps, totals)
        choosing.check_observed(columns, names, weight)
        choosing.check_gates(conditions, names, gaps)
        _check_parts(identities, names, gaps)
        names = choosing.ordered(names, gaps, conditions, wanted.order)
        given = choosing.predictors(columns, survey, wanted.predictors, names, identities, conditions)
        monotone = _is_monotone(names, gaps, {t: given[t] for t in wanted.predictors or {}}, identities)
        if monotone:
            given = {t: _before(t, names, given[t], identities) for t in names}
        methods = choosing.methods(wanted.method, names, columns.variables)
        targets = tuple(
            Target(columns.variables[t], methods[t], given[t], gaps[t], ~np.isnan(columns.values[t])) for t in names
        )
        plan = cls(
            survey=survey,
            weight=weight,
            keys=keys,
            households=survey.household_keys(),
            columns=columns,
            targets=targets,
            identities=identities,
            conditions=conditions,
            unasked=unasked,
            answered=answered(conditions, columns.values),
            shown=_shown(columns, names, identities, conditions, weight),
            monotone=monotone,
            notes=tuple(notes),
        )
        return replace(plan, notes=(*notes, *counted(plan, named=wanted.targets is not None)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets, in the order of drawing."""
        return tuple(t.name for t in self.targets)

    def variable(self, column: str) -> Variable:
        """Describe a column; a total that the survey does not hold is an amount."""
        return self.columns.variables.get(column) or Variable(column, Kind.CONTINUOUS)


def _design(survey: Survey) -> tuple[FloatArray, Keys, list[Note]]:
    checks.rows(survey, "survey")
    weight, told = checks.weights(survey, "survey")
    if survey.implicate is not None:
        raise SurveyError(
            f"the survey has implicates of its own ({survey.implicate!r})",
            "Fill each implicate apart, then stack them.",
        )
    keys = survey.row_keys()
    checks.unique_keys(survey, "survey", keys, np.ones(len(keys), dtype=np.int64))
    return weight, keys, [*(Note(text) for text in survey.notes), *told]


def _conditions(
    columns: Columns, survey: Survey, written: Mapping[str, str | Requires], totals: Sequence[str]
) -> tuple[dict[str, Condition], dict[str, Flags]]:
    """Read who is asked, gates first, and say where questions are certainly not asked."""
    for column in written:
        columns.check(column, "skip", survey)
        if column in totals:
            raise SurveyError(f"{column!r} is a passive total and can't have a skip", "Put skips on its parts.")
    conditions = {c: condition(c, w, columns.variables) for c, w in written.items()}
    unasked = not_asked(conditions, columns.values)
    return {c: conditions[c] for c in unasked}, unasked


def _check_parts(identities: Sequence[Identity], names: Sequence[str], gaps: Mapping[str, Flags]) -> None:
    for identity in identities:
        for part in sorted(leaves(identity.total, identities)):
            if gaps[part].any() and part not in names:
                raise SurveyError(f"part {part!r} of '{identity}' has gaps", "Name it among the targets.")


def _before(name: str, names: Sequence[str], given: Sequence[str], identities: Sequence[Identity]) -> tuple[str, ...]:
    """Keep the predictors that do not hang on targets drawn at the same time or later."""
    late = set(names[list(names).index(name) :])
    return tuple(c for c in given if not leaves(c, identities) & late)


def _is_monotone(
    names: Sequence[str],
    gaps: Mapping[str, Flags],
    asked: Mapping[str, Sequence[str]],
    identities: Sequence[Identity],
) -> bool:
    """Say whether each target's gaps are gaps of all after it, and no predictor asked for comes later."""
    nested = all(not (gaps[a] & ~gaps[b]).any() for a, b in pairwise(names))
    return nested and all(_before(t, names, given, identities) == tuple(given) for t, given in asked.items())


def _shown(
    columns: Columns,
    names: Sequence[str],
    identities: Sequence[Identity],
    conditions: Mapping[str, Condition],
    weight: FloatArray,
) -> dict[str, Shown]:
    """Say how columns that may have no value while others are drawn are shown."""
    values = dict(columns.values)
    words = dict.fromkeys(conditions, "not asked")
    words |= {c: "missing" for c in columns.incomplete if c not in names and c not in conditions}
    for identity in identities:
        values[identity.total] = total(identity, values)
        words.pop(identity.total, None)
        if set(identity.parts) <= set(words):
            words[identity.total] = "not asked"
    variables = {c: columns.variables.get(c) or Variable(c, Kind.CONTINUOUS) for c in words}
    return {c: Shown.learn(variables[c], values[c], weight, word) for c, word in words.items()}


def counted(plan: Plan, named: bool) -> list[Note]:
    """Say what the plan leaves as it is, and what it rests on.

    Parameters
    ----------
    plan
        The plan.
    named
        Whether the targets were named, so that other gaps are left on purpose.
    """
    notes = [Note(f"{c} is left as it is: {why}.", warning=True) for c, why in plan.columns.unusable.items()]
    notes += [Note(f"{c} names rows: it is neither filled nor a predictor.") for c in plan.columns.naming]
    notes += [
        Note(f"{c} is used as a predictor; is it a weight?", warning=True)
        for c in plan.columns.variables
        if checks.looks_like_weight(c)
    ]
    totals = [i.total for i in plan.identities]
    notes += [Note(f"{t} is derived from its parts, not drawn; what was not asked counts nothing.") for t in totals]
    for column in plan.columns.incomplete if named else ():
        if column not in (*plan.names, *totals, *plan.conditions):
            gaps = int(np.isnan(plan.columns.values[column]).sum())
            notes.append(Note(f"{column} keeps its {gaps:,} gaps; as a predictor it is flagged there.", gaps))
    for column, rows in plan.unasked.items():
        text = f"{column} is not asked in {rows.sum():,} rows, where '{plan.conditions[column].text}' does not hold."
        notes.append(Note(text, int(rows.sum())))
    for one, two in combinations(plan.targets, 2):
        if not (one.observed & two.observed & (plan.weight > 0)).any() and two.name in one.predictors:
            text = f"{one.name} and {two.name} are never observed together: nothing in the survey says how they go."
            notes.append(Note(text, warning=True))
    return notes
