"""One target's parametric model, by kind: what a regression's draw of each kind of target is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.kinds import Kind, Variable
from microimpute.regressions import glm
from microimpute.regressions.amounts import Amount, Bounds
from microimpute.regressions.counts import COUNTABLE, Counts
from microimpute.regressions.quantiles import QuantileAmount
from microimpute.transforms import Inputs, take

__all__ = ["Amount", "AmountFit", "Classes", "Counts", "Model", "Regimes", "fit", "from_state"]

FloatArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]
Uniform = Callable[[str], FloatArray]
Source = np.random.Generator | None
#: Fits another model of amounts than `Amount` from X, y, weight and ridge.
AmountFit = Callable[[FloatArray, FloatArray, FloatArray, float], QuantileAmount]

#: Fewest effective donors of an unordered class whose odds are regressed; least size of a share.
FEW, TINY = 2.0, 1e-12


@dataclass(frozen=True)
class Classes:
    """Logits in sequence: the first class or a later one, the second or a later one, and so on.

    For ordered classes the sequence is their order (the continuation-ratio model), for others from the most
    to the least common. Any number of classes costs one small posterior each. Unordered classes of fewer than
    `FEW` effective donors come after the others at odds that are the same for all rows: hundreds of logits on
    a handful of donors each would say nothing and take minutes.
    """

    codes: FloatArray
    beta: FloatArray

    @property
    def said(self) -> str:
        """What it is, in a few words."""
        return f"{len(self.beta)} {'logit' if len(self.beta) == 1 else 'logits in sequence'}"

    @classmethod
    def fit(
        cls, X: FloatArray, y: FloatArray, weight: FloatArray, ridge: float, rng: Source, ordered: bool = False
    ) -> Self:
        """Learn from donors with some weight."""
        codes, place = np.unique(y, return_inverse=True)
        beta, common = np.zeros((len(codes) - 1, X.shape[1])), len(codes)
        if not ordered:
            donors: FloatArray = np.bincount(place, weights=glm.effective(weight)).astype(np.float64)
            order = np.argsort(-donors, kind="stable")
            codes, donors = codes[order], donors[order]
            common = int((donors >= FEW).sum())
            beta[common:, 0] = _constant_odds(donors[common:], rng)
        for number, code in enumerate(codes[: min(common, len(codes) - 1)]):
            beta[number] = glm.logit(X, (y == code).astype(np.float64), weight, ridge, rng)
            later = y != code
            X, y, weight = X[later], y[later], weight[later]
        return cls(codes, beta)

    def draw(self, inputs: Inputs, uniform: Uniform) -> FloatArray:
        """Draw for each row."""
        left, within = np.ones(inputs.rows), uniform("class")
        chosen = np.zeros(inputs.rows, dtype=np.int64)
        for beta in self.beta:
            left = left / (1 + np.exp(np.minimum(inputs.predict(beta), 700.0)))
            chosen += within < left  # on to a later class
        return np.asarray(self.codes[chosen])

    def state(self, prefix: str) -> Arrays:
        """Return its arrays, each name with a prefix."""
        return {f"{prefix}codes": self.codes, f"{prefix}logits": self.beta}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Self:
        """Rebuild from `state`, checking it."""
        codes, beta = take(arrays, f"{prefix}codes", 1), take(arrays, f"{prefix}logits", 2)
        _check(len(codes) > 0 and beta.shape == (len(codes) - 1, width))
        return cls(codes, beta)


def _constant_odds(donors: FloatArray, rng: Source) -> FloatArray:
    """Return the log-odds of each class against those after it; drawn, if asked, from their posterior."""
    share = donors if rng is None else np.maximum(rng.gamma(donors), TINY)
    later = np.cumsum(share[::-1])[::-1] - share
    return np.asarray(np.log(share[:-1] / np.maximum(later[:-1], TINY)))


@dataclass(frozen=True)
class Regimes:
    """Zero, loss or gain by logits, then the amount within the regime."""

    sign: Classes
    parts: Mapping[int, Amount | QuantileAmount]

    @classmethod
    def fit(
        cls,
        X: FloatArray,
        y: FloatArray,
        weight: FloatArray,
        ridge: float,
        rng: Source,
        amount: AmountFit | None = None,
        bounds: Bounds | None = None,
    ) -> Self:
        """Learn from donors with some weight; bounds must hold all of them."""
        sign = np.sign(y)
        order = np.where(sign == 0, -2.0, sign)  # first whether there is anything, then whether it is a loss
        classes = Classes.fit(X, order, weight, ridge, rng, ordered=True)
        rows = {int(s): sign == s for s in np.unique(sign[sign != 0])}
        inside = dict.fromkeys((-1, 1), bounds)
        if bounds is not None:  # a loss below zero, a gain above
            inside = {-1: (bounds[0], min(bounds[1], 0.0)), 1: (max(bounds[0], 0.0), bounds[1])}
        parts = {s: _fit_amount(X[r], y[r], weight[r], ridge, rng, amount, inside[s]) for s, r in rows.items()}
        return cls(classes, parts)

    @property
    def said(self) -> str:
        """What it is, in a few words."""
        return "; ".join(
            [f"zero, loss or gain: {self.sign.said}"] + [f"{_REGIME[n]}: {p.said}" for n, p in self.parts.items()]
        )

    def draw(self, inputs: Inputs, uniform: Uniform) -> FloatArray:
        """Draw for each row."""
        sign = self.sign.draw(inputs, uniform)
        out = np.zeros(inputs.rows)
        for number, part in self.parts.items():
            rows = np.flatnonzero(sign == number)
            out[rows] = part.draw(inputs.take(rows), _among(uniform, rows))
        return out

    def state(self, prefix: str) -> Arrays:
        """Return its arrays, each name with a prefix."""
        arrays = self.sign.state(f"{prefix}sign.")
        for number, part in self.parts.items():
            arrays |= part.state(f"{prefix}{_REGIME[number]}.")
        return arrays

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Self:
        """Rebuild from `state`, checking it."""
        sign = Classes.from_state(arrays, f"{prefix}sign.", width)
        _check(set(sign.codes) <= {-2.0, -1.0, 1.0})
        numbers = [int(c) for c in sign.codes if c != -2]
        return cls(sign, {n: _read_amount(arrays, f"{prefix}{_REGIME[n]}.", width) for n in numbers})


def _fit_amount(
    X: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    ridge: float,
    rng: Source,
    amount: AmountFit | None,
    bounds: Bounds | None,
) -> Amount | QuantileAmount:
    return amount(X, y, weight, ridge) if amount else Amount.fit(X, y, weight, ridge, rng, bounds)


def _read_amount(arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Amount | QuantileAmount:
    cls = QuantileAmount if f"{prefix}quantiles" in arrays else Amount
    return cls.from_state(arrays, prefix, width)


_REGIME = {-1: "loss", 1: "gain"}


def _among(uniform: Uniform, rows: npt.NDArray[np.int64]) -> Uniform:
    return lambda stream: uniform(stream)[rows]


Model = Amount | QuantileAmount | Classes | Regimes | Counts


def fit(
    variable: Variable,
    X: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    ridge: float,
    rng: Source,
    amount: AmountFit | None = None,
    bounds: Bounds | None = None,
) -> Model:
    """Fit the model that a target's kind asks for.

    Parameters
    ----------
    variable
        The target.
    X, y, weight
        Donors, all with some weight; X as `Inputs.dense` makes it.
    ridge
        See `glm`.
    rng
        For parameters drawn from their posterior; None for estimates.
    amount
        What fits amounts, and counts too, instead of the normal and count models; always estimates.
    bounds
        Between which draws of an amount on its own scale, or of a count, may go beyond the donors' range.
    """
    if variable.kind.is_class:
        return Classes.fit(X, y, weight, ridge, rng, ordered=variable.kind is not Kind.CATEGORICAL)
    whole = (y >= 0).all() and (y == np.rint(y)).all() and y.max() <= COUNTABLE
    if variable.kind is Kind.COUNT and whole and amount is None:
        return Counts.fit(X, y, weight, ridge, rng, bounds)
    if variable.kind is Kind.CONTINUOUS:
        return _fit_amount(X, y, weight, ridge, rng, amount, bounds)
    return Regimes.fit(X, y, weight, ridge, rng, amount, bounds)


def from_state(arrays: Mapping[str, npt.NDArray[Any]], prefix: str, width: int) -> Model:
    """Rebuild a model from its `state`; width is the number of coefficients that its regressions have."""
    marks = {
        "codes": Classes,
        "sign.codes": Regimes,
        "rate": Counts,
        "beta": Amount,
        "quantiles": QuantileAmount,
    }
    for mark, cls in marks.items():
        if f"{prefix}{mark}" in arrays:
            model: Model = cls.from_state(arrays, prefix, width)  # type: ignore[attr-defined]
            return model
    raise MethodError(f"the saved model lacks {prefix!r}", "Save the model again.")


def _check(sound: bool) -> None:
    if not sound:
        raise MethodError("a saved regression is damaged", "Save the model again.")
