"""Random hot deck within classes, weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.methods.base import FloatArray, Method

__all__ = ["HotDeck"]


class HotDeck(Method):
    """A donor's whole bundle from the receiver's class, in proportion to weight.

    Classes are the cells of all predictors: levels of classes, and weighted quantile groups of amounts. A
    receiver whose cell has fewer than `least` effective donors leaves out predictors from the last one
    backwards until there are enough, so the order of the predictors says which matter most.

    Parameters
    ----------
    groups
        Quantile groups per amount.
    least
        Fewest effective donors that a cell may have: (Σw)² / Σw² (Kish 1965), which counts a donor who
        outweighs all others in the cell as little more than one.
    """

    name = "hotdeck"
    summary = "A whole donor bundle at random within classes of the predictors, in proportion to weight."
    reference = "Andridge & Little (2010), A review of hot deck imputation for survey non-response."
    advice = (
        "When the method must be explained in one sentence and a few class predictors say most. Not where "
        "amounts among the predictors matter: classes cut them coarsely."
    )
    joint = True
    proper = True
    uses_weights = True
    cost = 0.01

    def __init__(self, groups: int = 4, least: int = 10) -> None:
        for name, value in (("groups", groups), ("least", least)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise MethodError(f"hotdeck's {name} is {value!r}", "Give a whole number of at least 1.")
        self.groups = groups
        self.least = least

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Sort donors by cell, once per number of predictors kept."""
        self.predictors, self.targets = X.variables, Y.variables
        self.bundles, self.weight = Y.values, weight
        share = np.linspace(0, 1, self.groups + 1)[1:-1]
        self.cuts = [
            np.zeros(0) if v.kind.is_class else np.unique(_quantiles(x, share, weight))
            for v, x in zip(X.variables, X.values.T, strict=True)
        ]
        self.donor_cells = self._cells(X)
        return self

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw a donor for each row from the finest cell that has enough, shape (rows, targets)."""
        donor = np.full(len(X), -1)
        cells, within = self._cells(X), rng.uniform("donor")
        for kept in range(cells.shape[1], -1, -1):
            waiting = np.flatnonzero(donor < 0)
            if len(waiting):
                least = self.least if kept else 1
                donor[waiting] = self._from_cells(cells[waiting, :kept], within[waiting], kept, least)
        return np.asarray(self.bundles[donor])

    def _cells(self, X: Table) -> npt.NDArray[np.int32]:
        columns = [
            x if v.kind.is_class else np.searchsorted(cuts, x, side="left")
            for v, x, cuts in zip(X.variables, X.values.T, self.cuts, strict=True)
        ]
        return np.column_stack(columns).astype(np.int32)

    def _from_cells(
        self, cells: npt.NDArray[np.int32], within: FloatArray, kept: int, least: int
    ) -> npt.NDArray[np.int64]:
        """Draw from cells of the first `kept` predictors; −1 where there are too few donors."""
        donors = len(self.weight)
        both = np.vstack([self.donor_cells[:, :kept], cells])
        if kept:
            _, code = np.unique(both, axis=0, return_inverse=True)
        else:
            code = np.zeros(len(both), dtype=np.int64)
        ours, theirs = code[:donors], code[donors:]
        order = np.argsort(ours, kind="stable")
        running, squares = (np.concatenate([[0.0], np.cumsum(self.weight[order] ** k)]) for k in (1, 2))
        start, end = (np.searchsorted(ours[order], theirs, side=side) for side in ("left", "right"))
        low, high = running[start], running[end]
        place = np.searchsorted(running, low + within * (high - low), side="right") - 1
        # as many donors of equal weight would be as good as these; rounding apart, at most their number
        effective = (high - low) ** 2 / np.maximum(squares[end] - squares[start], np.finfo(float).tiny)
        enough = (effective >= least * (1 - 1e-9)) & (high > low)
        return np.where(enough, order[np.clip(place, 0, donors - 1)], -1)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return bundles, weights, cells and cuts."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "bundles": self.bundles,
            "weight": self.weight,
            "donor_cells": self.donor_cells,
        }
        return arrays | {f"cuts.{i}": cuts for i, cuts in enumerate(self.cuts)}

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back."""
        self.bundles, self.weight = arrays["bundles"], arrays["weight"]
        self.donor_cells = arrays["donor_cells"]
        self.cuts = [arrays[f"cuts.{i}"] for i in range(len(self.predictors))]
        if not len(self.bundles) == len(self.weight) == len(self.donor_cells):
            raise MethodError("the saved hot deck is damaged", "Save the model again.")
        return self


def _quantiles(values: FloatArray, share: FloatArray, weight: FloatArray) -> FloatArray:
    return np.quantile(values, share, weights=weight, method="inverted_cdf")
