"""Income, poverty ratio and tenure of persons: excerpts of the American Community Survey of two years."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.tasks.base import Problem, Task, read
from microimpute.tasks.masking import Design, hide, thin

__all__ = ["ACSIncome"]

YEARS = (2018, 2019)
TARGETS = {"PINCP": Kind.SEMICONTINUOUS, "POVPIP": Kind.SEMICONTINUOUS, "OWN_RENT": Kind.CATEGORICAL}
PREDICTORS = {
    "PUMA": Kind.CATEGORICAL,
    "DENSITY": Kind.CONTINUOUS,
    "AGEP": Kind.CONTINUOUS,
    "SEX": Kind.BINARY,
    "MSP": Kind.CATEGORICAL,
    "HISP": Kind.CATEGORICAL,
    "RAC1P": Kind.CATEGORICAL,
    "NOC": Kind.COUNT,
    "NPF": Kind.COUNT,
    "INDP_CAT": Kind.CATEGORICAL,
    "EDU": Kind.ORDINAL,
    "DREM": Kind.BINARY,
    "DPHY": Kind.BINARY,
}
#: Columns of text whose values are numbers once "not applicable" is gone.
NUMBERS = ("PINCP", "POVPIP", "NOC", "NPF", "EDU")
TENURE = {0: "group quarters", 1: "own", 2: "rent"}
#: Federal poverty guideline for one person, 2019, in dollars.
GUIDELINE = 12_490.0


class ACSIncome(Task):
    """Persons of 2018 give, persons of 2019 receive: the arm ``"split"`` is by year, not by a coin."""

    name: ClassVar[str] = "acs_income"
    track: ClassVar[str] = "B"
    summary: ClassVar[str] = "Personal income, poverty ratio and tenure, ACS 2018 to 2019, 5,000 persons a side"
    source: ClassVar[str] = (
        "American Community Survey 2018 and 2019, excerpts of 20 areas from NIST's Diverse Communities data "
        "(acs_national2018.csv, acs_national2019.csv)"
    )
    files: ClassVar[tuple[str, ...]] = tuple(f"acs_national{year}.csv" for year in YEARS)

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Choose 5,000 persons of each year."""
        columns = [*TARGETS, *PREDICTORS, "PWGTP"]
        frame = pd.concat([self._year(name, data, columns) for name in self.files], keys=YEARS, names=["year", "line"])
        frame = frame.reset_index()
        frame["row"] = frame["year"] * 100_000 + frame["line"]
        receives = (frame["year"] == YEARS[1]).to_numpy(np.bool_)
        keep = thin(frame["row"].to_numpy(np.int64), receives, seed)
        frame, receives = frame.loc[keep].reset_index(drop=True), receives[keep]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "row", weight="PWGTP", rules=["POVPIP >= 0"], source=self.source),
            groups={"age": np.digitize(frame["AGEP"], [35, 65]), "disabled": (frame["DPHY"] == "1").to_numpy()},
            figures=[Figure("poverty", "POVPIP", 100.0), Figure("income below the guideline", "PINCP", GUIDELINE)],
            notes=[
                "Persons aged 15 and over for whom a poverty ratio is defined; 5,000 of each year, chosen at random.",
                "The file has no household numbers: rows of one household can't be told, but years share none.",
                "Incomes are in dollars of their own year; prices rose by 1.8%.",
                "POVPIP is the ratio of family income to the poverty line in percent, 501 for more than 500.",
                "Groups of age are under 35, 35 to 64, 65 and over.",
            ],
        )

    def _year(self, name: str, data: Path | None, columns: list[str]) -> pd.DataFrame:
        frame = read(name, data, self, columns)
        frame = frame.loc[(frame["PINCP"] != "N") & (frame["POVPIP"] != "N")].copy()
        for column in NUMBERS:
            frame[column] = pd.to_numeric(frame[column].replace("N", "0"))
        frame["OWN_RENT"] = frame["OWN_RENT"].map(TENURE)
        return frame
