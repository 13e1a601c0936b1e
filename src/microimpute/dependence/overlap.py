"""Where receivers have no comparable donors: three diagnostics, flags and counts, and a trimming of donors.

Nothing is taken from the receivers. Whoever is flagged keeps what was drawn, and an analysis can be repeated without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, as_keys, as_matrix, as_weight, same_length
from microimpute.errors import FusionError
from microimpute.keyed import Keys, RowRandom

__all__ = ["Overlap", "Trimmed", "overlap", "trim"]

BoolArray = npt.NDArray[np.bool_]

#: Neighbours whose distance and weights are looked at.
NEAREST = 30
#: Quantile of the donors' own figures beyond which a receiver, or the other way round a donor, is flagged.
TAIL = 0.99
#: Fewest effective donors within reach.
FEWEST = 5.0
#: Parts of the cross-fitting of the propensity.
FOLDS = 3
#: Most rows of a side that the propensity learns from.
LEARN = 20_000
#: Rows whose distances are taken at a time.
CHUNK = 20_000


@dataclass(frozen=True)
class Overlap:
    """How well donors cover the receivers.

    Attributes
    ----------
    donor_propensity, receiver_propensity
        Probability of belonging to the donor file if both files had the same weight, shape (donors,) and (receivers,);
        cross-fitted, so that no household is judged by trees that saw it.
    auc
        Weighted area under the curve of that probability: .5 if the files can't be told apart, 1 if not one receiver
        is like a donor.
    distance
        Of each receiver to the `NEAREST`-th donor, as a share of what is usual among donors (1 is their median).
    effective
        Effective number of donors within reach of each receiver: (Σ w)² / Σ w² of those among the nearest 30 that are
        no farther than the donors' own 99% of distances to theirs. At most 30.
    unlike, far, few
        Flags of receivers: propensity below that of 99% of donors; distance beyond that of 99% of donors; effective
        number below 5. Shape (receivers,).
    donor_weight, receiver_weight
        As given.
    """

    donor_propensity: FloatArray
    receiver_propensity: FloatArray
    auc: float
    distance: FloatArray
    effective: FloatArray
    unlike: BoolArray
    far: BoolArray
    few: BoolArray
    donor_weight: FloatArray
    receiver_weight: FloatArray

    @property
    def flagged(self) -> BoolArray:
        """Receivers with any flag."""
        return self.unlike | self.far | self.few

    def counts(self, groups: npt.ArrayLike | None = None) -> dict[str, dict[str, float]]:
        """Count flagged receivers by group.

        Parameters
        ----------
        groups
            Group of each receiver, shape (receivers,); without, all are one group called ``"all"``.

        Returns
        -------
        dict
            For each group ``rows``, ``unlike``, ``far``, ``few``, ``flagged``, and ``share``, the flagged share of the
            group's weight.
        """
        named = np.full(len(self.far), "all") if groups is None else np.asarray(groups)
        same_length("groups", len(named), len(self.far))
        out = {}
        for name in np.unique(named):
            here = named == name
            weight = self.receiver_weight[here]
            out[str(name)] = {
                "rows": int(here.sum()),
                **{flag: int(getattr(self, flag)[here].sum()) for flag in ("unlike", "far", "few", "flagged")},
                "share": float(weight[self.flagged[here]].sum() / weight.sum()) if weight.sum() > 0 else 0.0,
            }
        return out


@dataclass(frozen=True)
class Trimmed:
    """Which donors stay.

    Attributes
    ----------
    keep
        Shape (donors,).
    rows, share
        Donors that are left out, and their share of the donors' weight.
    """

    keep: BoolArray
    rows: int
    share: float


def overlap(
    donor: npt.ArrayLike,
    receiver: npt.ArrayLike,
    donor_keys: npt.ArrayLike,
    receiver_keys: npt.ArrayLike,
    *,
    donor_weight: npt.ArrayLike | None = None,
    receiver_weight: npt.ArrayLike | None = None,
    importance: npt.ArrayLike | Mapping[int, float] | None = None,
    seed: int = 0,
) -> Overlap:
    """Measure how well donors cover receivers in the predictors.

    Parameters
    ----------
    donor, receiver
        The predictors as numbers, the same columns on both sides, shape (rows, k); NaN is a missing value. Classes
        without an order as one column per level.
    donor_keys, receiver_keys
        Keys of the rows, or of their households where these stay together in the cross-fitting; repeated keys are
        allowed.
    donor_weight, receiver_weight
        Shape (rows,).
    importance
        How much each predictor counts in distances, shape (k,), such as a forest's importances of the targets. A
        predictor that says nothing of the targets should not make a receiver far from donors.
    seed
        Of the cross-fitting.

    Returns
    -------
    Overlap

    Notes
    -----
    Distances are Euclidean between weighted ranks of the donors (each predictor in (0, 1), receivers placed among
    donors and beyond their range in proportion to it), times the square root of the importance; a missing value counts
    as the middle, with a difference to those observed. The propensity is that of boosted trees with each side's weights
    summing to one half. Source of the idea: Rosenbaum, P. R. and Rubin, D. B. (1983). The central role of the
    propensity score. Biometrika 70, 41–55; Kish, L. (1965). Survey Sampling, for the effective number.
    """
    theirs, ours = np.asarray(donor, dtype=np.float64), np.asarray(receiver, dtype=np.float64)
    theirs = as_matrix(theirs, len(theirs), "the donors' predictors")
    ours = as_matrix(ours, len(ours), "the receivers' predictors")
    k_theirs = as_keys(donor_keys, len(theirs), "the donors' keys")
    k_ours = as_keys(receiver_keys, len(ours), "the receivers' keys")
    if theirs.shape[1] != ours.shape[1]:
        raise FusionError(
            f"donors have {theirs.shape[1]} predictors and receivers {ours.shape[1]}", "Give the same columns."
        )
    if len(theirs) <= NEAREST:
        raise FusionError(f"there are only {len(theirs)} donors", f"Overlap is measured with more than {NEAREST}.")
    w_theirs = as_weight(donor_weight, len(theirs), "the donors' weight")
    w_ours = as_weight(receiver_weight, len(ours), "the receivers' weight")
    p_theirs, p_ours = _propensity(theirs, ours, w_theirs, w_ours, k_theirs, k_ours, seed)
    distance, effective, far = _near(*_places(theirs, ours, w_theirs, _counting(importance, theirs.shape[1])), w_theirs)
    return Overlap(
        donor_propensity=p_theirs,
        receiver_propensity=p_ours,
        auc=_auc(p_theirs, p_ours, w_theirs, w_ours),
        distance=distance,
        effective=effective,
        unlike=p_ours < _quantile(p_theirs, 1 - TAIL, w_theirs),
        far=far,
        few=effective < FEWEST,
        donor_weight=w_theirs,
        receiver_weight=w_ours,
    )


def trim(found: Overlap, share: float = 0.01) -> Trimmed:
    """Leave out donors that are like no receiver: their propensity is above that of nearly all receivers.

    Parameters
    ----------
    found
        What `overlap` returned.
    share
        Donors with a propensity above the weighted quantile 1 − share of the receivers' are left out.

    Raises
    ------
    FusionError
        If hardly a donor would be left.
    """
    if not 0 <= share < 0.5:
        raise FusionError(f"the share of trimming is {share!r}", "Give one from 0 to below 0.5.")
    keep = found.donor_propensity <= _quantile(found.receiver_propensity, 1 - share, found.receiver_weight)
    left = float(found.donor_weight[keep].sum() / found.donor_weight.sum())
    if left < 0.05:
        raise FusionError(f"trimming would leave {left:.1%} of the donors' weight", "The two files hardly overlap.")
    return Trimmed(keep, int((~keep).sum()), 1.0 - left)


def _counting(importance: npt.ArrayLike | Mapping[int, float] | None, columns: int) -> FloatArray:
    if importance is None:
        return np.ones(columns)
    given = [importance.get(j, 0.0) for j in range(columns)] if isinstance(importance, Mapping) else importance
    out = as_weight(given, columns, "the importance")
    return np.asarray(out / out.max())


def _quantile(values: FloatArray, level: float, weight: FloatArray) -> float:
    return float(np.quantile(values, level, weights=weight, method="inverted_cdf"))


def _propensity(
    donor: FloatArray,
    receiver: FloatArray,
    w_donor: FloatArray,
    w_receiver: FloatArray,
    k_donor: Keys,
    k_receiver: Keys,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Return each row's cross-fitted probability of being a donor."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    sides = [(donor, w_donor, k_donor, 1), (receiver, w_receiver, k_receiver, 0)]
    rows, weights, is_donor, part, learns = [], [], [], [], []
    for x, weight, keys, label in sides:
        order = np.argsort(keys, kind="stable")  # nothing depends on the order of the rows
        random = RowRandom(seed, label + 1, keys[order])
        rows.append(x[order])
        weights.append(weight[order] / weight.mean() * (len(donor) + len(receiver)) / (2 * len(x)))
        is_donor.append(np.full(len(x), label))
        part.append((random.uniform("part of the propensity") * FOLDS).astype(np.int64))
        learns.append(random.uniform("learns the propensity") < LEARN / len(x))
    x_all, w_all, y_all, part_all, learns_all = map(np.concatenate, (rows, weights, is_donor, part, learns))
    out = np.full(len(x_all), 0.5)
    with threadpool_limits(1):
        for fold in range(FOLDS):
            used = (part_all != fold) & learns_all & (w_all > 0)
            if len(np.unique(y_all[used])) < 2 or not (part_all == fold).any():
                continue
            # Where one side is thinned its rows stand for more.
            w = w_all[used] * np.where(y_all[used] == 1, *(0.5 / w_all[used & (y_all == s)].sum() for s in (1, 0)))
            model = HistGradientBoostingClassifier(
                max_iter=60, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False, random_state=0
            )
            model.fit(x_all[used], y_all[used], sample_weight=w * used.sum())
            out[part_all == fold] = model.predict_proba(x_all[part_all == fold])[:, 1]
    back = [np.empty(len(x)) for x, *_ in sides]
    for j, (_, _, keys, _) in enumerate(sides):
        back[j][np.argsort(keys, kind="stable")] = out[: len(donor)] if j == 0 else out[len(donor) :]
    return back[0], back[1]


def _places(
    donor: FloatArray, receiver: FloatArray, weight: FloatArray, importance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return both sides' places: weighted ranks among the donors, and beyond them in proportion to their range."""
    sides: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for j in range(donor.shape[1]):
        seen = ~np.isnan(donor[:, j])
        if importance[j] == 0 or not seen.any():
            continue
        values, place = np.unique(donor[seen, j], return_inverse=True)
        mass = np.bincount(place, weights=weight[seen])
        middle = (np.cumsum(mass) - mass / 2) / max(mass.sum(), 1e-300)
        width = max(values[-1] - values[0], 1e-300)
        for side, x in zip(sides, (donor[:, j], receiver[:, j]), strict=True):
            at = np.interp(x, values, middle)
            at += np.maximum(x - values[-1], 0.0) / width - np.maximum(values[0] - x, 0.0) / width
            gone = np.isnan(x)
            side.append(np.where(gone, 0.5, at) * np.sqrt(importance[j]))
            side.append(gone * np.sqrt(importance[j]) / 2)
    if not sides[0]:
        raise FusionError("no predictor counts in the distances", "Give one an importance above zero.")
    return np.column_stack(sides[0]), np.column_stack(sides[1])


