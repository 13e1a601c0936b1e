"""The SCF connector on the published file of 2019, on small files made from the sample, and on bad files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.readers.scf_waves import WAVES
from microimpute.rules import parse_all
from microimpute.survey import Survey
from microimpute.surveys.base import connector
from microimpute.surveys.scf import IDENTITIES, SCF, income_inflation
from microimpute.weighted import quantile


@pytest.fixture(scope="module")
def published(shared: Path) -> Survey:
    return SCF().read(shared / "data" / "scf_2019" / "SCFP2019.zip")


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return pd.read_parquet(bundled("scf_2019_sample.parquet"))


def test_published_figures(published: Survey) -> None:
    worth, weight = published.numbers("NETWORTH"), published.weights()
    assert len(published) == 28_885
    assert quantile(worth, 0.5, weight) == 121_760
    assert np.average(worth, weights=weight) == pytest.approx(746_821, abs=1)
    assert weight.sum() == pytest.approx(128.64e6, rel=1e-4)
    assert all(check.passed for check in published.checks)
    assert [round(c.published, 1) for c in published.checks] == [128.6, 121_700.0]


def test_design(published: Survey) -> None:
    assert published.dollars == 2019
    assert published.keys == ("YY1",)
    assert published.weight == "WGT"
    assert np.unique(published.implicates(), return_counts=True)[1].tolist() == [5777] * 5
    assert len(np.unique(published.row_keys())) == 5777
    assert published.kinds["MARRIED"] is Kind.BINARY
    assert published.labels["NH_MORT"].startswith("Mortgages")
    assert set(published.numbers("YEAR")) == {2019}


def test_every_identity_holds_on_every_row(published: Survey) -> None:
    for rule in parse_all(IDENTITIES):
        assert not rule.broken({c: published.numbers(c) for c in rule.columns}).any(), str(rule)
    assert not any("break the identity" in note for note in published.notes)


def test_gaps_of_the_published_file_are_counted(published: Survey) -> None:
    assert "5 values of WILSH are missing in the file" in published.notes


def test_incomes_are_whole_dollars_before_inflation(published: Survey) -> None:
    income = published.numbers("INCOME") / income_inflation(2019)
    assert np.abs(income - np.rint(income)).max() < 0.01
    assert income_inflation(2019) == pytest.approx(1.0181179, abs=5e-8)


@pytest.mark.parametrize("year", WAVES)
def test_income_inflation_of_other_waves_is_a_years_price_change(year: int) -> None:
    assert 0.99 < income_inflation(year) < 1.09


def test_labels_cover_the_identities() -> None:
    columns = {c for rule in parse_all(IDENTITIES) for c in rule.columns}
    assert columns <= set(SCF.variables)
    assert set(SCF.kinds) <= set(SCF.variables)


def write_csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "SCFP2019.csv"
    frame.to_csv(path, index=False)
    return path


def write_dta(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rscfp2019.dta"
    frame.rename(columns=str.lower).astype("float64").to_stata(path, write_index=False)
    return path


def write_zipped_csv(frame: pd.DataFrame, folder: Path) -> Path:
    return zipped(write_csv(frame, folder), "SCFP2019.zip")


def write_zipped_dta(frame: pd.DataFrame, folder: Path) -> Path:
    return zipped(write_dta(frame, folder), "scfp2019s.zip")


def zipped(path: Path, name: str) -> Path:
    target = path.with_name(name)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    return target


@pytest.mark.parametrize("write", [write_csv, write_dta, write_zipped_csv, write_zipped_dta])
def test_every_form_gives_the_same(
    write: Callable[[pd.DataFrame, Path], Path], sample: pd.DataFrame, tmp_path: Path
) -> None:
    read = SCF().read(write(sample, tmp_path))
    assert read.columns == [*sample.columns, "IMPLICATE", "YEAR"]
    assert read.dollars == 2019
    for column in ("WGT", "NETWORTH", "AGE", "INCOME"):
        np.testing.assert_allclose(read.numbers(column), sample[column].to_numpy(), rtol=1e-12)
    assert read.row_keys().tolist() == SCF().read(bundled("scf_2019_sample.parquet")).row_keys().tolist()


def test_lower_case_csv(sample: pd.DataFrame, tmp_path: Path) -> None:
    read = SCF().read(write_csv(sample.rename(columns=str.lower), tmp_path))
    assert "NETWORTH" in read.columns
    assert "networth" not in read.columns


def test_reissued_file_is_told_by_its_median(sample: pd.DataFrame, tmp_path: Path) -> None:
    money = [c for c in sample if SCF.kinds.get(str(c)) is Kind.SEMICONTINUOUS]
    newer = sample.assign(**{str(c): sample[c] * (4376 / 3781) for c in money})
    assert SCF().read(write_csv(newer, tmp_path)).dollars == 2022


def test_unknown_dollars_must_be_given(sample: pd.DataFrame, tmp_path: Path) -> None:
    strange = sample.assign(NETWORTH=sample["NETWORTH"] * 2)
    path = write_csv(strange, tmp_path)
    with pytest.raises(SurveyError, match=r"can't tell which year's dollars.*Give dollars="):
        SCF().read(path)
    read = SCF().read(path, dollars=2021)
    assert read.dollars == 2021
    assert any("no published median net worth of 2019 in 2021 dollars" in note for note in read.notes)
    assert any("break the identity NETWORTH" in note for note in read.notes)


def test_missing_file(tmp_path: Path) -> None:
    for name in ("SCFP2019.zip", "SCFP2019.csv"):
        with pytest.raises(SurveyError, match="there is no file"):
            SCF().read(tmp_path / name)


def test_truncated_zip(sample: pd.DataFrame, tmp_path: Path) -> None:
    path = write_zipped_csv(sample, tmp_path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(SurveyError, match=r"can't be unpacked.*cut off"):
        SCF().read(path)


def test_corrupt_zip(sample: pd.DataFrame, tmp_path: Path) -> None:
    path = write_zipped_csv(sample, tmp_path)
    content = bytearray(path.read_bytes())
    content[5000:5200] = bytes(200)
    path.write_bytes(bytes(content))
    with pytest.raises(SurveyError, match="can't be unpacked"):
        SCF().read(path)


@pytest.mark.parametrize("name", ["SCFP2019.zip", "SCFP2019.csv", "rscfp2019.dta"])
def test_web_page(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<!DOCTYPE html><html><body>Page not found</body></html>")
    with pytest.raises(SurveyError, match="web page"):
        SCF().read(tmp_path / name)


def test_zip_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(SurveyError, match="holds 0 csv or dta files"):
        SCF().read(zipped(tmp_path / "readme.txt", "SCFP2019.zip"))


def test_wrong_file_names_what_is_missing(sample: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="not the summary extract: it has no column WGT, NETWORTH"):
        SCF().read(write_csv(sample.drop(columns=["WGT", "NETWORTH"]), tmp_path))


def test_gaps_in_the_weight(sample: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="column WGT holds gaps"):
        SCF().read(write_csv(sample.assign(WGT=sample["WGT"].where(sample.index > 3)), tmp_path))


@pytest.mark.parametrize(
    ("year", "message"),
    [(2016, "is of 2019, not of 2016"), (None, "does not say which year"), (2018, "no Survey")],
)
def test_wrong_year(year: int | None, message: str, sample: pd.DataFrame, tmp_path: Path) -> None:
    path = write_csv(sample, tmp_path)
    if year != 2016:
        path = path.rename(tmp_path / "scf.csv")
    with pytest.raises(SurveyError, match=message):
        SCF().read(path, year=year)


@pytest.mark.parametrize("rows", [slice(0, -2), slice(1, None)])
def test_incomplete_implicates(rows: slice, sample: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="1 of 1,200 households don't have implicates 1 to 5"):
        SCF().read(write_csv(sample.iloc[rows], tmp_path))


def test_doubled_rows(sample: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="once each"):
        SCF().read(write_csv(pd.concat([sample, sample.iloc[:5]]), tmp_path))


def test_unknown_option() -> None:
    with pytest.raises(SurveyError, match=r"no option 'dollar'.*'dollars'"):
        SCF().read(bundled("scf_2019_sample.parquet"), dollar=2019)


def test_registry_finds_it() -> None:
    assert isinstance(connector("scf"), SCF)
