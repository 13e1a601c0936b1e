"""Metrics of whether anything tells draws from the truth, given the predictors too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind, Variable
from microimpute.metrics.base import BUNDLE, BoolArray, FloatArray, Metric, Scale, Scored
from microimpute.weighted import quantile

__all__ = ["PMSE", "ClassifierTwoSample", "EnergyDistance"]

IntArray = npt.NDArray[np.int64]

_ROWS = 10_000  # rows that classifiers see at most
_CLOUD = 2_000  # rows per side of the energy distance at most
_FOLDS = 5
_C2ST_SWAPS, _PMSE_SWAPS = 2, 5
_LEVELS = 200  # classes with more levels are split on as if ordered
_LEAVES, _LEAF = 50, 20  # of the propensity tree
_NOTHING = 1e-12  # a propensity error below it is rounding


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread, of scikit-learn's helpers too: a pool for each of their small tasks takes longer than the task."""
    from joblib import parallel_config
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), parallel_config(backend="threading", n_jobs=1):
        yield


@dataclass(frozen=True)
class _Pairs:
    """Receivers with the truth (side 0) and with a draw (side 1), equal receivers collapsed to one.

    Attributes
    ----------
    x
        Shape (rows, predictors).
    y
        Shape (2, rows, targets).
    weight
        Shape (2, rows); each side adds up to the number of rows.
    """

    x: FloatArray
    y: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, scored: Scored, draw: int, rng: np.random.Generator) -> _Pairs:
        """Take at most 10,000 of the distinct (X, truth, draw), at random without replacement."""
        x, truth, drawn = scored.X.values, scored.truth.values, scored.draws[draw]
        whole = np.hstack([x, truth, drawn])
        order = np.lexsort(whole.T) if whole.shape[1] else np.arange(len(whole))
        starts = np.flatnonzero(np.r_[True, (whole[order][1:] != whole[order][:-1]).any(axis=1)])
        sides = np.stack([scored.weight, scored.draw_weight[draw]])
        weight = np.add.reduceat(sides[:, order], starts, axis=1)
        kept = np.arange(len(starts))
        if len(kept) > _ROWS:
            kept = np.sort(rng.choice(kept, _ROWS, replace=False))
        rows, weight = order[starts[kept]], weight[:, kept]
        total = weight.sum(axis=1, keepdims=True)
        weight = weight / np.where(total > 0, total, 1) * len(rows)
        return cls(x[rows], np.stack([truth[rows], drawn[rows]]), weight)

    def swapped(self, rng: np.random.Generator) -> _Pairs:
        """Swap truth and draw, with their weights, of each receiver with probability ½."""
        side = rng.integers(0, 2, len(self.x))
        rows = np.arange(len(self.x))
        both = np.stack([side, 1 - side])
        return _Pairs(self.x, self.y[both, rows], self.weight[both, rows])


def _swaps(pairs: _Pairs, rng: np.random.Generator, count: int) -> Iterator[_Pairs]:
    for _ in range(count):
        yield pairs.swapped(rng)


