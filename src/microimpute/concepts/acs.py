"""The American Community Survey's side of concepts, from the excerpts of NIST."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError
from microimpute.prices import price_factor
from microimpute.survey import Survey

__all__ = ["age", "count", "income", "marital", "race", "schooling"]

FloatArray = npt.NDArray[np.float64]

_ADULT = 15
_MARITAL = {
    1: "married, spouse present",
    2: "married, spouse absent",
    3: "widowed",
    4: "divorced",
    5: "separated",
    6: "never married",
}


def age(survey: Survey) -> FloatArray:
    """Return age as the CPS tells it: 80 for 80 to 84, 85 for 85 and over."""
    years = survey.numbers("AGEP")
    return np.select([years >= 85, years >= 80], [85.0, 80.0], years)


def marital(survey: Survey) -> npt.NDArray[np.object_]:
    """Return marital status in words; children under 15 are not asked, and never married."""
    code, years = survey.numbers("MSP"), survey.numbers("AGEP")
    words = np.array([_MARITAL.get(int(c)) if c == c else None for c in code], dtype=object)
    words[np.isnan(code) & (years < _ADULT)] = "never married"
    return words


def race(survey: Survey) -> npt.NDArray[np.object_]:
    """Return Hispanic whatever the race, else White, Black or other."""
    code = survey.numbers("RAC1P")
    names = np.select([survey.numbers("HISP") > 0, code == 1, code == 2], ["Hispanic", "White", "Black"], "other")
    return names.astype(object)


def schooling(survey: Survey) -> FloatArray:
    """Return 0 under 15, 1 no diploma, 2 high school, 3 some college or associate's, 4 bachelor's and above."""
    code, years = survey.numbers("EDU"), survey.numbers("AGEP")
    return np.select(
        [years < _ADULT, np.isnan(code), code <= 4, code <= 6, code <= 8], [0.0, np.nan, 1.0, 2.0, 3.0], 4.0
    )


def count(survey: Survey, column: str) -> FloatArray:
    """Return a count of the household, 0 where none is told (no family, group quarters)."""
    return np.nan_to_num(survey.numbers(column))


def income(survey: Survey, dollars: int) -> FloatArray:
    """Return total income in prices of a year; persons under 15 are not asked, and have none.

    Raises
    ------
    SurveyError
        If the dollar year is not known, or somebody of 15 or more has no income, not even 0.
    """
    if survey.dollars is None:
        raise SurveyError("the dollar year is not known", "Read it with the acs connector.")
    values, years = survey.numbers("PINCP"), survey.numbers("AGEP")
    if lost := int((np.isnan(values) & (years >= _ADULT)).sum()):
        raise SurveyError(f"PINCP holds {lost:,} gaps of persons of 15 or more", "Get the file again.")
    return np.asarray(np.nan_to_num(values) * price_factor(survey.dollars, dollars))
