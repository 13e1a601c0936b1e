"""Metrics of each target's distribution: who has any, who has most, how far the tail reaches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from microimpute.metrics.base import AMOUNTS, CLASSES, BoolArray, FloatArray, Metric, Scored
from microimpute.weighted import quantile

__all__ = ["Gini", "HillIndex", "QuantileRatio", "ShareNonZero", "ShareNonZeroInCells", "TopShares", "TotalVariation"]

#: Shares of zeros between which an amount counts as having a mass at zero.
_ZEROS = (0.005, 0.995)
#: Share of rows that are the tail of the Hill estimator, and how many positive rows it takes.
_TAIL, _ENOUGH = 0.05, 50
#: Largest P90/P50 told apart from an infinite one.
_CAP = 1000.0
#: Largest share of the top, reached where what is drawn adds up to nothing or less.
_MOST = 2.0


def _amounts(scored: Scored) -> list[str]:
    return [scored.truth.names[j] for j in scored.of_kind(AMOUNTS)] + list(scored.totals)


def _share(true: FloatArray | BoolArray, weight: FloatArray) -> float:
    return float(np.average(true, weights=weight))


class _OfAmounts(Metric):
    """|mean over the m draws of a statistic − the statistic of the truth|, for each amount where it is defined."""

    family = "tails"
    kinds = AMOUNTS
    anchored = True

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return errors by amount, totals included."""
        errors = {}
        for name in _amounts(scored):
            truth, draws = scored.amount(name)
            if not self.defined(scored, name, truth):
                continue
            drawn = [self.statistic(np.ascontiguousarray(d), w) for d, w in zip(draws, scored.draw_weight, strict=True)]
            errors[name] = float(np.abs(np.mean(np.array(drawn), axis=0) - self.statistic(truth, scored.weight)).mean())
        return errors

    def defined(self, scored: Scored, name: str, truth: FloatArray) -> bool:
        """Whether the truth has the statistic."""
        return True

    @abstractmethod
    def statistic(self, values: FloatArray, weight: FloatArray) -> FloatArray | float:
        """Return the statistic of weighted values, finite whatever the values."""


def _has_zero_mass(scored: Scored, name: str, truth: FloatArray) -> bool:
    shares = [_share(truth == 0, scored.weight)]
    if name in scored.donor_y.names:
        shares.append(_share(scored.donor_y.values[:, scored.donor_y.names.index(name)] == 0, scored.donor_weight))
    return any(_ZEROS[0] <= s <= _ZEROS[1] for s in shares)


class ShareNonZero(_OfAmounts):
    """Error of the share that has any: |mean_i P_i(y ≠ 0) − P(y ≠ 0)|, P weighted shares, i draws.

    Only for amounts of which between 0.5% and 99.5% are zero in the truth or, for targets, among the donors.

    Source: the participation rate of the two-part model, Duan et al. (1983), J. Bus. Econ. Stat. 1(2).
    """

    name = "share_nonzero"
    summary = "Error of the share of rows with a non-zero amount"
    matters = 0.02
    of_zeros = True

    def defined(self, scored: Scored, name: str, truth: FloatArray) -> bool:
        """Whether there is a mass at zero."""
        return _has_zero_mass(scored, name, truth)

    def statistic(self, values: FloatArray, weight: FloatArray) -> float:
        """Return the weighted share that is not zero."""
        return _share(values != 0, weight)


