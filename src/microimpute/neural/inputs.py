"""Predictors as nets see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.kinds import Table, Variable
from microimpute.transforms import Feature, Inputs

__all__ = ["Encoder"]

FloatArray = npt.NDArray[np.float64]
Columns = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """Makes columns of predictors: an amount's weighted normal score and marks, one per level of a class.

    See `transforms.Feature`. A class that no donor has is all zeros; beyond the donors' range an amount's score
    is where the range ends.
    """

    features: tuple[Feature, ...]

    @classmethod
    def fit(cls, X: Table, weight: FloatArray) -> Self:
        """Learn from donors, all with some weight."""
        columns = zip(X.variables, X.values.T, strict=True)
        return cls(tuple(Feature.fit(v, x, weight, bent=False) for v, x in columns))

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(f.width for f in self.features)

    @property
    def owner(self) -> npt.NDArray[np.int64]:
        """Which predictor each column belongs to, shape (width,)."""
        return np.repeat(np.arange(len(self.features)), [f.width for f in self.features])

    def columns(self, X: Table) -> Columns:
        """Make the columns, float32, shape (rows, width)."""
        inputs = Inputs(len(X))
        for feature, column in zip(self.features, X.values.T, strict=True):
            inputs.add(feature, column)
        return np.ascontiguousarray(inputs.dense()[:, 1:], dtype=np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all its arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, feature in enumerate(self.features):
            arrays |= feature.state(f"x{number}.")
        return arrays

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], predictors: tuple[Variable, ...]) -> Self:
        """Rebuild from `state`, checking that it fits the predictors."""
        features = tuple(Feature.from_state(arrays, f"x{n}.") for n in range(len(predictors)))
        if any(f.levels != len(v.levels) for f, v in zip(features, predictors, strict=True)):
            raise MethodError("the saved predictors have other levels", "Save the model again.")
        return cls(features)
