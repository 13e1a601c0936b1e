"""What households spend on energy: the Residential Energy Consumption Survey of 2015."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.tasks.base import Problem, Task, read
from microimpute.tasks.masking import Design, divide, hide, thin

__all__ = ["RECSEnergy"]

#: Electricity, natural gas, liquid propane, fuel oil.
TARGETS = {
    "DOLLAREL": Kind.CONTINUOUS,
    "DOLLARNG": Kind.SEMICONTINUOUS,
    "DOLLARLP": Kind.SEMICONTINUOUS,
    "DOLLARFO": Kind.SEMICONTINUOUS,
}
RULES = (f"TOTALDOL = {' + '.join(TARGETS)}", *(f"{t} >= 0" for t in TARGETS))
PREDICTORS = {
    "Division": Kind.CATEGORICAL,
    "Urbanicity": Kind.CATEGORICAL,
    "HousingUnitType": Kind.CATEGORICAL,
    "YearMade": Kind.CATEGORICAL,
    "ClimateRegion_BA": Kind.CATEGORICAL,
    "SpaceHeatingUsed": Kind.BINARY,
    "ACUsed": Kind.BINARY,
    "TOTSQFT_EN": Kind.CONTINUOUS,
    "HDD30YR": Kind.CONTINUOUS,
    "CDD30YR": Kind.CONTINUOUS,
}
#: 6% of income is usually called a high energy burden; 150% of the federal poverty guideline of 2015 for one person,
#: up to which states may give heating assistance, is 17,655 dollars.
BURDEN = 0.06 * 17_655


class RECSEnergy(Task):
    """Electricity, gas, propane and fuel oil, which add up to all energy."""

    name: ClassVar[str] = "recs_energy"
    track: ClassVar[str] = "B"
    summary: ClassVar[str] = "Spending on four fuels of 5,686 households, RECS 2015; half of them receive"
    source: ClassVar[str] = (
        "Residential Energy Consumption Survey 2015, Energy Information Administration, as in the R package "
        "srvyrexploR (recs_2015.csv.gz)"
    )
    files: ClassVar[tuple[str, ...]] = ("recs_2015.csv.gz",)
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide the households; in the arm ``"selected"`` those with larger dwellings receive."""
        frame = read(self.files[0], data, self, ["DOEID", "NWEIGHT", *TARGETS, *PREDICTORS])
        frame["DOEID"] = frame["DOEID"].astype(np.int64)
        units = frame["DOEID"].to_numpy(np.int64)
        receives = divide(units, seed, arm, frame["TOTSQFT_EN"].to_numpy(np.float64))
        keep = thin(units, receives, seed)
        frame, receives = frame.loc[keep].reset_index(drop=True), receives[keep]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "DOEID", weight="NWEIGHT", rules=RULES, source=self.source),
            groups={
                "rural": (frame["Urbanicity"] == "Rural").to_numpy(),
                "detached": (frame["HousingUnitType"] == "Single-family detached").to_numpy(),
            },
            figures=[Figure("bearable energy bill", "TOTALDOL", BURDEN)],
            notes=["The file has no income: the bill is compared with a fixed amount, not with income."],
        )
