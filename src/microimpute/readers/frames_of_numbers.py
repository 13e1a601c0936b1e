"""Columns of float64 to a frame: whole numbers where a column holds nothing else, gaps as missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

__all__ = ["as_array", "as_numbers"]

FloatArray = npt.NDArray[np.float64]


def as_array(values: FloatArray) -> pa.Array:
    """Return a column as int64 if all its values are whole, otherwise as double; NaN becomes missing."""
    gaps = ~np.isfinite(values)
    filled = np.where(gaps, 0.0, values)
    whole = bool(np.array_equal(filled, np.trunc(filled)))
    return pa.array(filled.astype(np.int64) if whole else filled, mask=gaps if gaps.any() else None)


def as_numbers(columns: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Return a pandas frame with Arrow types.

    Parameters
    ----------
    columns
        Name → values, shape (rows,).
    """
    table: pd.DataFrame = pa.table({c: as_array(v) for c, v in columns.items()}).to_pandas(types_mapper=pd.ArrowDtype)
    return table
