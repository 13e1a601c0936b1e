"""What regressions read and write: amounts on the normal scale and back, and the columns that variables make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from microimpute.errors import MethodError
from microimpute.kinds import Variable
from microimpute.weighted import quantile

__all__ = ["Feature", "Inputs", "Scale", "take"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]

#: Largest skewness and kurtosis beyond the normal's (either way) of what is used as it is.
SKEW, KURTOSIS = 0.5, 1.5
#: Shares at which an amount's line may bend.
BENDS = (0.2, 0.5, 0.8)
#: A mark (zero, negative) that fewer or all but fewer than this share have makes no column.
RARE = 0.005


@dataclass(frozen=True)
class Scale:
    """An amount's way to a normal scale, and back to amounts that donors have or that lie between theirs.

    Near-normal amounts are only standardised, the line being cut at the donors' least and most. Others become
    weighted normal scores: Φ⁻¹ of the middle rank. Back they go through the donors' weighted quantile
    function, a step function: it returns each donor's score to that donor's very amount, keeps heaps such as
    round dollars, and can't blow up a tail, as the inverse of a logarithm would. For a log-normal amount the
    scores are the logarithm, so that there is no third scale.

    Attributes
    ----------
    values
        The donors' distinct amounts, rising.
    upper
        Share of the weight at or below each; the last is 1.
    line
        Centre and spread where the scale is a straight line, else (0, 0).
    """

    values: FloatArray
    upper: FloatArray
    line: FloatArray

    @classmethod
    def fit(cls, amounts: FloatArray, weight: FloatArray, exact: bool = False) -> Self:
        """Choose the scale by the donors' weighted skewness and kurtosis.

        Parameters
        ----------
        amounts, weight
            Shape (donors,); some weight is positive.
        exact
            Whether amounts will be drawn: then amounts with many ties keep to the donors' own values.
        """
        values, place = np.unique(amounts, return_inverse=True)
        mass = np.bincount(place, weights=weight)
        upper = np.cumsum(mass) / mass.sum()
        upper[-1] = 1.0
        mean = float(np.average(values, weights=mass))
        spread = float(np.sqrt(np.average((values - mean) ** 2, weights=mass)))
        line = np.zeros(2)
        if spread > 1e-12 * max(1.0, abs(mean)) and (not exact or len(values) > 0.9 * len(amounts)):
            z = (values - mean) / spread
            skew, kurtosis = (float(np.average(z**k, weights=mass)) for k in (3, 4))
            if abs(skew) < SKEW and abs(kurtosis - 3) < KURTOSIS:
                line = np.array([mean, spread])
        return cls(values, upper, line)

    @property
    def straight(self) -> bool:
        """Whether the scale is a straight line."""
        return bool(self.line[1] > 0)

    def scores(self, amounts: FloatArray) -> FloatArray:
        """Put amounts on the normal scale; beyond the donors' range, where the range ends."""
        if self.straight:
            return np.asarray((np.clip(amounts, self.values[0], self.values[-1]) - self.line[0]) / self.line[1])
        middle = self.upper - np.diff(self.upper, prepend=0.0) / 2
        return np.asarray(np.interp(amounts, self.values, ndtri(middle)))

    def amounts(self, scores: FloatArray, rank: FloatArray | None = None) -> FloatArray:
        """Return the amounts of scores; `rank` gives their place in (0, 1) where it is not Φ of the score."""
        if self.straight:
            return np.asarray(np.clip(self.line[0] + self.line[1] * scores, self.values[0], self.values[-1]))
        return self.at_rank(ndtr(scores) if rank is None else rank)

    def at_rank(self, rank: FloatArray) -> FloatArray:
        """Return the donors' amounts at weighted ranks in (0, 1), whether the scale is straight or not."""
        place = np.searchsorted(self.upper, rank, side="left")
        return np.asarray(self.values[np.minimum(place, len(self.values) - 1)])

    def state(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return its arrays, each name with a prefix."""
        return {f"{prefix}values": self.values, f"{prefix}upper": self.upper, f"{prefix}line": self.line}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Self:
        """Rebuild from `state`, checking it."""
        scale = cls(*(take(arrays, f"{prefix}{name}", 1) for name in ("values", "upper", "line")))
        if not len(scale.values) or len(scale.values) != len(scale.upper) or len(scale.line) != 2:
            raise MethodError("a saved scale is damaged", "Save the model again.")
        return scale


@dataclass(frozen=True)
class Feature:
    """The columns that one variable makes in a regression.

    A class makes one column per level (a ridge settles which is the base; a level that no donor has is all
    zeros). An amount makes its score, the score bent at three of its quantiles, and marks of zero and of
    losses; each column is centred and scaled by the donors, and one that hardly varies is zero.
    """

    levels: int
    scale: Scale
    bends: FloatArray
    centre: FloatArray
    spread: FloatArray

    @classmethod
    def fit(cls, variable: Variable, values: FloatArray, weight: FloatArray, bent: bool = True) -> Self:
        """Learn the columns of a variable from donors; values and weight have shape (donors,)."""
        if variable.kind.is_class:
            nothing = np.zeros(0)
            return cls(len(variable.levels), Scale(np.zeros(1), np.ones(1), np.zeros(2)), nothing, nothing, nothing)
        scale = Scale.fit(values, weight)
        bends = np.unique(quantile(scale.scores(values), np.array(BENDS if bent else ()), weight))
        raw = _raw(scale, bends, values)
        centre = np.array([np.average(c, weights=weight) for c in raw])
        variance = np.array([np.average((c - m) ** 2, weights=weight) for c, m in zip(raw, centre, strict=True)])
        variance[-2:] = np.where(variance[-2:] < RARE, 0.0, variance[-2:])
        return cls(0, scale, bends, centre, np.where(variance > 1e-8, np.sqrt(variance), np.inf))

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.levels or len(self.centre)

    def columns(self, values: FloatArray) -> list[FloatArray]:
        """Make an amount's columns, each of shape (rows,)."""
        raw = _raw(self.scale, self.bends, values)
        return [(c - m) / s for c, m, s in zip(raw, self.centre, self.spread, strict=True)]

    def state(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return its arrays, each name with a prefix."""
        arrays = {f"{prefix}levels": np.array([self.levels])} | self.scale.state(f"{prefix}scale.")
        return arrays | {f"{prefix}{n}": getattr(self, n) for n in ("bends", "centre", "spread")}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Self:
        """Rebuild from `state`, checking it."""
        parts = (take(arrays, f"{prefix}{name}", 1) for name in ("bends", "centre", "spread"))
        feature = cls(int(arrays[f"{prefix}levels"][0]), Scale.from_state(arrays, f"{prefix}scale."), *parts)
        expected = 0 if feature.levels else len(feature.bends) + 3
        if feature.levels < 0 or not len(feature.centre) == len(feature.spread) == expected:
            raise MethodError("a saved feature is damaged", "Save the model again.")
        return feature


def _raw(scale: Scale, bends: FloatArray, values: FloatArray) -> list[FloatArray]:
    score = scale.scores(values)
    marks = [(values == 0).astype(np.float64), (values < 0).astype(np.float64)]
    return [score, *(np.maximum(score - b, 0.0) for b in bends), *marks]


class Inputs:
    """What regressions read of some rows: a constant, and the columns of the variables added so far.

    Classes stay codes, so that `predict` looks their coefficients up. It adds column by column instead of
    multiplying matrices, whose last bits would depend on how many rows are drawn at a time.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.parts: list[tuple[int, IntArray | None, list[FloatArray]]] = []

    def add(self, feature: Feature, values: FloatArray) -> None:
        """Add a variable's values, shape (rows,)."""
        if feature.levels:
            codes = np.where(values < 0, feature.levels, values).astype(np.int64)
            self.parts.append((feature.levels, codes, []))
        else:
            self.parts.append((0, None, feature.columns(values)))

    def take(self, rows: Rows) -> Inputs:
        """Keep some of the rows."""
        chosen = np.zeros(self.rows)[rows]
        out = Inputs(len(chosen))
        out.parts = [(n, None if c is None else c[rows], [x[rows] for x in xs]) for n, c, xs in self.parts]
        return out

    def dense(self) -> FloatArray:
        """Return the matrix, shape (rows, 1 + columns), the constant first."""
        blocks = [np.ones((self.rows, 1))]
        for levels, codes, columns in self.parts:
            if codes is None:
                blocks.append(np.column_stack(columns))
            else:
                blocks.append((codes[:, None] == np.arange(levels)).astype(np.float64))
        return np.hstack(blocks)

    def predict(self, coefficients: FloatArray) -> FloatArray:
        """Return the linear predictor, shape (rows,); coefficients of shape (1 + columns,)."""
        out = np.full(self.rows, coefficients[0])
        at = 1
        for levels, codes, columns in self.parts:
            if codes is not None:
                out += np.append(coefficients[at : at + levels], 0.0)[codes]
                at += levels
            for column in columns:
                if coefficients[at] != 0:
                    out += column * coefficients[at]
                at += 1
        return out


def take(arrays: Mapping[str, npt.NDArray[Any]], name: str, dimensions: int) -> npt.NDArray[Any]:
    """Take a saved array, checking that it is numbers without gaps and has so many dimensions."""
    array = arrays[name]
    if array.ndim != dimensions or array.dtype.kind not in "fi" or np.isnan(array).any():
        raise MethodError(f"the saved array {name!r} is damaged", "Save the model again.")
    return array
