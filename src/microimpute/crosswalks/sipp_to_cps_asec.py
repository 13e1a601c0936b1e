"""Pension accounts and wealth of the SIPP extract of 1991 for the households of the native CPS ASEC.

Thirty years lie between the two, the donor has no weights and holds a part of all households only: see the remarks. It
is for trying methods on pension wealth, not for estimates of it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from microimpute.concepts import asec, sipp
from microimpute.crosswalks.base import Concept, Crosswalk
from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.survey import Survey, replace_survey

__all__ = ["SIPPToCPSASEC"]

_CONCEPTS = (
    Concept(
        "reference_age",  # age is a column of the extract
        Kind.CONTINUOUS,
        "age of the reference person, 25 to 64",
        "A_AGE of the householder; 80 for 80 to 84, 85 for 85 and over",
        "The extract has nobody under 25 or over 64.",
        lambda s, dollars: s.numbers("age"),
        lambda s, dollars: s.numbers("A_AGE"),
    ),
    Concept(
        "schooling",
        Kind.ORDINAL,
        "educ, years of school: 1 under 12, 2 with 12, 3 with 13 to 15, 4 with 16 and more",
        "A_HGA of the householder: up to 38, 39, 40 to 42, 43 and above (no diploma, high school, some college or "
        "associate's, bachelor's and above)",
        "Years are asked in one survey, degrees in the other: twelve years without a diploma, and sixteen without a "
        "degree, count as if they had one.",
        lambda s, dollars: sipp.schooling(s),
        lambda s, dollars: asec.education(s),
    ),
    Concept(
        "married",
        Kind.BINARY,
        "marr, married",
        "1 if the householder's spouse is in the household",
        "Whether spouses who live elsewhere count in the extract is not said.",
        lambda s, dollars: s.numbers("marr").astype(np.int64),
        lambda s, dollars: (s.numbers("spouse") == 1).astype(np.int64),
    ),
    Concept(
        "two_earners",
        Kind.BINARY,
        "twoearn, two earners (with three exceptions in 9,915 of married couples alone)",
        "1 if the householder's spouse is in the household, and two persons or more have earnings",
        "In the CPS the second earner may be another than the spouse. Earnings are of the year before there; over "
        "which time they count in the extract is not said.",
        lambda s, dollars: s.numbers("twoearn").astype(np.int64),
        lambda s, dollars: sipp.asec_two_earners(s).astype(np.int64),
    ),
    Concept(
        "size",
        Kind.COUNT,
        "fsize, family size",
        "persons in the householder's family, with an unmarried partner and the partner's children",
        "Whether partners belong to the extract's family is not said.",
        lambda s, dollars: s.numbers("fsize").astype(np.int64),
        lambda s, dollars: s.numbers("family_persons").astype(np.int64),
    ),
    Concept(
        "homeowner",
        Kind.BINARY,
        "hown, owns the home (the same as hval above 0)",
        "1 if H_TENURE = 1, owned or being bought",
        "",
        lambda s, dollars: s.numbers("hown").astype(np.int64),
        lambda s, dollars: (s.numbers("H_TENURE") == 1).astype(np.int64),
    ),
    Concept(
        "income_rank",
        Kind.CONTINUOUS,
        "rank of inc, 0 to 1, among the extract's households",
        "where HTOTVAL stands, 0 to 1 by weight, among households that are like the extract's: householder of 25 to "
        "64, somebody with earnings, nobody with self-employment or farm income; others are placed in the same order",
        "By rank, since incomes in dollars of one year's prices would tell 1991 from today: real incomes grew, and how "
        "much of inc is asked for, and for which time, the extract does not say. A rank assumes that households keep "
        "their order.",
        lambda s, dollars: sipp.income_rank(s),
        lambda s, dollars: sipp.asec_income_rank(s),
    ),
)


class SIPPToCPSASEC(Crosswalk):
    """Wealth of 1991 for households of the native ASEC, read with ``unit="household"`` (its default)."""

    name: ClassVar[str] = "sipp_to_cps_asec"
    donor: ClassVar[str] = "sipp"
    receiver: ClassVar[str] = "cps_asec"
    concepts: ClassVar[tuple[Concept, ...]] = _CONCEPTS
    targets: ClassVar[tuple[str, ...]] = ("nifa", "ira", "a401", "hval", "hmort", "debt", "other_wealth", "db")
    rules: ClassVar[tuple[str, ...]] = (
        "tw = nifa + ira + a401 + hval - hmort - debt + other_wealth",
        "hmort requires hval",
        *(f"{column} >= 0" for column in ("nifa", "ira", "a401", "hval", "hmort", "debt")),
    )
    remarks: ClassVar[tuple[str, ...]] = (
        "WARNING: the donor is of 1991. 401(k) plans, home prices and who has what changed since; amounts are brought "
        "to the receiver's dollars with the CPI-U, and real growth is not. What is imputed is wealth as of 1991 at "
        "today's prices, not today's wealth.",
        "WARNING: the donor has no weights and holds only households with a reference person of 25 to 64, somebody "
        "employed and nobody self-employed. Harmonising says how much of the receiver is not like that; what is "
        "imputed for the rest, retired people above all, is of households unlike them. Leave them out, or use the SCF.",
        "Margins of the receiver are of all its households: reference_age is red unless the receiver is cut down to "
        "those like the donor's.",
        "male is no predictor: of the extract's married couples 9% have a man there, of single people 38%, which no "
        "definition of a reference person in both surveys makes.",
        "Race, children, region, number of earners and incomes by source are not in the extract.",
        "No native ASEC file was at hand: formulas follow the dictionary and ran on made-up files in the genuine "
        "layout.",
    )

    def harmonise(self, donor: Survey, receiver: Survey, dollars: int) -> tuple[Survey, Survey]:
        """Add the shared predictors, and say how much of the receiver the donor has households for.

        Parameters
        ----------
        donor, receiver, dollars
            See `Crosswalk.harmonise`.

        Raises
        ------
        SurveyError
            As there; also if no household of the receiver is like the donor's.
        """
        ours, theirs = super().harmonise(donor, receiver, dollars)
        like = sipp.asec_universe(receiver)
        if not like.any():
            raise SurveyError(
                "no household of the receiver has a householder of 25 to 64, an earner and nobody self-employed",
                "The SIPP extract holds such households alone; use another donor.",
            )
        share = float(np.average(~like, weights=receiver.weights()))
        note = (
            f"{int((~like).sum()):,} of {len(receiver):,} households ({share:.1%} by weight) are unlike all of the "
            "donor's: householder under 25 or over 64, no earner, or somebody self-employed"
        )
        return ours, replace_survey(theirs, notes=(*theirs.notes, note))
