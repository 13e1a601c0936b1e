"""Spending of the Consumer Expenditure Interview for the households of the CPS tax-unit file.

Margins that are quoted were measured on the records of rpms (2013Q3 to 2016Q1, consumer units) against the CPS of
income years 2012 to 2014, both weighted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute.concepts import ce
from microimpute.concepts.bridge import DeclaredBridge, weighted_rank
from microimpute.concepts.ce_to_scf import BRIDGES
from microimpute.concepts.geography import census_region, region_names
from microimpute.concepts.values import whole
from microimpute.crosswalks.base import Concept, Crosswalk, Formula
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.survey import Survey
from microimpute.surveys.cps_tax_units import CALIBRATED_YEAR, SCALED_TO_2014

__all__ = ["CEXToCPSTaxUnits"]

FloatArray = npt.NDArray[np.float64]

EARNINGS = ("e00200", "e00900", "e02100")
CASH = (
    *EARNINGS,
    *("e00300", "e00400", "e00600", "e00800", "e01400", "e01500", "e02300", "e02400"),
    *("ssi_ben", "tanf_ben", "snap_ben"),
)


def _plain(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    return lambda survey, dollars: make(survey)


def _whole(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    return lambda survey, dollars: whole(make(survey))


def _cps_any_earner(survey: Survey) -> npt.NDArray[np.bool_]:
    return np.asarray(np.any([survey.numbers(c) != 0 for c in EARNINGS], axis=0))


def _cps_income_rank(survey: Survey, dollars: int) -> FloatArray:
    """Rank the household's cash income; each row's money is brought to one year before it is compared."""
    years, which = np.unique(survey.numbers("FLPDYR"), return_inverse=True)
    own_year = np.array([price_factor(int(y), dollars) for y in years])[which]
    scaled = price_factor(CALIBRATED_YEAR, dollars)
    total = np.sum([survey.numbers(c) * (scaled if c in SCALED_TO_2014 else own_year) for c in CASH], axis=0)
    return weighted_rank(total, survey.weights())


_CONCEPTS = (
    Concept(
        "age",
        Kind.CONTINUOUS,
        "AGE_REF, the reference person's; in the records of rpms AGE, of one member, most often the one who earns most;"
        " 80 for 80 and over",
        "age_head, of the head unit's taxpayer, 80 for 80 and over",
        "The CE's reference person is the one named first as owner or renter, the CPS file's the filer of the first tax"
        " unit. In 2,472 units with both, AGE is the reference person's in 81%.",
        _plain(ce.age),
        _plain(lambda s: np.minimum(s.numbers("age_head"), ce.TOP_AGE)),
    ),
    Concept(
        "married_couple",
        Kind.BINARY,
        "1 for a married couple (FAM_TYPE 1 to 5)",
        "1 if the head's tax unit is a married couple (MARS = 2)",
        "Unmarried partners are no couple on either side.",
        _plain(ce.married_couple),
        _whole(lambda s: s.numbers("married") == 1),
    ),
    Concept(
        "size",
        Kind.COUNT,
        "FAM_SIZE, persons in the consumer unit",
        "persons in the household",
        "Housemates who do not share spending are consumer units of their own in the CE (127.6 million, against 123.3 "
        "million households).",
        _whole(lambda s: s.numbers("FAM_SIZE")),
        _whole(lambda s: s.numbers("persons")),
    ),
    Concept(
        "children",
        Kind.COUNT,
        "PERSLT18, persons under 18",
        "nu18, persons under 18",
        "As size.",
        _whole(lambda s: s.numbers("PERSLT18")),
        _whole(lambda s: s.numbers("nu18")),
    ),
    Concept(
        "any_earner",
        Kind.BINARY,
        "1 if anyone earned in the last 12 months (NO_EARNR above 0)",
        "1 if the household has wages, self-employment or farm income (e00200, e00900, e02100)",
        "The number of earners is not in the CPS file; whether there is any is comparable.",
        _plain(ce.any_earner),
        _whole(_cps_any_earner),
    ),
    Concept(
        "income_rank",
        Kind.CONTINUOUS,
        "weighted rank, 0 to 1, of income before taxes: FINCBTXM (imputed); in the records of rpms FINCBTAX among "
        "units whose income is known",
        "weighted rank, 0 to 1, of cash income and SNAP of the household",
        "Levels are not comparable: the records of rpms count what was not answered as 0 (mean 56,000 against "
        "66,900 published), the CPS file is scaled to tax data. Where somebody works and income is 0, or the "
        "best-paid member's wage is unknown and income below 10,000, it is taken for not answered and missing: "
        "11% of units, who spend 46,000 on average (all 51,000). This raises the rank correlation of income and "
        "spending from 0.60 to 0.74. The missing ones are filled with the median and flagged; no receiver is "
        "missing. A rank assumes that both surveys have the same order of households, whatever the growth between"
        " them.",
        _plain(ce.income_rank),
        _cps_income_rank,
    ),
    Concept(
        "region",
        Kind.CATEGORICAL,
        "REGION; missing where suppressed (2%)",
        "Census region of the state (fips)",
        "",
        _plain(ce.region),
        _plain(lambda s: region_names(census_region(s.numbers("fips")))),
    ),
)


class CEXToCPSTaxUnits(Crosswalk):
    """Spending for CPS households: parts that add up to total expenditures."""

    name: ClassVar[str] = "cex_to_cps_tax_units"
    donor: ClassVar[str] = "cex"
    receiver: ClassVar[str] = "cps_tax_units"
    concepts: ClassVar[tuple[Concept, ...]] = _CONCEPTS
    rules: ClassVar[tuple[str, ...]] = ce.RECORDS_RULES
    targets: ClassVar[tuple[str, ...]] = ce.RECORDS_TARGETS
    bridges: ClassVar[tuple[DeclaredBridge, ...]] = BRIDGES
    remarks: ClassVar[tuple[str, ...]] = (
        "Targets are those of the records of rpms. A release has 31 categories instead: they are imputed if the donor "
        "has them and the recipe names no targets.",
        "Amounts are a year's, but made from the one to eight months that a unit was asked about: their spread is "
        "larger than that of true yearly spending, and rare purchases are zero more often and larger where they are "
        "not. Means are right, extremes of one household are not.",
        "The records never hold spending of March, June, September and December; means miss the end-of-year season.",
        "The CPS file has no sex, race, education and tenure: what of spending goes with them, and not with the "
        "predictors, is lost. Social Security is no predictor: the records of rpms have it of one member.",
        "Spending stays in the dollars of the CE file.",
    )

    def defaults(self, donor: Survey) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the parts of spending that the donor has, and their rules: a release has more than the records."""
        return ce.defaults(donor)
