"""What a declared bridge is: a variable that one donor observes and another donor's targets give as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind
from microimpute.survey import Survey
from microimpute.weighted import ranks

__all__ = ["DeclaredBridge", "as_coarse", "weighted_rank"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DeclaredBridge:
    """A variable of a crosswalk's donor that can be made from what an earlier donor gave.

    Attributes
    ----------
    name
        The predictor: a column that `Crosswalk.with_bridges` adds to the donor.
    of
        Connector of the earlier donor: "scf".
    earlier
        Its columns that the predictor is made from; all must be targets, or totals, of an earlier stage.
    kind
        The predictor's kind.
    donor, other
        What it is in the crosswalk's donor, and in the earlier donor.
    caveat
        How the two differ.
    from_donor
        Makes it from the crosswalk's donor, shape (rows,); NaN where it is not known.
    from_earlier
        Makes it from the earlier donor's columns, shape (rows,).
    ranked
        Both sides are turned into weighted ranks, from 0 to 1, within their own survey: the order is comparable, the
        level is not, and the dollar year does not matter.
    """

    name: str
    of: str
    earlier: tuple[str, ...]
    kind: Kind
    donor: str
    other: str
    caveat: str
    from_donor: Callable[[Survey], npt.NDArray[Any]]
    from_earlier: Callable[[Mapping[str, FloatArray]], npt.NDArray[Any]]
    ranked: bool = False


def weighted_rank(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weighted mid-ranks from 0 to 1 among the values that are known, NaN elsewhere.

    Parameters
    ----------
    values, weight
        Shape (rows,).

    Returns
    -------
    numpy.ndarray, shape (rows,)
    """
    out = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        out[known] = ranks(values[known], weight[known])
    return out


def as_coarse(rank: FloatArray, other: FloatArray) -> FloatArray:
    """Give ranks below those that another survey can tell apart the one rank that stands for them there.

    Where 28% report no liquid assets in one survey and 2% in the other, one rank, .14, stands for the first survey's
    28%, and the other's households between .02 and .28 would find none like them there.

    Parameters
    ----------
    rank
        Weighted mid-ranks, shape (rows,).
    other
        The other survey's mid-ranks, the least of which is half of the share that it belongs to, shape (donors,).
    """
    least = float(np.min(other))
    return np.where(rank < 2 * least, least, rank)
