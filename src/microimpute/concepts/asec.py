"""The native CPS ASEC's side of concepts, from household rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from microimpute.concepts.bridge import weighted_rank
from microimpute.errors import SurveyError
from microimpute.prices import price_factor
from microimpute.survey import Survey

__all__ = [
    "RETIREMENT",
    "TRANSFERS",
    "age_of_scf_reference",
    "education",
    "education_of_scf_reference",
    "family",
    "female_scf_reference",
    "income_rank",
    "race",
    "transfers",
]

FloatArray = npt.NDArray[np.float64]
Money = Callable[[Survey, int], FloatArray]

#: Amounts that not every year has are left out where they are not there.
RETIREMENT = ("SS_VAL", "retirement", "DSAB_VAL", "SRVS_VAL")
TRANSFERS = ("UC_VAL", "WC_VAL", "CSP_VAL", "ALM_VAL", "PAW_VAL", "SSI_VAL", "FIN_VAL", "OI_VAL")
_REQUIRED = ("WSAL_VAL", "SEMP_VAL", "FRSE_VAL", "INT_VAL", "DIV_VAL", "SS_VAL", "UC_VAL", "PAW_VAL", "SSI_VAL")


def _factor(survey: Survey, dollars: int) -> float:
    if survey.dollars is None:
        raise SurveyError("the income year is not known", "Read it with the cps_asec connector.")
    return price_factor(survey.dollars, dollars)


def family(*columns: str) -> Money:
    """Return a formula: income of the householder's family and partner, in prices of a year."""

    def formula(survey: Survey, dollars: int) -> FloatArray:
        names = [f"family_{c}" for c in columns if c in _REQUIRED or f"family_{c}" in survey.columns]
        total = np.sum([survey.numbers(c) for c in names], axis=0)
        return np.asarray(total * _factor(survey, dollars))

    return formula


def transfers(survey: Survey, dollars: int) -> FloatArray:
    """Return the family's transfers and the household's food stamps where they are in the file."""
    stamps = survey.numbers("HFDVAL") * _factor(survey, dollars) if "HFDVAL" in survey.columns else 0.0
    return np.asarray(family(*TRANSFERS)(survey, dollars) + stamps)


def _spouse_is_reference(survey: Survey) -> npt.NDArray[np.bool_]:
    """Say whose spouse or partner the SCF would take: the man of a mixed couple, the elder of two of one sex."""
    couple = survey.numbers("couple") == 1
    own, other = survey.numbers("A_SEX"), survey.numbers("spouse_sex")
    elder = survey.numbers("spouse_age") > survey.numbers("A_AGE")
    return np.asarray(couple & np.where(own == other, elder, other == 1))


def age_of_scf_reference(survey: Survey) -> FloatArray:
    """Return the age of whom the SCF takes for the reference person; 80 for 80 to 84, 85 for 85 and over."""
    return np.where(_spouse_is_reference(survey), survey.numbers("spouse_age"), survey.numbers("A_AGE"))


def female_scf_reference(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return whether that person is a woman."""
    sex = np.where(_spouse_is_reference(survey), survey.numbers("spouse_sex"), survey.numbers("A_SEX"))
    return np.asarray(sex == 2)


def _classes(grade: FloatArray) -> FloatArray:
    """Turn A_HGA into 1 no diploma, 2 high school, 3 some college or associate's, 4 bachelor's and above."""
    return np.select([grade <= 38, grade == 39, grade <= 42], [1.0, 2.0, 3.0], 4.0)


def education_of_scf_reference(survey: Survey) -> FloatArray:
    """Return that person's education in four classes."""
    grade = np.where(_spouse_is_reference(survey), survey.numbers("spouse_education"), survey.numbers("A_HGA"))
    return _classes(grade)


def education(survey: Survey) -> FloatArray:
    """Return the householder's education in four classes."""
    return _classes(survey.numbers("A_HGA"))


def race(survey: Survey) -> npt.NDArray[np.object_]:
    """Return the householder's: Hispanic whatever the race, else White, Black or other."""
    code = survey.numbers("PRDTRACE")
    names = np.select([survey.numbers("PEHSPNON") == 1, code == 1, code == 2], ["Hispanic", "White", "Black"], "other")
    return names.astype(object)


def income_rank(survey: Survey) -> FloatArray:
    """Return the weighted rank, 0 to 1, of the household's income before tax and food stamps."""
    stamps = survey.numbers("HFDVAL") if "HFDVAL" in survey.columns else 0.0
    return weighted_rank(survey.numbers("HTOTVAL") + stamps, survey.weights())
