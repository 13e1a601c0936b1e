"""Wealth and spending that depend on each other given the predictors.

Conditional independence is false for wealth and consumption: where both were observed, their rank correlation given
income, age, education and household size is .2 to .3. Here it is .3 for every household. For now one donor holds
both; two donors, each of which holds one side, are fused by `microimpute.stages`, which no task scores yet.
"""

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

__all__ = ["TwoDonors"]

FloatArray = npt.NDArray[np.float64]

ROWS = 8_000
#: Correlation of the normal scores: .3 in ranks is 2 sin(.3 π / 6) = .313 in scores.
ACROSS = 2 * np.sin(0.3 * np.pi / 6)
CORRELATION = np.array(
    [
        [1.0, 0.6, ACROSS, ACROSS],
        [0.6, 1.0, ACROSS, ACROSS],
        [ACROSS, ACROSS, 1.0, 0.6],
        [ACROSS, ACROSS, 0.6, 1.0],
    ]
)
ROOT = np.linalg.cholesky(CORRELATION)
PREDICTORS = {
    "income": Kind.CONTINUOUS,
    "age": Kind.CONTINUOUS,
    "education": Kind.ORDINAL,
    "size": Kind.COUNT,
    "owner": Kind.BINARY,
}
TARGETS = {
    "networth": Kind.CONTINUOUS,
    "liquid": Kind.SEMICONTINUOUS,
    "spending": Kind.CONTINUOUS,
    "food": Kind.CONTINUOUS,
}


def _people(rng: np.random.Generator) -> pd.DataFrame:
    education = rng.choice(4, ROWS, p=[0.12, 0.28, 0.3, 0.3])
    age = np.floor(20 + 70 * rng.beta(1.7, 2.2, ROWS))
    size = 1 + rng.poisson(1.3 * np.exp(-0.0008 * (age - 42) ** 2))
    income = np.exp(10.2 + 0.22 * education + 0.15 * np.minimum(size, 4) + 0.65 * rng.normal(size=ROWS))
    logit = -1.0 + 0.05 * (age - 45) + 0.7 * np.log(income / 50_000) + 0.2 * size
    owner = rng.random(ROWS) < 1 / (1 + np.exp(-logit))
    columns = (np.rint(income), age, education, size, owner.astype(np.int64))
    return pd.DataFrame(dict(zip(PREDICTORS, columns, strict=True)))


def _bundle(people: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    """Draw all targets given the predictors: monotone functions of correlated normal scores."""
    income, age, education, size, owner = (people[c].to_numpy(np.float64) for c in PREDICTORS)
    log_income = np.log(income / 50_000)
    score = rng.normal(size=(len(people), 4)) @ ROOT.T
    centre = 0.5 + 0.8 * log_income + 0.04 * (age - 45) + 0.15 * education + 1.2 * owner
    networth = 20_000 * np.sinh(centre + (1.5 - 0.4 * owner) * score[:, 0])
    liquid = np.exp(7.5 + 0.9 * log_income + 0.02 * (age - 45) + 0.2 * education + 1.6 * score[:, 1])
    liquid = np.where(liquid < 250, 0.0, liquid)  # who has less holds no account
    spread = 0.35 + 0.1 * (log_income > 0)
    spending = np.exp(10.5 + 0.55 * log_income + 0.12 * np.log(size) + 0.1 * owner + spread * score[:, 2])
    food = np.exp(8.6 + 0.3 * log_income + 0.45 * np.log(size) + 0.45 * score[:, 3])
    return np.column_stack([networth, liquid, spending, food])


class TwoDonors(Task):
    """Wealth and spending in one donor, with the dependence that two donors would not show."""

    name: ClassVar[str] = "two_donors"
    track: ClassVar[str] = "A"
    summary: ClassVar[str] = "Simulated wealth and spending with rank correlation .3 given the predictors"
    source: ClassVar[str] = "Simulated; the generator is this task's code"
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide 8,000 households; in the arm ``"selected"`` those with more income receive."""
        rng = np.random.default_rng([seed, 32])
        people = _people(rng)
        frame = people.assign(household=np.arange(ROWS))
        frame[list(TARGETS)] = _bundle(people, rng)
        receives = divide(np.arange(ROWS), seed, arm, people["income"].to_numpy(np.float64))
        theirs = people.loc[receives]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "household", rules=["liquid >= 0"], source=self.source),
            sampler=lambda rng: _bundle(theirs, rng),
            groups={"age": np.digitize(people["age"], [35, 65]), "owner": people["owner"].to_numpy()},
            figures=[Figure("asset test", "liquid", 2_000.0), Figure("low spending", "spending", 25_000.0)],
            notes=["One donor holds both sides; fusing two donors (microimpute.stages) is not scored here."],
        )
