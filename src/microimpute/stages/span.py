"""What rules across stages speak of: which stage gives way, and what the receiver observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from microimpute import rules
from microimpute.checks import Note
from microimpute.errors import FusionError, closest
from microimpute.fusion import Fusion
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Variable, describe
from microimpute.matching.eligible import Eligible
from microimpute.resampling import resampled
from microimpute.rules import Identity
from microimpute.stages.edits import Edit
from microimpute.stages.mending import Mender
from microimpute.stages.stage import Stage, as_survey
from microimpute.survey import Survey

__all__ = [
    "check_classes",
    "class_of",
    "eligible_donors",
    "last_edits",
    "make_mender",
    "observed_columns",
    "without_gaps",
]

FloatArray = npt.NDArray[np.float64]


def observed_columns(edits: Sequence[Edit], stages: Sequence[Stage], base: Survey) -> dict[str, FloatArray]:
    """Return the receiver's own columns that rules speak of, of shape (rows,) each, NaN where missing.

    Raises
    ------
    FusionError
        If a rule names a column that is neither imputed nor observed, or only observed ones, or is an identity.
    """
    imputed = {column for stage in stages for column in stage.gives()}
    views = [base, *(s.receiver for s in stages if s.receiver is not None)]
    found: dict[str, FloatArray] = {}
    for edit in edits:
        if isinstance(edit.rule, Identity):
            raise FusionError(f"{str(edit.rule)!r} is an identity", "Give identities to the stage that has the parts.")
        if not imputed & set(edit.columns):
            raise FusionError(f"{str(edit.rule)!r} speaks of no imputed column", "Observed values are never altered.")
        for column in edit.columns:
            if column in imputed or column in found:
                continue
            view = next((v for v in views if column in v.columns), None)
            if view is None:
                every = {*imputed, *(c for v in views for c in v.columns)}
                raise FusionError(f"{str(edit.rule)!r}: nobody has {column!r}", closest(column, every))
            found[column] = view.numbers(column)
    return found


def without_gaps(observed: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], list[Note]]:
    """Return observed columns with 0 where they are missing, and a note for each that has gaps."""
    counts = {column: int(np.isnan(values).sum()) for column, values in observed.items()}
    notes = [
        Note(f"{column} is missing in {count:,} receiver rows: rules across stages take it for 0 there.", count, True)
        for column, count in counts.items()
        if count
    ]
    return {column: np.nan_to_num(values, nan=0.0) for column, values in observed.items()}, notes


def last_edits(edits: Sequence[Edit], stages: Sequence[Stage], number: int) -> list[Edit]:
    """Keep the rules whose last imputed column is given by stage `number`: its bundle gives way.

    Raises
    ------
    FusionError
        If one is to be adjusted by a column that this stage does not give.
    """
    place = {column: i for i, stage in enumerate(stages) for column in stage.gives()}
    kept = [e for e in edits if max(place[c] for c in e.columns if c in place) == number]
    for edit in kept:
        column = edit.columns[0]
        if edit.repair == "adjust" and place.get(column) != number:
            raise FusionError(
                f"{str(edit.rule)!r} can't be adjusted to: stage {stages[number].name!r} gives way, and {column!r} is "
                f"{'of an earlier stage' if column in place else 'observed'}",
                "Repair it by 'redraw', 'donor' or 'count', or put the stage that gives the column last.",
            )
    return kept


def class_of(stage: Stage, column: str) -> Variable | None:
    """Describe a target of a stage whose numbers are codes that mean nothing by themselves; None for all others.

    Amounts, totals, and classes that are false or true, or 0 or 1, can be computed with. Nothing has to be drawn.
    """
    donor = as_survey(stage.donor)
    if column not in stage.targets or column not in donor.columns:
        return None  # a total, or what Fusion will say of
    kinds = {**donor.kinds, **stage.kinds}
    variable = describe(donor.frame[column], kinds.get(column))
    return variable if variable.kind.is_class and not set(variable.levels) <= {0, 1} else None


def check_classes(names: Mapping[str, Sequence[str]], stages: Sequence[Stage]) -> None:
    """Check that no rule or link computes with the codes of a class.

    Parameters
    ----------
    names
        Rule or link as text → the columns it speaks of.
    stages
        All of them.

    Raises
    ------
    FusionError
        If one of them is a class that is not false or true, or 0 or 1.
    """
    for said, columns in names.items():
        for column in columns:
            if any(class_of(stage, column) for stage in stages):
                raise FusionError(
                    f"{said} needs amounts, but {column!r} is a class", "Name an amount, or a column of 0 and 1."
                )


def make_mender(edits: Sequence[Edit], stage: str, fusion: Fusion, base: Survey) -> Mender:
    """Make what repairs one stage's draws.

    Raises
    ------
    FusionError
        If a total that subtracts parts is to be adjusted: scaled in proportion, net worth below zero would lose the
        assets with the debts.
    """
    parts: dict[str, tuple[str, ...]] = {}
    differences: set[str] = set()
    for identity in fusion.identities:
        below = [t for part in identity.parts for t in parts.get(part, (part,))]
        parts[identity.total] = tuple(dict.fromkeys(below))
        if min(identity.parts.values()) < 0 or differences & set(identity.parts):
            differences.add(identity.total)
    for edit in edits:
        if edit.repair == "adjust" and edit.columns[0] in differences:
            raise FusionError(
                f"{str(edit.rule)!r} can't be adjusted to: {edit.columns[0]!r} is a difference of its parts",
                "Repair it by 'redraw', 'donor' or 'count', or write a rule about the parts.",
            )
    own = [r for r in fusion.rules if not isinstance(r, Identity) and r.columns[0] not in differences]

    def derive(own: dict[str, FloatArray]) -> dict[str, FloatArray]:
        return own | rules.derive(fusion.identities, own)

    def name(row: int) -> str:
        if not base.keys:
            return f"row {row}"
        return ", ".join(f"{key} {base.frame[key][row]}" for key in base.keys)

    return Mender(edits, stage, fusion.targets, derive, parts, name, own)


def eligible_donors(fusion: Fusion, implicate: int, nest: int, seed: int) -> Eligible:
    """Make one implicate's donors ready to give bundles to receivers who break a rule.

    Their weights are those of the resample that the implicate's (nest's) method has learnt from; of a method that draws
    its parameters and has none, of a resample all the same.

    Parameters
    ----------
    fusion
        What the implicate is drawn from, bridges included.
    implicate, nest, seed
        What random numbers are keyed by; seed is the stage's own.
    """
    own = resampled(fusion.training(nest), seed, nest)
    within = RowRandom(seed, implicate, fusion.receiver_keys).uniform("donor that keeps rules")
    rng = generator(seed, nest, "donors that keep rules")
    return Eligible(own.X, own.Y, own.weight, fusion.receivers, within, rng)
