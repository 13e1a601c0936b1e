"""Scores of targets together, and of targets with predictors: joint proper scores, correlations, joint tails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind, Table
from microimpute.metrics.base import AMOUNTS, BUNDLE, Metric, Scored
from microimpute.weighted import quantile, ranks

__all__ = ["EnergyScore", "RankCorrelationAcross", "RankCorrelationWithin", "TailDependence", "VariogramScore"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Kinds whose values have an order.
ORDERED = AMOUNTS | {Kind.BINARY, Kind.ORDINAL}
#: Share of the weight below the threshold of a joint tail.
TAIL = 0.9
#: Order of the variogram.
ORDER = 0.5
#: Rows that scores of pairs work on at a time, so that what they hold stays small.
CHUNK = 512


def _chunks(scored: Scored) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Yield slices of rows with scaled truth, shape (columns, rows), and draws, shape (columns, m, rows)."""
    draws = scored.z_draws
    truth = scored.z.astype(np.float32)  # as the draws, so that a draw of the truth is at distance 0
    for start in range(0, len(truth), CHUNK):
        rows = slice(start, start + CHUNK)
        yield rows, np.ascontiguousarray(truth[rows].T), np.ascontiguousarray(draws[:, rows].transpose(2, 0, 1))


class EnergyScore(Metric):
    """Energy score of the bundle, fair to any number of draws: the CRPS in many dimensions.

    With y a row's truth and d_1 … d_m its joint draws, both vectors of scaled columns (see `Scale`)::

        mean_i ‖d_i − y‖ − Σ_{i<j} ‖d_i − d_j‖ / (m (m − 1))

    with Euclidean norms, and the mean over rows by survey weight. Strictly proper, but it feels errors of the
    dependence between targets less than errors of their margins; `VariogramScore` and the correlations look at
    dependence.

    Sources: Gneiting, T. and Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and estimation.
    Journal of the American Statistical Association 102, 359–378. https://doi.org/10.1198/016214506000001437;
    fair version: Ferro, C. A. T. (2014). Quarterly Journal of the Royal Meteorological Society 140, 1917–1923.
    https://doi.org/10.1002/qj.2270
    """

    name = "energy_score"
    family = "joint"
    summary = "Distance between each household's joint draws and its true amounts and classes taken together"
    anchored = False
    matters = 0.01

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the score of the bundle; nothing for one target or from a single draw."""
        m = scored.m
        if len(scored.kinds) < 2 or m < 2:
            return {}
        fair = np.empty(len(scored.weight))
        for rows, truth, draws in _chunks(scored):
            error = _norms(draws - truth[:, None]).mean(axis=0)
            pairs = np.zeros_like(error)
            for i in range(m - 1):
                pairs += _norms(draws[:, i + 1 :] - draws[:, i, None]).sum(axis=0)
            fair[rows] = error - pairs / (m * (m - 1))
        return {BUNDLE: float(np.average(fair, weights=scored.weight))}


def _norms(difference: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("kmn,kmn->mn", difference, difference)), dtype=np.float64)


class VariogramScore(Metric):
    """Variogram score of order ½ of the bundle, fair to any number of draws.

    With y a row's truth and d_1 … d_m its joint draws on scaled columns (see `Scale`), a row's score is the mean
    over pairs of columns a < b of::

        ( mean_i V_i − |y_a − y_b|^½ )² − s² / m,    V_i = |d_ia − d_ib|^½

    where s² is the variance of V_1 … V_m (divisor m − 1). The definition of Scheuerer and Hamill is the first
    term with equal weights; the second takes away what the first expects from drawing only m times (E s²/m is the
    variance of mean_i V_i), which makes the score fair: its expectation does not depend on m. It may be slightly
    negative by chance. A mean over pairs rather than a sum, so that bundles of any size are on one scale; a class
    has a column per level. The mean over rows is by survey weight.

    Sources: Scheuerer, M. and Hamill, T. M. (2015). Variogram-based proper scoring rules for probabilistic
    forecasts of multivariate quantities. Monthly Weather Review 143, 1321–1334.
    https://doi.org/10.1175/MWR-D-14-00269.1; fair scores: Ferro, C. A. T. (2014). Quarterly Journal of the Royal
    Meteorological Society 140, 1917–1923. https://doi.org/10.1002/qj.2270
    """

    name = "variogram_score"
    family = "joint"
    summary = "Whether differences between a household's targets are as large as in truth (variogram score)"
    anchored = False
    matters = 0.005

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the score of the bundle; nothing for one target or from a single draw."""
        m = scored.m
        if len(scored.kinds) < 2 or m < 2:
            return {}
        fair = np.empty(len(scored.weight))
        for rows, truth, draws in _chunks(scored):
            columns = len(truth)
            total = np.zeros(truth.shape[1])
            for a in range(columns - 1):
                drawn = np.abs(draws[a + 1 :] - draws[a]) ** ORDER
                # Centred on the truth, which changes no variance and keeps float32 exact where it matters.
                drawn -= (np.abs(truth[a + 1 :] - truth[a]) ** ORDER)[:, None]
                middle = drawn.mean(axis=1)
                square = np.einsum("kmn,kmn->kn", drawn, drawn)
                total += (middle**2 - (square / m - middle**2) / (m - 1)).sum(axis=0)
            fair[rows] = total / (columns * (columns - 1) / 2)
        return {BUNDLE: float(np.average(fair, weights=scored.weight))}