def _near(donor: FloatArray, receiver: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return receivers' relative distance to the `NEAREST`-th donor, effective donors in reach, and who is far."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=NEAREST).fit(donor)
    own = found.kneighbors(donor, n_neighbors=NEAREST + 1)[0][:, NEAREST]  # the first is the donor itself
    usual, reach = (max(_quantile(own, level, weight), 1e-12) for level in (0.5, TAIL))
    last, effective = np.empty(len(receiver)), np.empty(len(receiver))
    for start in range(0, len(receiver), CHUNK):
        rows = slice(start, start + CHUNK)
        distance, who = found.kneighbors(receiver[rows])
        last[rows] = distance[:, -1]
        within = np.where(distance <= reach, weight[who], 0.0)
        squares = (within**2).sum(axis=1)
        effective[rows] = np.divide(within.sum(axis=1) ** 2, squares, out=np.zeros(len(who)), where=squares > 0)
    return last / usual, effective, last > reach


def _auc(donor: FloatArray, receiver: FloatArray, w_donor: FloatArray, w_receiver: FloatArray) -> float:
    """Weighted probability that a donor's propensity exceeds a receiver's, ties counting half."""
    values, place = np.unique(np.concatenate([donor, receiver]), return_inverse=True)
    one = np.bincount(place[: len(donor)], weights=w_donor, minlength=len(values)) / w_donor.sum()
    two = np.bincount(place[len(donor) :], weights=w_receiver, minlength=len(values)) / w_receiver.sum()
    return float(np.sum(one * (np.cumsum(two) - two / 2)))
