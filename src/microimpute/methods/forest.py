"""The default: targets in blocks from the leaves of weighted trees, each block given the ones before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute import trees
from microimpute.blocks import Block, plan
from microimpute.encoding import feature_count, features, scores
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.methods.base import FloatArray, Method

__all__ = ["Forest"]

Features = npt.NDArray[np.float32]


class Forest(Method):
    """Draws of blocks of targets from the leaves of regression trees.

    Totals that identities derive from the targets (net worth, say) lead: they are drawn first, together from
    one donor, all blocks are conditioned on them, and then they are dropped, to be derived from the parts.
    Without this lead the parts of a long chain are too independent, and the totals too even.

    Parameters
    ----------
    trees
        Trees per block and implicate.
    leaf
        Least number of donors that a leaf should hold.
    features
        Share of the features tried at each split.
    share
        Share of the donors that each tree is grown on.
    block
        Targets per block. Each block is one donor's bundle, conditioned on the blocks before it in the order
        of the targets. Parts of one total share a block if they are no more than fit; targets that edit rules
        tie to each other share one whatever its size.
    """

    name = "forest"
    summary = "Targets in chained blocks, each from one donor in the leaves of weighted trees."
    reference = "Meinshausen (2006); Ćevid et al. (2022); leaf draws as in synthpop's CART (Nowok et al. 2016)."
    joint = True
    proper = True
    uses_weights = True

    def __init__(
        self, trees: int = 10, leaf: int = 10, features: float = 0.5, share: float = 0.5, block: int = 4
    ) -> None:
        for name, value in (("trees", trees), ("leaf", leaf), ("block", block)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise MethodError(f"forest's {name} is {value!r}", "Give a whole number of at least 1.")
        for name, part in (("features", features), ("share", share)):
            if not isinstance(part, int | float) or not 0 < part <= 1:
                raise MethodError(f"forest's {name} is {part!r}", "Give a share above 0 and up to 1.")
        self.trees = trees
        self.leaf = leaf
        self.features = features
        self.share = share
        self.block = block

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Grow each block's trees on the predictors and the blocks before it."""
        self.predictors, self.targets = X.variables, Y.variables
        self.guides = 0 if Y.totals is None else Y.totals.shape[1]
        Y = _led_by_totals(Y)
        self.bundles = Y.values
        self.blocks = plan(Y, self.block)
        self.donors: list[npt.NDArray[np.int64]] = []
        self.forests: list[trees.LeafForest | None] = []
        inputs = self._inputs(X)
        width = self._width()
        for block in self.blocks:
            rows = np.flatnonzero(block.applies(Y.values) & (weight > 0))
            self.donors.append(rows)
            self.forests.append(self._grow(inputs[rows, :width], Y, block, rows, weight[rows], rng))
            width = self._condition(inputs, width, block, Y.values)
        return self

    def _grow(
        self,
        inputs: Features,
        Y: Table,
        block: Block,
        rows: npt.NDArray[np.int64],
        weight: FloatArray,
        rng: np.random.Generator,
    ) -> trees.LeafForest | None:
        if not len(rows):
            return None
        part = Table(tuple(Y.variables[t] for t in block.targets), Y.values[rows][:, block.targets])
        return trees.grow(
            np.ascontiguousarray(inputs),
            scores(part, weight),
            weight,
            rng,
            trees=self.trees,
            leaf=self.leaf,
            features=self.features,
            share=self.share,
        )

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw block by block, each from one donor, shape (rows, targets)."""
        out = np.zeros((len(X), len(self._columns)))
        inputs = self._inputs(X)
        width = self._width()
        for number, (block, donors, forest) in enumerate(zip(self.blocks, self.donors, self.forests, strict=True)):
            rows = np.flatnonzero(block.applies(out))
            if forest is not None and len(rows):
                which, within = rng.uniform(f"tree {number}")[rows], rng.uniform(f"donor {number}")[rows]
                chosen = donors[forest.draw(inputs, rows, which, within)]
                for target in block.targets:
                    out[rows, target] = self.bundles[chosen, target]
            width = self._condition(inputs, width, block, out)
        return out[:, self.guides :]

    @property
    def _columns(self) -> tuple[Variable, ...]:
        """What is drawn: the guiding totals, which are dropped again, and the targets."""
        return (*_guides(self.guides), *self.targets)

    def _width(self) -> int:
        return sum(map(feature_count, self.predictors))

    def _inputs(self, X: Table) -> Features:
        """Make the matrix that trees read: predictors' features, and room for those of the targets."""
        room = self._width() + sum(map(feature_count, self._columns))
        inputs = np.zeros((len(X), room), dtype=np.float32)
        _fill(inputs, 0, self.predictors, X.values)
        return inputs

    def _condition(self, inputs: Features, width: int, block: Block, Y: FloatArray) -> int:
        """Add a block's values to what the next blocks read; returns the new width."""
        return _fill(inputs, width, tuple(self._columns[t] for t in block.targets), Y[:, block.targets])

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the donors' bundles, the rules' ties, and each block's donors and trees."""
        arrays: dict[str, npt.NDArray[Any]] = {"bundles": self.bundles, "guides": np.array([self.guides])}
        for number, (block, donors, forest) in enumerate(zip(self.blocks, self.donors, self.forests, strict=True)):
            arrays[f"{number}.targets"] = np.array(block.targets, dtype=np.int32)
            arrays[f"{number}.donors"] = donors
            for rule, any_of in enumerate(block.conditions):
                arrays[f"{number}.condition.{rule}"] = np.array(any_of, dtype=np.int32)
            if forest is not None:
                arrays |= forest.state(f"{number}.")
        return arrays

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take the arrays back, after checking every index in them."""
        self.bundles = arrays["bundles"]
        self.guides = max(0, int(arrays["guides"][0]))
        self.blocks, self.donors, self.forests = (), [], []
        width, number = self._width(), 0
        while f"{number}.targets" in arrays:
            conditions = [k for k in arrays if k.startswith(f"{number}.condition.")]
            block = Block(_whole(arrays[f"{number}.targets"]), tuple(_whole(arrays[k]) for k in sorted(conditions)))
            donors = arrays[f"{number}.donors"]
            self._check_block(block, donors)
            self.blocks += (block,)
            self.donors.append(donors)
            grown = f"{number}.roots" in arrays
            forest = trees.LeafForest.from_state(arrays, f"{number}.", len(donors), width) if grown else None
            self.forests.append(forest)
            width += sum(feature_count(self._columns[t]) for t in block.targets)
            number += 1
        if sorted(t for b in self.blocks for t in b.targets) != list(range(len(self._columns))):
            raise MethodError("the saved forest's blocks do not match its targets", "Save the model again.")
        return self

    def _check_block(self, block: Block, donors: npt.NDArray[Any]) -> None:
        positions = np.array([*block.targets, *(c for any_of in block.conditions for c in any_of)])
        columns = self.bundles.shape[1] == len(self._columns)
        inside = (positions >= 0).all() and (positions < len(self._columns)).all()
        known = (donors >= 0).all() and (donors < len(self.bundles)).all()
        if not (columns and inside and known):
            raise MethodError("the saved forest points outside its donors", "Save the model again.")


def _guides(count: int) -> tuple[Variable, ...]:
    return tuple(Variable(f"total {number}", Kind.CONTINUOUS) for number in range(count))


def _led_by_totals(Y: Table) -> Table:
    """Put the totals before the targets, tied to one donor, so that all else is conditioned on them."""
    if Y.totals is None:
        return Y
    count = Y.totals.shape[1]
    guided = Y.ties.moved(count)
    return Table(
        (*_guides(count), *Y.variables),
        np.hstack([Y.totals, Y.values]),
        replace(guided, together=(tuple(range(count)), *guided.together)),
    )


def _whole(array: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(i) for i in array)


def _fill(inputs: Features, at: int, variables: tuple[Variable, ...], values: FloatArray) -> int:
    for variable, column in zip(variables, values.T, strict=True):
        end = at + feature_count(variable)
        inputs[:, at:end] = features(variable, column)
        at = end
    return at
