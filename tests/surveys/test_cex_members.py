"""Members (MEMI) and incomes by UCC (ITBI) of made-up releases: added up in another way here, and spoilt."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ce_made import SOURCES, Change, write_release

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.readers.ce_incomes import INCOMES
from microimpute.readers.ce_members import MEMBERS, MEMBERS_MONEY
from microimpute.survey import Survey
from microimpute.surveys.cex import CEX

Made = tuple[Path, Mapping[str, pd.DataFrame]]
Spoilt = Callable[..., Survey]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("ce") / "intrvw21.zip"
    return path, write_release(path, with_members=True)


@pytest.fixture(scope="module")
def survey(made: Made) -> Survey:
    return CEX().read(made[0], members=True, incomes=True)


def table(made: Made, kind: str) -> pd.DataFrame:
    return pd.concat([t for n, t in made[1].items() if n.startswith(kind)], ignore_index=True)


def test_members_are_added_up(made: Made, survey: Survey) -> None:
    people = table(made, "memi").groupby("NEWID")
    newid = survey.numbers("NEWID")
    expected = {
        "members": people.size(),
        "members_under_18": people["AGE"].apply(lambda a: (a < 18).sum()),
        "members_18_to_64": people["AGE"].apply(lambda a: a.between(18, 64).sum()),
        "members_65_over": people["AGE"].apply(lambda a: (a >= 65).sum()),
        "members_earning": people["EARNER"].apply(lambda e: (e == 1).sum()),
        "members_wages": people["SALARYXM"].sum(),
        "members_wages_collected": people[["SALARYX", "SALARYBX"]].sum().sum(axis=1),
        "members_self_employment": people["SEMPFRMM"].sum(),
        "members_social_security": people["SOCRRXM"].sum(),
        "members_ssi": people["SSIXM"].sum(),
    }
    for column, values in expected.items():
        np.testing.assert_allclose(survey.numbers(column), values.loc[newid], err_msg=column)


def test_reference_person_and_spouse(made: Made, survey: Survey) -> None:
    people = table(made, "memi")
    for _, row in pd.DataFrame(
        {c: survey.numbers(c) for c in survey.columns if c in MEMBERS or c == "NEWID"}
    ).iterrows():
        own = people[people["NEWID"] == row["NEWID"]]
        head = own[own["CU_CODE"] == 1].iloc[0]
        for column, source in {"age": "AGE", "sex": "SEX", "education": "EDUCA", "race": "MEMBRACE"}.items():
            np.testing.assert_equal(row[f"reference_{column}"], head[source])
        other = own[own["CU_CODE"].isin([0, 2])]
        assert row["couple"] == len(other)
        assert row["spouse"] == (own["CU_CODE"] == 2).sum()
        assert row["partner"] == (own["CU_CODE"] == 0).sum()
        wages = other["SALARYXM"].fillna(0).iloc[0] if len(other) else 0
        assert row["spouse_wages"] == pytest.approx(wages)
        assert row["spouse_age"] == (other["AGE"].iloc[0] if len(other) else 0)
    assert {0.0, 1.0} == set(survey.numbers("partner"))


def test_identities_of_the_dictionary_are_counted(survey: Survey, spoilt: Spoilt) -> None:
    (note,) = [n for n in survey.notes if n.startswith("members against the family file")]
    for pair in ("members_wages = FSALARYM", "members_wages_collected = FSALARYX", "members = FAM_SIZE"):
        assert f"{pair} in 240 of 240" in note
    change: Change = lambda t: t.assign(  # noqa: E731
        FSALARYM=np.where(np.arange(len(t)) < 7, t["FSALARYM"] + 5, t["FSALARYM"]),
        FSALARYX=np.where(np.arange(len(t)) < 4, np.nan, t["FSALARYX"]),
    )
    read = spoilt({"fmli213": change})
    (note,) = [n for n in read.notes if n.startswith("members against the family file")]
    assert "members_wages = FSALARYM in 233 of 240" in note
    assert "members_wages_collected = FSALARYX in 236 of 236" in note


def test_incomes_are_annual(made: Made, survey: Survey) -> None:
    """Every interview's income by source is the family file's, whatever its months in scope."""
    families = table(made, "fmli").set_index("NEWID").loc[survey.numbers("NEWID")]
    assert set(survey.numbers("months")) == {1, 2, 3}
    pairs = {f"income_{n}": [v] for n, v in (("wages", "FSALARYM"), ("ssi", "FSSIXM"), ("food_stamps", "JFS_AMTM"))}
    pairs |= {"income_property": ["INTRDVXM", "NETRENTM", "ROYESTXM"], "income_other_regular": ["OTHREGXM"]}
    pairs |= {"income_before_taxes": list(SOURCES)}
    for column, variables in pairs.items():
        np.testing.assert_allclose(survey.numbers(column), families[variables].sum(axis=1), atol=0.02, err_msg=column)
    parts = np.column_stack([survey.numbers(c) for c in INCOMES if c != "income_before_taxes"])
    np.testing.assert_allclose(survey.numbers("income_before_taxes"), parts.sum(axis=1), rtol=1e-12, atol=1e-9)
    (note,) = [n for n in survey.notes if n.startswith("incomes by UCC against")]
    assert "income_before_taxes = UCC 980000 in 224 of 224" in note
    assert "income_before_taxes = FINCBTXM in 224 of 224" in note
    collected = CEX().read(made[0], incomes=True, period="collection")
    assert any("income_before_taxes = FINCBTXM in 192 of 192" in n for n in collected.notes)


def test_columns_have_kinds_and_labels(survey: Survey) -> None:
    assert {*MEMBERS, *INCOMES} <= set(survey.columns) <= set(CEX.variables)
    assert survey.kinds["members_under_18"] is Kind.COUNT
    assert survey.kinds["spouse_sex"] is Kind.CATEGORICAL
    assert survey.kinds["income_ssi"] is Kind.SEMICONTINUOUS
    assert survey.labels["income_wages"] == "wages and salaries, dollars a year"


def test_nothing_is_read_unless_asked(made: Made) -> None:
    plain = CEX().read(made[0])
    assert not {*MEMBERS, *INCOMES} & set(plain.columns)
    assert "in the release and not read: itbi, memi (memi: members=, itbi: incomes=)" in plain.notes


def test_prices_and_consumer_units(made: Made, survey: Survey) -> None:
    newer = CEX().read(made[0], members=True, incomes=True, dollars=2022)
    factor = price_factor(2021, 2022)
    for column in (*MEMBERS_MONEY, *INCOMES):
        np.testing.assert_allclose(newer.numbers(column), survey.numbers(column) * factor, atol=1e-6)
    np.testing.assert_array_equal(newer.numbers("reference_age"), survey.numbers("reference_age"))
    units = CEX().read(made[0], members=True, incomes=True, unit="consumer unit")
    last = pd.DataFrame({c: survey.numbers(c) for c in ("CUID", "INTERVIEW", "members", "income_wages")})
    last = last.sort_values(["CUID", "INTERVIEW"]).groupby("CUID").last()
    np.testing.assert_array_equal(units.numbers("members"), last["members"])
    np.testing.assert_allclose(units.numbers("income_wages"), last["income_wages"])


@pytest.fixture
def spoilt(made: Made, tmp_path: Path) -> Spoilt:
    """Read the release, as a folder, with some of its files changed; a change to None leaves a file out."""

    def read(changes: Mapping[str, Change | None], **options: bool) -> Survey:
        folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "intrvw21"
        folder.mkdir()
        with zipfile.ZipFile(made[0]) as archive:
            for name in archive.namelist():
                stem = Path(name).stem
                if stem not in changes:
                    (folder / f"{stem}.csv").write_bytes(archive.read(name))
                elif (change := changes[stem]) is not None:
                    new = change(made[1][stem])
                    (folder / f"{stem}.csv").write_bytes(
                        new if isinstance(new, bytes) else new.to_csv(index=False).encode()
                    )
        return CEX().read(folder, **(options or {"members": True, "incomes": True}))

    return read


def nobody(count: int) -> Change:
    """Put the first persons, or lines, with interviews that don't exist."""
    return lambda t: t.assign(NEWID=np.where(np.arange(len(t)) < count, 70 + np.arange(len(t)), t["NEWID"]))


