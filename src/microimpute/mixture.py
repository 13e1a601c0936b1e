"""Mixtures of methods: with which probability a row's draw should come from each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.held_out import HeldOut
from microimpute.keyed import RowRandom
from microimpute.selection import Judge, Verdict

__all__ = ["MIXTURE", "Distances", "best_weights", "gain", "mix", "which"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

#: What a mixture is called beside the methods that it is made of, and of how many at most.
MIXTURE, PARTS = "mixture", 3
#: A method that is to give less than this share of the rows is not worth its fit.
LEAST = 0.05
#: Standard errors by which a mixture must be better.
NOISE = 2.0


@dataclass(frozen=True)
class Distances:
    """Mean distances between truth and draws of J methods, row by row: what a mixture's energy score is made of.

    A mixture with probabilities p has the expected energy score ``a·p − ½ pᵀBp`` (Gneiting & Raftery 2007, eq. 22),
    with a the mean distances of each method's draws to the truth and B those between draws of two methods.

    Attributes
    ----------
    truth
        a, shape (rows, J).
    between
        B, shape (rows, J, J); only draws of different numbers are compared, also between two methods, so that the
        score is fair to any number of draws and draws that share random numbers do not count as alike.
    """

    truth: FloatArray
    between: FloatArray

    @classmethod
    def of(cls, truth: FloatArray, draws: Sequence[Float32Array]) -> Self:
        """Measure distances on comparable scales.

        Parameters
        ----------
        truth
            Shape (rows, columns).
        draws
            One array of shape (m, rows, columns) per method, m at least 2.
        """
        count, m = len(draws), len(draws[0])
        to_truth = np.stack([_norms(d - truth).mean(axis=0) for d in draws], axis=1)
        between = np.zeros((len(truth), count, count))
        for j in range(count):
            for k in range(j, count):
                for step in range(1, m):  # draw i with draw i + step, around the end
                    between[:, j, k] += _norms(draws[j] - np.roll(draws[k], step, axis=0)).mean(axis=0)
                between[:, j, k] /= m - 1
                between[:, k, j] = between[:, j, k]
        return cls(to_truth, between)

    def scores(self, p: FloatArray) -> FloatArray:
        """Return each row's energy score under a mixture, shape (rows,).

        Parameters
        ----------
        p
            Probabilities, shape (J,), or shape (rows, J) where each row has its own.
        """
        p = np.broadcast_to(p, self.truth.shape)
        return np.asarray((self.truth * p).sum(axis=1) - 0.5 * np.einsum("nj,njk,nk->n", p, self.between, p))


def _norms(difference: Float32Array | FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("mnk,mnk->mn", difference, difference)), dtype=np.float64)


def best_weights(distances: Distances, weight: FloatArray) -> FloatArray:
    """Find the probabilities with the least mean energy score.

    Parameters
    ----------
    distances
        Of J methods.
    weight
        Shape (rows,): how much each row counts.

    Returns
    -------
    numpy.ndarray of float64, shape (J,)
        Not negative, adding up to one; none between zero and `LEAST`.
    """
    from scipy.optimize import minimize

    share = weight / weight.sum()
    a, b = share @ distances.truth, np.einsum("n,njk->jk", share, distances.between)
    count = len(a)
    # From each single method and from the middle: where draws differ by noise alone, the score need not be convex.
    starts = [*np.eye(count), np.full(count, 1 / count)]
    found = [
        minimize(
            lambda p: a @ p - 0.5 * p @ b @ p,
            start,
            jac=lambda p: a - b @ p,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * count,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones_like(p)},
        )
        for start in starts
    ]
    best = min((f for f in found if np.isfinite(f.fun)), key=lambda f: float(f.fun))
    p = np.where(best.x < LEAST, 0.0, best.x)
    return np.asarray(p / p.sum())


def gain(
    distances: Distances, weight: FloatArray, fold: IntArray, households: npt.NDArray[np.uint64], best: int
) -> tuple[float, float, FloatArray]:
    """Say how much lower a mixture's energy score is than that of one method, on rows that its weights have not seen.

    Parameters
    ----------
    distances
        Of J methods on n rows.
    weight
        Shape (n,).
    fold
        Shape (n,): the rows of each fold are scored with the weights that are best on the others.
    households
        Shape (n,): rows of one household agree; they are no independent observations.
    best
        Position of the method that the mixture is compared with.

    Returns
    -------
    gain, error, weights
        The weighted mean gain; its standard error, households independent (linearised ratio mean, Särndal,
        Swensson & Wretman 1992, sec. 5.6); and the probabilities that each row was scored with, shape (n, J).
    """
    p = np.empty(distances.truth.shape)
    for number in np.unique(fold):
        others = fold != number
        p[~others] = best_weights(Distances(distances.truth[others], distances.between[others]), weight[others])
    alone = np.eye(distances.truth.shape[1])[best]
    each = distances.scores(alone) - distances.scores(p)
    mean = float(np.average(each, weights=weight))
    _, place = np.unique(households, return_inverse=True)
    sums = np.bincount(place, weights=weight * (each - mean))
    count = len(sums)
    error = float(np.sqrt(count / max(count - 1, 1) * np.sum(sums**2)) / weight.sum())
    return mean, error, p


def mix(
    held_out: HeldOut, judge: Judge, draws: Mapping[str, FloatArray], verdicts: Mapping[str, Verdict], chosen: str
) -> tuple[dict[str, float], dict[str, Any] | None]:
    """Find a mixture of the best methods, and let the judge hear it if it beats each of them by more than noise.

    Parameters
    ----------
    held_out, judge
        The donors held out, and who scores draws for them; hears the mixture under the name `MIXTURE`.
    draws
        Method → draws for the donors held out, shape (draws, rows, targets).
    verdicts
        On these methods.
    chosen
        The best of them by mean skill; it is part of the mixture.

    Returns
    -------
    shares, told
        Method → its probability; and in plain values shares, the method of the least energy score, the mixture's
        gain over it and the gain's standard error. None where there is nothing to mix.
    """
    fails = verdicts[chosen].fails
    ranked = sorted(verdicts, key=lambda n: (n != chosen, -(verdicts[n].mean or 0.0)))
    best = [n for n in ranked if fails or not verdicts[n].fails][:PARTS]
    if len(best) < 2:
        return {}, None
    donors, scored = held_out.donors, judge.question(draws[chosen])
    scaled = [np.stack([scored.scale(d).astype(np.float32) for d in draws[n]]) for n in best]
    distances = Distances.of(scored.z, scaled)
    alone = [float(np.average(distances.scores(p), weights=donors.weight)) for p in np.eye(len(best))]
    against = int(np.argmin(alone))
    better, error, seen = gain(distances, donors.weight, held_out.fold, donors.households, against)
    if better > NOISE * error:
        order = np.stack([which(seen, RowRandom(held_out.seed, i + 1, held_out.keys)) for i in range(held_out.draws)])
        stacked = np.stack([draws[n] for n in best])
        judge.hear(MIXTURE, np.take_along_axis(stacked, order[None, :, :, None], axis=0)[0])
    weights = best_weights(distances, donors.weight)
    shares = {n: float(p) for n, p in zip(best, weights, strict=True) if p > 0}
    told = {"shares": {n: round(p, 4) for n, p in shares.items()}, "against": best[against]}
    return shares, told | {"gain": float(f"{better:.3g}"), "standard_error": float(f"{error:.3g}")}


def which(p: FloatArray, rng: RowRandom) -> IntArray:
    """Choose a part for each row, shape (rows,), by shares of shape (parts,) or (rows, parts)."""
    edges = np.cumsum(np.broadcast_to(p, (len(rng), p.shape[-1])), axis=1)[:, :-1]
    return np.asarray((rng.uniform("part of the mixture")[:, None] >= edges).sum(axis=1), dtype=np.int64)
