"""The Consumer Expenditure Interview's side of concepts, and its default targets.

Every formula takes both kinds of file: a release (AGE_REF, FINCBTXM) and the records of rpms (AGE, FINCBTAX).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.concepts.bridge import weighted_rank
from microimpute.concepts.geography import region_names
from microimpute.concepts.values import flag
from microimpute.errors import SurveyError
from microimpute.prices import price_factor
from microimpute.readers.ucc import CATEGORIES, DIARY_ONLY
from microimpute.survey import Survey

__all__ = [
    "RECORDS_RULES",
    "RECORDS_TARGETS",
    "RELEASE_RULES",
    "RELEASE_TARGETS",
    "age",
    "any_earner",
    "defaults",
    "education",
    "female",
    "homeowner",
    "income",
    "income_rank",
    "married_couple",
    "race",
    "region",
]

FloatArray = npt.NDArray[np.float64]

#: Oldest age that every file tells apart: the CPS has 80 for 80 to 84, the CE 82 and above as one.
TOP_AGE = 80
#: Where the best-paid member works and the wage is not known, income below this (dollars of 2014) is taken for
#: an answer that was refused: such units spend 46,000 a year on average, those whose wage is known 25,000.
UNANSWERED_BELOW = 10_000.0

#: Parts of spending in the records of rpms, and in releases.
RECORDS_TARGETS = ("food", "housing_outlays", "health", "tobacco", "footwear", "other")
RELEASE_TARGETS = tuple(c for c in CATEGORIES if c not in DIARY_ONLY)
#: Never negative in the records of rpms; health care (reimbursements), housing and `other` (trade-ins) are. Nothing is
#: claimed of releases, since none was at hand.
_NEVER_NEGATIVE = ("food", "tobacco", "footwear")


def _rules(parts: tuple[str, ...], never_negative: tuple[str, ...] = ()) -> tuple[str, ...]:
    return ("total = " + " + ".join(parts), *(f"{column} >= 0" for column in parts if column in never_negative))


RECORDS_RULES = _rules(RECORDS_TARGETS, _NEVER_NEGATIVE)
RELEASE_RULES = _rules(RELEASE_TARGETS)


def defaults(donor: Survey) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parts of spending that a file has, and their rules.

    Parameters
    ----------
    donor
        A release (31 categories, and `unallocated` where it was read from summary variables), or records of rpms.

    Returns
    -------
    targets, rules : tuple of str
        Of a file without a total, the rules are without one.
    """
    release = all(c in donor.columns for c in RELEASE_TARGETS)
    parts = (*RELEASE_TARGETS, "unallocated") if release else (*RECORDS_TARGETS, "food_home", "food_away", "alcohol")
    parts = tuple(c for c in parts if c in donor.columns)
    rules = _rules(parts, () if release else _NEVER_NEGATIVE)
    return parts, rules if "total" in donor.columns else rules[1:]


def either(survey: Survey, *names: str) -> FloatArray:
    """Return the first of these columns that is there."""
    return survey.numbers(next((n for n in names if n in survey.columns), names[0]))


def age(survey: Survey) -> FloatArray:
    """Return age, 80 for 80 and over."""
    return np.minimum(either(survey, "AGE_REF", "AGE"), TOP_AGE)


def any_earner(survey: Survey) -> npt.NDArray[Any]:
    """Return 1 if anyone earned, else 0."""
    count = survey.numbers("NO_EARNR")
    return flag(count > 0, count)


def married_couple(survey: Survey) -> npt.NDArray[Any]:
    """Return 1 for a married couple, else 0."""
    kind = survey.numbers("FAM_TYPE")
    return flag(kind <= 5, kind)


def homeowner(survey: Survey) -> npt.NDArray[Any]:
    """Return 1 if the home is owned, else 0."""
    tenure = survey.numbers("CUTENURE")
    return flag(tenure <= 3, tenure)


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


def _says(survey: Survey, release: str, yes: int, records: str, letter: str) -> npt.NDArray[Any]:
    """Return 1 where a release's code, or the letter of the records of rpms, stands; NaN where nothing does."""
    if release in survey.columns:
        code = survey.numbers(release)
        return flag(code == yes, code)
    survey.require(records, "predictor")
    letters = survey.frame[records]
    gaps = np.where(letters.is_null().to_numpy(), np.nan, 0.0)
    return flag(np.array([v == letter for v in letters.to_list()]), gaps)


def female(survey: Survey) -> npt.NDArray[Any]:
    """Return 1 if that member is a woman, else 0."""
    return _says(survey, "SEX_REF", 2, "SEX", "F")


def race(survey: Survey) -> npt.NDArray[np.object_]:
    """Return Hispanic whatever the race, else White, Black or other; None where race or origin is missing."""
    code = either(survey, "REF_RACE", "MEMBRACE")
    hispanic = _says(survey, "HISP_REF", 1, "HORIGIN", "Y")
    names: npt.NDArray[np.object_]
    names = np.select([hispanic == 1, code == 1, code == 2], ["Hispanic", "White", "Black"], "other").astype(object)
    names[np.isnan(hispanic) | (np.isnan(code) & (hispanic != 1))] = None
    return names
