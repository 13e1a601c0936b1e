"""Wealth of the Survey of Consumer Finances for the households of the native CPS ASEC.

No native ASEC file was at hand: formulas follow the Census Bureau's dictionaries and were run on made-up files in the
genuine layouts, so margins of both sides could not be compared. Compare them on your file: `microimpute crosswalk`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute.concepts import asec, scf
from microimpute.crosswalks.base import Concept, Crosswalk, Formula
from microimpute.kinds import Kind
from microimpute.survey import Survey

__all__ = ["SCFToCPSASEC"]

FloatArray = npt.NDArray[np.float64]
Money = Callable[[Survey, int], FloatArray]


def _sum(*parts: Money) -> Money:
    def formula(survey: Survey, dollars: int) -> FloatArray:
        return np.asarray(np.sum([part(survey, dollars) for part in parts], axis=0))

    return formula


def _whole(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    return lambda survey, dollars: make(survey).astype(np.int64)


def _plain(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    return lambda survey, dollars: make(survey)


def _asec_self_employed(survey: Survey) -> npt.NDArray[np.bool_]:
    return np.asarray((survey.numbers("family_SEMP_VAL") != 0) | (survey.numbers("family_FRSE_VAL") != 0))


_SCF_INTEREST = scf.interest_floored(scf.incomes("INTDIVINC"))
_ASEC_INTEREST = scf.interest_floored(asec.family("INT_VAL", "DIV_VAL"))

_WHO = (
    Concept(
        "age",
        Kind.CONTINUOUS,
        "AGE of the reference person (the man in a mixed-sex couple, the elder in a couple of one sex), 85 for 85 and "
        "over",
        "A_AGE of householder, spouse or partner, whom the SCF would take; 85 for 85 and over",
        "CPS ages 80 to 84 are 80.",
        _whole(lambda s: np.minimum(s.numbers("AGE"), 85)),
        _whole(asec.age_of_scf_reference),
    ),
    Concept(
        "female",
        Kind.BINARY,
        "1 if the reference person is a woman (HHSEX = 2)",
        "1 if whom the SCF would take is a woman (A_SEX = 2)",
        "Women are reference persons where there is no man of a couple.",
        _whole(lambda s: s.numbers("HHSEX") == 2),
        _whole(asec.female_scf_reference),
    ),
    Concept(
        "education",
        Kind.ORDINAL,
        "EDCL of the reference person: 1 no high school diploma, 2 high school or GED, 3 some college or associate's,"
        " 4 bachelor's and above",
        "A_HGA of whom the SCF would take: up to 38, 39, 40 to 42, 43 and above",
        "",
        _whole(lambda s: s.numbers("EDCL")),
        _whole(asec.education_of_scf_reference),
    ),
    Concept(
        "race",
        Kind.CATEGORICAL,
        "RACE, the respondent's: White, Black, Hispanic, other",
        "PEHSPNON and PRDTRACE, the householder's: Hispanic whatever the race, White alone, Black alone, other",
        "The SCF puts Hispanic among the answers of one question, of which the first counts; the CPS asks apart and "
        "counts more as Hispanic. The respondent need not be the reference person.",
        _plain(scf.race),
        _plain(asec.race),
    ),
    Concept(
        "lives_as_couple",
        Kind.BINARY,
        "1 if married or living with a partner (MARRIED = 1)",
        "1 if a spouse (A_SPOUSE) or unmarried partner (PECOHAB) is in the household",
        "",
        _whole(lambda s: s.numbers("MARRIED") == 1),
        _whole(lambda s: s.numbers("couple") == 1),
    ),
    Concept(
        "children",
        Kind.COUNT,
        "KIDS: children of any age of reference person or partner who live in the household",
        "own_children: of householder, spouse or partner, of any age, in the household",
        "Foster children count in the SCF, not in the CPS.",
        _whole(lambda s: s.numbers("KIDS")),
        _whole(lambda s: s.numbers("own_children")),
    ),
    Concept(
        "homeowner",
        Kind.BINARY,
        "1 if HOUSECL = 1, owns the home",
        "1 if H_TENURE = 1, owned or being bought",
        "The SCF counts owners of a mobile home or of a part of a farm; in the CPS somebody in the household owns.",
        _whole(lambda s: s.numbers("HOUSECL") == 1),
        _whole(lambda s: s.numbers("H_TENURE") == 1),
    ),
    Concept(
        "self_employed",
        Kind.BINARY,
        "1 if the reference person is self-employed (OCCAT1 = 2) and there is business income",
        "1 if the family has self-employment or farm income (SEMP_VAL, FRSE_VAL)",
        "One person's status at the interview against the family's income of the year before. Amounts are not "
        "comparable: the SCF has rents, partnerships and S corporations in BUSSEFARMINC.",
        _whole(scf.self_employed),
        _whole(_asec_self_employed),
    ),
)
_INCOMES = (
    Concept(
        "wages",
        Kind.SEMICONTINUOUS,
        "WAGEINC",
        "WSAL_VAL of the householder's family and partner",
        "CPS wages are topcoded or swapped at the top.",
        scf.incomes("WAGEINC"),
        asec.family("WSAL_VAL"),
        money=True,
    ),
    Concept(
        "interest_dividends",
        Kind.SEMICONTINUOUS,
        "INTDIVINC; below 500 dollars of 2019 counts as none",
        "INT_VAL + DIV_VAL of the family; below 500 dollars of 2019 counts as none",
        "Small interest is reported or imputed far more often in the CPS. After the redesign of the questions "
        "(from 2015 on) it is understood to include interest within retirement accounts, which the SCF's does not; "
        "this could not be checked.",
        _SCF_INTEREST,
        _ASEC_INTEREST,
        money=True,
    ),
    Concept(
        "retirement_income",
        Kind.SEMICONTINUOUS,
        "SSRETINC: Social Security, pensions, annuities, disability, withdrawals from pension accounts",
        "SS_VAL, retirement (pensions, annuities, withdrawals), DSAB_VAL, SRVS_VAL of the family",
        "Withdrawals under age 58 are not in CPS income. Veterans' payments (VET_VAL) are left out: the SCF may have "
        "them here or in transfers.",
        scf.incomes("SSRETINC"),
        asec.family(*asec.RETIREMENT),
        money=True,
    ),
    Concept(
        "transfers",
        Kind.SEMICONTINUOUS,
        "TRANSFOTHINC: unemployment, workers' compensation, child support, alimony, welfare, other",
        "UC_VAL, WC_VAL, CSP_VAL, ALM_VAL, PAW_VAL, SSI_VAL, FIN_VAL, OI_VAL of the family, HFDVAL of the household",
        "Educational assistance is in neither. Alimony stands in OI_VAL of later CPS years. Amounts that a release "
        "lacks count as nothing.",
        scf.incomes("TRANSFOTHINC"),
        asec.transfers,
        money=True,
    ),
    Concept(
        "total_income",
        Kind.SEMICONTINUOUS,
        "WAGEINC + INTDIVINC + SSRETINC + TRANSFOTHINC (not INCOME: that has business and capital gains)",
        "the same four, as defined above",
        "Business income and capital gains are left out on both sides: they are not comparable.",
        _sum(scf.incomes("WAGEINC"), _SCF_INTEREST, scf.incomes("SSRETINC", "TRANSFOTHINC")),
        _sum(asec.family("WSAL_VAL"), _ASEC_INTEREST, asec.family(*asec.RETIREMENT), asec.transfers),
        money=True,
    ),
)


class SCFToCPSASEC(Crosswalk):
    """Wealth for households of the native ASEC, read with ``unit="household"`` (its default)."""

    name: ClassVar[str] = "scf_to_cps_asec"
    donor: ClassVar[str] = "scf"
    receiver: ClassVar[str] = "cps_asec"
    concepts: ClassVar[tuple[Concept, ...]] = (*_WHO, *_INCOMES)
    rules: ClassVar[tuple[str, ...]] = scf.RULES
    targets: ClassVar[tuple[str, ...]] = scf.TARGETS
    remarks: ClassVar[tuple[str, ...]] = (
        "No native ASEC file was at hand: margins of both sides have not been compared on published data.",
        "The SCF unit is the primary economic unit. Incomes of the CPS are those of the householder's family and "
        "unmarried partner; the wealth imputed is theirs, not that of roomers, boarders and other families.",
        "Incomes of both are of the year before the survey and brought to one year's prices with the CPI-U; real "
        "growth between the surveys is not.",
        "Household size is no predictor: the SCF's extract has none.",
        "Nothing makes imputed HOUSES agree with the CPS's homeowner and HPROP_VAL in every row: homeowner is a strong "
        "predictor, not a rule.",
        "Wealth is brought to the dollars of the CPS file.",
    )
