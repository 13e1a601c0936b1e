"""What is filled, in which order, from which predictors, by which method: as asked, or by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, SurveyError, closest
from microimpute.kinds import Variable
from microimpute.methods.base import Method
from microimpute.methods.base import method as method_named
from microimpute.missing.columns import Columns
from microimpute.missing.conditions import Condition
from microimpute.missing.passive import leaves
from microimpute.rules import Identity
from microimpute.survey import Survey

__all__ = ["DEFAULT", "Chosen", "check_gates", "check_observed", "methods", "ordered", "predictors", "targets"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Chosen = str | Method | Mapping[str, str | Method]

#: Method of targets for which none is named.
DEFAULT = "srmi"


def targets(
    columns: Columns,
    survey: Survey,
    asked: Sequence[str] | None,
    gaps: Mapping[str, Flags],
    totals: Sequence[str],
) -> tuple[str, ...]:
    """Choose the incomplete variables, or check those that were named."""
    if isinstance(asked, str):
        raise SurveyError("targets is one string", f"Give a list: targets=[{asked!r}].")
    if asked is None:
        found = tuple(c for c, gap in gaps.items() if gap.any() and c not in columns.naming)
        if not found:
            raise SurveyError("no column has a missing value to fill", "Use the survey as it is.")
        return found
    if not asked:
        raise SurveyError("there is no target", "Name at least one incomplete column.")
    for name in asked:
        if name in totals:
            raise SurveyError(f"target {name!r} is a passive total", "It is derived: leave it out of the targets.")
        columns.check(name, "target", survey)
        if not gaps[name].any():
            raise SurveyError(f"target {name!r} has no missing value to fill", "Leave it out of the targets.")
    return tuple(dict.fromkeys(asked))


def check_observed(columns: Columns, names: Sequence[str], weight: FloatArray) -> None:
    """Check that each target has something to learn from."""
    for name in names:
        values = columns.values[name]
        known = values[~np.isnan(values) & (weight > 0)]
        if not len(known):
            raise SurveyError(
                f"column {name!r} is missing in every row with a weight",
                "Drop it, or name the targets without it; a donor survey may have it (see impute).",
            )
        if len(np.unique(known)) == 1:
            level = columns.variables[name].levels
            only = repr(level[int(known[0])]) if level else f"{known[0]:g}"
            raise SurveyError(
                f"column {name!r} has one observed value, {only}, in {len(known):,} rows, and nothing else to draw",
                "Fill it with that value yourself, drop it, or name the targets without it.",
            )


def check_gates(conditions: Mapping[str, Condition], names: Sequence[str], gaps: Mapping[str, Flags]) -> None:
    """Check that what decides whether a target is asked gets known."""
    for name in names:
        for gate in conditions[name].gates if name in conditions else ():
            if gate not in gaps:
                raise SurveyError(f"the skip of {name!r} names the passive total {gate!r}", "Name its parts instead.")
            if gaps[gate].any() and gate not in names:
                raise SurveyError(
                    f"{gate!r} decides whether {name!r} is asked and has gaps itself", "Name it among the targets."
                )


def ordered(
    names: Sequence[str], gaps: Mapping[str, Flags], conditions: Mapping[str, Condition], order: Sequence[str] | None
) -> tuple[str, ...]:
    """Put targets in the order of drawing: as asked, else from the fewest gaps to the most; gates first."""
    if order is not None:
        if isinstance(order, str) or sorted(order) != sorted(names):
            odd = sorted(set(order) ^ set(names)) or list(order)
            raise SurveyError(f"order and targets differ in {odd[0]!r}", f"Name each of {', '.join(names)} once.")
        for at, name in enumerate(order):
            late = set(conditions[name].gates) & set(order[at + 1 :]) if name in conditions else set()
            if late:
                gate = sorted(late)[0]
                text = f"order has {name!r} before {gate!r}, which decides whether it is asked"
                raise SurveyError(text, "Swap them.")
        return tuple(order)
    waiting = sorted(names, key=lambda n: int(gaps[n].sum()))  # stable: ties as in the file
    out: list[str] = []
    while waiting:
        ready = next(n for n in waiting if n not in conditions or not set(conditions[n].gates) & set(waiting))
        waiting.remove(ready)
        out.append(ready)
    return tuple(out)


def predictors(
    columns: Columns,
    survey: Survey,
    asked: Mapping[str, Sequence[str]] | None,
    names: Sequence[str],
    identities: Sequence[Identity],
    conditions: Mapping[str, Condition],
) -> dict[str, tuple[str, ...]]:
    """Choose what each target is drawn from: as asked, else all that does not hang on the target itself."""
    totals = [i.total for i in identities]
    able = [c for c in columns.variables if c not in columns.naming and c not in totals] + totals
    out: dict[str, tuple[str, ...]] = {}
    for name in names:
        barred = _hanging_on(name, identities, conditions)
        out[name] = tuple(c for c in able if c not in barred)
    for name, chosen in (asked or {}).items():
        if name not in names:
            raise SurveyError(f"predictors are given for {name!r}, which is not filled", closest(name, names))
        if isinstance(chosen, str):
            raise SurveyError(f"predictors of {name!r} is one string", f"Give a list: [{chosen!r}].")
        barred = _hanging_on(name, identities, conditions)
        for column in chosen:
            if column not in totals:
                columns.check(column, "predictor", survey)
            if column in barred:
                raise SurveyError(f"{column!r} can't predict {name!r}: it {barred[column]}", "Leave it out.")
        out[name] = tuple(dict.fromkeys(chosen))
    return out


def _hanging_on(name: str, identities: Sequence[Identity], conditions: Mapping[str, Condition]) -> dict[str, str]:
    """List columns that a target decides, and why: a chain in which they told it back would never move."""
    out = {name: "is the target itself"}
    for column, rule in conditions.items():  # gates come first
        if set(rule.gates) & set(out):
            out[column] = f"is asked only where '{rule.text}', which hangs on {name!r}"
    for identity in identities:
        if leaves(identity.total, identities) & set(out):
            out[identity.total] = f"is the total '{identity}', which hangs on {name!r}"
    return out


def methods(chosen: Chosen, names: Sequence[str], variables: Mapping[str, Variable]) -> dict[str, Method]:
    """Make each target's method.

    Raises
    ------
    MethodError
        If there is none of the name, it makes no draws or not of the target's kind, or a target does not exist.
    """
    if isinstance(chosen, Mapping):
        for name in chosen:
            if name not in names:
                raise MethodError(f"a method is named for {name!r}, which is not filled", closest(name, names))
    out: dict[str, Method] = {}
    for name in names:
        one = chosen.get(name, DEFAULT) if isinstance(chosen, Mapping) else chosen
        method = method_named(one) if isinstance(one, str) else one
        if not isinstance(method, Method):
            raise MethodError(f"the method of {name!r} is {method!r}", "Give a method, or the name of one.")
        if not method.valid:
            raise MethodError(f"{method.name!r} makes no draws, which {name!r} needs", "Choose a method that draws.")
        kind = variables[name].kind
        if kind not in method.kinds:
            raise MethodError(f"method {method.name!r} can't draw {name!r}, which is {kind.value}", "Choose another.")
        method.check_packages()
        out[name] = method
    return out
