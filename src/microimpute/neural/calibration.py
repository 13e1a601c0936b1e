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

    def scores(self, codec: Codec, classes: IntArray, drawn: Logits) -> FloatArray:
        """Make drawn scores normal within each regime, shape (rows, scored targets); 0 where there is none."""
        out = np.zeros(drawn.shape)
        for column, target in enumerate(codec.scored):
            part = codec.parts[target]
            for regime, curve in enumerate(self.curves[column]):
                rows = classes[:, target] == len(part.atoms) + regime
                out[rows, column] = _settled(drawn[rows, column].astype(np.float64), curve)
        return out

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

    Attributes
    ----------
    classes
        int64, shape (rows, targets): what was drawn so far, `NONE` elsewhere.
    """

    def __init__(self, codec: Codec, biases: tuple[FloatArray, ...], rows: int, uniform: Uniform) -> None:
        self.codec = codec
        self.classes: IntArray = np.full((rows, len(codec.parts)), NONE, dtype=np.int64)
        self._biases = biases
        self._uniform = uniform

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

    def _bias(self, target: int, logits: FloatArray, rows: IntArray) -> FloatArray:
        return self._biases[target]


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
        super().__init__(codec, (), len(classes), uniform)
        self._own = classes
        self._weight = weight
        self._found = {t: np.zeros(c) for t, c in enumerate(codec.counts)}

    def _bias(self, target: int, logits: FloatArray, rows: IntArray) -> FloatArray:
        count = self.codec.counts[target]
        own = self._own[:, target]
        known = own != NONE
        share = np.bincount(own[known], weights=self._weight[known], minlength=count)
        if count > 1 and len(rows):
            self._found[target] = settle(logits, self._weight[rows], share / share.sum())
        return self._found[target]

    def finish(self, scores: Logits) -> Calibration:
        """Return the calibration, given the scores drawn with these classes, shape (rows, scored targets)."""
        curves = []
        for column, target in enumerate(self.codec.scored):
            part, own = self.codec.parts[target], []
            for regime in range(len(part.regimes)):
                rows = self.classes[:, target] == len(part.atoms) + regime
                own.append(_curve(scores[rows, column].astype(np.float64), self._weight[rows]))
            curves.append(np.array(own))
        return Calibration(tuple(self._found[t] for t in range(len(self.codec.parts))), tuple(curves))


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
