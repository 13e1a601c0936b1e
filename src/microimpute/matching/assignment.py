"""Constrained matching as an assignment problem.

Constrained matching gives each donor at most so many receivers, so that who gets which donor depends on all
receivers at once. `constrained` does so with two whole files and their distances; `assign` with places instead of
distances, for files of any size, as the method ``constrained`` needs it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError

__all__ = ["allot", "assign", "capped", "constrained"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Most rows of an assignment that is solved as a whole.
BLOCK = 500
#: How far random numbers that decide between equally good places go, as a share of the largest distance.
TIE = 1e-6
METRICS = {1.0: "cityblock", 2.0: "euclidean", np.inf: "chebyshev"}


def constrained(distance: FloatArray, most: int = 1) -> IntArray:
    """Give every receiver a donor, each donor at most so often, at the least total distance.

    Parameters
    ----------
    distance
        Shape (receivers, donors); infinite where a pair is not allowed.
    most
        How often a donor may be used.

    Returns
    -------
    numpy.ndarray of int64, shape (receivers,)
        Each receiver's donor.

    Raises
    ------
    MethodError
        If there are too few donors.
    """
    from scipy.optimize import linear_sum_assignment

    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise MethodError(f"most is {most!r}", "Give a whole number of at least 1.")
    receivers, donors = distance.shape
    few = MethodError(
        f"{receivers:,} receivers can't each have one of {donors:,} donors used at most {most} times",
        "Raise most, or allow more pairs.",
    )
    if receivers > donors * most:
        raise few
    try:
        row, place = linear_sum_assignment(np.tile(distance, (1, min(most, receivers))))
    except ValueError as error:  # no assignment without a forbidden pair
        raise few from error
    out = np.empty(receivers, dtype=np.int64)
    out[row] = place % donors
    return out


def capped(uses: FloatArray, most: int, spare: FloatArray) -> FloatArray:
    """Hold uses to so many at most; what is over goes to the others in proportion, and then to the unused.

    Parameters
    ----------
    uses
        How often each donor would be used, shape (donors,); in all at most ``most`` times their number.
    most
        How often a donor may be used.
    spare
        In proportion to what donors who would not be used at all share in what is left, shape (donors,); positive.

    Returns
    -------
    numpy.ndarray of float64, shape (donors,)
        With the same sum.
    """
    out, full = np.array(uses, dtype=np.float64), np.zeros(len(uses), dtype=bool)
    while (over := out > most).any():
        excess = float(np.sum(out[over] - most))
        out[over], full = most, full | over
        base = np.where(full, 0.0, out if out[~full].any() else spare)
        out += base * (excess / base.sum()) if base.any() else 0.0
    return out


def allot(uses: FloatArray, start: float) -> IntArray:
    """Round how often each donor is used up or down, keeping the sum, a whole number.

    Systematic sampling (Madow 1949): on average over starts nothing is changed.

    Parameters
    ----------
    uses
        Shape (donors,), not negative.
    start
        A uniform number in (0, 1).

    Returns
    -------
    numpy.ndarray of int64, shape (donors,)
    """
    running = np.cumsum(uses)
    edges = np.floor(running * (np.rint(running[-1]) / running[-1]) + start).astype(np.int64)
    edges[-1] = int(np.rint(running[-1]))  # whatever the rounding of the sum
    return np.asarray(np.diff(np.minimum(edges, edges[-1]), prepend=0))


def assign(
    at: FloatArray, places: FloatArray, power: float, reach: FloatArray | None = None, seed: int = 0
) -> IntArray:
    """Give every row a place of its own at the least total distance; in large files, part by part.

    More than `BLOCK` rows are divided, together with the places, at the middle of the widest column, into parts
    with as large shares of the places as of the rows, and so on.

    Parameters
    ----------
    at
        Where rows stand, shape (rows, columns).
    places
        Where places are, at least as many, shape (places, columns).
    power
        1, 2 or infinity: what differences are raised to before they are summed.
    reach
        Up to which distance places are all as good for a row, shape (rows,): which of them it gets is decided at
        random, and only the distance beyond counts. Default: the distance itself counts.
    seed
        For what is random.

    Returns
    -------
    numpy.ndarray of int64, shape (rows,)
        Each row's place, no two the same.
    """
    from scipy.spatial.distance import cdist

    out, rng = np.empty(len(at), dtype=np.int64), np.random.default_rng(seed)
    parts = [(np.arange(len(at)), np.arange(len(places)))] if len(at) else []
    while parts:
        rows, free = parts.pop()
        if len(rows) <= BLOCK:
            distance = cdist(at[rows], places[free], METRICS[power])
            if reach is not None:
                distance = np.maximum(distance - reach[rows][:, None], 0.0)
                distance += rng.uniform(0, TIE * max(float(distance.max()), 1.0), distance.shape)
            out[rows] = free[constrained(distance)]
            continue
        column = int(np.argmax(at[rows].std(axis=0)))
        rows = rows[np.argsort(at[rows, column], kind="stable")]
        free = free[np.argsort(places[free, column], kind="stable")]
        cut = len(rows) // 2
        # each side has at least as many places as rows, as the whole has
        there = min(max(round(len(free) * cut / len(rows)), cut), len(free) - (len(rows) - cut))
        parts += [(rows[:cut], free[:there]), (rows[cut:], free[there:])]
    return out
