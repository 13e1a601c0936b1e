"""Sampling variance from replicate weights, for any statistic of values and a weight.

    V = c Σ (θ_r − centre)²,  c and centre by rule:

    brr                     1/R                full sample
    fay                     1/(R(1 − ρ)²)      full sample
    successive difference   4/R                full sample
    jackknife               (R − 1)/R          full sample
    bootstrap               1/(R − 1)          mean of replicates

CPS ASEC: successive difference, 160 replicates. CE: brr, 44; good for nation, region and division, not for states.
RECS: fay, 96, ρ = 0.5. SCF: bootstrap, 999, in implicate 1 (then `pool(..., rule="scf")`).
Sources: Wolter (2007), chs. 3–5; Judkins (1990) for Fay; Fay & Train (1995) for successive differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError, closest

__all__ = [
    "Estimate",
    "Replicates",
    "gini",
    "mean",
    "poverty_gap",
    "poverty_rate",
    "quantile",
    "ratio",
    "top_share",
    "total",
]

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[Any, FloatArray], Any]

#: Replicates that one call of a statistic of this module gets: bounds memory at 16 columns of rows.
AT_ONCE = 16

_FACTORS: dict[str, Callable[[int, float], float]] = {
    "brr": lambda r, rho: 1 / r,
    "fay": lambda r, rho: 1 / (r * (1 - rho) ** 2),
    "successive difference": lambda r, rho: 4 / r,
    "jackknife": lambda r, rho: (r - 1) / r,
    "bootstrap": lambda r, rho: 1 / (r - 1),
}


@dataclass(frozen=True, eq=False)
class Estimate:
    """A statistic with its sampling covariance.

    Attributes
    ----------
    estimate
        From the full-sample weight, shape () or (k,).
    covariance
        Shape () or (k, k).
    replicates
        Shape (R,) or (R, k).
    """

    estimate: FloatArray
    covariance: FloatArray
    replicates: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Variances, shape () or (k,)."""
        return np.asarray(np.diagonal(self.covariance)) if self.covariance.ndim else self.covariance


