"""Random numbers keyed by (seed, implicate, row key, stream).

A row's numbers depend on nothing else, so that results are the same bytes for any number of workers,
any chunk size and any order of the rows.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["RowRandom", "generator", "hash_columns", "occurrence"]

Keys = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
#: What every missing value hashes to, whatever its column holds.
_MISSING = np.uint64(0x5D1A2B7C9E3F4A61)


def _mix(x: Keys) -> Keys:
    """Finalise 64 bits (Stafford's variant 13 of the MurmurHash3 finaliser, as in SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _text_key(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def hash_columns(columns: list[npt.NDArray[np.generic]], rows: int) -> Keys:
    """Hash each row's content to 64 bits.

    Parameters
    ----------
    columns
        One array per column, each of shape (rows,): numbers, booleans, dates or strings, masked where missing.
        A number hashes by its value alone: 1, 1.0 and True are one, and NaN is missing.
    rows
        Number of rows (needed when there is no column).

    Returns
    -------
    numpy.ndarray of uint64, shape (rows,)
    """
    out = np.full(rows, _GOLDEN, dtype=np.uint64)
    for values in columns:
        out = _mix((out ^ _bits(values)) + _GOLDEN)
    return out


def _bits(values: npt.NDArray[np.generic]) -> Keys:
    return np.where(np.ma.getmaskarray(values), _MISSING, _value_bits(np.ma.getdata(values)))


def _value_bits(values: npt.NDArray[np.generic]) -> Keys:
    if values.dtype.kind in "iub":
        return _mix(values.astype(np.int64).view(np.uint64))
    if values.dtype.kind == "f":
        return _float_bits(values.astype(np.float64))
    if values.dtype.kind in "mM":
        return _mix(values.view(np.int64).view(np.uint64))
    return np.asarray(pd.util.hash_array(values.astype(object)), dtype=np.uint64)


def _float_bits(values: npt.NDArray[np.float64]) -> Keys:
    """Hash whole floats as the integers that they are, since gaps alone turn integers into floats."""
    whole = (np.trunc(values) == values) & (np.abs(values) < 2.0**63)
    integers = np.where(whole, values, 0.0).astype(np.int64).view(np.uint64)
    mixed = _mix(np.where(whole, integers, values.view(np.uint64) ^ _GOLDEN))  # apart from integers of those bits
    return np.where(np.isnan(values), _MISSING, mixed)


def occurrence(keys: Keys) -> npt.NDArray[np.int64]:
    """Count equal keys 0, 1, 2, … in the order in which they stand."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(keys) else np.zeros(0, dtype=bool)
    starts = np.flatnonzero(first)
    position = np.arange(len(keys))
    out = np.empty(len(keys), dtype=np.int64)
    out[order] = position - starts[np.cumsum(first) - 1] if len(keys) else position
    return out


class RowRandom:
    """Uniform random numbers for a set of rows, each row with its own key.

    Parameters
    ----------
    seed
        The seed of the run.
    implicate
        Number of the implicate, from 1.
    keys
        uint64, shape (n,); equal keys get equal numbers.
    """

    def __init__(self, seed: int, implicate: int, keys: Keys) -> None:
        self.seed = seed
        self.implicate = implicate
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def uniform(self, stream: str) -> npt.NDArray[np.float64]:
        """Draw one number in (0, 1) per row.

        Parameters
        ----------
        stream
            Name of what the number is for; different names give independent numbers.

        Returns
        -------
        numpy.ndarray of float64, shape (n,)
        """
        salt = _text_key(f"{self.seed}/{self.implicate}/{stream}")
        with np.errstate(over="ignore"):
            mixed = _mix(_mix(self.keys ^ salt) + salt * _GOLDEN)
        return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def take(self, rows: slice | npt.NDArray[np.int64]) -> RowRandom:
        """Keep the numbers of some of the rows."""
        return RowRandom(self.seed, self.implicate, self.keys[rows])


def generator(seed: int, implicate: int, purpose: str) -> np.random.Generator:
    """Make the generator for what belongs to an implicate as a whole (growing trees, initial weights)."""
    return np.random.default_rng([seed, implicate, int(_text_key(purpose))])
