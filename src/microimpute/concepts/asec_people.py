"""The native CPS ASEC's side of concepts of persons, from person rows; a household's rows must all be there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.concepts.asec import race
from microimpute.errors import SurveyError
from microimpute.prices import price_factor
from microimpute.survey import Survey

__all__ = ["MARITAL", "family_size", "income", "marital", "own_children", "race", "refuse_other_rows", "schooling"]

FloatArray = npt.NDArray[np.float64]

#: A_MARITL → marital status.
MARITAL = {
    **dict.fromkeys((1, 2), "married, spouse present"),
    **{3: "married, spouse absent", 4: "widowed", 5: "divorced", 6: "separated", 7: "never married"},
}
_OWN_CHILD = 5
_NEVER_MARRIED = 7
_ADULT = 15


def refuse_other_rows(survey: Survey) -> None:
    """Raise unless rows are persons: rows of households have columns of the same names.

    Raises
    ------
    SurveyError
        Says how to read the file.
    """
    if "householder" not in survey.columns or "A_LINENO" not in survey.columns:
        raise SurveyError(
            f"the receiver's rows are of unit {survey.unit!r}, and this crosswalk is of persons",
            "Read it with the connector 'cps_asec' and unit='person' (--receiver-option unit=person).",
        )


def marital(survey: Survey) -> npt.NDArray[np.object_]:
    """Return marital status in words; children under 15 are never married."""
    return np.array([MARITAL.get(int(c)) for c in survey.numbers("A_MARITL")], dtype=object)


def schooling(survey: Survey) -> FloatArray:
    """Return 0 under 15, 1 no diploma, 2 high school, 3 some college or associate's, 4 bachelor's and above."""
    grade, age = survey.numbers("A_HGA"), survey.numbers("A_AGE")
    return np.select([age < _ADULT, grade <= 38, grade == 39, grade <= 42], [0.0, 1.0, 2.0, 3.0], 4.0)


def income(survey: Survey, dollars: int) -> FloatArray:
    """Return total income in prices of a year.

    Raises
    ------
    SurveyError
        If the income year is not known.
    """
    if survey.dollars is None:
        raise SurveyError("the income year is not known", "Read it with the cps_asec connector.")
    return np.asarray(np.nan_to_num(survey.numbers("PTOTVAL")) * price_factor(survey.dollars, dollars))


def family_size(survey: Survey) -> FloatArray:
    """Return persons in the householder's family, for everybody in the household; 0 where it is one person."""
    group = _household(survey)
    head = survey.numbers("householder") == 1
    family = np.full(int(group.max()) + 1, np.nan)
    family[group[head]] = survey.numbers("PF_SEQ")[head]
    count = np.bincount(group, survey.numbers("PF_SEQ") == family[group])
    return np.asarray(np.where(count >= 2, count, 0.0)[group], dtype=np.float64)


def own_children(survey: Survey) -> FloatArray:
    """Return never married children under 18 of the householder, for everybody in the household."""
    group = _household(survey)
    child = (survey.numbers("A_EXPRRP") == _OWN_CHILD) & (survey.numbers("A_AGE") < 18)
    child &= survey.numbers("A_MARITL") == _NEVER_MARRIED
    return np.asarray(np.bincount(group, child)[group], dtype=np.float64)


def _household(survey: Survey) -> npt.NDArray[Any]:
    _, group = np.unique(survey.numbers("H_SEQ"), return_inverse=True)
    return group
