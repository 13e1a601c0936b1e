"""Tuning on donors held out: how many donors a leaf should hold, and which targets a line helps.

Half of the donors' households grow trees and fit lines, the other half judge. Leaves of several sizes are those of the
same trees, cut back. What is judged is the distribution that the trees' leaves give together: squared errors of the
probabilities of being below fixed cuts, and of each class, which is what the continuous ranked probability score and
the Brier score add up; no draw adds noise of its own. Whether a line helps is judged by squared errors of scores.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.encoding import scores
from microimpute.forests.adjustment import Adjustment, adjust, ranks
from microimpute.forests.leaves import LeafForest
from microimpute.forests.trees import grow
from microimpute.kinds import Table
from microimpute.regressions.glm import effective

__all__ = ["Judged", "Tuned", "tune"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

#: Most donors who learn and judge, trees that are grown; with fewer effective donors nobody can say.
JUDGED, TREES, TOO_FEW = 2_000, 10, 100
#: Sizes of leaves that are tried, in sizes asked for.
SIZES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: A line must be better by so many standard errors.
SURE = 1.0
#: Weighted ranks at which distributions are compared.
CUTS = np.arange(0.05, 1.0, 0.1)


@dataclass(frozen=True)
class Tuned:
    """Least number of donors in a leaf, and positions of targets that a line helps."""

    leaf: int
    helped: frozenset[int]


@dataclass(frozen=True)
class Judged:
    """Donors with weight.

    Attributes
    ----------
    part
        The block's targets.
    read
        float32, shape (donors, features): what trees read.
    design
        float64, shape (donors, 1 + columns): what lines read.
    weight, households
        Shape (donors,).
    """

    part: Table
    read: Features
    design: FloatArray
    weight: FloatArray
    households: npt.NDArray[np.uint64] | None


def tune(donors: Judged, free: Collection[int], rng: np.random.Generator, leaf: int, ridge: float, cuts: int) -> Tuned:
    """Choose a block's leaf size and the targets to adjust.

    Parameters
    ----------
    donors
        All that the block applies to.
    free
        Positions of targets that may be adjusted; see `adjustment.adjust`.
    rng
        Source of the halves and of the trees.
    leaf
        The size asked for, and kept with few donors.
    ridge, cuts
        See `glm` and `trees.grow`.
    """
    if effective(donors.weight).sum() < TOO_FEW:
        return Tuned(leaf, frozenset())
    learn, judge = _halves(len(donors.part), donors.households, rng)
    if min(len(learn), len(judge)) < TOO_FEW // 4:
        return Tuned(leaf, frozenset())
    weight = donors.weight[learn]
    held = _Held(donors.part.take(learn), donors.part.take(judge), donors.read[judge], weight, donors.weight[judge])
    forest = grow(
        donors.read[learn],
        scores(held.learning, weight),
        weight,
        rng,
        trees=TREES,
        leaf=max(2, round(leaf * SIZES[0])),
        features=0.5,
        share=1.0,
        ranked=_ranked(held.learning, weight),
        cuts=cuts,
    )
    forests = {size: forest.coarser(round(leaf * size)) for size in SIZES if leaf * size <= len(learn) / 4 or size <= 1}
    size = _best_size(held, forests)
    lines = adjust(held.learning, free, donors.design[learn], weight, ridge) if free else ()
    helped = _helped(held, forests[size], lines, donors.design[learn], donors.design[judge])
    return Tuned(max(1, round(leaf * size)), frozenset(helped))


@dataclass(frozen=True)
class _Held:
    """Targets of those who learn and of those who judge, what trees read of these, and weights."""

    learning: Table
    judging: Table
    read: Features
    weight: FloatArray
    judges: FloatArray

    def sure(self, better: FloatArray) -> float:
        """Say by how many standard errors a mean over those who judge is above zero."""
        mean = np.average(better, weights=self.judges)
        error = np.sqrt(np.sum(self.judges**2 * (better - mean) ** 2)) / self.judges.sum()
        return float(mean / error) if error > 0 else 0.0


def _best_size(held: _Held, forests: dict[float, LeafForest]) -> float:
    learnt, truth = _marks(held)
    everyone = np.ones(len(learnt), dtype=bool)
    loss = {
        size: np.sum((truth - _means(forest, held.read, everyone, learnt)) ** 2, axis=1)
        for size, forest in forests.items()
    }
    best = min(loss, key=lambda size: float(np.average(loss[size], weights=held.judges)))
    return best


def _marks(held: _Held) -> tuple[FloatArray, FloatArray]:
    """Mark being below cuts, and classes, among those who learn and those who judge; each target counts alike."""
    learnt, truth = [], []
    for position, variable in enumerate(held.learning.variables):
        ours, theirs = held.learning.values[:, position], held.judging.values[:, position]
        if variable.kind.is_class:
            levels = np.unique(ours)
            a, b = ours[:, None] == levels, theirs[:, None] == levels
        else:
            at = np.quantile(ours, CUTS, weights=held.weight, method="inverted_cdf")
            at = np.unique(np.append(at, 0.0)) if (ours == 0).any() else np.unique(at)
            a, b = ours[:, None] <= at, theirs[:, None] <= at
        share = np.clip(np.average(a, axis=0, weights=held.weight), 0.0, 1.0)  # rounding may pass the ends
        whole = np.sqrt(np.sum(share * (1 - share)))
        learnt.append(a / whole if whole > 0 else a * 0.0)
        truth.append(b / whole if whole > 0 else b * 0.0)
    return np.hstack(learnt), np.hstack(truth)


def _ranked(part: Table, weight: FloatArray) -> FloatArray:
    amounts = [y for v, y in zip(part.variables, part.values.T, strict=True) if not v.kind.is_class]
    return np.column_stack([ranks(y, weight) for y in amounts]) if amounts else np.zeros((len(part), 0))


def _helped(
    held: _Held, forest: LeafForest, lines: Sequence[Adjustment], design: FloatArray, theirs: FloatArray
) -> set[int]:
    """Say for which targets leaf means of residuals added to the line do better than leaf means of scores."""
    better: dict[int, FloatArray] = {}
    for line in lines:
        y = held.judging.values[:, line.position]
        own = np.ones(len(y), bool) if line.members.all() else np.sign(y) == np.sign(line.scale.values[-1])
        score, level = line.scale.scores(y[own]), theirs[own] @ line.beta
        raw = np.where(line.members, line.rest + design @ line.beta, 0.0)
        plain, rest = _means(forest, held.read[own], line.members, np.column_stack([raw, line.rest])).T
        gain = better.setdefault(line.position, np.zeros(len(y)))
        gain[own] += (score - plain) ** 2 - (score - level - rest) ** 2
    return {position for position, gain in better.items() if held.sure(gain) > SURE}


def _halves(
    donors: int, households: npt.NDArray[np.uint64] | None, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    chosen = np.arange(donors) if donors <= JUDGED else np.sort(rng.choice(donors, JUDGED, replace=False))
    known, place = np.unique(chosen if households is None else households[chosen], return_inverse=True)
    learns = (rng.permutation(len(known)) < len(known) / 2)[place]
    return chosen[learns], chosen[~learns]


def _means(forest: LeafForest, read: Features, members: BoolArray, what: FloatArray) -> FloatArray:
    """Average over trees the weighted means of each row's leaf, members only, shape (rows, columns)."""
    marked = np.column_stack([members, np.where(members[:, None], what, 0.0)])
    sums, everywhere = forest.totals(marked), np.diff(forest.cumulative) @ marked[forest.order]
    trees, rows = len(forest.roots), np.arange(len(read))
    out = np.zeros((len(read), what.shape[1]))
    for tree in range(trees):
        found = sums[forest.route(read, rows, np.full(len(read), (tree + 0.5) / trees))]
        found = np.where(found[:, :1] > 0, found, everywhere)
        out += found[:, 1:] / found[:, :1]
    return out / trees
