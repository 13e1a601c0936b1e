"""Donors as points, and weighted draws among the nearest points.

A row's neighbours must not depend on the other rows, yet with predictors of few values distances tie, and the
last bits, which change with the size of a product of matrices, would decide between donors. So donors at one
place are one point, points are shifted a little to be searched, a few more than needed are found, and their
distances are summed again in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["Pool", "pick"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Distances closer than this, relatively, are tied.
SAME = 1e-9
#: Over this many columns every distance is computed; below, a tree is searched.
MANY = 8.0
#: Shift of points, as a share of their range, that settles ties; candidates beyond those asked for.
SHIFT, SPARE = 1e-6, 8
#: Rows whose neighbours are held at a time where only their donors' use is asked.
ROWS = 4_000
#: Most entries of a block of distances that is held at a time.
ENTRIES = 1_000_000


class Pool:
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
        place, rest = pick(mass, within)
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

    def candidates(self, at: FloatArray, count: int) -> Iterator[tuple[slice, IntArray, IntArray]]:
        """List the `count` nearest donors of each row and those as near as the last of them, in bounded blocks.

        Yields
        ------
        rows, row, donor
            Which rows a block is of; and for each pair the row, counted within the block, and the donor, each of shape
            (pairs,), row by row.
        """
        everyone = count >= len(self.order)
        widest = len(self.order)
        if not everyone:
            point, near, _ = self._reach(at, count)
            widest = int(np.where(near, self.size[point], 0).sum(axis=1).max(initial=1))
        step = max(1, ENTRIES // widest)
        for start in range(0, len(at), step):
            rows = slice(start, min(start + step, len(at)))
            if everyone:
                here = np.arange(rows.stop - rows.start)
                yield rows, np.repeat(here, len(self.order)), np.tile(self.order, len(here))
                continue
            row, column = np.nonzero(near[rows])
            found = point[rows][row, column]
            size = self.size[found]
            along = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
            yield rows, np.repeat(row, size), self.order[np.repeat(self.start[found], size) + along]

    def _among(self, at: FloatArray, count: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Find the points near each row, the mass of those that its donor is drawn among, and how far they reach."""
        point, near, edge = self._reach(at, count)
        return point, np.where(near, self.mass[point], 0.0), edge

    def _reach(self, at: FloatArray, count: int) -> tuple[IntArray, npt.NDArray[np.bool_], FloatArray]:
        """Find points near each row, which of them hold the `count` nearest donors, and how far those reach."""
        rows = np.arange(len(at))
        distance, point = self._search(at, min(count + SPARE, len(self.points)))
        size = np.cumsum(self.size[point], axis=1)
        last = np.minimum((size < count).sum(axis=1), point.shape[1] - 1)  # the first point with enough before it
        edge = distance[rows, last] * (1 + SAME) + SAME
        return point, distance <= edge[:, None], edge

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
            point, rest = pick(mass[some], within[rows][some])
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


def pick(mass: FloatArray, within: FloatArray) -> tuple[IntArray, FloatArray]:
    """Choose a column of each row in proportion to mass, and say how far into its mass the choice fell."""
    running = np.cumsum(mass, axis=1)
    goal = within * running[:, -1]
    place = np.minimum((running <= goal[:, None]).sum(axis=1), mass.shape[1] - 1)
    rows = np.arange(len(mass))
    return place, goal - (running[rows, place] - mass[rows, place])
