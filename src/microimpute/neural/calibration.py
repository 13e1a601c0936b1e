"""Draws that have the donors' weighted margins: biases of classes, and curves of scores, learnt on the donors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import ndtri

from microimpute.errors import MethodError
from microimpute.neural.codec import NONE, Codec
from microimpute.transforms import take
from microimpute.weighted import quantile

__all__ = ["Calibration", "Pick", "Settle"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]
Uniform = Callable[[str], FloatArray]

#: Shares at which a score's distribution is kept.
LEVELS = np.linspace(0.0025, 0.9975, 200)
#: Fewer scores than this say too little on their distribution: they are taken as they are.
LEAST = 20
#: How strongly biases are held at zero, so that they are finite and unique.
HOLD = 1e-4
#: Largest size of a bias.
LARGEST = 30.0


@dataclass(frozen=True)
class Calibration:
    """What puts the draws' margins right, and leaves what depends on predictors and on other targets.

    Attributes
    ----------
    biases
        Per target, shape (classes,): added to the logits, so that chances over the donors' predictors add up
        to the donors' weighted shares.
    curves
        Per scored target, shape (regimes, levels): the draws' own quantiles within each regime; a score's
        rank among them is its rank among the donors.
    """

    biases: tuple[FloatArray, ...]
    curves: tuple[FloatArray, ...]

    @classmethod
    def none(cls, codec: Codec) -> Self:
        """Return one that changes nothing."""
        straight = ndtri(LEVELS)
        curves = tuple(np.tile(straight, (len(codec.parts[t].regimes), 1)) for t in codec.scored)
        return cls(tuple(np.zeros(c) for c in codec.counts), curves)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all its arrays."""
        arrays: dict[str, npt.NDArray[Any]] = {f"bias{n}": bias for n, bias in enumerate(self.biases)}
        return arrays | {f"curve{n}": curve for n, curve in enumerate(self.curves)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], codec: Codec) -> Self:
        """Rebuild from `state`, checking that it fits the codec."""
        biases = tuple(take(arrays, f"bias{n}", 1) for n in range(len(codec.parts)))
        curves = tuple(take(arrays, f"curve{n}", 2) for n in range(len(codec.scored)))
        shapes = [(len(codec.parts[t].regimes), len(LEVELS)) for t in codec.scored]
        rising = all((np.diff(c, axis=1) > 0).all() and np.isfinite(c).all() for c in curves)
        if tuple(map(len, biases)) != codec.counts or [c.shape for c in curves] != shapes or not rising:
            raise MethodError("the saved calibration does not fit its targets", "Save the model again.")
        return cls(biases, curves)


def _settled(scores: FloatArray, curve: FloatArray) -> FloatArray:
    """Move scores to the standard normal that their ranks on the curve stand for; tails go on with its spread."""
    normal = ndtri(LEVELS)
    slope = (normal[-1] - normal[0]) / (curve[-1] - curve[0])
    beyond = scores - np.clip(scores, curve[0], curve[-1])
    return np.asarray(np.interp(scores, curve, normal) + slope * beyond)


class Pick:
    """Draws the classes of some rows, target after target, from logits; keeps what was drawn.

    A generator calls it once per target, in the order of `codec.blocks`, since rules make some targets depend
    on others.

    Parameters
    ----------
    codec
        The targets.
    calibration
        What to add to logits, and how to settle scores.
    rows
        Number of rows.
    uniform
        Uniform numbers by name, one per row.

    Attributes
    ----------
    classes
        int64, shape (rows, targets): what was drawn so far, `NONE` elsewhere.
    normal
        float64, shape (rows, scored targets): settled scores so far, 0 where there is none.
    """

    def __init__(self, codec: Codec, calibration: Calibration, rows: int, uniform: Uniform) -> None:
        self.codec = codec
        self.classes: IntArray = np.full((rows, len(codec.parts)), NONE, dtype=np.int64)
        self.normal = np.zeros((rows, len(codec.scored)))
        self._calibration = calibration
        self._uniform = uniform
        self._settled: set[int] = set()

    def __call__(self, target: int, logits: Logits) -> IntArray:
        """Draw one target's classes; logits of shape (rows, classes)."""
        block = next(b for b in self.codec.blocks if b.targets[0] == target)
        met = self.codec.applies(block, self.classes)
        if self.codec.counts[target]:
            rows = np.flatnonzero(met)
            able = logits[rows].astype(np.float64)
            chances = _chances(able, self._bias(target, able, rows))
            below = self._uniform(f"class {target}")[rows, None] > np.cumsum(chances, axis=1)[:, :-1]
            self.classes[rows, target] = below.sum(axis=1)
        return self.classes[:, target]

    def all(self, logits: Logits) -> IntArray:
        """Draw all targets' classes from their logits side by side, shape (rows, `codec.width`)."""
        for block in self.codec.blocks:
            target = block.targets[0]
            self(target, logits[:, self.codec.columns[target]])
        return self.classes

    def settle(self, column: int, scores: Logits) -> FloatArray:
        """Make drawn scores of one target normal, as the donors' are, within each regime, shape (rows,).

        For generators that show a net what was drawn before; the scores that they return at the end are settled
        for them.

        Parameters
        ----------
        column
            Which of `codec.scored`.
        scores
            Shape (rows,).
        """
        target = self.codec.scored[column]
        first = len(self.codec.parts[target].atoms)
        for regime in range(len(self.codec.parts[target].regimes)):
            rows = np.flatnonzero(self.classes[:, target] == first + regime)
            own = scores[rows].astype(np.float64)
            self.normal[rows, column] = _settled(own, self._curve(column, regime, own, rows))
        self._settled.add(column)
        return self.normal[:, column]

    def values(self, scores: Logits) -> FloatArray:
        """Return what was drawn, shape (rows, targets), after settling what is left of the scores."""
        for column in range(len(self.codec.scored)):
            if column not in self._settled:
                self.settle(column, scores[:, column])
        return self.codec.decode(self.classes, self.normal)

    def _bias(self, target: int, logits: FloatArray, rows: IntArray) -> FloatArray:
        return self._calibration.biases[target]

    def _curve(self, column: int, regime: int, scores: FloatArray, rows: IntArray) -> FloatArray:
        return np.asarray(self._calibration.curves[column][regime])


