"""Targets as nets see them: a skeleton of classes, and normal scores of amounts within a regime; and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block, singly
from microimpute.errors import MethodError
from microimpute.kinds import Kind, Table, Variable
from microimpute.regressions.sequence import read_block, state_of_block
from microimpute.transforms import Scale, take

__all__ = ["NONE", "Codec", "Coded", "Part"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Arrays = Mapping[str, npt.NDArray[Any]]

#: An amount with no more distinct values than this is drawn as classes.
FEW = 12
#: The class of a target where its conditions are not met: it is zero there, and nothing is drawn.
NONE = -1


@dataclass(frozen=True)
class Coded:
    """Donors' targets as nets see them.

    Attributes
    ----------
    classes
        int64, shape (rows, targets): each target's class, or `NONE`.
    low, high
        float64, shape (rows, scored targets): between which shares of its regime's weight an amount lies; a
        score is Φ⁻¹ of a number drawn there, so that heaps are intervals and scores are normal.
    scored
        bool, shape (rows, scored targets): whether there is a score; where not, the interval means nothing.
    """

    classes: IntArray
    low: FloatArray
    high: FloatArray
    scored: BoolArray

    def take(self, rows: IntArray | BoolArray) -> Coded:
        """Keep some of the rows."""
        return Coded(self.classes[rows], self.low[rows], self.high[rows], self.scored[rows])


@dataclass(frozen=True)
class Part:
    """One target's classes: first its atoms, which are values, then its regimes, in which an amount is drawn.

    Attributes
    ----------
    atoms
        float64, rising: codes of a class target; zero, or all values of an amount that has few.
    regimes
        A scale each: of the other amounts of a continuous target, of losses and gains of any other.
    """

    atoms: FloatArray
    regimes: tuple[Scale, ...]

    @classmethod
    def fit(cls, variable: Variable, values: FloatArray, weight: FloatArray) -> Self:
        """Learn from donors with some weight for whom the target's conditions are met."""
        distinct = np.unique(values)
        if variable.kind.is_class or len(distinct) <= FEW:
            return cls(distinct, ())
        other = values != 0
        sides = [other] if variable.kind is Kind.CONTINUOUS else [values < 0, values > 0]
        return cls(np.zeros(int(not other.all())), tuple(_steps(values[s], weight[s]) for s in sides if s.any()))

    @property
    def count(self) -> int:
        """Number of classes."""
        return len(self.atoms) + len(self.regimes)

    @property
    def nonzero(self) -> BoolArray:
        """Which classes are not zero, shape (count,)."""
        return np.append(self.atoms != 0, np.ones(len(self.regimes), dtype=bool))

    def classes(self, values: FloatArray) -> IntArray:
        """Say which class each of the donors' values is, shape (rows,)."""
        regime = len(self.atoms) + ((values > 0) & (len(self.regimes) == 2)).astype(np.int64)
        if not len(self.atoms):
            return regime
        place = np.minimum(np.searchsorted(self.atoms, values), len(self.atoms) - 1)
        return np.where(self.atoms[place] == values, place, regime)

    def values(self, classes: IntArray, scores: FloatArray) -> FloatArray:
        """Return the values of classes and normal scores, shape (rows,); zero where the class is `NONE`."""
        out = np.zeros(len(classes))
        for number in range(self.count):
            rows = classes == number
            regime = number - len(self.atoms)
            out[rows] = self.atoms[number] if regime < 0 else self.regimes[regime].amounts(scores[rows])
        return out


def _steps(values: FloatArray, weight: FloatArray) -> Scale:
    """Make a scale that is the weighted quantile function and never a line."""
    distinct, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight)
    upper = np.cumsum(mass) / mass.sum()
    upper[-1] = 1.0
    return Scale(distinct, upper, np.zeros(2))


