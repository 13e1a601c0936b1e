"""Wealth of the Survey of Consumer Finances for the households of the CPS tax-unit file.

Margins that are quoted were measured on SCF 2019 against the CPS of income years 2012 to 2014, both weighted,
money in 2019 dollars. Real median household income grew by about a tenth between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute.concepts import scf
from microimpute.crosswalks.base import Concept, Crosswalk, Formula
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.survey import Survey
from microimpute.surveys.cps_tax_units import CALIBRATED_YEAR, SCALED_TO_2014

__all__ = ["SCFToCPSTaxUnits"]

FloatArray = npt.NDArray[np.float64]
Money = Callable[[Survey, int], FloatArray]

#: Oldest age that both files tell apart.
TOP_AGE = 85

WAGES = ("e00200",)
SELF_EMPLOYMENT = ("e00900", "e02100")
INTEREST = ("e00300", "e00400", "e00600")
RETIREMENT = ("e02400", "e01500", "e01400")
TRANSFERS = ("e02300", "e00800", "ssi_ben", "tanf_ben")


def _cps(*columns: str) -> Money:
    """Sum income of the householder's family, each row in dollars of its own income year."""

    def formula(survey: Survey, dollars: int) -> FloatArray:
        total = np.zeros(len(survey))
        own_year = _row_factor(survey, dollars)
        scaled = price_factor(CALIBRATED_YEAR, dollars)
        for column in columns:
            total += survey.numbers(f"family_{column}") * (scaled if column in SCALED_TO_2014 else own_year)
        return total

    return formula


def _row_factor(survey: Survey, dollars: int) -> FloatArray:
    years, which = np.unique(survey.numbers("FLPDYR"), return_inverse=True)
    return np.array([price_factor(int(y), dollars) for y in years])[which]


def _cps_transfers(survey: Survey, dollars: int) -> FloatArray:
    snap = survey.numbers("snap_ben") * _row_factor(survey, dollars)
    return np.asarray(_cps(*TRANSFERS)(survey, dollars) + snap)


def _sum(*parts: Money) -> Money:
    def formula(survey: Survey, dollars: int) -> FloatArray:
        return np.asarray(np.sum([part(survey, dollars) for part in parts], axis=0))

    return formula


