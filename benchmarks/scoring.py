"""Scores of the comparisons here: energy score, CRPS, a classifier's area under the curve, broken rules.

Amounts are compared as asinh of thousands of dollars, standardised by the donors' weighted mean and standard
deviation, so that a fortune does not drown everything else.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Scale:
    """Standardised asinh of thousands, from the donors."""

    def __init__(self, Y: FloatArray, weight: FloatArray) -> None:
        z = np.arcsinh(Y / 1000)
        self.mean = np.average(z, axis=0, weights=weight)
        spread = np.sqrt(np.average((z - self.mean) ** 2, axis=0, weights=weight))
        self.spread = np.where(spread > 0, spread, 1.0)

    def __call__(self, Y: FloatArray) -> FloatArray:
        """Put amounts of shape (…, targets) on this scale."""
        return np.asarray((np.arcsinh(Y / 1000) - self.mean) / self.spread)


def energy_score(draws: FloatArray, truth: FloatArray, weight: FloatArray) -> float:
    """Weighted mean of E|Y − y| − ½ E|Y − Y'| over rows, fair in m (Gneiting & Raftery 2007, eq. 21).

    `draws` has shape (m, rows, targets), `truth` (rows, targets), both standardised.
    """
    m = len(draws)
    near = np.mean([np.linalg.norm(d - truth, axis=1) for d in draws], axis=0)
    pairs = [np.linalg.norm(draws[i] - draws[j], axis=1) for i in range(m) for j in range(i)]
    return float(np.average(near - np.sum(pairs, axis=0) / (m * (m - 1)), weights=weight))


def crps(draws: FloatArray, truth: FloatArray, weight: FloatArray) -> float:
    """Weighted mean over rows and targets of the fair continuous ranked probability score."""
    m = len(draws)
    ordered = np.sort(draws, axis=0)
    factor = (2 * np.arange(1, m + 1) - m - 1)[:, None, None]
    spread = 2 * (factor * ordered).sum(axis=0) / (m * (m - 1))
    return float(np.average((np.abs(draws - truth).mean(axis=0) - spread / 2).mean(axis=1), weights=weight))


def classifier_auc(X: FloatArray, drawn: FloatArray, truth: FloatArray, weight: FloatArray) -> float:
    """Area under the curve of boosted trees that tell (X, drawn) from (X, truth); .5 cannot be told.

    Cross-fitted in five folds with a row's two copies in one fold.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    features = np.vstack([np.hstack([X, truth]), np.hstack([X, drawn])])
    label = np.repeat([1, 0], len(X))
    group = np.tile(np.arange(len(X)), 2)
    both = np.tile(weight / weight.mean(), 2)
    guess = np.zeros(len(label))
    for train, test in GroupKFold(5).split(features, label, group):
        model = HistGradientBoostingClassifier(max_iter=100, random_state=0)
        model.fit(features[train], label[train], sample_weight=both[train])
        guess[test] = model.predict_proba(features[test])[:, 1]
    return float(roc_auc_score(label, guess, sample_weight=both))


def rank_correlation_error(X: FloatArray, drawn: FloatArray, truth: FloatArray) -> float:
    """Mean absolute difference of all Spearman correlations among predictors and targets."""
    from scipy.stats import rankdata

    def correlations(Y: FloatArray) -> FloatArray:
        ranks = rankdata(np.hstack([X, Y]), axis=0)
        return np.asarray(np.corrcoef(ranks.T))

    return float(np.abs(correlations(drawn) - correlations(truth)).mean())
