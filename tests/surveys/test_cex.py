"""The Interview's release: made up in the genuine layout, read both ways, and spoilt."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ce_made import Change, uccs, write_release

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.readers.ce_columns import PUBLISHED, REPLICATES
from microimpute.readers.ce_rows import months_in_year
from microimpute.readers.ce_spending import INTERVIEW
from microimpute.survey import Survey
from microimpute.surveys.base import connector
from microimpute.surveys.cex import CEX

Made = tuple[Path, Mapping[str, pd.DataFrame]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("ce") / "intrvw21.zip"
    return path, write_release(path)


@pytest.fixture(scope="module")
def survey(made: Made) -> Survey:
    return CEX().read(made[0])


def long(tables: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All family records, and all lines of spending of 2021 with their category."""
    families = pd.concat([t for n, t in tables.items() if n.startswith("fmli")], ignore_index=True)
    lines = pd.concat([t for n, t in tables.items() if n.startswith("mtbi")], ignore_index=True)
    known = uccs()
    lines = lines.merge(known, left_on="UCC", right_on="ucc")
    lines = lines[lines["REF_YR"].eq(2021) & lines["category"].ne("")]
    return families, lines.assign(cost=lines["COST"] * lines["factor"])


def test_the_bureaus_annual_mean(made: Made, survey: Survey) -> None:
    """Sums of weight × spending of the year over FINLWT21 / 4 × months in scope / 3, added up in another way here."""
    families, lines = long(made[1])
    weight = families.set_index("NEWID")["FINLWT21"]
    scope = families.assign(
        months=np.select(
            [families["QINTRVYR"].eq(2021) & families["QINTRVMO"].le(3), families["QINTRVYR"].eq(2022)],
            [families["QINTRVMO"] - 1, 4 - families["QINTRVMO"]],
            3,
        )
    )
    population = float((scope["FINLWT21"] / 4 * scope["months"] / 3).sum())
    assert survey.weights().sum() == pytest.approx(population, rel=1e-12)
    assert population == pytest.approx(133.6e6, rel=0.02)
    for category in ("food_home", "electricity", "insurance_pensions"):
        of = lines[lines["category"].eq(category)]
        # four quarters' weights each add up to the population, so a year's mean sums quarters as they are
        expected = float((of["cost"] * weight.loc[of["NEWID"]].to_numpy()).sum()) / population
        found = np.average(survey.numbers(category), weights=survey.weights())
        assert found == pytest.approx(expected, rel=1e-9)


def test_parts_add_up_to_the_total_on_every_row(survey: Survey) -> None:
    parts = np.sum([survey.numbers(c) for c in INTERVIEW], axis=0)
    np.testing.assert_array_equal(
        survey.numbers("total"), np.column_stack([survey.numbers(c) for c in INTERVIEW]).sum(axis=1)
    )
    np.testing.assert_allclose(survey.numbers("total"), parts, rtol=1e-12)


@pytest.mark.parametrize("period", ["calendar", "collection"])
def test_summary_variables_give_the_same(period: str, made: Made) -> None:
    ucc, summary = (CEX().read(made[0], spending=s, period=period) for s in ("ucc", "summary"))
    assert len(ucc) == {"calendar": 224, "collection": 192}[period]
    for column in ("total", *INTERVIEW):
        np.testing.assert_allclose(ucc.numbers(column), summary.numbers(column), atol=1e-3)
    assert np.abs(summary.numbers("unallocated")).max() == 0
    assert ucc.weights().sum() == pytest.approx(133.6e6, rel=0.02)
    assert set(ucc.numbers("months")) == ({1, 2, 3} if period == "calendar" else {3})


def test_spending_that_no_category_has_is_shown(made: Made, tmp_path: Path) -> None:
    more = {"fmli212": lambda t: t.assign(TOTEX4CQ=t["TOTEX4CQ"] + 10.0)}
    write_release(tmp_path / "intrvw21.zip", changes=more)
    read = CEX().read(tmp_path / "intrvw21.zip", spending="summary")
    second = (read.numbers("QINTRVMO") - 1) // 3 == 1
    np.testing.assert_allclose(read.numbers("unallocated")[second], 40.0)
    assert set(read.numbers("unallocated")[read.numbers("YEAR") == 2022]) == {0.0}


