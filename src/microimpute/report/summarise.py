"""Summarise a run: everything that the report shows, as one plain dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microimpute.errors import FusionError, closest
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.margins import margins
from microimpute.report import associations, outcomes, sections
from microimpute.report.choices import choices
from microimpute.report.sides import Sides, both_sides

__all__ = ["summarise"]

#: What the report shows of a concept.
CONCEPT = ("name", "donor", "receiver", "caveat")
#: Numeric predictors with more distinct values than this serve as groups by default.
DISTINCT = 10


def summarise(
    imputations: Imputations,
    fusion: Fusion,
    *,
    title: str,
    by: Sequence[str] = (),
    headline: str | None = None,
    concepts: Sequence[Mapping[str, Any]] = (),
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Summarise a run as a plain dictionary: everything that the report shows, and nothing else.

    Parameters
    ----------
    imputations
        The implicates.
    fusion
        What they were drawn from.
    title
        Heading of the report.
    by
        Up to two predictors whose groups the headline is broken down by; default: the first two numeric ones
        with more than ten distinct values.
    headline
        The imputed amount, drawn or derived, whose distribution leads; default: the last derived total that
        is no part of another, else the first amount.
    concepts
        How predictors were made comparable: ``name``, ``donor``, ``receiver``, ``caveat``, and optionally
        ``money`` (true for a predictor in dollars).
    remarks
        Sentences on the two surveys that a reader must know.

    Returns
    -------
    dict
        Strings, numbers, booleans, None, lists and dicts only; shares from 0 to 1, numbers with ten figures.
        The same run always gives the same dictionary.

    Raises
    ------
    FusionError
        If the imputations were not drawn from this fusion, or a column named here does not exist or fit.
    """
    if imputations.columns != (*fusion.targets, *fusion.derived) or len(imputations) != len(fusion.receiver):
        raise FusionError(
            "the imputations were not drawn from this fusion", "Give the Fusion that impute was called with."
        )
    sides, found = both_sides(imputations, fusion), margins(fusion)
    chosen, groups = _headline(sides, headline), _by(fusion, by)
    money = {c["name"] for c in concepts if c.get("money")}
    return {
        "title": title,
        "m": imputations.m,
        "facts": sections.facts(imputations, fusion),
        "story": sections.story(imputations, fusion),
        "remarks": [str(r) for r in remarks],
        "warnings": sections.warnings(imputations.manifest, found),
        "headline": outcomes.headline(sides, chosen) if chosen else None,
        "amounts": outcomes.amounts(sides),
        "classes": outcomes.classes(sides),
        "groups": [outcomes.groups(sides, chosen, name, name in money) for name in groups] if chosen else [],
        "correlations": associations.correlations(sides, chosen),
        "margins": [sections.margin(m, m.name in money) for m in found],
        "concepts": [{key: str(c.get(key, "")) for key in CONCEPT} for c in concepts],
        "choices": choices(imputations.manifest),
        "rules": sections.rules(imputations, fusion),
        "calibration": [dict(made) for made in imputations.manifest.get("calibration", ())],
        "checks": sections.checks(fusion),
        "notes": sections.notes(imputations.manifest),
        "kinds": sections.kinds(imputations.manifest),
    }


def _headline(sides: Sides, asked: str | None) -> str | None:
    """Return the column that leads; None where all targets are classes."""
    if asked is not None:
        if asked not in sides.amounts:
            remedy = closest(asked, sides.amounts)
            raise FusionError(f"headline {asked!r} is not an imputed amount", remedy)
        return asked
    parts = {part for identity in sides.fusion.identities for part in identity.parts}
    tops = [total for total in sides.fusion.derived if total not in parts]
    return tops[-1] if tops else next(iter(sides.amounts), None)


def _by(fusion: Fusion, asked: Sequence[str]) -> list[str]:
    """Return the predictors whose groups are shown, at most two."""
    names = [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in fusion.predictors:
            raise FusionError(f"by names {name!r}, which is no predictor", closest(name, fusion.predictors))
    if len(names) > 2 or len(set(names)) < len(names):
        raise FusionError(f"by names {', '.join(map(repr, names))}", "Name at most two different predictors.")
    return names or [p for p in fusion.predictors if _many_values(fusion, p)][:2]


def _many_values(fusion: Fusion, name: str) -> bool:
    if fusion.variables[name].kind.is_class:
        return False
    values = fusion.donor.numbers(name)
    return len(np.unique(values[~np.isnan(values)])) > DISTINCT
