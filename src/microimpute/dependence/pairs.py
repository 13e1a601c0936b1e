"""All pairs of two donors' columns at once: what their products can be, over all pairings among rows alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, as_matrix, same_length
from microimpute.dependence.conditional import ranks_within

__all__ = ["PairBounds", "presence", "product_bounds", "standard_ranks"]


@dataclass(frozen=True)
class PairBounds:
    """Means of products of every column of Y with every column of Z, each of shape (columns of Y, columns of Z).

    Attributes
    ----------
    drawn
        As the rows stand.
    least, most
        Over all pairings of Y with Z within neighbourhoods.
    independent
        If Y and Z are independent within each neighbourhood.
    """

    drawn: FloatArray
    least: FloatArray
    independent: FloatArray
    most: FloatArray


def product_bounds(y: npt.ArrayLike, z: npt.ArrayLike, neighbourhood: npt.ArrayLike) -> PairBounds:
    """Bound the mean of y·z for every pair of columns, over all pairings within neighbourhoods.

    Parameters
    ----------
    y, z
        Shape (rows, columns) each; rows count alike. With `standard_ranks` the means are rank correlations, with
        `presence` shares of rows that have both.
    neighbourhood
        Number or name of each row's neighbourhood, shape (rows,).

    Returns
    -------
    PairBounds

    Notes
    -----
    A product is supermodular, so that the extremes are at the sorted and the oppositely sorted pairing (Cambanis,
    Simons & Stout 1976), as in `policy.figure_bounds`; each column is sorted once for all pairs. Of presences, 0 and 1,
    these are the Fréchet bounds of `bounds.frechet_bounds`. They hold pair by pair, and carry no sampling error.
    """
    group = np.unique(np.asarray(neighbourhood), return_inverse=True)[1].astype(np.int64)
    rows = len(group)
    one, other = as_matrix(y, rows, "Y"), as_matrix(z, rows, "Z")
    same_length("Z", len(other), len(one))
    rising, up, down = _sorted(one, group), _sorted(other, group), -_sorted(-other, group)
    counts = np.bincount(group).astype(np.float64)
    means = [np.column_stack([np.bincount(group, c) / counts for c in side.T]) for side in (one, other)]
    return PairBounds(
        drawn=one.T @ other / rows,
        least=rising.T @ down / rows,
        independent=(means[0] * counts[:, None]).T @ means[1] / rows,
        most=rising.T @ up / rows,
    )


def standard_ranks(columns: npt.ArrayLike) -> FloatArray:
    """Return mid-ranks of each column with mean 0 and variance 1, shape (rows, columns); NaN where it does not vary."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(np.asarray(columns, dtype=np.float64), axis=0), dtype=np.float64)
    centred = ranks - ranks.mean(axis=0)
    scale = np.sqrt(np.mean(centred**2, axis=0))
    return np.asarray(np.where(scale > 0, centred / np.where(scale > 0, scale, 1.0), np.nan))


def presence(columns: npt.ArrayLike) -> FloatArray:
    """Return 1 where a value is not zero, else 0, shape (rows, columns)."""
    return np.asarray(np.asarray(columns) != 0, dtype=np.float64)


def _sorted(columns: FloatArray, group: npt.NDArray[np.int64]) -> FloatArray:
    """Sort each column within groups; the rows of a group stay together."""
    tie = np.zeros(len(group))
    return np.column_stack([column[ranks_within(column, group, tie)[1]] for column in columns.T])
