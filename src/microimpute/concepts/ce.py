"""The Consumer Expenditure Interview's side of concepts, its default targets, and its bridges to the SCF.

Every formula takes both kinds of file: a release (AGE_REF, FINCBTXM) and the records of rpms (AGE, FINCBTAX).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.concepts.bridge import DeclaredBridge, weighted_rank
from microimpute.concepts.geography import region_names
from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.readers.ucc import CATEGORIES
from microimpute.survey import Survey

__all__ = [
    "BRIDGES",
    "RECORDS_RULES",
    "RECORDS_TARGETS",
    "RELEASE_RULES",
    "RELEASE_TARGETS",
    "age",
    "any_earner",
    "education",
    "female",
    "income",
    "income_rank",
    "race",
    "region",
]

FloatArray = npt.NDArray[np.float64]

#: Oldest age that every file tells apart: the CPS has 80 for 80 to 84, the CE 82 and above as one.
TOP_AGE = 80
#: Where the best-paid member works and the wage is not known, income below this (dollars of 2014) is taken for
#: an answer that was refused: such units spend 46,000 a year on average, those of that income whose wage is known 25,000.
UNANSWERED_BELOW = 10_000.0

#: Parts of spending in the records of rpms, and in releases.
RECORDS_TARGETS = ("food", "housing_outlays", "health", "tobacco", "footwear", "other")
RELEASE_TARGETS = tuple(CATEGORIES)
#: Health care (reimbursements), housing and `other` (trade-ins; see `docs/surveys-ce.md`) can be negative.
RECORDS_RULES = (
    "total = " + " + ".join(RECORDS_TARGETS),
    *(f"{column} >= 0" for column in ("food", "tobacco", "footwear")),
)
RELEASE_RULES = (
    "total = " + " + ".join(RELEASE_TARGETS),
    *(f"{column} >= 0" for column in ("food_home", "food_away", "alcohol", "tobacco", "gasoline")),
)


def either(survey: Survey, *names: str) -> FloatArray:
    """Return the first of these columns that is there."""
    return survey.numbers(next((n for n in names if n in survey.columns), names[0]))


def age(survey: Survey) -> FloatArray:
    """Return age, 80 for 80 and over."""
    return np.minimum(either(survey, "AGE_REF", "AGE"), TOP_AGE)


def any_earner(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return whether anyone earned."""
    return np.asarray(survey.numbers("NO_EARNR") > 0)


def region(survey: Survey) -> npt.NDArray[np.object_]:
    """Return the Census region by name; None where it is suppressed."""
    return region_names(survey.numbers("REGION"))


def income(survey: Survey) -> FloatArray:
    """Return income before taxes: imputed in releases; in the records of rpms NaN where it was not answered.

    Raises
    ------
    SurveyError
        If money is not in one year's dollars, so that incomes can't be ordered.
    """
    if survey.dollars is None:
        raise SurveyError("money is in dollars of several years", "Read it with dollars=, for example dollars=2014")
    if "FINCBTX" in survey.columns or "FINCBTXM" in survey.columns:
        return either(survey, "FINCBTX", "FINCBTXM")
    values = survey.numbers("FINCBTAX")
    earners = survey.numbers("NO_EARNR") > 0
    unanswered = earners & (values <= 0)
    if "EARNER" in survey.columns and "SALARYX" in survey.columns:
        works = np.array([v == "Y" for v in survey.frame["EARNER"].to_list()])
        low = values < UNANSWERED_BELOW * price_factor(2014, survey.dollars)
        unanswered |= works & np.isnan(survey.numbers("SALARYX")) & low
    return np.where(unanswered, np.nan, values)


def income_rank(survey: Survey) -> FloatArray:
    """Return the weighted rank of income, 0 to 1, among those whose income is known."""
    return weighted_rank(income(survey), survey.weights())


def education(survey: Survey) -> FloatArray:
    """Return 1 no high school diploma, 2 high school, 3 some college or associate's, 4 bachelor's and above."""
    if "EDUC_REF" in survey.columns:
        code = survey.numbers("EDUC_REF")
        return np.select([np.isnan(code), code <= 11, code == 12, code <= 14], [np.nan, 1.0, 2.0, 3.0], 4.0)
    code = survey.numbers("EDUCA")
    return np.select([np.isnan(code), code <= 3, code == 4, code <= 6], [np.nan, 1.0, 2.0, 3.0], 4.0)


def _says(survey: Survey, release: str, yes: int, records: str, letter: str) -> npt.NDArray[np.bool_]:
    """Say where a release's code, or the letter of the records of rpms, stands."""
    if release in survey.columns:
        return np.asarray(survey.numbers(release) == yes)
    survey.require(records, "predictor")
    return np.array([v == letter for v in survey.frame[records].to_list()])


