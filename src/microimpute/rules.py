"""Edit rules and accounting identities, declared in one place.

Four forms, as objects or as text::

    NETWORTH = ASSET - DEBT                 an identity: the total is derived, never drawn
    NH_MORT requires HOUSES or ORESRE       an edit: non-zero only if one of the others is
    HOUSES >= 0                             a bound
    SPENDING <= 2 INCOME + NETWORTH         a bound by other columns
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.errors import FusionError

__all__ = [
    "AtMost",
    "Identity",
    "NonNegative",
    "Requires",
    "Rule",
    "applicable",
    "derivation_order",
    "derive",
    "parse",
    "parse_all",
]

FloatArray = npt.NDArray[np.float64]
Columns = Mapping[str, FloatArray]

#: Largest gap, in the columns' unit, at which an identity still holds (files hold rounded dollars).
TOLERANCE = 1.5


class Rule(ABC):
    """Something that must hold in every row."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns that the rule speaks of."""

    @abstractmethod
    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Say for each row whether it breaks the rule, shape (rows,)."""

    @abstractmethod
    def __str__(self) -> str:
        """Write the rule as text that `parse` reads."""


@dataclass(frozen=True)
class Identity(Rule):
    """A total that is the signed sum of its parts.

    Attributes
    ----------
    total
        The derived column.
    parts
        Column → +1 or −1.
    """

    total: str
    parts: Mapping[str, int]

    @property
    def columns(self) -> tuple[str, ...]:
        """The total and its parts."""
        return (self.total, *self.parts)

    def value(self, columns: Columns) -> FloatArray:
        """Sum the parts, shape (rows,)."""
        terms = [sign * columns[name] for name, sign in self.parts.items()]
        return np.asarray(np.sum(terms, axis=0, dtype=np.float64))

    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Rows whose total is off by more than `TOLERANCE`, or by 1e-9 of it."""
        total = columns[self.total]
        return np.asarray(np.abs(total - self.value(columns)) > np.maximum(TOLERANCE, 1e-9 * np.abs(total)))

    def __str__(self) -> str:
        terms = [("+ " if sign > 0 else "- ") + name for name, sign in self.parts.items()]
        return f"{self.total} = {' '.join(terms).removeprefix('+ ')}"


@dataclass(frozen=True)
class Requires(Rule):
    """A column that can be non-zero only where one of others is."""

    column: str
    any_of: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column and what it requires."""
        return (self.column, *self.any_of)

    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Rows with the column and none of what it requires."""
        present = np.any([columns[c] != 0 for c in self.any_of], axis=0)
        return np.asarray((columns[self.column] != 0) & ~present)

    def __str__(self) -> str:
        return f"{self.column} requires {' or '.join(self.any_of)}"


@dataclass(frozen=True)
class NonNegative(Rule):
    """A column that is never below zero."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Rows below zero."""
        return np.asarray(columns[self.column] < 0)

    def __str__(self) -> str:
        return f"{self.column} >= 0"


@dataclass(frozen=True)
class AtMost(Rule):
    """A column that is at most a sum of multiples of others.

    Attributes
    ----------
    column
        What is bounded.
    terms
        Column → factor.
    """

    column: str
    terms: Mapping[str, float]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column and what bounds it."""
        return (self.column, *self.terms)

    def bound(self, columns: Columns) -> FloatArray:
        """Return the most that is allowed, shape (rows,)."""
        return np.asarray(sum(factor * columns[name] for name, factor in self.terms.items()), dtype=np.float64)

    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Rows above their bound by more than `TOLERANCE`."""
        return np.asarray(columns[self.column] > self.bound(columns) + TOLERANCE)

    def __str__(self) -> str:
        terms = [f"{'-' if f < 0 else '+'} {_written(abs(f))}{n}" for n, f in self.terms.items()]
        return f"{self.column} <= {' '.join(terms).removeprefix('+ ')}"


def _written(factor: float) -> str:
    """Write a factor so that it is read as the same number: all digits, no exponent; nothing for 1."""
    return "" if factor == 1 else f"{np.format_float_positional(factor, trim='-')} "


