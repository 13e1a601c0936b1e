"""Weighted statistics, with one weight or with many replicates at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError, closest

__all__ = [
    "gini",
    "least_squares",
    "mean",
    "poverty_gap",
    "poverty_rate",
    "quantile",
    "ratio",
    "share",
    "takes_many",
    "top_share",
    "total",
]

FloatArray = npt.NDArray[np.float64]


def total(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return Σwy.

    Parameters
    ----------
    values
        Shape (rows,) or (rows, k).
    weight
        Shape (rows,) or (rows, R).

    Returns
    -------
    numpy.ndarray
        Shape () or (k,) for one weight, (R,) or (R, k) for many.
    """
    return np.asarray(weight.T @ np.asarray(values, dtype=np.float64))


def mean(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return Σwy/Σw; shapes as `total`."""
    y = np.asarray(values, dtype=np.float64)
    mass = weight.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total(y, weight) / (mass[:, None] if y.ndim == 2 and weight.ndim == 2 else mass))


def share(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the share of the weight where values are not 0; shapes as `mean`."""
    return mean(np.asarray(values) != 0, weight)


def ratio(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return Σwy/Σwx of values (y, x), shape (rows, 2); shape () or (R,)."""
    both = total(values, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(both[..., 0] / both[..., 1])


def quantile(values: FloatArray, weight: FloatArray, level: float = 0.5) -> FloatArray:
    """Return the smallest value at or below which `level` of the weight stands; shape () or (R,).

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    level
        In [0, 1].
    """
    y, below, mass = _in_order(values, weight)
    reached = (below >= level * mass * (1 - 1e-12)) & (below > 0)
    got = np.where(mass > 0, y[reached.argmax(0)], np.nan)
    return got if weight.ndim == 2 else np.asarray(got[0])


def gini(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return 1 − Σ w_i(S_i + S_{i−1})/(Σw·S_n), S cumulated wy in order of y; shape () or (R,).

    Twice the area between the diagonal and the Lorenz curve. Negative values are taken as they are, so the result can
    exceed 1; where the total is not above 0 it is NaN.

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    """
    order, many = np.argsort(values, kind="stable"), _columns(weight)
    y, w = np.asarray(values, dtype=np.float64)[order], many[order]
    held = np.cumsum(w * y[:, None], axis=0)
    area = (w * (2 * held - w * y[:, None])).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        got = np.where(held[-1] > 0, 1 - area / (w.sum(0) * held[-1]), np.nan)
    return got if weight.ndim == 2 else np.asarray(got[0])


def top_share(values: FloatArray, weight: FloatArray, top: float = 0.1) -> FloatArray:
    """Return the share of the total that the top of the distribution holds; shape () or (R,).

    1 − L(1 − top) on the linear Lorenz curve: a row that stands across the border counts in part.

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    top
        Share of the weight, in [0, 1].
    """
    y, below, mass = _in_order(values, weight)
    w = np.diff(below, axis=0, prepend=0.0)
    inside = np.clip(below - (1 - top) * mass, 0, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        held = y @ w
        got = np.where(held > 0, (y @ inside) / held, np.nan)
    return got if weight.ndim == 2 else np.asarray(got[0])


def poverty_rate(
    values: FloatArray, weight: FloatArray, line: FloatArray | float | None = None, of_median: float = 0.6
) -> FloatArray:
    """Return the share of the weight below a line; shape () or (R,).

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    line
        A number or shape (rows,); None: `of_median` times the median of the same weight, anew in every replicate.
    of_median
        Used without `line`.
    """
    return _poverty(values, weight, line, of_median, gap=False)


def poverty_gap(
    values: FloatArray, weight: FloatArray, line: FloatArray | float | None = None, of_median: float = 0.6
) -> FloatArray:
    """Return the mean of max(0, (line − y)/line) (Foster, Greer & Thorbecke 1984, α = 1); see `poverty_rate`."""
    return _poverty(values, weight, line, of_median, gap=True)


def _poverty(
    values: FloatArray, weight: FloatArray, line: FloatArray | float | None, of_median: float, *, gap: bool
) -> FloatArray:
    y, many = np.asarray(values, dtype=np.float64)[:, None], _columns(weight)
    border = of_median * quantile(values, many) if line is None else np.asarray(line, dtype=np.float64)
    border = border[:, None] if line is not None and border.ndim else border
    with np.errstate(divide="ignore", invalid="ignore"):
        lack = np.where(y < border, (border - y) / border if gap else 1.0, 0.0)
        got = (many * lack).sum(0) / many.sum(0)
    return got if weight.ndim == 2 else np.asarray(got[0])


def least_squares(values: Any, weight: FloatArray, y: str, x: Sequence[str]) -> dict[str, float]:
    """Return the coefficients of a weighted regression with an intercept, by name.

    Parameters
    ----------
    values
        A frame.
    weight
        Shape (rows,).
    y, x
        Columns of numbers; for `Imputations.pool` or `Replicates.estimate` set them by `functools.partial`.

    Raises
    ------
    PoolingError
        If there is no such column, or the columns of x are collinear.
    """
    for column in (y, *x):
        if column not in values.columns:
            raise PoolingError(f"column {column!r} is not in the table", closest(column, values.columns))
    X = np.column_stack([np.ones(len(weight)), *(np.asarray(values[c], dtype=np.float64) for c in x)])
    scaled = X * np.sqrt(weight)[:, None]
    coefficients, _, rank, _ = np.linalg.lstsq(scaled, np.asarray(values[y], dtype=np.float64) * np.sqrt(weight))
    if rank < X.shape[1]:
        raise PoolingError(f"{', '.join(x)} are collinear where there is weight", "Leave one of them out.")
    return dict(zip(("intercept", *x), map(float, coefficients), strict=True))


def takes_many(statistic: Any) -> bool:
    """Return whether a statistic, maybe a `partial` of one, takes weights of shape (rows, R)."""
    return (statistic.func if isinstance(statistic, partial) else statistic) in _MANY_AT_ONCE


def _columns(weight: FloatArray) -> FloatArray:
    return weight if weight.ndim == 2 else weight[:, None]


def _in_order(values: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return values in order, weight up to each of shape (rows, R), and its total (R,)."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(_columns(weight)[order], axis=0)
    return np.asarray(values, dtype=np.float64)[order], below, below[-1]


_MANY_AT_ONCE = frozenset((total, mean, share, ratio, quantile, gini, top_share, poverty_rate, poverty_gap))
