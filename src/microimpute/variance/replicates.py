"""Sampling variance from replicate weights, for any statistic of values and a weight.

    V = c Σ (θ_r − centre)²,  c and centre by rule:

    brr                     1/R                full sample
    fay                     1/(R(1 − ρ)²)      full sample
    successive difference   4/R                full sample
    jackknife               (R − 1)/R          full sample
    bootstrap               1/(R − 1)          mean of replicates

Surveys by name (`DESIGNS`): "cps asec", successive difference, 160 replicates; "acs", the same with 80; "ce", brr, 44,
good for nation, region and division, not for states; "recs", fay, 96, ρ = 0.5; "scf", bootstrap, 999, in implicate 1
(then `pool(..., rule="scf")`).
Sources: Wolter (2007), chs. 3–5; Judkins (1990) for Fay; Fay & Train (1995) for successive differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError, closest
from microimpute.variance.statistics import takes_many

__all__ = ["DESIGNS", "Estimate", "Replicates"]

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

#: Survey → its rule, number of replicates and Fay's ρ, as its documentation has them.
DESIGNS: dict[str, tuple[str, int, float]] = {
    "cps asec": ("successive difference", 160, 0.0),
    "acs": ("successive difference", 80, 0.0),
    "ce": ("brr", 44, 0.0),
    "recs": ("fay", 96, 0.5),
    "scf": ("bootstrap", 999, 0.0),
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
        "brr", "fay 0.3" (with its ρ), "successive difference", "jackknife" or "bootstrap"; or a survey's name, see
        `DESIGNS`, whose number of replicates is checked.
    rho
        Fay's ρ, for the rule "fay" alone, where the rule does not say it.
    centre
        "full" or "mean", where deviations start; None takes the rule's own (see the module).
    scales
        One more factor for every replicate, shape (R,), as a stratified jackknife has ((n_h − 1)/n_h); replaces the
        rule's factor.

    Raises
    ------
    PoolingError
        If shapes differ, weights are missing, there are fewer than two replicates or not as many as the named survey
        has, or there is no such rule.
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
        if self.rule in DESIGNS:
            self._take_design()
        elif self.rule.startswith("fay "):
            self._take_rho()
        if self.rule not in _FACTORS:
            raise PoolingError(f"there is no replicate rule {self.rule!r}", closest(self.rule, {**_FACTORS, **DESIGNS}))
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

    def _take_design(self) -> None:
        rule, count, rho = DESIGNS[self.rule]
        given = self.replicates.shape[-1]
        if given != count:
            raise PoolingError(
                f"{self.rule!r} has {count} replicate weights, and {given} were given",
                f"Give all {count}; if they are other replicates, name their rule ({', '.join(_FACTORS)}).",
            )
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "rho", rho)

    def _take_rho(self) -> None:
        said = self.rule.removeprefix("fay ").strip()
        try:
            rho = float(said)
        except ValueError:
            raise PoolingError(f"Fay's rho is {said!r}, no number", "Write the rule as 'fay 0.3'.") from None
        if self.rho not in (0.0, rho):
            raise PoolingError(f"rho is {self.rho}, and the rule is {self.rule!r}", "Say rho once.")
        object.__setattr__(self, "rule", "fay")
        object.__setattr__(self, "rho", rho)

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
        if takes_many(statistic):
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