class Settle(Pick):
    """The same for the donors' own rows, learning the calibration on the way.

    Parameters
    ----------
    codec, uniform
        As in `Pick`.
    classes
        int64, shape (rows, targets): the donors' own classes.
    weight
        float64, shape (rows,).
    """

    def __init__(self, codec: Codec, classes: IntArray, weight: FloatArray, uniform: Uniform) -> None:
        super().__init__(codec, Calibration.none(codec), len(classes), uniform)
        self._own = classes
        self._weight = weight
        self.calibration = Calibration.none(codec)  # filled on the way

    def _bias(self, target: int, logits: FloatArray, rows: IntArray) -> FloatArray:
        own = self._own[:, target]
        known = own != NONE
        share = np.bincount(own[known], weights=self._weight[known], minlength=self.codec.counts[target])
        if len(share) > 1 and len(rows):
            self.calibration.biases[target][:] = settle(logits, self._weight[rows], share / share.sum())
        return self.calibration.biases[target]

    def _curve(self, column: int, regime: int, scores: FloatArray, rows: IntArray) -> FloatArray:
        self.calibration.curves[column][regime] = _curve(scores, self._weight[rows])
        return np.asarray(self.calibration.curves[column][regime])


def settle(logits: FloatArray, weight: FloatArray, share: FloatArray) -> FloatArray:
    """Find biases with which the mean chances of classes are given shares.

    They are the least of a convex function: the weighted mean of log Σ exp(logit + bias), less the biases'
    mean under the shares, whose gradient is mean chances less shares.

    Parameters
    ----------
    logits, weight
        Shapes (rows, classes) and (rows,).
    share
        float64, shape (classes,); adds up to 1.

    Returns
    -------
    numpy.ndarray of float64, shape (classes,)
    """
    part = weight / weight.sum()
    hold = HOLD * max(float(share.min()), 1e-6)

    def loss(bias: FloatArray) -> tuple[float, FloatArray]:
        raised = logits + bias
        top = raised.max(axis=1)
        raised = np.exp(raised - top[:, None])
        total = raised.sum(axis=1)
        value = part @ (np.log(total) + top) - share @ bias + hold / 2 * bias @ bias
        return float(value), part @ (raised / total[:, None]) - share + hold * bias

    limit = [(-LARGEST, LARGEST)] * len(share)
    found = minimize(loss, np.zeros(len(share)), jac=True, method="L-BFGS-B", bounds=limit, options={"ftol": 1e-12})
    return np.asarray(found.x)


def _chances(logits: FloatArray, bias: FloatArray) -> FloatArray:
    raised = logits + bias
    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
    total = np.cumsum(raised, axis=1)[:, -1:]  # a running sum does not depend on how many rows there are
    return np.asarray(raised / total)


def _curve(scores: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the scores' weighted quantiles at `LEVELS`, made to rise."""
    if len(scores) < LEAST:
        return np.asarray(ndtri(LEVELS))
    found = quantile(scores, LEVELS, weight)
    return np.asarray(found + 1e-6 * ndtri(LEVELS) * max(1.0, float(np.ptp(found))))
