"""Linear quantile regression of an amount, and draws between the fitted quantiles.

The check loss is smoothed by a logistic kernel (He, Pan, Tan & Zhou 2023, Journal of Econometrics 232): a linear
program per quantile takes a hundred times as long on ten thousand donors and differs by less than its own
sampling error. No Python library has it, or takes weights and is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, ndtr, ndtri

from microimpute.errors import MethodError
from microimpute.regressions import glm
from microimpute.transforms import Inputs, Scale, take

__all__ = ["QuantileAmount", "fit_quantiles", "grid"]

FloatArray = npt.NDArray[np.float64]

#: Outermost fitted quantiles, on the normal scale.
WIDEST = 2.0
#: Bandwidth of the smoothing, in standard deviations of the residuals: it widens the outermost by half a per cent.
BAND = 0.05
#: Rounds in which the slopes' ridge is bettered.
ROUNDS = 2
#: Points at which the draws' own distribution is kept, most donors whose predictions make it, shares of each.
POINTS, MOST, SHARES = 201, 2_000, 50


def grid(count: int) -> FloatArray:
    """Return so many levels at even steps of the normal scale, as normal scores."""
    return np.linspace(-WIDEST, WIDEST, count)


def fit_quantiles(
    X: FloatArray, z: FloatArray, weight: FloatArray, normal_levels: FloatArray, least: float
) -> FloatArray:
    """Fit a linear quantile regression at each level.

    Slopes are held to those of the mean by a ridge whose strength the data say, by the evidence (MacKay 1992), as
    in `glm`: with few donors, or where only the mean moves, the quantiles run in parallel.

    Parameters
    ----------
    X
        float64, shape (donors, columns), the first of ones.
    z, weight
        Shape (donors,).
    normal_levels
        Φ⁻¹ of the levels, rising, shape (levels,).
    least
        Least ridge, in donors.

    Returns
    -------
    numpy.ndarray of float64, shape (levels, columns)
    """
    mean, sigma = glm.normal(X, z, weight, least, None)
    if sigma < 1e-9:
        return np.tile(mean, (len(normal_levels), 1))
    w = glm.effective(weight)
    gram = X.T @ (X * w[:, None])
    values = glm.spectrum(gram)[0]
    rest, levels = (z - X @ mean) / sigma, ndtr(normal_levels)
    density = np.exp(-(normal_levels**2) / 2) / np.sqrt(2 * np.pi)
    noise = levels * (1 - levels) / density**2  # variance of a quantile's estimate, for a normal residual
    ridge, slopes = glm.START * least, np.zeros((len(levels), X.shape[1]))
    slopes[:, 0] = normal_levels
    for _ in range(ROUNDS):
        slopes = _minimised(X, rest, w, gram, slopes, levels, ridge * noise * density)
        decided = float(np.sum(values / (values + ridge * noise[:, None])))
        ridge = glm.bettered(ridge, least, decided, float(np.sum(slopes[:, 1:] ** 2)))
    return np.asarray(mean + sigma * slopes)


def _minimised(
    X: FloatArray,
    rest: FloatArray,
    w: FloatArray,
    gram: FloatArray,
    start: FloatArray,
    levels: FloatArray,
    penalty: FloatArray,
) -> FloatArray:
    """Minimise the smoothed check loss and the penalty on slopes, level by level."""
    total, out = w.sum(), np.empty_like(start)
    held = np.ones(X.shape[1])
    held[0] = 0.0
    # turned so that the weighted columns are uncorrelated: a quasi-Newton search then takes a dozen steps
    root = cholesky(gram + np.diag(np.where(held > 0, penalty.mean(), glm.FREE)))
    back = solve_triangular(root, np.eye(len(root)))
    turned = X @ back
    for number, (level, strength) in enumerate(zip(levels, penalty, strict=True)):
        pull = back.T @ (strength * held[:, None] * back)
        loss = _loss(turned, rest, w, float(level), pull, float(total))
        found = minimize(loss, root @ start[number], jac=True, method="L-BFGS-B", options={"gtol": 1e-6})
        out[number] = back @ found.x
    return out


def _loss(
    turned: FloatArray, rest: FloatArray, w: FloatArray, level: float, pull: FloatArray, total: float
) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Make the loss per donor, and its gradient, of coefficients in the turned columns."""

    def of(b: FloatArray) -> tuple[float, FloatArray]:
        u = (rest - turned @ b) / BAND
        held = pull @ b
        loss = BAND * float(w @ (level * u + np.logaddexp(0, -u))) + float(b @ held) / 2
        return loss / total, (turned.T @ (w * (expit(-u) - level)) + held) / total

    return of


