"""The Survey of Consumer Finances' side of concepts, from the summary extract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError
from microimpute.prices import price_factor
from microimpute.survey import Survey
from microimpute.surveys.scf import IDENTITIES, income_inflation

__all__ = ["FOOD", "RULES", "TARGETS", "income_factor", "incomes", "interest_floored", "race", "self_employed"]

FloatArray = npt.NDArray[np.float64]
Money = Callable[[Survey, int], FloatArray]

#: Yearly interest and dividends below this, in dollars of `FLOOR_YEAR`, count as none: half of CPS families report or
#: are assigned some, mostly a few dollars; one in five SCF families reports any.
INTEREST_FLOOR = 500.0
FLOOR_YEAR = 2019

#: Identities whose parts are targets; the finer ones (LIQ, BOND, …) have parts that are not.
_COARSE = ("FIN", "BUS", "NFIN", "ASSET", "MRTHEL", "HOMEEQ", "INSTALL", "DEBT", "NETWORTH")
TARGETS = (
    *("LIQ", "CDS", "NMMF", "STOCKS", "BOND", "RETQLIQ", "SAVBND", "CASHLI", "OTHMA", "OTHFIN"),
    *("VEHIC", "HOUSES", "ORESRE", "NNRESRE", "ACTBUS", "NONACTBUS", "OTHNFIN"),
    *("HELOC", "NH_MORT", "RESDBT", "OTHLOC", "CCBAL", "VEH_INST", "EDN_INST", "OTH_INST", "ODEBT"),
)
#: A year's spending on food, beside wealth: no default targets, but a bridge to the CE is made of them.
FOOD = ("FOODHOME", "FOODAWAY", "FOODDELV")
#: Negative in some rows of 2019: RETQLIQ in 10 (−1, rounding), NNRESRE in 9, ACTBUS in 10.
_MAY_BE_NEGATIVE = ("RETQLIQ", "NNRESRE", "ACTBUS")
#: Every one holds on all 28,885 rows of 2019.
RULES = (
    *(rule for rule in IDENTITIES if rule.split(" = ")[0] in _COARSE),
    "NH_MORT requires HOUSES",
    "HELOC requires HOUSES",
    "RESDBT requires ORESRE",
    "VEH_INST requires VEHIC",
    *(f"{column} >= 0" for column in TARGETS if column not in _MAY_BE_NEGATIVE),
)

RACES = {1: "White", 2: "Black", 3: "Hispanic"}


def income_factor(survey: Survey, dollars: int) -> float:
    """Return what brings incomes of the extract to prices of a year: first back to income-year dollars.

    Raises
    ------
    SurveyError
        If there are several survey years, or the dollar year is not known.
    """
    years = np.unique(survey.numbers("YEAR"))
    if len(years) != 1 or survey.dollars is None:
        raise SurveyError(
            f"incomes need one survey year and the dollar year, not {len(years)} and {survey.dollars}",
            "Read one wave at a time with the scf connector.",
        )
    year = int(years[0])
    return price_factor(survey.dollars, year) / income_inflation(year) * price_factor(year - 1, dollars)


def incomes(*columns: str) -> Callable[[Survey, int], FloatArray]:
    """Return a formula that adds up incomes in prices of a year."""

    def formula(survey: Survey, dollars: int) -> FloatArray:
        total = np.sum([survey.numbers(c) for c in columns], axis=0)
        return np.asarray(total * income_factor(survey, dollars), dtype=np.float64)

    return formula


def interest_floored(money: Money) -> Money:
    """Return the formula with what is below the floor as none."""

    def formula(survey: Survey, dollars: int) -> FloatArray:
        values = money(survey, dollars)
        return np.where(values < INTEREST_FLOOR * price_factor(FLOOR_YEAR, dollars), 0.0, values)

    return formula


def self_employed(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return whether the reference person is self-employed and there is business income."""
    return np.asarray((survey.numbers("OCCAT1") == 2) & (survey.numbers("BUSSEFARMINC") != 0))


def race(survey: Survey) -> npt.NDArray[np.object_]:
    """Return White, Black, Hispanic or other."""
    return np.array([RACES.get(int(c), "other") for c in survey.numbers("RACE")], dtype=object)
