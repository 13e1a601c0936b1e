"""Monte Carlo error: what a new set of implicates would change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.pooling.pooled import combine
from microimpute.pooling.rules import find
from microimpute.pooling.table import Pooled

__all__ = ["MonteCarlo", "monte_carlo_error"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MonteCarlo:
    """Monte Carlo standard errors: how much the pooled numbers would vary over new sets of m implicates.

    Every array has shape (k,).
    """

    names: tuple[str, ...]
    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    low: FloatArray
    high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    fmi: FloatArray

    def to_frame(self) -> Any:
        """Return a pandas frame, one row per parameter."""
        import pandas as pd

        return pd.DataFrame({c: getattr(self, c) for c in _JACKKNIFED}, index=pd.Index(self.names, name="term"))


_JACKKNIFED = ("estimate", "std_error", "df", "low", "high", "statistic", "p_value", "fmi")


def monte_carlo_error(pooled: Pooled) -> MonteCarlo:
    """Return Monte Carlo errors by leaving out one implicate (one nest) after the other.

    √((m − 1)/m · Σ(θ₋ᵢ − mean θ₋)²) for each column θ: Royston, Carlin & White (2009); Stata's `mi
    estimate, mcerror`. For the estimate that is √(B/m). Under the rule scf U₁ stays where it is.

    Raises
    ------
    PoolingError
        If there are fewer than three implicates.
    """
    m, rule = pooled.m, find(pooled.rule)
    if m < 3:
        raise PoolingError(f"{m} implicates are too few to leave one out", "Impute at least three times.")
    x = pooled.parts
    kept = [np.delete(np.arange(m), i) for i in range(m)]
    less = [combine(replace(x, q=x.q[i], u=x.u[i]), rule, pooled.level, pooled.size_ratio) for i in kept]
    columns = {c: np.stack([getattr(p, c) for p in less]) for c in _JACKKNIFED}
    with np.errstate(invalid="ignore"):
        errors = {c: np.sqrt((m - 1) * v.var(0)) for c, v in columns.items()}
    return MonteCarlo(pooled.names, **errors)