class ShareNonZeroInCells(Metric):
    """Error of the share that has any within cells of predictors: mean over predictors of Σ_c p_c |d_c|.

    Cells c of a predictor are its levels (class; codes that donors lack are a level) or the four groups between
    its donor-weighted quartiles (amount). d_c is the mean over draws of the weighted share of non-zero amounts in
    c, minus the truth's; p_c is the truth's weight in c over all weight. A draw whose weight in c is zero is left
    out of c's mean; a cell that no draw has weight in is left out. Defined where `ShareNonZero` is.

    Source: subgroup estimates as utility measures, e.g. Drechsler & Reiter (2009), J. Off. Stat. 25(4).
    """

    name = "share_nonzero_cells"
    family = "tails"
    summary = "Error of the share of rows with a non-zero amount within levels or quartiles of each predictor"
    kinds = AMOUNTS
    anchored = True
    matters = 0.02
    of_zeros = True

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return errors by amount, totals included; nothing without predictors."""
        names = [n for n in _amounts(scored) if _has_zero_mass(scored, n, scored.amount(n)[0])]
        predictors = scored.X.values.shape[1]
        if not names or not predictors:
            return {}
        total = np.zeros(len(names))
        w = scored.weight
        stay = [scored.amount(n) for n in names]
        for position in range(predictors):
            cell = _cells(scored, position)
            count = int(cell.max()) + 1
            mass = np.bincount(cell, w, count)
            there = np.array([np.bincount(cell, v, count) for v in scored.draw_weight])
            held = (mass > 0) & (there > 0).any(axis=0)
            part = mass[held] / mass[held].sum()
            for j, (truth, draws) in enumerate(stay):
                have = np.array(
                    [np.bincount(cell, v * (d != 0), count) for d, v in zip(draws, scored.draw_weight, strict=True)]
                )
                share = np.divide(have, there, out=np.zeros_like(have), where=there > 0)[:, held].sum(axis=0)
                mean = share / (there[:, held] > 0).sum(axis=0)
                total[j] += part @ np.abs(mean - np.bincount(cell, w * (truth != 0), count)[held] / mass[held])
        return dict(zip(names, (total / predictors).tolist(), strict=True))


def _cells(scored: Scored, position: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    x = scored.X.values[:, position]
    if scored.X.variables[position].kind.is_class:
        return x.astype(np.int64) + 1
    bounds = quantile(scored.donor_x.values[:, position], np.array([0.25, 0.5, 0.75]), scored.donor_weight)
    return np.asarray(np.searchsorted(bounds, x, side="left"), dtype=np.int64)


class Gini(_OfAmounts):
    """Error of the Gini coefficient, normalised so that it stays in [0, 1] with negative amounts.

    G = E|Y − Y'| / (2 E|Y|) = Σ w y (2F − 1) / Σ w |y|, F the weighted mid-rank. Without negative amounts this is
    the usual Gini coefficient. G is 0 where all amounts are zero.

    Source: Raffinetti, Siletti & Vernizzi (2015), Stat. Methods Appl. 24(3), without the factor (N − 1)/N of
    finite populations, which row counts would enter by.
    """

    name = "gini"
    summary = "Error of the Gini coefficient"
    matters = 0.02

    def statistic(self, values: FloatArray, weight: FloatArray) -> float:
        """Return the normalised Gini coefficient."""
        order = np.argsort(values)
        y, w = values[order], weight[order]
        size = float(w @ np.abs(y))
        if size == 0:
            return 0.0
        middle = (np.cumsum(w) - w / 2) / w.sum()
        return float((w * y) @ (2 * middle - 1)) / size


class TopShares(_OfAmounts):
    """Error of the shares of the total that the top 1% and the top 10% hold, averaged over the two.

    Share of the top p: 1 − L(1 − p), L the Lorenz curve, linear between rows. Left out where the truth's total is
    not positive. With negative amounts shares may exceed 1; they are capped at 2, also where what is drawn adds
    up to zero or less.

    Source: Piketty & Saez (2003), Q. J. Econ. 118(1).
    """

    name = "top_shares"
    summary = "Error of the shares of the total held by the top 1% and the top 10%"
    matters = 0.02

    def defined(self, scored: Scored, name: str, truth: FloatArray) -> bool:
        """Whether the total is positive."""
        return float(scored.weight @ truth) > 0

    def statistic(self, values: FloatArray, weight: FloatArray) -> FloatArray:
        """Return the two shares."""
        order = np.argsort(values)
        w = weight[order]
        people, sums = np.cumsum(w), np.cumsum(w * values[order])
        if sums[-1] <= 0:
            return np.full(2, _MOST)
        lorenz = np.interp([0.99, 0.9], np.r_[0, people / people[-1]], np.r_[0, sums / sums[-1]])
        return np.minimum(1 - lorenz, _MOST)


class QuantileRatio(_OfAmounts):
    """Error of the spread of the upper half: |mean_i log(P90/P50)_i − log(P90/P50)|, P weighted quantiles.

    Only where the truth's P50 and P90 are positive. The ratio is capped at 1000, and is 1000 for draws whose P50
    or P90 is not positive: an infinite spread, at a finite price that never falls as the median falls to zero.

    Source: percentile ratios of Atkinson, Rainwater & Smeeding (1995), Income Distribution in OECD Countries.
    """

    name = "p90_p50"
    summary = "Error of the logarithm of P90/P50"
    matters = 0.1

    def defined(self, scored: Scored, name: str, truth: FloatArray) -> bool:
        """Whether the truth's median is positive (P90 then is too)."""
        return float(quantile(truth, 0.5, scored.weight)) > 0

    def statistic(self, values: FloatArray, weight: FloatArray) -> float:
        """Return the logarithm of the capped ratio."""
        middle, high = quantile(values, np.array([0.5, 0.9]), weight)
        if middle <= 0:
            return float(np.log(_CAP))
        return float(np.log(high / max(middle, high / _CAP)))


