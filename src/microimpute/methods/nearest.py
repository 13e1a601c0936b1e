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
from microimpute.methods.base import DonorMethod, FloatArray, IntArray
from microimpute.neighbours import Donors, cells, neighbour_count, positions

__all__ = ["Nearest"]

DISTANCES = {"gower": 1, "manhattan": 1, "euclidean": 2, "mahalanobis": 2, "minimax": np.inf}
IMPORTANCE = ("learnt", "equal")


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
        Donors of the receiver's class to draw among: a number, a share of them, or ``"root"`` for the square root
        of their number. 1 draws among the donors at the least distance, which follows from the data wherever no
        two donors tie.
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
    proper = True
    uses_weights = True

    def __init__(
        self,
        distance: str = "gower",
        neighbours: int | float | str = 60,
        radius: float | None = None,
        importance: str | Mapping[str, float] = "learnt",
        classes: Sequence[str] = (),
        amounts: str = "ranks",
    ) -> None:
        choices: dict[str, tuple[object, tuple[str, ...]]] = {
            "distance": (distance, tuple(DISTANCES)),
            "amounts": (amounts, AMOUNTS),
        }
        if not isinstance(importance, Mapping):
            choices["importance"] = (importance, IMPORTANCE)
        for name, (value, known) in choices.items():
            if value not in known:
                raise MethodError(f"nearest's {name} is {value!r}", closest(str(value), known))
        if radius is not None and not (isinstance(radius, int | float) and 0 <= radius < np.inf):
            raise MethodError(f"nearest's radius is {radius!r}", "Give a distance of at least 0, or leave it out.")
        self.distance = distance
        self.neighbours = neighbour_count("nearest", neighbours)
        self.radius = radius
        self.importance = dict(importance) if isinstance(importance, Mapping) else importance
        self.classes = list(classes)
        self.amounts = amounts

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Learn what counts, and put the donors in their places."""
        self.predictors, self.targets = X.variables, Y.variables
        self.bundles = Y.values
        self.where = Coordinates.learn(X, weight, self.amounts)
        self.counts = self._importance(X, Y, weight, rng)
        at = self.where.of(X.values)
        self.scale = self._scale(at, weight, self.counts[self.where.owner])
        self.places = Donors(times(at, self.scale), weight, self._cells(X), DISTANCES[self.distance])
        return self

    def _importance(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Say how much each predictor counts, one on average."""
        if self.importance == "learnt":
            return importance(X, Y, weight, rng)
        if isinstance(self.importance, str):
            return np.ones(len(X.variables))
        for name, value in self.importance.items():
            if name not in X.names:
                raise MethodError(f"nearest's importance names {name!r}, no predictor", closest(name, X.names))
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < np.inf:
                raise MethodError(f"nearest's importance of {name!r} is {value!r}", "Give a number of at least 0.")
        given = np.array([self.importance.get(name, 0.0) for name in X.names])
        if not given.any():
            raise MethodError("nearest's importance is 0 for all predictors", "Give one of them a number above 0.")
        return np.asarray(given / given.mean())

    def learnt(self) -> dict[str, Any]:
        """Say how much each predictor counts in the distance."""
        return {"importance": {v.name: round(float(c), 4) for v, c in zip(self.predictors, self.counts, strict=True)}}

    def _scale(self, at: FloatArray, weight: FloatArray, counts: FloatArray) -> FloatArray:
        """Make the matrix that turns coordinates into places whose plain distance is the one asked for."""
        if self.distance == "gower":
            span = np.ptp(at[weight > 0], axis=0)
            # a mismatch of classes moves two flags by one
            each = np.where(self.where.flags, 0.5, _inverse(span)) / len(self.predictors)
            return np.diag(each * counts)
        spread = np.sqrt(_covariance(at, weight).diagonal())
        if self.distance in ("manhattan", "minimax"):
            return np.diag(_inverse(spread) * counts)
        each = np.diag(_inverse(spread) * np.sqrt(counts))
        if self.distance == "euclidean":
            return each
        return np.asarray(each @ _whitening(_covariance(at * _inverse(spread), weight)))

    def choose(self, X: Table, rng: RowRandom) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Draw a donor for each row; says where no donor had its class, or none was within the radius."""
        at = times(self.where.of(X.values), self.scale)
        return self.places.draw(at, self._cells(X), rng.uniform("donor"), self.neighbours, self.radius)

    def _cells(self, X: Table) -> IntArray:
        return cells(X, positions(self.name, self.predictors, self.classes))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return bundles, places, weights and how to find a receiver's place."""
        own = {"bundles": self.bundles, "scale": self.scale, "counts": self.counts}
        return own | self.where.state() | self.places.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back."""
        self.bundles, self.scale, self.counts = (arrays[name] for name in ("bundles", "scale", "counts"))
        self.where = Coordinates.from_state(self.predictors, self.amounts, arrays)
        self.places = Donors.from_state(arrays, DISTANCES[self.distance], len(self.bundles))
        fits = self.scale.shape == (len(self.where.owner), self.places.at.shape[1])
        fits = fits and self.counts.shape == (len(self.predictors),)
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
