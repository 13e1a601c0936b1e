"""Links of a chain: how a block's forest is grown, and the lines that adjust what its leaves give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block
from microimpute.encoding import scores
from microimpute.errors import MethodError
from microimpute.forests.adjustment import Adjustment, adjust, separations
from microimpute.forests.leaves import LeafForest
from microimpute.forests.trees import grow
from microimpute.forests.tuning import Judged, tune
from microimpute.kinds import Kind, Table
from microimpute.regressions import glm
from microimpute.transforms import Inputs, take

__all__ = ["Donors", "Growth", "Link", "uneven", "whole_numbers"]

Features = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Fewest effective donors for regressions that trees read, folds that predict each other, most levels of a class that
#: has any.
FEWEST, FOLDS, LEVELS = 100, 3, 12
#: Where leaves are sized by the number of donors: the share of them that a leaf should hold, and the least number.
PART, SMALLEST = 50, 3
#: Design effect of the Bayesian bootstrap; how many times as large it is at least where weights differ by themselves;
#: leaves that uneven weights leave at least, by number of donors.
BOOTSTRAP, MORE, LEAVES = 2.0, 1.15, 20


@dataclass(frozen=True)
class Growth:
    """How a block's trees are grown.

    `trees`, `leaf`, `features`, `share` and `cuts` are those of `trees.grow`, `ridge` that of `glm`. With `tuned`,
    leaves may be larger or smaller where donors held out say so (see `tuning`); with `predict`, trees also read what
    ridge regressions predict of the block's targets; with `adjust` (of no use without `tuned`), drawn amounts are
    moved along lines that help (see `adjustment`). With `sized`, a leaf holds at most a `PART`th of the donors, and no
    fewer than `SMALLEST`: of few donors ten are no neighbours, and draws among them flatten slopes.

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
    predict: bool = False
    ridge: float = 1.0
    sized: bool = False

    @property
    def regresses(self) -> bool:
        """Whether regressions are needed."""
        return self.adjust or self.predict

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
    """A block with what draws it.

    Attributes
    ----------
    block
        Its targets.
    donors
        int64: the donors that it applies to, as rows of the bundles.
    forest
        Trees over them; None where there are none.
    lines
        What moves drawn amounts.
    predicts
        Coefficients of the regressions whose predictions the trees read besides their features, shape (folds, targets,
        columns): each fold's are from donors of the other folds.
    """

    block: Block
    donors: IntArray
    forest: LeafForest | None
    lines: tuple[Adjustment, ...] = ()
    predicts: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0)))

    def ranked(self, donors: IntArray, linear: Inputs, weight: FloatArray) -> Self:
        """Give lines the ranks of their scores among some draws; those that no draw moves along are left out."""
        ranked = (line.ranked(donors, linear, weight) for line in self.lines)
        return replace(self, lines=tuple(line for line in ranked if line is not None))

    def moved(self, values: FloatArray, donors: IntArray, linear: Inputs) -> FloatArray:
        """Move the values of donors drawn, shape (rows, the block's targets), along the lines."""
        out = values.copy()
        for line in self.lines:
            out[:, line.position] = line.move(values[:, line.position], donors, linear)
        return out

    def reads(self, inputs: Features, linear: Inputs, which: FloatArray) -> Features:
        """Put together what the trees read of some rows: features, and predictions from what regressions read.

        Parameters
        ----------
        which
            float64 in (0, 1), shape (rows,): chooses the fold that a row is predicted by. Trees know predictions by
            part of the donors; by all donors they would scatter less, and rows would get to other leaves than donors.
        """
        folds, targets, _ = self.predicts.shape
        predicted = np.zeros((len(inputs), targets), dtype=np.float32)
        fold = (which * max(folds, 1)).astype(np.int64)
        for number, betas in enumerate(self.predicts):
            rows = np.flatnonzero(fold == number)
            own = linear.take(rows)
            for target, beta in enumerate(betas):
                predicted[rows, target] = own.predict(beta)
        return np.ascontiguousarray(np.hstack([inputs, predicted]))

    def state(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of trees and regressions, each name with a prefix."""
        arrays = {} if self.forest is None else self.forest.state(prefix)
        for number, line in enumerate(self.lines):
            arrays |= line.state(f"{prefix}line.{number}.")
        return arrays | ({f"{prefix}predicts": self.predicts} if len(self.predicts) else {})

    @classmethod
    def from_state(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        prefix: str,
        block: Block,
        donors: IntArray,
        features: int,
        linear: int,
    ) -> Self:
        """Rebuild from `state`, checking it against the number of features and of what regressions read.

        Raises
        ------
        MethodError
            If the arrays do not fit.
        """
        if f"{prefix}roots" not in arrays:
            return cls(block, donors, None)
        predicts = take(arrays, f"{prefix}predicts", 3) if f"{prefix}predicts" in arrays else np.zeros((0, 0, linear))
        if predicts.shape[2] != linear:
            raise MethodError("the saved forest's regressions read other columns", "Save the model again.")
        forest = LeafForest.from_state(arrays, prefix, len(donors), features + predicts.shape[1])
        lines: list[Adjustment] = []
        while f"{prefix}line.{len(lines)}.beta" in arrays:
            name = f"{prefix}line.{len(lines)}."
            lines.append(Adjustment.from_state(arrays, name, len(donors), len(block.targets), linear))
        return cls(block, donors, forest, tuple(lines), predicts)


@dataclass(frozen=True)
class Donors:
    """The donors that a block applies to.

    Attributes
    ----------
    features, linear
        What trees and what regressions read of them.
    part
        The block's targets.
    weight, households
        Shape (donors,).
    """

    features: Features
    linear: Inputs
    part: Table
    weight: FloatArray
    households: npt.NDArray[np.uint64] | None

    def link(self, link: Link, growth: Growth, free: Sequence[int], rng: np.random.Generator) -> Link:
        """Fit regressions, choose the size of leaves and the lines that help, and grow the forest.

        Lines still lack the ranks of draws; see `Link.ranked`.
        """
        leaf = min(growth.leaf, max(SMALLEST, len(self.weight) // PART)) if growth.sized else growth.leaf
        growth = replace(growth, leaf=_evened(leaf, self.weight))
        design = self.linear.dense() if growth.regresses else np.zeros((len(self.part), 1))
        read = np.ascontiguousarray(self.features)
        if growth.predict and glm.effective(self.weight).sum() >= FEWEST:
            goal = scores(_predictable(self.part), self.weight)
            predicted, betas = self._predicted(design, goal, growth.ridge, rng)
            link, read = replace(link, predicts=betas), np.hstack([read, predicted])
        lines: tuple[Adjustment, ...] = ()
        if growth.tuned:
            held = Judged(self.part, read, design, self.weight, self.households)
            tuned = tune(held, free if growth.adjust else (), rng, growth.leaf, growth.ridge, growth.cuts)
            growth = replace(growth, leaf=tuned.leaf)
            lines = adjust(self.part, tuned.helped, design, self.weight, growth.ridge)
        return replace(link, forest=growth.grow(read, self.part, self.weight, rng, lines), lines=lines)

    def _predicted(
        self, design: FloatArray, goal: FloatArray, ridge: float, rng: np.random.Generator
    ) -> tuple[Features, FloatArray]:
        """Predict each donor from other households: predictions of donors that they were fitted to look too good.

        Few folds, because a prediction from all others tells the donor's own value: it is lower the higher that is.
        Returns the predictions, shape (donors, targets), and the coefficients of each fold.
        """
        keys = np.arange(len(goal), dtype=np.uint64) if self.households is None else self.households
        known, place = np.unique(keys, return_inverse=True)
        fold = (rng.permutation(len(known)) % FOLDS)[place]
        out = np.zeros(goal.shape, dtype=np.float32)
        betas = []
        for own, beta in glm.without_folds(design, goal, self.weight, fold, ridge):
            out[own] = design[own] @ beta.T
            betas.append(beta)
        return out, np.array(betas).reshape(len(betas), goal.shape[1], design.shape[1])


def _predictable(part: Table) -> Table:
    """Leave out classes of many levels: each level is a regression, and a column that trees read."""
    kept = [j for j, v in enumerate(part.variables) if v.kind is not Kind.CATEGORICAL or len(v.levels) <= LEVELS]
    return Table(tuple(part.variables[j] for j in kept), part.values[:, kept])


def _evened(leaf: int, weight: FloatArray) -> int:
    """Let leaves hold more donors where weights differ, as many times as their design effect asks for.

    A draw in proportion to weight among few donors is a ratio estimate: where large amounts have small weights, as in
    samples that are drawn by wealth, their share of a leaf is too large, by about the variance of the weights over the
    number of donors (Cochran 1977, eq. 6.34). The Bayesian bootstrap alone has a design effect of `BOOTSTRAP` (Kish
    1965, n Σw²/(Σw)²), and weights that differ by it alone bias nothing.
    """
    return max(leaf, min(round(leaf * _effect(weight) / BOOTSTRAP), len(weight) // LEAVES))


def uneven(weight: FloatArray) -> bool:
    """Whether weights differ clearly more than the Bayesian bootstrap alone makes them."""
    return _effect(weight) > MORE * BOOTSTRAP


def _effect(weight: FloatArray) -> float:
    return len(weight) * float(np.sum(weight**2)) / float(np.sum(weight)) ** 2
