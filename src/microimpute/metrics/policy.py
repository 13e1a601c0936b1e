"""Policy and inference: what analysts compute from an imputed file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind, Table
from microimpute.metrics.base import AMOUNTS, BUNDLE, Metric, Scored

__all__ = ["Coverage", "EligibilityByGroup", "IntervalWidth", "RegressionBias"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Fewest rows that a group must have to be asked about.
LEAST = 30


class EligibilityByGroup(Metric):
    """Error of the share below a threshold, overall and by group.

    For each figure of the task (poverty, an asset test) and each group g of receivers:
    ``|mean_i P̂_i(y < t | g) − P(y < t | g)|`` with P̂_i the weighted share in draw i. The mean over groups, each
    counted alike, because small groups are what such tests are about. Source: the definition of a headcount ratio
    (Foster, Greer & Thorbecke 1984, α = 0).
    """

    name = "eligibility"
    family = "policy"
    summary = "shares below policy thresholds, overall and by group: mean absolute error"
    matters = 0.02

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return one error per figure."""
        out = {}
        for figure in scored.figures:
            truth, draws = scored.amount(figure.target)
            errors = []
            for members in _groups(scored):
                true = np.average(truth[members] < figure.threshold, weights=scored.weight[members])
                drawn = [
                    np.average(d[members] < figure.threshold, weights=w[members])
                    for d, w in zip(draws, scored.draw_weight, strict=True)
                ]
                errors.append(abs(np.mean(drawn) - true))
            out[figure.name] = float(np.mean(errors))
        return out


class RegressionBias(Metric):
    """Bias of regression coefficients in standard errors of the truth's own.

    Weighted least squares of each amount, on its comparable scale, on all predictors (standardised; classes as
    indicators without the first level): ``mean_k |mean_i b̂_ik − b_k| / SE(b_k)`` over slopes k, with the
    heteroscedasticity-robust standard error of the truth's fit (White 1980, HC0 with survey weights).
    """

    name = "regression"
    family = "policy"
    summary = "slopes of each amount on the predictors: |bias| / SE"
    kinds: ClassVar[frozenset[Kind]] = AMOUNTS
    matters: ClassVar[float] = 0.25

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return one error per amount; predictors that don't vary are left out."""
        design = _design(scored.X, scored.weight)
        if design.shape[1] < 2:
            return {}
        out = {}
        for position in scored.of_kind(AMOUNTS):
            y = scored.scale.one(position, scored.truth.values[:, position])
            slope, error = _fit(design, y, scored.weight)
            drawn = scored.scale.one(position, scored.draws[:, :, position])
            slopes = [_solve(design, d, w) for d, w in zip(drawn, scored.draw_weight, strict=True)]
            sound = error[1:] > 0
            bias = np.abs(np.mean(slopes, axis=0) - slope)[1:]
            if sound.any():
                out[scored.truth.names[position]] = float(np.mean(bias[sound] / error[1:][sound]))
        return out