@dataclass(frozen=True, eq=False)
class Replicates:
    """A full-sample weight with its replicates, and the rule that makes a variance of them.

    Parameters
    ----------
    weight
        Shape (rows,).
    replicates
        Whole weights, not factors to multiply, shape (rows, R).
    rule
        "brr", "fay", "successive difference", "jackknife" or "bootstrap".
    rho
        Fay's ρ, for that rule alone.
    centre
        "full" or "mean", where deviations start; None takes the rule's own (see the module).
    scales
        One more factor for every replicate, shape (R,), as a stratified jackknife has ((n_h − 1)/n_h); replaces the
        rule's factor.

    Raises
    ------
    PoolingError
        If shapes differ, weights are missing, there are fewer than two replicates, or there is no such rule.
    """

    weight: FloatArray
    replicates: FloatArray
    rule: str = "successive difference"
    rho: float = 0.0
    centre: str | None = None
    scales: FloatArray | None = None

    def __post_init__(self) -> None:
        weight, many = (np.asarray(w, dtype=np.float64) for w in (self.weight, self.replicates))
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "replicates", many)
        if self.rule not in _FACTORS:
            raise PoolingError(f"there is no replicate rule {self.rule!r}", closest(self.rule, _FACTORS))
        if many.ndim != 2 or weight.shape != many.shape[:1] or many.shape[1] < 2:
            raise PoolingError(
                f"weights have shape {weight.shape}, replicates {many.shape}",
                "Give (rows,) and (rows, replicates), at least two replicates.",
            )
        if not (np.isfinite(weight).all() and np.isfinite(many).all()):
            raise PoolingError("some weights are missing", "Drop rows without weights, or find their weights.")
        if not 0 <= self.rho < 1 or (self.rho and self.rule != "fay"):
            raise PoolingError(
                f"rho is {self.rho} under the rule {self.rule!r}", "Only fay has rho, from 0 to below 1."
            )
        if self.centre not in (None, "full", "mean"):
            raise PoolingError(f"centre is {self.centre!r}", "Choose 'full' or 'mean'.")
        if self.scales is not None and np.shape(self.scales) != (many.shape[1],):
            raise PoolingError(f"scales have shape {np.shape(self.scales)}", "Give one number per replicate.")

    def within(self, rows: npt.NDArray[np.bool_]) -> Replicates:
        """Return the same for a domain: other rows get weight 0, as variances of domains want.

        Parameters
        ----------
        rows
            Shape (rows,).
        """
        kept = np.asarray(rows, dtype=bool)
        return replace(self, weight=self.weight * kept, replicates=self.replicates * kept[:, None])

    def estimate(self, statistic: Statistic, values: Any) -> Estimate:
        """Return a statistic with its sampling covariance.

        Parameters
        ----------
        statistic
            (values, weight of shape (rows,)) → number or shape (k,). Statistics of this module, also as `partial`,
            take many replicates at once; others are called once for each.
        values
            Whatever the statistic takes, one entry per row.

        Raises
        ------
        PoolingError
            If the statistic is not a finite number in the full sample or in some replicate.
        """
        full = np.asarray(statistic(values, self.weight), dtype=np.float64)
        many = self._all(statistic, values)
        for where, got in (("the full sample", full), *((f"replicate {i + 1}", t) for i, t in enumerate(many))):
            if not np.isfinite(got).all():
                raise PoolingError(
                    f"the statistic is not a number in {where}", "Its domain may have no weight there: make it larger."
                )
        return Estimate(full, self.covariance(full, many), many)

    def _all(self, statistic: Statistic, values: Any) -> FloatArray:
        count = self.replicates.shape[1]
        known = statistic.func if isinstance(statistic, partial) else statistic
        if known in _MANY_AT_ONCE:
            blocks = [self.replicates[:, i : i + AT_ONCE] for i in range(0, count, AT_ONCE)]
            return np.concatenate([np.asarray(statistic(values, b)) for b in blocks])
        return np.stack([np.asarray(statistic(values, self.replicates[:, i]), dtype=np.float64) for i in range(count)])

    def covariance(self, full: FloatArray, many: FloatArray) -> FloatArray:
        """Return c Σ (θ_r − centre)(θ_r − centre)′.

        Parameters
        ----------
        full
            Estimate, shape () or (k,).
        many
            Replicates' estimates, shape (R,) or (R, k).

        Returns
        -------
        numpy.ndarray, shape () or (k, k)
        """
        centre = self.centre or ("mean" if self.rule == "bootstrap" else "full")
        off = many - (many.mean(0) if centre == "mean" else full)
        count = len(many)
        scales = (
            np.full(count, _FACTORS[self.rule](count, self.rho)) if self.scales is None else np.asarray(self.scales)
        )
        return np.asarray(np.einsum("r,r...->...", scales, off**2) if off.ndim == 1 else (off.T * scales) @ off)


def total(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return Σwy.

    Parameters
    ----------
    values
        Shape (rows,) or (rows, k).
    weight
        Shape (rows,) or (rows, R).

    Returns
    -------
    numpy.ndarray
        Shape () or (k,) for one weight, (R,) or (R, k) for many.
    """
    return np.asarray(weight.T @ np.asarray(values, dtype=np.float64))


def mean(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return Σwy/Σw; shapes as `total`."""
    y = np.asarray(values, dtype=np.float64)
    mass = weight.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total(y, weight) / (mass[:, None] if y.ndim == 2 and weight.ndim == 2 else mass))


