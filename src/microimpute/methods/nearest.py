"""Random nearest neighbour hot deck: a whole donor bundle from among the nearest donors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.coordinates import AMOUNTS, Coordinates, importance, times
from microimpute.errors import MethodError, closest
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.methods.base import FloatArray, Method
from microimpute.neighbours import Donors, cells, positions, whole_number

__all__ = ["Nearest"]

DISTANCES = {"gower": 1, "manhattan": 1, "euclidean": 2, "mahalanobis": 2}
IMPORTANCE = ("learnt", "equal")


class Nearest(Method):
    """A donor's whole bundle, drawn among the nearest donors in proportion to weight.

    Amounts count by their weighted rank among the donors, their logarithm, or as they are. Distances, with an
    importance of each predictor that is one on average:

    - ``"gower"``: mean of mismatches of classes and differences of amounts as shares of the donors' range, so
      that it lies between 0 and 1;
    - ``"manhattan"``: sum of differences, each over the donors' standard deviation;
    - ``"euclidean"``: root of the sum of their squares;
    - ``"mahalanobis"``: the same after taking correlation among the predictors away.

    All donors that stand as near as the last neighbour count too: where predictors have few values, what ties
    is drawn from in proportion to weight, not by its place in the file.

    Parameters
    ----------
    distance
        One of the four.
    neighbours
        Donors to draw among; 1 is the plain nearest neighbour, which follows from the data wherever no two
        donors tie.
    radius
        Draw among all donors within this distance instead; where there is none, take the nearest.
    importance
        ``"learnt"``: each predictor counts by its share in what weighted random trees explain of the targets.
        ``"equal"``: all count alike, which was measured to be worse than ignoring predictors when many of
        them say little.
    classes
        Class predictors that must agree. A receiver whose combination no donor has gets the nearest of all
        donors, in silence: methods print nothing.
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
    proper = True
    uses_weights = True
    cost = 0.04

    def __init__(
        self,
        distance: str = "gower",
        neighbours: int = 60,
        radius: float | None = None,
        importance: str = "learnt",
        classes: Sequence[str] = (),
        amounts: str = "ranks",
    ) -> None:
        choices = {"distance": (distance, tuple(DISTANCES)), "importance": (importance, IMPORTANCE)}
        for name, (value, known) in (choices | {"amounts": (amounts, AMOUNTS)}).items():
            if value not in known:
                raise MethodError(f"nearest's {name} is {value!r}", closest(str(value), known))
        if radius is not None and not (isinstance(radius, int | float) and 0 <= radius < np.inf):
            raise MethodError(f"nearest's radius is {radius!r}", "Give a distance of at least 0, or leave it out.")
        self.distance = distance
        self.neighbours = whole_number("nearest", "neighbours", neighbours)
        self.radius = radius
        self.importance = importance
        self.classes = list(classes)
        self.amounts = amounts

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Learn what counts, and put the donors in their places."""
        self.predictors, self.targets = X.variables, Y.variables
        self.bundles = Y.values
        self.where = Coordinates.learn(X, weight, self.amounts)
        counts = importance(X, Y, weight, rng) if self.importance == "learnt" else np.ones(len(X.variables))
        at = self.where.of(X.values)
        self.scale = self._scale(at, weight, counts[self.where.owner])
        self.donors = Donors(times(at, self.scale), weight, self._cells(X), DISTANCES[self.distance])
        return self

    def _scale(self, at: FloatArray, weight: FloatArray, counts: FloatArray) -> FloatArray:
        """Make the matrix that turns coordinates into places whose plain distance is the one asked for."""
        if self.distance == "gower":
            span = np.ptp(at[weight > 0], axis=0)
            # a mismatch of classes moves two flags by one
            each = np.where(self.where.flags, 0.5, _inverse(span)) / len(self.predictors)
            return np.diag(each * counts)
        spread = np.sqrt(_covariance(at, weight).diagonal())
        if self.distance == "manhattan":
            return np.diag(_inverse(spread) * counts)
        each = np.diag(_inverse(spread) * np.sqrt(counts))
        if self.distance == "euclidean":
            return each
        return np.asarray(each @ _whitening(_covariance(at * _inverse(spread), weight)))

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw a donor for each row, shape (rows, targets)."""
        at = times(self.where.of(X.values), self.scale)
        donor = self.donors.draw(at, self._cells(X), rng.uniform("donor"), self.neighbours, self.radius)
        return np.asarray(self.bundles[donor])

    def _cells(self, X: Table) -> npt.NDArray[np.int64]:
        return cells(X, positions(self.name, self.predictors, self.classes))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return bundles, places, weights and how to find a receiver's place."""
        return {"bundles": self.bundles, "scale": self.scale} | self.where.state() | self.donors.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back."""
        self.bundles, self.scale = arrays["bundles"], arrays["scale"]
        self.where = Coordinates.from_state(self.predictors, self.amounts, arrays)
        self.donors = Donors.from_state(arrays, DISTANCES[self.distance], len(self.bundles))
        fits = self.scale.shape == (len(self.where.owner), self.donors.at.shape[1])
        if not fits or self.bundles.shape[1:] != (len(self.targets),):
            raise MethodError("the saved neighbours do not fit together", "Save the model again.")
        return self


def _inverse(scale: FloatArray) -> FloatArray:
    return np.asarray(np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0))


def _covariance(at: FloatArray, weight: FloatArray) -> FloatArray:
    return np.atleast_2d(np.cov(at, rowvar=False, aweights=weight, ddof=0))


def _whitening(covariance: FloatArray) -> FloatArray:
    """Make a matrix W so that W Wᵀ is the inverse; directions of no variance count nothing."""
    value, vector = np.linalg.eigh(covariance)
    kept = value > 1e-8 * value.max(initial=0.0)
    return np.asarray(vector[:, kept] / np.sqrt(value[kept]))
