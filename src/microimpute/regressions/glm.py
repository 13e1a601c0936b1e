"""Weighted regressions with a ridge: estimates, and draws of the parameters from their posterior.

Weights are made to sum to the effective number of donors, (Σw)² / Σw² (Kish 1965), so that the likelihood is as
sharp as the donors' information. The ridge is a prior: coefficients of standardised columns are N(0, σ²/ridge)
in the normal regression and N(0, 1/ridge) in the others; the constant is free. It keeps separation from running
away and collinear columns apart. How strong it is the data say, by the evidence (MacKay 1992, Neural Computation
4, eq. 2.20): many columns that matter little are held back, few that matter hardly; never less than `least`, of
which logits and counts take a quarter.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular

__all__ = ["FREE", "START", "bettered", "count", "effective", "logit", "normal", "spectrum", "without_folds"]

FloatArray = npt.NDArray[np.float64]
Source = np.random.Generator | None

#: Least precision of the constant, which no donor may inform.
FREE = 1e-6
#: How much wider than normal coefficients those of logits and counts may be, as a factor of the precision.
WIDER = 0.25
#: How far above the least a ridge may grow, and how often it is bettered.
MOST, ROUNDS = 1e5, 4
TINY = 1e-12
#: Where the ridges of logits and counts start from, in least ones, and the change of its logarithm that ends it.
START, ENOUGH = 16.0, 0.5
#: Largest linear predictor of a count's logarithm.
HIGHEST = 30.0


def effective(weight: FloatArray) -> FloatArray:
    """Return weights that sum to the effective number of donors."""
    total = weight.sum()
    return np.asarray(weight * (total / np.sum(weight**2))) if total > 0 else weight


def _precision(columns: int, ridge: float) -> FloatArray:
    out = np.full(columns, ridge)
    out[0] = FREE
    return out


def _drawn(centre: FloatArray, root: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw from a normal with that mean, given the upper Cholesky root of its precision."""
    return np.asarray(centre + solve_triangular(root, rng.standard_normal(len(centre))))


def normal(X: FloatArray, y: FloatArray, weight: FloatArray, least: float, rng: Source) -> tuple[FloatArray, float]:
    """Regress on the normal scale.

    With a generator, (β, σ²) are drawn from the posterior: σ² from its scaled inverse χ², with as many degrees
    of freedom as the effective donors less the columns that they decide, then β given σ².

    Parameters
    ----------
    X
        float64, shape (donors, columns), the first of ones.
    y, weight
        Shape (donors,).
    least
        Least ridge.
    rng
        For a draw; None for the estimate.

    Returns
    -------
    tuple
        Coefficients, and the residuals' standard deviation.
    """
    whole = _Design.of(X, weight)
    beta, root, freedom, rest = whole.estimate(y, least)
    if rng is None:
        return beta, float(np.sqrt(rest / freedom))
    sigma = float(np.sqrt(rest / rng.chisquare(freedom)))
    return np.asarray(beta + sigma * (_drawn(beta, root, rng) - beta)), sigma


def without_folds(
    X: FloatArray, Y: FloatArray, weight: FloatArray, fold: npt.NDArray[np.int64], least: float
) -> Iterator[tuple[npt.NDArray[np.bool_], FloatArray]]:
    """Estimate the regressions of several targets on one design, as `normal` does, without each fold in turn.

    Parameters
    ----------
    X, weight, least
        As for `normal`; weights sum to the effective number of all donors, whichever fold is out.
    Y
        float64, shape (donors, targets).
    fold
        int64, shape (donors,): the fold that each donor is in.

    Yields
    ------
    tuple
        Which donors are in the fold, and the coefficients that the others give, shape (targets, columns); not for a
        fold of all.
    """
    w = effective(weight)
    sums = _sums(X, Y, w)
    for own in (fold == number for number in np.unique(fold)):
        if w[~own].any():
            left_out = _sums(X[own], Y[own], w[own])
            gram, moments, squares = (all_ - some for all_, some in zip(sums, left_out, strict=True))
            known = _Known(gram, *spectrum(gram))
            centred = np.maximum(squares - moments[0] ** 2 / gram[0, 0], 0.0)
            found = [known.estimate(m, c, least)[0] for m, c in zip(moments.T, centred, strict=True)]
            yield own, np.array(found).reshape(Y.shape[1], X.shape[1])


