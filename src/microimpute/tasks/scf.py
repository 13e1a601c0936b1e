"""Wealth of the Survey of Consumer Finances: half of the households give, the other half receive."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.rules import derivation_order, parse_all
from microimpute.surveys.base import connector
from microimpute.tasks.base import Problem, Task, locate
from microimpute.tasks.masking import Design, divide, hide

__all__ = ["SCFHalves", "SCFSample"]

#: Year whose prices incomes are brought to.
DOLLARS = 2019
#: Countable resources at which an individual loses Supplemental Security Income, unchanged since 1989.
ASSET_LIMIT = 2_000.0


class _SCF(Task):
    """Implicate 1, the crosswalk's predictors, targets and rules."""

    track: ClassVar[str] = "B"
    source: ClassVar[str] = "Survey of Consumer Finances 2019, summary extract (SCFP2019.zip), Federal Reserve Board"
    arms: ClassVar[tuple[str, ...]] = ("split", "selected")

    @abstractmethod
    def path(self, data: Path | None) -> Path:
        """Return the file to read."""

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Divide the households; in the arm ``"selected"`` those with more income receive."""
        walk = crosswalk("scf_to_cps_tax_units")
        survey = connector("scf").read(self.path(data))
        made = {c.name: c.from_donor(survey, DOLLARS) for c in walk.concepts}
        table = survey.with_columns(made).frame
        frame = table.filter(table["IMPLICATE"] == 1).to_pandas()
        age = frame["age"].to_numpy(np.float64)
        income = frame["total_income"].to_numpy(np.float64)
        receives = divide(frame["YY1"].to_numpy(np.int64), seed, arm, income)
        totals = {i.total for i in derivation_order(parse_all(walk.rules))}
        design = Design(
            targets={t: Kind(survey.kinds.get(t, Kind.SEMICONTINUOUS)) for t in walk.targets if t not in totals},
            predictors={c.name: c.kind for c in walk.concepts},
            key="YY1",
            weight="WGT",
            rules=walk.rules,
            source=self.source,
        )
        return hide(
            frame,
            receives,
            design,
            groups={"age": np.digitize(age, [35, 65]), "couple": frame["couple"].to_numpy()},
            figures=[
                Figure("asset test", "LIQ", ASSET_LIMIT),
                Figure("net worth below zero", "NETWORTH", 0.0),
            ],
            notes=[
                "Implicate 1 of 5 only: the truth of imputed answers is one imputation of theirs.",
                "The asset test counts transaction accounts (LIQ) of the household, not an individual's resources.",
                "Groups of age are under 35, 35 to 64, 65 and over.",
                *survey.notes,
            ],
        )


class SCFHalves(_SCF):
    """All households of 2019."""

    name: ClassVar[str] = "scf_halves"
    summary: ClassVar[str] = "26 parts of the balance sheet of 5,777 households, SCF 2019; half of them receive"
    files: ClassVar[tuple[str, ...]] = ("SCFP2019.zip",)

    def path(self, data: Path | None) -> Path:
        """Return the published file."""
        return locate(self.files[0], data, self)


class SCFSample(_SCF):
    """The sample that comes with the package."""

    name: ClassVar[str] = "scf_sample"
    summary: ClassVar[str] = "The same on the bundled sample of 1,200 households; half of them receive"

    def path(self, data: Path | None) -> Path:
        """Return the bundled file."""
        return bundled("scf_2019_sample.parquet")