@dataclass(frozen=True)
class Codec:
    """The way between targets and what nets see, for all targets at once.

    Attributes
    ----------
    parts
        One per target, in the targets' order.
    blocks
        One target each, in the order of drawing: what a target requires comes before it.
    """

    parts: tuple[Part, ...]
    blocks: tuple[Block, ...]

    @classmethod
    def fit(cls, Y: Table, weight: FloatArray, method: str) -> Self:
        """Learn the codec from donors, all with some weight.

        Raises
        ------
        MethodError
            If rules bind several targets to one donor; names them and the method.
        """
        blocks = singly(Y, method)
        parts: dict[int, Part] = {}
        for block in blocks:
            target, met = block.targets[0], block.applies(Y.values)
            parts[target] = Part.fit(Y.variables[target], Y.values[met, target], weight[met])
        return cls(tuple(parts[t] for t in range(len(parts))), blocks)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of classes of each target."""
        return tuple(p.count for p in self.parts)

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """Which columns of a skeleton, side by side, are each target's."""
        ends = np.cumsum(self.counts).tolist()
        return tuple(slice(end - count, end) for end, count in zip(ends, self.counts, strict=True))

    @cached_property
    def owner(self) -> IntArray:
        """Which target each column of a skeleton belongs to, shape (width,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def width(self) -> int:
        """Number of columns of all skeletons side by side."""
        return sum(self.counts)

    @cached_property
    def scored(self) -> tuple[int, ...]:
        """Targets that have a score, by position."""
        return tuple(t for t, p in enumerate(self.parts) if p.regimes)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to learn: every target has one value."""
        return all(c <= 1 for c in self.counts) and not self.scored

    def applies(self, block: Block, classes: IntArray) -> BoolArray:
        """Say for which rows a target's conditions are met, given classes of the targets before it."""
        met = np.ones(len(classes), dtype=bool)
        for any_of in block.conditions:
            one = np.zeros(len(classes), dtype=bool)
            for target in any_of:
                known = np.append(self.parts[target].nonzero, False)  # NONE is the last
                one |= known[classes[:, target]]
            met &= one
        return met

    def encode(self, Y: FloatArray) -> Coded:
        """Turn the donors' values, shape (rows, targets), into classes and intervals of shares."""
        classes = np.full(Y.shape, NONE, dtype=np.int64)
        for block in self.blocks:
            target, rows = block.targets[0], np.flatnonzero(block.applies(Y))
            classes[rows, target] = self.parts[target].classes(Y[rows, target])
        shape = len(Y), len(self.scored)
        low, high, scored = np.zeros(shape), np.ones(shape), np.zeros(shape, dtype=bool)
        for column, target in enumerate(self.scored):
            part = self.parts[target]
            for number, scale in enumerate(part.regimes, start=len(part.atoms)):
                rows = np.flatnonzero(classes[:, target] == number)
                place = np.searchsorted(scale.values, Y[rows, target])
                edges = np.append(0.0, scale.upper)
                low[rows, column], high[rows, column] = edges[place], edges[place + 1]
                scored[rows, column] = True
        return Coded(classes, low, high, scored)

    def decode(self, classes: IntArray, scores: FloatArray) -> FloatArray:
        """Return the values of classes, shape (rows, targets), and normal scores, shape (rows, scored targets)."""
        out = np.zeros(classes.shape)
        nothing = np.zeros(len(classes))
        for target, part in enumerate(self.parts):
            score = scores[:, self.scored.index(target)] if part.regimes else nothing
            out[:, target] = part.values(classes[:, target], score)
        return out

    def onehot(self, classes: IntArray) -> npt.NDArray[np.float32]:
        """Put classes side by side as zeros and ones, float32, shape (rows, width); `NONE` is all zeros."""
        out = np.zeros((len(classes), self.width), dtype=np.float32)
        for target, columns in enumerate(self.columns):
            out[:, columns] = classes[:, target, None] == np.arange(self.counts[target])
        return out

    def has_score(self, classes: IntArray) -> npt.NDArray[np.float32]:
        """Say as ones and zeros which scores there are with these classes, shape (rows, scored targets)."""
        out = np.zeros((len(classes), len(self.scored)), dtype=np.float32)
        for column, target in enumerate(self.scored):
            out[:, column] = classes[:, target] >= len(self.parts[target].atoms)
        return out

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all its arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, (part, block) in enumerate(zip(self.parts, self.blocks, strict=True)):
            arrays |= {f"y{number}.atoms": part.atoms} | state_of_block(block, f"y{number}.")
            for regime, scale in enumerate(part.regimes):
                arrays |= scale.state(f"y{number}.{regime}.")
        return arrays

    @classmethod
    def from_state(cls, arrays: Arrays, targets: tuple[Variable, ...]) -> Self:
        """Rebuild from `state`, checking that it fits the targets."""
        blocks = tuple(read_block(arrays, f"y{n}.", len(targets)) for n in range(len(targets)))
        parts = []
        for number, variable in enumerate(targets):
            regimes = [Scale.from_state(arrays, f"y{number}.{r}.") for r in (0, 1) if f"y{number}.{r}.values" in arrays]
            part = Part(take(arrays, f"y{number}.atoms", 1), tuple(regimes))
            inside = (part.atoms >= 0) & (part.atoms < len(variable.levels))
            if variable.kind.is_class and not (inside.all() and not regimes):
                raise MethodError(f"the saved classes of {variable.name!r} are not its levels", "Save the model again.")
            parts.append(part)
        if sorted(b.targets[0] for b in blocks) != list(range(len(targets))):
            raise MethodError("the saved codec does not match the targets", "Save the model again.")
        return cls(tuple(parts), blocks)