def test_design(survey: Survey) -> None:
    assert (survey.weight, survey.keys, survey.household) == ("WEIGHT", ("NEWID",), ("CUID",))
    assert (survey.dollars, survey.unit, survey.replicate_rule) == (2021, "interview", "ce")
    assert survey.kinds["EDUC_REF"] is Kind.ORDINAL
    assert survey.kinds["food_home"] is Kind.SEMICONTINUOUS
    assert set(survey.columns) <= set(CEX.variables)
    assert survey.labels["childcare"].endswith("dollars a year")
    first = survey.checks[0]
    assert (first.figure, first.passed) == ("consumer units, millions", True)
    assert first.published == pytest.approx(PUBLISHED[2021][0] / 1e3)
    liquid = survey.numbers("LIQUIDX")
    assert np.isfinite(liquid[survey.numbers("INTERVIEW") == 4]).all()
    assert np.isnan(liquid[survey.numbers("INTERVIEW") != 4]).all()


def test_half_samples_make_a_variance(made: Made, survey: Survey) -> None:
    replicates = survey.replicated()
    assert replicates.replicates.shape == (224, 44)
    newid = survey.numbers("NEWID")
    families = pd.concat([t for n, t in made[1].items() if n.startswith("fmli")]).set_index("NEWID").loc[newid]
    scope = survey.numbers("months") / 12
    expected = families[list(REPLICATES)].fillna(0.0).to_numpy() * scope[:, None]
    np.testing.assert_allclose(replicates.replicates, expected, rtol=1e-12)
    assert 0.4 < (expected == 0).mean() < 0.6


def test_consumer_units_keep_the_means(made: Made, survey: Survey) -> None:
    units = CEX().read(made[0], unit="consumer unit")
    assert len(units) == len(np.unique(survey.numbers("CUID"))) == 92
    assert units.weights().sum() == pytest.approx(survey.weights().sum())
    assert units.numbers("months").max() <= 12
    for column in ("total", "alcohol"):
        means = [np.average(s.numbers(column), weights=s.weights()) for s in (survey, units)]
        assert means[0] == pytest.approx(means[1], rel=1e-12)
    np.testing.assert_allclose(
        units.replicated().replicates.sum(axis=0), survey.replicated().replicates.sum(axis=0), rtol=1e-12
    )
    last = pd.DataFrame({c: survey.numbers(c) for c in ("CUID", "INTERVIEW", "AGE_REF")}).sort_values(
        ["CUID", "INTERVIEW"]
    )
    np.testing.assert_array_equal(units.numbers("AGE_REF"), last.groupby("CUID")["AGE_REF"].last())


def test_implicates_of_income(made: Made, survey: Survey) -> None:
    five = CEX().read(made[0], implicates=True)
    assert np.unique(five.implicates(), return_counts=True)[1].tolist() == [224] * 5
    assert five.weights().sum() == pytest.approx(survey.weights().sum())
    families = pd.concat([t for n, t in made[1].items() if n.startswith("fmli")]).set_index("NEWID")
    third = five.implicates() == 3
    np.testing.assert_array_equal(
        five.numbers("FINCBTX")[third], families.loc[five.numbers("NEWID")[third], "FINCBTX3"]
    )
    assert "FINCBTX1" not in five.columns


def test_prices(made: Made, survey: Survey) -> None:
    newer = CEX().read(made[0], dollars=2022)
    assert newer.dollars == 2022
    for column in ("total", "FINCBTXM", "gasoline"):
        np.testing.assert_allclose(newer.numbers(column), survey.numbers(column) * 292.655 / 270.970, rtol=1e-6)


