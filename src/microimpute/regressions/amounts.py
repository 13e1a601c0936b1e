"""An amount's normal regression on its own scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from microimpute.errors import MethodError
from microimpute.regressions import glm
from microimpute.transforms import Inputs, Scale, take

__all__ = ["Amount", "Bounds"]

FloatArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]
Uniform = Callable[[str], FloatArray]
Source = np.random.Generator | None
#: Least and largest value; infinite where open.
Bounds = tuple[float, float]

#: Points at which the draws' own distribution on the normal scale is kept.
GRID = 201
#: Most donors whose predictions make that distribution.
MOST = 2_000
TINY = 1e-12


@dataclass(frozen=True)
class Amount:
    """A normal regression on the target's own `Scale`.

    On normal scores the draws for the donors themselves need not be standard normal. Their distribution under
    the estimates (not under the drawn parameters, whose spread has to stay) says each draw's rank, so that the
    donors' weighted distribution comes back.

    Attributes
    ----------
    scale
        The amount's way to the normal scale and back.
    beta, sigma
        Coefficients, and the residuals' standard deviation.
    scores, ranks
        Points of the draws' own distribution; empty where the scale is a straight line.
    bounds
        Least and largest draw on a straight scale, infinite where open; empty for the donors' own.
    """

    scale: Scale
    beta: FloatArray
    sigma: float
    scores: FloatArray
    ranks: FloatArray
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
        scale = Scale.fit(y, weight, exact=True)
        z = scale.scores(y)
        beta, sigma = glm.normal(X, z, weight, ridge, None)
        nothing = np.zeros(0)
        grid, ranks = (nothing, nothing) if scale.straight else _margin(X @ beta, weight, sigma)
        if rng is not None:
            beta, sigma = glm.normal(X, z, weight, ridge, rng)
        return cls(scale, beta, sigma, grid, ranks, np.array(bounds or (), dtype=np.float64))

    @property
    def said(self) -> str:
        """What it is, in a few words."""
        return "normal" if self.scale.straight else "normal on weighted normal scores"

    def draw(self, inputs: Inputs, uniform: Uniform) -> FloatArray:
        """Draw for each row."""
        if self.scale.straight and len(self.bounds):
            return self._draw_within(inputs.predict(self.beta), uniform("amount"))
        z = inputs.predict(self.beta) + self.sigma * ndtri(uniform("amount"))
        rank = None if self.scale.straight else np.interp(z, self.scores, self.ranks)
        return self.scale.amounts(z, rank)

    def _draw_within(self, mean: FloatArray, within: FloatArray) -> FloatArray:
        """Draw from the normal distribution between the bounds, which may lie beyond the donors."""
        middle, spread = self.scale.line
        edges = [(edge - middle) / spread for edge in self.bounds]
        low, high = (ndtr((edge - mean) / max(self.sigma, TINY)) for edge in edges)
        z = mean + self.sigma * ndtri(np.clip(low + within * (high - low), TINY, 1 - 1e-16))
        # where a row's mean is so far out that nothing of its distribution is left inside, the nearer bound
        return np.asarray(np.clip(middle + spread * z, *self.bounds))

    def state(self, prefix: str) -> Arrays:
        """Return its arrays, each name with a prefix."""
        arrays = {f"{prefix}{n}": getattr(self, n) for n in ("beta", "scores", "ranks", "bounds")}
        return arrays | {f"{prefix}sigma": np.array([self.sigma])} | self.scale.state(f"{prefix}scale.")

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Self:
        """Rebuild from `state`, checking it."""
        beta, sigma, scores, ranks = (take(arrays, f"{prefix}{n}", 1) for n in ("beta", "sigma", "scores", "ranks"))
        scale = Scale.from_state(arrays, f"{prefix}scale.")
        bounds = take(arrays, f"{prefix}bounds", 1)
        sound = len(beta) == width and len(sigma) == 1 and len(scores) == len(ranks) and len(bounds) in (0, 2)
        if not sound or not (scale.straight or len(scores)):
            raise MethodError("a saved regression is damaged", "Save the model again.")
        return cls(scale, beta, float(sigma[0]), scores, ranks, bounds)


def _margin(mean: FloatArray, weight: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Return the distribution of the donors' draws: points on the normal scale and their ranks."""
    if len(mean) > MOST:  # predictions at even steps of the weight stand for all
        order = np.argsort(mean, kind="stable")
        share = np.cumsum(weight[order]) / weight.sum()
        place = np.searchsorted(share, (np.arange(MOST) + 0.5) / MOST)
        mean, weight = mean[order[np.minimum(place, len(mean) - 1)]], np.ones(MOST)
    sigma = max(sigma, 1e-6)
    grid = np.linspace(mean.min() - 4.5 * sigma, mean.max() + 4.5 * sigma, GRID)
    chance = weight / weight.sum()
    return grid, np.array([float(np.sum(chance * ndtr((g - mean) / sigma))) for g in grid])
