"""Trees whose leaves index all donors, to be drawn from in proportion to weight.

A draw sends a row down one randomly chosen tree and takes a donor from its leaf in proportion to weight. That
is an exact draw from the forest's weighted conditional distribution (Meinshausen 2006, eq. 6; Ćevid et al.
2022, sec. 2) at the cost of one tree. Because all donors stand in the leaves with their weights, the weighted
mean of the donors comes back as the mean of the draws on the same population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError

__all__ = ["LeafForest", "Tree"]

#: A donor with no other in its leaf counts as if others had this share of the weight: its odds are not infinite.
ALONE = 1e-9

Features = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Tree:
    """One tree as arrays: children (−1 at leaves), split feature and threshold, and each donor's leaf."""

    left: IntArray
    right: IntArray
    feature: IntArray
    threshold: FloatArray
    leaves: IntArray


@dataclass(frozen=True)
class LeafForest:
    """Many trees laid end to end.

    Attributes
    ----------
    roots
        int32, shape (trees,): node that each tree starts at.
    left, right, feature, threshold
        shape (nodes,): children (−1 at leaves), split feature and threshold.
    start, end
        int32, shape (nodes,): a leaf's donors are ``order[start:end]``.
    order
        int32, shape (trees × donors,): donors sorted by leaf.
    cumulative
        float64, shape (trees × donors + 1,): running sum of the weights of `order`, from 0.
    """

    roots: IntArray
    left: IntArray
    right: IntArray
    feature: IntArray
    threshold: FloatArray
    start: IntArray
    end: IntArray
    order: IntArray
    cumulative: FloatArray

    @classmethod
    def build(cls, trees: list[Tree], weight: FloatArray) -> Self:
        """Lay trees end to end and index the donors in their leaves.

        Parameters
        ----------
        trees
            Grown trees, each with the leaf of every donor.
        weight
            float64, shape (donors,): what draws within a leaf are in proportion to.
        """
        sizes = [len(t.left) for t in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        orders, starts, ends = [], [], []
        for number, tree in enumerate(trees):
            order = np.argsort(tree.leaves, kind="stable").astype(np.int32)
            bounds = np.searchsorted(tree.leaves[order], np.arange(len(tree.left) + 1)) + number * len(weight)
            orders.append(order)
            starts.append(bounds[:-1])
            ends.append(bounds[1:])
        order = np.concatenate(orders)
        return cls(
            roots=roots,
            left=_shifted([t.left for t in trees], roots),
            right=_shifted([t.right for t in trees], roots),
            feature=np.concatenate([t.feature for t in trees]).astype(np.int32),
            threshold=np.concatenate([t.threshold for t in trees]),
            start=np.concatenate(starts).astype(np.int32),
            end=np.concatenate(ends).astype(np.int32),
            order=order,
            cumulative=np.concatenate([[0.0], np.cumsum(weight[order])]),
        )

    def draw(
        self, X: Features, rows: npt.NDArray[np.int64], which: FloatArray, within: FloatArray
    ) -> npt.NDArray[np.int64]:
        """Draw one donor for each of some rows.

        Parameters
        ----------
        X
            float32, shape (all rows, at least as many features as the trees know).
        rows
            int64, shape (rows,): which rows of X are meant.
        which, within
            float64 in (0, 1), shape (rows,): choose the tree and the donor in its leaf.

        Returns
        -------
        numpy.ndarray of int64, shape (rows,)
            Positions of donors.
        """
        return self.order[self.place(self.route(X, rows, which), within)].astype(np.int64)

    def place(self, leaf: npt.NDArray[np.int64], within: FloatArray) -> npt.NDArray[np.int64]:
        """Draw from leaves in proportion to weight; returns places in `order`, shape (rows,)."""
        low, high = self.cumulative[self.start[leaf]], self.cumulative[self.end[leaf]]
        place = np.searchsorted(self.cumulative, low + within * (high - low), side="right") - 1
        # rounding may step over the end of a leaf
        return np.clip(place, self.start[leaf], self.end[leaf] - 1)

    def shares(
        self, X: Features, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
        """Say with which probability each of some rows draws each donor.

        Parameters
        ----------
        X, rows
            As for `draw`.

        Returns
        -------
        tuple of numpy.ndarray
            Positions in `rows`, positions of donors, and probabilities, which add up to one for each row. A
            donor comes once for each tree that could draw it.
        """
        count = len(self.roots)
        trees = np.tile((np.arange(count) + 0.5) / count, len(rows))
        leaf = self.route(X, np.repeat(rows, count), trees)
        sizes = self.end[leaf].astype(np.int64) - self.start[leaf]
        first = np.repeat(self.start[leaf] - (np.cumsum(sizes) - sizes), sizes)
        place = first + np.arange(len(first))
        whole = (self.cumulative[self.end[leaf]] - self.cumulative[self.start[leaf]]) * count
        share = (self.cumulative[place + 1] - self.cumulative[place]) / np.repeat(whole, sizes)
        row = np.repeat(np.repeat(np.arange(len(rows)), count), sizes)
        return row, self.order[place].astype(np.int64), share

    def totals(self, what: FloatArray) -> FloatArray:
        """Return weighted sums over each leaf's donors, shape (nodes, columns); zero at inner nodes.

        Parameters
        ----------
        what
            float64, shape (donors, columns).
        """
        weight = np.diff(self.cumulative)[:, None]
        running = np.vstack([np.zeros((1, what.shape[1])), np.cumsum(weight * what[self.order], axis=0)])
        return np.where(self.left[:, None] < 0, running[self.end] - running[self.start], 0.0)

    def coarser(self, least: int) -> LeafForest:
        """Cut the trees back where a branch holds fewer than so many donors."""
        last = np.arange(len(self.left))
        inner = self.left >= 0
        while (moving := self.left[last] >= 0).any():
            last[moving] = self.right[last[moving]]
        # donors stand in the order of their leaves, so those below a node stand together
        start, end = self.start, self.end[last]
        held = end - start
        cut = inner & (np.minimum(held[self.left], held[self.right]) < least)
        left, right = np.where(cut, -1, self.left), np.where(cut, -1, self.right)
        return replace(self, left=left, right=right, end=np.where(cut, end, self.end))

    def debiased(self) -> LeafForest:
        """Draw within leaves in proportion to the odds w / (W − w) instead of the weight w, W being the leaf's.

        For forests as grown, and for rows whose features come from outside. How many people a leaf stands for is known
        from its donors' weights alone, and where these happen to be light, other rows get there more often than they
        say: the mean of a leaf is a ratio estimate. Light donors are then drawn too often, as if a donor's chance
        p = w/W were p (1 + Σp² − p) (Cochran 1977, eq. 6.34), and resampled weights double that; where a survey samples
        the rich often, all comes out too rich. Odds take this out to the first order and are never negative. Equal
        weights stay equal; weights that only resampling makes uneven bias nothing, and odds would but add to their
        variance (which a classifier sees). Rows whose features were drawn from the same donors get to a leaf as often
        as the donors' weights say, whatever they are: for those, weights are right.
        """
        weight = np.diff(self.cumulative)
        first = np.sort(self.start[self.left < 0])
        size = np.diff(np.append(first, len(self.order)))
        whole = np.repeat(np.add.reduceat(weight, first), size)
        odds = weight / np.maximum(whole - weight, ALONE * np.where(whole > 0, whole, 1.0))
        again = np.repeat(np.add.reduceat(odds, first), size)
        return replace(
            self, cumulative=np.concatenate([[0.0], np.cumsum(odds * whole / np.where(again > 0, again, 1.0))])
        )

    def route(self, X: Features, rows: npt.NDArray[np.int64], which: FloatArray) -> npt.NDArray[np.int64]:
        """Send each row down its tree; returns the leaf's node, shape (rows,)."""
        node = self.roots[(which * len(self.roots)).astype(np.int64)].astype(np.int64)
        moving = np.flatnonzero(self.left[node] >= 0)
        while len(moving):
            at = node[moving]
            goes_left = X[rows[moving], self.feature[at]] <= self.threshold[at]
            node[moving] = np.where(goes_left, self.left[at], self.right[at])
            moving = moving[self.left[node[moving]] >= 0]
        return node

    def state(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays, each name with a prefix."""
        return {f"{prefix}{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, donors: int, features: int) -> Self:
        """Rebuild from `state`, checking every index.

        Raises
        ------
        MethodError
            If arrays are missing, of different lengths, point outside, or would loop.
        """
        try:
            forest = cls(**{f.name: arrays[f"{prefix}{f.name}"] for f in fields(cls)})
        except KeyError as error:
            raise MethodError(f"the saved forest lacks {error}", "Save the model again.") from None
        if not forest._is_sound(donors, features):
            raise MethodError("the saved forest points outside itself", "The file is damaged: save the model again.")
        return forest

    def _is_sound(self, donors: int, features: int) -> bool:
        nodes = len(self.left)
        if {len(a) for a in (self.right, self.feature, self.threshold, self.start, self.end)} != {nodes}:
            return False
        inner = np.flatnonzero(self.left >= 0)
        leaf = np.flatnonzero(self.left < 0)
        children_follow = (self.left[inner] > inner).all() and (self.right[inner] > inner).all()  # so no loops
        inside = (self.left < nodes).all() and (self.right < nodes).all()
        splits = (self.feature[inner] >= 0).all() and (self.feature[inner] < features).all()
        starts = len(self.roots) > 0 and (self.roots >= 0).all() and (self.roots < nodes).all()
        spans = (self.start[leaf] >= 0).all() and (self.start[leaf] < self.end[leaf]).all()
        held = (self.end <= len(self.order)).all() and len(self.cumulative) == len(self.order) + 1
        donors_known = (self.order >= 0).all() and (self.order < donors).all()
        return bool(children_follow and inside and splits and starts and spans and held and donors_known)


def _shifted(children: list[IntArray], roots: IntArray) -> IntArray:
    moved = [np.where(c < 0, -1, c + root) for c, root in zip(children, roots, strict=True)]
    return np.concatenate(moved).astype(np.int32)
