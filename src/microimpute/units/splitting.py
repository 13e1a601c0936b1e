"""Amounts of households divided among their members so that nothing is lost, to the last bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["added", "split"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def split(amount: FloatArray, shares: FloatArray, household: IntArray, place: IntArray) -> FloatArray:
    """Divide each household's amount among its members in proportion to shares.

    Parameters
    ----------
    amount
        One per household, finite or NaN (then all its members get NaN), shape (households,).
    shares
        One per member, not negative, with a positive sum in each household, shape (members,).
    household
        Each member's household, shape (members,).
    place
        Each member's place among those of its household, 0, 1, 2, … in row order, shape (members,).

    Returns
    -------
    numpy.ndarray, shape (members,)
        Whole multiples of the amount's last bit, so that float64 adds them up to exactly the amount, in whatever order
        and by whatever algorithm. Who has no share gets exactly 0; nobody gets a value of the other sign. Parts are
        within one such bit (at most 2.2e-16 of the amount) of amount × share / all shares.

    Notes
    -----
    In row order, the first members of a household have together amount × (their shares / all shares), rounded to the
    last bit of the amount; each has the difference of two such sums. All of these are whole numbers of bits of at most
    2**53, whose sums and differences float64 makes without error.
    """
    total = added(shares, household, len(amount))
    bit = np.spacing(np.abs(amount))
    out = np.zeros(len(shares))
    held = np.zeros(len(amount))  # shares so far, added in the same order as the total, which they end at
    at = np.zeros(len(amount))
    for number in range(int(place.max(initial=-1)) + 1):
        rows = np.flatnonzero(place == number)
        homes = household[rows]
        held[homes] += shares[rows]
        until = np.rint(amount[homes] * (held[homes] / total[homes]) / bit[homes]) * bit[homes]
        out[rows] = until - at[homes] + 0.0  # no negative zeros
        at[homes] = until
    return out


def added(values: FloatArray, household: IntArray, count: int) -> FloatArray:
    """Add members' values up to households in row order, one float64 addition after the other.

    Returns
    -------
    numpy.ndarray, shape (count,)
        0.0 for a household without members.
    """
    return np.bincount(household, weights=values, minlength=count).astype(np.float64)