def test_a_folder_quotes_and_the_later_layout_give_the_same(survey: Survey, tmp_path: Path) -> None:
    write_release(tmp_path / "intrvw21.zip", quoted=True, later_layout=True)
    with zipfile.ZipFile(tmp_path / "intrvw21.zip") as archive:
        archive.extractall(tmp_path / "folder")
    for path in (tmp_path / "intrvw21.zip", tmp_path / "folder"):
        read = CEX().read(path)
        np.testing.assert_allclose(read.numbers("total"), survey.numbers("total"), rtol=1e-12)
        np.testing.assert_array_equal(read.numbers("AGE_REF"), survey.numbers("AGE_REF"))


def test_months_of_the_year() -> None:
    when = np.repeat([2021, 2022], 12)
    month = np.tile(np.arange(1, 13), 2)
    assert months_in_year(when, month, 2021).tolist() == [0, 1, 2, *[3] * 10, 2, 1, *[0] * 9]


def spoilt(tmp_path: Path, name: str, change: Change, **options: Any) -> Survey:
    path = tmp_path / "intrvw21.zip"
    write_release(path, changes={name: change})
    return CEX().read(path, **options)


GROUPING = (
    "1  1  Average annual expenditures                                    TOTALEXP  G  1  EXPEND  \n"
    "1  2    Education                                                    EDUCATN   G  1  EXPEND  \n"
    "1  3      Babysitting, childcare, day care, and preschool            670320    I  1  EXPEND  \n"
)


def replace_ucc(count: int) -> Change:
    return lambda t: t.assign(UCC=np.where(np.arange(len(t)) < count, "670320", t["UCC"]))


def test_unknown_uccs_are_listed(tmp_path: Path) -> None:
    read = spoilt(tmp_path, "mtbi213", replace_ucc(20))
    (note,) = [n for n in read.notes if "670320" in n]
    assert "670320 (20 lines," in note
    with pytest.raises(
        SurveyError, match=r"of dollars have UCCs that no grouping knows: 670320 \(3,000 lines.*grouping="
    ):
        spoilt(tmp_path, "mtbi213", replace_ucc(3000))


def test_lines_without_a_ucc_are_listed(tmp_path: Path) -> None:
    read = spoilt(
        tmp_path, "mtbi213", lambda t: t.assign(UCC=t["UCC"].where(t.index >= 12), COST=t["COST"].where(t.index < 2990))
    )
    assert any("no grouping knows these UCCs: none (12 lines," in n for n in read.notes)
    assert "10 lines without an amount count as 0" in read.notes


def test_a_grouping_makes_them_known(tmp_path: Path) -> None:
    (tmp_path / "CE-HG-Inter-2023.txt").write_text(GROUPING)
    read = spoilt(tmp_path, "mtbi213", replace_ucc(3000), grouping=tmp_path / "CE-HG-Inter-2023.txt")
    third = (read.numbers("QINTRVMO") - 1) // 3 == 2
    assert read.numbers("education")[third].sum() > 0


def test_lines_of_nobody(tmp_path: Path) -> None:
    def others(count: int) -> Change:
        return lambda t: t.assign(NEWID=np.where(np.arange(len(t)) < count, 77, t["NEWID"]))

    read = spoilt(tmp_path, "mtbi213", others(30))
    assert any(n.startswith("30 lines (") and "1 NEWIDs belong to no interview" in n for n in read.notes)
    with pytest.raises(SurveyError, match=r"600 of [\d,]+ lines of expenditure \(5\.\d%\) have a NEWID that no family"):
        spoilt(tmp_path, "mtbi213", others(600))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "fmli213",
            lambda t: t.rename(columns={"FINLWT21": "FINALWT"}),
            "fmli213.csv in intrvw21.zip has no column FINLWT21",
        ),
        ("mtbi221", lambda t: t.rename(columns={"COST": "AMOUNT"}), "mtbi221.csv in intrvw21.zip has no column COST"),
        ("fmli212", lambda t: t.drop(columns=["WTREP44"]), "has no column WTREP44"),
        ("fmli212", lambda t: t.assign(QINTRVYR=2019), "48 interviews that are not of 2021Q2"),
        (
            "fmli212",
            lambda t: pd.concat([t, t.head(3)]),
            r"3 interviews \(NEWID\) stand in the family files more than once",
        ),
        ("fmli212", lambda t: t.assign(FINLWT21="heavy"), "can't be read"),
        ("fmli212", lambda t: t.assign(FINLWT21=np.nan), "column FINLWT21 of .* holds 48 gaps"),
    ],
)
def test_spoilt_tables(name: str, change: Change, message: str, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=message):
        spoilt(tmp_path, name, change)


