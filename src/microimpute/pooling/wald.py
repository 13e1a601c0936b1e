"""Tests of several parameters by Wald statistics: D1 and D2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from microimpute.errors import PoolingError
from microimpute.pooling.joint import JointTest, f_test, large_df, one_over, per_implicate
from microimpute.pooling.rules import barnard_rubin, find
from microimpute.pooling.table import Pooled

__all__ = ["d1", "d2", "d2_wald"]

FloatArray = npt.NDArray[np.float64]


def d1(
    pooled: Pooled,
    constraints: Sequence[str] | Any | None = None,
    values: Any = 0.0,
    *,
    dfcom: float | None = None,
    small_sample: str = "barnard-rubin",
) -> JointTest:
    """Test contrasts by the pooled Wald statistic D1.

    r = c·tr(BŪ⁻¹)/k and F = Q̄′Ū⁻¹Q̄/(k(1 + r)), with c = 1 + 1/m (Li, Raghunathan & Rubin 1991; van Buuren 2018, sec.
    5.3.1; c = 1/m under "partially synthetic", Reiter 2005). With t = k(m − 1), df2 = 4 + (t − 4)(1 + (1 − 2/t)/r)² if
    t > 4, else t(1 + 1/k)(1 + 1/r)²/2 (theirs too). With finite dfcom df2 is Reiter's (2007).

    Parameters
    ----------
    pooled
        From covariances, under "rubin", "scf" or "partially synthetic".
    constraints
        Names of parameters, each tested to be as `values`; or a matrix of shape (contrasts, k); None: all parameters.
    values
        What contrasts are under the null, a number or shape (contrasts,).
    dfcom
        None takes the smallest that `pooled` has.
    small_sample
        "barnard-rubin" uses Barnard & Rubin (1999) with λ = r/(1 + r) for one contrast, and with the df2 above for
        ν_old where Reiter's form is void: t ≤ 4 (it collapses to 4) or dfcom too small for r; "reiter" always
        uses his form, as the R packages mice and mitml do. Without effect for infinite dfcom (one contrast of more than
        five implicates then has another df2 than the table's df, as in those packages).

    Raises
    ------
    PoolingError
        If covariances are missing, the rule has no such test, names are unknown, or the covariance of contrasts is
        singular: the contrast that depends on others, or has no variance, is named.
    """
    share = {"rubin": 1 + 1 / pooled.m, "scf": 1 + 1 / pooled.m, "partially synthetic": 1 / pooled.m}
    if pooled.rule not in share:
        raise PoolingError(f"there is no D1 test under the rule {pooled.rule!r}", f"Pool by {', '.join(share)}.")
    L, names = _contrasts(pooled, constraints)
    k, x = len(L), pooled.parts
    u = L @ (x.first if find(pooled.rule).needs_only_first() else x.u.mean((0, 1))) @ L.T
    b = L @ x.spread()[0] @ L.T
    off = L @ pooled.estimate - np.broadcast_to(np.asarray(values, dtype=np.float64), k)
    inverse = _inverse(u, names, "the mean covariance within implicates")
    r = max(0.0, float(share[pooled.rule] * np.trace(b @ inverse) / k))
    f = float(off @ inverse @ off / (k * (1 + r)))
    complete = float(pooled.dfcom.min()) if dfcom is None else dfcom
    if pooled.rule == "partially synthetic":
        complete = np.inf
    return f_test("D1", f, k, _d1_df(k, pooled.m, r, complete, small_sample), r, names)


def _contrasts(pooled: Pooled, constraints: Any) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the matrix of contrasts, shape (contrasts, k), and what each is called."""
    if not pooled.parts.has_covariance:
        raise PoolingError("only variances were pooled", "Give covariances, shape (m, k, k), or fitted results.")
    chosen: Any = (
        pooled.names if constraints is None else [constraints] if isinstance(constraints, str) else constraints
    )
    if len(chosen) and all(isinstance(c, str) for c in chosen):
        unknown = [c for c in chosen if c not in pooled.names]
        if unknown:
            gone = f" It is absent from implicates {pooled.absent[unknown[0]]}." if unknown[0] in pooled.absent else ""
            raise PoolingError(
                f"there is no pooled parameter {unknown[0]!r}", f"There is: {', '.join(pooled.names)}.{gone}"
            )
        return np.eye(len(pooled))[[pooled.names.index(c) for c in chosen]], tuple(chosen)
    L = np.atleast_2d(np.asarray(chosen, dtype=np.float64))
    if L.ndim != 2 or L.shape[1] != len(pooled) or not len(L) or not np.isfinite(L).all():
        raise PoolingError(f"contrasts have shape {L.shape}", f"Give them as (contrasts, {len(pooled)}), all finite.")
    return L, tuple(_said(row, pooled.names) for row in L)


def _said(row: FloatArray, names: tuple[str, ...]) -> str:
    terms = [
        f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c):g}·'}{n}"
        for c, n in zip(row, names, strict=True)
        if c
    ]
    return " ".join(terms).removeprefix("+ ") or "nothing"


