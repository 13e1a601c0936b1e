"""Whole donors drawn among the nearest that keep a condition: the donors are restricted first, then one is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Table
from microimpute.matching.distances import Distance, Space
from microimpute.matching.neighbours import FIFTIETH, how_many
from microimpute.matching.pool import ENTRIES, ROWS, Pool, pick

__all__ = ["LEAST", "WIDER", "Eligible"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: (receivers, donors), pair by pair → whether the donor's bundle keeps the condition there, each of shape (pairs,).
Keeps = Callable[[IntArray, IntArray], npt.NDArray[np.bool_]]

#: Fewest eligible donors to draw among, as long as there are donors farther off.
LEAST = 5
#: How many times more donors the next step looks at.
WIDER = 4
#: The distance of `nearest`, which has been measured there.
DISTANCE = Distance("edit rules", "gower", "learnt", "ranks")


class Eligible:
    """Donors that receivers can have whole bundles of, under a condition on the pair.

    Looked at are a receiver's nearest donors by learnt importance, a fiftieth of all but 5 to 60 as in `nearest`, and
    those as near as the last. If fewer than `LEAST` of them keep the condition, `WIDER` times as many are looked at,
    and so on, at last all.

    Parameters
    ----------
    X, Y, weight
        The donors' predictors and bundles, and weights of shape (donors,); those without weight are not drawn.
    receivers
        Predictors of the receivers.
    within
        float64 in (0, 1), shape (receivers,): chooses among the eligible donors.
    rng
        For learning importance.
    """

    def __init__(
        self, X: Table, Y: Table, weight: FloatArray, receivers: Table, within: FloatArray, rng: np.random.Generator
    ) -> None:
        self.bundles, self.weight, self.receivers, self.within = Y.values, weight, receivers, within
        self.space = Space.learn(DISTANCE, X, Y, weight, rng)
        self.pool = Pool(self.space.of(X.values), weight, np.flatnonzero(weight > 0), DISTANCE.power)

    def __len__(self) -> int:
        return len(self.pool.order)

    @property
    def steps(self) -> tuple[int, ...]:
        """How many of the nearest donors are looked at, step by step; the last are all."""
        steps = [how_many(FIFTIETH, len(self))]
        while 2 * steps[-1] * WIDER <= len(self):  # beyond a half, to look at all is less work
            steps.append(steps[-1] * WIDER)
        return (*steps, len(self)) if steps[-1] < len(self) else (len(self),)

    def draw(self, rows: IntArray, keeps: Keeps) -> tuple[IntArray, IntArray]:
        """Draw a donor for some receivers, in proportion to weight among those that are eligible.

        Parameters
        ----------
        rows
            Numbers of the receivers.
        keeps
            The condition.

        Returns
        -------
        donor, step
            int64, shape (len(rows),): the donor, −1 where none of all keeps the condition; and which of `steps` had
            to be gone to.
        """
        from joblib import Parallel, delayed

        donor, step = np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
        left = np.arange(len(rows))
        rare = np.zeros(len(rows), dtype=bool)
        for number, count in enumerate(self.steps):
            everyone = count == len(self)
            now = left if everyone else left[~rare[left]]
            size = max(1, min(ROWS, ENTRIES // count))
            parts = [now[start : start + size] for start in range(0, len(now), size)]
            least = 1 if everyone else LEAST
            drawn = Parallel()(delayed(self._among)(rows[part], count, least, keeps) for part in parts)
            step[now] = number
            donor[now] = np.concatenate([*drawn, np.zeros(0, dtype=np.int64)])
            left = left[donor[left] < 0]
            if number == 0 and not everyone:
                rare[left] = self._too_few(rows[left], keeps)
        return donor, step

    def _too_few(self, rows: IntArray, keeps: Keeps) -> npt.NDArray[np.bool_]:
        """Say for which rows fewer than `LEAST` of all donors are eligible: no need to go step by step there."""
        out = np.zeros(len(rows), dtype=bool)
        for block, row, donor in self.pool.candidates(np.zeros((len(rows), 0)), len(self)):
            number = np.bincount(row[keeps(rows[block][row], donor)], minlength=len(rows[block]))
            out[block] = number < LEAST
        return out

    def _among(self, rows: IntArray, count: int, least: int, keeps: Keeps) -> IntArray:
        """Draw among the nearest; −1 where fewer than `least` of them are eligible."""
        out = np.full(len(rows), -1, dtype=np.int64)
        at = self.space.of(self.receivers.values[rows])
        for block, row, donor in self.pool.candidates(at, count):
            kept = keeps(rows[block][row], donor)
            out[block] = self._one(row[kept], donor[kept], self.within[rows[block]], least)
        return out

    def _one(self, row: IntArray, donor: IntArray, within: FloatArray, least: int) -> IntArray:
        """Draw one of each row's donors, which stand row by row; each row's sums do not depend on other rows."""
        number = np.bincount(row, minlength=len(within))
        column = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
        mass = np.zeros((len(within), max(1, int(number.max(initial=0)))))
        which = np.zeros(mass.shape, dtype=np.int64)
        mass[row, column], which[row, column] = self.weight[donor], donor
        chosen, _ = pick(mass, within)
        return np.where(number >= least, which[np.arange(len(within)), chosen], -1)
