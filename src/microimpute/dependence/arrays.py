"""Checks of arrays that every file of this folder makes, and a code for classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.errors import FusionError
from microimpute.keyed import Keys, hash_columns

__all__ = ["as_keys", "as_matrix", "as_numbers", "as_weight", "coded", "same_length"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def as_numbers(values: npt.ArrayLike, what: str) -> FloatArray:
    """Return one column as floats, shape (rows,), and check that every value is finite.

    Raises
    ------
    FusionError
        If there is no row, or a value is missing or infinite.
    """
    out = np.asarray(values, dtype=np.float64)
    if out.ndim != 1 or not len(out):
        raise FusionError(f"{what} has the shape {out.shape}", "Give one number per row, and at least one row.")
    if bad := int((~np.isfinite(out)).sum()):
        raise FusionError(f"{what} is missing or infinite in {bad:,} of {len(out):,} rows", "Fill or drop these rows.")
    return out


def as_keys(keys: npt.ArrayLike, rows: int, what: str) -> Keys:
    """Return a key of 64 bits per row; numbers and texts are hashed, uint64 are taken as they are."""
    out = np.asarray(keys)
    if out.ndim != 1:
        raise FusionError(f"{what} have the shape {out.shape}", "Give one key per row.")
    same_length(what, len(out), rows)
    return out if out.dtype == np.uint64 else hash_columns([out], rows)


def as_weight(weight: npt.ArrayLike | None, rows: int, what: str) -> FloatArray:
    """Return weights as floats, shape (rows,); without any, ones. They are finite, not negative, not all zero."""
    if weight is None:
        return np.ones(rows)
    out = as_numbers(weight, what)
    same_length(what, len(out), rows)
    if (out < 0).any() or not out.sum() > 0:
        raise FusionError(f"{what} is negative somewhere or zero throughout", "Give weights that are neither.")
    return out


def as_matrix(x: npt.ArrayLike, rows: int, what: str) -> FloatArray:
    """Return predictors as floats, shape (rows, columns); NaN is a missing value and stays one."""
    out = np.asarray(x, dtype=np.float64)
    out = out[:, None] if out.ndim == 1 else out
    if out.ndim != 2 or out.shape[1] < 1:
        raise FusionError(f"{what} has the shape {out.shape}", "Give rows × columns, with at least one column.")
    same_length(what, len(out), rows)
    if np.isinf(out).any():
        raise FusionError(f"{what} is infinite somewhere", "Mend these values.")
    return out


def same_length(what: str, got: int, wanted: int) -> None:
    """Check a number of rows."""
    if got != wanted:
        raise FusionError(f"{what} has {got:,} rows where {wanted:,} belong", "Give arrays of the same rows.")


def coded(left: npt.ArrayLike, right: npt.ArrayLike) -> tuple[IntArray, IntArray, npt.NDArray[np.generic]]:
    """Code two columns of classes by their common sorted levels.

    Returns
    -------
    left, right, levels
        Codes of shape (rows,) each, and the levels.
    """
    one, other = np.asarray(left), np.asarray(right)
    levels, code = np.unique(np.concatenate([one, other]), return_inverse=True)
    code = code.astype(np.int64)
    return code[: len(one)], code[len(one) :], levels