def _whole(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    """Turn numbers or truth values into whole numbers; prices don't matter."""
    return lambda survey, dollars: make(survey).astype(np.int64)


def _scf_age(survey: Survey) -> FloatArray:
    return np.minimum(survey.numbers("AGE"), TOP_AGE)


def _cps_age(survey: Survey) -> FloatArray:
    ages = [survey.numbers(c) for c in ("age_head", "age_spouse", "age_partner")]
    return np.asarray(np.max(ages, axis=0))


def _cps_couple(survey: Survey) -> npt.NDArray[np.bool_]:
    return np.asarray((survey.numbers("married") == 1) | (survey.numbers("partner") > 0))


def _cps_self_employed(survey: Survey) -> npt.NDArray[np.bool_]:
    return np.asarray(np.any([survey.numbers(f"family_{c}") != 0 for c in SELF_EMPLOYMENT], axis=0))


_SCF_INTEREST = scf.interest_floored(scf.incomes("INTDIVINC"))
_CPS_INTEREST = scf.interest_floored(_cps(*INTEREST))

_CONCEPTS = (
    Concept(
        "age",
        Kind.CONTINUOUS,
        "AGE of the reference person (the man in a mixed-sex couple), 85 for 85 and over",
        "largest of age_head, age_spouse and age_partner (likely partner), 85 for 85 and over",
        "The CPS file has no sex, so the man can't be told; the elder of the couple comes nearest. CPS ages "
        "80 to 84 are 80.",
        _whole(_scf_age),
        _whole(_cps_age),
    ),
    Concept(
        "couple",
        Kind.BINARY,
        "1 if married or living with a partner (MARRIED = 1)",
        "1 if the head's tax unit is a married couple (MARS = 2) or the household has a likely partner",
        "CPS partners are guessed: the only unrelated adult, single, within 15 years of the single head; the "
        "15 years were chosen so that the share agrees with the SCF.",
        _whole(lambda s: s.numbers("MARRIED") == 1),
        _whole(_cps_couple),
    ),
    Concept(
        "children",
        Kind.COUNT,
        "KIDS: children of any age of reference person or partner who live in the household",
        "family_children: dependants of head and partner, and relatives with an own tax unit at least 15 "
        "years younger than the head",
        "CPS dependants and younger relatives include some grandchildren, nieces and nephews.",
        _whole(lambda s: s.numbers("KIDS")),
        _whole(lambda s: s.numbers("family_children")),
    ),
    Concept(
        "self_employed",
        Kind.BINARY,
        "1 if the reference person is self-employed (OCCAT1 = 2) and there is business income",
        "1 if the family has self-employment or farm income (e00900, e02100)",
        "One person's status at the interview against the family's income of the year before. Amounts are "
        "not comparable (the SCF has rents, partnerships and S corporations: mean 14,682 against 3,048).",
        _whole(scf.self_employed),
        _whole(_cps_self_employed),
    ),
    Concept(
        "wages",
        Kind.SEMICONTINUOUS,
        "WAGEINC",
        "e00200 of the householder's family",
        "CPS wages are scaled to IRS totals of 2014 and top-coded.",
        scf.incomes("WAGEINC"),
        _cps(*WAGES),
        money=True,
    ),
    Concept(
        "interest_dividends",
        Kind.SEMICONTINUOUS,
        "INTDIVINC; below 500 dollars of 2019 counts as none",
        "e00300 + e00400 + e00600 of the householder's family; below 500 dollars of 2019 counts as none",
        "Small interest is reported or imputed far more often in the CPS.",
        _SCF_INTEREST,
        _CPS_INTEREST,
        money=True,
    ),
    Concept(
        "retirement_income",
        Kind.SEMICONTINUOUS,
        "SSRETINC: Social Security, pensions, annuities, disability, withdrawals from pension accounts",
        "e02400 + e01500 + e01400 of the householder's family: Social Security, pensions, IRA distributions",
        "CPS IRA distributions are imputed from tax data; veterans' benefits (modelled) are left out.",
        scf.incomes("SSRETINC"),
        _cps(*RETIREMENT),
        money=True,
    ),
    Concept(
        "transfers",
        Kind.SEMICONTINUOUS,
        "TRANSFOTHINC: unemployment, workers' compensation, child support, alimony, welfare, other",
        "e02300 + e00800 + ssi_ben + tanf_ben of the householder's family, and snap_ben of the household",
        "The CPS file has no child support, workers' compensation or other income; SNAP, SSI and TANF are "
        "modelled to administrative totals, while SCF respondents report them. Health and housing benefits "
        "are in neither.",
        scf.incomes("TRANSFOTHINC"),
        _cps_transfers,
        money=True,
    ),
    Concept(
        "total_income",
        Kind.SEMICONTINUOUS,
        "WAGEINC + INTDIVINC + SSRETINC + TRANSFOTHINC (not INCOME: that has business and capital gains)",
        "the same four, as defined above",
        "Business income and capital gains are left out on both sides: they are not comparable.",
        _sum(scf.incomes("WAGEINC"), _SCF_INTEREST, scf.incomes("SSRETINC", "TRANSFOTHINC")),
        _sum(_cps(*WAGES), _CPS_INTEREST, _cps(*RETIREMENT), _cps_transfers),
        money=True,
    ),
)


class SCFToCPSTaxUnits(Crosswalk):
    """Wealth for CPS households: 26 leaves of the balance sheet, from which all totals follow."""

    name: ClassVar[str] = "scf_to_cps_tax_units"
    donor: ClassVar[str] = "scf"
    receiver: ClassVar[str] = "cps_tax_units"
    concepts: ClassVar[tuple[Concept, ...]] = _CONCEPTS
    rules: ClassVar[tuple[str, ...]] = scf.RULES
    targets: ClassVar[tuple[str, ...]] = scf.TARGETS
    remarks: ClassVar[tuple[str, ...]] = (
        "The SCF unit is the primary economic unit: a person or couple and those who depend on them. The "
        "CPS household's predictors are therefore made from the householder's family and likely partner; the "
        "wealth imputed is that family's, not that of roomers, boarders and other unrelated people.",
        "Incomes of the SCF are brought back to dollars of the income year (2018) and then, as those of the "
        "CPS (2012 to 2014), to one year's prices with the CPI-U. Prices are made equal, real growth is not.",
        "Household size is no predictor: the extract has none; couple and children carry what is comparable.",
        "Wealth stays in the dollars of the SCF file.",
    )
