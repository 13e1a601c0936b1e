"""CE spending onto CPS tax units: margins, the rank of income, rules, and bridges to the SCF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microimpute.concepts import ce
from microimpute.concepts.bridge import weighted_rank
from microimpute.concepts.geography import census_region
from microimpute.concepts.scf import FOOD
from microimpute.crosswalks.base import crosswalk
from microimpute.crosswalks.cex_to_cps_tax_units import CEXToCPSTaxUnits
from microimpute.crosswalks.scf_to_cps_tax_units import SCFToCPSTaxUnits
from microimpute.data import bundled
from microimpute.errors import FusionError, SurveyError
from microimpute.fusion import Fusion
from microimpute.margins import margins
from microimpute.prices import price_factor
from microimpute.rules import parse_all
from microimpute.stages import Stage, fuse
from microimpute.stages.declared import declared_bridges
from microimpute.survey import Survey, replace_survey
from microimpute.surveys.cex import CEX
from microimpute.surveys.cps_tax_units import CPSTaxUnits
from microimpute.surveys.scf import SCF
from microimpute.weighted import ranks

WALK = CEXToCPSTaxUnits()


def units(rows: int = 60, seed: int = 0, **changes: object) -> Survey:
    """Make consumer units as the connector gives them from the records of rpms."""
    rng = np.random.default_rng(seed)
    spending = {c: rng.integers(0, 9_000, rows).astype(float) for c in ce.RECORDS_TARGETS}
    columns: dict[str, object] = {
        "CUID": np.arange(rows),
        "WEIGHT": rng.integers(1, 9, rows).astype(float),
        "AGE": rng.integers(20, 88, rows),
        "FAM_TYPE": rng.integers(1, 10, rows),
        "FAM_SIZE": rng.integers(1, 5, rows),
        "PERSLT18": rng.integers(0, 3, rows),
        "NO_EARNR": np.ones(rows, dtype=int),
        "EARNER": ["Y"] * rows,
        "SALARYX": np.full(rows, 30_000.0),
        "FINCBTAX": rng.integers(20_000, 90_000, rows).astype(float),
        "REGION": pd.array([1 + i % 4 for i in range(rows)]),
        "CUTENURE": rng.integers(1, 5, rows),
        "VEHQ": rng.integers(0, 3, rows),
        "LIQUIDX": rng.integers(0, 9_000, rows).astype(float),
        "IRAX": rng.integers(0, 9_000, rows).astype(float),
        "STOCKX": np.full(rows, np.nan),
        "STUDNTX": np.full(rows, np.nan),
        **spending,
        "total": np.sum(list(spending.values()), axis=0),
        **changes,
    }
    return Survey(pd.DataFrame(columns), weight="WEIGHT", keys="CUID", dollars=2014, unit="consumer unit")


@pytest.fixture(scope="module")
def cps() -> Survey:
    return CPSTaxUnits().read(bundled("cps_2013_2015_sample.parquet"))


@pytest.fixture(scope="module")
def published(shared: Path) -> tuple[Survey, Survey]:
    data = shared / "data"
    records = data / "ce_interview" / "fmli_2013q3_2016q1_subset.csv.gz"
    donor = CEX().read(records, unit="consumer unit", dollars=2014)
    return WALK.harmonise(donor, CPSTaxUnits().read(data / "cps_taxcalc" / "cps.csv.gz"), 2014)


def test_margins_are_as_documented(published: tuple[Survey, Survey]) -> None:
    found = {m.name: m for m in margins(Fusion(*published, targets=["food"], predictors=WALK.predictors))}
    means = {"age": (49.7, 50.6), "size": (2.457, 2.495), "children": (0.587, 0.593)}
    for name, pair in means.items():
        assert (found[name].donor.figures["mean"], found[name].receiver.figures["mean"]) == pytest.approx(
            pair, rel=0.003
        )
    shares = {"married_couple": (0.481, 0.483), "any_earner": (0.763, 0.762)}
    for name, pair in shares.items():
        assert (found[name].donor.figures["1"], found[name].receiver.figures["1"]) == pytest.approx(pair, abs=0.001)
    assert all(m.distance is not None and m.distance < 0.03 for m in found.values())
    assert found["income_rank"].donor.missing == pytest.approx(0.11, abs=0.002)


def test_unanswered_income_hides_what_goes_with_income(published: tuple[Survey, Survey]) -> None:
    donor = published[0]
    rank, total = donor.numbers("income_rank"), ranks(donor.numbers("total"), donor.weights())
    known = ~np.isnan(rank)
    raw = ranks(donor.numbers("FINCBTAX"), donor.weights())
    assert np.corrcoef(raw, total)[0, 1] == pytest.approx(0.60, abs=0.02)
    assert np.corrcoef(rank[known], total[known])[0, 1] == pytest.approx(0.74, abs=0.02)


def test_rules_hold_on_every_published_row(published: tuple[Survey, Survey]) -> None:
    for rule in parse_all(WALK.rules):
        assert not rule.broken({c: published[0].numbers(c) for c in rule.columns}).any(), str(rule)


def test_income_that_was_not_answered_is_missing() -> None:
    income = np.full(60, 50_000.0)
    salary = np.full(60, 30_000.0)
    earners = np.ones(60, dtype=int)
    income[:5] = 0, 0, 5_000, 5_000, 0
    salary[[0, 2]] = np.nan
    earners[1] = 0
    works = ["Y"] * 60
    works[1] = works[4] = "N"
    survey = units(FINCBTAX=income, SALARYX=salary, NO_EARNR=earners, EARNER=works)
    # nobody answered; nobody works, so 0 can be true; wage unknown and little else; wage known; another one works
    assert np.isnan(ce.income(survey))[:6].tolist() == [True, False, True, False, True, False]
    rank = ce.income_rank(survey)
    assert np.isnan(rank).sum() == 3
    known = ~np.isnan(rank)
    assert np.average(rank[known], weights=survey.weights()[known]) == pytest.approx(0.5)


def test_imputed_income_of_a_release_goes_before() -> None:
    survey = units(FINCBTXM=np.full(60, 7.0), FINCBTAX=np.zeros(60))
    assert (ce.income(survey) == 7).all()


def test_incomes_of_several_years_are_not_ranked(cps: Survey) -> None:
    with pytest.raises(SurveyError, match=r"the donor can't give 'income_rank'.*dollars of several years"):
        WALK.harmonise(replace_survey(units(), dollars=None), cps, 2014)


def test_income_of_the_cps_is_ranked_in_one_years_prices(cps: Survey) -> None:
    _, receiver = WALK.harmonise(units(), cps, 2014)
    year = receiver.numbers("FLPDYR")
    security = receiver.numbers("e02400")
    cash = [c for c in receiver.columns if c in ("e00200", "e00900", "e02100", "e00300", "e00400", "e00600")]
    cash += ["e00800", "e01400", "e01500", "e02300", "ssi_ben", "tanf_ben", "snap_ben"]
    alone = (security > 0) & np.all([receiver.numbers(c) == 0 for c in cash], axis=0)
    money = security * np.array([price_factor(int(y), 2014) for y in year])
    order = np.argsort(money[alone], kind="stable")
    assert alone.sum() > 50
    assert len(set(year[alone])) == 3
    assert (np.diff(receiver.numbers("income_rank")[alone][order]) >= 0).all()
    assert np.average(receiver.numbers("income_rank"), weights=receiver.weights()) == pytest.approx(0.5)


def test_regions_cover_every_state_once(cps: Survey) -> None:
    found = census_region(np.arange(1.0, 57.0))
    assert np.isnan(found).sum() == 5  # 3, 7, 14, 43 and 52 are no states
    assert [int((found == r).sum()) for r in (1, 2, 3, 4)] == [9, 12, 17, 13]
    assert census_region(np.array([36.0, 17.0, 48.0, 6.0])).tolist() == [1, 2, 3, 4]
    _, receiver = WALK.harmonise(units(), cps, 2014)
    assert set(receiver.frame["region"].to_list()) == {"Northeast", "Midwest", "South", "West"}


def test_a_release_gets_its_own_categories(cps: Survey) -> None:
    donor = units()
    assert WALK.defaults(donor) == (ce.RECORDS_TARGETS, ce.RECORDS_RULES)
    release = donor.with_columns({c: np.ones(60) for c in ce.RELEASE_TARGETS if c not in donor.columns})
    assert WALK.defaults(release) == (ce.RELEASE_TARGETS, ce.RELEASE_RULES)
    assert len(ce.RELEASE_TARGETS) == 31
    assert WALK.defaults(release.with_columns({"unallocated": np.ones(60)}))[0][-1] == "unallocated"


def test_donors_without_a_bridge_are_left_out_and_counted() -> None:
    liquid = np.arange(60.0)
    liquid[:20] = np.nan
    donor = WALK.with_bridges(units(LIQUIDX=liquid), ["owner", "liquid_assets"])
    assert len(donor) == 40
    assert donor.notes[-1] == "bridges owner, liquid_assets made; 20 of 60 donors lack one: left out"
    assert np.average(donor.numbers("liquid_assets"), weights=donor.weights()) == pytest.approx(0.5)
    assert (np.diff(donor.numbers("liquid_assets")) > 0).all()
    assert (donor.numbers("owner") == (donor.numbers("CUTENURE") <= 3)).all()
    assert len(WALK.with_bridges(units(LIQUIDX=liquid), ["owner"])) == 60


def test_who_owns_no_stocks_is_told_from_who_was_not_asked() -> None:
    stocks, liquid, accounts = np.full(60, np.nan), np.full(60, 5.0), np.full(60, 5.0)
    stocks[0] = 700.0
    liquid[2] = accounts[2] = np.nan
    donor = WALK.with_bridges(units(STOCKX=stocks, LIQUIDX=liquid, IRAX=accounts), ["stocks_funds_bonds"])
    assert len(donor) == 59
    assert donor.numbers("stocks_funds_bonds").argmax() == 0
    assert len(set(donor.numbers("stocks_funds_bonds"))) == 2


def test_bridges_that_cannot_be_had_are_refused(cps: Survey) -> None:
    with pytest.raises(SurveyError, match=r"has no bridge 'liquid'.*liquid_assets"):
        WALK.with_bridges(units(), ["liquid"])
    with pytest.raises(SurveyError, match="no donor has all of the bridges"):
        WALK.with_bridges(units(LIQUIDX=np.full(60, np.nan)), ["liquid_assets"])
    with pytest.raises(FusionError, match="is made from scf, not from sipp"):
        declared_bridges(WALK, "sipp", units(), cps, ["owner"])


def test_declared_bridges_are_made_of_targets_of_the_scf() -> None:
    """All but food are of wealth, which is imputed unless one says otherwise; the caveat says how food is had."""
    for bridge in WALK.bridges:
        if bridge.name == "food_spending":
            assert bridge.earlier == FOOD
            assert str(list(FOOD)).replace("'", '"') in bridge.caveat
        else:
            assert set(bridge.earlier) <= set(SCFToCPSTaxUnits().targets)


def test_food_is_a_bridge_by_rank_whatever_the_file_calls_it(cps: Survey) -> None:
    donor = WALK.with_bridges(units(), ["food_spending"])
    assert len(donor) == 60
    np.testing.assert_allclose(
        donor.numbers("food_spending"), weighted_rank(donor.numbers("food"), donor.weights()), rtol=1e-12
    )
    food = units().numbers("food")
    parts = units().with_columns({"food_home": 0.7 * food, "food_away": 0.3 * food})
    parts = replace_survey(parts, frame=parts.frame.drop("food"))
    same = WALK.with_bridges(parts, ["food_spending"]).numbers("food_spending")
    np.testing.assert_allclose(same, donor.numbers("food_spending"), atol=1e-9)
    (bridge,) = declared_bridges(WALK, "scf", donor, cps, ["food_spending"])
    amounts = {"FOODHOME": np.arange(len(cps)) + 9.0, "FOODAWAY": np.ones(len(cps)), "FOODDELV": np.ones(len(cps))}
    got = bridge.formula(amounts)
    assert (np.diff(got) >= 0).all()
    assert got.max() > 0.9


def test_who_reports_none_in_the_ce_is_like_the_poorest_of_the_scf(cps: Survey) -> None:
    """A quarter of the donors report no liquid assets; one household in fifty of the receivers has none."""
    liquid = np.where(np.arange(60) < 15, 0.0, np.arange(60.0))
    donor = WALK.with_bridges(units(LIQUIDX=liquid), ["liquid_assets"])
    (bridge,) = declared_bridges(WALK, "scf", donor, cps, ["liquid_assets"])
    own = np.arange(len(cps), dtype=np.float64)
    got = bridge.formula({"LIQ": np.where(own < len(cps) / 50, 0.0, own), "CDS": np.zeros(len(cps))})
    assert "Ranks below those that the donor can tell apart count as its lowest" in bridge.caveat
    least = donor.numbers("liquid_assets").min()
    poor = ranks(own, cps.weights()) < 2 * least
    assert 0.2 < poor.mean() < 0.3
    assert set(got[poor]) == {least}
    assert np.allclose(got[~poor], ranks(own, cps.weights())[~poor])


def test_bridges_carry_wealth_into_spending(cps: Survey) -> None:
    """Spending follows liquid assets alone in the donor: only a bridge can hand that on."""
    liquid = np.random.default_rng(3).lognormal(8, 2, 3000)
    food = 1000 * (1 + 9 * weighted_rank(liquid, np.ones(3000)))
    spending = {c: np.zeros(3000) for c in ce.RECORDS_TARGETS} | {"food": food, "total": food}
    donor = units(3000, LIQUIDX=liquid, **spending)
    keep = np.zeros(len(cps), dtype=bool)
    keep[:500] = True
    few = replace_survey(cps, frame=cps.frame.filter(keep.tolist()))
    wealth, seen = SCFToCPSTaxUnits().harmonise(SCF().read(bundled("scf_2019_sample.parquet")), few, 2014)
    walk = SCFToCPSTaxUnits()
    first = Stage("wealth", wealth, ("LIQ", "CDS"), walk.predictors, receiver=seen)
    with_predictors, theirs = WALK.harmonise(donor, few, 2014)
    found = {}
    for names in ((), ("liquid_assets",)):
        ours = WALK.with_bridges(with_predictors, names)
        bridges = declared_bridges(WALK, "scf", ours, few, names)
        second = Stage("spending", ours, ("food",), WALK.predictors, bridges=bridges, receiver=theirs)
        fused = fuse(few, [first, second], m=1, seed=1, workers=1)
        money = fused.imputations.numbers("LIQ")[0] + fused.imputations.numbers("CDS")[0]
        got = [ranks(v, few.weights()) for v in (money, fused.imputations.numbers("food")[0])]
        found[names] = np.corrcoef(*got)[0, 1]
        assert fused.imputations.manifest["pairs"][0]["bridged_by"] == list(names)
    assert abs(found[()]) < 0.2  # two standard errors of a correlation of 500 are 0.09
    assert found[("liquid_assets",)] > 0.9


def test_registry() -> None:
    assert isinstance(crosswalk("cex_to_cps_tax_units"), CEXToCPSTaxUnits)
