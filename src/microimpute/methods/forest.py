"""The default: blocks of targets from the leaves of weighted trees, each block given the ones before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute import trees
from microimpute.encoding import feature_count, features, scores
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable
from microimpute.methods.base import FloatArray, Method

__all__ = ["Forest"]

Blocks = tuple[tuple[int, ...], ...]


class Forest(Method):
    """Joint draws of blocks of targets from the leaves of multi-output regression trees.

    Parameters
    ----------
    trees
        Trees per block and implicate.
    leaf
        Least number of distinct resampled donors in a leaf.
    features
        Share of the features tried at each split.
    block
        Targets per block. Each block is one donor's bundle, conditioned on the blocks before it in the order
        of the targets. Targets that edit rules tie to each other share a block whatever its size.
    """

    name = "forest"
    summary = "Blocks of targets from one donor each, from the leaves of weighted trees; blocks are chained."
    reference = (
        "Meinshausen (2006); Ćevid et al. (2022); leaf draws as in synthpop's CART (Nowok et al. 2016)."
    )
    joint = True
    proper = True
    uses_weights = True

    def __init__(self, trees: int = 20, leaf: int = 10, features: float = 0.5, block: int = 1) -> None:
        for name, value in (("trees", trees), ("leaf", leaf), ("block", block)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise MethodError(f"forest's {name} is {value!r}", "Give a whole number of at least 1.")
        if not 0 < features <= 1:
            raise MethodError(f"forest's features is {features!r}", "Give a share above 0 and up to 1.")
        self.trees = trees
        self.leaf = leaf
        self.features = features
        self.block = block

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Grow each block's trees on the predictors and the blocks before it."""
        self.predictors, self.targets = X.variables, Y.variables
        self.bundles = Y.values
        self.blocks = plan(len(Y.variables), self.block, Y.together)
        inputs = self._inputs(X)
        self.forests: list[trees.LeafForest] = []
        width = self._width()
        for block in self.blocks:
            part = Table(tuple(Y.variables[t] for t in block), Y.values[:, block])
            self.forests.append(
                trees.grow(
                    np.ascontiguousarray(inputs[:, :width]),
                    scores(part, weight),
                    weight,
                    rng,
                    trees=self.trees,
                    leaf=self.leaf,
                    features=self.features,
                )
            )
            width = self._condition(inputs, width, block, self.bundles)
        return self

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw block by block, each from one donor, shape (rows, targets)."""
        out = np.empty((len(X), len(self.targets)))
        inputs = self._inputs(X)
        width = self._width()
        for number, (block, forest) in enumerate(zip(self.blocks, self.forests, strict=True)):
            donors = forest.draw(inputs, rng.uniform(f"tree {number}"), rng.uniform(f"donor {number}"))
            out[:, block] = self.bundles[donors][:, block]
            width = self._condition(inputs, width, block, out)
        return out

    def _width(self) -> int:
        return sum(map(feature_count, self.predictors))

    def _inputs(self, X: Table) -> npt.NDArray[np.float32]:
        """Make the matrix that trees read: predictors' features, and room for those of the targets."""
        room = self._width() + sum(map(feature_count, self.targets))
        inputs = np.zeros((len(X), room), dtype=np.float32)
        _fill(inputs, 0, self.predictors, X.values)
        return inputs

    def _condition(
        self, inputs: npt.NDArray[np.float32], width: int, block: tuple[int, ...], Y: FloatArray
    ) -> int:
        """Add a block's values to what the next blocks read; returns the new width."""
        return _fill(inputs, width, tuple(self.targets[t] for t in block), Y[:, block])

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the donors' bundles, the order of the blocks and their trees."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "bundles": self.bundles,
            "blocks": np.array([t for b in self.blocks for t in b], dtype=np.int32),
        }
        arrays["block_sizes"] = np.array([len(b) for b in self.blocks], dtype=np.int32)
        for number, forest in enumerate(self.forests):
            arrays |= forest.state(f"{number}.")
        return arrays

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take the arrays back, after checking every index in them."""
        self.bundles = arrays["bundles"]
        ends = np.cumsum(arrays["block_sizes"])
        flat = arrays["blocks"].tolist()
        self.blocks = tuple(tuple(flat[e - s : e]) for s, e in zip(arrays["block_sizes"], ends, strict=True))
        if sorted(flat) != list(range(len(self.targets))) or self.bundles.shape[1] != len(flat):
            raise MethodError("the saved forest's blocks do not match its targets", "Save the model again.")
        width = self._width()
        self.forests = []
        for number, block in enumerate(self.blocks):
            self.forests.append(trees.LeafForest.from_state(arrays, f"{number}.", len(self.bundles), width))
            width += sum(feature_count(self.targets[t]) for t in block)
        return self


def _fill(
    inputs: npt.NDArray[np.float32], at: int, variables: tuple[Variable, ...], values: FloatArray
) -> int:
    for variable, column in zip(variables, values.T, strict=True):
        end = at + feature_count(variable)
        inputs[:, at:end] = features(variable, column)
        at = end
    return at


def plan(targets: int, size: int, together: tuple[tuple[int, ...], ...]) -> Blocks:
    """Divide targets into blocks of a size, in order, keeping tied ones in one block.

    Parameters
    ----------
    targets
        Number of targets.
    size
        Targets per block, where ties do not ask for more.
    together
        Groups of positions that must share a block; groups that overlap are merged.

    Returns
    -------
    tuple of tuples of int
        Positions, block by block; each position once.
    """
    group = list(range(targets))
    for tied in together:
        named = {group[t] for t in tied}
        group = [min(named) if g in named else g for g in group]
    units = [tuple(t for t in range(targets) if group[t] == g) for g in dict.fromkeys(group)]
    blocks: list[tuple[int, ...]] = []
    for unit in units:
        if blocks and len(blocks[-1]) + len(unit) <= size:
            blocks[-1] += unit
        else:
            blocks.append(unit)
    return tuple(blocks)
