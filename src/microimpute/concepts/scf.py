"""The Survey of Consumer Finances' side of concepts, from the summary extract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError
from microimpute.prices import price_factor
from microimpute.survey import Survey
from microimpute.surveys.scf import income_inflation

__all__ = ["income_factor", "incomes", "race", "self_employed"]

FloatArray = npt.NDArray[np.float64]

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


def self_employed(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return whether the reference person is self-employed and there is business income."""
    return np.asarray((survey.numbers("OCCAT1") == 2) & (survey.numbers("BUSSEFARMINC") != 0))


def race(survey: Survey) -> npt.NDArray[np.object_]:
    """Return White, Black, Hispanic or other."""
    return np.array([RACES.get(int(c), "other") for c in survey.numbers("RACE")], dtype=object)
