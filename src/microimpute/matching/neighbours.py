"""Donors as points, and weighted draws among the nearest points.

A row's neighbours must not depend on the other rows, yet with predictors of few values distances tie, and the
last bits, which change with the size of a product of matrices, would decide between donors. So donors at one
place are one point, points are shifted a little to be searched, a few more than needed are found, and their
distances are summed again in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, closest
from microimpute.kinds import Table, Variable

__all__ = ["FIFTIETH", "Donors", "cells", "neighbour_count", "positions"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[Any]]

#: Distances closer than this, relatively, are tied.
SAME = 1e-9
#: Over this many columns every distance is computed; below, a tree is searched.
MANY = 8.0
#: Shift of points, as a share of their range, that settles ties; candidates beyond those asked for.
SHIFT, SPARE = 1e-6, 8
#: Rows whose neighbours are held at a time where only their donors' use is asked.
ROWS = 4_000
#: Settings for as many neighbours as the square root of the number of donors, and for a fiftieth of them within bounds.
ROOT, FIFTIETH = "root", "fiftieth"
#: Most entries of a block of distances that is held at a time.
ENTRIES = 1_000_000


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


def _how_many(setting: int | float | str, donors: int) -> int:
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
        self.everyone = _Pool(at, weight, able, power)
        self.cells = found = np.unique(cell[able])
        self.pools = {int(c): _Pool(at, weight, able[cell[able] == c], power) for c in found if len(found) > 1}

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
                out[rows] = pool.nearest(at[rows], within[rows], _how_many(count, len(pool.order)))
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
            reach, uses = pool.uses(at[rows], _how_many(count, len(pool.order)))
            yield rows, reach, pool.order, uses

    def _by_class(self, cell: IntArray) -> Iterator[tuple[IntArray, _Pool]]:
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


class _Pool:
    """Donors of one class: ``order[start[p]:start[p + 1]]`` stand at point p."""

    def __init__(self, at: FloatArray, weight: FloatArray, rows: IntArray, power: float) -> None:
        from scipy.spatial import cKDTree
        from sklearn.neighbors import NearestNeighbors

        self.points, place = np.unique(at[rows], axis=0, return_inverse=True)
        sorted_by = np.argsort(place, kind="stable")
        self.order, self.power = rows[sorted_by], power
        self.start = np.searchsorted(place[sorted_by], np.arange(len(self.points) + 1))
        self.running = np.concatenate([[0.0], np.cumsum(weight[self.order])])
        self.size = np.diff(self.start)
        self.mass = np.diff(self.running[self.start])
        # ties beyond the candidates are settled once for all, at random, not by how the search goes about them
        shift = np.random.default_rng(0).uniform(-SHIFT, SHIFT, self.points.shape)
        shifted = self.points + shift * np.ptp(self.points, axis=0).max(initial=0.0)
        # a tree saves nothing where distances spread over many columns: most branches have to be visited
        if _breadth(self.points) < MANY:
            self.tree = cKDTree(shifted, balanced_tree=False)
        else:
            self.tree = None
            self.brute = NearestNeighbors(algorithm="brute", metric=_METRIC[power]).fit(shifted)

    def nearest(self, at: FloatArray, within: FloatArray, count: int) -> IntArray:
        """Draw among the `count` nearest and those as near as the last of them."""
        if not len(at):
            return np.zeros(0, dtype=np.int64)
        point, mass, _ = self._among(at, count)
        place, rest = _pick(mass, within)
        return self._at(point[np.arange(len(at)), place], rest)

    def uses(self, at: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
        """Say how far each row's neighbours reach, and how often `nearest` would use each of `order` on average."""
        from joblib import Parallel, delayed

        def of(part: FloatArray) -> tuple[FloatArray, FloatArray]:
            point, mass, reach = self._among(part, count)
            share = mass / mass.sum(axis=1)[:, None]
            uses = np.bincount(point.ravel(), weights=share.ravel(), minlength=len(self.points)).astype(np.float64)
            return reach, uses

        parts = Parallel()(delayed(of)(at[start : start + ROWS]) for start in range(0, len(at), ROWS))
        total = np.sum([uses for _, uses in parts], axis=0)  # in their order, whoever made them
        each = np.repeat(total / self.mass, self.size) * np.diff(self.running)
        return np.concatenate([reach for reach, _ in parts]), np.asarray(each)

    def _among(self, at: FloatArray, count: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Find the points near each row, the mass of those that its donor is drawn among, and how far they reach."""
        rows = np.arange(len(at))
        distance, point = self._search(at, min(count + SPARE, len(self.points)))
        size = np.cumsum(self.size[point], axis=1)
        last = np.minimum((size < count).sum(axis=1), point.shape[1] - 1)  # the first point with enough before it
        edge = distance[rows, last] * (1 + SAME) + SAME
        return point, np.where(distance <= edge[:, None], self.mass[point], 0.0), edge

    def _search(self, at: FloatArray, near: int) -> tuple[FloatArray, IntArray]:
        """Find the nearest points, nearest first: distances and points, shape (rows, near)."""
        if self.tree is not None:
            point = self.tree.query(at, k=near, p=self.power)[1].reshape(len(at), near)
        else:
            point = self.brute.kneighbors(at, near, return_distance=False)
        total = np.zeros(point.shape)
        for here, there in zip(at.T, self.points.T, strict=True):
            size = np.abs(here[:, None] - there[point])
            total = np.maximum(total, size) if self.power == np.inf else total + size**self.power
        distance = np.sqrt(total) if self.power == 2 else total
        order = np.lexsort((point, distance))
        return np.take_along_axis(distance, order, axis=1), np.take_along_axis(point, order, axis=1)

    def _blocks(self, rows: int) -> Iterator[slice]:
        step = max(1, ENTRIES // len(self.points))
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def _distances(self, at: FloatArray) -> FloatArray:
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(at, self.points, _METRIC[self.power]))

    def around(self, at: FloatArray, within: FloatArray, radius: float) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Draw among all within the radius, or at the nearest point where there is none; says where there is one."""
        out, reached = self.nearest(at, within, 1), np.zeros(len(at), dtype=bool)
        for rows in self._blocks(len(at)):
            mass = np.where(self._distances(at[rows]) <= radius * (1 + SAME) + SAME, self.mass, 0.0)
            some = mass.any(axis=1)
            point, rest = _pick(mass[some], within[rows][some])
            out[rows][some], reached[rows] = self._at(point, rest), some  # a slice is a view
        return out, reached

    def _at(self, point: IntArray, rest: FloatArray) -> IntArray:
        """Find the donor at a point by how far into the point's weight it stands."""
        place = np.searchsorted(self.running, self.running[self.start[point]] + rest, side="right") - 1
        return np.asarray(self.order[np.clip(place, self.start[point], self.start[point + 1] - 1)])


_METRIC = {1: "cityblock", 2: "euclidean", np.inf: "chebyshev"}


def _breadth(points: FloatArray) -> float:
    """Say over how many columns distances spread: all columns if alike, one if one has all the spread."""
    spread = points.std(axis=0)
    return float(spread.sum() ** 2 / (spread**2).sum()) if spread.any() else 1.0


def _pick(mass: FloatArray, within: FloatArray) -> tuple[IntArray, FloatArray]:
    """Choose a column of each row in proportion to mass, and say how far into its mass the choice fell."""
    running = np.cumsum(mass, axis=1)
    goal = within * running[:, -1]
    place = np.minimum((running <= goal[:, None]).sum(axis=1), mass.shape[1] - 1)
    rows = np.arange(len(mass))
    return place, goal - (running[rows, place] - mass[rows, place])
