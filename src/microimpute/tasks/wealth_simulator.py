"""A simulated population of households with wealth whose true conditional distribution is known."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.tasks.base import Problem, Task
from microimpute.tasks.masking import Design, divide, hide

__all__ = ["WealthSimulator"]

FloatArray = npt.NDArray[np.float64]

POOL, SAMPLE = 80_000, 4_000
PREDICTORS = {
    "age": Kind.CONTINUOUS,
    "income": Kind.CONTINUOUS,
    "couple": Kind.BINARY,
    "children": Kind.COUNT,
    "education": Kind.CATEGORICAL,
}
AMOUNTS = ("housing", "mortgage", "financial", "business", "consumer_debt")
CLASSES = {"pension": Kind.CATEGORICAL, "credit_refused": Kind.BINARY}
TARGETS = {**dict.fromkeys(AMOUNTS, Kind.SEMICONTINUOUS), **CLASSES}
RULES = (
    "networth = housing + financial + business - mortgage - consumer_debt",
    "mortgage requires housing",
    *(f"{c} >= 0" for c in AMOUNTS if c != "business"),
)
#: In alphabetical order, as codes are.
EDUCATION = ("college", "high school", "less", "some college")
YEARS = np.array([16, 12, 9, 14])
PENSION = ("both", "defined benefit", "defined contribution", "none")


def _chance(logit: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    return np.asarray(rng.random(len(logit)) < 1 / (1 + np.exp(-logit)))


def _people(n: int, rng: np.random.Generator) -> pd.DataFrame:
    age = np.floor(20 + 72 * rng.beta(1.7, 2.2, n))
    level = rng.choice(4, n, p=[0.34, 0.26, 0.12, 0.28])
    couple = _chance(0.2 + 0.06 * (YEARS[level] - 12) - 0.0012 * (age - 50) ** 2, rng)
    children = rng.poisson(np.exp(0.1 + 0.4 * couple - 0.0025 * (age - 38) ** 2))
    log_income = 10.4 + 0.11 * (YEARS[level] - 12) + 0.45 * couple - 0.0006 * (age - 50) ** 2
    tail = np.where(rng.random(n) < 0.03, rng.random(n) ** (-1 / 1.8), 1.0)
    income = np.rint(np.exp(log_income + 0.6 * rng.normal(size=n)) * tail)
    education = np.array(EDUCATION, dtype=object)[level]
    made = {"age": age, "income": income, "couple": couple.astype(np.int64), "children": children}
    return pd.DataFrame({**made, "education": education})


def _wealth(people: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    """Draw all targets given the predictors, shape (rows, targets).

    Three independent factors of each household make targets dependent given the predictors: thrift (all assets up,
    debts down), enterprise (business, risk) and leverage (debts, refusals).
    """
    n = len(people)
    age = people["age"].to_numpy(np.float64) - 45
    income = np.log(people["income"].to_numpy(np.float64) / 50_000)
    couple, children = people["couple"].to_numpy(np.float64), people["children"].to_numpy(np.float64)
    school = YEARS[np.searchsorted(EDUCATION, people["education"].to_numpy(str))] - 12.0
    thrift, enterprise, leverage = rng.normal(size=(3, n))
    noise = rng.normal(size=(5, n))
    owns = _chance(0.3 + 0.045 * age + 0.6 * income + 0.6 * couple + 0.9 * thrift, rng)
    housing = owns * np.exp(11.9 + 0.45 * income + 0.006 * age + 0.02 * school + 0.35 * thrift + 0.45 * noise[0])
    owes = owns & _chance(1.0 - 0.07 * age + 0.15 * children - 0.5 * thrift + 0.8 * leverage, rng)
    share = 1 / (1 + np.exp(0.2 + 0.035 * age + 0.3 * thrift - 0.5 * leverage - 0.7 * noise[1]))
    saves = _chance(2.6 + 0.8 * income + 0.15 * school + 0.9 * thrift, rng)
    tail = rng.random(n) ** (-1 / 1.6)  # Pareto, index 1.6
    level = 7.7 + 0.9 * income + 0.03 * age + 0.08 * school + 0.9 * thrift + 0.2 * enterprise + 0.8 * noise[2]
    runs = _chance(-2.6 + 0.6 * income + 0.3 * couple + 1.1 * enterprise + 0.2 * thrift, rng)
    size = np.exp(10.3 + 0.6 * income + 0.02 * age + 0.4 * thrift + 0.5 * enterprise + 1.3 * noise[3])
    sign = np.where(_chance(-2.2 - 0.5 * thrift + 0.3 * leverage, rng), -0.2, 1.0)
    borrows = _chance(0.9 - 0.03 * age + 0.2 * children - 0.3 * thrift + 0.7 * leverage, rng)
    loans = np.exp(8.6 + 0.4 * income + 0.05 * school - 0.2 * thrift + 0.5 * leverage + 1.0 * noise[4])
    both = -1.2 + 0.9 * income + 0.02 * age + 0.5 * thrift
    benefit = -0.6 + 0.3 * income + 0.025 * age - 0.2 * enterprise
    contribution = 0.2 + 0.6 * income + 0.08 * school + 0.4 * thrift
    liking = np.stack([both, benefit, contribution, 0.5 - 0.3 * thrift + 0.2 * enterprise])  # as in PENSION
    pension = np.argmax(liking + rng.gumbel(size=liking.shape), axis=0)
    refused = _chance(-2.2 - 0.02 * age - 0.6 * income - 0.6 * thrift + 0.9 * leverage, rng)
    house = np.rint(housing)
    amounts = (house, owes * np.rint(house * share), saves * np.rint(np.exp(level) * tail))
    return np.column_stack([*amounts, np.rint(runs * size * sign), np.rint(borrows * loans), pension, refused]) + 0.0


def _draw_sample(size: FloatArray, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Sample systematically with probability proportional to size; return rows and their weights."""
    certain = np.zeros(len(size), dtype=np.bool_)
    while True:
        left = SAMPLE - certain.sum()
        chance = np.where(certain, 1.0, left * size / size[~certain].sum())
        if not (beyond := chance > 1).any():
            break
        certain |= beyond
    order = rng.permutation(len(size))
    steps = np.floor(np.cumsum(chance[order]) + rng.random())
    rows = np.sort(order[np.diff(steps, prepend=0.0) > 0])
    return rows, 1 / chance[rows]