def test_members_of_nobody(spoilt: Spoilt) -> None:
    read = spoilt({"memi212": nobody(2)})
    assert "2 NEWIDs of the members' files stand in no family file; their members were left out" in read.notes
    with pytest.raises(SurveyError, match=r"40 of \d+ interviews \(NEWID\) in the members' files .* in no family file"):
        spoilt({"memi212": nobody(40)})


def test_interviews_without_members(spoilt: Spoilt) -> None:
    def without(count: int) -> Change:
        return lambda t: t[~t["NEWID"].isin(t["NEWID"].unique()[-count:])]

    read = spoilt({"memi212": without(2)})
    assert "2 interviews have no members: what is made from them is missing" in read.notes
    assert int(np.isnan(read.numbers("members")).sum()) == int(np.isnan(read.numbers("couple")).sum()) == 2
    with pytest.raises(SurveyError, match=r"20 of 240 interviews .* nobody in the members' files"):
        spoilt({"memi212": without(20)})


def test_lines_of_income_of_nobody(spoilt: Spoilt) -> None:
    read = spoilt({"itbi213": nobody(5)})
    assert "5 lines of income belong to no interview of the family files: left out" in read.notes
    with pytest.raises(SurveyError, match=r"200 of [\d,]+ lines of income .* have a NEWID that no family file holds"):
        spoilt({"itbi213": nobody(200)})


