"""What is believed of ρ, the rank correlation of two donors' targets given the predictors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from microimpute.errors import FusionError, closest
from microimpute.keyed import generator

__all__ = ["Grid", "Normal", "Point", "Prior", "Uniform", "prior"]


class Prior(ABC):
    """A distribution of ρ, from which each implicate draws one value."""

    name: ClassVar[str]

    def draw(self, seed: int, implicate: int, purpose: str = "") -> float:
        """Draw the ρ of one implicate; the same seed, implicate and purpose give the same value."""
        return float(self._draw(generator(seed, implicate, f"rho {purpose}")))

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> float: ...

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """Return the prior in plain values, as `prior` reads them."""


def _possible(rho: float, what: str) -> float:
    if not np.isfinite(rho) or not -1.0 < rho < 1.0:
        raise FusionError(f"{what} of the prior of rho is {rho!r}", "Give a number above -1 and below 1.")
    return float(rho)


@dataclass(frozen=True)
class Point(Prior):
    """One value, in (−1, 1): what is drawn then says nothing of the ignorance of ρ."""

    rho: float
    name: ClassVar[str] = "point"

    def __post_init__(self) -> None:
        _possible(self.rho, "the value")

    def _draw(self, rng: np.random.Generator) -> float:
        return self.rho

    def plain(self) -> dict[str, Any]:
        """Return the prior in plain values."""
        return {"prior": self.name, "rho": self.rho}


@dataclass(frozen=True)
class Uniform(Prior):
    """Every value from low to high alike."""

    low: float
    high: float
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        if _possible(self.low, "the lower end") > _possible(self.high, "the upper end"):
            raise FusionError(f"the prior of rho goes from {self.low} down to {self.high}", "Turn the ends round.")

    def _draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))

    def plain(self) -> dict[str, Any]:
        """Return the prior in plain values."""
        return {"prior": self.name, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Normal(Prior):
    """A normal distribution, for example an estimate and its standard error, cut at low and high."""

    mean: float
    sd: float
    low: float = -0.99
    high: float = 0.99
    name: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        _possible(self.mean, "the mean")
        Uniform(self.low, self.high)
        if not np.isfinite(self.sd) or self.sd <= 0:
            raise FusionError(f"the standard deviation of the prior of rho is {self.sd!r}", "Give a positive number.")
        if not self.low < self.high or self._levels()[1] - self._levels()[0] < 1e-9:
            raise FusionError(
                f"the normal prior of rho (mean {self.mean:g}, sd {self.sd:g}) has nothing between its ends",
                f"Widen {self.low:g} to {self.high:g}.",
            )

    def _levels(self) -> tuple[float, float]:
        from scipy.special import ndtr

        return float(ndtr((self.low - self.mean) / self.sd)), float(ndtr((self.high - self.mean) / self.sd))

    def _draw(self, rng: np.random.Generator) -> float:
        from scipy.special import ndtri

        return float(np.clip(self.mean + self.sd * ndtri(rng.uniform(*self._levels())), self.low, self.high))

    def plain(self) -> dict[str, Any]:
        """Return the prior in plain values."""
        return {"prior": self.name, "mean": self.mean, "sd": self.sd, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Grid(Prior):
    """A few values, each with a probability; without probabilities all alike."""

    values: Sequence[float]
    probabilities: Sequence[float] | None = None
    name: ClassVar[str] = "grid"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(_possible(v, "a value") for v in self.values))
        if not self.values:
            raise FusionError("the grid of rho has no value", "Give at least one.")
        if self.probabilities is None:
            return
        given = np.asarray(self.probabilities, dtype=np.float64)
        if given.shape != (len(self.values),) or not (given >= 0).all() or abs(given.sum() - 1) > 1e-9:
            raise FusionError("the grid's probabilities do not fit", "Give one per value, not negative, of sum 1.")
        object.__setattr__(self, "probabilities", tuple(given.tolist()))

    def _draw(self, rng: np.random.Generator) -> float:
        return float(rng.choice(self.values, p=self.probabilities))

    def plain(self) -> dict[str, Any]:
        """Return the prior in plain values."""
        chances = None if self.probabilities is None else list(self.probabilities)
        return {"prior": self.name, "values": list(self.values), "probabilities": chances}


PRIORS: dict[str, type[Prior]] = {kind.name: kind for kind in (Point, Uniform, Normal, Grid)}


def prior(given: Any) -> Prior:
    """Make a prior: from one, a number, or plain values such as ``{"prior": "uniform", "low": 0, "high": 0.5}``.

    Raises
    ------
    FusionError
        If there is no such prior or it has other parts.
    """
    if isinstance(given, Prior):
        return given
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return Point(float(given))
    if not isinstance(given, dict) or "prior" not in given:
        raise FusionError(f"the prior of rho is {given!r}", f"Give a number or a prior: {', '.join(PRIORS)}.")
    parts = dict(given)
    kind = PRIORS.get(named := parts.pop("prior"))
    if kind is None:
        raise FusionError(f"there is no prior {named!r}", closest(str(named), PRIORS))
    try:
        return kind(**parts)
    except TypeError as error:
        raise FusionError(f"a {named} prior can't be made of {', '.join(parts)}", f"{error}.") from error
