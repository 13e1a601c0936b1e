"""Trees grown by scikit-learn on resamples of the donors, and handed over with all donors in their leaves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.forests.leaves import LeafForest, Tree

__all__ = ["grow"]

#: Most donors that a tree is grown on.
MOST = 5_000
#: With no more donors than this, each tree is grown on as many as there are.
FEW = 500
#: Least weight of a leaf, in that of as many average donors as it has to hold.
LIGHT = 0.7
#: Cuts keep this far from the ends of the ranks.
LOWEST = 0.03

Features = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]


def grow(
    X: Features,
    scores: FloatArray,
    weight: FloatArray,
    rng: np.random.Generator,
    *,
    trees: int,
    leaf: int,
    features: float,
    share: float,
    ranked: FloatArray | None = None,
    cuts: int = 0,
) -> LeafForest:
    """Grow trees on bootstrap resamples of the donors and index all donors in their leaves.

    Growing on a part of the donors makes trees differ more and cost less; the leaves hold all donors anyway.

    Parameters
    ----------
    X
        float32, shape (donors, features).
    scores
        float64, shape (donors, targets): what splits should separate, on comparable scales.
    weight
        float64, shape (donors,), not negative: counts in the splits and in the draws.
    rng
        Source of the resamples and of the trees' seeds.
    trees
        Number of trees.
    leaf
        Least number of donors that a leaf should hold, all donors counted. It also has to have `LIGHT` times the
        weight of as many average donors: where a survey samples the rich often, at small weights, a leaf of them alone
        stands for hardly anyone, and receivers that get there would be given fortunes too often.
    features
        Share of features tried at each split.
    share
        Size of the resamples relative to the number of donors; at most `MOST` donors are resampled.
    ranked
        float64 in (0, 1), shape (donors, amounts): weighted ranks of amounts, for `cuts`.
    cuts
        Random cuts of each ranked amount that each tree separates besides the scores: being below a cut or
        not. Scores alone show shifts of the mean; where only spread or shape changes with the predictors, cuts
        do. Squared error of being below, over all cuts, is the continuous ranked probability score.

    Returns
    -------
    LeafForest
    """
    import joblib

    donors = len(X)
    size = max(1, min(round(donors * share), MOST)) if donors > FEW else donors
    light = min(0.5, LIGHT * leaf / donors)
    leaf = max(2 if leaf > 1 else 1, round(leaf * size / donors))
    seeds = rng.integers(2**31 - 1, size=trees)
    counts = [rng.multinomial(size, np.full(donors, 1.0 / donors)) for _ in range(trees)]
    # no n_jobs here: the caller sets the number of workers with joblib.parallel_config
    goals = [scores if ranked is None else np.hstack([scores, _below(ranked, cuts, weight, rng)]) for _ in seeds]
    grown = joblib.Parallel(prefer="threads")(
        joblib.delayed(_grow_one)(X, goal, weight * count, int(seed), leaf, light, features)
        for goal, seed, count in zip(goals, seeds, counts, strict=True)
    )
    return LeafForest.build(grown, weight)


def _below(ranked: FloatArray, cuts: int, weight: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Mark who is below random cuts; the marks of each amount get weighted variance one in all."""
    at = rng.uniform(LOWEST, 1 - LOWEST, (cuts, ranked.shape[1]))
    below = (ranked <= at[:, None, :]).astype(np.float64)
    below -= np.average(below, axis=1, weights=weight)[:, None, :]
    variance = np.average(below**2, axis=1, weights=weight)[:, None, :] * max(cuts, 1)
    marks = below / np.sqrt(np.where(variance > 0, variance, np.inf))
    return np.asarray(marks.transpose(1, 0, 2).reshape(len(ranked), -1))


def _grow_one(
    X: Features, scores: FloatArray, weight: FloatArray, seed: int, leaf: int, light: float, features: float
) -> Tree:
    from sklearn.tree import DecisionTreeRegressor

    kept = weight > 0
    if not kept.any():  # a resample of a handful of donors may miss all that have weight
        kept = np.ones(len(weight), dtype=bool)
        weight = kept.astype(np.float64)
    least = {"min_samples_leaf": leaf, "min_weight_fraction_leaf": light}
    model = DecisionTreeRegressor(**least, max_features=features, random_state=seed)
    model.fit(X[kept], scores[kept], sample_weight=weight[kept])
    tree = model.tree_
    return Tree(
        tree.children_left.astype(np.int32),
        tree.children_right.astype(np.int32),
        np.maximum(tree.feature, 0).astype(np.int32),
        tree.threshold.astype(np.float64),
        tree.apply(X).astype(np.int32),
    )
