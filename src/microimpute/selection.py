"""Choosing among ways to draw by what each draws for donors that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.held_out import HeldOut
from microimpute.kinds import Kind
from microimpute.metrics.base import FAMILIES, Scored, metrics
from microimpute.skill import NULL, ORACLE, mean_skill, with_skill

__all__ = ["FAILED", "Judge", "Verdict", "choose"]

FloatArray = npt.NDArray[np.float64]
Errors = Mapping[str, Mapping[str, float]]

#: Share of draws that may break an edit rule, as the benchmark's gates allow.
TOLERANCE = 0.001
#: Times that the null is drawn, each from a resample of its own, and most resamples of the truth that are compared.
REPEATS, RESAMPLES = 3, 5
#: Family of metrics that know by themselves what chance gives, and need no resamples for it.
TOLD_APART = "indistinguishability"
#: A figure that differs among resamples of the truth, or of the null, by more than so many times what matters says
#: nothing in this sample and is not asked: a ratio to a median near zero, shares of a total near zero.
UNSTABLE = 10.0
#: Skill of a family below which it has failed; nearer to zero is luck in one figure of many.
FAILED = -0.05
#: Decimals that skills are compared and told with, so that the last bits of a sum decide nothing.
DIGITS = 4


@dataclass(frozen=True)
class Verdict:
    """One way to draw, judged.

    Attributes
    ----------
    families
        Family of metrics → mean skill; where a shuffle is as good as can be, zero less harm. A family in which
        nobody shows skill or does harm is absent.
    """

    families: Mapping[str, float]

    @property
    def mean(self) -> float | None:
        """Mean over families; None where nothing can be told."""
        return round(float(np.mean(list(self.families.values()))), DIGITS) if self.families else None

    @property
    def worst(self) -> str | None:
        """The family of the least skill."""
        return min(self.families, key=lambda f: self.families[f]) if self.families else None

    @property
    def fails(self) -> bool:
        """Whether it is clearly worse than ignoring the predictors in some family."""
        return self.worst is not None and self.families[self.worst] < FAILED


class Judge:
    """Scores draws for held-out donors with the benchmark's metrics, between the null and the truth.

    Scores of conditional distributions (CRPS, energy score …) can't be brought to zero, and how low the truth's own
    would be is not known: there the best of all that was heard stands for the truth. Otherwise a tenth of what can
    be gained would look like nothing beside the luck of other figures.

    Parameters
    ----------
    held_out
        The donors and their folds.
    """

    def __init__(self, held_out: HeldOut) -> None:
        self._held_out = held_out
        self._null = [_errors(self.question(held_out.shuffled(r))) for r in range(REPEATS)]
        truth = self._resampled_truth()
        self._oracle = _errors(truth, anchored_only=True)
        self._noise = [_errors(_one(truth, i), True, but=TOLD_APART) for i in range(min(RESAMPLES, truth.m))]
        self._heard: dict[str, Errors] = {}

    def question(self, draws: FloatArray) -> Scored:
        """Put draws, shape (draws, rows, targets), beside the truth, totals included."""
        donors = self._held_out.donors
        weight = donors.weight
        sums = {f"total {number}": terms for number, terms in enumerate(donors.Y.ties.sums)}
        return Scored(
            donors.X,
            donors.Y,
            draws,
            weight,
            donors.X,
            donors.Y,
            weight,
            np.broadcast_to(weight, draws.shape[:2]),
            np.ones(len(draws), dtype=np.int64),  # one fit: there is no spread between fits to pool
            {name: _summed(donors.Y.values, terms) for name, terms in sums.items()},
            {name: _summed(draws, terms) for name, terms in sums.items()},
            seed=self._held_out.seed,
        )

    def _resampled_truth(self) -> Scored:
        donors, rng = self._held_out.donors, np.random.default_rng([self._held_out.seed, 32])
        truth = np.broadcast_to(donors.Y.values, (self._held_out.draws, *donors.Y.values.shape))
        again = np.stack([donors.resampled(rng).weight for _ in truth])
        again *= donors.weight.sum() / again.sum(axis=1, keepdims=True)
        return replace(self.question(truth), draw_weight=again)

    def hear(self, name: str, draws: FloatArray) -> str | None:
        """Score one way to draw under a name; returns why it is refused instead, or None."""
        refused = self._refusal(draws)
        if refused is None:
            self._heard[name] = _errors(self.question(draws))
        return refused

    def _refusal(self, draws: FloatArray) -> str | None:
        """Say what no skill can make good, as the benchmark's gates do."""
        Y = self._held_out.donors.Y
        if not np.isfinite(draws).all():
            return "draws are missing or infinite"
        for position, variable in enumerate(Y.variables):
            drawn, known = draws[:, :, position], Y.values[:, position]
            whole = variable.kind is not Kind.COUNT or (drawn == np.rint(drawn)).all()
            inside = np.isin(drawn, np.arange(len(variable.levels))) if variable.kind.is_class else drawn >= 0
            if not whole or (known.min() >= 0 and not inside.all()):
                return f"draws of {variable.name!r} are none that a donor could have"
        for position, any_of in Y.ties.requires:
            alone = (draws[:, :, position] != 0) & (draws[:, :, list(any_of)] == 0).all(axis=2)
            if alone.mean() > TOLERANCE:
                return f"an edit rule on {Y.names[position]!r} is broken in {alone.mean():.1%} of the draws"
        return None

    def verdicts(self) -> dict[str, Verdict]:
        """Judge all that was heard, by name, in that order."""
        found: list[tuple[str, int, Errors]] = [(NULL, r, e) for r, e in enumerate(self._null)]
        found.append((ORACLE, 0, {**self._oracle, **self._best()}))
        found += [(name, 0, errors) for name, errors in self._heard.items()]
        family = {name: cls.family for name, cls in metrics().items()}
        rows = [
            ("donors", "held out", seed, method, name, family[name], target, value)
            for method, seed, errors in found
            for name, values in errors.items()
            for target, value in values.items()
        ]
        columns = ["task", "arm", "seed", "method", "metric", "family", "target", "value"]
        frame = pd.DataFrame(rows, columns=columns).assign(noise=self._noise_of(rows))
        matters = frame["metric"].map({name: cls.matters for name, cls in metrics().items()})
        frame = with_skill(frame[~(frame["noise"] > UNSTABLE * matters)])
        skill = mean_skill(frame, ["method", "family"], nothing=0.0).unstack("family").reindex(list(self._heard))
        told = set(frame.loc[frame["informative"], "family"]) | set(skill.columns[(skill < 0).any()])
        kept = [f for f in FAMILIES if f in told]
        return {name: Verdict({f: _plain(skill.at[name, f]) for f in kept}) for name in self._heard}

    def _best(self) -> Errors:
        """Return the least error of all that was heard where the truth's own is not known."""
        heard = list(self._heard.values())
        return {
            name: {t: min(errors[name][t] for errors in heard) for t in heard[0][name]}
            for name, cls in metrics().items()
            if not cls.anchored
        }

    def _noise_of(self, rows: Sequence[tuple[Any, ...]]) -> list[float]:
        """Return the largest error of the truth, resampled, or difference among nulls, for each row's figure.

        The largest, since some figures are far off in few resamples only.
        """
        noise = []
        for *_, metric, _, target, _ in rows:
            null = [e[metric][target] for e in self._null if target in e.get(metric, {})]
            own = [e[metric][target] for e in self._noise if target in e.get(metric, {})]
            noise.append(max([*own, max(null) - min(null)]) if null else np.inf)
        return noise