@dataclass(frozen=True)
class QuantileAmount:
    """Quantile regressions of an amount on its own `Scale`; a draw interpolates between a row's fitted quantiles.

    Where they cross they are put in order (Chernozhukov, Fernández-Val & Galichon 2010). Between them a draw goes
    straight on the normal scale, and on beyond the outermost as between the last two, so that no tail is cut.
    The distribution of the draws for the donors themselves says each draw's rank, so that the donors' weighted
    distribution comes back.

    Attributes
    ----------
    scale
        The amount's way to a normal scale and back.
    levels
        Φ⁻¹ of the levels, rising, shape (levels,).
    beta
        Coefficients, shape (levels, columns).
    scores, ranks
        Points of the draws' own distribution on the scale; empty where the scale is a straight line.
    """

    scale: Scale
    levels: FloatArray
    beta: FloatArray
    scores: FloatArray
    ranks: FloatArray

    @classmethod
    def fit(cls, X: FloatArray, y: FloatArray, weight: FloatArray, ridge: float, count: int) -> Self:
        """Learn from donors with some weight, at so many levels."""
        scale, levels = Scale.fit(y, weight, exact=True), grid(count)
        beta = fit_quantiles(X, scale.scores(y), weight, levels, ridge)
        if scale.straight:
            return cls(scale, levels, beta, np.zeros(0), np.zeros(0))
        return cls(scale, levels, beta, *_margin(np.sort(X @ beta.T, axis=1), weight, levels))

    @property
    def said(self) -> str:
        """What it is, in a few words."""
        return f"{len(self.levels)} quantiles" + ("" if self.scale.straight else " on weighted normal scores")

    def draw(self, inputs: Inputs, uniform: Callable[[str], FloatArray]) -> FloatArray:
        """Draw for each row."""
        quantiles = np.sort(np.column_stack([inputs.predict(b) for b in self.beta]), axis=1)
        z = _between(quantiles, self.levels, ndtri(uniform("amount")))
        rank = None if self.scale.straight else np.interp(z, self.scores, self.ranks)
        return self.scale.amounts(z, rank)

    def state(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return its arrays, each name with a prefix."""
        arrays = {f"{prefix}{n}": getattr(self, n) for n in ("levels", "scores", "ranks")}
        return arrays | {f"{prefix}quantiles": self.beta} | self.scale.state(f"{prefix}scale.")

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Self:
        """Rebuild from `state`, checking it."""
        levels, scores, ranks = (take(arrays, f"{prefix}{n}", 1) for n in ("levels", "scores", "ranks"))
        beta, scale = take(arrays, f"{prefix}quantiles", 2), Scale.from_state(arrays, f"{prefix}scale.")
        sound = len(levels) > 1 and bool((np.diff(levels) > 0).all()) and beta.shape == (len(levels), width)
        if not sound or len(scores) != len(ranks) or not (scale.straight or len(scores)):
            raise MethodError("a saved quantile regression is damaged", "Save the model again.")
        return cls(scale, levels, beta, scores, ranks)


def _between(quantiles: FloatArray, levels: FloatArray, t: FloatArray) -> FloatArray:
    """Go along each row's quantiles, shape (rows, levels), to its own level t, a normal score, shape (rows,)."""
    place = np.clip(np.searchsorted(levels, t) - 1, 0, len(levels) - 2)
    rows = np.arange(len(t))
    low, high = quantiles[rows, place], quantiles[rows, place + 1]
    return np.asarray(low + (high - low) * ((t - levels[place]) / (levels[place + 1] - levels[place])))


def _margin(quantiles: FloatArray, weight: FloatArray, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the distribution of the donors' draws: points on the scale, and their ranks."""
    if len(quantiles) > MOST:  # donors at even steps of the weight stand for all
        order = np.argsort(quantiles[:, len(levels) // 2], kind="stable")
        share = np.cumsum(weight[order]) / weight.sum()
        place = np.searchsorted(share, (np.arange(MOST) + 0.5) / MOST)
        quantiles, weight = quantiles[order[np.minimum(place, len(order) - 1)]], np.ones(MOST)
    shares = ndtri((np.arange(SHARES) + 0.5) / SHARES)
    drawn = np.concatenate([_between(quantiles, levels, np.full(len(quantiles), t)) for t in shares])
    ranks = (np.arange(POINTS) + 0.5) / POINTS
    scores = np.quantile(drawn, ranks, weights=np.tile(weight, SHARES), method="inverted_cdf")
    return scores, ranks
