"""Means and medians instead of draws: for comparison only."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.encoding import feature_count, features, scores
from microimpute.errors import MethodError
from microimpute.forests import trees
from microimpute.forests.leaves import LeafForest
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.methods.base import FloatArray, Method

__all__ = ["Mean", "Median"]

#: Steps at which a target's distribution is kept for its median.
STEPS = 64


class _Point(Method):
    """One number for all rows that look alike, from the leaves of a weighted forest.

    Parameters
    ----------
    trees
        Trees of the forest, per target.
    leaf
        Least number of donors that a leaf should hold.
    """

    reference = "What Rubin (1987, ch. 1) warns of; the forest is Breiman (2001), medians as in Meinshausen (2006)."
    advice = "Never for a file: `impute` refuses it. It is in the benchmark to show what a good mean error hides."
    joint = False
    proper = False
    coverage = "It makes no draws, so that nothing tells how far off it is."
    uses_weights = True
    valid = False

    def __init__(self, trees: int = 30, leaf: int = 20) -> None:
        for name, value in (("trees", trees), ("leaf", leaf)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise MethodError(f"{self.name}'s {name} is {value!r}", "Give a whole number of at least 1.")
        self.trees = trees
        self.leaf = leaf

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Grow a forest per target and sum up its leaves."""
        self.predictors, self.targets = X.variables, Y.variables
        inputs = self._inputs(X)
        self.forests, self.points, self.leaves = [], [], []
        for variable, y in zip(Y.variables, Y.values.T, strict=True):
            split_on = scores(Table((variable,), y[:, None]), weight) if variable.kind.is_class else y[:, None]
            forest = trees.grow(
                inputs, split_on, weight, rng, trees=self.trees, leaf=self.leaf, features=0.5, share=0.5
            )
            points, what = self._describe(variable, y, weight)
            self.forests.append(forest)
            self.points.append(points)
            self.leaves.append(_leaf_means(forest, what))
        return self

    @abstractmethod
    def _describe(self, variable: Variable, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what is averaged over a leaf, shape (donors, columns), and which value each column is of."""

    @abstractmethod
    def _decide(self, variable: Variable, points: FloatArray, found: FloatArray) -> FloatArray:
        """Turn averages, shape (rows, columns), into values, shape (rows,)."""

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Return each row's points, shape (rows, targets); nothing is random here."""
        inputs, rows = self._inputs(X), np.arange(len(X))
        out = np.zeros((len(X), len(self.targets)))
        parts = zip(self.targets, self.forests, self.points, self.leaves, strict=True)
        for number, (variable, forest, points, leaves) in enumerate(parts):
            found = np.zeros((len(X), leaves.shape[1]))
            count = len(forest.roots)
            for tree in range(count):
                found += leaves[forest.route(inputs, rows, np.full(len(X), (tree + 0.5) / count))]
            out[:, number] = self._decide(variable, points, found / count)
        return out

    def _inputs(self, X: Table) -> npt.NDArray[np.float32]:
        blocks = [np.zeros((len(X), 0), dtype=np.float32)]
        blocks += [features(v, x) for v, x in zip(X.variables, X.values.T, strict=True)]
        return np.ascontiguousarray(np.hstack(blocks))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the forests' trees and leaves."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, (forest, points, leaves) in enumerate(zip(self.forests, self.points, self.leaves, strict=True)):
            arrays |= forest.state(f"{number}.")
            arrays |= {f"{number}.points": points, f"{number}.means": leaves}
        return arrays

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back, after checking every index."""
        width = sum(map(feature_count, self.predictors))
        self.forests, self.points, self.leaves = [], [], []
        for number in range(len(self.targets)):
            donors = len(arrays[f"{number}.order"]) // max(1, len(arrays[f"{number}.roots"]))
            forest = LeafForest.from_state(arrays, f"{number}.", donors, width)
            points, leaves = arrays[f"{number}.points"], arrays[f"{number}.means"]
            if leaves.shape != (len(forest.left), len(points)) or not len(points):
                raise MethodError("the saved points do not fit their trees", "Save the model again.")
            self.forests.append(forest)
            self.points.append(points)
            self.leaves.append(leaves)
        return self


class Mean(_Point):
    """The conditional mean, and of classes the likeliest: least squared error, and no distribution at all."""

    name = "mean"
    summary = "Not a draw: the conditional mean, or likeliest class, by a forest. For comparison only."

    def _describe(self, variable: Variable, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        if not variable.kind.is_class:
            least = y.min()  # averaged from here on, so that a constant stays what it is to the last bit
            return np.array([least]), (y - least)[:, None]
        codes = np.unique(y[weight > 0])
        return codes, (y[:, None] == codes).astype(np.float64)

    def _decide(self, variable: Variable, points: FloatArray, found: FloatArray) -> FloatArray:
        if variable.kind.is_class:
            return np.asarray(points[np.argmax(found, axis=1)])
        mean = points[0] + found[:, 0]
        return np.asarray(np.rint(mean) if variable.kind is Kind.COUNT else mean)


class Median(_Point):
    """The conditional median, and of unordered classes the likeliest: least absolute error."""

    name = "median"
    summary = "Not a draw: the conditional median, or likeliest class, by a forest. For comparison only."

    def _describe(self, variable: Variable, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        codes = np.unique(y[weight > 0])
        if variable.kind is Kind.CATEGORICAL:
            return codes, (y[:, None] == codes).astype(np.float64)
        if len(codes) > STEPS:
            share = (np.arange(STEPS) + 0.5) / STEPS
            codes = np.unique(np.quantile(y, [*share, 1.0], weights=weight, method="inverted_cdf"))
        return codes, (y[:, None] <= codes).astype(np.float64)

    def _decide(self, variable: Variable, points: FloatArray, found: FloatArray) -> FloatArray:
        if variable.kind is Kind.CATEGORICAL:
            return np.asarray(points[np.argmax(found, axis=1)])
        return np.asarray(points[np.argmax(found >= 0.5 - 1e-9, axis=1)])


def _leaf_means(forest: LeafForest, what: FloatArray) -> FloatArray:
    """Return weighted means over each leaf's donors, shape (nodes, columns); zero at inner nodes."""
    mass = forest.cumulative[forest.end] - forest.cumulative[forest.start]
    leaf = (forest.left < 0) & (mass > 0)
    return np.where(leaf[:, None], forest.totals(what) / np.where(leaf, mass, 1.0)[:, None], 0.0)