class ClassifierTwoSample(Metric):
    """How well trees tell (X, truth) from (X, draw 1): |AUC − mean AUC under the null|, in [0, ½] up to noise.

    AUC is the weighted area under the ROC curve of histogram gradient boosting on receivers that it did not learn
    from: five folds, both copies of a receiver in one, areas averaged over folds by weight. Equal receivers are
    one receiver of their summed weight. The null is the same with truth and draw swapped at random within
    receivers, twice. At most 10,000 receivers, sampled with `Scored.seed`.

    Source: Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests, ICLR.
    """

    name = "c2st"
    family = "indistinguishability"
    summary = "How far above chance a classifier tells draws from the truth"
    kinds = frozenset(Kind)
    anchored = True
    matters = 0.05

    def __init__(self, folds: int = _FOLDS, swaps: int = _C2ST_SWAPS) -> None:
        self._folds, self._swaps = folds, swaps

    def cheaper(self) -> ClassifierTwoSample:
        """Return a version of three folds that takes the mean area under the null for ½ instead of measuring it."""
        return ClassifierTwoSample(folds=3, swaps=0)

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the excess area for the bundle; nothing with fewer rows than folds."""
        rng = np.random.default_rng([scored.seed, 1])
        pairs = _Pairs.of(scored, 0, rng)
        if len(pairs.x) < self._folds:
            return {}
        features, is_class = _coded(pairs, scored.X.variables + scored.truth.variables)
        coded = _Pairs(pairs.x, features, pairs.weight)
        folds = rng.permutation(len(pairs.x)) % self._folds
        with _one_thread():
            area = _area_out_of_fold(coded, is_class, folds, scored.seed)
            null = [_area_out_of_fold(s, is_class, folds, scored.seed) for s in _swaps(coded, rng, self._swaps)]
        chance = float(np.mean(null)) if null else 0.5
        return {BUNDLE: abs(area - chance)}


def _coded(pairs: _Pairs, variables: tuple[Variable, ...]) -> tuple[FloatArray, BoolArray]:
    """Code X and y of both sides for trees, shape (2, rows, columns), and say which columns are classes.

    Amounts are binned here, once, because scikit-learn's own weighted binning takes most of the time of a fit. A
    bin lies between neighbours of 120 weighted quantiles, and each quantile (zero, if there are many) is one too.
    """
    features = np.stack([np.hstack([pairs.x, y]) for y in pairs.y])
    is_class = np.array([v.kind.is_class and len(v.levels) < _LEVELS for v in variables], dtype=bool)
    for j, column in enumerate(features.transpose(2, 0, 1)):
        if is_class[j]:
            column += 1  # a class that donors lack is −1, which trees would take for missing
        else:
            edges = np.unique(quantile(column.ravel(), np.arange(1, 121) / 121, pairs.weight.ravel()))
            column[:] = np.searchsorted(edges, column, "left") + np.searchsorted(edges, column, "right")
    return features, is_class


def _area_out_of_fold(pairs: _Pairs, is_class: BoolArray, folds: IntArray, seed: int) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, weight = np.vstack(list(pairs.y)), pairs.weight.ravel()
    side, both = np.repeat([0, 1], len(folds)), np.tile(folds, 2)
    areas, masses = [], []
    for fold in range(int(folds.max()) + 1):
        learn, test = both != fold, both == fold
        model = HistGradientBoostingClassifier(
            max_iter=40,
            learning_rate=0.15,
            max_leaf_nodes=15,
            categorical_features=is_class if is_class.any() else None,
            early_stopping=False,
            random_state=seed % 2**32,
        )
        model.fit(features[learn], side[learn], sample_weight=weight[learn])
        value = model.predict_proba(features[test])[:, 1]
        areas.append(_area(value, side[test], weight[test]))
        masses.append(weight[test].sum())
    return float(np.average(areas, weights=masses))


def _area(value: FloatArray, side: IntArray, weight: FloatArray) -> float:
    """Weighted P(value of side 1 > value of side 0) + ½ P(equal); ½ where a side has no weight."""
    _, place = np.unique(value, return_inverse=True)
    zero, one = (np.bincount(place, weight * (side == s)) for s in (0, 1))
    if zero.sum() <= 0 or one.sum() <= 0:
        return 0.5
    return float(one @ (np.cumsum(zero) - zero / 2) / zero.sum() / one.sum())


class EnergyDistance(Metric):
    """Energy distance 2E|A − B| − E|A − A'| − E|B − B'| between the clouds (X, truth) and (X, draws).

    A and A' are rows of the truth by weight, B and B' rows of any draw by its weight, both on `Scale`'s comparable
    scales (donors' predictors make X's); |·| is Euclidean. Estimated without bias from 2,000 rows per side,
    sampled with replacement in proportion to weight: a row of the truth and one of the draws share a place in the
    cumulated weights, hence mostly the receiver, whose X then cancels; a place is never compared with itself.
    Below zero counts as zero.

    Source: Székely & Rizzo (2013), J. Stat. Plan. Inference 143(8); unbiased form as Gretton et al. (2012),
    J. Mach. Learn. Res. 13, lemma 6.
    """

    name = "energy_distance"
    family = "indistinguishability"
    summary = "Energy distance between draws and truth, predictors included"
    kinds = frozenset(Kind)
    anchored = True
    matters = 0.003

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the distance for the bundle; nothing with fewer than two rows."""
        if len(scored.weight) < 2:
            return {}
        rng = np.random.default_rng([scored.seed, 2])
        place, draw = rng.random(_CLOUD), rng.integers(0, scored.m, _CLOUD)
        at = _rows(scored.weight, place)
        from_draw = np.zeros(_CLOUD, dtype=np.int64)
        for i in range(scored.m):
            from_draw[draw == i] = _rows(scored.draw_weight[i], place[draw == i])
        x = Scale.of(scored.donor_x, scored.donor_weight)(scored.X.values)
        truth = np.hstack([x[at], scored.scale(scored.truth.values[at])])
        drawn = np.hstack([x[from_draw], scored.scale(scored.draws[draw, from_draw])])
        return {BUNDLE: max(_energy(truth, drawn), 0.0)}


