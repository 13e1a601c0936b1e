"""Counts: Poisson or negative binomial regressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.regressions import glm
from microimpute.regressions.amounts import Bounds
from microimpute.transforms import Inputs, take

__all__ = ["CEILING", "COUNTABLE", "Counts"]

FloatArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]
Uniform = Callable[[str], FloatArray]
Source = np.random.Generator | None

#: A target with larger counts is drawn as an amount; the largest count that bounds may allow.
COUNTABLE, CEILING = 300, 10_000


@dataclass(frozen=True)
class Counts:
    """Poisson or negative binomial, never above the donors' largest count, or between bounds if there are any.

    Attributes
    ----------
    beta
        Coefficients of the logarithm of the mean.
    dispersion
        a of Var = μ + aμ²; 0 for Poisson.
    most
        The largest draw.
    bounds
        Between which the distribution is cut off; empty where there are none: then what is above `most` counts as
        `most`.
    """

    beta: FloatArray
    dispersion: float
    most: float
    bounds: FloatArray

    @classmethod
    def fit(
        cls,
        X: FloatArray,
        y: FloatArray,
        weight: FloatArray,
        ridge: float,
        rng: Source,
        bounds: Bounds | None = None,
    ) -> Self:
        """Learn from donors with some weight; bounds must hold all of them."""
        beta, dispersion = glm.count(X, y, weight, ridge, rng)
        if bounds is None:
            return cls(beta, dispersion, float(y.max()), np.zeros(0))
        most = min(float(np.floor(bounds[1])), CEILING)
        return cls(beta, dispersion, most, np.array([max(float(np.ceil(bounds[0])), 0.0), most]))

    @property
    def said(self) -> str:
        """What it is, in a few words."""
        return "negative binomial" if self.dispersion > 0 else "Poisson"

    def draw(self, inputs: Inputs, uniform: Uniform) -> FloatArray:
        """Draw for each row: the inverse distribution function, from term to term."""
        mean = np.exp(np.minimum(inputs.predict(self.beta), glm.HIGHEST))
        u, a = self._within(mean, uniform("count")), self.dispersion
        term = np.exp(-mean) if a == 0 else np.exp(-np.log1p(a * mean) / a)
        out, below = np.zeros(len(u)), term.copy()
        rows = np.flatnonzero((u > below) & (self.most > 0))
        step = 0
        while len(rows):  # at most as often as the largest count
            m = mean[rows]
            term[rows] *= (m if a == 0 else m * (1 + a * step) / (1 + a * m)) / (step + 1)
            below[rows] += term[rows]
            step += 1
            out[rows] = step
            rows = rows[(u[rows] > below[rows]) & (step < self.most)]
        return np.maximum(out, self.bounds[0]) if len(self.bounds) else out

    def _within(self, mean: FloatArray, u: FloatArray) -> FloatArray:
        """Turn uniform numbers into ones between the distribution function's values at the bounds."""
        from scipy.stats import nbinom, poisson

        if not len(self.bounds):
            return u
        size = 1 / self.dispersion if self.dispersion > 0 else 0.0
        law = nbinom(size, 1 / (1 + self.dispersion * mean)) if size else poisson(mean)
        low, high = law.cdf(self.bounds[0] - 1), law.cdf(self.bounds[1])
        return np.asarray(low + u * (high - low))

    def state(self, prefix: str) -> Arrays:
        """Return its arrays, each name with a prefix."""
        counts = {f"{prefix}count": np.array([self.dispersion, self.most]), f"{prefix}bounds": self.bounds}
        return counts | {f"{prefix}rate": self.beta}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Self:
        """Rebuild from `state`, checking it."""
        beta, (dispersion, most) = take(arrays, f"{prefix}rate", 1), take(arrays, f"{prefix}count", 1)
        bounds = take(arrays, f"{prefix}bounds", 1)
        sound = len(beta) == width and dispersion >= 0 and 0 <= most <= CEILING and len(bounds) in (0, 2)
        if not sound:
            raise MethodError("a saved regression is damaged", "Save the model again.")
        return cls(beta, float(dispersion), float(most), bounds)
