"""Some columns of a wide Stata file, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.errors import SurveyError, first_line
from microimpute.readers.members import BROKEN

__all__ = ["read_stata_numbers", "stata_names"]

FloatArray = npt.NDArray[np.float64]

#: Rows of a block: those of 5,000 columns take about 100 MB.
ROWS = 2_000


def stata_names(handle: IO[bytes], name: str) -> list[str]:
    """List a file's columns, from its beginning.

    Raises
    ------
    SurveyError
        If it is no Stata file, or cut off.
    """
    try:
        with pd.read_stata(handle, iterator=True, convert_categoricals=False) as reader:
            return list(reader.variable_labels())
    except BROKEN as error:
        raise _unreadable(name, error) from None


def read_stata_numbers(handle: IO[bytes], name: str, columns: Iterable[str]) -> dict[str, FloatArray]:
    """Read numeric columns by the names that `stata_names` gives.

    Returns
    -------
    dict
        Upper-case name → float64, shape (rows,), missing as NaN.

    Raises
    ------
    SurveyError
        If the file is cut off, has no rows, or a column holds text.
    """
    wanted = list(columns)
    parts: list[pd.DataFrame] = []
    try:
        with pd.read_stata(handle, columns=wanted, chunksize=ROWS, convert_categoricals=False) as reader:
            parts.extend(reader)
        if not parts:
            raise ValueError("it has no rows")
        whole = pd.concat(parts, ignore_index=True)
        return {c.upper(): whole[c].to_numpy(np.float64, na_value=np.nan) for c in wanted}
    except BROKEN as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> SurveyError:
    return SurveyError(
        f"{name} can't be read as a Stata file: {first_line(error)}", "Get the file again; it may be cut off."
    )
