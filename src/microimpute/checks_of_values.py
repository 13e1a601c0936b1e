"""The checks that `Fusion` makes of values: gaps, sizes, receivers that no donor is like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.checks import Note
from microimpute.errors import FusionError
from microimpute.kinds import Kind, Variable

__all__ = ["LARGEST", "coarse", "overlap", "predictor_values", "target_values"]

FloatArray = npt.NDArray[np.float64]

#: Receivers outside the donors' range are a warning if they are more than this share, or any is far outside.
BEYOND = 0.01

#: Largest amount, for trees and nets compute in single precision, which ends at 3.4e38.
LARGEST = 1e30

#: Spread of a predictor up to which scikit-learn's trees take it for constant.
FEATURE = 1e-7


def target_values(variable: Variable, values: FloatArray) -> None:
    """Check that a target has no gaps among the donors, and is what it was declared.

    Parameters
    ----------
    variable
        The target.
    values
        Shape (donor rows,).

    Raises
    ------
    FusionError
        If a value is missing, infinite or above `LARGEST`, or a count is negative or no whole number.
    """
    name = variable.name
    for bad, what in ((np.isnan(values), "missing"), (np.isinf(values), "infinite")):
        if bad.any():
            raise FusionError(
                f"target {name!r} is {what} in {bad.sum():,} of {len(values):,} donor rows",
                "Drop or fill these rows first, or leave the target out.",
            )
    _sized("target", name, values, "donor")
    if variable.kind is not Kind.COUNT:
        return
    for bad, what in ((values < 0, "negative"), (values != np.rint(values), "no whole number")):
        if bad.any():
            raise FusionError(
                f"target {name!r} is declared count but is {what} in {bad.sum():,} of {len(values):,} donor rows",
                "Mend these rows, or declare it continuous or semicontinuous.",
            )


def predictor_values(variable: Variable, values: FloatArray, side: str) -> None:
    """Check that a predictor is finite and of a size to compute with where it is there.

    Raises
    ------
    FusionError
        If a value is infinite or above `LARGEST`.
    """
    if (bad := int(np.isinf(values).sum())) > 0:
        raise FusionError(f"predictor {variable.name!r} is infinite in {bad:,} {side} rows", "Mend these values.")
    _sized("predictor", variable.name, values, side)


def _sized(role: str, name: str, values: FloatArray, side: str) -> None:
    if (bad := int((np.abs(values) > LARGEST).sum())) > 0:
        raise FusionError(
            f"{role} {name!r} is larger than {LARGEST:g} in {bad:,} {side} rows",
            "Give it in another unit; if it is a code for missing values, make them missing.",
        )


def coarse(variable: Variable, donor: FloatArray) -> tuple[Note, ...]:
    """Say that trees, which compare in single precision, can't tell most of an amount's values apart.

    Parameters
    ----------
    variable
        The predictor.
    donor
        Its values among the donors, NaN where missing, shape (rows,).
    """
    known = np.unique(donor[~np.isnan(donor)])
    single = np.unique(known.astype(np.float32))
    told_apart = len(single) if len(single) and float(np.ptp(single)) > FEATURE else min(1, len(single))
    if variable.kind.is_class or len(known) <= 2 * told_apart:
        return ()
    text = (
        f"{variable.name} has {len(known):,} values among donors, of which trees (single precision) see "
        f"{told_apart:,}: subtract its mean, or give it in another unit."
    )
    return (Note(text, len(donor), warning=True),)


def overlap(variable: Variable, donor: FloatArray, receiver: FloatArray, weight: FloatArray) -> tuple[Note, ...]:
    """Count the receivers that no donor is like in one predictor: levels unseen, amounts beyond the donors'.

    Parameters
    ----------
    variable
        The predictor.
    donor, receiver
        Its values, NaN where missing, shape (rows,) of each side.
    weight
        The donor's weights, shape (donor rows,): donors of no weight are like nobody.

    Raises
    ------
    FusionError
        If a class has no level in common.
    """
    if not variable.kind.is_class:
        return _beyond(variable.name, donor[(weight > 0) & ~np.isnan(donor)], receiver)
    present = receiver[~np.isnan(receiver)]
    unseen = int((present < 0).sum())
    if len(present) and unseen == len(present):
        shown = ", ".join(repr(level) for level in variable.levels[:5])
        raise FusionError(
            f"predictor {variable.name!r} has no level in common: the donor has {shown}",
            "Recode one side so that the levels mean and read the same.",
        )
    if not unseen:
        return ()
    text = f"{variable.name} has a level that no donor has in {unseen:,} receiver rows; drawn as of no level."
    return (Note(text, unseen, warning=True),)


def _beyond(name: str, donor: FloatArray, receiver: FloatArray) -> tuple[Note, ...]:
    """Count receivers outside the donors' range; the range is not told, as its ends are single donors."""
    if not len(donor):
        return ()
    least, most = donor.min(), donor.max()
    below, above = int((receiver < least).sum()), int((receiver > most).sum())
    if not below + above:
        return ()
    far = bool((receiver < least - (most - least)).any() or (receiver > most + (most - least)).any())
    text = (
        f"{name} is below all donors' in {below:,} and above all donors' in {above:,} receiver rows; "
        "no donor is like them, and the method decides what they get."
    )
    return (Note(text, below + above, warning=far or below + above > BEYOND * len(receiver)),)
