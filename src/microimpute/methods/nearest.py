"""Random nearest neighbour hot deck: a whole donor bundle from among the nearest donors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.matching.distances import Distance, Space
from microimpute.matching.neighbours import FIFTIETH, Donors, cells, neighbour_count, positions
from microimpute.methods.base import DonorMethod, FloatArray, IntArray

__all__ = ["Nearest"]


class Nearest(DonorMethod):
    """A donor's whole bundle, drawn among the nearest donors in proportion to weight.

    Amounts count by their weighted rank among the donors, their logarithm, or as they are. Distances, with an
    importance of each predictor that is one on average:

    - ``"gower"``: mean of mismatches of classes and differences of amounts as shares of the donors' range, so
      that it lies between 0 and 1;
    - ``"manhattan"``: sum of differences, each over the donors' standard deviation;
    - ``"euclidean"``: root of the sum of their squares;
    - ``"mahalanobis"``: the same after taking correlation among the predictors away;
    - ``"minimax"``: the largest of the differences.

    All donors that stand as near as the last neighbour count too: where predictors have few values, what ties
    is drawn from in proportion to weight, not by its place in the file.

    Parameters
    ----------
    distance
        One of the five.
    neighbours
        Donors of the receiver's class to draw among: a number, a share of them, ``"root"`` for the square root of
        their number, or ``"fiftieth"`` for a fiftieth of them, at least 5 and at most 60. 1 draws among the donors at
        the least distance, which follows from the data wherever no two donors tie.
    radius
        Draw among all donors within this distance instead; where there is none, take the nearest.
    importance
        ``"learnt"``: each predictor counts by its share in what weighted random trees explain of the targets.
        ``"equal"``: all count alike, which was measured to be worse than ignoring predictors when many of
        them say little. Or a number of at least 0 per predictor, by name; those without a number do not count.
    classes
        Class predictors that must agree. A receiver whose combination no donor has gets the nearest of all
        donors.
    amounts
        ``"ranks"``, ``"logs"`` or ``"plain"``: heavy-tailed amounts as they are make nearly all distances alike.
    """

    name = "nearest"
    summary = "A whole donor bundle from the nearest donors, with distances learnt from what predicts the targets."
    reference = "D'Orazio, Di Zio & Scanu (2006), Statistical Matching, sec. 2.4; Gower (1971)."
    advice = (
        "When whole real households must be copied and the neighbours be shown. Not with many predictors that "
        "say little: distances lose their meaning."
    )
    joint = True
    proper = None
    coverage = (
        "Studied under Rubin's rule only, whose intervals are wide here: there they covered 93 to 100 times in 100."
    )
    uses_weights = True
    cost = 0.04

    def __init__(
        self,
        distance: str = "gower",
        neighbours: int | float | str = FIFTIETH,
        radius: float | None = None,
        importance: str | Mapping[str, float] = "learnt",
        classes: Sequence[str] = (),
        amounts: str = "ranks",
    ) -> None:
        if radius is not None and not (isinstance(radius, int | float) and 0 <= radius < np.inf):
            raise MethodError(f"nearest's radius is {radius!r}", "Give a distance of at least 0, or leave it out.")
        self.distance = distance
        self.neighbours = neighbour_count("nearest", neighbours)
        self.radius = radius
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

    def learnt(self) -> dict[str, Any]:
        """Say how much each predictor counts in the distance."""
        return self.space.learnt()

    def choose(self, X: Table, rng: RowRandom) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Draw a donor for each row; says where no donor had its class, or none was within the radius."""
        return self.places.draw(
            self.space.of(X.values), self._cells(X), rng.uniform("donor"), self.neighbours, self.radius
        )

    def _cells(self, X: Table) -> IntArray:
        return cells(X, positions(self.name, self.predictors, self.classes))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return bundles, places, weights and how to find a receiver's place."""
        return {"bundles": self.bundles} | self.space.state() | self.places.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back."""
        self.bundles = arrays["bundles"]
        self.space = Space.from_state(self.asked, self.predictors, arrays)
        self.places = Donors.from_state(arrays, self.asked.power, len(self.bundles))
        fits = self.space.scale.shape[1] == self.places.at.shape[1]
        if not fits or self.bundles.shape[1:] != (len(self.targets),):
            raise MethodError("the saved neighbours do not fit together", "Save the model again.")
        return self
