"""Constrained matching: all receivers get donors at once, each donor only so often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.matching.assignment import allot, assign, capped
from microimpute.matching.distances import Distance, Space
from microimpute.matching.neighbours import Donors, cells, neighbour_count, positions
from microimpute.methods.base import DonorMethod, FloatArray, IntArray

__all__ = ["Constrained"]


class Constrained(DonorMethod):
    """The donors that `nearest` would draw, shared out among all receivers at once, each donor only so often.

    How often `nearest` would use each donor on average, given all receivers and the donors' weights, is rounded up
    or down at random, and held to `most`. Then every receiver gets one of the donors on offer so that the total
    distance beyond its neighbours is least; which of its neighbours it gets is left to chance, as in `nearest`: the
    very nearest would be drawn too often for what weights say. So no donor is used often by chance, or more often
    than it may.

    Who gets which donor depends on all receivers: the same receivers among others may get other donors. Up to 500
    receivers (of a class) the assignment is the best there is. More are divided, together with the donors on offer,
    at the middle of the column of the widest spread and again until no part has more, and each part's assignment is
    the best; a matrix of all distances is never made.

    Parameters
    ----------
    most
        How often a donor may be used; None for as often as the receivers near it ask for.
    neighbours, distance, importance, amounts
        As in `nearest`.
    classes
        Class predictors that must agree. Receivers of a combination that no donor has are matched with all donors,
        apart from the others: a donor may be used `most` times by either.
    """

    name = "constrained"
    summary = "Whole donor bundles at the least total distance, each donor at most so often: constrained matching."
    reference = "Rodgers (1984), Journal of Business & Economic Statistics 2; D'Orazio, Di Zio & Scanu (2006), 2.4.3."
    advice = (
        "When no donor may be used more often than a number that can be stated, or than the receivers near it ask "
        "for. Not where receivers are imputed a few at a time: donors are shared out among those given at once."
    )
    joint = True
    proper = None
    uses_weights = True
    rowwise = False
    cost = 0.1

    def __init__(
        self,
        most: int | None = None,
        neighbours: int | float | str = 60,
        distance: str = "gower",
        importance: str | Mapping[str, float] = "learnt",
        classes: Sequence[str] = (),
        amounts: str = "ranks",
    ) -> None:
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            raise MethodError(f"constrained's most is {most!r}", "Give a whole number of at least 1, or leave it out.")
        self.most = most
        self.neighbours = neighbour_count("constrained", neighbours)
        self.distance = distance
        self.importance = dict(importance) if isinstance(importance, Mapping) else importance
        self.classes = list(classes)
        self.amounts = amounts
        self.asked = Distance(self.name, distance, self.importance, amounts)

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Learn what counts, and put the donors in their places."""
        self.predictors, self.targets = X.variables, Y.variables
        self.bundles = Y.values
        self.space = Space.learn(self.asked, X, Y, weight, rng)
        self.places = Donors(self.space.of(X.values), weight, self._cells(X), self.asked.power)
        return self

    def choose(self, X: Table, rng: RowRandom) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Match all rows at once, class by class; says which rows have a class that no donor has."""
        order = np.argsort(rng.keys, kind="stable")  # so that the file's order decides nothing
        at, cell = self.space.of(X.values)[order], self._cells(X)[order]
        donor, start = np.empty(len(X), dtype=np.int64), rng.uniform("start")[order]
        for rows, reach, able, uses in self.places.uses(at, cell, self.neighbours):
            first = float(start[rows[0]])
            offered = np.repeat(able, allot(self._held(uses, able, len(rows)), first))
            where = self.places.at[offered]
            donor[rows] = offered[assign(at[rows], where, self.asked.power, reach, seed=int(first * 2**53))]
        back = np.argsort(order)
        return donor[back], self.places.lacks(cell)[back]

    def _held(self, uses: FloatArray, able: IntArray, rows: int) -> FloatArray:
        """Hold the uses of some donors by so many rows to the most that is allowed."""
        if self.most is None:
            return uses
        if rows > self.most * len(able):
            text = f"{rows:,} receivers can't each have one of {len(able):,} donors used at most {self.most} times"
            raise MethodError(text, "Raise constrained's most, leave it out, or match within fewer classes.")
        return capped(uses, self.most, self.places.weight[able])

    def learnt(self) -> dict[str, Any]:
        """Say how much each predictor counts in the distance."""
        return self.space.learnt()

    def _cells(self, X: Table) -> IntArray:
        return cells(X, positions(self.name, self.predictors, self.classes))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return bundles, places, weights and how to find a receiver's place."""
        return {"bundles": self.bundles} | self.space.state() | self.places.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back, after checking that they fit together."""
        self.bundles = arrays["bundles"]
        self.space = Space.from_state(self.asked, self.predictors, arrays)
        self.places = Donors.from_state(arrays, self.asked.power, len(self.bundles))
        fits = self.space.scale.shape[1] == self.places.at.shape[1]
        if not fits or self.bundles.shape[1:] != (len(self.targets),):
            raise MethodError("the saved donors do not fit together", "Save the model again.")
        return self
