"""Stages: what each donor gives, in which order, and what a later donor may learn from an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import FusionError, closest
from microimpute.kinds import Kind
from microimpute.methods.base import Method
from microimpute.rules import Rule, derivation_order, parse_all
from microimpute.survey import Survey

__all__ = ["Bridge", "Stage", "as_survey", "check_order"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bridge:
    """A variable that an earlier donor gives and a later donor observes as well, so that it carries dependence.

    Attributes
    ----------
    name
        The predictor, a column of the later donor that the receiver lacks.
    earlier
        Imputed columns of earlier stages that it is made from.
    formula
        Those columns by name, each of shape (rows,) → the predictor, of shape (rows,), finite; None takes the one
        column as it is. Classes come as their levels.
    caveat
        How the two surveys' concepts differ; empty if they do not, as far as is known.
    """

    name: str
    earlier: tuple[str, ...]
    formula: Callable[[Mapping[str, npt.NDArray[Any]]], npt.NDArray[Any]] | None = None
    caveat: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.earlier, str):
            object.__setattr__(self, "earlier", (self.earlier,))
        if self.formula is None and len(self.earlier) != 1:
            raise FusionError(
                f"bridge {self.name!r} is made from {len(self.earlier)} columns, and nobody said how",
                "Give a formula, or name one column.",
            )

    def values(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Make the predictor, shape (rows,), from imputed columns: amounts, and classes as their levels.

        Raises
        ------
        FusionError
            If the formula gives something of another shape, or no number.
        """
        used = {name: columns[name] for name in self.earlier}
        if self.formula is None:
            return used[self.earlier[0]]
        made = np.asarray(self.formula(used))
        if made.shape != used[self.earlier[0]].shape:
            raise FusionError(
                f"bridge {self.name!r} has shape {made.shape} for {len(used[self.earlier[0]]):,} receivers",
                "Make one value per row.",
            )
        if made.dtype.kind == "f" and (bad := int((~np.isfinite(made)).sum())):
            raise FusionError(
                f"bridge {self.name!r} is no number for {bad:,} of {len(made):,} receivers",
                "Let its formula give a finite number for whatever was imputed.",
            )
        return made


@dataclass(frozen=True)
class Stage:
    """What one donor gives.

    Attributes
    ----------
    name
        What reports call it: "wealth", say.
    donor
        `Survey`, or anything that `Survey` takes.
    targets, predictors, rules, kinds
        As in `Fusion`. Predictors do not name the bridges; these come on top.
    bridges
        Imputed columns of earlier stages that serve as predictors here.
    receiver
        The receiver's rows as this stage sees them, with predictors made comparable to this donor's; None takes the
        receiver that `fuse` is given. Same rows, in the same order.
    method
        Name of a method, or one made with settings.
    trim
        Leave out donors that are like no receiver: those with a propensity above what 1 − trim of the receivers have
        (see `dependence.overlap.trim`), whole households; None leaves out nobody. Receivers always stay.
    """

    name: str
    donor: Any = field(repr=False)
    targets: Sequence[str]
    predictors: Sequence[str] | None = None
    rules: Sequence[Rule | str] = ()
    kinds: Mapping[str, Kind | str] = field(default_factory=dict)
    bridges: Sequence[Bridge] = ()
    receiver: Survey | None = field(default=None, repr=False)
    method: str | Method = "forest"
    trim: float | None = None

    def gives(self) -> tuple[str, ...]:
        """Return the columns that later stages may use: targets, and totals that identities derive."""
        totals = [i.total for i in derivation_order(parse_all(self.rules))]
        return tuple(dict.fromkeys([*self.targets, *totals]))


def as_survey(given: Any) -> Survey:
    """Return a survey of what may be a frame or a path."""
    return given if isinstance(given, Survey) else Survey(given)


def check_order(stages: Sequence[Stage], receiver: Survey) -> None:
    """Check that stages can be drawn one after the other.

    Raises
    ------
    FusionError
        If names or targets stand twice, a bridge is made from what comes later or from nothing, or only one side has
        it; names stage, bridge and remedy.
    """
    if not stages:
        raise FusionError("there is no stage", "Give at least one.")
    names = [stage.name for stage in stages]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise FusionError(f"two stages are called {twice!r}", "Give each a name of its own.")
    given: dict[str, str] = {}
    for stage in stages:
        for column in stage.gives():
            if column in given:
                raise FusionError(
                    f"both stages {given[column]!r} and {stage.name!r} give {column!r}", "Leave it out of one of them."
                )
            given[column] = stage.name
    done: set[str] = set()
    for stage in stages:
        for bridge in stage.bridges:
            _check_bridge(bridge, stage, receiver, done, given)
        done |= set(stage.gives())


def _check_bridge(bridge: Bridge, stage: Stage, receiver: Survey, done: set[str], given: Mapping[str, str]) -> None:
    donor = as_survey(stage.donor)
    where = f"bridge {bridge.name!r} of stage {stage.name!r}"
    for column in bridge.earlier:
        if column in done:
            continue
        if column in given:
            circle = "itself" if given[column] == stage.name else f"stage {given[column]!r}, which comes later"
            raise FusionError(
                f"{where} is made from {column!r}, given by {circle}",
                "Put the stage that gives it first; two stages can't each wait for the other.",
            )
        raise FusionError(f"{where} is made from {column!r}, which no stage gives", closest(column, given))
    if bridge.name not in donor.columns:
        raise FusionError(
            f"{where} is on one side only: its donor has no column of that name", closest(bridge.name, donor.columns)
        )
    seen = stage.receiver if stage.receiver is not None else receiver
    if bridge.name in seen.columns:
        raise FusionError(
            f"{where} is in the receiver already", "An observed variable is a predictor: name it among those instead."
        )
    if bridge.name in stage.targets:
        raise FusionError(f"{where} is a target of that stage too", "Make it one of the two.")
