"""Weighted statistics that several families of metrics share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["groups_of", "quantile", "ranks"]

FloatArray = npt.NDArray[np.float64]


def quantile(values: FloatArray, levels: FloatArray | float, weight: FloatArray) -> FloatArray:
    """Return weighted quantiles: the inverse of the weighted distribution function.

    Parameters
    ----------
    values, weight
        Shape (rows,).
    levels
        In [0, 1].
    """
    return np.asarray(np.quantile(values, levels, weights=weight, method="inverted_cdf"))


def ranks(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weighted mid-ranks in (0, 1): the weight below, and half of the weight at, each value.

    Parameters
    ----------
    values, weight
        Shape (rows,).

    Returns
    -------
    numpy.ndarray, shape (rows,)
    """
    _, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight)
    below = np.cumsum(mass) - mass
    return np.asarray((below + mass / 2)[place] / mass.sum())


def groups_of(values: FloatArray, weight: FloatArray, count: int) -> npt.NDArray[np.int64]:
    """Put rows into groups of equal weight by their values; rows of one value stay together.

    Parameters
    ----------
    values, weight
        Shape (rows,).
    count
        Number of groups, tenths are 10.

    Returns
    -------
    numpy.ndarray of int64, shape (rows,)
        0 … count − 1; where many rows have one value, some groups are empty.
    """
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weight[order])
    first = np.searchsorted(values[order], values, side="left")
    last = np.searchsorted(values[order], values, side="right") - 1
    before = np.where(first > 0, running[np.maximum(first - 1, 0)], 0.0)
    middle = (before + running[last]) / 2 / running[-1]
    return np.asarray(np.minimum((middle * count).astype(np.int64), count - 1))