class WealthSimulator(Task):
    """Donors oversample the rich by their wealth itself; receivers are sampled by predictors alone."""

    name: ClassVar[str] = "wealth_simulator"
    track: ClassVar[str] = "A"
    summary: ClassVar[str] = (
        "Simulated wealth: 5 dependent amounts with zeros and tails, 2 classes, informative weights"
    )
    source: ClassVar[str] = "Simulated; the generator is this task's code"
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide a pool of 80,000 households, in the arm ``"selected"`` by income, and sample 4,000 of each part."""
        rng = np.random.default_rng([seed, 31])
        pool = _people(POOL, rng)
        wealth = pd.DataFrame(_wealth(pool, rng), columns=list(TARGETS))
        pool["household"] = np.arange(POOL)
        theirs = divide(np.arange(POOL), seed, arm, pool["income"].to_numpy(np.float64))
        worth = wealth["housing"] + wealth["financial"] + wealth["business"]
        rich = np.sqrt(50_000 + worth.abs().to_numpy()) * np.exp(0.3 * rng.normal(size=POOL))
        parts = []
        for side, size in ((~theirs, rich), (theirs, 1 + 0.5 * (pool["children"].to_numpy() > 0))):
            rows, weight = _draw_sample(np.asarray(size[side], dtype=np.float64), rng)
            chosen = np.flatnonzero(side)[rows]
            parts.append(pd.concat([pool.iloc[chosen], wealth.iloc[chosen]], axis=1).assign(weight=weight))
        frame = pd.concat(parts, ignore_index=True)
        frame["pension"] = np.array(PENSION, dtype=object)[frame["pension"].to_numpy(np.int64)]
        frame["credit_refused"] = frame["credit_refused"].astype(np.int64)
        receives = np.arange(len(frame)) >= len(parts[0])
        receivers = frame.loc[receives, list(PREDICTORS)]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "household", weight="weight", rules=RULES, source=self.source),
            sampler=lambda rng: _wealth(receivers, rng),
            groups={"age": np.digitize(frame["age"], [35, 65]), "couple": frame["couple"].to_numpy()},
            figures=[Figure("asset test", "financial", 2_000.0), Figure("net worth below zero", "networth", 0.0)],
            notes=["Only weighted, donors have the population's distribution given the predictors."],
        )
