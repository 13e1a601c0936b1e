"""The crosswalk: margins of both sides, prices, rules, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microimpute.crosswalks.base import crosswalk
from microimpute.crosswalks.scf_to_cps_tax_units import SCFToCPSTaxUnits
from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.rules import Identity, derivation_order, derive, parse_all
from microimpute.survey import Survey, replace_survey
from microimpute.surveys.cps_tax_units import CPSTaxUnits
from microimpute.surveys.scf import SCF, income_inflation
from microimpute.weighted import quantile

WALK = SCFToCPSTaxUnits()


@pytest.fixture(scope="module")
def samples() -> tuple[Survey, Survey]:
    donor = SCF().read(bundled("scf_2019_sample.parquet"))
    return donor, CPSTaxUnits().read(bundled("cps_2013_2015_sample.parquet"))


@pytest.fixture(scope="module")
def published(shared: Path) -> tuple[Survey, Survey]:
    donor = SCF().read(shared / "data" / "scf_2019" / "SCFP2019.zip")
    receiver = CPSTaxUnits().read(shared / "data" / "cps_taxcalc" / "cps.csv.gz")
    return WALK.harmonise(donor, receiver, 2019)


def mean(survey: Survey, column: str) -> float:
    return float(np.average(survey.numbers(column), weights=survey.weights()))


@pytest.mark.parametrize(
    ("concept", "donor", "receiver", "tolerance"),
    [
        ("age", 51.64, 51.71, 0.01),
        ("couple", 0.560, 0.559, 0.001),
        ("children", 0.722, 0.738, 0.001),
        ("self_employed", 0.090, 0.088, 0.001),
        ("wages", 64_944, 56_962, 2),
        ("interest_dividends", 3_668, 3_852, 2),
        ("retirement_income", 14_237, 13_713, 2),
        ("transfers", 3_357, 1_519, 2),
        ("total_income", 86_206, 76_046, 3),
    ],
)
def test_margins_are_as_documented(
    concept: str, donor: float, receiver: float, tolerance: float, published: tuple[Survey, Survey]
) -> None:
    assert mean(published[0], concept) == pytest.approx(donor, abs=tolerance)
    assert mean(published[1], concept) == pytest.approx(receiver, abs=tolerance)


def test_median_wages_agree(published: tuple[Survey, Survey]) -> None:
    scf, cps = (quantile(s.numbers("wages"), 0.5, s.weights()) for s in published)
    assert scf == pytest.approx(cps, rel=0.01)


def test_every_rule_holds_on_every_published_row(published: tuple[Survey, Survey]) -> None:
    for rule in parse_all(WALK.rules):
        assert not rule.broken({c: published[0].numbers(c) for c in rule.columns}).any(), str(rule)


def test_targets_give_net_worth(samples: tuple[Survey, Survey]) -> None:
    donor = samples[0]
    identities = [r for r in parse_all(WALK.rules) if isinstance(r, Identity)]
    made = derive(derivation_order(identities), {c: donor.numbers(c) for c in WALK.targets})
    for total in ("FIN", "NFIN", "ASSET", "DEBT", "NETWORTH"):
        np.testing.assert_allclose(made[total], donor.numbers(total), atol=1.5)
    assert len(WALK.targets) == 26
    assert not set(made) & set(WALK.targets)


def test_prices_and_income_years(samples: tuple[Survey, Survey]) -> None:
    donor, receiver = samples
    scf, cps = WALK.harmonise(donor, receiver, 2014)
    own = donor.numbers("WAGEINC") / income_inflation(2019) * price_factor(2018, 2014)
    np.testing.assert_allclose(scf.numbers("wages"), own)
    np.testing.assert_array_equal(cps.numbers("wages"), receiver.numbers("family_e00200"))
    factor = np.array([price_factor(int(y), 2014) for y in receiver.numbers("FLPDYR")])
    income = (receiver.numbers("family_e02400") + receiver.numbers("family_e01500")) * factor
    np.testing.assert_allclose(cps.numbers("retirement_income"), income + receiver.numbers("family_e01400"))


def test_reissued_dollars_are_undone(samples: tuple[Survey, Survey]) -> None:
    donor, receiver = samples
    newer = replace_survey(donor, dollars=2022)
    first, second = (WALK.harmonise(d, receiver, 2019)[0].numbers("wages") for d in (donor, newer))
    np.testing.assert_allclose(second, first * price_factor(2022, 2019))


def test_small_interest_counts_as_none(samples: tuple[Survey, Survey]) -> None:
    for side in WALK.harmonise(*samples, 2019):
        values = side.numbers("interest_dividends")
        assert not ((values > 0) & (values < 500)).any()


def test_surveys_are_kept_and_described(samples: tuple[Survey, Survey]) -> None:
    donor, receiver = samples
    for before, after in zip(samples, WALK.harmonise(donor, receiver, 2019), strict=True):
        assert after.columns == [*before.columns, *WALK.predictors]
        assert after.design == before.design
        assert after.kinds["couple"] is Kind.BINARY
        assert after.labels["wages"].endswith("2019 dollars")
        assert after.notes[-1].startswith("9 shared predictors made by the crosswalk scf_to_cps_tax_units")
        assert after.checks == before.checks
        for concept in WALK.concepts:
            assert not np.isnan(after.numbers(concept.name)).any()
            if concept.kind is Kind.BINARY:
                assert set(after.numbers(concept.name)) == {0, 1}


def test_every_concept_is_stated_on_both_sides() -> None:
    for concept in WALK.concepts:
        assert concept.donor
        assert concept.receiver
        assert concept.caveat


def test_swapped_sides_are_refused(samples: tuple[Survey, Survey]) -> None:
    donor, receiver = samples
    with pytest.raises(SurveyError, match=r"the donor can't give 'age'.*connector 'scf'"):
        WALK.harmonise(receiver, donor, 2019)


def test_twice_is_refused(samples: tuple[Survey, Survey]) -> None:
    once = WALK.harmonise(*samples, 2019)
    with pytest.raises(SurveyError, match="'age' is in the table already"):
        WALK.harmonise(*once, 2019)


def test_year_without_prices_is_refused(samples: tuple[Survey, Survey]) -> None:
    with pytest.raises(SurveyError, match="no consumer price index for the year 1950"):
        WALK.harmonise(*samples, 1950)


def test_unknown_dollars_are_refused(samples: tuple[Survey, Survey]) -> None:
    donor, receiver = samples
    with pytest.raises(SurveyError, match="incomes need one survey year and the dollar year"):
        WALK.harmonise(replace_survey(donor, dollars=None), receiver, 2019)


def test_registry() -> None:
    assert isinstance(crosswalk("scf_to_cps_tax_units"), SCFToCPSTaxUnits)
    with pytest.raises(SurveyError, match="scf_to_cps_tax_units"):
        crosswalk("scf_to_cps_taxunits")
