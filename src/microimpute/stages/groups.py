"""Groups that an amount makes, and how they are called."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.margins import format_number
from microimpute.weighted import groups_of

__all__ = ["amount_groups"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def amount_groups(values: FloatArray, weight: FloatArray, count: int) -> tuple[IntArray, list[str]]:
    """Put rows into groups of equal weight by an amount; those that many rows of one value leave empty are left out.

    Returns
    -------
    group, names
        0, 1, … of each row, shape (rows,); and each group's least and largest value as text.
    """
    code = np.unique(groups_of(values, weight, count), return_inverse=True)[1].astype(np.int64)
    ends = [(values[code == k].min(), values[code == k].max()) for k in range(code.max() + 1)]
    written = [(format_number(float(low)), format_number(float(high))) for low, high in ends]
    return code, [low if low == high else f"{low} to {high}" for low, high in written]
