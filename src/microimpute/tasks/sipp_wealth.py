"""Wealth of working-age households: the Survey of Income and Program Participation of 1991."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.tasks.base import Problem, Task, read
from microimpute.tasks.masking import Design, divide, hide, thin

__all__ = ["SIPPWealth"]

READ = ("ira", "a401", "hval", "hmort", "nifa", "debt", "rest")
TARGETS = {**dict.fromkeys(READ, Kind.SEMICONTINUOUS), "db": Kind.BINARY}
PREDICTORS = {
    "age": Kind.CONTINUOUS,
    "inc": Kind.CONTINUOUS,
    "fsize": Kind.COUNT,
    "educ": Kind.COUNT,
    "marr": Kind.BINARY,
    "male": Kind.BINARY,
    "twoearn": Kind.BINARY,
}
RULES = (
    "tw = nifa + ira + a401 + hval - hmort - debt + rest",
    "hmort requires hval",
    *(f"{c} >= 0" for c in ("ira", "a401", "hval", "hmort", "nifa", "debt")),
)


class SIPPWealth(Task):
    """Pension accounts, home, other financial assets and debts, and whether there is a defined-benefit plan."""

    name: ClassVar[str] = "sipp_wealth"
    track: ClassVar[str] = "B"
    summary: ClassVar[str] = "Pension accounts, home, financial assets and debts of 9,915 households, 1991"
    source: ClassVar[str] = "Survey of Income and Program Participation 1991, as in the R package hdm (pension.csv.gz)"
    files: ClassVar[tuple[str, ...]] = ("pension.csv.gz",)
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide the households; in the arm ``"selected"`` those with more income receive."""
        made = ("debt", "rest")
        columns = [c for c in (*TARGETS, *PREDICTORS) if c not in made]
        frame = read(self.files[0], data, self, [*columns, "net_nifa", "tw"])
        frame["debt"] = frame["nifa"] - frame["net_nifa"]
        known = frame["net_nifa"] + frame["ira"] + frame["a401"] + frame["hval"] - frame["hmort"]
        frame["rest"] = frame["tw"] - known
        frame["row"] = np.arange(len(frame))
        units = frame["row"].to_numpy(np.int64)
        receives = divide(units, seed, arm, frame["inc"].to_numpy(np.float64))
        keep = thin(units, receives, seed)
        frame, receives = frame.loc[keep].reset_index(drop=True), receives[keep]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "row", rules=RULES, source=self.source),
            groups={"age": np.digitize(frame["age"], [35, 50]), "married": frame["marr"].to_numpy()},
            figures=[Figure("asset test", "nifa", 2_000.0), Figure("wealth below zero", "tw", 0.0)],
            notes=[
                "The file has no weights; reference persons are 25 to 64 years old.",
                "Rest is what total wealth leaves: vehicles, business, other property.",
                "The asset test counts financial assets outside pension accounts (nifa).",
                "At most 5,000 households on each side.",
                "Groups of age are under 35, 35 to 49, 50 and over.",
            ],
        )
