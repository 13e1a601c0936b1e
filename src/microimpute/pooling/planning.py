"""Pooled R², and how many implicates are enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from microimpute.errors import PoolingError
from microimpute.pooling.pooled import pool
from microimpute.pooling.table import Pooled

__all__ = ["RSquared", "how_many_imputations", "pooled_r2"]


@dataclass(frozen=True)
class RSquared:
    """Pooled R² with its interval and fraction of missing information."""

    estimate: float
    low: float
    high: float
    fmi: float


def pooled_r2(r2: Any, n: int | None = None, *, level: float = 0.95, critical: float | None = None) -> RSquared:
    """Pool R² (or adjusted R²) on Fisher's scale.

    Q = atanh √R², U = 1/(n − 3), rule "rubin" with infinite dfcom, tanh² of Q̄ ± z√T: Harel (2009). A lower
    end below 0 on Fisher's scale becomes 0 (mice squares it instead).

    Parameters
    ----------
    r2
        R² of each implicate, shape (m,), or fitted results with `rsquared` and `nobs`.
    n
        Rows of the analysis; from results if those are given.
    level
        Of the interval.
    critical
        z; None takes it from `level`. mice uses 1.96.

    Raises
    ------
    PoolingError
        If m = 1, n ≤ 3, or some R² is outside [0, 1).
    """
    found = list(r2)
    if found and hasattr(found[0], "rsquared"):
        n = int(min(r.nobs for r in found)) if n is None else n
        found = [r.rsquared for r in found]
    values = np.asarray(found, dtype=np.float64)
    if n is None or n <= 3:
        raise PoolingError("pooling R² needs the number of rows, above 3", "Give n.")
    if not ((values >= 0) & (values < 1)).all():
        raise PoolingError(
            "some R² is not in [0, 1)", "Pool R² of models that fit better than a mean and not perfectly."
        )
    got = pool(np.arctanh(np.sqrt(values)), np.full(len(values), 1 / (n - 3)))
    z = float(stats.norm.ppf((1 + level) / 2)) if critical is None else critical
    ends = got.estimate[0] + np.array([-z, 0, z]) * got.std_error[0]
    low, estimate, high = np.tanh(np.maximum(ends, 0)) ** 2
    return RSquared(float(estimate), float(low), float(high), float(got.fmi[0]))


def how_many_imputations(pilot: Pooled | float, m: int | None = None, *, cv: float = 0.05, level: float = 0.95) -> int:
    """Return how many implicates make standard errors reproducible: the second stage after a pilot.

    m ≈ 1 + ½(γ/cv)², von Hippel (2020), where γ is the upper end of the pilot's interval for the fraction of
    missing information, logit γ̂ ± z√(2/m) (his two-stage procedure).

    Parameters
    ----------
    pilot
        What `pool` returned for a few implicates (its largest fraction is used), or a fraction of missing information.
    m
        Implicates of the pilot; None with a number takes the number as known and uses no interval.
    cv
        Wanted coefficient of variation of standard errors over new sets of implicates.
    level
        Of the interval, both sides.

    Raises
    ------
    PoolingError
        If no fraction in [0, 1] is there, or cv is not above 0.
    """
    if isinstance(pilot, Pooled):
        gamma, m = float(np.max(pilot.fmi)), pilot.m * pilot.draws
    else:
        gamma = float(pilot)
    if not 0 <= gamma <= 1 or cv <= 0:
        raise PoolingError(
            f"a fraction of missing information of {gamma:g} and a cv of {cv:g} do not make a plan",
            "Pool a pilot by a rule about missing data, and give cv above 0, such as 0.05.",
        )
    if m is not None and 0 < gamma < 1:
        logit = math.log(gamma / (1 - gamma)) + float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(2 / m)
        gamma = 1 / (1 + math.exp(-logit))
    return max(2, math.ceil(1 + (gamma / cv) ** 2 / 2))
