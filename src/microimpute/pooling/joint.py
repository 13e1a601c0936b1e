"""What a test of several parameters gives, and what all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from microimpute.errors import PoolingError
from microimpute.pooling import render

__all__ = ["JointTest", "f_test", "large_df", "one_over", "per_implicate"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class JointTest:
    """An F test of k contrasts.

    Attributes
    ----------
    method
        "D1", "D2", "D3" or "D4".
    statistic, df1, df2, p_value
        F, its degrees of freedom, and the upper tail.
    riv
        Average relative increase in variance r; never below 0.
    contrasts
        What was tested, where that is known.
    """

    method: str
    statistic: float
    df1: int
    df2: float
    p_value: float
    riv: float
    contrasts: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f" of {', '.join(self.contrasts)}" if self.contrasts else ""
        return (
            f"{self.method} test{what}: F({self.df1}, {render.number(self.df2)}) = {render.number(self.statistic)}, "
            f"p {render.p_value(self.p_value)}, RIV {render.number(self.riv)}"
        )


def large_df(k: int, t: int, r: float) -> float:
    """Return df2 for infinite complete-data df: Li, Raghunathan & Rubin (1991); van Buuren (2018), sec. 5.3.1."""
    if r <= 0:
        return np.inf
    if t > 4:
        return 4 + (t - 4) * (1 + (1 - 2 / t) / r) ** 2
    return t * (1 + 1 / k) * (1 + 1 / r) ** 2 / 2


def per_implicate(values: Any, what: str) -> FloatArray:
    """Return numbers of shape (m,), m at least 2 and none missing."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise PoolingError(f"{what} has shape {array.shape}, one implicate or none", "Give one number per implicate.")
    if not np.isfinite(array).all():
        raise PoolingError(f"{what} of implicate {int(np.argmin(np.isfinite(array))) + 1} is missing", "Fit it again.")
    return array


def one_over(r: float) -> float:
    """Return 1 + 1/r, infinite where r is not above 0."""
    return 1 + 1 / r if r > 0 else np.inf


def f_test(method: str, f: float, k: int, df2: float, r: float, names: tuple[str, ...] = ()) -> JointTest:
    """Return F on k and df2 degrees of freedom with its p-value."""
    p = stats.f.sf(f, k, df2) if np.isfinite(df2) else stats.chi2.sf(k * f, k)
    return JointTest(method, f, k, float(df2), float(p), r, names)
