"""Spending of the Consumer Expenditure Interview for the households of the native CPS ASEC.

Neither a native ASEC file nor a native release of the Interview was at hand: formulas follow the dictionaries and were
run on made-up files in the genuine layouts, and on the records of rpms on the donor's side. Margins of both sides could
not be compared; `microimpute crosswalk` compares them on your files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute.concepts import asec, ce
from microimpute.concepts.bridge import DeclaredBridge
from microimpute.concepts.ce_to_scf import BRIDGES
from microimpute.concepts.geography import census_region, region_names
from microimpute.concepts.values import whole
from microimpute.crosswalks.base import Concept, Crosswalk, Formula
from microimpute.kinds import Kind
from microimpute.survey import Survey

__all__ = ["CEXToCPSASEC"]


def _plain(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    return lambda survey, dollars: make(survey)


def _whole(make: Callable[[Survey], npt.NDArray[Any]]) -> Formula:
    return lambda survey, dollars: whole(make(survey))


_MEMBER = "of the reference person; in the records of rpms of one member, most often the one who earns most"
_WHO = (
    Concept(
        "age",
        Kind.CONTINUOUS,
        f"AGE_REF (AGE) {_MEMBER}; 80 for 80 and over",
        "A_AGE of the householder, 80 for 80 and over",
        "Both are the person named first as owning or renting the home; in the records of rpms only 81% are.",
        _plain(ce.age),
        _plain(lambda s: np.minimum(s.numbers("A_AGE"), ce.TOP_AGE)),
    ),
    Concept(
        "female",
        Kind.BINARY,
        f"1 for a woman: SEX_REF (SEX) {_MEMBER}",
        "1 if the householder is a woman (A_SEX = 2)",
        "In couples who is named first is a matter of chance.",
        _plain(ce.female),
        _whole(lambda s: s.numbers("A_SEX") == 2),
    ),
    Concept(
        "schooling",  # education is a category of spending
        Kind.ORDINAL,
        f"EDUC_REF (EDUCA) {_MEMBER}: 1 no high school diploma, 2 high school, 3 some college or associate's, 4 "
        "bachelor's and above",
        "A_HGA of the householder: up to 38, 39, 40 to 42, 43 and above",
        "",
        _plain(ce.education),
        _plain(asec.education),
    ),
    Concept(
        "race",
        Kind.CATEGORICAL,
        f"REF_RACE and HISP_REF (MEMBRACE, HORIGIN) {_MEMBER}: Hispanic whatever the race, White, Black, other",
        "PEHSPNON and PRDTRACE of the householder: the same four",
        "",
        _plain(ce.race),
        _plain(asec.race),
    ),
)
_HOUSEHOLD = (
    Concept(
        "married_couple",
        Kind.BINARY,
        "1 for a married couple (FAM_TYPE 1 to 5)",
        "1 if the householder's spouse is in the household",
        "Unmarried partners are no couple on either side.",
        _plain(ce.married_couple),
        _whole(lambda s: s.numbers("spouse") == 1),
    ),
    Concept(
        "size",
        Kind.COUNT,
        "FAM_SIZE, persons in the consumer unit",
        "persons in the household",
        "Housemates who do not share spending are consumer units of their own in the CE.",
        _whole(lambda s: s.numbers("FAM_SIZE")),
        _whole(lambda s: s.numbers("persons")),
    ),
    Concept(
        "children",
        Kind.COUNT,
        "PERSLT18, persons under 18",
        "under_18, persons under 18",
        "As size.",
        _whole(lambda s: s.numbers("PERSLT18")),
        _whole(lambda s: s.numbers("under_18")),
    ),
    Concept(
        "earner_count",
        Kind.COUNT,
        "NO_EARNR, members who earned in the last 12 months",
        "earners: persons with earnings (PEARNVAL not 0)",
        "The CE asks members of 14 and over, the CPS persons of 15 and over.",
        _whole(lambda s: s.numbers("NO_EARNR")),
        _whole(lambda s: s.numbers("earners")),
    ),
    Concept(
        "homeowner",
        Kind.BINARY,
        "1 if the home is owned (CUTENURE 1 to 3)",
        "1 if H_TENURE = 1, owned or being bought",
        "",
        _plain(ce.homeowner),
        _whole(lambda s: s.numbers("H_TENURE") == 1),
    ),
    Concept(
        "region",
        Kind.CATEGORICAL,
        "REGION; missing where suppressed",
        "Census region of the state (GESTFIPS)",
        "",
        _plain(ce.region),
        _plain(lambda s: region_names(census_region(s.numbers("GESTFIPS")))),
    ),
    Concept(
        "income_rank",
        Kind.CONTINUOUS,
        "weighted rank, 0 to 1, of income before taxes: FINCBTXM (imputed; with implicates FINCBTX); in the records of "
        "rpms FINCBTAX among units whose income is known",
        "weighted rank, 0 to 1, of HTOTVAL + HFDVAL, household income before tax and food stamps",
        "Ranks are comparable whatever the years, as long as households keep their order. In the records of "
        "rpms what was not answered counts as 0: see `cex_to_cps_tax_units`.",
        _plain(ce.income_rank),
        _plain(asec.income_rank),
    ),
)


class CEXToCPSASEC(Crosswalk):
    """Spending for households of the native ASEC, read with ``unit="household"`` (its default)."""

    name: ClassVar[str] = "cex_to_cps_asec"
    donor: ClassVar[str] = "cex"
    receiver: ClassVar[str] = "cps_asec"
    concepts: ClassVar[tuple[Concept, ...]] = (*_WHO, *_HOUSEHOLD)
    rules: ClassVar[tuple[str, ...]] = ce.RELEASE_RULES
    targets: ClassVar[tuple[str, ...]] = ce.RELEASE_TARGETS
    #: Whether the home is owned is observed on both sides here.
    bridges: ClassVar[tuple[DeclaredBridge, ...]] = tuple(b for b in BRIDGES if b.name != "owner")
    remarks: ClassVar[tuple[str, ...]] = (
        "Neither a native ASEC file nor a native release of the Interview was at hand: margins of both sides have not "
        "been compared on published data.",
        "Read the Interview with unit='consumer unit': an interview alone knows a quarter.",
        "Amounts are a year's, but made from the months that a unit was asked about: their spread is larger than that "
        "of true yearly spending. Means are right, extremes of one household are not.",
        "With the records of rpms as the donor, its own parts are imputed (food, housing_outlays, …).",
        "Spending is brought to the dollars of the CPS file.",
    )

    def defaults(self, donor: Survey) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the parts of spending that the donor has, and their rules."""
        return ce.defaults(donor)
