"""Calibrated weights by Newton's method: the least change of the weights that meets all totals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microimpute.calibration.attainable import explain, refuse_single
from microimpute.calibration.distances import Distance

__all__ = ["calibrated_weights"]

FloatArray = npt.NDArray[np.float64]

#: Largest gap between a total and its target, in units of the larger of the target and Σ d|x|.
TOLERANCE = 1e-10
#: Newton steps at most; well-posed problems take five to fifteen.
STEPS = 200
#: Added to the diagonal, relative to where it starts: redundant totals leave the system singular.
RIDGE = 1e-11
#: A fall of the dual that is this small is not told from rounding.
FLAT = 1e-9


def calibrated_weights(
    design: FloatArray,
    weight: FloatArray,
    totals: FloatArray,
    distance: Distance,
    names: Sequence[str],
    *,
    factors: bool = False,
) -> FloatArray:
    """Return weights w = d F(x'λ) with Σ w x = totals.

    Parameters
    ----------
    design
        x, one column per total, shape (rows, totals).
    weight
        d, not negative, shape (rows,).
    totals
        Shape (totals,).
    distance
        See `distance`.
    names
        What each total is, for errors.
    factors
        Return F(x'λ) instead of d F(x'λ).

    Returns
    -------
    numpy.ndarray, shape (rows,)

    Raises
    ------
    CalibrationError
        If no weights within the bounds meet the totals; names one of them, with the range that it could have.

    Notes
    -----
    λ is the minimum of the convex dual Σ d ∫F(x'λ) − λ'totals (Deville & Särndal 1992, eq. 2.5 and 2.6); steps are
    shortened until it falls, so that the method ends wherever there is a solution.
    """
    refuse_single(design, weight, totals, distance, names)
    scale = np.maximum(np.abs(totals), weight @ np.abs(design))
    scale = np.where(scale > 0, scale, 1.0)
    x, wanted = design / scale, totals / scale
    multipliers = _minimum(x, weight, wanted, distance)
    factor = distance.factor(x @ multipliers)
    if np.abs((weight * factor) @ x - wanted).max(initial=0.0) > TOLERANCE:
        explain(design, weight, totals, distance, names)
    return factor if factors else weight * factor


def _minimum(x: FloatArray, weight: FloatArray, wanted: FloatArray, distance: Distance) -> FloatArray:
    """Descend the dual by damped Newton steps; returns where it ends, solution or not."""
    at = np.zeros(x.shape[1])
    u = x @ at
    height = 0.0
    start = _curvature(x, weight * distance.slope(u)).diagonal()
    ridge = np.diag(RIDGE * np.where(start > 0, start, 1.0))
    for _ in range(STEPS):
        gap = wanted - (weight * distance.factor(u)) @ x
        if np.abs(gap).max(initial=0.0) <= TOLERANCE / 10:
            break
        step = np.linalg.lstsq(_curvature(x, weight * distance.slope(u)) + ridge, gap, rcond=None)[0]
        size, fall = 1.0, float(gap @ step)
        while size > 1e-12:
            tried = at + size * step
            there = x @ tried
            lower = float(weight @ distance.integral(there) - tried @ wanted)
            if lower < height - 1e-4 * size * fall:
                break
            # near the minimum the fall is lost in rounding: there the gap itself has to shrink
            left = np.abs(wanted - (weight * distance.factor(there)) @ x).max()
            if fall < FLAT * (1 + abs(height)) and left < (1 - 0.1 * size) * np.abs(gap).max():
                break
            size /= 2
        else:
            break
        at, u, height = tried, there, lower
    return at


def _curvature(x: FloatArray, slope: FloatArray) -> FloatArray:
    return np.asarray((x * slope[:, None]).T @ x)