def test_income_without_a_line_is_missing(spoilt: Spoilt) -> None:
    gone: Change = lambda t: t[t["NEWID"] != t["NEWID"].iloc[0]]  # noqa: E731
    read = spoilt({"itbi213": gone})
    assert "1 interviews with income have no line of it: their incomes by UCC are missing" in read.notes
    assert int(np.isnan(read.numbers("income_wages")).sum()) == 1


def test_unknown_codes_of_income(spoilt: Spoilt) -> None:
    def other(count: int) -> Change:
        rows = lambda t: (t["UCC"] == "900000").cumsum().le(count) & (t["UCC"] == "900000")  # noqa: E731
        return lambda t: t.assign(UCC=t["UCC"].mask(rows(t), "900777"))

    read = spoilt({"itbi213": other(1)})
    assert any("no grouping knows these UCCs: 900777 (" in n for n in read.notes)
    with pytest.raises(SurveyError, match=r"dollars of income .* no grouping of 2013 to 2022 knows: 900777"):
        spoilt({"itbi213": other(1000)})
    read = spoilt({"itbi213": lambda t: t.assign(PUBFLAG=np.where(t["UCC"] == "900090", 1, 2))})
    assert any("lines of income are not marked as published (PUBFLAG 2)" in n for n in read.notes)


def test_amounts_of_a_whole_year_in_each_month_are_refused(spoilt: Spoilt) -> None:
    every = [f"itbi21{q}" for q in ("1x", "2", "3", "4")] + ["itbi221"]
    with pytest.raises(SurveyError, match=r"not the family file's FINCBTXM .*median ratio 12\).*without incomes="):
        spoilt(dict.fromkeys(every, lambda t: t.assign(VALUE=t["VALUE"] * 12)), incomes=True)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("memi212", lambda t: t.drop(columns=["CU_CODE"]), "memi212.csv in intrvw21 has no column CU_CODE"),
        ("memi212", lambda t: t.assign(CU_CODE=3), r"48 of 240 interviews .* exactly one reference person"),
        ("memi212", lambda t: t.assign(SALARYXM="much"), "can't be read"),
        ("itbi212", lambda t: t.rename(columns={"VALUE": "COST"}), "itbi212.csv in intrvw21 has no column VALUE"),
    ],
)
def test_spoilt_files(name: str, change: Change, message: str, spoilt: Spoilt) -> None:
    with pytest.raises(SurveyError, match=message):
        spoilt({name: change})


def test_missing_html_and_truncated_files(spoilt: Spoilt) -> None:
    gone = {"memi213": None, "itbi221": None}
    with pytest.raises(SurveyError, match="has no memi file of 2021Q3"):
        spoilt(gone, members=True)
    with pytest.raises(SurveyError, match="has no itbi file of 2022Q1"):
        spoilt(gone, incomes=True)
    assert len(spoilt(gone, members=False)) == 224
    half: Change = lambda t: (whole := t.to_csv(index=False).encode())[: len(whole) // 2]  # noqa: E731
    with pytest.raises(SurveyError, match=r"nobody in the members' files|can't be read"):
        spoilt({"memi213": half}, members=True)
    page: Change = lambda t: b"<!DOCTYPE html>\n<html>Access denied</html>\n"  # noqa: E731
    with pytest.raises(SurveyError, match=r"memi213.csv in intrvw21 is a web page"):
        spoilt({"memi213": page}, members=True)


def test_another_years_members(made: Made, spoilt: Spoilt) -> None:
    """Files of another year under this year's names have other interviews."""
    others = {n: lambda t: t.assign(NEWID=t["NEWID"] + 500_000) for n in made[1] if n.startswith("memi")}
    with pytest.raises(SurveyError, match="in no family file"):
        spoilt(others, members=True)


@pytest.mark.parametrize("option", ["members", "incomes"])
def test_options_are_yes_or_no(option: str, made: Made) -> None:
    with pytest.raises(SurveyError, match=f"option '{option}' is 'yes'"):
        CEX().read(made[0], **{option: "yes"})