def _columns(table: Table, kinds: frozenset[Kind]) -> list[int]:
    return [j for j, v in enumerate(table.variables) if v.kind in kinds]


def _varying(values: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray((values != values[:1]).any(axis=0))


def _scores(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weighted ranks scaled so that products of columns are correlations; 0 for a constant column."""
    share = weight / weight.sum()
    out = np.zeros(values.shape)
    for j in np.flatnonzero(_varying(values)):
        r = ranks(values[:, j], weight)
        out[:, j] = (r - share @ r) * np.sqrt(share)
        out[:, j] /= np.linalg.norm(out[:, j])
    return out


class RankCorrelationWithin(Metric):
    """Rank correlations between targets: how far they are from those of the truth.

    For each pair of ordered targets (amounts, counts, binary and ordinal classes), ρ is Spearman's correlation:
    Pearson's, by survey weight, of weighted mid-ranks. The error is the mean over pairs of::

        | mean_i ρ(draw i) − ρ(truth) |

    with draw i weighed by its own weights. A constant target has correlation 0.

    Sources: Spearman, C. (1904). The proof and measurement of association between two things. American Journal
    of Psychology 15, 72–101; Kendall, M. G. (1945). The treatment of ties in ranking problems. Biometrika 33,
    239–251 (mid-ranks).
    """

    name = "rank_correlation_within"
    family = "joint"
    summary = "Error of rank correlations between targets"
    kinds = ORDERED
    anchored = True
    matters = 0.03

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the mean error over pairs of targets; nothing if there is no pair."""
        position = scored.of_kind(ORDERED)
        if len(position) < 2:
            return {}
        s = _scores(scored.truth.values[:, position], scored.weight)
        error = -(s.T @ s)
        for draw, weight in zip(scored.draws, scored.draw_weight, strict=True):
            s = _scores(draw[:, position], weight)
            error += s.T @ s / scored.m
        return {BUNDLE: float(np.abs(error[np.triu_indices(len(position), 1)]).mean())}


class RankCorrelationAcross(Metric):
    """Rank correlations between a target and the predictors: how far they are from those of the truth.

    As `RankCorrelationWithin`, for each ordered target the mean over the ordered predictors that vary among the
    receivers. Draws that ignore a predictor lose their correlation with it.

    Sources: as `RankCorrelationWithin`.
    """

    name = "rank_correlation_across"
    family = "joint"
    summary = "Error of rank correlations between a target and the predictors"
    kinds = ORDERED
    anchored = True
    matters = 0.03

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the mean error over predictors for each target; nothing if there is no ordered predictor."""
        position = scored.of_kind(ORDERED)
        x = scored.X.values[:, _columns(scored.X, ORDERED)]
        x = x[:, _varying(x)]
        if not position or not x.shape[1]:
            return {}
        sx = _scores(x, scored.weight)
        error = -(_scores(scored.truth.values[:, position], scored.weight).T @ sx)
        for draw, weight in zip(scored.draws, scored.draw_weight, strict=True):
            own = sx if np.array_equal(weight, scored.weight) else _scores(x, weight)
            error += _scores(draw[:, position], weight).T @ own / scored.m
        return {scored.truth.names[j]: float(e) for j, e in zip(position, np.abs(error).mean(axis=1), strict=True)}


class TailDependence(Metric):
    """Upper tail dependence between amounts: how often two are large together, against the truth.

    For amounts A and B (two targets, or a target and a predictor) and q the weighted 90th percentile of each in
    the sample at hand (the truth, or a draw), λ = P(B > q_B | A > q_A) by survey weight. Where amounts are tied
    at q — counts, many zeros — so much of the weight at q counts as above that a tenth of all weight does: λ is
    then P(U_B > .9 | U_A > .9) of the checkerboard copula, is the same either way round, and does not jump when q
    moves from one whole number to the next. The error is the mean over pairs of::

        | mean_i λ(draw i) − λ(truth) |

    with draw i weighed by its own weights. Pairs in which the truth or the predictor is constant are skipped; a
    constant draw has λ = .1, that of independence.

    Sources: Coles, S., Heffernan, J. and Tawn, J. (1999). Dependence measures for extreme value analyses.
    Extremes 2, 339–365. https://doi.org/10.1023/A:1009963131610; ties: Genest, C. and Nešlehová, J. (2007). A
    primer on copulas for count data. ASTIN Bulletin 37, 475–515. https://doi.org/10.2143/AST.37.2.2024077
    """

    name = "tail_dependence"
    family = "joint"
    summary = "Error of how often two amounts are both among their highest tenth"
    kinds = AMOUNTS
    anchored = True
    matters = 0.03

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the mean error over pairs; nothing if there is no pair."""
        position = scored.of_kind(AMOUNTS)
        truth, x = scored.truth.values[:, position], scored.X.values[:, _columns(scored.X, AMOUNTS)]
        varies = np.r_[_varying(truth), _varying(x)]
        k = len(position)
        pairs = np.triu(np.ones((k, len(varies)), dtype=bool), 1) & varies[:k, None] & varies
        if not pairs.any():
            return {}
        top_x = _top(x, scored.weight)
        error = -_together(_top(truth, scored.weight), top_x, scored.weight)
        for draw, weight in zip(scored.draws, scored.draw_weight, strict=True):
            own = top_x if np.array_equal(weight, scored.weight) else _top(x, weight)
            error += _together(_top(draw[:, position], weight), own, weight) / scored.m
        return {BUNDLE: float(np.abs(error[pairs]).mean())}


def _top(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return how much of each row is among the highest tenth of its column: 1, 0, or a share where tied at q."""
    share = weight / weight.sum()
    out = np.empty(values.shape)
    for j, v in enumerate(values.T):
        q = quantile(v, TAIL, weight)
        above, at = v > q, v == q
        rest = (1 - TAIL - share[above].sum()) / share[at].sum()
        out[:, j] = above + np.clip(rest, 0.0, 1.0) * at
    return out


def _together(targets: FloatArray, predictors: FloatArray, weight: FloatArray) -> FloatArray:
    """Return λ of each target with each target and predictor, shape (targets, targets + predictors)."""
    weighed = targets * (weight / weight.sum())[:, None]
    return np.asarray(weighed.T @ np.hstack([targets, predictors]) / (1 - TAIL))
