"""One implicate's chain: target after target drawn from the others as they stand, pass after pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, SurveyError
from microimpute.implicates import draw_into
from microimpute.keyed import Keys, RowRandom, generator
from microimpute.kinds import Kind, Table, Variable
from microimpute.missing.columns import as_held
from microimpute.missing.conditions import Comparison
from microimpute.missing.passive import leaves, total
from microimpute.missing.plan import Plan, Target
from microimpute.resampling import resample

__all__ = ["Chain"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
#: Comparisons of which one must hold, and the rows in which it must, shape (rows,).
Demand = tuple[tuple[Comparison, ...], Flags]

#: The predictor that says nothing, for a target that has no other yet.
NOTHING = Variable("(nothing)", Kind.CONTINUOUS)


class Step(RowRandom):
    """Uniform numbers of one target in one pass: streams of other steps are other streams."""

    def __init__(self, seed: int, implicate: int, keys: Keys, step: str) -> None:
        super().__init__(seed, implicate, keys)
        self.step = step

    def uniform(self, stream: str) -> FloatArray:
        """Draw one number in (0, 1) per row."""
        return super().uniform(f"{self.step}/{stream}")

    def take(self, rows: slice | IntArray) -> Step:
        """Keep the numbers of some of the rows."""
        return Step(self.seed, self.implicate, self.keys[rows], self.step)


class Chain:
    """One implicate on its way.

    The first pass draws each target from what is complete and from the targets before it, which is all that a
    monotone pattern needs; later passes draw it from all its predictors as they stand (Raghunathan et al. 2001).
    Each draw has parameters of its own: the method's draw from their posterior, or a Bayesian bootstrap of the
    households in which the target is observed.

    Parameters
    ----------
    plan
        What is to be done.
    implicate
        Its number, from 1.
    seed
        Seed of the run.
    pool
        Threads for drawing.

    Attributes
    ----------
    values
        Column → shape (rows,): as it stands; NaN where not drawn yet, or not asked.
    trace
        Target → (mean, standard deviation) of what was drawn, one pair per pass.
    learnt
        Target → what its last fit has to say.
    """

    def __init__(self, plan: Plan, implicate: int, seed: int, pool: ThreadPoolExecutor) -> None:
        self.plan, self.implicate, self.seed, self.pool = plan, implicate, seed, pool
        self.values = dict(plan.columns.values)
        self.waiting = set(plan.names)
        self.trace: dict[str, list[tuple[float, float]]] = {t: [] for t in plan.names}
        self.learnt: dict[str, dict[str, Any]] = {}
        self.by_key = np.argsort(plan.keys, kind="stable")
        self._add_up()

    def run(self, number: int) -> None:
        """Go through all targets once: pass number 1, 2, …."""
        for target in self.plan.targets:
            rows = self._asked(target)
            out = np.where(target.gaps, np.nan, self.values[target.name])
            demands = self._demands(target)
            for own, donors in self._groups(target, rows, demands):
                out[own] = self._draw(target, own, donors, number)
            _check_met(target, out, rows, demands)
            self.values[target.name] = out
            self.waiting.discard(target.name)
            self._ask_again(target.name, number)
            self._add_up()
            self.trace[target.name].append(_moments(target, out, rows, self.plan.weight))

    def _asked(self, target: Target) -> IntArray:
        """Find the rows to draw, in order of their keys: gaps where the question is asked."""
        gaps = target.gaps
        if rule := self.plan.conditions.get(target.name):
            gaps = gaps & rule.holds(self.values)
        return self.by_key[gaps[self.by_key]]

    def _groups(self, target: Target, rows: IntArray, demands: Sequence[Demand]) -> Iterator[tuple[IntArray, IntArray]]:
        """Pair rows with their donors: where an answer shows that it was asked, with donors who would be asked."""
        able = target.observed & (self.plan.weight > 0)
        if not len(rows):
            return
        none = np.zeros(len(able), dtype=bool)
        demanded = np.column_stack([none, *(where for _, where in demands)])
        allowed = np.column_stack([~none, *(_met(parts, self.values[target.name]) for parts, _ in demands)])
        kinds, place = np.unique(demanded[rows], axis=0, return_inverse=True)
        for number, kind in enumerate(kinds):
            donors = able & allowed[:, kind].all(axis=1)
            own = rows[place.reshape(-1) == number]
            if not donors.any():
                raise SurveyError(
                    f"{len(own):,} rows without {target.name!r} answer what is asked only if it has certain values, "
                    "and no row with a weight has them",
                    "Mend these rows or the skip.",
                )
            yield own, self.by_key[donors[self.by_key]]

    def _demands(self, target: Target) -> list[Demand]:
        """List what answers to other questions demand of a target, and of which rows."""
        return [
            (parts, self.plan.answered[column] & where & target.gaps)
            for column, rule in self.plan.conditions.items()
            if target.name in rule.gates
            for parts, where in rule.demands(target.name, self.values)
        ]

    def _draw(self, target: Target, rows: IntArray, donors: IntArray, number: int) -> FloatArray:
        """Fit to the donors and draw for the rows, shape (rows,)."""
        plan, step = self.plan, f"{target.name}/{number}"
        variables, columns = self._shown(target)
        X = Table(variables, np.column_stack([c[donors] for c in columns]), households=plan.households[donors])
        Y = Table((target.variable,), self.values[target.name][donors, None])
        weight = plan.weight[donors]
        if target.method.resampled:
            weight = resample(weight, plan.households[donors], self.seed, self.implicate, f"donor resample {step}")
        fitted = target.method.fresh().fit(X, Y, weight, generator(self.seed, self.implicate, f"fit {step}"))
        self.learnt[target.name] = fitted.learnt()
        out = np.empty((len(rows), 1))
        receivers = Table(variables, np.column_stack([c[rows] for c in columns]))
        draw_into(out, fitted, receivers, Step(self.seed, self.implicate, plan.keys[rows], step), self.pool)
        return as_held(out[:, 0], target.variable)

    def _shown(self, target: Target) -> tuple[tuple[Variable, ...], list[FloatArray]]:
        """Return the predictors that have values by now, as methods see them."""
        pairs: list[tuple[Variable, FloatArray]] = []
        for name in target.predictors:
            if not leaves(name, self.plan.identities) & self.waiting:
                values = self.values[name]
                shown = self.plan.shown.get(name)
                pairs += shown.of(values) if shown else [(self.plan.variable(name), values)]
        if not pairs:
            pairs = [(NOTHING, np.zeros(len(self.plan.weight)))]
        return tuple(v for v, _ in pairs), [c for _, c in pairs]

    def _ask_again(self, gate: str, number: int) -> None:
        """After a gate has been drawn: what is no longer asked has no value, what is newly asked starts anywhere."""
        if number == 1:
            return  # what hangs on it comes after it
        changed = {gate}
        for target in self.plan.targets:
            rule = self.plan.conditions.get(target.name)
            if rule is None or not changed & set(rule.gates):
                continue
            changed.add(target.name)
            asked = rule.holds(self.values)
            values = np.where(target.gaps & ~asked, np.nan, self.values[target.name])
            new = np.flatnonzero(target.gaps & asked & np.isnan(values))
            values[new] = self._any_observed(target, new, number)
            self.values[target.name] = values

    def _any_observed(self, target: Target, rows: IntArray, number: int) -> FloatArray:
        """Draw observed values in proportion to weight, until the target's own turn."""
        known = self.by_key[(target.observed & (self.plan.weight > 0))[self.by_key]]
        share = np.cumsum(self.plan.weight[known])
        within = Step(self.seed, self.implicate, self.plan.keys[rows], f"{target.name}/{number}").uniform("newly asked")
        place = np.searchsorted(share, within * share[-1])
        return np.asarray(self.plan.columns.values[target.name][known[np.minimum(place, len(known) - 1)]])

    def _add_up(self) -> None:
        """Derive the passive totals; one of a part not drawn yet is not read (see `_shown`)."""
        for identity in self.plan.identities:
            self.values[identity.total] = total(identity, self.values)


