"""Donors by class, and weighted draws among the nearest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, closest
from microimpute.kinds import Table, Variable
from microimpute.matching.pool import Pool

__all__ = ["FIFTIETH", "Donors", "cells", "how_many", "neighbour_count", "positions"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[Any]]

#: Settings for as many neighbours as the square root of the number of donors, and for a fiftieth of them within bounds.
ROOT, FIFTIETH = "root", "fiftieth"


def neighbour_count(method: str, value: object) -> int | float | str:
    """Return a setting that says how many neighbours to draw among.

    ``"fiftieth"`` is a fiftieth of the donors, at least 5 and at most 60: with few donors sixty of them are no
    neighbours, and draws among them flatten slopes. Else as in StatMatch's ``RANDwNND.hotdeck``: a number (its
    ``cut.don="exact"``; 1 with all that tie is its ``"min"``), a share of the donors below 1 (``"span"``), or
    ``"root"``, the square root of their number (``"rot"``).

    Raises
    ------
    MethodError
        If it is something else.
    """
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if whole or (isinstance(value, float) and 0 < value < 1) or value in (ROOT, FIFTIETH):
        return value  # type: ignore[return-value]
    remedy = f"Give a whole number of at least 1, a share below 1, {ROOT!r} or {FIFTIETH!r}."
    raise MethodError(f"{method}'s neighbours is {value!r}", remedy)


def how_many(setting: int | float | str, donors: int) -> int:
    """Say how many neighbours a setting means for that many donors, see `neighbour_count`."""
    if setting == ROOT:
        return math.ceil(math.sqrt(donors))
    if setting == FIFTIETH:
        return min(60, max(5, math.ceil(donors / 50)))
    return math.ceil(setting * donors) if isinstance(setting, float) else int(setting)


def cells(X: Table, classes: tuple[int, ...]) -> IntArray:
    """Return the donor class of each row, from its levels of some class predictors; −1 where one is unknown."""
    out = np.zeros(len(X), dtype=np.int64)
    unknown = np.zeros(len(X), dtype=bool)
    for position in classes:
        code = X.values[:, position].astype(np.int64)
        out = out * max(1, len(X.variables[position].levels)) + code
        unknown |= code < 0
    return np.where(unknown, -1, out)


def positions(method: str, variables: tuple[Variable, ...], classes: Sequence[str]) -> tuple[int, ...]:
    """Find donor classes among the predictors.

    Raises
    ------
    MethodError
        If a name is not that of a class among the predictors.
    """
    known = {v.name: i for i, v in enumerate(variables) if v.kind.is_class}
    for name in classes:
        if name not in known:
            raise MethodError(
                f"{method}'s donor class {name!r} is no class among the predictors", closest(name, list(known))
            )
    return tuple(known[name] for name in classes)


class Donors:
    """Donors at points, those at the same point together, each drawn in proportion to weight.

    Parameters
    ----------
    at
        float64, shape (donors, columns): where each stands.
    weight
        float64, shape (donors,), not negative.
    cell
        int64, shape (donors,): donor class that each belongs to.
    power
        1 for distances that add up sizes of differences, 2 for Euclidean ones, infinity for the largest.
    """

    def __init__(self, at: FloatArray, weight: FloatArray, cell: IntArray, power: float) -> None:
        shapes = at.ndim == 2 and len(at) and weight.shape == cell.shape == (len(at),)
        if not (shapes and np.isfinite(at).all() and (weight >= 0).all() and weight.sum() > 0):
            raise MethodError("donors without a place or a weight can't be neighbours", "Save the model again.")
        self.at, self.weight, self.cell = at, weight, cell
        able = np.flatnonzero(weight > 0)
        self.everyone = Pool(at, weight, able, power)
        self.cells = found = np.unique(cell[able])
        self.pools = {int(c): Pool(at, weight, able[cell[able] == c], power) for c in found if len(found) > 1}

    def draw(
        self,
        at: FloatArray,
        cell: IntArray,
        within: FloatArray,
        count: int | float | str,
        radius: float | None = None,
    ) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Draw a donor per row among the nearest of its class, or of all where no donor has its class.

        Parameters
        ----------
        at, cell
            Where the rows stand, and their classes.
        within
            float64 in (0, 1), shape (rows,): chooses among the neighbours.
        count
            Number of neighbours, see `neighbour_count`; all that stand as near as the last of them count as well.
        radius
            Take all donors within this distance instead, and the nearest where there is none.

        Returns
        -------
        donor, fell_back
            int64 and bool, shape (rows,): the donor, and where none had the class, or none was within the radius.
        """
        out, fell_back = np.empty(len(at), dtype=np.int64), self.lacks(cell)
        for rows, pool in self._by_class(cell):
            if radius is None:
                out[rows] = pool.nearest(at[rows], within[rows], how_many(count, len(pool.order)))
            else:
                out[rows], some = pool.around(at[rows], within[rows], radius)
                fell_back[rows] |= ~some
        return out, fell_back

    def lacks(self, cell: IntArray) -> npt.NDArray[np.bool_]:
        """Say for which rows no donor has their class, shape (rows,)."""
        return ~np.isin(cell, self.cells)

    def uses(
        self, at: FloatArray, cell: IntArray, count: int | float | str
    ) -> Iterator[tuple[IntArray, FloatArray, IntArray, FloatArray]]:
        """Say class by class how often `draw` would use each donor on average.

        Parameters as for `draw`. Yields rows, how far off the last of each one's neighbours stands, donors, and how
        often these rows would use each of these donors, which sums to the number of rows.
        """
        for rows, pool in self._by_class(cell):
            reach, uses = pool.uses(at[rows], how_many(count, len(pool.order)))
            yield rows, reach, pool.order, uses

    def _by_class(self, cell: IntArray) -> Iterator[tuple[IntArray, Pool]]:
        known = np.where(np.isin(cell, list(self.pools)), cell, -1)
        for key in np.unique(known):
            yield np.flatnonzero(known == key), self.pools.get(int(key), self.everyone)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what they are made of."""
        return {"donors.at": self.at, "donors.weight": self.weight, "donors.cell": self.cell}

    @classmethod
    def from_state(cls, arrays: Arrays, power: float, donors: int) -> Donors:
        """Take it back, for that many donors."""
        at, weight, cell = (arrays[f"donors.{part}"] for part in ("at", "weight", "cell"))
        if len(at) != donors:
            raise MethodError("the saved neighbours do not match the donors", "Save the model again.")
        return cls(at, weight, cell, power)
