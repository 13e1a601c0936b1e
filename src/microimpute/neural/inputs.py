"""Predictors as nets see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.gaps import FLAG
from microimpute.kinds import Table, Variable
from microimpute.transforms import Feature, Inputs, take

__all__ = ["Encoder"]

FloatArray = npt.NDArray[np.float64]
Columns = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """Makes columns of predictors: an amount's weighted normal score and marks, one per level of a class.

    See `transforms.Feature`. Beyond the donors' range an amount's score is where the range ends. A row lacks a
    predictor if its class is one that no donor has, or if the amount was missing and filled. For nets that learn
    to do without predictors, columns of what is lacking are zeros, and a mark per predictor follows that says so.

    Attributes
    ----------
    features
        One per predictor.
    known
        Per predictor, bool, shape (levels,): which levels some donor has; empty for amounts.
    flags
        int64, shape (predictors,): position of the flag of an amount's gaps, −1 where there is none.
    marked
        Whether there are marks.
    """

    features: tuple[Feature, ...]
    known: tuple[npt.NDArray[np.bool_], ...]
    flags: npt.NDArray[np.int64]
    marked: bool

    @classmethod
    def fit(cls, X: Table, weight: FloatArray, marked: bool = False) -> Self:
        """Learn from donors, all with some weight."""
        columns = list(zip(X.variables, X.values.T, strict=True))
        known = tuple(np.isin(np.arange(len(v.levels)), x) for v, x in columns)
        features = tuple(Feature.fit(v, x, weight, bent=False) for v, x in columns)
        return cls(features, known, _flags(X.variables), marked)

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(f.width for f in self.features) + (len(self.features) if self.marked else 0)

    @property
    def owner(self) -> npt.NDArray[np.int64]:
        """Which predictor each column belongs to, marks too, shape (width,)."""
        places = np.arange(len(self.features))
        own = np.repeat(places, [f.width for f in self.features])
        return np.concatenate([own, places]) if self.marked else own

    def lacking(self, X: Table) -> npt.NDArray[np.bool_]:
        """Say which predictors rows lack, shape (rows, predictors)."""
        out = np.zeros(X.values.shape, dtype=bool)
        for number, (known, flag) in enumerate(zip(self.known, self.flags, strict=True)):
            if len(known):
                codes = X.values[:, number].astype(np.int64)
                out[:, number] = ~np.append(known, False)[codes]  # −1 is the last
            elif flag >= 0:
                out[:, number] = X.values[:, flag] == 1
        return out

    def columns(self, X: Table) -> Columns:
        """Make the columns, float32, shape (rows, width)."""
        inputs = Inputs(len(X))
        for feature, column in zip(self.features, X.values.T, strict=True):
            inputs.add(feature, column)
        made = inputs.dense()[:, 1:]
        if self.marked:
            lacking = self.lacking(X)
            made = np.hstack([np.where(lacking[:, self.owner[: made.shape[1]]], 0.0, made), lacking])
        return np.ascontiguousarray(made, dtype=np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all its arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {"flags": self.flags, "marked": np.array([int(self.marked)])}
        for number, (feature, known) in enumerate(zip(self.features, self.known, strict=True)):
            arrays |= feature.state(f"x{number}.") | {f"x{number}.known": known.astype(np.int64)}
        return arrays

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], predictors: tuple[Variable, ...]) -> Self:
        """Rebuild from `state`, checking that it fits the predictors."""
        count = len(predictors)
        features = tuple(Feature.from_state(arrays, f"x{n}.") for n in range(count))
        known = tuple(take(arrays, f"x{n}.known", 1).astype(bool) for n in range(count))
        flags = take(arrays, "flags", 1).astype(np.int64)
        levels = [len(v.levels) for v in predictors]
        sound = [f.levels for f in features] == levels and [len(k) for k in known] == levels
        if not sound or len(flags) != count or not ((flags >= -1) & (flags < count)).all():
            raise MethodError("the saved predictors do not fit their variables", "Save the model again.")
        return cls(features, known, flags, bool(take(arrays, "marked", 1)[0]))


def _flags(variables: tuple[Variable, ...]) -> npt.NDArray[np.int64]:
    out = np.full(len(variables), -1, dtype=np.int64)
    for place in range(1, len(variables)):
        if variables[place].reason == FLAG and not variables[place - 1].kind.is_class:
            out[place - 1] = place
    return out
