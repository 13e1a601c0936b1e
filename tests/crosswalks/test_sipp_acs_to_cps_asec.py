"""SIPP's and ACS's extracts onto the native ASEC, on made-up files in the genuine layout (no native one was at hand)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asec_made import tables, write_csv, write_fixed
from click.testing import CliRunner
from extracts_made import acs_rows, sipp_rows

from microimpute.cli import main
from microimpute.concepts import asec_people, sipp
from microimpute.crosswalks.acs_to_cps_asec import ACSToCPSASEC
from microimpute.crosswalks.base import Crosswalk
from microimpute.crosswalks.sipp_to_cps_asec import SIPPToCPSASEC
from microimpute.errors import SurveyError
from microimpute.fusion import Fusion
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.rules import parse_all
from microimpute.survey import Survey, replace_survey
from microimpute.surveys.acs import ACS
from microimpute.surveys.cps_asec import CPSASEC
from microimpute.surveys.ipums_cps import IPUMSCPS
from microimpute.surveys.sipp import SIPP

WEALTH, DIFFICULTIES = SIPPToCPSASEC(), ACSToCPSASEC()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("crosswalks")
    sipp_rows(300).to_csv(folder / "pension.csv", index=False)
    acs_rows(500).to_csv(folder / "acs_national2019.csv", index=False)
    return {
        "cps_asec": write_csv(tables(), folder),
        "sipp": folder / "pension.csv",
        "acs": folder / "acs_national2019.csv",
    }


@pytest.fixture(scope="module")
def households(files: dict[str, Path]) -> Survey:
    return CPSASEC().read(files["cps_asec"])


@pytest.fixture(scope="module")
def persons(files: dict[str, Path]) -> Survey:
    return CPSASEC().read(files["cps_asec"], unit="person")


@pytest.fixture(scope="module")
def pensions(files: dict[str, Path]) -> Survey:
    return SIPP().read(files["sipp"])


@pytest.fixture(scope="module")
def people(files: dict[str, Path]) -> Survey:
    return ACS().read(files["acs"])


def test_households_of_the_asec_as_sipp_sees_them(pensions: Survey, households: Survey) -> None:
    receiver = WEALTH.harmonise(pensions, households, 2022)[1]
    expected = {
        "reference_age": [45, 70, 30, 55],
        "married": [1, 0, 0, 0],
        "size": [3, 1, 3, 2],  # the roomer of 17 is none of the family; the unmarried partner and her child are
        "schooling": [4, 4, 4, 4],
    }
    assert {c: receiver.numbers(c)[:4].tolist() for c in expected} == expected
    two = (households.numbers("spouse") == 1) & (households.numbers("earners") >= 2)
    np.testing.assert_array_equal(receiver.numbers("two_earners"), two)
    assert 0 < two.sum() < len(two)


def test_years_of_school_become_classes(pensions: Survey, households: Survey) -> None:
    donor = WEALTH.harmonise(pensions, households, 2022)[0]
    for years, level in ((1, 1), (11, 1), (12, 2), (13, 3), (15, 3), (16, 4), (18, 4)):
        rows = pensions.numbers("educ") == years
        assert rows.any()
        assert set(donor.numbers("schooling")[rows]) == {level}


def test_income_ranks_are_among_households_like_the_donors(pensions: Survey, households: Survey) -> None:
    donor, receiver = WEALTH.harmonise(pensions, households, 2022)
    like = sipp.asec_universe(households)
    frame = pd.DataFrame(
        {c: households.numbers(c) for c in ("A_AGE", "earners", "SEMP_VAL", "FRSE_VAL", "HTOTVAL", "HSUP_WGT")}
    )
    own = frame.query("25 <= A_AGE <= 64 and earners > 0 and SEMP_VAL == 0 and FRSE_VAL == 0")
    assert own.index.tolist() == np.flatnonzero(like).tolist()
    assert 10 < like.sum() < len(like) - 10
    rank = receiver.numbers("income_rank")
    assert np.average(rank[like], weights=own["HSUP_WGT"]) == pytest.approx(0.5)
    for row in (*np.flatnonzero(like)[:3], *np.flatnonzero(~like)[:5]):  # the weight below, and half of what is equal
        value = frame["HTOTVAL"][row]
        below = (
            own.loc[own["HTOTVAL"] < value, "HSUP_WGT"].sum() + own.loc[own["HTOTVAL"] == value, "HSUP_WGT"].sum() / 2
        )
        assert rank[row] == pytest.approx(below / own["HSUP_WGT"].sum())
    assert donor.numbers("income_rank").mean() == pytest.approx(0.5)
    share = 1 - households.weights()[like].sum() / households.weights().sum()
    assert any(f"({share:.1%} by weight) are unlike all of the donor's" in n for n in receiver.notes)


def test_wealth_comes_in_the_receivers_dollars_and_rules_hold(pensions: Survey, households: Survey) -> None:
    donor, receiver = WEALTH.harmonise(pensions, households, 2022)
    factor = price_factor(1991, 2022)
    for column in (*(t for t in WEALTH.targets if t != "db"), "tw"):
        np.testing.assert_allclose(donor.numbers(column), pensions.numbers(column) * factor)
    np.testing.assert_array_equal(donor.numbers("db"), pensions.numbers("db"))
    for rule in parse_all(WEALTH.rules):
        assert not rule.broken({c: donor.numbers(c) for c in rule.columns}).any(), str(rule)
    fusion = Fusion(donor, receiver, targets=WEALTH.targets, predictors=WEALTH.predictors, rules=WEALTH.rules)
    assert fusion.derived == ("tw",)


def test_a_receiver_without_any_like_the_donors_is_refused(pensions: Survey, households: Survey) -> None:
    old = replace_survey(households, frame=households.frame.filter((households.numbers("A_AGE") > 64).tolist()))
    with pytest.raises(SurveyError, match="no household of the receiver has a householder of 25 to 64"):
        WEALTH.harmonise(pensions, old, 2022)


def test_persons_of_the_asec_as_the_acs_sees_them(people: Survey, persons: Survey) -> None:
    """The first four households of `asec_made.HOUSEHOLDS`, ten persons."""
    receiver = DIFFICULTIES.harmonise(people, persons, 2022)[1]
    married, never = "married, spouse present", "never married"
    assert receiver.frame["marital"].to_list()[:10] == [married, married, *[never] * 8]
    expected = {
        "age": [45, 43, 10, 70, 30, 28, 5, 55, 25, 17],
        "female": [0, 1, 0, 1, 1, 0, 1, 1, 0, 0],
        "family_size": [3, 3, 3, 0, 0, 0, 0, 2, 2, 2],  # the partner's family is another, as in the ACS's NPF
        "own_children": [1, 1, 1, 0, 0, 0, 0, 0, 0, 0],  # the son of 25 is grown
        "schooling": [4, 4, 0, 4, 4, 4, 0, 4, 4, 4],
    }
    assert {c: receiver.numbers(c)[:10].tolist() for c in expected} == expected
    np.testing.assert_array_equal(receiver.numbers("income"), persons.numbers("PTOTVAL"))  # of 2022 already
    np.testing.assert_array_equal(receiver.numbers("homeowner"), persons.numbers("H_TENURE") == 1)


def test_answers_of_the_acs_become_concepts(people: Survey, persons: Survey) -> None:
    donor = DIFFICULTIES.harmonise(people, persons, 2022)[0]
    years, school, race = people.numbers("AGEP"), people.numbers("EDU"), donor.frame["race"].to_list()
    for code, level in ((1, 1), (4, 1), (5, 2), (6, 2), (7, 3), (8, 3), (9, 4), (12, 4)):
        rows = (school == code) & (years >= 15)
        assert rows.any()
        assert set(donor.numbers("schooling")[rows]) == {level}
    assert set(donor.numbers("schooling")[years < 15]) == {0}
    assert set(donor.numbers("age")[years >= 85]) == {85}
    assert set(donor.numbers("age")[(years >= 80) & (years < 85)]) == {80}
    hispanic, own = people.numbers("HISP"), people.numbers("RAC1P")
    assert {r for r, h in zip(race, hispanic, strict=True) if h > 0} == {"Hispanic"}
    assert {r for r, h, o in zip(race, hispanic, own, strict=True) if h == 0 and o == 2} == {"Black"}
    known = years >= 15
    np.testing.assert_allclose(
        donor.numbers("income")[known], people.numbers("PINCP")[known] * price_factor(2019, 2022)
    )
    assert set(donor.numbers("income")[~known]) == {0}
    words = donor.frame["marital"].to_list()
    assert {w for w, y in zip(words, years, strict=True) if y < 15} == {"never married"}
    assert {w for w, c in zip(words, people.numbers("MSP"), strict=True) if c == 3} == {"widowed"}
    assert set(words) == set(asec_people.MARITAL.values())
    gone = np.isnan(people.numbers("NPF"))
    assert set(donor.numbers("family_size")[gone]) == {0}
    Fusion(donor, DIFFICULTIES.harmonise(people, persons, 2022)[1], targets=DIFFICULTIES.targets,
           predictors=DIFFICULTIES.predictors)  # fmt: skip


def test_rows_of_households_are_no_persons(people: Survey, households: Survey) -> None:
    with pytest.raises(SurveyError, match=r"of unit 'household', and this crosswalk is of persons.*unit='person'"):
        DIFFICULTIES.harmonise(people, households, 2022)


@pytest.mark.parametrize("walk", [WEALTH, DIFFICULTIES])
def test_concepts_are_of_their_kind(
    walk: Crosswalk, pensions: Survey, people: Survey, households: Survey, persons: Survey
) -> None:
    sides = (pensions, households) if walk is WEALTH else (people, persons)
    for side in walk.harmonise(*sides, 2022):
        for concept in walk.concepts:
            assert side.kinds[concept.name] is concept.kind
            if concept.kind is Kind.BINARY:
                assert set(side.numbers(concept.name)) <= {0, 1}
    assert sum(remark.startswith("WARNING") for remark in walk.remarks) >= 1
    with pytest.raises(SurveyError, match=r"the donor can't give|this crosswalk is of persons"):
        walk.harmonise(households, sides[1], 2022)


def test_the_fixed_width_release_gives_persons_too(people: Survey, tmp_path: Path) -> None:
    survey = CPSASEC().read(write_fixed(tables(10, year=2015), tmp_path, 2015), unit="person")
    receiver = DIFFICULTIES.harmonise(people, survey, 2019)[1]
    assert receiver.numbers("own_children")[:10].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("donor", "more"), [("sipp", ()), ("acs", ("--receiver-option", "unit=person"))])
def test_the_command_compares_and_warns(donor: str, more: tuple[str, ...], files: dict[str, Path]) -> None:
    given = ["crosswalk", donor, "cps_asec", "--donor", str(files[donor]), "--receiver", str(files["cps_asec"]), *more]
    result = CliRunner().invoke(main, [*given, "--dollars", "2022"])
    assert result.exit_code == 0, result.output
    assert "- WARNING: the donor " in result.output
    assert "money in 2022 dollars" in result.output
    refused = CliRunner().invoke(main, given)
    assert refused.exit_code == 2
    assert "the receiver in dollars of 2022" in refused.output


def test_genuine_persons_of_two_surveys(shared: Path) -> None:
    """ACS 2018 of 20 areas beside IPUMS's sample of the ASEC 2016 (five states): concepts that both have agree roughly."""
    acs = ACS().read(shared / "data" / "acs_nist" / "acs_national2018.csv")
    cps = IPUMSCPS().read(shared / "data" / "ipums_samples" / "cps_00160.dat.gz")
    age, weight = cps.numbers("AGE"), cps.weights()
    concept = {c.name: c for c in DIFFICULTIES.concepts}
    ours = concept["age"].from_donor(acs, 2018)
    assert np.average(ours, weights=acs.weights()) == pytest.approx(np.average(age, weights=weight), abs=1.5)
    degree = np.average((cps.numbers("EDUC") >= 111) & (age >= 15), weights=weight)
    theirs = np.average(concept["schooling"].from_donor(acs, 2018) == 4, weights=acs.weights())
    assert degree < theirs < degree + 0.15  # cities hold more graduates than the upper Midwest
    income = concept["income"].from_donor(acs, 2018)
    other = np.nan_to_num(cps.numbers("INCTOT")) * price_factor(2015, 2018)
    assert np.average(income, weights=acs.weights()) == pytest.approx(np.average(other, weights=weight), rel=0.3)
