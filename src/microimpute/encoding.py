"""How tables become what trees split on: features of predictors, and scores of targets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind, Table, Variable

__all__ = ["feature_count", "features", "scores"]

FloatArray = npt.NDArray[np.float64]


def feature_count(variable: Variable) -> int:
    """Say how many feature columns a variable makes: one per level of an unordered class, else one."""
    return len(variable.levels) if variable.kind is Kind.CATEGORICAL else 1


def features(variable: Variable, values: FloatArray) -> npt.NDArray[np.float32]:
    """Make a variable's feature columns, shape (rows, `feature_count`); an unknown class is all zeros."""
    if variable.kind is Kind.CATEGORICAL:
        return np.asarray(values[:, None] == np.arange(len(variable.levels)), dtype=np.float32)
    return values[:, None].astype(np.float32)


def scores(Y: Table, weight: FloatArray) -> FloatArray:
    """Put targets on comparable scales for splits, shape (rows, columns).

    Amounts become asinh of their ratio to a tenth of the median non-zero size (logarithmic for large amounts
    of either sign, and zero stays apart), unordered classes one column per level; each variable gets weighted
    variance one in all.
    """
    out = []
    for variable, values in zip(Y.variables, Y.values.T, strict=True):
        if variable.kind is Kind.CATEGORICAL:
            columns = features(variable, values).astype(np.float64)
        elif variable.kind.is_class:
            columns = values[:, None]
        else:
            columns = np.arcsinh(values / _scale(values))[:, None]
        out.append(_standardised(columns, weight))
    return np.hstack(out)


def _scale(values: FloatArray) -> float:
    sizes = np.abs(values[values != 0])
    return float(np.median(sizes)) / 10 if len(sizes) else 1.0


def _standardised(columns: FloatArray, weight: FloatArray) -> FloatArray:
    mean = np.average(columns, axis=0, weights=weight)
    variance = np.average((columns - mean) ** 2, axis=0, weights=weight).sum()
    return np.asarray((columns - mean) / np.sqrt(variance)) if variance > 0 else np.zeros_like(columns)
