"""The Interview's family records of the package rpms: the files at hand, small ones by hand, and bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from microimpute.errors import SurveyError
from microimpute.fusion import Fusion
from microimpute.rules import parse_all
from microimpute.survey import Survey
from microimpute.surveys.cex import CEX

PARTS = ("food", "housing_outlays", "health", "tobacco", "footwear", "other")
PANEL, QUARTER = "fmli_2013q3_2016q1_subset.csv.gz", "fmli_2014q1_subset.csv.gz"


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "data" / "ce_interview"


@pytest.fixture(scope="module")
def panel(folder: Path) -> Survey:
    return CEX().read(folder / PANEL)


def mean(survey: Survey, column: str) -> float:
    return float(np.average(survey.numbers(column), weights=survey.weights()))


def test_published_figures(panel: Survey) -> None:
    assert len(panel) == 25_581
    assert [(c.figure, c.passed) for c in panel.checks] == [
        ("consumer units, millions", True),
        ("mean total expenditures", True),
    ]
    assert mean(panel, "total") == pytest.approx(50_543, abs=1)
    # 2014 and 2015, integrated tables: health care 4,290 and 4,342; tobacco 319 and 349
    assert mean(panel, "health") == pytest.approx(4_316, rel=0.11)
    assert mean(panel, "tobacco") == pytest.approx(334, rel=0.06)
    assert mean(panel, "FAM_SIZE") == pytest.approx(2.5, abs=0.05)


def test_what_was_left_out_is_counted(panel: Survey) -> None:
    told = " | ".join(panel.notes)
    assert "quarters 2013Q3 to 2016Q1, 10 of them in the file" in told
    assert "a second copy of months 2, 3 of 2015 with other weights, 2,512 rows (1,638 of them" in told
    assert "12,936 interviews of January, April, July or October know no spending" in told
    assert "weights are divided by 0.6" in told
    assert panel.dollars is None
    assert "money is in dollars of each interview's own year, 2013 to 2016" in told


def test_one_population_in_every_quarter(panel: Survey) -> None:
    """Weights of one quarter add up to a tenth of the population; those of February and March 2015 too."""
    quarter = panel.numbers("YEAR") * 10 + (panel.numbers("QINTRVMO") - 1) // 3
    sums = np.array([panel.weights()[quarter == q].sum() for q in np.unique(quarter)])
    assert len(sums) == 10
    np.testing.assert_allclose(sums, 12.76e6, rtol=0.08)
    assert sorted(set(panel.numbers("YEAR"))) == [2013, 2014, 2015, 2016]
    assert len(np.unique(panel.row_keys())) == len(panel)


def test_one_month_and_two_months_give_the_same_year(panel: Survey) -> None:
    months, total, weight = panel.numbers("months"), panel.numbers("total"), panel.weights()
    one, two = (np.average(total[months == m], weights=weight[months == m]) for m in (1, 2))
    assert set(months) == {1, 2}
    assert one == pytest.approx(two, rel=0.03)


def test_parts_add_up(panel: Survey) -> None:
    (rule,) = parse_all([f"total = {' + '.join(PARTS)}"])
    assert not rule.broken({c: panel.numbers(c) for c in rule.columns}).any()
    assert (panel.numbers("other") < 0).mean() < 0.02
    assert (panel.numbers("food") >= 0).all()


def test_wealth_is_missing_where_it_was_not_asked(panel: Survey) -> None:
    known = np.isfinite(panel.numbers("LIQUIDX"))
    assert set(panel.numbers("INTERVIEW")[known]) == {4, 5}
    assert 0.1 < known.mean() < 0.2


def test_consumer_units(folder: Path, panel: Survey) -> None:
    units = CEX().read(folder / PANEL, unit="consumer unit")
    assert len(units) == len(np.unique(panel.numbers("CUID")))
    assert units.keys == ("CUID",)
    for column in ("total", "food", "other"):
        assert mean(units, column) == pytest.approx(mean(panel, column), rel=1e-12)
    assert units.weights().sum() == pytest.approx(panel.weights().sum())
    (rule,) = parse_all([f"total = {' + '.join(PARTS)}"])
    assert not rule.broken({c: units.numbers(c) for c in rule.columns}).any()
    assert np.isfinite(units.numbers("LIQUIDX")).sum() == len(
        np.unique(panel.numbers("CUID")[np.isfinite(panel.numbers("LIQUIDX"))])
    )


def test_dollars_of_one_year(folder: Path, panel: Survey) -> None:
    same = CEX().read(folder / PANEL, dollars=2014)
    assert same.dollars == 2014
    now, then = same.numbers("total"), panel.numbers("total")
    for year, level in ((2013, 232.957), (2014, 236.736), (2015, 237.017), (2016, 240.007)):
        of = panel.numbers("YEAR") == year
        np.testing.assert_allclose(now[of], then[of] * 236.736 / level, rtol=1e-5)


def test_the_quarter_takes_months_from_the_panel(folder: Path) -> None:
    read = CEX().read(folder / QUARTER, months_from=folder / PANEL)
    assert len(read) == 2_591
    assert any("months of 3,594 interviews are those of the same consumer units" in n for n in read.notes)
    # 2014, integrated tables: gasoline 2,468; consumer units 127.0 million
    assert mean(read, "gasoline") == pytest.approx(2_468, rel=0.03)
    assert read.checks[0].passed
    # a month that is found is right: nobody has spent in the first month, nearly all in the others
    raw = pd.read_csv(folder / QUARTER)
    gone = raw.loc[~raw["NEWID"].isin(read.numbers("NEWID")), ["FDHOMECQ", "FDAWAYCQ", "GASMOCQ"]]
    assert (gone.sum(axis=1) > 0).mean() < 0.005
    assert ((read.numbers("food_home") + read.numbers("food_away")) > 0).mean() > 0.98


def test_it_is_a_donor(panel: Survey) -> None:
    receiver = panel.native[["NEWID", "AGE", "FAM_SIZE"]].head(50)
    fusion = Fusion(
        panel,
        Survey(receiver, keys="NEWID"),
        targets=PARTS,
        predictors=["AGE", "FAM_SIZE"],
        rules=[f"total = {' + '.join(PARTS)}"],
    )
    assert len(fusion.donor) == len(panel)


def row(newid: int, month: int, **values: Any) -> dict[str, Any]:
    spent = {"TOTEXPCQ": 300.0, "FOODCQ": 100.0, "EHOUSNGC": 50.0}
    person = {"AGE": 40, "EDUCA": 4, "SEX": "F", "HORIGIN": "N"}
    return {
        "NEWID": newid,
        "QINTRVMO": month,
        "FINLWT21": 10.0,
        "FAM_SIZE": 2,
        "FINCBTAX": 5,
        **spent,
        **person,
    } | values


def write(tmp_path: Path, rows: list[dict[str, Any]], name: str = "fmli_2013q4.csv") -> Path:
    pd.DataFrame(rows).to_csv(tmp_path / name, index=False)
    return tmp_path / name


ROWS = [row(12, 10), row(22, 11), row(32, 12), row(13, 1), row(23, 2), row(33, 3, FINLWT21=30.0)]


def test_years_pass_and_amounts_are_a_years(tmp_path: Path) -> None:
    read = CEX().read(write(tmp_path, ROWS), share=0.5)
    assert read.numbers("YEAR").tolist() == [2013, 2013, 2014, 2014]
    assert read.numbers("total").tolist() == [3600.0, 1800.0, 3600.0, 1800.0]
    assert read.numbers("other").tolist() == [1800.0, 900.0, 1800.0, 900.0]
    assert read.weights().tolist() == [10.0, 20.0, 10.0, 60.0]  # FINLWT21 × months / 2 quarters / 0.5
    assert read.numbers("CUID").tolist() == [2, 3, 2, 3]
    units = CEX().read(tmp_path / "fmli_2013q4.csv", share=0.5, unit="consumer unit")
    assert units.numbers("months").tolist() == [2, 4]
    assert units.weights().tolist() == [20.0, 80.0]


def test_a_second_copy_goes_with_all_that_follows_it(tmp_path: Path) -> None:
    again = [*ROWS[:3], row(22, 11, FINLWT21=7.0), row(42, 11), *ROWS[3:]]
    read = CEX().read(write(tmp_path, again), share=1)
    assert read.numbers("NEWID").tolist() == [22, 32, 23, 33]
    assert any("second copy of months 11 of 2013" in n and "2 rows (1 of them" in n for n in read.notes)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fmli.csv", {}, "does not say which quarter it starts with"),
        ("fmli.csv", {"first": "autumn"}, "first is 'autumn'"),
        ("fmli_2013q3.csv", {}, "first interview is of quarter 4, not of 2013Q3"),
        ("fmli_1999q4.csv", {}, "number of consumer units of 1999 is not known"),
        ("fmli_2013q4.csv", {"share": 1.5}, "'share' is 1.5"),
        ("fmli_2013q4.csv", {"year": 2013}, "option 'year' does not go with"),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=message):
        CEX().read(write(tmp_path, ROWS, name), **options)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame(ROWS).rename(columns={"FINLWT21": "WEIGHT"}), "no column FINLWT21"),
        (pd.DataFrame(ROWS).assign(FAM_SIZE=np.nan), "column FAM_SIZE holds gaps"),
        (pd.DataFrame({"x": [1]}), "no family file of the Interview"),
    ],
)
def test_bad_files(frame: pd.DataFrame, message: str, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "fmli_2013q4.csv", index=False)
    with pytest.raises(SurveyError, match=message):
        CEX().read(tmp_path / "fmli_2013q4.csv")


def test_a_quarter_without_months(tmp_path: Path) -> None:
    one = {"NEWID": 25, "FINLWT21": 9.0, "AGE_REF": 30, "FAM_SIZE": 1, "FINCBTAX": 7, "FDHOMECQ": 8.0, "FDAWAYCQ": 2.0}
    path = write(tmp_path, [one, one | {"NEWID": 35}], "fmli_2014q2.csv")
    with pytest.raises(SurveyError, match=r"does not say in which month.*months_from="):
        CEX().read(path)
    read = CEX().read(path, months_from=write(tmp_path, ROWS), share=1)
    assert read.numbers("food_home").tolist() == [96.0, 48.0]
    write(tmp_path, [one | {"NEWID": n} for n in (7775, 8885)], "fmli_2014q2.csv")
    with pytest.raises(SurveyError, match="months of 100% of the interviews"):
        CEX().read(path, months_from=tmp_path / "fmli_2013q4.csv")
