"""Chains of blocks: each drawn from its own forest's leaves, given the predictors and the blocks before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block
from microimpute.encoding import feature_count, features
from microimpute.errors import MethodError
from microimpute.forests.links import Donors, Growth, Link, uneven
from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable
from microimpute.transforms import Feature, Inputs

__all__ = ["Chain"]

Features = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


#: Makes a link's values, shape (rows, the block's targets), from its number, itself, what its trees read, the
#: rows meant, the random numbers of all rows, and what regressions read.
Take = Callable[[int, Link, Features, IntArray, RowRandom, Inputs], FloatArray]

#: How often the donors are drawn for when the chain is rehearsed.
TIMES = 3


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
    features
        What regressions read of each predictor, then of each target in the order of drawing; none without
        adjustment.
    """

    predictors: tuple[Variable, ...]
    columns: tuple[Variable, ...]
    bundles: FloatArray
    links: tuple[Link, ...]
    features: tuple[Feature, ...] = ()

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

        A block that reads nothing but the predictors is drawn by odds where weights differ; see `LeafForest.debiased`.
        """
        chain = cls(X.variables, Y.variables, Y.values, ())
        inputs, width = chain.inputs(X), chain._width()
        learnt = _learnt(X, weight) if growth.regresses else []
        read = _linear(learnt, X)
        bound = {t for group in Y.ties.together for t in group}
        links: list[Link] = []
        for block in blocks:
            rows = np.flatnonzero(block.applies(Y.values) & (weight > 0))
            if by_value and len(block.targets) == 1:
                rows = rows[np.argsort(Y.values[rows, block.targets[0]], kind="stable")]
            link = Link(block, rows, None)
            if len(rows):
                part = Table(tuple(Y.variables[t] for t in block.targets), Y.values[rows][:, block.targets])
                households = None if X.households is None else X.households[rows]
                donors = Donors(inputs[rows, :width], read.take(rows), part, weight[rows], households)
                link = donors.link(link, growth, [i for i, t in enumerate(block.targets) if t not in bound], rng)
            if link.forest is not None and not links and uneven(weight[rows]):
                link = replace(link, forest=link.forest.debiased())
            links.append(link)
            width = chain._condition(inputs, width, block, Y.values)
            if growth.regresses:
                learnt += _features(block, Y.variables, Y.values, weight)
                _extend(read, learnt[-len(block.targets) :], block, Y.values)
        grown = cls(X.variables, Y.variables, Y.values, tuple(links), tuple(learnt))
        return grown._rehearsed(X, weight, rng) if any(link.lines for link in links) else grown

    def draw(self, X: Table, rng: RowRandom, take: Take | None = None) -> FloatArray:
        """Draw block by block, shape (rows, columns); by default each from one donor, adjusted."""
        out = np.zeros((len(X), len(self.columns)))
        inputs, width, at = self.inputs(X), self._width(), len(self.predictors)
        read = _linear(self.features[:at], X)
        for number, link in enumerate(self.links):
            rows = np.flatnonzero(link.block.applies(out))
            if link.forest is not None and len(rows):
                values = (take or self._moved)(number, link, inputs[:, :width], rows, rng, read)
                for target, column in zip(link.block.targets, values.T, strict=True):
                    out[rows, target] = column
            width = self._condition(inputs, width, link.block, out)
            if self.features:
                _extend(read, self.features[at : at + len(link.block.targets)], link.block, out)
                at += len(link.block.targets)
        return out

    def _moved(
        self, number: int, link: Link, inputs: Features, rows: IntArray, rng: RowRandom, read: Inputs
    ) -> FloatArray:
        """Take a donor's values for each row, and move those that have a line."""
        own = read.take(rows)
        place = _drawn(number, link, _reads(number, link, inputs, own, rows, rng), rows, rng)
        return link.moved(self._bundle(link, place), place, own)

    def take(
        self, number: int, link: Link, inputs: Features, rows: IntArray, rng: RowRandom, read: Inputs
    ) -> FloatArray:
        """Take all of a block's values from one donor in each row's leaf."""
        return self._bundle(link, _drawn(number, link, inputs[rows], rows, rng))

    def _bundle(self, link: Link, place: IntArray) -> FloatArray:
        return np.asarray(self.bundles[link.donors[place][:, None], np.array(link.block.targets)])

    def _rehearsed(self, X: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Draw for the donors themselves, and give each line the ranks of its scores among these draws."""
        links = [replace(link, lines=()) for link in self.links]
        again = np.tile(np.arange(len(X)), TIMES)

        def take(
            number: int, link: Link, inputs: Features, rows: IntArray, random: RowRandom, read: Inputs
        ) -> FloatArray:
            own = read.take(rows)
            place = _drawn(number, link, _reads(number, link, inputs, own, rows, random), rows, random)
            links[number] = link.ranked(place, own, weight[again[rows]])
            return links[number].moved(self._bundle(link, place), place, own)

        keys = np.arange(len(again), dtype=np.uint64)
        self.draw(X.take(again), RowRandom(int(rng.integers(2**62)), 0, keys), take)
        return replace(self, links=tuple(links))

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
            arrays |= link.state(at)
        for number, feature in enumerate(self.features):
            arrays |= feature.state(f"{prefix}feature.{number}.")
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
        known = _read_features(arrays, f"{prefix}feature.")
        width, number, reads = empty._width(), 0, len(predictors)
        while f"{prefix}{number}.targets" in arrays:
            at = f"{prefix}{number}."
            conditions = sorted(k for k in arrays if k.startswith(f"{at}condition."))
            block = Block(_whole(arrays[f"{at}targets"]), tuple(_whole(arrays[k]) for k in conditions))
            donors = arrays[f"{at}donors"]
            empty._check_block(block, donors)
            linear = 1 + sum(f.width for f in known[:reads]) if known else 0
            links.append(Link.from_state(arrays, at, block, donors, width, linear))
            width += sum(feature_count(columns[t]) for t in block.targets)
            reads += len(block.targets)
            number += 1
        if sorted(t for link in links for t in link.block.targets) != list(range(len(columns))):
            raise MethodError("the saved forest's blocks do not match its targets", "Save the model again.")
        order = [*predictors, *(columns[t] for link in links for t in link.block.targets)]
        if known and [f.levels for f in known] != [len(v.levels) for v in order]:
            raise MethodError("the saved forest's regressions read other variables", "Save the model again.")
        return cls(predictors, columns, empty.bundles, tuple(links), known)

    def _check_block(self, block: Block, donors: npt.NDArray[Any]) -> None:
        positions = np.array([*block.targets, *(c for any_of in block.conditions for c in any_of)])
        whole = self.bundles.shape[1] == len(self.columns)
        inside = (positions >= 0).all() and (positions < len(self.columns)).all()
        known = (donors >= 0).all() and (donors < len(self.bundles)).all()
        if not (whole and inside and known):
            raise MethodError("the saved forest points outside its donors", "Save the model again.")


def _reads(number: int, link: Link, inputs: Features, own: Inputs, rows: IntArray, rng: RowRandom) -> Features:
    return link.reads(inputs[rows], own, rng.uniform(f"fold {number}")[rows])


def _drawn(number: int, link: Link, reads: Features, rows: IntArray, rng: RowRandom) -> IntArray:
    """Draw a donor of the link for each of some rows; `reads` has these rows only."""
    assert link.forest is not None
    which, within = rng.uniform(f"tree {number}")[rows], rng.uniform(f"donor {number}")[rows]
    return link.forest.draw(reads, np.arange(len(rows)), which, within)


def _learnt(X: Table, weight: FloatArray) -> list[Feature]:
    return [Feature.fit(v, x, weight) for v, x in zip(X.variables, X.values.T, strict=True)]


def _features(block: Block, columns: Sequence[Variable], Y: FloatArray, weight: FloatArray) -> list[Feature]:
    return [Feature.fit(columns[t], Y[:, t], weight, bent=False) for t in block.targets]


def _linear(features: Sequence[Feature], X: Table) -> Inputs:
    read = Inputs(len(X))
    for feature, column in zip(features, X.values.T, strict=False):  # no features: nothing is adjusted
        read.add(feature, column)
    return read


def _extend(read: Inputs, features: Sequence[Feature], block: Block, Y: FloatArray) -> None:
    for feature, target in zip(features, block.targets, strict=True):
        read.add(feature, Y[:, target])


def _read_features(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> tuple[Feature, ...]:
    found: list[Feature] = []
    while f"{prefix}{len(found)}.levels" in arrays:
        found.append(Feature.from_state(arrays, f"{prefix}{len(found)}."))
    return tuple(found)


def _whole(array: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(i) for i in array)


def _fill(inputs: Features, at: int, variables: tuple[Variable, ...], values: FloatArray) -> int:
    for variable, column in zip(variables, values.T, strict=True):
        end = at + feature_count(variable)
        inputs[:, at:end] = features(variable, column)
        at = end
    return at