def female(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return whether that member is a woman."""
    return _says(survey, "SEX_REF", 2, "SEX", "F")


def race(survey: Survey) -> npt.NDArray[np.object_]:
    """Return Hispanic whatever the race, else White, Black or other."""
    code = either(survey, "REF_RACE", "MEMBRACE")
    hispanic = _says(survey, "HISP_REF", 1, "HORIGIN", "Y")
    return np.select([hispanic, code == 1, code == 2], ["Hispanic", "White", "Black"], "other").astype(object)


def _asked_last(column: str) -> Any:
    """Return what was asked in the last interview, of all."""
    return lambda survey: survey.numbers(column)


def _owners_alone(column: str) -> Any:
    """Return an amount that only those have who own or owe: none, where the other questions were answered."""

    def formula(survey: Survey) -> FloatArray:
        values = survey.numbers(column)
        asked = ~np.isnan(survey.numbers("LIQUIDX")) | ~np.isnan(survey.numbers("IRAX"))
        return np.where(np.isnan(values) & asked, 0.0, values)

    return formula


def _sum(*columns: str) -> Any:
    def formula(given: Mapping[str, FloatArray]) -> FloatArray:
        return np.asarray(np.sum([given[c] for c in columns], axis=0))

    return formula


def _flag(test: Any) -> Any:
    return lambda given: np.asarray(test(given)).astype(np.int64)


_RANK = "by weighted rank within the survey: "
BRIDGES = (
    DeclaredBridge(
        "owner",
        "scf",
        ("HOUSES",),
        Kind.BINARY,
        "1 if the home is owned (CUTENURE 1 to 3)",
        "1 if HOUSES, the primary residence, is above 0",
        "63.3% own in the CE records of 2013 to 2016, 64.9% in the SCF of 2019.",
        _flag(lambda s: s.numbers("CUTENURE") <= 3),
        _flag(lambda g: g["HOUSES"] > 0),
    ),
    DeclaredBridge(
        "mortgage",
        "scf",
        ("NH_MORT",),
        Kind.BINARY,
        "1 if the home is owned with a mortgage (CUTENURE 1)",
        "1 if NH_MORT, mortgages of the primary residence, is above 0",
        "36.7% in the CE, 40.0% in the SCF; an owner whose mortgage was not reported (CUTENURE 3) counts as none.",
        _flag(lambda s: s.numbers("CUTENURE") == 1),
        _flag(lambda g: g["NH_MORT"] > 0),
    ),
    DeclaredBridge(
        "vehicle",
        "scf",
        ("VEHIC",),
        Kind.BINARY,
        "1 if a vehicle is owned (VEHQ above 0)",
        "1 if VEHIC is above 0",
        "85.8% in the CE, 85.4% in the SCF.",
        _flag(lambda s: s.numbers("VEHQ") > 0),
        _flag(lambda g: g["VEHIC"] > 0),
    ),
    DeclaredBridge(
        "liquid_assets",
        "scf",
        ("LIQ", "CDS"),
        Kind.CONTINUOUS,
        _RANK + "LIQUIDX, checking, savings, money market accounts and certificates of deposit",
        _RANK + "LIQ + CDS",
        "Known in the last interview alone, for 36% of the records. 72% have any in the CE, 98% in the SCF, the mean is "
        "18,500 against 48,700: the order is comparable, the level is not.",
        _asked_last("LIQUIDX"),
        _sum("LIQ", "CDS"),
        ranked=True,
    ),
    DeclaredBridge(
        "retirement_accounts",
        "scf",
        ("RETQLIQ",),
        Kind.CONTINUOUS,
        _RANK + "IRAX, 401(k), IRA and other retirement accounts",
        _RANK + "RETQLIQ",
        "Known in the last interview alone. 41% have any in the CE, 50% in the SCF; the SCF counts account-type "
        "pensions of present and former jobs that CE respondents may leave out.",
        _asked_last("IRAX"),
        _sum("RETQLIQ"),
        ranked=True,
    ),
    DeclaredBridge(
        "stocks_funds_bonds",
        "scf",
        ("STOCKS", "NMMF", "BOND"),
        Kind.CONTINUOUS,
        _RANK + "STOCKX, stocks, bonds and mutual funds held directly",
        _RANK + "STOCKS + NMMF + BOND",
        "STOCKX is of owners alone: none is taken where other assets were answered, so a refusal counts as none. 9% "
        "have any in the CE, 21% in the SCF.",
        _owners_alone("STOCKX"),
        _sum("STOCKS", "NMMF", "BOND"),
        ranked=True,
    ),
    DeclaredBridge(
        "student_loans",
        "scf",
        ("EDN_INST",),
        Kind.CONTINUOUS,
        _RANK + "STUDNTX, owed on student loans",
        _RANK + "EDN_INST",
        "STUDNTX is of debtors alone: none is taken where assets were answered. 14% owe in the CE, 21% in the SCF.",
        _owners_alone("STUDNTX"),
        _sum("EDN_INST"),
        ranked=True,
    ),
)
