"""What a metric is, and what it sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from microimpute import registry
from microimpute.errors import BenchmarkError
from microimpute.kinds import Kind, Table
from microimpute.weighted import quantile

__all__ = [
    "AMOUNTS",
    "BUNDLE",
    "CLASSES",
    "FAMILIES",
    "Audit",
    "Figure",
    "Metric",
    "Scale",
    "Scored",
    "audits",
    "metric",
    "metrics",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

AMOUNTS = frozenset(k for k in Kind if not k.is_class)
CLASSES = frozenset(k for k in Kind if k.is_class)

#: Families in the order in which pages show them; each metric belongs to one.
FAMILIES = ("conditional", "joint", "indistinguishability", "tails", "policy")

#: Key of a score that is about the whole bundle rather than one target.
BUNDLE = ""


@dataclass(frozen=True)
class Figure:
    """A figure of public policy that a task asks for.

    Attributes
    ----------
    name
        What it is, e.g. ``"poverty"`` or ``"asset test"``.
    target
        The amount that is compared with the threshold; a drawn target or a derived total.
    threshold
        In the target's unit; a row counts when its amount is below it.
    """

    name: str
    target: str
    threshold: float


@dataclass(frozen=True)
class Scored:
    """Everything that a metric sees: truth and draws for the same receiver rows, and the donors.

    Attributes
    ----------
    X
        Receivers' predictors, n rows (as methods saw them).
    truth
        Receivers' true targets, n rows; `truth.variables` says the kinds, classes are codes.
    draws
        float64, shape (m, n, targets): m joint draws per row, all finite.
    weight
        float64, shape (n,): receivers' survey weights, positive.
    donor_x, donor_y, donor_weight
        The donors.
    draw_weight
        float64, shape (m, n): weights of the draws. Equal to `weight` for every method; the oracle of
        distributional metrics is the truth with bootstrapped weights, and differs only here.
    fits
        int64, shape (m,): number of the donor resample that each draw comes from. Draws of one resample share
        its error, so pooling takes one draw of each.
    totals, drawn_totals
        Total name → shape (n,) or (m, n): totals that identities derive from truth and draws.
    groups
        Name → int64, shape (n,): receiver groups by which policy figures are asked.
    figures
        Policy figures.
    seed
        For metrics that need random numbers.
    """

    X: Table
    truth: Table
    draws: FloatArray
    weight: FloatArray
    donor_x: Table
    donor_y: Table
    donor_weight: FloatArray
    draw_weight: FloatArray
    fits: npt.NDArray[np.int64]
    totals: Mapping[str, FloatArray] = field(default_factory=dict)
    drawn_totals: Mapping[str, FloatArray] = field(default_factory=dict)
    groups: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    seed: int = 0

    @property
    def m(self) -> int:
        """Number of draws."""
        return len(self.draws)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kind of each target."""
        return tuple(v.kind for v in self.truth.variables)

    @cached_property
    def scale(self) -> Scale:
        """Puts targets on comparable scales, made from the donors alone."""
        return Scale.of(self.donor_y, self.donor_weight)

    @cached_property
    def z(self) -> FloatArray:
        """Truth on comparable scales, shape (n, columns); a class has one column per level."""
        return self.scale(self.truth.values)

    @cached_property
    def z_draws(self) -> FloatArray:
        """Draws on comparable scales, float32, shape (m, n, columns)."""
        return np.stack([self.scale(d).astype(np.float32) for d in self.draws])

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Scored:
        """Keep some of the receivers' rows."""
        return replace(
            self,
            X=self.X.take(rows),
            truth=self.truth.take(rows),
            draws=self.draws[:, rows],
            weight=self.weight[rows],
            draw_weight=self.draw_weight[:, rows],
            totals={t: v[rows] for t, v in self.totals.items()},
            drawn_totals={t: v[:, rows] for t, v in self.drawn_totals.items()},
            groups={g: v[rows] for g, v in self.groups.items()},
        )

    def amount(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return the truth, shape (n,), and the draws, shape (m, n), of a target or total."""
        if name in self.totals:
            return self.totals[name], self.drawn_totals[name]
        position = self.truth.names.index(name)
        return self.truth.values[:, position], self.draws[:, :, position]

    def of_kind(self, kinds: frozenset[Kind]) -> list[int]:
        """Return positions of the targets of some kinds."""
        return [i for i, k in enumerate(self.kinds) if k in kinds]


@dataclass(frozen=True)
class Scale:
    """Comparable scales: standardised asinh of amounts, indicator columns of classes.

    An amount y becomes (asinh(y / u) − mean) / sd with u the donors' weighted median of non-zero |y|, mean and
    standard deviation those of the donors. A level of a class with J levels becomes a column of 0 and 1/√2, so
    that two different levels lie a distance of 1 apart.
    """

    unit: FloatArray
    mean: FloatArray
    spread: FloatArray
    levels: tuple[int, ...]

    @classmethod
    def of(cls, Y: Table, weight: FloatArray) -> Scale:
        """Make the scale from donors."""
        units, means, spreads, levels = [], [], [], []
        for variable, y in zip(Y.variables, Y.values.T, strict=True):
            there = (y != 0) & (weight > 0)
            size = np.abs(y[there])
            unit = float(quantile(size, 0.5, weight[there])) if there.any() else 1.0
            z = np.arcsinh(y / unit)
            mean = float(np.average(z, weights=weight))
            spread = float(np.sqrt(np.average((z - mean) ** 2, weights=weight)))
            units.append(unit)
            means.append(mean)
            spreads.append(spread if spread > 0 else 1.0)
            levels.append(len(variable.levels) if variable.kind.is_class else 0)
        return cls(np.array(units), np.array(means), np.array(spreads), tuple(levels))

    def __call__(self, Y: FloatArray) -> FloatArray:
        """Scale values, shape (rows, targets) to (rows, columns)."""
        columns = []
        for j, count in enumerate(self.levels):
            if count:
                columns.append((Y[:, j, None] == np.arange(count)) * np.sqrt(0.5))
            else:
                columns.append(self.one(j, Y[:, j])[:, None])
        return np.hstack(columns) if columns else np.zeros((len(Y), 0))

    def one(self, position: int, y: FloatArray) -> FloatArray:
        """Scale one amount, of any shape."""
        return np.asarray((np.arcsinh(y / self.unit[position]) - self.mean[position]) / self.spread[position])


class Metric(ABC):
    """One error of draws against the truth: 0 or small is good, large is bad.

    A subclass in its family's file is a metric: it states its facts and implements `score`. The docstring gives
    definition, formula and source.
    """

    #: Name in results.
    name: ClassVar[str]
    #: One of `FAMILIES`.
    family: ClassVar[str]
    #: One line for readers of the results.
    summary: ClassVar[str]
    #: Kinds of targets that it is defined for.
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    #: Whether a resample of the truth is its oracle. False for scores of conditional distributions (CRPS, energy
    #: score …): no draw from a resample of one value shows their least value, so skill is against the null only.
    anchored: ClassVar[bool] = True
    #: Least difference between null and oracle that carries information; smaller ones count as this much, so that
    #: a task on which the null is already perfect gives nobody a skill made of noise.
    matters: ClassVar[float] = 0.01
    #: Whether it is about zeros alone, so that pages can tell who gets zeros right from who gets amounts right.
    of_zeros: ClassVar[bool] = False

    @abstractmethod
    def score(self, scored: Scored) -> Mapping[str, float]:
        """Return errors by target name, or under `BUNDLE` for the whole bundle; empty where not defined.

        Parameters
        ----------
        scored
            Truth, draws and donors.

        Returns
        -------
        mapping of str to float
            Not negative (up to rounding and the fairness correction of proper scores), finite.
        """

    def cheaper(self) -> Metric:
        """Return a version that costs less, for cross-validation, which asks often; by default there is none."""
        return self


class Audit(ABC):
    """A figure reported beside the scores and never mixed into them: privacy, gates, copies."""

    name: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def measure(self, scored: Scored) -> Mapping[str, float]:
        """Return figures by name; empty where not defined."""


def metrics() -> Mapping[str, type[Metric]]:
    """List all metrics by name."""
    return registry.collect("metrics", Metric)


def audits() -> Mapping[str, type[Audit]]:
    """List all audits by name."""
    return registry.collect("metrics", Audit)


def metric(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    BenchmarkError
        If there is none.
    """
    return registry.find("metrics", Metric, name, BenchmarkError)()  # type: ignore[type-abstract]