class HillIndex(_OfAmounts):
    """Error of the tail index of the top 5%, as 1/α: weighted mean of log(y/t) over rows above t.

    t is the weighted P95 of the truth, or of the draw. Only where t is positive in the truth and at least 50 rows
    of it lie above. A draw with t ≤ 0, or with no row above t, has no tail: 1/α = 0.

    Source: Hill (1975), Ann. Stat. 3(5).
    """

    name = "hill"
    summary = "Error of the tail index (1/α) of the top 5%"
    matters = 0.1

    def defined(self, scored: Scored, name: str, truth: FloatArray) -> bool:
        """Whether the truth has enough of a tail."""
        bound = float(quantile(truth, 1 - _TAIL, scored.weight))
        return bound > 0 and int((truth > bound).sum()) >= _ENOUGH

    def statistic(self, values: FloatArray, weight: FloatArray) -> float:
        """Return 1/α."""
        bound = float(quantile(values, 1 - _TAIL, weight))
        above = (values > bound) & (weight > 0)
        if bound <= 0 or not above.any():
            return 0.0
        return _share(np.log(values[above]) - np.log(bound), weight[above])


class TotalVariation(Metric):
    """Error of a class's level shares: ½ Σ_l |mean_i P_i(l) − P(l)|, P weighted shares, i draws.

    Source: the total variation distance, e.g. Gibbs & Su (2002), Int. Stat. Rev. 70(3).
    """

    name = "total_variation"
    family = "tails"
    summary = "Share of rows that would have to change class for the level shares to be right"
    kinds = CLASSES
    anchored = True
    matters = 0.02

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return errors by class."""
        errors = {}
        for j in scored.of_kind(CLASSES):
            truth, draws, count = (
                scored.truth.values[:, j],
                scored.draws[:, :, j],
                len(scored.truth.variables[j].levels),
            )
            drawn = [_levels(d, w, count) for d, w in zip(draws, scored.draw_weight, strict=True)]
            gap = np.mean(drawn, axis=0) - _levels(truth, scored.weight, count)
            errors[scored.truth.names[j]] = float(np.abs(gap).sum() / 2)
        return errors


def _levels(codes: FloatArray, weight: FloatArray, count: int) -> FloatArray:
    mass = np.bincount(codes.astype(np.int64), weights=weight, minlength=count)
    return np.asarray(mass / mass.sum())