def ratio(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return Σwy/Σwx of values (y, x), shape (rows, 2); shape () or (R,)."""
    both = total(values, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(both[..., 0] / both[..., 1])


def quantile(values: FloatArray, weight: FloatArray, level: float = 0.5) -> FloatArray:
    """Return the smallest value at or below which `level` of the weight stands; shape () or (R,).

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    level
        In [0, 1].
    """
    y, below, mass = _in_order(values, weight)
    reached = (below >= level * mass * (1 - 1e-12)) & (below > 0)
    got = np.where(mass > 0, y[reached.argmax(0)], np.nan)
    return got if weight.ndim == 2 else np.asarray(got[0])


def gini(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return 1 − Σ w_i(S_i + S_{i−1})/(Σw·S_n), S cumulated wy in order of y; shape () or (R,).

    Twice the area between the diagonal and the Lorenz curve. Negative values are taken as they are, so the result can
    exceed 1; where the total is not above 0 it is NaN.

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    """
    order, many = np.argsort(values, kind="stable"), _columns(weight)
    y, w = np.asarray(values, dtype=np.float64)[order], many[order]
    held = np.cumsum(w * y[:, None], axis=0)
    area = (w * (2 * held - w * y[:, None])).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        got = np.where(held[-1] > 0, 1 - area / (w.sum(0) * held[-1]), np.nan)
    return got if weight.ndim == 2 else np.asarray(got[0])


def top_share(values: FloatArray, weight: FloatArray, top: float = 0.1) -> FloatArray:
    """Return the share of the total that the top of the distribution holds; shape () or (R,).

    1 − L(1 − top) on the linear Lorenz curve: a row that stands across the border counts in part.

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    top
        Share of the weight, in [0, 1].
    """
    y, below, mass = _in_order(values, weight)
    w = np.diff(below, axis=0, prepend=0.0)
    inside = np.clip(below - (1 - top) * mass, 0, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        held = y @ w
        got = np.where(held > 0, (y @ inside) / held, np.nan)
    return got if weight.ndim == 2 else np.asarray(got[0])


def poverty_rate(
    values: FloatArray, weight: FloatArray, line: FloatArray | float | None = None, of_median: float = 0.6
) -> FloatArray:
    """Return the share of the weight below a line; shape () or (R,).

    Parameters
    ----------
    values
        Shape (rows,).
    weight
        Shape (rows,) or (rows, R), none negative.
    line
        A number or shape (rows,); None: `of_median` times the median of the same weight, anew in every replicate.
    of_median
        Used without `line`.
    """
    return _poverty(values, weight, line, of_median, gap=False)


def poverty_gap(
    values: FloatArray, weight: FloatArray, line: FloatArray | float | None = None, of_median: float = 0.6
) -> FloatArray:
    """Return the mean of max(0, (line − y)/line) (Foster, Greer & Thorbecke 1984, α = 1); see `poverty_rate`."""
    return _poverty(values, weight, line, of_median, gap=True)


def _poverty(
    values: FloatArray, weight: FloatArray, line: FloatArray | float | None, of_median: float, *, gap: bool
) -> FloatArray:
    y, many = np.asarray(values, dtype=np.float64)[:, None], _columns(weight)
    border = of_median * quantile(values, many) if line is None else np.asarray(line, dtype=np.float64)
    border = border[:, None] if line is not None and border.ndim else border
    with np.errstate(divide="ignore", invalid="ignore"):
        lack = np.where(y < border, (border - y) / border if gap else 1.0, 0.0)
        got = (many * lack).sum(0) / many.sum(0)
    return got if weight.ndim == 2 else np.asarray(got[0])


def _columns(weight: FloatArray) -> FloatArray:
    return weight if weight.ndim == 2 else weight[:, None]


def _in_order(values: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return values in order, weight up to each of shape (rows, R), and its total (R,)."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(_columns(weight)[order], axis=0)
    return np.asarray(values, dtype=np.float64)[order], below, below[-1]


_MANY_AT_ONCE = frozenset((total, mean, ratio, quantile, gini, top_share, poverty_rate, poverty_gap))
