"""The SIPP extract's side of concepts, and which households of the CPS ASEC are like those that it holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.concepts.bridge import weighted_rank
from microimpute.survey import Survey

__all__ = ["asec_income_rank", "asec_two_earners", "asec_universe", "income_rank", "schooling"]

FloatArray = npt.NDArray[np.float64]

_YOUNGEST, _OLDEST = 25, 64


def schooling(survey: Survey) -> FloatArray:
    """Return 1 under 12 years of school, 2 with 12, 3 with 13 to 15, 4 with 16 and more."""
    years = survey.numbers("educ")
    return np.select([years < 12, years == 12, years <= 15], [1.0, 2.0, 3.0], 4.0)


def income_rank(survey: Survey) -> FloatArray:
    """Return the rank of income, 0 to 1, among the extract's households."""
    return weighted_rank(survey.numbers("inc"), survey.weights())


def asec_universe(survey: Survey) -> npt.NDArray[np.bool_]:
    """Say which households are like the extract's: householder of 25 to 64, an earner, nobody self-employed."""
    age = survey.numbers("A_AGE")
    business = (survey.numbers("SEMP_VAL") != 0) | (survey.numbers("FRSE_VAL") != 0)
    return np.asarray((age >= _YOUNGEST) & (age <= _OLDEST) & (survey.numbers("earners") > 0) & ~business)


def asec_two_earners(survey: Survey) -> npt.NDArray[np.bool_]:
    """Say who is married, spouse in the household, and has at least two earners there."""
    return np.asarray((survey.numbers("spouse") == 1) & (survey.numbers("earners") >= 2))


def asec_income_rank(survey: Survey) -> FloatArray:
    """Return where household income stands among the households that are like the extract's, 0 to 1.

    Other households are placed in the same order, so that theirs means the same income.
    """
    values, weight = survey.numbers("HTOTVAL"), survey.weights()
    like = asec_universe(survey)
    if not like.any():
        return np.full(len(survey), np.nan)
    own, place = np.unique(values[like], return_inverse=True)
    mass = np.bincount(place, weights=weight[like])
    upto = np.concatenate([[0.0], np.cumsum(mass)])
    below, through = (upto[np.searchsorted(own, values, side=s)] for s in ("left", "right"))
    return np.asarray((below + through) / 2 / upto[-1])