def _rows(weight: FloatArray, place: FloatArray) -> IntArray:
    """Rows at places in [0, 1) of the cumulated weights."""
    mass = np.cumsum(weight)
    last = int(np.flatnonzero(weight > 0)[-1])
    return np.asarray(np.minimum(np.searchsorted(mass, place * mass[-1], side="right"), last), dtype=np.int64)


def _energy(a: FloatArray, b: FloatArray) -> float:
    """Unbiased energy distance of paired samples: pairs (a_i, b_i) are independent of each other, not within."""
    count, within = len(a), float(np.linalg.norm(a - b, axis=1).sum())
    clouds = [np.unique(rows, axis=0, return_counts=True) for rows in (a, b)]  # few receivers come many times each
    total = 2 * (_distances(*clouds) - within) - sum(_distances(cloud, cloud) for cloud in clouds)
    return total / (count * (count - 1))


def _distances(a: tuple[FloatArray, IntArray], b: tuple[FloatArray, IntArray]) -> float:
    """Sum of distances between two clouds of different rows, each with how often it comes."""
    from sklearn.metrics.pairwise import euclidean_distances

    return float(a[1] @ euclidean_distances(a[0], b[0]) @ b[1])


class PMSE(Metric):
    """Standardised propensity mean squared error: max(pMSE / mean pMSE under the null − 1, 0).

    pMSE = Σ w (p̂ − ½)² / Σ w over both copies of each receiver, p̂ the propensity of being the draw by a weighted
    classification tree (each side weighing the same, 50 leaves of at least 20 rows), which sees interactions of
    predictors and targets that main effects would miss. Under the null truth and draw are swapped at random within
    receivers, five times. Both are averaged over draws 1 and m. At most 10,000 distinct receivers, sampled with
    `Scored.seed`.

    Source: Snoke, Raab, Nowok, Dibben & Slavkovic (2018), J. R. Stat. Soc. A 181(3), sec. 3 (CART, null by
    resampling).
    """

    name = "pmse"
    family = "indistinguishability"
    summary = "Propensity score error of telling draws from the truth, over what chance gives, less one"
    kinds = frozenset(Kind)
    anchored = True
    matters = 0.2

    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return the ratio less one for the bundle; nothing with fewer than two rows."""
        if len(scored.weight) < 2:
            return {}
        return {BUNDLE: max(self.ratio(scored) - 1, 0.0)}

    def ratio(self, scored: Scored) -> float:
        """Return pMSE over its mean under the null; 1 where there is nothing to tell apart by."""
        rng = np.random.default_rng([scored.seed, 3])
        x_scale = Scale.of(scored.donor_x, scored.donor_weight)
        error, null = 0.0, 0.0
        with _one_thread():
            for draw in sorted({0, scored.m - 1}):
                pairs = _Pairs.of(scored, draw, rng)
                scales = [np.hstack([x_scale(pairs.x), scored.scale(y)]) for y in pairs.y]
                sides = _Pairs(pairs.x, np.stack(scales), pairs.weight)
                error += _propensity_error(sides)
                null += float(np.mean([_propensity_error(s) for s in _swaps(sides, rng, _PMSE_SWAPS)]))
        return error / null if null > _NOTHING else 1.0


def _propensity_error(pairs: _Pairs) -> float:
    from sklearn.tree import DecisionTreeClassifier

    features, weight = np.vstack(list(pairs.y)), pairs.weight.ravel()
    side = np.repeat([0, 1], len(pairs.x))
    if features.shape[1] == 0:
        return 0.0
    model = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=_LEAF, random_state=0)
    chance = model.fit(features, side, sample_weight=weight).predict_proba(features)[:, 1]
    return float(np.average((chance - 0.5) ** 2, weights=weight))
