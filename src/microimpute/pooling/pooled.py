"""`pool`: one rule applied to what was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from microimpute.errors import PoolingError
from microimpute.pooling.inputs import Parts, from_arrays, from_results, is_results
from microimpute.pooling.rules import Moments, Rule, Shares, find
from microimpute.pooling.table import Pooled

__all__ = ["combine", "pool"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def pool(
    Q: Any,
    U: Any = None,
    dfcom: Any = None,
    rule: str = "rubin",
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    size_ratio: float = 1.0,
    align: str = "common",
) -> Pooled:
    """Combine estimates from m completed (or synthetic) data sets.

    Under "rubin": Q̄ = ΣQᵢ/m, Ū = ΣUᵢ/m, B = Σ(Qᵢ − Q̄)²/(m − 1), T = Ū + (1 + 1/m)B (Rubin 1987, eqs.
    3.1.2–3.1.5), on t with the degrees of freedom of Barnard & Rubin (1999). `microimpute.pooling.RULES`
    has the formula and source of every other rule.

    Parameters
    ----------
    Q
        Estimates, shape (m, k) or (m,); or a list of m fitted results of statsmodels, linearmodels or pyfixest, or
        others with `params` and `cov_params()`, `cov` or `bse`. Under "nested" and "external donors" shape (M, N, k) or
        (M, N), or a list of M lists of N results.
    U
        Variances of Q's shape, or covariances with one more axis of k. Under "scf" implicate 1's alone will do:
        shape (1, k) or (1, k, k).
    dfcom
        Degrees of freedom of the analysis on complete data: a number or shape (k,). None: results' smallest
        `df_resid`; infinity for arrays.
    rule
        "rubin", "scf", "nested", "external donors", "partially synthetic", "fully synthetic", "synthpop observed",
        "synthpop simple", "synthpop proper" or "synthpop incomplete".
        Numbers and results do not say what data they are from, so that the rule is the caller's to know;
        `Imputations.pool` and `SyntheticData.pool` know it, and refuse those for other data.
    names
        Of the k parameters, where Q has none of its own.
    level
        Of the interval.
    size_ratio
        Rows of a synthetic data set over rows observed (synthpop's k/n); rules for synthetic data use it.
    align
        Where results do not have the same parameters (a category is absent from some implicates): "common" pools
        those that all have and reports the others in `absent`; "strict" is an error.

    Returns
    -------
    Pooled

    Raises
    ------
    PoolingError
        If there is one implicate and the rule needs variance between; if numbers are missing, shapes differ, a
        variance is negative, parameters differ (align="strict") or there is no such rule.

    Examples
    --------
    >>> pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], names=["mean income"]).t.round(4)
    array([1.8333])
    """
    chosen = find(rule)
    if not 0 < level < 1:
        raise PoolingError(f"level is {level}", "Give a number between 0 and 1, such as 0.95.")
    if not 0 < size_ratio < np.inf:
        raise PoolingError(f"size_ratio is {size_ratio}", "Give synthetic rows over observed rows, such as 1.")
    if is_results(Q):
        if U is not None:
            raise PoolingError("fitted results carry their own variances", "Leave U out.")
        parts = from_results(Q, dfcom, names, chosen.nested(), align)
    else:
        parts = from_arrays(Q, U, dfcom, names, chosen.nested(), chosen.needs_only_first())
    return combine(parts, chosen, level, size_ratio)


def combine(x: Parts, rule: Rule, level: float, size_ratio: float) -> Pooled:
    """Apply a rule to what was read; see `pool`."""
    _enough(x, rule)
    m, draws, _ = x.q.shape
    first = np.diag(x.first) if x.first.ndim == 2 else x.first
    variances = x.variances()
    b, w = (np.diag(v) if v.ndim == 2 else v for v in x.spread())
    moments = Moments(m, draws, variances.mean((0, 1)), first, b, w, x.dfcom)
    shares = rule.shares(m, draws, size_ratio)
    t = shares.total(moments.ubar, first, b, w)
    fallback = np.zeros(len(t), dtype=bool)
    if rule.fallback is not None:
        fallback = t <= 0
        t = np.where(fallback, rule.fallback(moments, size_ratio), t)
    estimate, df = x.q.mean((0, 1)), rule.df(moments, t)
    within = first if rule.needs_only_first() else moments.ubar
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(t)
        half = stats.t.ppf((1 + level) / 2, df) * se
        statistic = estimate / se
    riv, share, fmi = _missing(rule, shares, within, b, w, df, m)
    return Pooled(
        names=x.names,
        estimate=estimate,
        std_error=se,
        df=df,
        low=estimate - half,
        high=estimate + half,
        statistic=statistic,
        p_value=2 * stats.t.sf(np.abs(statistic), df),
        riv=riv,
        lambda_=share,
        fmi=fmi,
        relative_efficiency=1 / (1 + fmi / (m * draws)),
        ubar=within,
        b=b,
        t=t,
        dfcom=x.dfcom,
        m=m,
        draws=draws,
        rule=rule.name,
        level=level,
        size_ratio=size_ratio,
        fallback=fallback,
        absent=x.absent,
        extras=_nested_extras(rule, moments, t),
        notes=_notes(x, rule, fallback),
        parts=x,
    )


def _enough(x: Parts, rule: Rule) -> None:
    m, draws, _ = x.q.shape
    if m == 1 and rule.needs_between():
        raise PoolingError(
            f"there is one {'nest' if rule.nested() else 'implicate'}, so no variance between implicates, "
            f"which the rule {rule.name!r} needs",
            "Impute at least twice; standard errors from one implicate would be too small.",
        )
    if rule.nested() and draws == 1:
        raise PoolingError(
            "there is one draw per nest, so no variance within nests",
            "Use the rule 'rubin', or impute with draws=2.",
        )


def _missing(
    rule: Rule, shares: Shares, within: FloatArray, b: FloatArray, w: FloatArray, df: FloatArray, m: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return r, λ and the fraction of missing information: Rubin (1987), eqs. 3.1.7–3.1.10."""
    with np.errstate(divide="ignore", invalid="ignore"):
        added = (1 + 1 / m) * b + (shares.w * w if rule.nested() else 0)
        r = np.where(added == 0, 0.0, added / within)
        if not rule.missing:
            unknown = np.full_like(r, np.nan)
            return r, unknown, unknown
        share = np.where(np.isinf(r), 1.0, r / (1 + r))
        return r, share, share + 2 / (df + 3) * (1 - share)


