"""A survey's design as plain values: what is written beside its table, and read back with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microimpute.frames import Frame
from microimpute.survey import Check, Survey

__all__ = ["as_plain", "from_plain"]

#: Parts that are one value, and parts that are names or sentences.
_VALUES = ("source", "unit", "weight", "implicate", "replicate_rule", "dollars")
_LISTS = ("keys", "household", "replicates", "notes")
_MAPPINGS = ("kinds", "labels", "checks")


def as_plain(survey: Survey) -> dict[str, Any]:
    """Say in values that JSON holds all that a survey is besides its table.

    Returns
    -------
    dict
        One entry per part of `Survey` but `frame`.
    """
    plain: dict[str, Any] = {part: getattr(survey, part) for part in _VALUES}
    plain |= {part: list(getattr(survey, part)) for part in _LISTS}
    plain["kinds"] = {column: str(kind) for column, kind in survey.kinds.items()}
    plain["labels"] = dict(survey.labels)
    plain["checks"] = [
        {
            "figure": c.figure,
            "published": c.published,
            "found": c.found,
            "passed": c.passed,
            "tolerance": c.tolerance,
            "source": c.source,
        }
        for c in survey.checks
    ]
    return plain


def from_plain(frame: Frame, said: Mapping[str, Any]) -> Survey:
    """Make the survey of which `as_plain` told.

    Parameters
    ----------
    frame
        Its table.
    said
        What was said of it; other entries are passed over. Parts of which an older version said nothing are as if
        the survey had none, and a note of the survey names them.

    Raises
    ------
    SurveyError
        If a column of the design is not in the table.
    """
    parts = (*_VALUES, *_LISTS, *_MAPPINGS)
    known = {part: said[part] for part in parts if part in said}
    if gone := [part for part in parts if part not in said]:
        told = f"An older version wrote this survey without its {', '.join(gone)}; they are not known here."
        known["notes"] = [*known.get("notes", ()), told]
    known["checks"] = [_check(c) for c in known.get("checks", ())]
    return Survey(frame, **known)


def _check(said: Mapping[str, Any]) -> Check:
    """Read a published figure; one whose tolerance nobody wrote down passes, or not, as it did then."""
    off = abs(said["found"] - said["published"]) / abs(said["published"]) if said["published"] else 0.0
    tolerance = said.get("tolerance", 2 * off if said["passed"] else 0.0)
    return Check(said["figure"], said["published"], said["found"], tolerance, said["source"])
