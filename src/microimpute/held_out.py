"""Donors divided into folds by household: what a way to draw gives for those that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from microimpute.keyed import Keys, RowRandom, generator
from microimpute.kinds import Table

__all__ = ["Donors", "Fit", "HeldOut"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Makes a sampler, (predictors, random numbers) → one joint draw per row, from donors and a generator.
Fit = Callable[["Donors", np.random.Generator], Callable[[Table, RowRandom], FloatArray]]


@dataclass(frozen=True)
class Donors:
    """Donors to learn from.

    Attributes
    ----------
    X, Y
        Predictors and targets.
    weight
        float64, shape (rows,), positive.
    households
        uint64, shape (rows,): equal for rows of one household.
    """

    X: Table
    Y: Table
    weight: FloatArray
    households: Keys

    @classmethod
    def of(cls, X: Table, Y: Table, weight: FloatArray) -> Self:
        """Take the donors that have weight; where households are not known, each row is one."""
        rows = np.arange(len(X), dtype=np.uint64)
        households = rows if X.households is None else X.households
        return cls(X, Y, weight, households).take(weight > 0)

    def __len__(self) -> int:
        return len(self.weight)

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Self:
        """Keep some of the rows."""
        return type(self)(self.X.take(rows), self.Y.take(rows), self.weight[rows], self.households[rows])

    def resampled(self, rng: np.random.Generator) -> Self:
        """Reweight by a Bayesian bootstrap of households, as `microimpute.resampling.resample` does for implicates."""
        names, place = np.unique(self.households, return_inverse=True)
        again = self.weight * rng.standard_exponential(len(names))[place]
        return replace(self, weight=again * (len(again) / again.sum()))


@dataclass(frozen=True)
class HeldOut:
    """A division of donor households into folds.

    Attributes
    ----------
    donors
        Those that take part.
    fold
        int64, shape (rows,): rows of one household are in one fold.
    draws
        Joint draws per row.
    seed
        Of all that is random in the comparison.
    """

    donors: Donors
    fold: IntArray
    draws: int
    seed: int

    @classmethod
    def divide(cls, donors: Donors, most: int, folds: int, draws: int, seed: int) -> Self:
        """Divide at most so many households, chosen at random, into folds of equal numbers of households."""
        names, place = np.unique(donors.households, return_inverse=True)
        order = np.random.default_rng([seed, 30]).permutation(len(names))[:most]
        fold = np.full(len(names), -1)
        fold[order] = np.arange(len(order)) % folds
        kept = fold[place] >= 0
        return cls(donors.take(kept), fold[place][kept], draws, seed)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1

    @property
    def keys(self) -> Keys:
        """What random numbers of rows are keyed by: their place among the donors, which no file order changes."""
        return np.arange(len(self.donors), dtype=np.uint64)

    def parts(self) -> Iterator[tuple[int, Donors, IntArray]]:
        """Yield each fold's number, the donors of the other folds, and its own rows."""
        for number in range(self.folds):
            yield number, self.donors.take(self.fold != number), np.flatnonzero(self.fold == number)

    def draw(self, fit: Fit) -> FloatArray:
        """Draw for each fold from what was learnt on the others, shape (draws, rows, targets)."""
        out = np.empty((self.draws, *self.donors.Y.values.shape))
        for number, learn, rows in self.parts():
            sampler = fit(learn, generator(self.seed, number, "held-out fit"))
            X, keys = self.donors.X.take(rows), self.keys[rows]
            for i in range(self.draws):
                out[i, rows] = sampler(replace(X, households=None), RowRandom(self.seed, i + 1, keys))
        return out

    def shuffled(self, repeat: int) -> FloatArray:
        """Draw the null: whole donors of the other folds in proportion to weight, whatever the predictors."""
        rng = np.random.default_rng([self.seed, 31, repeat])
        out = np.empty((self.draws, *self.donors.Y.values.shape))
        for _, learn, rows in self.parts():
            weight = learn.resampled(rng).weight
            chosen = rng.choice(len(weight), (self.draws, len(rows)), p=weight / weight.sum())
            out[:, rows] = learn.Y.values[chosen]
        return out
