"""SCF and CE onto the native ASEC, on made-up files in the genuine layouts (no native file was at hand)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from asec_made import tables, write_csv, write_fixed
from ce_made import write_release

from microimpute.concepts import asec
from microimpute.crosswalks.base import Crosswalk, crosswalk
from microimpute.crosswalks.cex_to_cps_asec import CEXToCPSASEC
from microimpute.crosswalks.scf_to_cps_asec import SCFToCPSASEC
from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.fusion import Fusion
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.rules import parse_all
from microimpute.survey import Survey, replace_survey
from microimpute.surveys.cex import CEX
from microimpute.surveys.cps_asec import CPSASEC
from microimpute.surveys.scf import SCF, income_inflation

WEALTH, SPENDING = SCFToCPSASEC(), CEXToCPSASEC()


@pytest.fixture(scope="module")
def cps(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Income year 2022; the first four households: see `asec_made.HOUSEHOLDS`."""
    return CPSASEC().read(write_csv(tables(), tmp_path_factory.mktemp("asec")))


@pytest.fixture(scope="module")
def scf() -> Survey:
    return SCF().read(bundled("scf_2019_sample.parquet"))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    path = tmp_path_factory.mktemp("ce") / "intrvw21.zip"
    write_release(path)
    survey = CEX().read(path, unit="consumer unit")
    rng = np.random.default_rng(8)  # what the made-up release leaves blank
    blank = {"FAM_TYPE": rng.integers(1, 10, len(survey)), "PERSLT18": rng.integers(0, 4, len(survey))}
    frame = survey.native.assign(**blank, HISP_REF=rng.integers(1, 3, len(survey)))
    return replace_survey(survey, frame=Survey(frame).frame)


def test_the_reference_person_is_whom_the_scf_would_take(scf: Survey, cps: Survey) -> None:
    receiver = WEALTH.harmonise(scf, cps, 2019)[1]
    expected = {
        "age": [45, 70, 28, 55],  # of the unmarried couple the man of 28, not the householder of 30
        "female": [0, 1, 0, 1],
        "lives_as_couple": [1, 0, 1, 0],
        "children": [1, 0, 1, 1],
        "education": [4, 4, 4, 4],
    }
    assert {c: receiver.numbers(c)[:4].tolist() for c in expected} == expected
    assert receiver.frame["race"].to_list()[:4] == ["Black", "Hispanic", "other", "Hispanic"]
    assert (receiver.numbers("homeowner") == (cps.numbers("H_TENURE") == 1)).all()


def test_the_elder_of_a_couple_of_one_sex(cps: Survey) -> None:
    frame = cps.native.copy()
    frame.loc[0, ["A_SEX", "spouse_sex", "A_AGE", "spouse_age", "A_HGA", "spouse_education"]] = [2, 2, 40, 44, 43, 39]
    made = replace_survey(cps, frame=Survey(frame).frame)
    assert asec.age_of_scf_reference(made)[0] == 44
    assert asec.education_of_scf_reference(made)[0] == 2
    assert asec.education(made)[0] == 4
    assert asec.female_scf_reference(made)[0]


def test_incomes_are_the_familys_in_one_years_prices(scf: Survey, cps: Survey) -> None:
    donor, receiver = WEALTH.harmonise(scf, cps, 2019)
    factor = price_factor(2022, 2019)
    np.testing.assert_allclose(receiver.numbers("wages"), cps.numbers("family_WSAL_VAL") * factor)
    parts = cps.numbers("family_SS_VAL") + cps.numbers("family_retirement")
    np.testing.assert_allclose(receiver.numbers("retirement_income"), parts * factor)
    welfare = sum(cps.numbers(f"family_{c}") for c in ("UC_VAL", "PAW_VAL", "SSI_VAL")) + cps.numbers("HFDVAL")
    np.testing.assert_allclose(receiver.numbers("transfers"), welfare * factor)
    own = scf.numbers("WAGEINC") / income_inflation(2019) * price_factor(2018, 2019)
    np.testing.assert_allclose(donor.numbers("wages"), own)
    for side in (donor, receiver):
        parts = [side.numbers(c) for c in ("wages", "interest_dividends", "retirement_income", "transfers")]
        np.testing.assert_allclose(side.numbers("total_income"), np.sum(parts, axis=0))


def test_the_donors_amounts_come_to_the_receivers_dollars_and_rules_still_hold(scf: Survey, cps: Survey) -> None:
    donor, receiver = WEALTH.harmonise(scf, cps, 2019)
    assert (donor.dollars, receiver.dollars) == (2022, 2022)
    np.testing.assert_allclose(donor.numbers("NETWORTH"), scf.numbers("NETWORTH") * price_factor(2019, 2022))
    np.testing.assert_array_equal(donor.numbers("AGE"), scf.numbers("AGE"))
    assert "brought from 2019 to 2022 dollars, the receiver's" in donor.notes[-1]
    for rule in parse_all(WEALTH.rules):
        assert not rule.broken({c: donor.numbers(c) for c in rule.columns}).any(), str(rule)
    fusion = Fusion(donor, receiver, targets=WEALTH.targets, predictors=WEALTH.predictors, rules=WEALTH.rules)
    assert "NETWORTH" in fusion.derived


