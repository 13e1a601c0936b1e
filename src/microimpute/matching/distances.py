"""Distances between rows: places whose plain distance is the one that a method's settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, closest
from microimpute.kinds import Table, Variable
from microimpute.matching.coordinates import AMOUNTS, Coordinates, importance, times

__all__ = ["DISTANCES", "Distance", "Space"]

FloatArray = npt.NDArray[np.float64]

#: Distances by name, and the power that differences are summed with; infinity takes the largest.
DISTANCES = {"gower": 1.0, "manhattan": 1.0, "euclidean": 2.0, "mahalanobis": 2.0, "minimax": np.inf}
IMPORTANCE = ("learnt", "equal")


@dataclass(frozen=True)
class Distance:
    """Settings of a distance, checked.

    - ``"gower"``: mean of mismatches of classes and differences of amounts as shares of the donors' range, so
      that it lies between 0 and 1;
    - ``"manhattan"``: sum of differences, each over the donors' standard deviation;
    - ``"euclidean"``: root of the sum of their squares;
    - ``"mahalanobis"``: the same after taking correlation among the predictors away;
    - ``"minimax"``: the largest of the differences.

    Attributes
    ----------
    method
        Whose settings these are, for errors.
    name
        One of the five.
    importance
        ``"learnt"``, ``"equal"``, or a number per predictor.
    amounts
        One of `coordinates.AMOUNTS`.

    Raises
    ------
    MethodError
        If a setting is none of these.
    """

    method: str
    name: str
    importance: str | Mapping[str, float]
    amounts: str

    def __post_init__(self) -> None:
        choices: dict[str, tuple[object, tuple[str, ...]]] = {
            "distance": (self.name, tuple(DISTANCES)),
            "amounts": (self.amounts, AMOUNTS),
        }
        if not isinstance(self.importance, Mapping):
            choices["importance"] = (self.importance, IMPORTANCE)
        for name, (value, known) in choices.items():
            if value not in known:
                raise MethodError(f"{self.method}'s {name} is {value!r}", closest(str(value), known))

    @property
    def power(self) -> float:
        """What differences are raised to before they are summed."""
        return DISTANCES[self.name]

    def weigh(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Say how much each predictor counts, one on average.

        Raises
        ------
        MethodError
            If a number is given for no predictor, is negative, or all are 0.
        """
        if self.importance == "learnt":
            return importance(X, Y, weight, rng)
        if isinstance(self.importance, str):
            return np.ones(len(X.variables))
        for name, value in self.importance.items():
            if name not in X.names:
                raise MethodError(
                    f"{self.method}'s importance names {name!r}, which is no predictor", closest(name, X.names)
                )
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < np.inf:
                raise MethodError(
                    f"{self.method}'s importance of {name!r} is {value!r}", "Give a number of at least 0."
                )
        given = np.array([self.importance.get(name, 0.0) for name in X.names])
        if not given.any():
            raise MethodError(f"{self.method}'s importance is 0 for all predictors", "Give one a number above 0.")
        return np.asarray(given / given.mean())


@dataclass(frozen=True)
class Space:
    """Where rows stand, so that their plain distance is the one asked for.

    Attributes
    ----------
    where
        Coordinates of rows.
    counts
        How much each predictor counts, one on average, shape (predictors,).
    scale
        From coordinates to places, shape (coordinates, columns).
    """

    where: Coordinates
    counts: FloatArray
    scale: FloatArray

    @classmethod
    def learn(cls, asked: Distance, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Learn from donors; parameters as for `Method.fit`."""
        where = Coordinates.learn(X, weight, asked.amounts)
        counts = asked.weigh(X, Y, weight, rng)
        at = where.of(X.values)
        return cls(where, counts, _scale(asked.name, at, where, weight, counts[where.owner]))

    def of(self, values: FloatArray) -> FloatArray:
        """Say where rows stand, shape (rows, columns)."""
        return times(self.where.of(values), self.scale)

    def learnt(self) -> dict[str, Any]:
        """Say how much each predictor counts in the distance."""
        names = [v.name for v in self.where.variables]
        return {"importance": {n: round(float(c), 4) for n, c in zip(names, self.counts, strict=True)}}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return its arrays."""
        return {"scale": self.scale, "counts": self.counts} | self.where.state()

    @classmethod
    def from_state(
        cls, asked: Distance, variables: tuple[Variable, ...], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Self:
        """Take them back, after checking that they fit together."""
        where = Coordinates.from_state(variables, asked.amounts, arrays)
        counts, scale = arrays["counts"], arrays["scale"]
        if counts.shape != (len(variables),) or scale.ndim != 2 or len(scale) != len(where.owner):
            raise MethodError("the saved neighbours do not fit together", "Save the model again.")
        return cls(where, counts, scale)


def _scale(name: str, at: FloatArray, where: Coordinates, weight: FloatArray, counts: FloatArray) -> FloatArray:
    """Make the matrix that turns coordinates into places."""
    if name == "gower":
        span = np.ptp(at[weight > 0], axis=0)
        # a mismatch of classes moves two flags by one
        each = np.where(where.flags, 0.5, _inverse(span)) / len(where.variables)
        return np.diag(each * counts)
    spread = np.sqrt(_covariance(at, weight).diagonal())
    if name in ("manhattan", "minimax"):
        return np.diag(_inverse(spread) * counts)
    each = np.diag(_inverse(spread) * np.sqrt(counts))
    if name == "euclidean":
        return each
    return np.asarray(each @ _whitening(_covariance(at * _inverse(spread), weight)))


def _inverse(scale: FloatArray) -> FloatArray:
    return np.asarray(np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0))


def _covariance(at: FloatArray, weight: FloatArray) -> FloatArray:
    return np.atleast_2d(np.cov(at, rowvar=False, aweights=weight, ddof=0))


def _whitening(covariance: FloatArray) -> FloatArray:
    """Make a matrix W so that W Wᵀ is the inverse; directions of no variance count nothing."""
    value, vector = np.linalg.eigh(covariance)
    kept = value > 1e-8 * value.max(initial=0.0)
    return np.asarray(vector[:, kept] / np.sqrt(value[kept]))
