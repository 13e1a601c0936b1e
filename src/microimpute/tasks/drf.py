"""Three scenarios of one target whose distribution shifts with one predictor.

From the univariate comparison of Ćevid, Michel, Näf, Meinshausen and Bühlmann (2022), Distributional Random Forests,
JMLR 23, after Athey, Tibshirani and Wager (2019). Distributions, the mean shift of 0.8 and 30% of test rows agree
with the authors' scripts (``applications/univariate_comparison`` of `lorismichel/drf`).

What was verified: the mean pinball losses over the levels .1, .3, .5, .7, .9 of the true quantiles have exact
expectations .2891, .4336 and .2728. Published are .2893, .4418 and .2719: 0.0, 0.9 and 0.1 standard errors of one
instance of 1,500 receivers away. For the second that is near, not equal, and 2.8 standard errors if published was the
mean of ten such instances (the scripts don't agree on the number). Their code has this
very spread, so .4336 is the number to compare with.

The authors' nuisance predictors are uniform on (0, 1) and, by script, 10 or 39 of 2,000 or 5,000 rows; here the ten
predictors are X1 and nine nuisances, all uniform on (−1, 1). The loss of the truth does not depend on this.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.tasks.base import Problem, Task
from microimpute.tasks.masking import Design, hide

__all__ = ["DRF1", "DRF2", "DRF3"]

FloatArray = npt.NDArray[np.float64]

ROWS, PREDICTORS = 5_000, 10
RECEIVERS = 1_500


class _Scenario(Task):
    """5,000 rows, of which 30% receive."""

    track: ClassVar[str] = "A"
    source: ClassVar[str] = "Ćevid et al. (2022), Distributional Random Forests, JMLR 23(333), univariate comparison"

    @abstractmethod
    def outcome(self, shifted: npt.NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
        """Draw Y given whether X1 is above zero, shape (rows,)."""

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Draw predictors and outcome; the last 30% of the rows receive."""
        rng = np.random.default_rng([seed, 30])
        X = rng.uniform(-1, 1, (ROWS, PREDICTORS))
        names = [f"x{j + 1}" for j in range(PREDICTORS)]
        shifted = X[:, 0] > 0
        frame = pd.DataFrame(X, columns=names).assign(row=np.arange(ROWS), y=self.outcome(shifted, rng))
        receives = np.arange(ROWS) >= ROWS - RECEIVERS
        theirs = shifted[receives]
        return hide(
            frame,
            receives,
            Design({"y": Kind.CONTINUOUS}, dict.fromkeys(names, Kind.CONTINUOUS), key="row", source=self.source),
            sampler=lambda rng: self.outcome(theirs, rng)[:, None],
            groups={"x1 above zero": shifted},
            figures=[Figure("below zero", "y", 0.0)],
        )


class DRF1(_Scenario):
    """Y ~ N(0.8 · 1(X1 > 0), 1)."""

    name: ClassVar[str] = "drf_1"
    summary: ClassVar[str] = "Shift of the mean at X1 = 0, nine nuisance predictors"

    def outcome(self, shifted: npt.NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
        """Draw Y."""
        return np.asarray(rng.normal(size=len(shifted)) + 0.8 * shifted)


class DRF2(_Scenario):
    """Y ~ N(0, (1 + 1(X1 > 0))²)."""

    name: ClassVar[str] = "drf_2"
    summary: ClassVar[str] = "Shift of the spread at X1 = 0, nine nuisance predictors"

    def outcome(self, shifted: npt.NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
        """Draw Y."""
        return np.asarray(rng.normal(size=len(shifted)) * (1 + shifted))


class DRF3(_Scenario):
    """Y ~ N(1, 1) where X1 ≤ 0, and Exp(1) above: mean and spread agree, the shape does not."""

    name: ClassVar[str] = "drf_3"
    summary: ClassVar[str] = "Shift of the shape at X1 = 0 with equal mean and spread, nine nuisance predictors"

    def outcome(self, shifted: npt.NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
        """Draw Y."""
        n = len(shifted)
        return np.where(shifted, rng.exponential(size=n), rng.normal(1.0, 1.0, n))
