"""Targets one by one from parametric models, so that edit rules hold by construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block, singly
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable
from microimpute.regressions import parametric
from microimpute.regressions.amounts import Bounds
from microimpute.regressions.parametric import AmountFit, Model
from microimpute.transforms import Feature, Inputs

__all__ = ["Regressions", "ordered", "read_block", "state_of_block"]

FloatArray = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass
class Regressions:
    """A model per target, each fitted where the target's conditions are met.

    Attributes
    ----------
    predictors
        Features of the predictors.
    blocks
        One target each, in the order of drawing.
    features
        Features of each target, by block, if later targets read them; else empty.
    models
        By block; None where no donor has anything to draw.
    """

    predictors: list[Feature]
    blocks: tuple[Block, ...]
    features: list[Feature]
    models: list[Model | None]

    @classmethod
    def fit(
        cls,
        X: Table,
        Y: Table,
        weight: FloatArray,
        blocks: tuple[Block, ...],
        ridge: float,
        *,
        chained: bool,
        rng: np.random.Generator | None,
        amount: AmountFit | None = None,
        bounds: Mapping[int, Bounds] | None = None,
    ) -> Self:
        """Fit the models in the blocks' order.

        Parameters
        ----------
        X, Y, weight
            As in `Method.fit`.
        blocks
            See `ordered`.
        ridge
            See `glm`.
        chained
            Whether each target is regressed on those before it too.
        rng
            For parameters drawn from their posterior; None for estimates.
        amount
            Another model of amounts and counts, see `parametric.fit`.
        bounds
            Least and largest draw of some targets, by position.
        """
        kept = weight > 0
        X, Y, weight = X.take(kept), Y.take(kept), weight[kept]
        columns = list(zip(X.variables, X.values.T, strict=True))
        chain = cls([Feature.fit(v, x, weight) for v, x in columns], blocks, [], [])
        inputs = chain._inputs(X)
        for block in blocks:
            target = block.targets[0]
            y, rows = Y.values[:, target], np.flatnonzero(block.applies(Y.values))
            variable = Y.variables[target]
            model = None
            if len(rows):
                design = inputs.take(rows).dense()
                inside = (bounds or {}).get(target)
                model = parametric.fit(variable, design, y[rows], weight[rows], ridge, rng, amount, inside)
            chain.models.append(model)
            if chained:
                chain.features.append(Feature.fit(variable, y, weight, bent=False))
                inputs.add(chain.features[-1], y)
        return chain

    def said(self, targets: tuple[Variable, ...]) -> dict[str, Any]:
        """Say in which order targets are drawn, and each one's model."""
        names = [targets[block.targets[0]].name for block in self.blocks]
        models = {n: "always zero" if m is None else m.said for n, m in zip(names, self.models, strict=True)}
        return {"order": names, "models": models}

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw target by target, shape (rows, targets)."""
        out = np.zeros((len(X), len(self.blocks)))
        inputs = self._inputs(X)
        for number, (block, model) in enumerate(zip(self.blocks, self.models, strict=True)):
            target = block.targets[0]
            rows = np.flatnonzero(block.applies(out))
            if model is not None:
                out[rows, target] = model.draw(inputs.take(rows), _Numbers(rng, target, rows))
            if self.features:
                inputs.add(self.features[number], out[:, target])
        return out

    def _inputs(self, X: Table) -> Inputs:
        inputs = Inputs(len(X))
        for feature, column in zip(self.predictors, X.values.T, strict=True):
            inputs.add(feature, column)
        return inputs

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all its arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, feature in enumerate(self.predictors):
            arrays |= feature.state(f"x{number}.")
        for number, feature in enumerate(self.features):
            arrays |= feature.state(f"y{number}.")
        for number, (block, model) in enumerate(zip(self.blocks, self.models, strict=True)):
            arrays |= state_of_block(block, f"{number}.")
            if model is not None:
                arrays |= model.state(f"{number}.model.")
        return arrays

    @classmethod
    def from_state(
        cls, arrays: Arrays, predictors: tuple[Variable, ...], targets: tuple[Variable, ...], *, chained: bool
    ) -> Self:
        """Rebuild from `state`, checking that all fits the variables."""
        features = [_feature(arrays, f"x{n}.", v) for n, v in enumerate(predictors)]
        chain = cls(features, tuple(read_block(arrays, f"{n}.", len(targets)) for n in range(len(targets))), [], [])
        if sorted(b.targets[0] for b in chain.blocks) != list(range(len(targets))):
            raise MethodError("the saved models do not match the targets", "Save the model again.")
        width = 1 + sum(f.width for f in features)
        for number, block in enumerate(chain.blocks):
            variable = targets[block.targets[0]]
            known = any(k.startswith(f"{number}.model.") for k in arrays)
            model = parametric.from_state(arrays, f"{number}.model.", width) if known else None
            if isinstance(model, parametric.Classes) is not variable.kind.is_class and known:
                raise MethodError(f"the saved model of {variable.name!r} is of another kind", "Save the model again.")
            chain.models.append(model)
            if chained:
                chain.features.append(_feature(arrays, f"y{number}.", variable))
                width += chain.features[-1].width
        return chain


@dataclass(frozen=True)
class _Numbers:
    """The uniform numbers of some rows for one target."""

    rng: RowRandom
    target: int
    rows: npt.NDArray[np.int64]

    def __call__(self, stream: str) -> FloatArray:
        return self.rng.uniform(f"{stream} {self.target}")[self.rows]


def ordered(Y: Table, method: str, rng: np.random.Generator | None = None) -> tuple[Block, ...]:
    """Plan one block per target, what a target requires before it.

    Parameters
    ----------
    Y
        The targets with their ties.
    method
        Who asks, for the error.
    rng
        For a random order; None for the targets' own.

    Raises
    ------
    MethodError
        If rules bind several targets to one donor.
    """
    blocks = singly(Y, method)
    if rng is None:
        return blocks
    waiting = [blocks[i] for i in rng.permutation(len(blocks))]
    out: list[Block] = []
    while waiting:
        drawn = {b.targets[0] for b in out}
        ready = next(b for b in waiting if {c for any_of in b.conditions for c in any_of} <= drawn)
        waiting.remove(ready)
        out.append(ready)
    return tuple(out)


def state_of_block(block: Block, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Return a block of one target as arrays, each name with a prefix."""
    arrays: dict[str, npt.NDArray[Any]] = {f"{prefix}target": np.array(block.targets)}
    return arrays | {f"{prefix}condition.{n}": np.array(any_of) for n, any_of in enumerate(block.conditions)}


def read_block(arrays: Arrays, prefix: str, targets: int) -> Block:
    """Rebuild a block of one target, checking that it points inside."""
    conditions = [arrays[k] for k in sorted(arrays) if k.startswith(f"{prefix}condition.")]
    block = Block(_whole(arrays[f"{prefix}target"]), tuple(map(_whole, conditions)))
    positions = {*block.targets, *(c for any_of in block.conditions for c in any_of)}
    if len(block.targets) != 1 or not positions <= set(range(targets)):
        raise MethodError("the saved models point outside the targets", "Save the model again.")
    return block


def _whole(array: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(i) for i in array)


def _feature(arrays: Arrays, prefix: str, variable: Variable) -> Feature:
    feature = Feature.from_state(arrays, prefix)
    if feature.levels != len(variable.levels):
        raise MethodError(f"the saved feature of {variable.name!r} has other levels", "Save the model again.")
    return feature