def test_without_replicates(tmp_path: Path) -> None:
    read = spoilt(tmp_path, "fmli212", lambda t: t.drop(columns=["WTREP44"]), replicates=False)
    assert read.replicates == ()


def test_missing_quarters(tmp_path: Path) -> None:
    path = tmp_path / "intrvw21.zip"
    write_release(path, leave_out=("fmli221", "mtbi221"))
    with pytest.raises(SurveyError, match="has no fmli file of 2022Q1"):
        CEX().read(path)
    assert len(CEX().read(path, period="collection")) == 192
    write_release(path, leave_out=("mtbi212",))
    with pytest.raises(SurveyError, match="has no mtbi file of 2021Q2"):
        CEX().read(path)
    assert len(CEX().read(path, spending="summary")) == 224


def test_wrong_and_mixed_years(made: Made, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=r"intrvw21.zip is of 2021, not of 2020"):
        CEX().read(made[0], year=2020)
    mixed = tmp_path / "mixed.zip"
    mixed.write_bytes(made[0].read_bytes())
    with zipfile.ZipFile(mixed, "a") as archive:
        archive.writestr("intrvw19/fmli234.csv", "NEWID\n1\n")
    with pytest.raises(SurveyError, match="mixes years: beside 2021 it holds 2023Q4"):
        CEX().read(mixed)
    with zipfile.ZipFile(mixed, "a") as archive:
        archive.writestr("copy/fmli212.csv", "NEWID\n1\n")
    with pytest.raises(SurveyError, match="two files of one quarter"):
        CEX().read(mixed)


def test_broken_files(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "intrvw21.zip"
    with pytest.raises(SurveyError, match="there is no file"):
        CEX().read(path)
    whole = made[0].read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SurveyError, match=r"can't be unpacked.*cut off"):
        CEX().read(path)
    path.write_bytes(whole[:40_000] + bytes(3_000) + whole[43_000:])
    with pytest.raises(SurveyError, match=r"can't be read.*cut off"):
        CEX().read(path)
    path.write_text("<!DOCTYPE html><html>Access denied</html>")
    with pytest.raises(SurveyError, match="web page"):
        CEX().read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(SurveyError, match="holds no fmli"):
        CEX().read(path)


def test_the_diary_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "diary21.zip", "w") as archive:
        archive.writestr("diary21/fmld211.csv", "NEWID\n1\n")
    with pytest.raises(SurveyError, match=r"is of the Diary, not of the Interview.*'cex_diary'"):
        CEX().read(tmp_path / "diary21.zip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "household"}, "option 'unit' is 'household'"),
        ({"replicates": "no"}, "option 'replicates' is 'no'"),
        ({"implicates": 1}, "option 'implicates' is 1"),
        ({"share": 0.6}, "option 'share' does not go with intrvw21.zip"),
        ({"weight": "x"}, "no option 'weight'"),
        ({"year": "2021"}, "option 'year'"),
    ],
)
def test_options(options: dict[str, Any], message: str, made: Made) -> None:
    with pytest.raises(SurveyError, match=message):
        CEX().read(made[0], **options)


def test_registry_finds_it() -> None:
    assert isinstance(connector("cex"), CEX)


def test_codes_of_years_without_a_grouping_are_told(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "intrvw23.zip"
    write_release(path, 2023)
    told = [n for n in CEX().read(path).notes if "codes of 2023 may differ" in n]
    assert len(told) == 1
    assert not any("may differ" in n for n in (*CEX().read(made[0]).notes, *CEX().read(path, spending="summary").notes))
