"""The Survey of Income and Program Participation of 1991, as an extract on pensions and wealth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from microimpute.kinds import Kind
from microimpute.readers.shipped import read_described
from microimpute.survey import Check, Survey, replace_survey
from microimpute.surveys.base import Connector

__all__ = ["SIPP"]

YEAR = 1991
HOUSEHOLDS = 9_915
_NEEDED = ("tw", "nifa", "net_nifa", "ira", "a401", "hval", "hmort", "db", "inc", "age", "fsize", "educ", "marr")
_TOO = ("twoearn", "hown", "male", "pira", "e401", "p401")
#: Columns in dollars, where they are in the file.
_MONEY = (
    *("tw", "nifa", "net_nifa", "tfa", "net_tfa", "tfa_he", "net_n401", "ira", "a401", "hval", "hmort", "hequity"),
    *("inc", "debt", "other_wealth"),
)
_HDM = "documentation of `pension` in the R package hdm"
_MADE = {
    "household": "number of the household, in the order of the file",
    "debt": "debts not secured by the home, dollars: nifa − net_nifa",
    "other_wealth": "what total wealth holds beyond the columns here (vehicles, business, other property), dollars",
}


class SIPP(Connector):
    """Reads ``pension.csv`` of the R package hdm: 9,915 households of 1991, without weights.

    Households with a reference person of 25 to 64 in which somebody is employed and nobody is self-employed. The
    public-use files of the Census Bureau's panels are not read; `table` with a description of one's own does that.
    """

    name: ClassVar[str] = "sipp"
    title: ClassVar[str] = "Survey of Income and Program Participation 1991, extract on pensions (R package hdm)"
    publisher: ClassVar[str] = "https://cran.r-project.org/package=hdm"
    variables: ClassVar[Mapping[str, str]] = {
        **{
            "tw": "total wealth",
            "nifa": "financial assets other than retirement accounts",
            "net_nifa": "nifa less debts",
        },
        **{"ira": "individual retirement accounts", "a401": "401(k) balance", "hval": "value of the home"},
        **{"hmort": "mortgage", "inc": "income", "db": "has a defined-benefit pension", "age": "age"},
        **{"fsize": "family size", "educ": "years of school", "marr": "married", "twoearn": "two earners"},
        **{"hown": "owns the home", **_MADE},
    }
    options: ClassVar[Mapping[str, str]] = {
        "dollars": "year whose prices the money is in; the file does not say; default 1991, the survey's"
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {"dollars": (int, np.integer)}

    def read(self, path: Path, **options: Any) -> Survey:
        """Read the extract.

        Parameters
        ----------
        path
            ``pension.csv``, also gzipped.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page, or another table.
        """
        self.check(options)
        path = Path(path)
        survey = read_described(path, "sipp_1991", (*_NEEDED, *_TOO), "the SIPP extract of the R package hdm")
        numbers = {c: survey.numbers(c) for c in ("tw", "nifa", "net_nifa", "ira", "a401", "hval", "hmort")}
        known = numbers["net_nifa"] + numbers["ira"] + numbers["a401"] + numbers["hval"] - numbers["hmort"]
        made = {
            "household": np.arange(1, len(survey) + 1),
            "debt": numbers["nifa"] - numbers["net_nifa"],
            "other_wealth": numbers["tw"] - known,
        }
        survey = survey.with_columns(made)
        notes = [
            "no weights: every household counts alike, and the extract is no sample of the nation",
            "households with a reference person of 25 to 64, somebody employed and nobody self-employed",
            f"the file does not say of which year its dollars are; taken for {YEAR}, the survey's"
            if options.get("dollars") is None
            else f"dollars of {options['dollars']}, as was said",
        ]
        if len(survey) != HOUSEHOLDS:
            notes.append(f"{len(survey):,} of the extract's {HOUSEHOLDS:,} households")
        full = Check("households in the extract", HOUSEHOLDS, len(survey), 0.0, _HDM)
        return replace_survey(
            survey,
            keys=("household",),
            household=("household",),
            dollars=int(options.get("dollars") or YEAR),
            source=f"{self.title} ({path.name})",
            kinds={
                **survey.kinds,
                **{c: Kind.SEMICONTINUOUS for c in _MONEY if c in survey.columns},
                "hown": Kind.BINARY,
            },
            labels={**survey.labels, **_MADE},
            checks=(full,) if len(survey) == HOUSEHOLDS else (),
            notes=(*survey.notes, *notes),
        )
