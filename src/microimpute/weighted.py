"""Weighted statistics that several families of metrics share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["quantile", "ranks"]

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