_NAME = r"[^\s+=<>-]+"
_TERM = rf"(?:\d+(?:\.\d+)?\s+)?{_NAME}"


def parse(text: str) -> Rule:
    """Read one rule from text.

    Raises
    ------
    FusionError
        If it has none of the four forms.
    """
    if match := re.fullmatch(rf"\s*({_NAME})\s*>=\s*0\s*", text):
        return NonNegative(match[1])
    if match := re.fullmatch(rf"\s*({_NAME})\s+requires\s+({_NAME}(?:\s+or\s+{_NAME})*)\s*", text):
        return Requires(match[1], tuple(re.split(r"\s+or\s+", match[2].strip())))
    if match := re.fullmatch(rf"\s*({_NAME})\s*=\s*((?:[+-]\s*)?{_NAME}(?:\s*[+-]\s*{_NAME})*)\s*", text):
        terms = re.findall(rf"([+-]?)\s*({_NAME})", match[2])
        if len({name for _, name in terms}) < len(terms):
            raise FusionError(f"rule {text!r} names a part twice", "Name each part once.")
        return Identity(match[1], {name: -1 if sign == "-" else 1 for sign, name in terms})
    if match := re.fullmatch(rf"\s*({_NAME})\s*<=\s*((?:[+-]\s*)?{_TERM}(?:\s*[+-]\s*{_TERM})*)\s*", text):
        found = re.findall(rf"([+-]?)\s*(?:(\d+(?:\.\d+)?)\s+)?({_NAME})", match[2])
        if len({name for _, _, name in found}) < len(found):
            raise FusionError(f"rule {text!r} names a term twice", "Name each column once.")
        return AtMost(match[1], {n: (-1.0 if sign == "-" else 1.0) * float(f or 1) for sign, f, n in found})
    raise FusionError(
        f"rule {text!r} is not understood",
        "Write 'A = B + C - D', 'A requires B or C', 'A <= 2 B + C', or 'A >= 0'.",
    )


def parse_all(rules: Iterable[Rule | str]) -> tuple[Rule, ...]:
    """Read rules given as text or as objects."""
    return tuple(parse(r) if isinstance(r, str) else r for r in rules)


def applicable(rules: Iterable[Rule | str], targets: Sequence[str]) -> tuple[Rule, ...]:
    """Keep the rules that can be applied when only some targets are imputed.

    Parameters
    ----------
    rules
        All rules of a crosswalk, say.
    targets
        What is imputed.

    Returns
    -------
    tuple of Rule
        Those that speak only of these targets and of totals made of them.
    """
    parsed = parse_all(rules)
    totals = {r.total for r in parsed if isinstance(r, Identity)}
    known = set(targets) - totals
    for identity in derivation_order(parsed):
        if known.issuperset(identity.parts):
            known.add(identity.total)
    return tuple(r for r in parsed if known.issuperset(r.columns))


def derivation_order(rules: Sequence[Rule]) -> tuple[Identity, ...]:
    """Put the identities in an order in which each total's parts come before it.

    Raises
    ------
    FusionError
        If a total is defined twice or through itself.
    """
    waiting = [r for r in rules if isinstance(r, Identity)]
    totals = [r.total for r in waiting]
    for total in totals:
        if totals.count(total) > 1:
            raise FusionError(f"{total!r} is the total of two identities", "Keep one of them.")
    ordered: list[Identity] = []
    while waiting:
        left = {r.total for r in waiting}
        ready = [r for r in waiting if not left & set(r.parts)]
        if not ready:
            raise FusionError(f"{waiting[0].total!r} is defined through itself", "Break the circle of identities.")
        ordered += ready
        waiting = [r for r in waiting if r not in ready]
    return tuple(ordered)


def derive(identities: Iterable[Identity], columns: Columns) -> dict[str, FloatArray]:
    """Work out the totals, in the order given.

    Returns
    -------
    dict
        Total → values, shape (rows,).
    """
    known = dict(columns)
    made: dict[str, FloatArray] = {}
    for identity in identities:
        made[identity.total] = known[identity.total] = identity.value(known)
    return made
