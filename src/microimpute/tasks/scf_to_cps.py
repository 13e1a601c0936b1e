"""Wealth of the SCF onto households of the CPS: no truth per household, margins and published figures only."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from microimpute.crosswalks.base import crosswalk
from microimpute.fusion import Fusion
from microimpute.survey import Survey
from microimpute.surveys.base import connector
from microimpute.tasks.base import Problem, Published, Task, locate

__all__ = ["SCFToCPS"]

#: Year whose prices incomes are brought to.
DOLLARS = 2019
#: Receivers that are kept, at random in proportion to weight, which then is the same for all.
RECEIVERS = 20_000

_BULLETIN = "Federal Reserve, Changes in U.S. Family Finances from 2016 to 2019, table 2"


class SCFToCPS(Task):
    """The main job, in small."""

    name: ClassVar[str] = "scf_to_cps"
    track: ClassVar[str] = "C"
    summary: ClassVar[str] = "SCF 2019 wealth onto 20,000 CPS households, beside published figures"
    source: ClassVar[str] = "SCFP2019.zip (Federal Reserve Board) and cps.csv.gz (Tax-Calculator)"
    files: ClassVar[tuple[str, ...]] = ("SCFP2019.zip", "cps.csv.gz")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Draw the receivers; the truth is empty."""
        walk = crosswalk("scf_to_cps_tax_units")
        scf = connector("scf").read(locate(self.files[0], data, self))
        cps = connector("cps_tax_units").read(locate(self.files[1], data, self))
        donor, receiver = walk.harmonise(scf, cps, dollars=DOLLARS)
        mass = np.cumsum(receiver.weights())
        steps = (np.arange(RECEIVERS) + np.random.default_rng(seed).random()) / RECEIVERS
        rows = np.searchsorted(mass / mass[-1], steps)
        kept = receiver.frame.select(*walk.predictors)[rows]
        fusion = Fusion(
            donor,
            Survey(kept, kinds={c.name: c.kind for c in walk.concepts}, dollars=receiver.dollars),
            targets=walk.targets,
            predictors=walk.predictors,
            rules=walk.rules,
        )
        return Problem(
            fusion,
            truth=np.zeros((0, len(fusion.targets))),
            published=(
                Published("median net worth", "NETWORTH", "median", 121_700, _BULLETIN),
                Published("mean net worth", "NETWORTH", "mean", 748_800, _BULLETIN),
            ),
            notes=("CPS households of 2013 to 2015, so margins should differ from the donor's where predictors do.",),
        )
