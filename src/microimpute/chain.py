"""Chains of blocks: each drawn from its own forest's leaves, given the predictors and the blocks before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block
from microimpute.encoding import feature_count, features, scores
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable
from microimpute.trees import LeafForest, grow

__all__ = ["Chain", "Growth", "Link", "whole_numbers"]

Features = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Growth:
    """How trees are grown; see `trees.grow`.

    Raises
    ------
    MethodError
        If a setting is out of range; names the method that it was given to.
    """

    method: str
    trees: int
    leaf: int
    features: float
    share: float

    def __post_init__(self) -> None:
        whole_numbers(self.method, trees=self.trees, leaf=self.leaf)
        for name, part in (("features", self.features), ("share", self.share)):
            if not isinstance(part, int | float) or not 0 < part <= 1:
                raise MethodError(f"{self.method}'s {name} is {part!r}", "Give a share above 0 and up to 1.")

    def grow(self, X: Features, Y: Table, weight: FloatArray, rng: np.random.Generator) -> LeafForest:
        """Grow a forest that separates the columns of Y."""
        return grow(
            X,
            scores(Y, weight),
            weight,
            rng,
            trees=self.trees,
            leaf=self.leaf,
            features=self.features,
            share=self.share,
        )


def whole_numbers(method: str, **settings: object) -> None:
    """Refuse settings that are not whole numbers of at least 1."""
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise MethodError(f"{method}'s {name} is {value!r}", "Give a whole number of at least 1.")


@dataclass(frozen=True)
class Link:
    """A block, the donors that it applies to (rows of the bundles), and their forest if there are any."""

    block: Block
    donors: IntArray
    forest: LeafForest | None


#: Makes a link's values, shape (rows, the block's targets), from its number, itself, what its trees read, the
#: rows meant, and the random numbers of all rows.
Take = Callable[[int, Link, Features, IntArray, RowRandom], FloatArray]


@dataclass(frozen=True)
class Chain:
    """Blocks in order, with all that drawing them needs.

    Attributes
    ----------
    predictors, columns
        What is read, and what is drawn.
    bundles
        float64, shape (donors, columns): the donors' values of what is drawn.
    links
        In the order of drawing; each reads the predictors and the blocks of the links before it.
    """

    predictors: tuple[Variable, ...]
    columns: tuple[Variable, ...]
    bundles: FloatArray
    links: tuple[Link, ...]

    @classmethod
    def grow(
        cls,
        X: Table,
        Y: Table,
        blocks: Sequence[Block],
        weight: FloatArray,
        rng: np.random.Generator,
        growth: Growth,
        *,
        by_value: bool = False,
    ) -> Self:
        """Grow each block's trees on the donors that it applies to and that have weight.

        With `by_value`, the donors of a block of one target stand in the order of its values: so they do in
        each leaf, where neighbours are then neighbours in value.
        """
        chain = cls(X.variables, Y.variables, Y.values, ())
        inputs, width = chain.inputs(X), chain._width()
        links: list[Link] = []
        for block in blocks:
            rows = np.flatnonzero(block.applies(Y.values) & (weight > 0))
            if by_value and len(block.targets) == 1:
                rows = rows[np.argsort(Y.values[rows, block.targets[0]], kind="stable")]
            forest = None
            if len(rows):
                part = Table(tuple(Y.variables[t] for t in block.targets), Y.values[rows][:, block.targets])
                read = np.ascontiguousarray(inputs[rows, :width])
                forest = growth.grow(read, part, weight[rows], rng)
            links.append(Link(block, rows, forest))
            width = chain._condition(inputs, width, block, Y.values)
        return cls(X.variables, Y.variables, Y.values, tuple(links))

    def draw(self, X: Table, rng: RowRandom, take: Take | None = None) -> FloatArray:
        """Draw block by block, shape (rows, columns); by default each from one donor."""
        out = np.zeros((len(X), len(self.columns)))
        inputs, width = self.inputs(X), self._width()
        for number, link in enumerate(self.links):
            rows = np.flatnonzero(link.block.applies(out))
            if link.forest is not None and len(rows):
                values = (take or self.take)(number, link, inputs, rows, rng)
                for target, column in zip(link.block.targets, values.T, strict=True):
                    out[rows, target] = column
            width = self._condition(inputs, width, link.block, out)
        return out

    def take(self, number: int, link: Link, inputs: Features, rows: IntArray, rng: RowRandom) -> FloatArray:
        """Take all of a block's values from one donor in each row's leaf."""
        assert link.forest is not None
        which, within = rng.uniform(f"tree {number}")[rows], rng.uniform(f"donor {number}")[rows]
        donors = link.donors[link.forest.draw(inputs, rows, which, within)]
        return np.asarray(self.bundles[donors[:, None], np.array(link.block.targets)])

    def inputs(self, X: Table) -> Features:
        """Make the matrix that trees read: predictors' features, and room for those of what is drawn."""
        room = self._width() + sum(map(feature_count, self.columns))
        inputs = np.zeros((len(X), room), dtype=np.float32)
        _fill(inputs, 0, self.predictors, X.values)
        return inputs

    def _width(self) -> int:
        return sum(map(feature_count, self.predictors))

    def _condition(self, inputs: Features, width: int, block: Block, Y: FloatArray) -> int:
        """Add a block's values to what the next blocks read; returns the new width."""
        return _fill(inputs, width, tuple(self.columns[t] for t in block.targets), Y[:, block.targets])

    def state(self, prefix: str = "") -> dict[str, npt.NDArray[Any]]:
        """Return the bundles, the rules' ties, and each block's donors and trees, each name with a prefix."""
        arrays: dict[str, npt.NDArray[Any]] = {f"{prefix}bundles": self.bundles}
        for number, link in enumerate(self.links):
            at = f"{prefix}{number}."
            arrays[f"{at}targets"] = np.array(link.block.targets, dtype=np.int32)
            arrays[f"{at}donors"] = link.donors
            for rule, any_of in enumerate(link.block.conditions):
                arrays[f"{at}condition.{rule}"] = np.array(any_of, dtype=np.int32)
            if link.forest is not None:
                arrays |= link.forest.state(at)
        return arrays

    @classmethod
    def from_state(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        predictors: tuple[Variable, ...],
        columns: tuple[Variable, ...],
        prefix: str = "",
    ) -> Self:
        """Rebuild from `state`, after checking every index.

        Raises
        ------
        MethodError
            If the arrays do not fit together.
        """
        empty = cls(predictors, columns, arrays[f"{prefix}bundles"], ())
        links: list[Link] = []
        width, number = empty._width(), 0
        while f"{prefix}{number}.targets" in arrays:
            at = f"{prefix}{number}."
            conditions = sorted(k for k in arrays if k.startswith(f"{at}condition."))
            block = Block(_whole(arrays[f"{at}targets"]), tuple(_whole(arrays[k]) for k in conditions))
            donors = arrays[f"{at}donors"]
            empty._check_block(block, donors)
            grown = f"{at}roots" in arrays
            forest = LeafForest.from_state(arrays, at, len(donors), width) if grown else None
            links.append(Link(block, donors, forest))
            width += sum(feature_count(columns[t]) for t in block.targets)
            number += 1
        if sorted(t for link in links for t in link.block.targets) != list(range(len(columns))):
            raise MethodError("the saved forest's blocks do not match its targets", "Save the model again.")
        return cls(predictors, columns, empty.bundles, tuple(links))

    def _check_block(self, block: Block, donors: npt.NDArray[Any]) -> None:
        positions = np.array([*block.targets, *(c for any_of in block.conditions for c in any_of)])
        whole = self.bundles.shape[1] == len(self.columns)
        inside = (positions >= 0).all() and (positions < len(self.columns)).all()
        known = (donors >= 0).all() and (donors < len(self.bundles)).all()
        if not (whole and inside and known):
            raise MethodError("the saved forest points outside its donors", "Save the model again.")


def _whole(array: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(i) for i in array)


def _fill(inputs: Features, at: int, variables: tuple[Variable, ...], values: FloatArray) -> int:
    for variable, column in zip(variables, values.T, strict=True):
        end = at + feature_count(variable)
        inputs[:, at:end] = features(variable, column)
        at = end
    return at