def _met(parts: Sequence[Comparison], values: FloatArray) -> Flags:
    """Say where one of the comparisons holds."""
    return np.asarray(np.any([part.holds(values) for part in parts], axis=0))


def _check_met(target: Target, values: FloatArray, rows: IntArray, demands: Sequence[Demand]) -> None:
    """Refuse draws that contradict answers: of a method that leaves its donors' values."""
    for parts, where in demands:
        if wrong := int((where & ~_met(parts, values))[rows].sum()):
            raise MethodError(
                f"method {target.method.name!r} drew {wrong:,} values of {target.name!r} that contradict answers to "
                "what is asked only if it has certain values",
                "Choose a method for it that keeps to donors' values, such as pmm, or srmi without bounds.",
            )


def _moments(target: Target, values: FloatArray, rows: IntArray, weight: FloatArray) -> tuple[float, float]:
    """Return the weighted mean and standard deviation of what was drawn; of an unordered class, of its commonest."""
    drawn, w = values[rows], weight[rows]
    if not w.sum() > 0:
        return float("nan"), float("nan")
    if target.variable.kind is Kind.CATEGORICAL:
        codes = values[target.observed].astype(np.int64)
        drawn = (drawn == np.argmax(np.bincount(codes, weights=weight[target.observed]))).astype(np.float64)
    mean = float(np.average(drawn, weights=w))
    return mean, float(np.sqrt(np.average((drawn - mean) ** 2, weights=w)))


def traces(chains: Sequence[Chain]) -> dict[str, dict[str, FloatArray]]:
    """Put chains' traces side by side: target → ``"mean"``, ``"sd"`` → shape (implicates, passes)."""
    out = {}
    for name in chains[0].trace:
        both = np.array([chain.trace[name] for chain in chains], dtype=np.float64)
        out[name] = {"mean": both[:, :, 0], "sd": both[:, :, 1]}
    return out
