"""Incomes of Austrian households: the synthetic EU-SILC of the R package laeken."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.tasks.base import Problem, Task, read
from microimpute.tasks.masking import Design, divide, hide, thin

__all__ = ["EUSILCIncomes"]

#: Target → columns of persons, summed over the household.
PERSONAL = {
    "wages": ("py010n",),
    "self_employment": ("py050n",),
    "unemployment": ("py090n",),
    "old_age": ("py100n",),
    "other_personal": ("py110n", "py120n", "py130n", "py140n"),
}
#: Target → column of the household.
COMMON = {
    "rent": "hy040n",
    "family": "hy050n",
    "housing": "hy070n",
    "transfers": "hy080n",
    "capital": "hy090n",
    "under_16": "hy110n",
    "paid_transfers": "hy130n",
    "tax_adjustment": "hy145n",
}
TARGETS = dict.fromkeys((*PERSONAL, *COMMON), Kind.SEMICONTINUOUS)
PAID = ("paid_transfers", "tax_adjustment")
RULES = (
    f"income = {' + '.join(t for t in TARGETS if t not in PAID)} - {' - '.join(PAID)}",
    *(f"{t} >= 0" for t in TARGETS if t not in ("self_employment", "tax_adjustment")),
)
PREDICTORS = {
    "hsize": Kind.COUNT,
    "eqSS": Kind.CONTINUOUS,
    "db040": Kind.CATEGORICAL,
    "age": Kind.CONTINUOUS,
    "rb090": Kind.BINARY,
    "pl030": Kind.CATEGORICAL,
    "pb220a": Kind.CATEGORICAL,
    "working": Kind.COUNT,
    "retired": Kind.COUNT,
    "unemployed": Kind.COUNT,
}
#: At-risk-of-poverty threshold of the file, 60% of the median of equivalised income over persons.
POVERTY = 10_859.24


class EUSILCIncomes(Task):
    """Thirteen incomes per equivalent adult, which add up to the income that poverty is measured by."""

    name: ClassVar[str] = "eusilc_incomes"
    track: ClassVar[str] = "B"
    summary: ClassVar[str] = "13 equivalised incomes of 6,000 households, synthetic EU-SILC Austria; half receive"
    source: ClassVar[str] = "Synthetic EU-SILC of Austria, R package laeken, Debian's r-cran-laeken (eusilc.csv.gz)"
    files: ClassVar[tuple[str, ...]] = ("eusilc.csv.gz",)
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide the households; in the arm ``"selected"`` those with older first persons receive."""
        frame = self._households(data)
        units = frame["db030"].to_numpy(np.int64)
        receives = divide(units, seed, arm, frame["age"].to_numpy(np.float64))
        keep = thin(units, receives, seed)
        frame, receives = frame.loc[keep].reset_index(drop=True), receives[keep]
        return hide(
            frame,
            receives,
            Design(TARGETS, PREDICTORS, "db030", weight="db090", rules=RULES, source=self.source),
            groups={"age": np.digitize(frame["age"], [35, 65]), "alone": (frame["hsize"] == 1).to_numpy()},
            figures=[Figure("at risk of poverty", "income", POVERTY)],
            notes=[
                "Rows are households; incomes of persons are summed; all are divided by the equivalised size, eqSS.",
                "Income, the sum, equals eqIncome of the file.",
                "The share at risk of poverty is of households, not of persons.",
                "Age, sex, activity and citizenship are the first person's; groups of age are under 35, 35 to 64, 65 "
                "and over.",
            ],
        )

    def _households(self, data: Path | None) -> pd.DataFrame:
        personal = [c for columns in PERSONAL.values() for c in columns]
        first = ["db090", "hsize", "eqSS", "db040", "age", "rb090", "pl030", "pb220a", *COMMON.values()]
        persons = read(self.files[0], data, self, ["db030", "rb030", *first, *personal]).sort_values("rb030")
        for name, codes in (("working", (1, 2)), ("retired", (5,)), ("unemployed", (3,))):
            persons[name] = persons["pl030"].isin(codes).astype(np.int64)
        groups = persons.groupby("db030")
        frame = groups[first].first()
        sums = groups[[*personal, "working", "retired", "unemployed"]].sum()
        for name, columns in PERSONAL.items():
            frame[name] = sums[list(columns)].sum(axis=1) / frame["eqSS"]
        for name, column in COMMON.items():
            frame[name] = frame[column] / frame["eqSS"] + 0.0  # the file has zeros with a minus
        return frame.join(sums[["working", "retired", "unemployed"]]).reset_index()
