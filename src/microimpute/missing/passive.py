"""Passive totals: derived from their parts after every draw, never drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microimpute import rules as edit_rules
from microimpute.errors import SurveyError
from microimpute.missing.columns import Columns
from microimpute.rules import Identity, Rule
from microimpute.survey import Survey

__all__ = ["check_totals", "leaves", "read_identities", "total"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def leaves(column: str, identities: Iterable[Identity]) -> frozenset[str]:
    """Return the columns, themselves no totals, that a column comes down to."""
    parts = {i.total: i.parts for i in identities}
    found: set[str] = {column} if column not in parts else set()
    for part in parts.get(column, ()):
        found |= leaves(part, identities)
    return frozenset(found)


def total(identity: Identity, values: Mapping[str, FloatArray]) -> FloatArray:
    """Add up the parts: what was not asked counts nothing; a total of nothing asked is missing."""
    parts = {c: values[c] for c in identity.parts}
    nothing = np.all([np.isnan(p) for p in parts.values()], axis=0)
    return np.where(nothing, np.nan, identity.value({c: np.nan_to_num(p) for c, p in parts.items()}))


def read_identities(columns: Columns, survey: Survey, passive: Sequence[Rule | str]) -> tuple[Identity, ...]:
    """Read passive totals, and check that they are made of amounts."""
    if isinstance(passive, str | Rule):
        raise SurveyError("passive is one rule", f"Give a list: passive=[{str(passive)!r}].")
    parsed = edit_rules.parse_all(passive)
    for rule in parsed:
        if not isinstance(rule, Identity):
            raise SurveyError(f"passive rule '{rule}' is no identity", "Write 'A = B + C - D'; who is asked is a skip.")
    identities = edit_rules.derivation_order(parsed)
    totals = {i.total for i in identities}
    for identity in identities:
        if identity.total in survey.columns:
            columns.check(identity.total, "passive total", survey)
        for name in identity.columns:
            if name not in totals:
                columns.check(name, "passive part", survey)
            if name in columns.variables and columns.variables[name].kind.is_class:
                raise SurveyError(f"passive rule '{identity}' needs amounts, but {name!r} is a class", "Rewrite it.")
    return identities


def check_totals(identities: Sequence[Identity], columns: Columns, unasked: Mapping[str, Flags]) -> None:
    """Check observed totals: all parts that were asked are observed, and add up.

    Raises
    ------
    SurveyError
        Names the identity, the part, and the rows' number.
    """
    for identity in identities:
        if identity.total not in columns.values:
            continue
        known = ~np.isnan(columns.values[identity.total])
        parts = {p: columns.values[p] for p in identity.parts if p in columns.values}
        lost = {p: np.isnan(v) & ~unasked.get(p, np.zeros(len(v), dtype=bool)) for p, v in parts.items()}
        if len(parts) == len(identity.parts):
            whole = known & ~np.any(list(lost.values()), axis=0)
            filled = {c: np.nan_to_num(columns.values[c]) for c in identity.columns}
            if broken := int((whole & identity.broken(filled)).sum()):
                raise SurveyError(
                    f"passive rule '{identity}' is broken by {broken:,} of {whole.sum():,} rows where all is observed",
                    "Mend those rows, or drop the rule.",
                )
        for name, gap in lost.items():
            if rows := int((known & gap).sum()):
                raise SurveyError(
                    f"total {identity.total!r} is observed in {rows:,} rows where its part {name!r} is missing",
                    f"Fill {name!r} there by subtraction, or drop the column {identity.total!r}, which is then "
                    "derived from its parts.",
                )
