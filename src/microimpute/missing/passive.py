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

__all__ = ["leaves", "read_identities", "total"]

FloatArray = npt.NDArray[np.float64]


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
    """Read passive totals, and check that what is observed of them obeys."""
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
        _check_total(identity, columns, totals)
    return identities


def _check_total(identity: Identity, columns: Columns, totals: set[str]) -> None:
    """Check observed totals: all parts observed, and adding up."""
    if identity.total not in columns.values:
        return
    total = columns.values[identity.total]
    parts = [columns.values[p] for p in identity.parts if p in columns.values]
    known = ~np.isnan(total)
    if len(parts) == len(identity.parts):
        whole = known & np.all([~np.isnan(p) for p in parts], axis=0)
        filled = {c: np.nan_to_num(columns.values[c]) for c in identity.columns}
        if broken := int((whole & identity.broken(filled)).sum()):
            raise SurveyError(
                f"passive rule '{identity}' is broken by {broken:,} of {whole.sum():,} rows where all is observed",
                "Mend those rows, or drop the rule.",
            )
    for name in identity.parts:
        if name in columns.values and (lost := int((known & np.isnan(columns.values[name])).sum())):
            raise SurveyError(
                f"total {identity.total!r} is observed in {lost:,} rows where its part {name!r} is missing",
                f"Fill {name!r} there by subtraction (nothing, if it was not asked), or drop the column "
                f"{identity.total!r}, which is then derived from its parts.",
            )