def _inverse(u: FloatArray, names: tuple[str, ...], what: str) -> FloatArray:
    """Return the inverse of a covariance of contrasts, or say which contrast has none."""
    scale = np.sqrt(np.diag(u))
    if not (scale > 0).all():
        raise PoolingError(
            f"the contrast {names[int(np.argmin(scale))]!r} has no variance in {what}", "Leave that contrast out."
        )
    correlation = u / np.outer(scale, scale)
    for i in range(1, len(u)):
        rest = linalg.lstsq(correlation[:i, :i], correlation[:i, i])[0]
        left = 1 - correlation[i, :i] @ rest
        if left < 1e-12 * len(u):
            others = [n for n, c in zip(names[:i], rest, strict=True) if abs(c) > 1e-6]
            raise PoolingError(
                f"the contrast {names[i]!r} follows from {', '.join(others)}: {what} is singular",
                "Leave that contrast out.",
            )
    return np.asarray(np.linalg.inv(correlation) / np.outer(scale, scale))


def _d1_df(k: int, m: int, r: float, dfcom: float, small_sample: str) -> float:
    if small_sample not in ("barnard-rubin", "reiter"):
        raise PoolingError(f"small_sample is {small_sample!r}", "Choose 'barnard-rubin' or 'reiter'.")
    t = k * (m - 1)
    if np.isinf(dfcom):
        return large_df(k, t, r)
    void = t <= 4 or (dfcom + 1) / (dfcom + 3) * dfcom <= 4 * (1 + r * t / (t - 2))
    if small_sample == "barnard-rubin" and (k == 1 or void):
        old = (m - 1) * (1 + 1 / r) ** 2 if k == 1 and r else large_df(k, t, r)
        return float(barnard_rubin(*np.array([[old], [r / (1 + r)], [dfcom]]))[0])
    return _reiter(t, r, dfcom)


def _reiter(t: int, r: float, dfcom: float) -> float:
    """Return df2 for small complete-data df: Reiter (2007). His expansion is void for t ≤ 4: 4."""
    if t <= 4:
        return 4.0
    a = r * t / (t - 2)
    nu = (dfcom + 1) / (dfcom + 3) * dfcom
    c0, c1, c2 = 1 / (t - 4), nu - 2 * (1 + a), nu - 4 * (1 + a)
    z = 1 / c2 + c0 * (
        a**2 * c1 / ((1 + a) ** 2 * c2)
        + 8 * a**2 * c1 / ((1 + a) * c2**2)
        + 4 * a**2 / ((1 + a) * c2)
        + 4 * a**2 / (c2 * c1)
        + 16 * a**2 * c1 / c2**3
        + 8 * a**2 / c2**2
    )
    return 4 + 1 / z


def d2_wald(pooled: Pooled, constraints: Sequence[str] | Any | None = None, values: Any = 0.0) -> JointTest:
    """Test contrasts by D2 from the Wald statistic of each implicate; see `d1` for parameters and `d2`."""
    L, names = _contrasts(pooled, constraints)
    k = len(L)
    fixed = np.broadcast_to(np.asarray(values, dtype=np.float64), k)
    q = pooled.parts.q.reshape(-1, len(pooled))
    u = pooled.parts.u.reshape(-1, len(pooled), len(pooled))
    d = []
    for i, (estimates, covariance) in enumerate(zip(q, u, strict=True)):
        off = L @ estimates - fixed
        d.append(off @ _inverse(L @ covariance @ L.T, names, f"the covariance of implicate {i + 1}") @ off)
    return d2(d, k, contrasts=names)


def d2(statistics: Any, k: int, *, contrasts: tuple[str, ...] = ()) -> JointTest:
    """Pool χ² statistics (Wald, likelihood ratio) of each implicate.

    r = (1 + 1/m)Var(√d), F = (d̄/k − (m + 1)/(m − 1)·r)/(1 + r), df2 = k^(−3/m)(m − 1)(1 + 1/r)²: Li, Meng,
    Raghunathan & Rubin (1991); van Buuren (2018), sec. 5.3.2. F can be below 0; p is 1 then.

    Parameters
    ----------
    statistics
        d, shape (m,).
    k
        Degrees of freedom of each.

    Raises
    ------
    PoolingError
        If m = 1, or statistics are missing or negative.
    """
    d = per_implicate(statistics, "statistics")
    if (d < 0).any():
        raise PoolingError(f"the statistic of implicate {int(np.argmin(d)) + 1} is negative", "D2 pools χ² statistics.")
    m = len(d)
    r = float((1 + 1 / m) * np.sqrt(d).var(ddof=1))
    f = float((d.mean() / k - (m + 1) / (m - 1) * r) / (1 + r))
    return f_test("D2", f, k, k ** (-3 / m) * (m - 1) * one_over(r) ** 2, r, contrasts)
