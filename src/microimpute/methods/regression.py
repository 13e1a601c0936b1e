"""Regressions, one per target: the simple parametric baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.methods.base import FloatArray, Method
from microimpute.regressions.sequence import Regressions, ordered

__all__ = ["Regression"]


class Regression(Method):
    """Each target by itself from a regression on the predictors, with a random residual.

    The models are those of `SRMI`, in two parts where there is a mass at zero, but at their estimates from the
    resampled donors, and no target knows of another, but for edit rules: one that requires others is drawn
    only where they are. What binds targets beyond the predictors is lost; this shows what that costs.

    Parameters
    ----------
    ridge
        How strongly coefficients are held back, in donors; see `glm`.
    """

    name = "regression"
    summary = "Each target by itself from a regression on the predictors, with a random residual: a baseline."
    reference = "Little & Rubin (2019), Statistical Analysis with Missing Data, ch. 4.3: stochastic regression."
    advice = (
        "As the baseline that a regression without dependence between targets makes. Not for files whose "
        "targets will be used together."
    )
    joint = False
    proper = True
    uses_weights = True
    cost = 0.02

    def __init__(self, ridge: float = 1.0) -> None:
        if not isinstance(ridge, int | float) or isinstance(ridge, bool) or not 0 < ridge < np.inf:
            raise MethodError(f"regression's ridge is {ridge!r}", "Give a number above 0.")
        self.ridge = ridge

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Estimate each target's model."""
        self.predictors, self.targets = X.variables, Y.variables
        self.chain = Regressions.fit(X, Y, weight, ordered(Y, self.name), self.ridge, chained=False, rng=None)
        return self

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw each target, shape (rows, targets)."""
        return self.chain.draw(X, rng)

    def learnt(self) -> dict[str, Any]:
        """Say in which order targets are drawn, and each one's model."""
        return self.chain.said(self.targets)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the models' parameters and the scales."""
        return self.chain.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back, after checking that they fit the variables."""
        self.chain = Regressions.from_state(arrays, self.predictors, self.targets, chained=False)
        return self
