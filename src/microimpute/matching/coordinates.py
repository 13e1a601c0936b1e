"""What tables become in a distance: columns of numbers, and how much each predictor counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.encoding import scores
from microimpute.errors import MethodError
from microimpute.kinds import Kind, Table, Variable
from microimpute.weighted import quantile

__all__ = ["AMOUNTS", "Coordinates", "importance", "times"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[Any]]

#: Ways to place amounts: by weighted rank, by logarithm (of either sign, zero stays zero), or as they are.
AMOUNTS = ("ranks", "logs", "plain")
#: Knots of an amount's distribution function.
KNOTS = 1_000
#: Trees, most donors they are grown on, and donors per leaf, for learning importance.
TREES, MOST, LEAF = 40, 5_000, 10


def times(values: FloatArray, matrix: FloatArray) -> FloatArray:
    """Multiply rows by a matrix, each row to the same bits whatever the other rows."""
    out = np.zeros((len(values), matrix.shape[1]))
    for column, row in zip(values.T, matrix, strict=True):
        out += column[:, None] * row
    return out


@dataclass(frozen=True)
class Coordinates:
    """Where rows stand: one column per amount or ordered class, one per level of other classes.

    Attributes
    ----------
    variables
        What they are made of.
    amounts
        One of `AMOUNTS`.
    curves
        Per variable, shape (2, knots): an amount's knots and the weighted mid-ranks there; or its scale.
    """

    variables: tuple[Variable, ...]
    amounts: str
    curves: tuple[FloatArray, ...]

    @classmethod
    def learn(cls, X: Table, weight: FloatArray, amounts: str) -> Self:
        """Take amounts by their weighted rank among the donors, as logarithms, or as they are."""
        able = weight > 0
        curves = [
            np.zeros((2, 0)) if v.kind.is_class or amounts == "plain" else _CURVES[amounts](x[able], weight[able])
            for v, x in zip(X.variables, X.values.T, strict=True)
        ]
        return cls(X.variables, amounts, tuple(curves))

    @property
    def owner(self) -> IntArray:
        """Which variable each column belongs to."""
        return np.repeat(np.arange(len(self.variables)), [_width(v) for v in self.variables])

    @property
    def flags(self) -> npt.NDArray[np.bool_]:
        """Which columns are levels of unordered classes."""
        return np.array([_is_flag(self.variables[i]) for i in self.owner])

    def of(self, values: FloatArray) -> FloatArray:
        """Say where rows stand, shape (rows, columns); an unknown class is all zeros."""
        out = []
        for v, x, curve in zip(self.variables, values.T, self.curves, strict=True):
            if _is_flag(v):
                out.append((x[:, None] == np.arange(_width(v))).astype(np.float64))
            elif v.kind.is_class or self.amounts == "plain":
                out.append(x[:, None])
            elif self.amounts == "logs":
                out.append(np.arcsinh(np.ascontiguousarray(x) / curve[0, 0])[:, None])
            else:
                out.append(np.interp(x, curve[0], curve[1])[:, None])
        return np.hstack(out)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the curves as arrays."""
        return {f"{self.amounts}.{i}": curve for i, curve in enumerate(self.curves)}

    @classmethod
    def from_state(cls, variables: tuple[Variable, ...], amounts: str, arrays: Arrays) -> Self:
        """Take them back."""
        curves = tuple(arrays[f"{amounts}.{i}"] for i in range(len(variables)))
        for variable, curve in zip(variables, curves, strict=True):
            least = 0 if variable.kind.is_class or amounts == "plain" else 1
            if curve.ndim != 2 or len(curve) != 2 or curve.shape[1] < least or not np.isfinite(curve).all():
                raise MethodError("the saved coordinates are damaged", "Save the model again.")
        return cls(variables, amounts, curves)


def _is_flag(variable: Variable) -> bool:
    return variable.kind in (Kind.CATEGORICAL, Kind.BINARY)


def _width(variable: Variable) -> int:
    return max(1, len(variable.levels)) if _is_flag(variable) else 1


def _ranks(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weighted mid-ranks at up to `KNOTS` of the values."""
    knots, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight)
    running = np.cumsum(mass)
    heights = (running - mass / 2) / running[-1]
    kept = np.unique(np.linspace(0, len(knots) - 1, min(KNOTS, len(knots))).astype(np.int64))
    return np.vstack([knots[kept], heights[kept]])


def _logs(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return a tenth of the weighted median size, as the targets' scores have it."""
    sized = values != 0
    scale = float(quantile(np.abs(values[sized]), 0.5, weight[sized])) / 10 if sized.any() else 1.0
    return np.full((2, 1), scale)


_CURVES = {"ranks": _ranks, "logs": _logs}


def importance(X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Learn how much each predictor says about the targets, mean one over the predictors.

    Shares in the reduction of squared error of all targets' scores by weighted random trees; donors of no
    weight say nothing.
    """
    from sklearn.ensemble import RandomForestRegressor

    where = Coordinates.learn(X, weight, "plain")
    kept = np.flatnonzero(weight > 0)
    if len(kept) > MOST:
        kept = np.sort(rng.choice(kept, MOST, replace=False))
    trees = RandomForestRegressor(
        n_estimators=TREES,
        min_samples_leaf=LEAF,
        max_features=0.5,
        random_state=int(rng.integers(2**31)),
    )
    part = Table(Y.variables, Y.values[kept])
    goal = scores(part, weight[kept])
    goal = goal[:, 0] if goal.shape[1] == 1 else goal
    trees.fit(where.of(X.values[kept]), goal, sample_weight=weight[kept])
    share = np.bincount(where.owner, weights=trees.feature_importances_, minlength=len(X.variables))
    return share * len(share) / share.sum() if share.sum() > 0 else np.ones(len(X.variables))
