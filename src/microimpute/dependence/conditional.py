"""Ranks of a target given the predictors, and neighbourhoods of rows that are alike in them.

A conditional rank says where a row's value lies among the values that rows with its predictors have: uniform on (0, 1),
and independent of the predictors. The dependence of two targets given the predictors is the dependence of their
conditional ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, IntArray
from microimpute.errors import FusionError
from microimpute.keyed import Keys, RowRandom

__all__ = ["TINY", "Latent", "in_key_order", "latent", "leaves", "normal_score", "rank_correlation", "ranks_within"]

#: Most rows that regressions and the tree of neighbourhoods are grown on.
LEARN = 40_000
#: Parts of the cross-fitting of the regressions.
FOLDS = 2
#: Ranks are this far from 0 and 1, so that their normal scores are finite and values keep their order.
TINY = 1e-12
#: Spreads given the predictors are at least this share of the mean.
LEAST_SPREAD = 0.2
#: Boosting of the regressions: rounds, rate and leaves of each tree.
ROUNDS, RATE, LEAVES = 60, 0.12, 15
#: Most values of a predictor that they tell apart.
CLASSES = 255


@dataclass(frozen=True)
class Latent:
    """A target as a normal variable behind its values, in a regression on the predictors.

    Attributes
    ----------
    centre
        What the predictors say of the normal score of the row's value, shape (rows,).
    spread
        Standard deviation of the normal scores around it, given the predictors, shape (rows,).
    rank
        The conditional rank, in (0, 1), shape (rows,); rows of the same value have random ranks within what the value
        takes up.
    ends
        The conditional ranks between which the row's value lies, shape (rows, 2): far apart for a mass at zero.
    explained
        Share of the variance of the normal scores that the predictors explain, out of fold.
    """

    centre: FloatArray
    spread: FloatArray
    rank: FloatArray
    ends: FloatArray
    explained: float

    @property
    def residual(self) -> FloatArray:
        """Standardised residual of the latent variable, shape (rows,)."""
        return normal_score(self.rank)

    @property
    def score(self) -> FloatArray:
        """Value of the latent variable, in the order of the target's values, shape (rows,)."""
        return np.asarray(self.centre + self.spread * self.residual)


def normal_score(rank: FloatArray) -> FloatArray:
    """Return the standard normal quantile of ranks in (0, 1)."""
    from scipy.special import ndtri

    return np.asarray(ndtri(rank))


def in_key_order(keys: Keys) -> IntArray:
    """Return the order of rows by key, so that nothing depends on how they stand in the file.

    Raises
    ------
    FusionError
        If two rows have one key.
    """
    order = np.argsort(keys, kind="stable")
    if twice := int((keys[order][1:] == keys[order][:-1]).sum()):
        raise FusionError(f"{twice:,} rows have the key of another row", "Give every row a key of its own.")
    return order


def latent(
    values: FloatArray, x: FloatArray, random: RowRandom, name: str, weight: FloatArray, unit: Keys | None = None
) -> Latent:
    """Regress a target's normal scores on the predictors, cross-fitted, and take conditional ranks.

    Parameters
    ----------
    values
        The target, shape (rows,). The rows must stand in the order of their keys (see `in_key_order`).
    x
        Predictors, shape (rows, k); NaN is a missing value.
    random
        Random numbers of the rows, which decide between ties.
    name
        What the target is called: random numbers differ between names.
    weight
        Shape (rows,): counts in the ranks, the regression and the spread.
    unit
        Keys of the households whose rows stay in one part, shape (rows,). Default: every row is its own.

    Notes
    -----
    With F the weighted distribution of the values, a row's value takes up the normal scores from a = Φ⁻¹(F(y−)) to
    b = Φ⁻¹(F(y)). With m(x) from boosted trees fitted to the mid-rank's score on the other part of the households, and
    s(x) from boosted trees fitted to how far scores lie from it, the conditional rank is uniform between
    Φ((a − m) / s) and Φ((b − m) / s): for values without ties it is their place, for a mass at zero it is random, and
    lower where the predictors say that zeros are common.
    """
    from scipy.special import ndtr

    low, high = _ends(values, weight)
    # rows without weight beyond all others lie at 0 or 1, whose score would be infinite
    score = normal_score(np.clip((low + high) / 2, TINY, 1 - TINY))
    folds = random if unit is None else RowRandom(random.seed, 0, unit)
    x = _classed(x)
    centre = _cross_fitted(x, score, weight, folds)
    residual = np.abs(score - centre)
    left = float(np.average(residual**2, weights=weight))
    variance = float(np.average((score - np.average(score, weights=weight)) ** 2, weights=weight))
    if left <= 1e-9 * max(variance, 1.0):
        raise FusionError(f"nothing of {name!r} is left given the predictors", "It depends on them alone.")
    spread = np.clip(_cross_fitted(x, residual, weight, folds), *(LEAST_SPREAD * residual.mean(), np.inf))
    spread *= np.sqrt(np.average((residual / spread) ** 2, weights=weight))
    ends = [ndtr((normal_score(np.clip(p, 0.0, 1.0)) - centre) / spread) for p in (low, high)]
    uniform = random.uniform(f"rank of {name}")
    rank = ends[0] + (ends[1] - ends[0]) * uniform
    return Latent(centre, spread, np.clip(rank, TINY, 1 - TINY), np.column_stack(ends), 1.0 - left / variance)