def _sums(X: FloatArray, Y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weighted sums of products of columns, of columns and targets, and of targets' squares."""
    weighted = X.T * weight
    return weighted @ X, weighted @ Y, np.asarray(weight @ Y**2)


@dataclass(frozen=True)
class _Known:
    """What columns and weights say of the slopes: the Gram matrix, with the eigenvalues and vectors of its slopes."""

    gram: FloatArray
    values: FloatArray
    vectors: FloatArray

    def estimate(self, moment: FloatArray, squares: float, least: float) -> tuple[FloatArray, FloatArray, float]:
        """Return coefficients, the root of their precision, and how many slopes the data decide.

        Parameters
        ----------
        moment, squares
            Weighted sums of columns times target, shape (columns,), and of the target's squares about its mean.
        """
        gram, values, ridge, total = self.gram, self.values, least, float(self.gram[0, 0])
        turned = self.vectors.T @ moment[1:] - self.vectors.T @ gram[0, 1:] * moment[0] / gram[0, 0]
        for _ in range(ROUNDS):
            slopes = turned / (values + ridge)
            decided = float(np.sum(values / (values + ridge)))
            rest = max(squares - float(np.sum(slopes * (2 * turned - values * slopes))), 0.0)
            variance = rest / max(total - 1 - decided, 1.0)
            ridge = bettered(ridge, least, decided, float(np.sum(slopes**2)) / max(variance, TINY))
        root = cholesky(gram + np.diag(_precision(len(gram), ridge)))
        return _solve(root, moment), root, float(np.sum(values / (values + ridge)))


@dataclass(frozen=True)
class _Design:
    """Columns and weights, with what they say of the slopes."""

    X: FloatArray
    weight: FloatArray
    known: _Known

    @classmethod
    def of(cls, X: FloatArray, weight: FloatArray) -> Self:
        w = effective(weight)
        gram = X.T @ (X * w[:, None])
        return cls(X, w, _Known(gram, *spectrum(gram)))

    def estimate(self, y: FloatArray, least: float) -> tuple[FloatArray, FloatArray, float, float]:
        """Return coefficients, the root of their precision, degrees of freedom, and the sum of squares left."""
        w = self.weight
        moment = self.X.T @ (w * y)
        squares = float(np.sum(w * (y - moment[0] / self.known.gram[0, 0]) ** 2))
        beta, root, decided = self.known.estimate(moment, squares, least)
        rest = float(np.sum(w * (y - self.X @ beta) ** 2))
        return beta, root, max(float(w.sum()) - 1 - decided, 1.0), rest


def spectrum(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues and vectors of what the data say of the slopes, the constant taken out."""
    slopes = gram[1:, 1:] - np.outer(gram[0, 1:], gram[0, 1:]) / gram[0, 0]
    values, vectors = np.linalg.eigh(slopes)
    return np.maximum(values, 0.0), vectors


def bettered(ridge: float, least: float, decided: float, size: float) -> float:
    """Return the ridge that the slopes' size asks for: how many of them the data decide, over their squares."""
    if decided < TINY:
        return ridge
    return float(np.clip(decided / max(size, TINY), least, least * MOST))


def _solve(root: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(solve_triangular(root, solve_triangular(root, right, trans="T")))


def logit(X: FloatArray, y: FloatArray, weight: FloatArray, least: float, rng: Source) -> FloatArray:
    """Regress a yes (1) or no (0); with a generator, a draw from the normal approximation of the posterior.

    Parameters as for `normal`; returns coefficients.
    """
    from sklearn.linear_model import LogisticRegression

    w = effective(weight)
    kept = w > 0
    if len(np.unique(y[kept])) < 2:  # no information on how it varies
        return np.append(20.0 if y[kept].any() else -20.0, np.zeros(X.shape[1] - 1))
    X, y, w, ridge = X[kept], y[kept], w[kept], WIDER * least * START
    model = LogisticRegression(solver="newton-cholesky", max_iter=50, tol=1e-5, warm_start=True)
    for _ in range(ROUNDS):
        beta = _fitted(model.set_params(C=1 / ridge), X, y, w)
        chance = 1 / (1 + np.exp(-(X @ beta)))
        gram = X.T @ (X * (w * chance * (1 - chance))[:, None])
        used, values = ridge, spectrum(gram)[0]
        ridge = bettered(ridge, WIDER * least, float(np.sum(values / (values + ridge))), float(beta[1:] @ beta[1:]))
        if abs(np.log(ridge / used)) < ENOUGH:
            break
    return _near(beta, gram, used, rng)


def count(X: FloatArray, y: FloatArray, weight: FloatArray, least: float, rng: Source) -> tuple[FloatArray, float]:
    """Regress a count: Poisson, or negative binomial where the counts vary more than that.

    Coefficients are the Poisson's, which are consistent for both (Gourieroux, Monfort & Trognon 1984); the
    dispersion a of Var = μ + aμ² is estimated by moments and, in a draw, given the spread of its estimate.

    Parameters as for `normal`; returns coefficients and the dispersion, 0 for Poisson.
    """
    from sklearn.linear_model import PoissonRegressor

    w = effective(weight)
    if not y[w > 0].any():
        return np.append(-HIGHEST, np.zeros(X.shape[1] - 1)), 0.0
    model, ridge = (
        PoissonRegressor(solver="newton-cholesky", max_iter=50, tol=1e-5, warm_start=True),
        WIDER * least * START,
    )
    for _ in range(ROUNDS):
        beta = _fitted(model.set_params(alpha=ridge / w.sum()), X, y, w)
        mean = np.exp(np.minimum(X @ beta, HIGHEST))
        used, values = ridge, spectrum(X.T @ (X * (w * mean)[:, None]))[0]
        ridge = bettered(ridge, WIDER * least, float(np.sum(values / (values + ridge))), float(beta[1:] @ beta[1:]))
        if abs(np.log(ridge / used)) < ENOUGH:
            break
    # each squared residual gives an estimate of a; weighting by 1 / (1 + aμ)² keeps large counts from deciding
    extra, dispersion = (y - mean) ** 2 - mean, 0.0
    for _ in range(5):
        size = w * (mean / (1 + dispersion * mean)) ** 2
        dispersion = max(float(np.sum(size * extra / mean**2) / size.sum()), 0.0)
    if dispersion > 0 and rng is not None:
        error = np.sqrt(np.sum((size * (extra / mean**2 - dispersion)) ** 2 / np.maximum(w, 1e-300))) / size.sum()
        dispersion = max(dispersion + float(error) * rng.standard_normal(), 0.0)
    gram = X.T @ (X * (w * mean / (1 + dispersion * mean))[:, None])
    return _near(beta, gram, used, rng), dispersion


def _fitted(model: Any, X: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stopped early is still a finite centre, as the ridge bounds it
        model.fit(X[:, 1:], y, sample_weight=weight)
    return np.append(np.ravel(model.intercept_), np.ravel(model.coef_))


def _near(beta: FloatArray, gram: FloatArray, ridge: float, rng: Source) -> FloatArray:
    if rng is None:
        return beta
    return _drawn(beta, cholesky(gram + np.diag(_precision(len(beta), ridge))), rng)