class Coverage(Metric):
    """Shortfall of the coverage of nominal 95% intervals after pooling.

    For the mean (on the comparable scale) and the share non-zero of each amount in each group: the interval by
    Rubin's rules (1987, eq. 3.1.5–3.1.8) from one draw per donor resample; a hit if it contains the truth's value.
    Score: ``max(0, .95 − hits / cases)``. The truth's value has a sampling error that the interval also allows for,
    so intervals of a proper method cover it more often than 95%; too wide intervals show in `IntervalWidth`.
    """

    name = "coverage"
    family = "policy"
    summary = "pooled 95% intervals of means and shares: shortfall of coverage"
    matters: ClassVar[float] = 0.05

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the shortfall over all cases."""
        hits = [low <= true <= high for true, low, high, _ in _intervals(scored)]
        return {BUNDLE: max(0.0, 0.95 - float(np.mean(hits)))} if hits else {}


class IntervalWidth(Metric):
    """Width of pooled intervals relative to the complete data's, so that nobody covers by being vague.

    Mean over the cases of `Coverage` of ``|log(width pooled / width of the truth's own interval) − log √1.5|⁺``:
    up to half more variance than the complete data's is free, what is wider counts in logs. Convention of this
    suite.
    """

    name = "interval_width"
    family = "policy"
    summary = "pooled 95% intervals: log width beyond 1.5 times the complete data's variance"
    matters: ClassVar[float] = 0.1

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the mean excess of log width."""
        excess = [
            max(0.0, np.log((high - low) / own) - 0.5 * np.log(1.5))
            for _, low, high, own in _intervals(scored)
            if own > 0 and high > low
        ]
        return {BUNDLE: float(np.mean(excess))} if excess else {}


def _groups(scored: Scored) -> list[BoolArray]:
    out = [np.ones(len(scored.weight), dtype=bool)]
    for labels in scored.groups.values():
        out += [labels == label for label in np.unique(labels) if np.sum(labels == label) >= LEAST]
    return out


def _design(X: Table, weight: FloatArray) -> FloatArray:
    """Return intercept, standardised amounts and indicators, shape (rows, columns), without constant columns."""
    columns = [np.ones(len(X))]
    for variable, x in zip(X.variables, X.values.T, strict=True):
        if variable.kind.is_class:
            columns += [(x == level).astype(float) for level in range(1, len(variable.levels))]
        else:
            z = np.arcsinh(x)
            spread = np.sqrt(np.average((z - np.average(z, weights=weight)) ** 2, weights=weight))
            columns.append((z - np.average(z, weights=weight)) / (spread or 1.0))
    kept = [columns[0], *(c for c in columns[1:] if np.ptp(c) > 0)]
    return np.column_stack(kept)


def _solve(design: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    weighted = design * weight[:, None]
    return np.asarray(np.linalg.pinv(weighted.T @ design, hermitian=True) @ (weighted.T @ y))


def _fit(design: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    slope = _solve(design, y, weight)
    bread = np.linalg.pinv((design * weight[:, None]).T @ design, hermitian=True)
    meat = design * (weight * (y - design @ slope))[:, None]
    return slope, np.sqrt(np.maximum(np.diag(bread @ (meat.T @ meat) @ bread), 0.0))


def _intervals(scored: Scored) -> list[tuple[float, float, float, float]]:
    """Return (true value, lower end, upper end, width of the truth's own interval) of every case."""
    from scipy.stats import t as student

    _, chosen = np.unique(scored.fits, return_index=True)
    m = len(chosen)
    if m < 2:
        return []
    out = []
    for position in scored.of_kind(AMOUNTS):
        truth = scored.truth.values[:, position]
        for share in (False, True):
            true = (truth != 0).astype(float) if share else scored.scale.one(position, truth)
            for members in _groups(scored):
                true_mean, own = _mean(true[members], scored.weight[members])
                estimates = []
                for i in chosen:
                    y = scored.draws[i, members, position]
                    value = (y != 0).astype(float) if share else scored.scale.one(position, y)
                    estimates.append(_mean(value, scored.draw_weight[i, members]))
                q, u = np.array(estimates).T
                between, within = q.var(ddof=1), u.mean()
                total = within + (1 + 1 / m) * between
                if total <= 0:
                    continue
                share_between = (1 + 1 / m) * between / total
                df = (m - 1) / max(share_between, 1e-4) ** 2
                half = float(student.ppf(0.975, df) * np.sqrt(total))
                out.append((true_mean, q.mean() - half, q.mean() + half, 2 * 1.959964 * np.sqrt(own)))
    return out


def _mean(values: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Return the weighted mean and its variance, rows independent."""
    mean = np.average(values, weights=weight)
    return float(mean), float(np.sum((weight * (values - mean)) ** 2) / weight.sum() ** 2)
