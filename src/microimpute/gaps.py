"""Missing predictors: filled so that they can still speak, flagged, and counted."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from microimpute.checks import Note
from microimpute.errors import FusionError
from microimpute.kinds import Kind, Variable
from microimpute.weighted import quantile

__all__ = ["FLAG", "fill"]

FloatArray = npt.NDArray[np.float64]

#: `Variable.reason` of the flag that follows an amount with gaps.
FLAG = "flag of missing values"


def fill(
    variable: Variable, donor: FloatArray, receiver: FloatArray, weight: FloatArray, taken: Collection[str] = ()
) -> tuple[list[tuple[Variable, FloatArray, FloatArray]], list[Note]]:
    """Fill a predictor's gaps: a class gets a level of its own, an amount the donor's median and a flag.

    Parameters
    ----------
    variable
        What the predictor is.
    donor, receiver
        Its values with NaN where missing, shape (rows,) of each side.
    weight
        The donor's weights, shape (donor rows,).
    taken
        Names that the flag can't have.

    Returns
    -------
    list of (Variable, donor values, receiver values)
        The filled predictor, and an amount's flag.
    list of Note
        What was filled, with counts.

    Raises
    ------
    FusionError
        If no donor that can be drawn has a value.
    """
    gaps = [np.isnan(side) for side in (donor, receiver)]
    counts = [int(g.sum()) for g in gaps]
    if not any(counts):
        return [(variable, donor, receiver)], []
    if not (weight[~gaps[0]] > 0).any():
        raise FusionError(f"predictor {variable.name!r} is missing in every donor row with a weight", "Leave it out.")
    where = f"missing in {counts[0]:,} donor and {counts[1]:,} receiver rows"
    notes = [Note(f"{variable.name} is {where}; {_HANDLING[variable.kind.is_class]}.", sum(counts))]
    if counts[1] and not counts[0]:
        text = f"{variable.name} is never missing among donors: receivers without it are drawn as if typical."
        notes.append(Note(text, counts[1], warning=True))
    if variable.kind.is_class:
        level = float(len(variable.levels))
        wider = Variable(variable.name, Kind.CATEGORICAL, (*variable.levels, "(missing)"), variable.reason)
        return [(wider, np.where(gaps[0], level, donor), np.where(gaps[1], level, receiver))], notes
    middle = _median(donor[~gaps[0]], weight[~gaps[0]])
    filled = (variable, np.where(gaps[0], middle, donor), np.where(gaps[1], middle, receiver))
    flag = Variable(_free(f"{variable.name} missing", taken), Kind.BINARY, (False, True), FLAG)
    return [filled, (flag, gaps[0].astype(np.float64), gaps[1].astype(np.float64))], notes


def _median(values: FloatArray, weight: FloatArray) -> float:
    order = np.lexsort((weight, values))  # sums of weights in the file's order would tip ties by their last bit
    return float(quantile(values[order], 0.5, weight[order]))


def _free(name: str, taken: Collection[str]) -> str:
    return _free(f"{name} (flag)", taken) if name in taken else name


_HANDLING = {
    True: "missing counts as a level of its own",
    False: "filled with the donor's median and flagged",
}
