"""The CPS connector on the published file, on hand-made households and on bad files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.survey import Survey
from microimpute.surveys.base import connector
from microimpute.surveys.cps_tax_units import FAMILY, REQUIRED, CPSTaxUnits


@pytest.fixture(scope="module")
def published(shared: Path) -> Survey:
    return CPSTaxUnits().read(shared / "data" / "cps_taxcalc" / "cps.csv.gz")


def test_published_figures(published: Survey) -> None:
    assert len(published) == 200_576
    assert published.weights().sum() == pytest.approx(123.343e6, rel=1e-5)
    assert published.numbers("tax_units").sum() == 280_005
    assert {c.figure: c.passed for c in published.checks} == dict.fromkeys((c.figure for c in published.checks), True)
    assert len(published.checks) == 5
    assert len(np.unique(published.row_keys())) == 200_576
    assert any("15,908 households" in note for note in published.notes)
    assert any("SNAP of 8,736 households" in note for note in published.notes)
    assert set(published.columns) == set(CPSTaxUnits.variables)


def test_concepts_near_the_census_bureaus(published: Survey) -> None:
    weight = published.weights()
    assert np.average(published.numbers("married"), weights=weight) == pytest.approx(0.483, abs=0.002)
    assert np.average(published.numbers("persons"), weights=weight) == pytest.approx(2.50, abs=0.02)
    assert np.average(published.numbers("partner"), weights=weight) == pytest.approx(0.076, abs=0.002)


def unit(**values: int) -> dict[str, int]:
    """A tax unit of household 1 of 2013: a lone adult of 40 unless said otherwise."""
    base = dict.fromkeys(REQUIRED, 0) | {
        "FLPDYR": 2013,
        "h_seq": 1,
        "ffpos": 1,
        "a_lineno": 1,
        "s006": 10_000,
    }
    return base | {"fips": 6, "MARS": 1, "XTOT": 1, "age_head": 40} | values


def one_household(tmp_path: Path, *units: dict[str, int]) -> dict[str, float]:
    path = tmp_path / "cps.csv"
    pd.DataFrame(list(units)).sample(frac=1.0, random_state=1).to_csv(path, index=False)
    survey = CPSTaxUnits().read(path)
    assert len(survey) == 1
    return {c: float(survey.numbers(c)[0]) for c in survey.columns}


def test_units_are_put_together(tmp_path: Path) -> None:
    home = one_household(
        tmp_path,
        unit(MARS=2, XTOT=4, nu18=2, age_spouse=42, e00200=50_000, snap_ben=900),
        unit(a_lineno=5, age_head=17, DSI=1, nu18=1, e00200=2_000, snap_ben=900),
        unit(a_lineno=6, age_head=22, e00200=10_000, snap_ben=900, s006=12_000),
        unit(ffpos=2, a_lineno=7, age_head=30, e00200=7_000, snap_ben=900),
    )
    assert home["household_weight"] == 100.0
    assert (home["tax_units"], home["persons"], home["family_persons"], home["nu18"]) == (4, 7, 6, 3)
    assert (home["e00200"], home["family_e00200"]) == (69_000, 62_000)
    assert home["snap_ben"] == 900
    assert home["family_children"] == 4
    assert (home["married"], home["partner"], home["age_partner"]) == (1, 0, 0)
    assert (home["age_head"], home["age_spouse"]) == (40, 42)


def test_likely_partner(tmp_path: Path) -> None:
    partner = unit(ffpos=2, a_lineno=2, age_head=45, XTOT=2, nu18=1, e02400=500)
    home = one_household(tmp_path, unit(), partner)
    assert (home["partner"], home["age_partner"], home["family_children"]) == (1, 45, 1)
    assert home["family_e02400"] == 500


@pytest.mark.parametrize(
    "others",
    [
        [unit(ffpos=2, a_lineno=2, age_head=60)],
        [unit(ffpos=1, a_lineno=2, age_head=45)],
        [unit(ffpos=2, a_lineno=2, age_head=40, MARS=2, XTOT=2)],
        [unit(ffpos=2, a_lineno=2, age_head=40), unit(ffpos=3, a_lineno=3, age_head=41)],
    ],
    ids=["too old", "relative", "married", "two of them"],
)
def test_who_is_no_partner(others: list[dict[str, int]], tmp_path: Path) -> None:
    assert one_household(tmp_path, unit(), *others)["partner"] == 0


def test_head_is_an_adult_of_the_first_family(tmp_path: Path) -> None:
    home = one_household(tmp_path, unit(age_head=15, DSI=1), unit(a_lineno=2, age_head=70, s006=30_000))
    assert home["age_head"] == 70
    assert home["household_weight"] == 300.0


def test_parquet_and_csv_give_the_same(tmp_path: Path) -> None:
    sample = bundled("cps_2013_2015_sample.parquet")
    pd.read_parquet(sample).to_csv(tmp_path / "cps.csv.gz", index=False)
    first, second = CPSTaxUnits().read(sample), CPSTaxUnits().read(tmp_path / "cps.csv.gz")
    for column in ("h_seq", "household_weight", "family_e00200", "family_children"):
        np.testing.assert_array_equal(first.numbers(column), second.numbers(column))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="there is no file"):
        CPSTaxUnits().read(tmp_path / "cps.csv.gz")


def test_truncated_file(shared: Path, tmp_path: Path) -> None:
    whole = (shared / "data" / "cps_taxcalc" / "cps.csv.gz").read_bytes()
    (tmp_path / "cps.csv.gz").write_bytes(whole[:300_000])
    with pytest.raises(SurveyError, match=r"can't be read.*cut off"):
        CPSTaxUnits().read(tmp_path / "cps.csv.gz")


def test_web_page(tmp_path: Path) -> None:
    (tmp_path / "cps.csv.gz").write_text("<html><body>Sign in</body></html>")
    with pytest.raises(SurveyError, match="web page"):
        CPSTaxUnits().read(tmp_path / "cps.csv.gz")


def test_wrong_file(tmp_path: Path) -> None:
    pd.DataFrame([unit()]).drop(columns=["h_seq", "ffpos"]).to_csv(tmp_path / "puf.csv", index=False)
    with pytest.raises(SurveyError, match="no column h_seq, ffpos"):
        CPSTaxUnits().read(tmp_path / "puf.csv")


def test_no_rows(tmp_path: Path) -> None:
    pd.DataFrame([unit()]).iloc[:0].astype("int64").to_parquet(tmp_path / "cps.parquet")
    with pytest.raises(SurveyError, match="no rows"):
        CPSTaxUnits().read(tmp_path / "cps.parquet")


@pytest.mark.parametrize("bad", [0.5, None, "a lot"])
def test_values_that_are_no_whole_numbers(bad: object, tmp_path: Path) -> None:
    pd.DataFrame([unit(), unit(h_seq=2) | {"e00200": bad}]).to_csv(tmp_path / "cps.csv", index=False)
    with pytest.raises(SurveyError, match="'e00200' holds gaps or something else than whole numbers"):
        CPSTaxUnits().read(tmp_path / "cps.csv")


def test_unknown_option() -> None:
    with pytest.raises(SurveyError, match="no option 'year'"):
        CPSTaxUnits().read(bundled("cps_2013_2015_sample.parquet"), year=2013)


def test_registry_finds_it() -> None:
    assert isinstance(connector("cps_tax_units"), CPSTaxUnits)
    assert {f"family_{c}" for c in FAMILY} <= set(CPSTaxUnits.variables)
