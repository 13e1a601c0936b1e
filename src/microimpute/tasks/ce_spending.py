"""Spending of consumer units: the Consumer Expenditure Interview."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.readers.ce_rows import quarters_again
from microimpute.tasks.base import Problem, Task, read
from microimpute.tasks.masking import Design, divide, hide, thin

__all__ = ["CESpending"]

PARTS = {"food": "FOODCQ", "housing": "EHOUSNGC", "health": "HEALTHCQ", "tobacco": "TOBACCCQ", "footwear": "FOOTWRCQ"}
TARGETS = dict.fromkeys((*PARTS, "other"), Kind.SEMICONTINUOUS)
PREDICTORS = {
    "AGE": Kind.CONTINUOUS,
    "FAM_SIZE": Kind.COUNT,
    "PERSLT18": Kind.COUNT,
    "PERSOT64": Kind.COUNT,
    "NO_EARNR": Kind.COUNT,
    "EDUCA": Kind.ORDINAL,
    "SEX": Kind.BINARY,
    "MARITAL": Kind.CATEGORICAL,
    "MEMBRACE": Kind.CATEGORICAL,
    "CUTENURE": Kind.CATEGORICAL,
    "REGION": Kind.CATEGORICAL,
    "VEHQ": Kind.COUNT,
    "FINCBTAX": Kind.SEMICONTINUOUS,
    "SOCRRX": Kind.SEMICONTINUOUS,
    "months": Kind.BINARY,
}
#: 60% of the median of yearly spending of all interviews that are used, 37,567 dollars (weighted).
LOW_SPENDING = 22_540.0
#: Largest SNAP benefit of one person in fiscal year 2015, 194 dollars a month, as a yearly amount.
SNAP_MAXIMUM = 194.0 * 12


class CESpending(Task):
    """Yearly spending by kind; consumer units are divided, all interviews of one stay together."""

    name: ClassVar[str] = "ce_spending"
    track: ClassVar[str] = "B"
    summary: ClassVar[str] = "Food, housing, health, tobacco, footwear and other spending of 5,000 interviews a side"
    source: ClassVar[str] = (
        "Consumer Expenditure Interview 2013Q3 to 2016Q1, family records, Bureau of Labor Statistics, as in the R "
        "package rpms; 60% of consumer units (fmli_2013q3_2016q1_subset.csv.gz)"
    )
    files: ClassVar[tuple[str, ...]] = ("fmli_2013q3_2016q1_subset.csv.gz",)
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide consumer units; in the arm ``"selected"`` those with more income receive."""
        own = [c for c in PREDICTORS if c != "months"]
        columns = ["NEWID", "QINTRVMO", "FINLWT21", "TOTEXPCQ", *PARTS.values(), *own]
        frame = read(self.files[0], data, self, columns)
        newid, month = (frame[c].to_numpy(np.int64) for c in ("NEWID", "QINTRVMO"))
        once = np.zeros(len(frame), bool)
        for begins, second, *_ in quarters_again(newid, month):
            once[begins:second] = True
        frame = frame.loc[once]
        place = frame["QINTRVMO"].to_numpy(np.int64) % 3  # 1: the current quarter has no month before the interview
        frame, place = frame.loc[place != 1].reset_index(drop=True), place[place != 1]
        frame["months"] = np.where(place == 2, 1, 2)
        yearly = 12 / frame["months"]
        for name, column in PARTS.items():
            frame[name] = frame[column] * yearly
        frame["other"] = (frame["TOTEXPCQ"] * yearly - frame[list(PARTS)].sum(axis=1)).round(2) + 0.0
        frame["REGION"] = frame["REGION"].fillna(0).astype(np.int64)  # 0: not told
        frame["unit"] = frame["NEWID"] // 10
        units = frame["unit"].to_numpy(np.int64)
        receives = divide(units, seed, arm, frame["FINCBTAX"].to_numpy(np.float64))
        keep = thin(units, receives, seed)
        frame, receives = frame.loc[keep].reset_index(drop=True), receives[keep]
        rules = [f"total = {' + '.join(TARGETS)}", *(f"{c} >= 0" for c in ("food", "tobacco", "footwear"))]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "NEWID", "unit", "FINLWT21", rules, self.source),
            groups={
                "age": np.digitize(frame["AGE"], [35, 65]),
                "owner": frame["CUTENURE"].isin([1, 2, 3]).to_numpy(),
            },
            figures=[
                Figure("low spending", "total", LOW_SPENDING),
                Figure("food below SNAP for one", "food", SNAP_MAXIMUM),
            ],
            notes=[
                "Current-quarter spending only; interviews of January, April, July and October are left out, because "
                "it is zero by construction there.",
                "One month (times 12) or two months (times 6) of spending; which of them is a predictor.",
                "The interviews of February and March 2015 come a second time with other weights, and 874 others among "
                "them: this second copy, 2,512 rows, is left out.",
                "At most 5,000 interviews on each side, consumer units chosen at random.",
                "Other is what total spending leaves; housing counts outlays, so it is negative in 2% of the rows.",
                "Groups of age are under 35, 35 to 64, 65 and over.",
            ],
        )
