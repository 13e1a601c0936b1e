"""Tests of nested models by likelihood ratios: D3 and D4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.pooling.joint import JointTest, f_test, large_df, one_over, per_implicate

__all__ = ["d3", "d3_models", "d4"]

FloatArray = npt.NDArray[np.float64]


def d3(full: Any, null: Any, full_at_pooled: Any, null_at_pooled: Any, k: int) -> JointTest:
    """Test nested models by likelihood ratios at own and at pooled estimates.

    d̄ = 2·mean(full − null), d̃ = 2·mean(full_at_pooled − null_at_pooled), r = (m + 1)/(k(m − 1))·(d̄ − d̃), F =
    d̃/(k(1 + r)), df2 as D1 for infinite dfcom: Meng & Rubin (1992); van Buuren (2018), sec. 5.3.3.

    Parameters
    ----------
    full, null
        Log-likelihoods of each implicate at its own estimates, shape (m,).
    full_at_pooled, null_at_pooled
        At the means of all parameters over implicates, each model's own; shape (m,).
    k
        Parameters that the null fixes.

    Notes
    -----
    The R packages mitml and mice differ for linear models. mitml takes all parameters at their means, the residual
    variance (maximum likelihood, mean over implicates) among them, as Meng & Rubin do; so does `d3_models`. mice
    3.15 refits intercept and residual variance with the other coefficients held. Log-likelihoods of either kind can
    be given here.

    Raises
    ------
    PoolingError
        If m = 1 or values are missing.
    """
    own = 2 * float((per_implicate(full, "full") - per_implicate(null, "null")).mean())
    pooled = 2 * float((per_implicate(full_at_pooled, "full") - per_implicate(null_at_pooled, "null")).mean())
    m = len(per_implicate(full, "full"))
    r = max(0.0, (m + 1) / (k * (m - 1)) * (own - pooled))
    return f_test("D3", pooled / (k * (1 + r)), k, large_df(k, k * (m - 1), r), r)


def d3_models(full: Sequence[Any], null: Sequence[Any]) -> JointTest:
    """Test nested models by D3 from fitted results (statsmodels' and the like).

    Parameters
    ----------
    full, null
        One result per implicate with `params`, `llf` and `model.loglike`.

    Raises
    ------
    PoolingError
        If parameters differ between implicates, `null` is not the smaller model, or m = 1.
    """
    ranks = {len(np.asarray(r.params)) for r in full}, {len(np.asarray(r.params)) for r in null}
    if max(len(r) for r in ranks) > 1:
        raise PoolingError("models have different parameters in different implicates", "Fix the categories first.")
    k = ranks[0].pop() - ranks[1].pop()
    if k < 1:
        raise PoolingError("the second model is not smaller than the first", "Give the full model first.")
    return d3([r.llf for r in full], [r.llf for r in null], _at_mean(full), _at_mean(null), k)


def _at_mean(results: Sequence[Any]) -> FloatArray:
    """Return log-likelihoods, shape (m,), at the means of all parameters, residual variance included."""
    mean = np.mean([np.asarray(r.params) for r in results], axis=0)
    at = np.array([float(r.model.loglike(mean)) for r in results])
    if not all(hasattr(r, "ssr") and hasattr(r.model, "wexog") for r in results):
        return at
    # Linear models: loglike maximises over the residual variance; hold it at its mean instead.
    n = np.array([len(r.model.wendog) for r in results])
    ssr = np.array([((r.model.wendog - r.model.wexog @ mean) ** 2).sum() for r in results])
    variance = np.mean([r.ssr for r in results] / n)
    return np.asarray(at + n / 2 * np.log(ssr / n / variance) + n / 2 - ssr / (2 * variance))


def d4(
    full: Any, null: Any, stacked_full: float, stacked_null: float, k: int, *, parameters: int | None = None
) -> JointTest:
    """Test nested models by likelihood ratios of the implicates and of the stacked data.

    d̂ = 2(stacked_full − stacked_null)/m, r = (m + 1)/(k(m − 1))·(d̄ − d̂), F = d̂/(k(1 + r)), df2 = k(m − 1)(1 +
    1/r)²: Chan & Meng (2022), as the R package mitml has it. With `parameters` (h) the increase is
    theirs that does not depend on the null (robust): r = (m + 1)/(h(m − 1))·2(mean(full) − stacked_full/m),
    df2 = h(m − 1)(1 + 1/r)².

    Parameters
    ----------
    full, null
        Log-likelihoods of each implicate, shape (m,).
    stacked_full, stacked_null
        Log-likelihoods of the models fitted to all implicates stacked, not divided by m.
    k
        Parameters that the null fixes.
    parameters
        All parameters of the full model, residual variance included.

    Raises
    ------
    PoolingError
        If m = 1 or values are missing.
    """
    own, small = per_implicate(full, "full"), per_implicate(null, "null")
    m = len(own)
    stacked = 2 * (float(stacked_full) - float(stacked_null)) / m
    if parameters is None:
        h, lost = k, 2 * float((own - small).mean()) - stacked
    else:
        h, lost = parameters, 2 * float(own.mean() - stacked_full / m)
    r = max(0.0, (m + 1) / (h * (m - 1)) * lost)
    return f_test("D4", stacked / (k * (1 + r)), k, h * (m - 1) * one_over(r) ** 2, r)
