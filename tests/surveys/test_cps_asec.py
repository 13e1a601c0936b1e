"""The CPS ASEC connector on made-up files in the genuine layouts, whole and broken (the native files are not at hand)."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asec_made import INCOMES, replicates, tables, write_csv, write_fixed, write_replicates

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.manifest import file_facts
from microimpute.readers.asec_units import UNITS
from microimpute.survey import Survey
from microimpute.surveys import cps_asec
from microimpute.surveys.cps_asec import CPSASEC

KEYS = {"household": "H_SEQ", "family": "FH_SEQ", "person": "PH_SEQ"}
Made = Mapping[str, pd.DataFrame]


@pytest.fixture(scope="module")
def made() -> Made:
    return tables()


@pytest.fixture(scope="module")
def path(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(made, tmp_path_factory.mktemp("asec"))


def read(path: Path, **options: object) -> Survey:
    return CPSASEC().read(path, **options)


def test_household_rows(made: Made, path: Path) -> None:
    survey = read(path)
    assert (survey.weight, survey.keys, survey.household) == ("HSUP_WGT", ("YEAR", "H_SEQ"), ("YEAR", "H_SEQ"))
    assert (survey.unit, survey.dollars, len(survey)) == ("household", 2022, 200)
    interviewed = made["household"].query("H_HHTYPE == 1")
    np.testing.assert_allclose(survey.weights(), interviewed["HSUP_WGT"] / 100)
    assert survey.numbers("HTOTVAL").tolist() == interviewed["HTOTVAL"].tolist()
    assert survey.numbers("PTOTVAL").tolist() == interviewed["HTOTVAL"].tolist()
    assert "10 households that were not interviewed (H_HHTYPE 2, 3) left out" in survey.notes
    assert survey.kinds["family_WSAL_VAL"] is Kind.SEMICONTINUOUS
    assert survey.labels["A_AGE"].endswith("(householder)")


def test_who_lives_in_a_household(path: Path) -> None:
    """The four made-up households, see `asec_made.HOUSEHOLDS`."""
    survey = read(path)
    expected = {
        "A_AGE": [45, 70, 30, 55],
        "A_SEX": [1, 2, 2, 2],
        "spouse": [1, 0, 0, 0],
        "partner": [0, 0, 1, 0],
        "couple": [1, 0, 1, 0],
        "spouse_age": [43, 0, 28, 0],
        "spouse_sex": [2, 0, 1, 0],
        "own_children": [1, 0, 1, 1],
        "own_children_under_18": [1, 0, 1, 0],
        "persons": [3, 1, 3, 3],
        "adults": [2, 1, 2, 2],
        "under_18": [1, 0, 1, 1],
        "families": [1, 1, 2, 2],
        "family_persons": [3, 1, 3, 2],
    }
    assert {c: survey.numbers(c)[:4].tolist() for c in expected} == expected
    assert survey.numbers("H_SEQ")[:4].tolist() == [1, 2, 3, 4]


def test_sums_of_the_householders_family_leave_out_the_roomer(made: Made, path: Path) -> None:
    survey = read(path)
    person = made["person"]
    for column in INCOMES:
        everybody = person.groupby("PH_SEQ")[column].sum()
        family = person[person["A_EXPRRP"] != 14].groupby("PH_SEQ")[column].sum()
        assert survey.numbers(column).tolist() == everybody.tolist()
        assert survey.numbers(f"family_{column}").tolist() == family.tolist()
    assert (survey.numbers("PTOTVAL") > survey.numbers("family_PTOTVAL")).sum() > 40


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_adds_up_and_is_keyed(made: Made, path: Path, unit: str) -> None:
    survey = read(path, unit=unit)
    assert survey.household == ("YEAR", "H_SEQ")
    assert len(np.unique(survey.row_keys())) == len(survey)
    assert np.isin(survey.household_keys(), read(path).row_keys()).all()
    assert survey.numbers("WSAL_VAL").sum() == made["person"]["WSAL_VAL"].sum()
    if unit != "person":
        assert survey.numbers("persons").sum() == len(made["person"])


def test_person_rows_carry_their_keys(made: Made, path: Path) -> None:
    survey = read(path, unit="person")
    assert survey.keys == ("YEAR", "H_SEQ", "A_LINENO")
    assert survey.weight == "MARSUPWT"
    np.testing.assert_allclose(survey.weights(), made["person"]["MARSUPWT"] / 100)
    assert {"PF_SEQ", "TAX_ID", "SPM_ID", "H_TENURE", "GESTFIPS"} <= set(survey.columns)
    assert survey.numbers("householder").sum() == 200
    assert (survey.numbers("householder_family") == (made["person"]["A_EXPRRP"] != 14)).all()


def test_family_rows(made: Made, path: Path) -> None:
    survey = read(path, unit="family")
    assert survey.numbers("persons").tolist() == made["family"]["FPERSONS"].tolist()
    assert survey.numbers("FTOTVAL").tolist() == survey.numbers("PTOTVAL").tolist()
    assert any("0 family records to which no PF_SEQ points" in note for note in survey.notes)


def test_tax_units_and_spm_units(path: Path) -> None:
    tax, spm = read(path, unit="tax unit"), read(path, unit="spm unit")
    assert tax.numbers("couple").sum() == 50  # unmarried partners file apart, and are not in the unit
    assert spm.numbers("couple").sum() == 100
    assert spm.weight == "SPM_WEIGHT"
    assert (spm.numbers("SPM_TOTVAL") == 1000).all()


def test_spouses_who_file_apart_are_not_in_one_tax_unit(made: Made, tmp_path: Path) -> None:
    wife = made["person"]["A_EXPRRP"] == 4
    apart = made["person"].assign(TAX_ID=made["person"]["TAX_ID"] + 50 * wife)
    path = write_csv({**made, "person": apart}, tmp_path)
    assert read(path, unit="tax unit").numbers("spouse").sum() == 0
    assert read(path).numbers("spouse").sum() == 50


def test_a_folder_has_one_hash_in_the_manifest(made: Made, tmp_path: Path) -> None:
    with zipfile.ZipFile(write_csv(made, tmp_path)) as archive:
        archive.extractall(tmp_path / "folder")
    before = file_facts(tmp_path / "folder")
    assert before == file_facts(tmp_path / "folder")
    file = tmp_path / "folder" / "ffpub23.csv"
    file.write_bytes(file.read_bytes().replace(b"5", b"6", 1))
    assert file_facts(tmp_path / "folder")["sha256"] != before["sha256"]


def test_what_is_not_in_universe_allocated_or_topcoded_is_counted(made: Made, tmp_path: Path) -> None:
    person = made["person"].copy()
    person.loc[:4, "SS_VAL"] = -1
    person.loc[:9, "A_AGE"] = [80, 85, 10, 70, 30, 28, 5, 55, 25, 40]
    survey = read(write_csv({**made, "person": person}, tmp_path))
    notes = " | ".join(survey.notes)
    assert "5 codes below 0 of SS_VAL (not in universe) set to 0" in notes
    assert "2 persons have the top-coded ages" in notes
    weight = made["person"]["MARSUPWT"] * (made["person"]["PEARNVAL"] != 0)
    share = (weight * (made["person"]["I_ERNVAL"] > 0)).sum() / weight.sum()
    assert f"PEARNVAL {share:.1%}" in notes
    assert "WSAL_VAL 0.0%" in notes
    assert f"{int((made['household']['H_TENURE'] > 1).sum())} households don't own their home" in notes


def test_retirement_is_what_total_income_counts(path: Path) -> None:
    survey = read(path, unit="person")
    parts = survey.numbers("PNSN_VAL") + survey.numbers("DST_VAL1")
    assert survey.numbers("retirement").tolist() == parts.tolist()
    assert survey.numbers("DST_VAL1_YNG").sum() > 0  # withdrawals under 58 stay apart


@pytest.mark.parametrize("ending", [".dat", ".dat.gz"])
def test_fixed_width_gives_the_same_survey(ending: str, tmp_path: Path) -> None:
    made = tables(year=2014)
    fixed = read(write_fixed(made, tmp_path, 2014, ending))
    csv = read(write_csv(made, tmp_path, 2014))
    common = [c for c in csv.columns if c in fixed.columns]
    assert len(common) > 60
    for column in common:
        np.testing.assert_array_equal(fixed.numbers(column), csv.numbers(column), err_msg=column)
    assert fixed.row_keys().tolist() == csv.row_keys().tolist()
    assert fixed.dollars == 2013


def test_layout_of_2015(tmp_path: Path) -> None:
    survey = read(write_fixed(tables(year=2015), tmp_path, 2015), unit="person")
    assert set(survey.numbers("YEAR")) == {2015}
    with pytest.raises(SurveyError, match="no column TAX_ID, so there are no rows of tax units"):
        read(write_fixed(tables(year=2015), tmp_path, 2015), unit="tax unit")


def test_folder_with_files_in_a_subfolder(made: Made, path: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(write_csv(made, tmp_path, inner="cpspb/asec/prod/data/2023/")) as archive:
        archive.extractall(tmp_path / "unpacked")
    again = read(tmp_path / "unpacked")
    pd.testing.assert_frame_equal(again.native, read(path).native)


def test_lower_case_columns_in_any_order(made: Made, path: Path, tmp_path: Path) -> None:
    turned = {r: t.rename(columns=str.lower)[[c.lower() for c in reversed(t.columns)]] for r, t in made.items()}
    turned["person"] = turned["person"].sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(read(write_csv(turned, tmp_path)).native, read(path).native, check_like=True)


def test_replicates_of_persons_and_households(made: Made, path: Path, tmp_path: Path) -> None:
    weights = replicates(made).sample(frac=1, random_state=1)
    file = write_replicates(weights, tmp_path)
    person = read(path, unit="person", replicates=file)
    assert (len(person.replicates), person.replicate_rule) == (160, "cps asec")
    expected = replicates(made)["PWWGT7"].to_numpy()
    np.testing.assert_allclose(person.numbers("PWWGT7"), expected, atol=1e-4)
    household = read(path, replicates=file)
    np.testing.assert_allclose(household.numbers("PWWGT7"), expected[person.numbers("householder") == 1], atol=1e-4)
    many = household.replicated()
    total = many.estimate(lambda values, w: (values * w).sum(), np.ones(len(household)))
    by_hand = 4 / 160 * sum((household.numbers(c).sum() - household.weights().sum()) ** 2 for c in household.replicates)
    assert float(total.variance) == pytest.approx(by_hand)


def test_replicates_as_csv_are_the_same(made: Made, path: Path, tmp_path: Path) -> None:
    weights = replicates(made)
    weights.rename(columns=str.lower).to_csv(tmp_path / "repwgt.csv", index=False)
    csv = read(path, unit="person", replicates=tmp_path / "repwgt.csv")
    fixed = read(path, unit="person", replicates=write_replicates(weights, tmp_path))
    np.testing.assert_allclose(csv.numbers("PWWGT160"), fixed.numbers("PWWGT160"), atol=1e-4)


def test_units_with_a_weight_of_their_own_scale_the_replicates(made: Made, tmp_path: Path) -> None:
    household = made["household"].assign(HSUP_WGT=made["household"]["HSUP_WGT"] * 2)
    file = write_replicates(replicates(made), tmp_path)
    doubled = read(write_csv({**made, "household": household}, tmp_path), replicates=file)
    np.testing.assert_allclose(doubled.numbers("PWWGT3").sum() / doubled.weights().sum(), 1, atol=0.1)
    assert any("in 200 rows the household's own weight differs" in note for note in doubled.notes)


def test_a_few_persons_without_replicates_are_counted(made: Made, path: Path, tmp_path: Path) -> None:
    file = write_replicates(replicates(made).iloc[2:], tmp_path)
    survey = read(path, unit="person", replicates=file)
    assert "2 rows have no replicate weights and carry their full weight in each" in survey.notes
    assert survey.numbers("PWWGT1")[:2].tolist() == survey.weights()[:2].tolist()


def test_missing_replicates_are_said(path: Path, tmp_path: Path) -> None:
    assert any("no replicate weights were given" in note for note in read(path).notes)
    with pytest.raises(SurveyError, match=r"there is no file or folder .*nowhere\.dat"):
        read(path, replicates=tmp_path / "nowhere.dat")


def test_replicates_of_another_year(made: Made, path: Path, tmp_path: Path) -> None:
    weights = replicates(made)
    shifted = write_replicates(weights.assign(H_SEQ=weights["H_SEQ"] + 500), tmp_path)
    with pytest.raises(SurveyError, match="500 of 500 rows find no replicate weights by H_SEQ and PPPOS"):
        read(path, unit="person", replicates=shifted)
    other = weights.copy()
    other["PWWGT0"] *= 1.3
    with pytest.raises(SurveyError, match=r"PWWGT0 differs from MARSUPWT .* in 500 of 500 rows"):
        read(path, unit="person", replicates=write_replicates(other, tmp_path))


def test_replicates_that_are_another_file(made: Made, path: Path, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="is not the CPS ASEC's replicate weights: its lines have 1,089 characters"):
        read(path, replicates=write_fixed(tables(year=2015), tmp_path, 2015))
    cut = write_replicates(replicates(made), tmp_path)
    cut.write_bytes(cut.read_bytes()[:-700])
    with pytest.raises(SurveyError, match="1 of them another number"):
        read(path, replicates=cut)


def test_truncated_zip(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(SurveyError, match=r"asecpub23csv\.zip can't be unpacked"):
        read(cut)


@pytest.mark.parametrize("record", ["person", "household"])
def test_csv_cut_off_between_lines(made: Made, record: str, tmp_path: Path) -> None:
    short = {**made, record: made[record].iloc[: len(made[record]) // 2]}
    wanted = {
        "person": "of 200 households don't have H_NUMPER persons",
        "household": "person records belong to no interviewed household",
    }
    with pytest.raises(SurveyError, match=wanted[record]):
        read(write_csv(short, tmp_path))


def test_csv_cut_off_within_a_line(made: Made, tmp_path: Path) -> None:
    with zipfile.ZipFile(write_csv(made, tmp_path)) as archive:
        archive.extractall(tmp_path / "cut")
    file = tmp_path / "cut" / "pppub23.csv"
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(SurveyError, match=r"pppub23\.csv can't be read"):
        read(tmp_path / "cut")


def test_fixed_width_cut_off_within_a_line(tmp_path: Path) -> None:
    cut = write_fixed(tables(year=2014), tmp_path, 2014)
    lines = cut.read_bytes().splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith(b"3"))
    cut.write_bytes(b"\n".join([*lines[:last], lines[last][:400]]))
    with pytest.raises(SurveyError, match=r"person column PTOTVAL is blank in 1 of \d+ records"):
        read(cut)


def test_households_are_compared_with_the_published_number_in_a_full_file(
    made: Made, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not read(path).checks
    monkeypatch.setattr(cps_asec, "FULL", 100)
    check = read(path).checks[0]
    assert (check.published, check.passed) == (131.43, False)
    assert check.found == pytest.approx(made["household"]["HSUP_WGT"].sum() / 1e8)
    scaled = made["household"].assign(HSUP_WGT=(made["household"]["HSUP_WGT"] * 131.43 / check.found).astype(int))
    assert read(write_csv({**made, "household": scaled}, tmp_path)).checks[0].passed


def test_web_page(tmp_path: Path) -> None:
    page = tmp_path / "asecpub23csv.zip"
    page.write_text("<!DOCTYPE html><html>moved</html>")
    with pytest.raises(SurveyError, match="is a web page"):
        read(page)
    inside = tmp_path / "folder"
    inside.mkdir()
    for stem in ("hhpub", "ffpub", "pppub"):
        (inside / f"{stem}23.csv").write_text("<html><body>moved, sorry</body></html>")
    with pytest.raises(SurveyError, match="is a web page"):
        read(inside)


def test_other_years(made: Made, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="is named as of 2021 and its H_YEAR says 2023"):
        read(write_csv(made, tmp_path, 2021))
    with zipfile.ZipFile(write_csv(made, tmp_path)) as archive:
        archive.extractall(tmp_path / "mixed")
    shutil.move(tmp_path / "mixed" / "pppub23.csv", tmp_path / "mixed" / "pppub22.csv")
    with pytest.raises(SurveyError, match=r"mixes years: hhpub23\.csv, ffpub23\.csv, pppub22\.csv"):
        read(tmp_path / "mixed")
    old = tables(year=2014)
    old["household"]["H_YEAR"] = 2013
    file = write_fixed(old, tmp_path, 2014)
    with pytest.raises(SurveyError, match="is of 2013, and there is no layout of that year here"):
        read(file)


def test_layout_by_hand(tmp_path: Path) -> None:
    from microimpute.data import bundled

    old = tables(year=2014)
    old["household"]["H_YEAR"] = 2013
    survey = read(write_fixed(old, tmp_path, 2014), layout=bundled("cps_asec_2014_layout.csv"))
    assert survey.dollars == 2012


def test_a_layout_for_a_release_that_has_none(path: Path) -> None:
    with pytest.raises(SurveyError, match=r"is the CSV release, which has no layout\. Leave layout out"):
        read(path, layout=path)


def test_fixed_width_cut_off_between_lines_within_the_last_household(tmp_path: Path) -> None:
    made = tables(copies=100, year=2014)
    lines = write_fixed(made, tmp_path, 2014).read_bytes().splitlines()
    size = {r["H_SEQ"]: r["H_NUMPER"] for r in made["household"].to_dict("records") if r["H_HHTYPE"] == 1}
    last = max(h for h, persons in size.items() if persons > 1)
    end = sum(len(made[r]) for r in made) - sum((made[r][k] > last).sum() for r, k in KEYS.items())
    (tmp_path / "asec2014_pubuse.dat").write_bytes(b"\n".join(lines[: end - 1]) + b"\n")
    with pytest.raises(SurveyError, match=rf"the last household has {size[last] - 1} of its {size[last]} persons"):
        read(tmp_path / "asec2014_pubuse.dat")


def test_layout_that_does_not_fit(made: Made, tmp_path: Path) -> None:
    file = write_fixed(tables(year=2014), tmp_path, 2014)
    file.write_bytes(file.read_bytes().replace(b"\n2", b"\n 2"))
    with pytest.raises(SurveyError, match="lines begin with none of 1, 2, 3"):
        read(file)


def test_renamed_column(made: Made, tmp_path: Path) -> None:
    renamed = {**made, "person": made["person"].rename(columns={"WSAL_VAL": "WSAL_VALUE"})}
    with pytest.raises(SurveyError, match=r"has no column WSAL_VAL\. Did you mean 'WSAL_VALUE'\?"):
        read(write_csv(renamed, tmp_path))


def test_another_survey(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=r"does not hold hhpub<yy>\.csv"):
        read(shared / "data" / "scf_2019" / "SCFP2019.zip")
    with pytest.raises(SurveyError, match="holds no files that could be the fixed-width file"):
        read(shared / "data" / "ce_interview" / "SOURCE.md")


def test_text_in_a_column_and_doubled_records(made: Made, tmp_path: Path) -> None:
    text = {**made, "person": made["person"].astype({"A_AGE": object})}
    text["person"].loc[3, "A_AGE"] = "old"
    with pytest.raises(SurveyError, match=r"pppub23\.csv can't be read"):
        read(write_csv(text, tmp_path))
    doubled = {**made, "person": pd.concat([made["person"], made["person"].iloc[:3]])}
    with pytest.raises(SurveyError, match="3 person records share PH_SEQ and A_LINENO"):
        read(write_csv(doubled, tmp_path))


def test_relationship_codes_of_another_release(made: Made, tmp_path: Path) -> None:
    other = {**made, "person": made["person"].assign(A_EXPRRP=made["person"]["A_EXPRRP"] + 40)}
    with pytest.raises(SurveyError, match="200 of 200 households don't have exactly one reference person"):
        read(write_csv(other, tmp_path))


def test_unknown_unit(path: Path) -> None:
    with pytest.raises(SurveyError, match="Did you mean 'spm unit'"):
        read(path, unit="spm units")
