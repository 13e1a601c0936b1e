"""Geography that surveys share: the Census regions of states."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["REGION_NAMES", "census_region", "region_names"]

FloatArray = npt.NDArray[np.float64]

#: Census Bureau, Census Regions and Divisions of the United States: FIPS codes of states by region.
REGIONS = {
    1: (9, 23, 25, 33, 34, 36, 42, 44, 50),
    2: (17, 18, 19, 20, 26, 27, 29, 31, 38, 39, 46, 55),
    3: (1, 5, 10, 11, 12, 13, 21, 22, 24, 28, 37, 40, 45, 47, 48, 51, 54),
    4: (2, 4, 6, 8, 15, 16, 30, 32, 35, 41, 49, 53, 56),
}

REGION_NAMES = {1: "Northeast", 2: "Midwest", 3: "South", 4: "West"}


def census_region(fips: FloatArray) -> FloatArray:
    """Return the region of each state: 1 Northeast, 2 Midwest, 3 South, 4 West; NaN for other codes.

    Parameters
    ----------
    fips
        State codes, shape (rows,).

    Returns
    -------
    numpy.ndarray, shape (rows,)
    """
    out = np.full(len(fips), np.nan)
    for number, states in REGIONS.items():
        out[np.isin(fips, states)] = number
    return out


def region_names(codes: FloatArray) -> npt.NDArray[np.object_]:
    """Return the names of regions 1 to 4; None where the code is missing or another.

    Parameters
    ----------
    codes
        Shape (rows,).

    Returns
    -------
    numpy.ndarray of object, shape (rows,)
    """
    return np.array([REGION_NAMES.get(int(c)) if c == c else None for c in codes], dtype=object)
