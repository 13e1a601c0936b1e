"""Donor resamples, one per implicate, so that the spread between implicates carries the donor's sampling error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from microimpute.fusion import Fusion, Training
from microimpute.keyed import Keys, RowRandom, generator
from microimpute.methods.base import Method

__all__ = ["how", "resample", "resampled"]

FloatArray = npt.NDArray[np.float64]


def how(fusion: Fusion, method: Method) -> str:
    """Say how implicates' donors differ: "replicate weights", "Bayesian bootstrap" or "parameters"."""
    if not method.resampled:
        return "parameters"
    return "Bayesian bootstrap" if fusion.training(1).replicates is None else "replicate weights"


def resampled(training: Training, seed: int, implicate: int) -> Training:
    """Return one implicate's resample of the donors.

    Where the donor has replicate weights of a bootstrap or of half-samples, each is a resample that knows the survey's
    strata and clusters: implicates take them in a random order, and donors that have no weight in it are left out.
    Elsewhere see `resample`.
    """
    if training.replicates is None:
        return replace(training, weight=resample(training.weight, training.households, seed, implicate))
    order = generator(seed, 0, "donor replicates").permutation(training.replicates.shape[1])
    weight = training.replicates[:, order[(implicate - 1) % len(order)]]
    kept = np.flatnonzero(weight > 0)
    return Training(
        replace(training.X.take(kept), households=training.households[kept]),
        training.Y.take(kept),
        weight[kept] * (len(kept) / weight[kept].sum()),
        training.households[kept],
        training.replicates[kept],
    )


def resample(
    weight: FloatArray, households: Keys, seed: int, implicate: int, stream: str = "donor resample"
) -> FloatArray:
    """Reweight donors by a Bayesian bootstrap of their households.

    Each household's weight is multiplied by its own standard exponential number (Rubin 1981): expectation and
    variance one, so that a weighted mean varies as under resampling households. The result sums to the number
    of rows.

    Parameters
    ----------
    weight
        float64, shape (donors,).
    households
        uint64, shape (donors,): rows of one household share their number.
    seed, implicate, stream
        What the numbers are keyed by; another stream is another resample.

    Returns
    -------
    numpy.ndarray of float64, shape (donors,)
    """
    multiplier = -np.log(RowRandom(seed, implicate, households).uniform(stream))
    again = weight * multiplier
    total = float(again.sum())
    return np.asarray(again * (len(weight) / total))
