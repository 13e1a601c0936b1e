"""The null: donors in proportion to weight, whatever the predictors say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.methods.base import DonorMethod, FloatArray, IntArray

__all__ = ["Shuffle"]


class Shuffle(DonorMethod):
    """Whole donor rows in proportion to weight; keeps every bundle and ignores every predictor."""

    name = "shuffle"
    summary = "Whole donor rows in proportion to weight, ignoring predictors: the null to beat."
    reference = "The null of every comparison; not for use."
    advice = "Never for a file: it is the null that every score is measured against."
    joint = True
    proper = False
    coverage = "It ignores the predictors: whatever goes with them is lost."
    uses_weights = True
    uses_predictors = False

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Keep the donors' bundles and the running sum of their weights."""
        self.predictors, self.targets = X.variables, Y.variables
        self.bundles = Y.values
        self.cumulative = np.cumsum(weight)
        return self

    def choose(self, X: Table, rng: RowRandom) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Draw a donor for each row."""
        place = np.searchsorted(self.cumulative, rng.uniform("donor") * self.cumulative[-1], side="right")
        return np.minimum(place, len(self.bundles) - 1), np.zeros(len(X), dtype=bool)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the bundles and the running sum of weights."""
        return {"bundles": self.bundles, "cumulative": self.cumulative}

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back."""
        self.bundles, self.cumulative = arrays["bundles"], arrays["cumulative"]
        if len(self.bundles) != len(self.cumulative) or not len(self.bundles):
            raise MethodError("the saved shuffle is damaged", "Save the model again.")
        return self
