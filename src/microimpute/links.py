"""Links of a chain: how a block's forest is grown, and the lines that adjust what its leaves give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from microimpute.adjustment import Adjustment, adjust, separations
from microimpute.blocks import Block
from microimpute.encoding import scores
from microimpute.errors import MethodError
from microimpute.kinds import Table
from microimpute.transforms import Inputs
from microimpute.trees import LeafForest, grow
from microimpute.tuning import tune

__all__ = ["Donors", "Growth", "Link", "whole_numbers"]

Features = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Growth:
    """How trees are grown, see `trees.grow`, and whether amounts are adjusted, see `adjustment`.

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
    cuts: int = 0
    adjust: bool = False
    tuned: bool = False
    ridge: float = 1.0

    def __post_init__(self) -> None:
        whole_numbers(self.method, trees=self.trees, leaf=self.leaf)
        for name, part in (("features", self.features), ("share", self.share)):
            if not isinstance(part, int | float) or not 0 < part <= 1:
                raise MethodError(f"{self.method}'s {name} is {part!r}", "Give a share above 0 and up to 1.")

    def grow(
        self,
        X: Features,
        Y: Table,
        weight: FloatArray,
        rng: np.random.Generator,
        lines: Sequence[Adjustment] = (),
    ) -> LeafForest:
        """Grow a forest that separates the columns of Y, and what lines leave of them."""
        columns, ranked = separations(Y, lines, weight) if self.cuts or lines else (scores(Y, weight), None)
        return grow(
            X,
            columns,
            weight,
            rng,
            trees=self.trees,
            leaf=self.leaf,
            features=self.features,
            share=self.share,
            ranked=ranked,
            cuts=self.cuts,
        )


def whole_numbers(method: str, **settings: object) -> None:
    """Refuse settings that are not whole numbers of at least 1."""
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise MethodError(f"{method}'s {name} is {value!r}", "Give a whole number of at least 1.")


@dataclass(frozen=True)
class Link:
    """A block, the donors that it applies to (rows of the bundles), their forest if there are any, and adjustments."""

    block: Block
    donors: IntArray
    forest: LeafForest | None
    lines: tuple[Adjustment, ...] = ()


@dataclass(frozen=True)
class Donors:
    """The donors that a block applies to: what trees read of them, the block's targets, weights, households."""

    read: Features
    part: Table
    weight: FloatArray
    households: npt.NDArray[np.uint64] | None

    def link(self, link: Link, growth: Growth, free: Sequence[int], inputs: Inputs, rng: np.random.Generator) -> Link:
        """Fit the lines that help, and grow the forest."""
        lines: tuple[Adjustment, ...] = ()
        design = inputs.dense() if free else np.zeros((len(self.part), 0))
        if growth.tuned:
            tuned = tune(
                self.part, free, self.read, design, self.weight, self.households, rng,
                growth.leaf, growth.ridge, growth.cuts,
            )  # fmt: skip
            growth = replace(growth, leaf=tuned.leaf)
            lines = adjust(self.part, tuned.helped, design, self.weight, growth.ridge)
        forest = growth.grow(self.read, self.part, self.weight, rng, lines)
        lines = tuple(line.ranked(forest, self.read, design, self.weight, rng) for line in lines)
        return Link(link.block, link.donors, forest, lines)
