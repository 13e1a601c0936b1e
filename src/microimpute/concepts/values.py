"""Numbers of concepts whose gaps stay gaps: a comparison with a missing value is not false, it is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["flag", "whole"]


def whole(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers where nothing is missing, else floats with NaN.

    Parameters
    ----------
    values
        Numbers or truth values, shape (rows,).
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind == "f" and np.isnan(numbers).any():
        return numbers
    return numbers.astype(np.int64)


def flag(truth: npt.NDArray[Any], *sources: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return 1 and 0, and NaN where one of the columns that it was made from is missing.

    Parameters
    ----------
    truth
        Shape (rows,).
    *sources
        The columns, shape (rows,) each.
    """
    gaps = np.any([np.isnan(s) for s in sources], axis=0)
    return whole(np.where(gaps, np.nan, truth))