def _nested_extras(rule: Rule, x: Moments, t: FloatArray) -> dict[str, FloatArray]:
    if not rule.nested():
        return {}
    return _nested_shares(x, t) if rule.missing else {"w": x.w}


def _nested_shares(x: Moments, t: FloatArray) -> dict[str, FloatArray]:
    """Return W and the rates of missing information of Shen (2000) and Harel (2007), with parts.

    `*_limit` leaves out the noise of finitely many draws, as the R package miceadds calls λ₁: (B + (1 − 1/N)W) over
    that and Ū, and W/(Ū + W) within.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        extra = (1 - 1 / x.draws) * x.w
        both = ((1 + 1 / x.m) * x.b + extra) / t
        inner = (1 + 1 / (x.m * x.draws)) * x.w
        inner = inner / (x.ubar + inner)
        limit = (x.b + extra) / (x.ubar + x.b + extra)
        limit_within = x.w / (x.ubar + x.w)
    return {
        "w": x.w,
        "lambda_between": both - inner,
        "lambda_within": inner,
        "lambda_limit": limit,
        "lambda_between_limit": limit - limit_within,
        "lambda_within_limit": limit_within,
    }


def _notes(x: Parts, rule: Rule, fallback: BoolArray) -> tuple[str, ...]:
    notes = [
        f"{name!r} is left out: absent from {len(where)} of {x.q.shape[0] * x.q.shape[1]} implicates."
        for name, where in x.absent.items()
    ]
    if x.q.shape[0] == 1:
        notes.append("One implicate: no variance between implicates is known.")
    if fallback.any():
        which = ", ".join(n for n, f in zip(x.names, fallback, strict=True) if f)
        notes.append(rule.said.format(names=which))
    if rule.name == "synthpop observed":
        notes.append("Inference is to what the observed data would give, not to the population.")
    return tuple(notes)