def _plain(skill: Any) -> float:
    return round(float(skill), DIGITS)


def _one(scored: Scored, draw: int) -> Scored:
    kept = slice(draw, draw + 1)
    return replace(
        scored,
        draws=scored.draws[kept],
        draw_weight=scored.draw_weight[kept],
        fits=scored.fits[kept],
        drawn_totals={name: values[kept] for name, values in scored.drawn_totals.items()},
    )


def _summed(values: FloatArray, terms: Sequence[tuple[int, int]]) -> FloatArray:
    return np.asarray(sum(times * values[..., position] for position, times in terms))


def _errors(scored: Scored, anchored_only: bool = False, but: str = "") -> Errors:
    asked = {n: cls for n, cls in metrics().items() if (cls.anchored or not anchored_only) and cls.family != but}
    return {name: cls().cheaper().score(scored) for name, cls in asked.items()}


def choose(verdicts: Mapping[str, Verdict]) -> tuple[str, dict[str, str]]:
    """Choose by mean skill over families, with the worst family as a veto.

    Parameters
    ----------
    verdicts
        By name, in the order in which ties are broken.

    Returns
    -------
    chosen, reasons
        The name; and for each of the others why it was not chosen. A way that fails a family is out as long as
        another fails none.
    """
    sound = [name for name, verdict in verdicts.items() if not verdict.fails]
    eligible = sound or list(verdicts)
    means = {name: -np.inf if (mean := verdicts[name].mean) is None else mean for name in eligible}
    chosen = max(eligible, key=lambda name: means[name])
    reasons = {}
    for name, verdict in verdicts.items():
        if name not in eligible:
            assert verdict.worst is not None
            reasons[name] = f"vetoed: worse than ignoring the predictors in {verdict.worst}"
        elif name != chosen:
            alike = means[name] == means[chosen]
            reasons[name] = "no higher mean skill, and costs more" if alike else "lower mean skill"
    return chosen, reasons