def _ends(values: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weighted shares below and up to each row's value."""
    _, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight)
    up = np.cumsum(mass)
    # A value of rows without any weight takes up nothing; its score would be infinite at the ends.
    up = np.minimum(up, up[-1])
    below = (up - mass)[place] / up[-1]
    return np.clip(below, 0.0, 1.0), np.clip(up[place] / up[-1], 0.0, 1.0)


def _classed(x: FloatArray) -> FloatArray:
    """Put columns of many values into `CLASSES` by quantiles, as boosted trees do anew, and slowly, at every fit."""
    out = x.copy()
    for column in out.T:
        known = ~np.isnan(column)
        if len(np.unique(column[known])) > CLASSES:
            borders = np.quantile(column[known], np.arange(1, CLASSES) / CLASSES)
            column[known] = np.searchsorted(np.unique(borders), column[known], side="right")
    return out


def _cross_fitted(x: FloatArray, score: FloatArray, weight: FloatArray, random: RowRandom) -> FloatArray:
    """Predict each row's score by boosted trees that have not seen its household."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    part = (random.uniform("part of the cross-fitting") * FOLDS).astype(np.int64)
    chosen = random.uniform("learns") < LEARN / max(len(score), 1)
    out = np.full(len(score), np.average(score, weights=weight))
    with threadpool_limits(1):  # sums over threads would differ with their number
        for fold in range(FOLDS):
            learns = (part != fold) & chosen & (weight > 0)
            if learns.sum() < 2 * FOLDS or not (part == fold).any():
                continue
            model = HistGradientBoostingRegressor(
                max_iter=ROUNDS, learning_rate=RATE, max_leaf_nodes=LEAVES, early_stopping=False, random_state=0
            )
            model.fit(x[learns], score[learns], sample_weight=weight[learns])
            out[part == fold] = model.predict(x[part == fold])
    return out


def leaves(x: FloatArray, targets: FloatArray, size: int, random: RowRandom) -> IntArray:
    """Group rows that are alike in what the predictors say of the targets.

    Parameters
    ----------
    x
        Predictors, shape (rows, k), without NaN or with. The rows must stand in the order of their keys.
    targets
        Shape (rows, t), scaled as they shall count.
    size
        Least number of rows in a group as far as the tree sees; groups have about one to two times as many.
    random
        Random numbers of the rows, which divide them into halves.

    Returns
    -------
    numpy.ndarray of int64, shape (rows,)
        Number of the group, 0 to groups − 1.

    Notes
    -----
    Groups are the leaves of one regression tree for all targets, grown on one half of the rows and used for the
    other, and the other way round. A tree that saw the rows that it groups would put together those whose targets
    happen to be alike, and exchanging within such groups could change less than it should.
    """
    half = random.uniform("half of the rows") < 0.5
    chosen = random.uniform("grows") < 2 * LEARN / len(x)
    out = np.zeros(len(x), dtype=np.int64)
    for part in (half, ~half):
        grows = ~part & chosen
        if grows.any() and part.any():
            out[part] = out.max() + 1 + _leaf(x, targets, grows, part, size)
    return np.asarray(np.unique(out, return_inverse=True)[1], dtype=np.int64)


def _leaf(
    x: FloatArray, targets: FloatArray, grows: npt.NDArray[np.bool_], part: npt.NDArray[np.bool_], size: int
) -> IntArray:
    from sklearn.tree import DecisionTreeRegressor

    least = max(2, int(np.ceil(size * grows.sum() / part.sum())))
    tree = DecisionTreeRegressor(min_samples_leaf=least, random_state=0)
    tree.fit(x[grows], targets[grows])
    return np.asarray(tree.apply(x[part]), dtype=np.int64)


def ranks_within(values: FloatArray, group: IntArray, tie: FloatArray) -> tuple[FloatArray, IntArray]:
    """Rank rows within their group.

    Returns
    -------
    rank, order
        (place − ½) / rows of the group, shape (rows,); and the rows by group, then value, then tie.
    """
    order = np.lexsort((tie, values, group))
    counts = np.bincount(group)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(values))
    rank[order] = (np.arange(len(values)) - np.repeat(starts, counts) + 0.5) / np.repeat(counts, counts)
    return rank, order


def rank_correlation(one: FloatArray, other: FloatArray, weight: FloatArray) -> float:
    """Return the weighted correlation of two columns of ranks; zero if one does not vary."""
    a, b = one - np.average(one, weights=weight), other - np.average(other, weights=weight)
    scale = float(np.sqrt(np.sum(weight * a * a) * np.sum(weight * b * b)))
    return float(np.sum(weight * a * b) / scale) if scale > 0 else 0.0
