"""Distance functions: how far calibrated weights may move, and at what price.

Each is told by F, the factor by which a weight changes as a function of u = x'λ (Deville & Särndal 1992, JASA 87,
376–382, table 1), with its slope and its integral from 0, which Newton's method needs:

    linear    F = 1 + u                                              cut off at the bounds, where there are any (case 7)
    raking    F = exp(u)                                             cut off likewise
    logit     F = (L(U − 1) + U(1 − L)e^{Au}) / ((U − 1) + (1 − L)e^{Au}),   A = (U − L) / ((1 − L)(U − 1))   (case 6)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from microimpute.errors import CalibrationError, closest

__all__ = ["NAMES", "Distance", "distance"]

FloatArray = npt.NDArray[np.float64]

NAMES = ("linear", "raking", "logit")
#: exp(u) beyond this would overflow; a step that long is never taken, since the line search refuses it.
_LARGEST = 500.0


@dataclass(frozen=True)
class Distance:
    """One distance function.

    Attributes
    ----------
    name
        One of `NAMES`.
    low, high
        Bounds of the factor; −inf or 0, and inf, where none were given.
    factor, slope, integral
        F(u), F'(u) and ∫F from 0 to u, each of the shape of u.
    """

    name: str
    low: float
    high: float
    factor: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    integral: Callable[[FloatArray], FloatArray]


def distance(name: str, bounds: tuple[float, float] | None = None) -> Distance:
    """Return a distance function.

    Parameters
    ----------
    name
        ``"linear"``, ``"raking"`` or ``"logit"``.
    bounds
        Least and largest factor, L < 1 < U; ``"logit"`` needs them.

    Raises
    ------
    CalibrationError
        If there is no such distance, or the bounds do not lie on both sides of 1.
    """
    if name not in NAMES:
        raise CalibrationError(f"there is no distance {name!r}", closest(str(name), NAMES))
    low, high = _checked(name, bounds)
    if name == "logit":
        return _logit(low, high)
    return _linear(low, high) if name == "linear" else _raking(low, high)


def _checked(name: str, bounds: tuple[float, float] | None) -> tuple[float, float]:
    if bounds is None:
        if name == "logit":
            raise CalibrationError("the logit distance needs bounds", "Give bounds=(0.3, 3), say.")
        return (-np.inf if name == "linear" else 0.0), np.inf
    remedy = "Give the least and the largest factor, one below and one above 1: bounds=(0.3, 3), say."
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        raise CalibrationError(f"bounds are {bounds!r}", remedy) from None
    if not low < 1 < high or (name != "linear" and low < 0) or (name == "logit" and not np.isfinite(high)):
        raise CalibrationError(f"bounds are {low:g} and {high:g}", remedy)
    return low, high


def _linear(low: float, high: float) -> Distance:
    def integral(u: FloatArray) -> FloatArray:
        inside = np.clip(u, low - 1, high - 1)
        return inside + inside**2 / 2 + (1 + inside) * (u - inside)

    return Distance(
        "linear",
        low,
        high,
        lambda u: np.clip(1 + u, low, high),
        lambda u: ((1 + u >= low) & (1 + u <= high)).astype(np.float64),
        integral,
    )


def _raking(low: float, high: float) -> Distance:
    least, most = (np.log(low) if low > 0 else -np.inf), min(np.log(high), _LARGEST)

    def factor(u: FloatArray) -> FloatArray:
        return np.asarray(np.exp(np.clip(u, least, most)))

    def slope(u: FloatArray) -> FloatArray:
        return np.where((u >= least) & (u <= most), factor(u), 0.0)

    def integral(u: FloatArray) -> FloatArray:
        inside = np.clip(u, least, most)
        return np.asarray(np.expm1(inside) + np.exp(inside) * (u - inside))

    return Distance("raking", low, high, factor, slope, integral)


def _logit(low: float, high: float) -> Distance:
    steep = (high - low) / ((1 - low) * (high - 1))
    shift = np.log1p(-low) - np.log(high - 1)  # F = L + (U − L) · expit(Au + log((1 − L)/(U − 1)))
    start = np.logaddexp(0.0, shift)

    def share(u: FloatArray) -> FloatArray:
        return np.asarray(expit(steep * u + shift))

    return Distance(
        "logit",
        low,
        high,
        lambda u: low + (high - low) * share(u),
        lambda u: (high - low) * steep * share(u) * (1 - share(u)),
        lambda u: low * u + (high - low) / steep * (np.logaddexp(0.0, steep * u + shift) - start),
    )
