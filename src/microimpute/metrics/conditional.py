"""Scores of each target's distribution given the predictors: proper scores and calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from microimpute.metrics.base import AMOUNTS, CLASSES, Metric, Scored
from microimpute.weighted import quantile

__all__ = ["PIT", "FairBrier", "FairCRPS", "Pinball", "UpperTailCRPS"]

FloatArray = npt.NDArray[np.float64]

#: Share of the donors' weight below the threshold of the upper tail.
TAIL = 0.9
#: Levels of the quantile loss.
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


def _mean(values: FloatArray, weight: FloatArray) -> float:
    return float(np.average(values, weights=weight))


def _amounts(scored: Scored) -> Iterator[tuple[str, int, FloatArray, FloatArray]]:
    """Yield name, position, scaled truth, shape (n,), and scaled draws, shape (m, n), of each amount."""
    for j in scored.of_kind(AMOUNTS):
        name = scored.truth.names[j]
        truth, draws = scored.truth.values[:, j], scored.draws[:, :, j]
        yield name, j, scored.scale.one(j, truth), scored.scale.one(j, draws)


def _fair_crps(truth: FloatArray, draws: FloatArray) -> FloatArray:
    """Return the fair CRPS of each row; sorted, the i-th of m draws stands in m − 1 pairs, above in i of them."""
    m = len(draws)
    error = np.abs(draws - truth).mean(axis=0)
    factor = 2.0 * np.arange(m) - (m - 1)
    # Sorted with the draws of a row side by side in memory, which is what sorting is fast at.
    spread = np.sort(np.ascontiguousarray(draws.T), axis=1) @ factor / (m * (m - 1))
    return np.asarray(error - spread)


class FairCRPS(Metric):
    """Continuous ranked probability score of each amount, fair to any number of draws.

    With y the truth and d_1 … d_m the draws, both on the donors' scale (see `Scale`), a row's score is::

        mean_i |d_i − y| − Σ_{i<j} |d_i − d_j| / (m (m − 1))

    whose expectation does not depend on m and is least when the draws come from the distribution of the truth
    given the predictors; it may be slightly negative by chance. The score of a target is the mean over rows by
    survey weight.

    Source: Ferro, C. A. T. (2014). Fair scores for ensemble forecasts. Quarterly Journal of the Royal
    Meteorological Society 140, 1917–1923. https://doi.org/10.1002/qj.2270
    """

    name = "crps"
    family = "conditional"
    summary = "Distance between each household's drawn distribution and its true amount (fair CRPS, scaled)"
    kinds = AMOUNTS
    anchored = False
    matters = 0.01

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the score of each amount; nothing from a single draw, whose spread is unknown."""
        if scored.m < 2:
            return {}
        return {name: _mean(_fair_crps(y, d), scored.weight) for name, _, y, d in _amounts(scored)}


class UpperTailCRPS(Metric):
    """Threshold-weighted CRPS of each amount: what happens above the donors' 90th percentile.

    The fair CRPS (see `FairCRPS`) of v(y) and v(d_1) … v(d_m), with the chaining function v(z) = max(z, t) and t
    the donors' weighted 90th percentile of the scaled amount. Amounts below t count as t, so that only how likely
    and how far an amount lies above t matters; the score stays proper.

    Source: Allen, S., Ginsbourger, D. and Ziegel, J. (2023). Evaluating forecasts for high-impact events using
    transformed kernel scores. SIAM/ASA Journal on Uncertainty Quantification 11, 906–940.
    https://doi.org/10.1137/22M1532184
    """

    name = "tail_crps"
    family = "conditional"
    summary = "CRPS of what lies above the donors' 90th percentile: who is at the top, and how far up"
    kinds = AMOUNTS
    anchored = False
    matters = 0.005

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the score of each amount; nothing from a single draw, whose spread is unknown."""
        if scored.m < 2:
            return {}
        out = {}
        for name, j, truth, draws in _amounts(scored):
            donors = scored.scale.one(j, scored.donor_y.values[:, j])
            t = quantile(donors, TAIL, scored.donor_weight)
            out[name] = _mean(_fair_crps(np.maximum(truth, t), np.maximum(draws, t)), scored.weight)
        return out


class PIT(Metric):
    """Uniformity of the place of the truth among the draws (probability integral transform).

    A row whose truth exceeds b of m draws and equals e of them has a PIT that is uniform on
    [b / (m + 1), (b + e + 1) / (m + 1)]: ties are broken at random. Instead of one random number per row its
    distribution is averaged, F(u) = mean over rows (by survey weight) of P(PIT ≤ u), which is the expectation of
    the randomised version, needs no random numbers and is piecewise linear. If truth and draws are exchangeable,
    E F(u) = u for any m. The error is the Cramér–von Mises distance from the uniform distribution::

        sqrt( ∫_0^1 (F(u) − u)² du )

    that is, the root mean square gap between nominal and actual coverage of one-sided intervals; 0 at best and
    at most sqrt(1/3).

    It speaks of calibration alone: draws from the marginal distribution that ignore the predictors pass where
    donors and receivers are alike.

    Source: Czado, C., Gneiting, T. and Held, L. (2009). Predictive model assessment for count data. Biometrics
    65, 1254–1261 (the averaged PIT). https://doi.org/10.1111/j.1541-0420.2009.01191.x
    """

    name = "pit"
    family = "conditional"
    summary = "Whether intervals of the draws cover the truth as often as they say (uniformity of the PIT)"
    kinds = AMOUNTS
    anchored = True
    matters = 0.03

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the distance from uniformity of each amount."""
        out = {}
        for j in scored.of_kind(AMOUNTS):
            truth, draws = scored.truth.values[:, j], scored.draws[:, :, j]
            below, equal = (draws < truth).sum(axis=0), (draws == truth).sum(axis=0)
            out[scored.truth.names[j]] = _from_uniform(below, equal, scored.m, scored.weight)
        return out


