"""Published totals of recipes: checked before anything is drawn, met before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from microimpute.calibration import Aggregate, Plan, calibrate, missed
from microimpute.errors import CalibrationError
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.recipe_of_totals import AggregatePart, CalibratePart
from microimpute.survey import Survey

__all__ = ["calibrated", "check_calibrations"]

#: What `calibrate` takes, of each calibration asked for.
Asked = list[tuple[Any, dict[str, Any]]]


def check_calibrations(parts: Sequence[CalibratePart], receiver: Survey, fusions: Sequence[Fusion]) -> Asked:
    """Check what a recipe asks for, as far as it can be known before a draw.

    Returns
    -------
    list
        Targets and options of each `calibrate`.

    Raises
    ------
    CalibrationError
        Names which one, column or group, and the remedy.
    """
    plan, asked = Plan(receiver, fusions), []
    for number, part in enumerate(parts, 1):
        options: dict[str, Any] = {"how": part.how, "distance": part.distance, "bounds": part.bounds, "name": part.name}
        with _numbered(number):
            targets = _targets(part, plan)
            plan.check(targets, **options)
        asked.append((targets, options))
    return asked


def calibrated(imputations: Imputations, asked: Asked) -> Imputations:
    """Return imputations that meet all totals asked for, one calibration after the other.

    Raises
    ------
    CalibrationError
        If totals can't be met: names which, and the range that one could have.
    """
    for number, (targets, options) in enumerate(asked, 1):
        with _numbered(number):
            imputations = calibrate(imputations, targets, **options).result
    return _said_again(imputations, asked)


def _said_again(imputations: Imputations, asked: Asked) -> Imputations:
    """Say where a later calibration undid what an earlier one had met."""
    if len(asked) < 2:
        return imputations
    manifest = dict(imputations.manifest)
    undone = [missed(imputations, targets) for targets, _ in asked]
    manifest["calibration"] = [
        said | {"notes": [*said["notes"], *more]} for said, more in zip(manifest["calibration"], undone, strict=True)
    ]
    notes = [{"text": text, "count": 0, "warning": True} for more in undone for text in more]
    return replace(imputations, manifest=manifest | {"notes": [*manifest["notes"], *notes]})


@contextmanager
def _numbered(number: int) -> Iterator[None]:
    try:
        yield
    except CalibrationError as error:
        raise CalibrationError(f"[[calibrate]] {number}: {error.problem}", error.remedy) from None


def _targets(part: CalibratePart, plan: Plan) -> Any:
    if isinstance(part.targets, Mapping):
        return dict(part.targets)
    return [Aggregate(one.of, _total(one, plan), one.by, one.source) for one in part.targets]


def _total(said: AggregatePart, plan: Plan) -> Any:
    """Return the totals with groups as their columns hold them: a key of TOML is always a text."""
    if isinstance(said.total, Mapping):
        value = plan.levels(said.by[0])
        return {value(group): total for group, total in said.total.items()}
    if isinstance(said.total, tuple):
        return {_group(entry["group"]): entry["total"] for entry in said.total}
    return said.total


def _group(said: Any) -> Any:
    return tuple(said) if isinstance(said, list) else said
