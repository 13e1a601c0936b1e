"""Distances of statistical matching as StatMatch (R) defines them, for small files: whole distance matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["gower", "mahalanobis", "rank_distance"]

FloatArray = npt.NDArray[np.float64]


def gower(
    X: npt.NDArray[np.generic],
    donors: npt.NDArray[np.generic],
    classes: Sequence[bool],
    spans: Sequence[float] | None = None,
) -> FloatArray:
    """Return Gower's distance: the mean over columns of mismatches of classes and range-scaled differences.

    Parameters
    ----------
    X, donors
        Shape (receivers, columns) and (donors, columns).
    classes
        Whether each column is a class.
    spans
        Range of each column, ignored for classes; default: that of both files together.

    Returns
    -------
    numpy.ndarray, shape (receivers, donors)
    """
    total = np.zeros((len(X), len(donors)))
    for j, is_class in enumerate(classes):
        if is_class:
            total += X[:, j][:, None] != donors[:, j]
            continue
        x, y = X[:, j].astype(np.float64), donors[:, j].astype(np.float64)
        span = float(np.ptp(np.concatenate([x, y]))) if spans is None else spans[j]
        if span > 0:
            total += np.abs(x[:, None] - y) / span
    return total / len(classes)


def mahalanobis(X: FloatArray, donors: FloatArray, covariance: FloatArray | None = None) -> FloatArray:
    """Return the Mahalanobis distance, shape (receivers, donors).

    Parameters
    ----------
    X, donors
        Shape (receivers, columns) and (donors, columns).
    covariance
        Shape (columns, columns); default: that of both files stacked.
    """
    from scipy.spatial.distance import cdist

    if covariance is None:
        covariance = np.atleast_2d(np.cov(np.vstack([X, donors]), rowvar=False))
    inverse = np.linalg.pinv(covariance, hermitian=True)
    return np.asarray(cdist(X, donors, "mahalanobis", VI=inverse))


def rank_distance(
    x: FloatArray, donors: FloatArray, weight: FloatArray | None = None, donor_weight: FloatArray | None = None
) -> FloatArray:
    """Return differences of ranks: each file's values in its own weighted distribution function.

    Parameters
    ----------
    x, donors
        One amount, shape (receivers,) and (donors,).
    weight, donor_weight
        Survey weights; default: all equal.

    Returns
    -------
    numpy.ndarray, shape (receivers, donors)
    """
    return np.asarray(np.abs(_share_up_to(x, weight)[:, None] - _share_up_to(donors, donor_weight)))


def _share_up_to(values: FloatArray, weight: FloatArray | None) -> FloatArray:
    _, place = np.unique(values, return_inverse=True)
    running = np.cumsum(np.bincount(place, weights=weight))
    return np.asarray(running[place] / running[-1])