def _from_uniform(below: npt.NDArray[np.int64], equal: npt.NDArray[np.int64], m: int, weight: FloatArray) -> float:
    share = weight / weight.sum() / (equal + 1)  # a row's weight, spread evenly over bins below … below + equal
    starts = np.bincount(below, weights=share, minlength=m + 2)
    ends = np.bincount(below + equal + 1, weights=share, minlength=m + 2)
    bins = np.cumsum(starts - ends)[: m + 1]
    gap = np.r_[0.0, np.cumsum(bins - 1 / (m + 1))]  # F(u) − u at u = 0, 1/(m+1), …, 1; linear in between
    left, right = gap[:-1], gap[1:]
    return float(np.sqrt(np.mean(left**2 + left * right + right**2) / 3))


class Pinball(Metric):
    """Quantile loss of each amount, averaged over the levels .1, .3, .5, .7 and .9.

    With y the scaled truth and q the τ-quantile of the scaled draws, a row's loss is (τ − 1[y < q]) (y − q). The
    quantile interpolates the order statistics so that the k-th of m draws is the quantile of level k / (m + 1)
    (definition 6 of Hyndman and Fan, Weibull's): a truth that is exchangeable with the draws lies below the k-th
    of them with just that probability, which the inverse of the draws' distribution function (k / m) misses.

    Sources: Koenker, R. and Bassett, G. (1978). Regression quantiles. Econometrica 46, 33–50.
    https://doi.org/10.2307/1913643; Hyndman, R. J. and Fan, Y. (1996). Sample quantiles in statistical packages.
    The American Statistician 50, 361–365. https://doi.org/10.1080/00031305.1996.10473566
    """

    name = "pinball"
    family = "conditional"
    summary = "How far quantiles of each household's draws are from where its true amount says they should be"
    kinds = AMOUNTS
    anchored = False
    matters = 0.005

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the mean loss of each amount."""
        out = {}
        for name, _, truth, draws in _amounts(scored):
            q = np.quantile(draws, LEVELS, axis=0, method="weibull")
            over = truth - q
            tau = np.array(LEVELS)[:, None]
            out[name] = _mean(np.maximum(tau * over, (tau - 1) * over).mean(axis=0), scored.weight)
        return out


class FairBrier(Metric):
    """Brier score of each class's drawn level frequencies, fair to any number of draws.

    With f_l the share of a row's m draws at level l and o_l 1 for the true level and 0 elsewhere::

        ½ Σ_l [ (f_l − o_l)² − f_l (1 − f_l) / (m − 1) ]

    The half makes it the usual Brier score of a binary target, and the analogue of `FairCRPS` in which two
    different levels lie 1 apart: mean_i 1[d_i ≠ y] − Σ_{i<j} 1[d_i ≠ d_j] / (m (m − 1)). The score of a target is
    the mean over rows by survey weight.

    Sources: Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly Weather
    Review 78, 1–3; Ferro, C. A. T. (2014). Fair scores for ensemble forecasts. Quarterly Journal of the Royal
    Meteorological Society 140, 1917–1923. https://doi.org/10.1002/qj.2270
    """

    name = "brier"
    family = "conditional"
    summary = "Distance between each household's drawn shares of the levels and its true level (fair Brier score)"
    kinds = CLASSES
    anchored = False
    matters = 0.005

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the score of each class; nothing from a single draw, whose spread is unknown."""
        m = scored.m
        if m < 2:
            return {}
        out = {}
        for j in scored.of_kind(CLASSES):
            truth, draws = scored.truth.values[:, j], scored.draws[:, :, j]
            alike = np.zeros(len(truth))  # ordered pairs of draws that agree
            for level in np.unique(draws):
                count = (draws == level).sum(axis=0)
                alike += count * (count - 1)
            fair = (draws != truth).mean(axis=0) - (1 - alike / (m * (m - 1))) / 2
            out[scored.truth.names[j]] = _mean(fair, scored.weight)
        return out
