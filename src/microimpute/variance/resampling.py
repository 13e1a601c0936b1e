"""Replicate weights for a survey that has strata and clusters but no replicates."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.variance.replicates import Replicates

__all__ = ["bootstrap_replicates"]

FloatArray = npt.NDArray[np.float64]


def bootstrap_replicates(
    weight: Any, strata: Any = None, clusters: Any = None, *, count: int = 200, seed: int = 0
) -> Replicates:
    """Make bootstrap replicates: n − 1 of each stratum's n clusters drawn with replacement, rescaled.

    A row's replicate weight is its weight · n/(n − 1) · how often its cluster was drawn, so that the variance of a
    total is the usual Σ n/(n − 1) Σ (z − z̄)² in expectation (Rao & Wu 1988; Rao, Wu & Yue 1992, eq. 2.1).

    Parameters
    ----------
    weight
        Shape (rows,).
    strata
        Shape (rows,), of any type; None: one stratum.
    clusters
        Primary sampling units, shape (rows,), numbered anew in every stratum; None: each row is one. Rows of one
        household belong in one cluster.
    count
        Number of replicates.
    seed
        Same seed, same replicates.

    Returns
    -------
    Replicates
        Under the rule "bootstrap".

    Raises
    ------
    PoolingError
        If a stratum has one cluster only, or shapes differ.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 2:
        raise PoolingError(f"count is {count!r}", "Give a whole number of at least 2.")
    full = np.asarray(weight, dtype=np.float64)
    if full.ndim != 1:
        raise PoolingError(f"weight has shape {full.shape}", "Give one weight per row.")
    stratum, names = _numbered(np.zeros(len(full)) if strata is None else strata, len(full), "strata")
    own, _ = _numbered(np.arange(len(full)) if clusters is None else clusters, len(full), "clusters")
    units, cluster = np.unique(np.stack([stratum, own]), axis=1, return_inverse=True)
    factors = np.empty((units.shape[1], count))
    rng = np.random.default_rng(seed)
    for number, name in enumerate(names):
        members = np.flatnonzero(units[0] == number)
        n = len(members)
        if n < 2:
            raise PoolingError(
                f"the stratum {str(name)!r} has one cluster, so no variance is known there",
                "Join it to another stratum.",
            )
        factors[members] = rng.multinomial(n - 1, np.full(n, 1 / n), size=count).T * (n / (n - 1))
    return Replicates(full, full[:, None] * factors[cluster.ravel()], "bootstrap")


def _numbered(values: Any, rows: int, what: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    names, number = np.unique(np.asarray(values), return_inverse=True)
    if number.shape != (rows,):
        raise PoolingError(f"{what} have shape {np.shape(values)}", f"Give one for each of the {rows:,} rows.")
    return number, names