def test_the_fixed_width_release_gives_the_same_concepts(scf: Survey, tmp_path: Path) -> None:
    survey = CPSASEC().read(write_fixed(tables(10, year=2015), tmp_path, 2015))
    receiver = WEALTH.harmonise(scf, survey, 2019)[1]
    assert receiver.numbers("age")[:4].tolist() == [45, 70, 28, 55]
    assert (receiver.numbers("wages") > 0).any()


def test_spending_of_a_release(release: Survey, cps: Survey) -> None:
    donor, receiver = SPENDING.harmonise(release, cps, 2022)
    targets, rules = SPENDING.defaults(release)
    assert targets == SPENDING.targets
    assert len(targets) == 31
    expected = {
        "age": [45, 70, 30, 55],
        "female": [0, 1, 1, 1],
        "married_couple": [1, 0, 0, 0],
        "size": [3, 1, 3, 3],
        "children": [1, 0, 1, 1],
    }
    assert {c: receiver.numbers(c)[:4].tolist() for c in expected} == expected
    assert receiver.frame["region"].to_list()[2] == "West"  # GESTFIPS 4, Arizona
    for side in (donor, receiver):
        known = side.numbers("income_rank")
        assert np.average(known, weights=side.weights()) == pytest.approx(0.5)
    income = release.numbers("FINCBTXM")
    assert (np.diff(donor.numbers("income_rank")[np.argsort(income)]) >= 0).all()
    np.testing.assert_allclose(donor.numbers("food_home"), release.numbers("food_home") * price_factor(2021, 2022))
    fusion = Fusion(donor, receiver, targets=targets, predictors=SPENDING.predictors, rules=rules)
    assert fusion.derived == ("total",)


def test_what_is_missing_stays_missing(release: Survey, cps: Survey) -> None:
    gaps = np.arange(len(release)) < 5
    columns = ("FAM_TYPE", "NO_EARNR", "CUTENURE", "SEX_REF", "HISP_REF", "EDUC_REF", "PERSLT18")
    frame = release.native.copy()
    for column in columns:
        frame[column] = np.where(gaps, np.nan, release.numbers(column))
    donor = SPENDING.harmonise(replace_survey(release, frame=Survey(frame).frame), cps, 2022)[0]
    for concept in ("married_couple", "earner_count", "homeowner", "female", "race", "schooling", "children"):
        assert (donor.frame[concept].is_null().to_numpy() | _nan(donor, concept)).tolist() == gaps.tolist(), concept


def _nan(survey: Survey, column: str) -> np.ndarray:
    return np.array([v != v for v in survey.frame[column].to_list()])


def test_codes_of_releases_become_classes(release: Survey, cps: Survey) -> None:
    donor = SPENDING.harmonise(release, cps, 2022)[0]
    school = release.numbers("EDUC_REF")
    for code, level in ((0, 1), (10, 1), (11, 1), (12, 2), (13, 3), (14, 3), (15, 4), (16, 4)):
        assert (donor.numbers("schooling")[school == code] == level).all()
    race, hispanic, own = donor.frame["race"].to_list(), release.numbers("HISP_REF"), release.numbers("REF_RACE")
    assert {r for r, h in zip(race, hispanic, strict=True) if h == 1} <= {"Hispanic"}
    assert {r for r, h, o in zip(race, hispanic, own, strict=True) if h == 2 and o == 2} <= {"Black"}
    assert (donor.numbers("female") == (release.numbers("SEX_REF") == 2)).all()


@pytest.mark.parametrize("walk", [WEALTH, SPENDING])
def test_what_cannot_be_made_is_refused(walk: Crosswalk, tmp_path: Path, scf: Survey, release: Survey) -> None:
    persons = CPSASEC().read(write_csv(tables(5), tmp_path), unit="person")
    donor = scf if walk is WEALTH else release
    with pytest.raises(SurveyError, match=r"the receiver can't give.*connector 'cps_asec'"):
        walk.harmonise(donor, persons, 2019)
    with pytest.raises(SurveyError, match="the donor can't give"):
        walk.harmonise(persons, persons, 2019)


@pytest.mark.parametrize("walk", [WEALTH, SPENDING])
def test_every_concept_is_stated(walk: Crosswalk, scf: Survey, release: Survey, cps: Survey) -> None:
    for side in walk.harmonise(scf if walk is WEALTH else release, cps, 2019):
        for concept in walk.concepts:
            assert concept.donor
            assert concept.receiver
            assert side.kinds[concept.name] is concept.kind
            if concept.kind is Kind.BINARY:
                assert set(side.numbers(concept.name)) <= {0, 1}
    assert isinstance(crosswalk(walk.name), type(walk))
