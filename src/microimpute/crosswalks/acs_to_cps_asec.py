"""Difficulties (disability) of the ACS excerpts of NIST for the persons of the native CPS ASEC.

The excerpts are of 20 areas, not of the nation: see the remarks.
"""

from __future__ import annotations

from typing import ClassVar

from microimpute.concepts import acs, asec_people
from microimpute.concepts.values import flag, whole
from microimpute.crosswalks.base import Concept, Crosswalk
from microimpute.kinds import Kind
from microimpute.survey import Survey
from microimpute.surveys.acs import DIFFICULTIES

__all__ = ["ACSToCPSASEC"]

_PERSON = (
    Concept(
        "age",
        Kind.CONTINUOUS,
        "AGEP; 80 for 80 to 84, 85 for 85 and over",
        "A_AGE, which is so already",
        "",
        lambda s, dollars: acs.age(s),
        lambda s, dollars: s.numbers("A_AGE"),
    ),
    Concept(
        "female",
        Kind.BINARY,
        "1 for a woman (SEX = 2)",
        "1 for a woman (A_SEX = 2)",
        "",
        lambda s, dollars: flag(s.numbers("SEX") == 2, s.numbers("SEX")),
        lambda s, dollars: flag(s.numbers("A_SEX") == 2, s.numbers("A_SEX")),
    ),
    Concept(
        "marital",
        Kind.CATEGORICAL,
        "MSP: married, spouse present; married, spouse absent; widowed; divorced; separated; never married. Under 15, "
        "who are not asked, never married",
        "A_MARITL: 1 and 2 married, spouse present; 3 spouse absent; 4 widowed; 5 divorced; 6 separated; 7 never "
        "married",
        "",
        lambda s, dollars: acs.marital(s),
        lambda s, dollars: asec_people.marital(s),
    ),
    Concept(
        "race",
        Kind.CATEGORICAL,
        "HISP and RAC1P: Hispanic whatever the race, White alone, Black alone, other",
        "PEHSPNON and PRDTRACE: the same four",
        "",
        lambda s, dollars: acs.race(s),
        lambda s, dollars: asec_people.race(s),
    ),
    Concept(
        "schooling",
        Kind.ORDINAL,
        "EDU: 0 under 15, 1 no diploma (1 to 4), 2 diploma or GED (5, 6), 3 some college or associate's (7, 8), 4 "
        "bachelor's and above (9 to 12)",
        "A_HGA: 0 under 15, then up to 38, 39, 40 to 42, 43 and above",
        "The CPS does not ask under 15, so the ACS's answers of children are not used.",
        lambda s, dollars: acs.schooling(s),
        lambda s, dollars: asec_people.schooling(s),
    ),
    Concept(
        "income",
        Kind.SEMICONTINUOUS,
        "PINCP, total income of a person of 15 or more, 0 under 15",
        "PTOTVAL, 0 under 15",
        "The 12 months before an interview at any time of the year, against the calendar year before March. The ACS "
        "has one question for what the CPS asks in fifty, so small sources are missed; both are top-coded. Where the "
        "excerpt's income was adjusted to one month's prices is not said.",
        acs.income,
        asec_people.income,
        money=True,
    ),
)
_HOUSEHOLD = (
    Concept(
        "family_size",
        Kind.COUNT,
        "NPF, persons in the householder's family, the same for everybody in the household; 0 if there is none",
        "persons with the householder's PF_SEQ, the same for everybody in the household; 0 if that is the householder "
        "alone",
        "The excerpt tells NPF of housing units alone.",
        lambda s, dollars: whole(acs.count(s, "NPF")),
        lambda s, dollars: whole(asec_people.family_size(s)),
    ),
    Concept(
        "own_children",
        Kind.COUNT,
        "NOC, own children of the householder, never married and under 18, the same for everybody in the household",
        "persons under 18, never married, with A_EXPRRP = 5, the same for everybody in the household",
        "The excerpt does not repeat the definition; the ACS's own is taken.",
        lambda s, dollars: whole(acs.count(s, "NOC")),
        lambda s, dollars: whole(asec_people.own_children(s)),
    ),
    Concept(
        "homeowner",
        Kind.BINARY,
        "1 if OWN_RENT = 1, in the household's home",
        "1 if H_TENURE = 1, owned or being bought",
        "",
        lambda s, dollars: flag(s.numbers("OWN_RENT") == 1, s.numbers("OWN_RENT")),
        lambda s, dollars: flag(s.numbers("H_TENURE") == 1, s.numbers("H_TENURE")),
    ),
)


class ACSToCPSASEC(Crosswalk):
    """Difficulties of persons for persons of the native ASEC, read with ``unit="person"``."""

    name: ClassVar[str] = "acs_to_cps_asec"
    donor: ClassVar[str] = "acs"
    receiver: ClassVar[str] = "cps_asec"
    concepts: ClassVar[tuple[Concept, ...]] = (*_PERSON, *_HOUSEHOLD)
    targets: ClassVar[tuple[str, ...]] = tuple(DIFFICULTIES)
    remarks: ClassVar[tuple[str, ...]] = (
        "WARNING: the donor is 20 areas (PUMAs) of 16 states, chosen for their diversity, weighted to their own people "
        "and not to the nation: cities and Black people are far more frequent. What is imputed is what people like the "
        "receivers have in those areas.",
        "Read the receiver with unit='person', and whole households: family size and children are counted in them.",
        "Persons of one household can't be put together in the excerpt: households, families and earners are no unit "
        "of this crosswalk, and donors are resampled by person, which makes variances too small.",
        "Region and state are no predictors, though every PUMA has a state: two to seven areas would stand for a "
        "region.",
        "POVPIP and PINCP_DECILE (within the state) have no counterpart among the columns read of the ASEC; INDP is "
        "the ACS's own list of industries; DENSITY, DVET and PUMA are in the ACS alone.",
        "The ASEC asks the same questions about difficulties (PEDIS…), which the connector does not read: compare what "
        "is imputed with them.",
        "No native ASEC file was at hand: formulas follow the dictionary and ran on made-up files in the genuine "
        "layout.",
    )

    def harmonise(self, donor: Survey, receiver: Survey, dollars: int) -> tuple[Survey, Survey]:
        """Add the shared predictors; rows of the receiver must be persons.

        Parameters
        ----------
        donor, receiver, dollars
            See `Crosswalk.harmonise`.

        Raises
        ------
        SurveyError
            As there, and if the receiver's rows are not persons.
        """
        asec_people.refuse_other_rows(receiver)
        return super().harmonise(donor, receiver, dollars)
