"""The SCF's full public data set and replicate weights, on made-up files in the genuine layouts, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scf_made import HOUSEHOLDS, full, layout, replicates, write_dta, write_fixed, zipped

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.pooling import pool
from microimpute.survey import Survey
from microimpute.surveys.scf import SCF
from microimpute.surveys.scf_full import DERIVED, INCOMES, PERSONAL, SCFFull

FORMULAS = [c for table in (DERIVED, INCOMES) for _, parts in table.values() for c in parts]
RATES = ["X2219", "X2319", "X2419", "X7170"]
COLUMNS = list(dict.fromkeys([*PERSONAL, *FORMULAS, *RATES]))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return full(COLUMNS)


@pytest.fixture(scope="module")
def path(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dta(frame, tmp_path_factory.mktemp("scf"))


@pytest.fixture(scope="module")
def weights(frame: pd.DataFrame) -> pd.DataFrame:
    first = frame[::5]
    return replicates(first["YY1"].to_numpy(), first["X42001"].to_numpy())


@pytest.fixture(scope="module")
def weights_file(weights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dta(weights, tmp_path_factory.mktemp("weights"), "p19_rw1.dta")


def read(path: Path, **options: object) -> Survey:
    return SCFFull().read(path, **options)


def test_design(frame: pd.DataFrame, path: Path) -> None:
    survey = read(path)
    assert (survey.weight, survey.keys, survey.implicate, survey.dollars) == ("WGT", ("YY1",), "IMPLICATE", 2019)
    assert np.unique(survey.implicates(), return_counts=True)[1].tolist() == [HOUSEHOLDS] * 5
    assert survey.weights().sum() == pytest.approx(frame["X42001"][::5].sum())
    assert survey.notes[0] == "60 rows: 12 households × 5 implicates"


def test_auto_loans_owed_are_not_what_was_borrowed(path: Path, frame: pd.DataFrame) -> None:
    """X2209 … X7158 ask how much was borrowed, X2218 … X7169 how much is still owed; rates are percent × 100."""
    survey = read(path)
    positive = frame.clip(lower=0)
    borrowed = positive["X2209"] + positive["X2309"] + positive["X2409"] + positive["X7158"]
    owed = positive["X2218"] + positive["X2318"] + positive["X2418"] + positive["X7169"]
    assert survey.numbers("auto_loan_borrowed").tolist() == borrowed.tolist()
    assert survey.numbers("auto_loan_balance").tolist() == owed.tolist()
    pairs = zip(("X2218", "X2318", "X2418", "X7169"), RATES, strict=True)
    interest = sum(positive[b] * positive[r] / 10_000 for b, r in pairs)
    np.testing.assert_allclose(survey.numbers("auto_loan_interest"), interest)


@pytest.mark.parametrize("name", [*DERIVED, *INCOMES])
def test_sums_take_codes_below_zero_for_nothing(name: str, path: Path, frame: pd.DataFrame) -> None:
    _, parts = {**DERIVED, **INCOMES}[name]
    assert (frame[list(parts)] == -1).any().any()
    assert read(path).numbers(name).tolist() == frame[list(parts)].clip(lower=0).sum(axis=1).tolist()


def test_losses_stay_and_withheld_ones_are_counted(frame: pd.DataFrame, tmp_path: Path) -> None:
    loss = frame.copy()
    loss.loc[0, "X5712"], loss.loc[1, "X5704"], loss.loc[1, "X5714"] = -2_500, -9, 0
    survey = read(write_dta(loss, tmp_path))
    assert survey.numbers("capital_gains")[0] == -2_500
    assert survey.numbers("business_income")[1] == -9
    assert any("in 1 rows an income is -9" in note for note in survey.notes)


def test_formulas_name_columns_of_the_genuine_map() -> None:
    assert set(COLUMNS) <= set(layout())


def test_genuine_map_has_no_gap_and_no_overlap() -> None:
    fields = sorted(layout().values(), key=lambda f: f.start)
    assert len(fields) == 5_333
    ends = np.cumsum([f.width for f in fields])
    assert [f.start for f in fields] == [1, *(ends[:-1] + 1)]
    assert ends[-1] == 53_350


def test_every_form_gives_the_same(frame: pd.DataFrame, path: Path, tmp_path: Path) -> None:
    one = read(path)
    forms = [
        zipped(path, "scf2019s.zip"),
        write_fixed(frame, tmp_path),
        write_dta(frame.rename(columns=str.lower), tmp_path, "p19i6.dta"),
    ]
    for form in forms:
        other = read(form)
        assert other.columns == one.columns
        for column in one.columns:
            np.testing.assert_allclose(other.numbers(column), one.numbers(column), atol=0.005, err_msg=column)


def test_a_layout_for_a_stata_file(path: Path) -> None:
    with pytest.raises(SurveyError, match=r"is a Stata file, which has no layout\. Leave layout out"):
        read(path, layout="map.csv")


def test_further_columns(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = write_fixed(frame.assign(J413=1.0, X3014=3.0), tmp_path)
    survey = read(path, columns=["x3014", "J413"])
    assert set(survey.numbers("X3014")) == {3}
    assert set(survey.numbers("J413")) == {1}
    assert "X3014" not in read(path).columns
    with pytest.raises(SurveyError, match="has no column 'X30140'"):
        read(path, columns="X30140")


def test_another_wave_says_what_it_lacks(frame: pd.DataFrame, tmp_path: Path) -> None:
    old = frame.drop(columns=["X7596"]).rename(columns={"YY1": "XX1", "Y1": "X1"})
    survey = read(write_dta(old, tmp_path, "p89i6.dta"))
    assert survey.dollars == 1989
    assert "liquid" not in survey.columns
    assert "checking_accounts" in survey.columns
    notes = " | ".join(survey.notes)
    assert "not made, for want of columns in this wave: prepaid_cards, liquid" in notes
    assert "formulas are from the codebook of 2019 and were not compared with that of 1989" in notes


def test_replicates(weights: pd.DataFrame, weights_file: Path, path: Path) -> None:
    rep = weights
    survey = read(path, replicates=zipped(weights_file, "scf2019rw1s.zip"))
    assert (len(survey.replicates), survey.replicate_rule) == (999, "scf")
    products = (rep["wt1b7"].fillna(0) * rep["mm7"].fillna(0)).to_numpy()
    np.testing.assert_allclose(survey.numbers("WT1B7"), np.repeat(products, 5) / 5, rtol=1e-6)
    totals = survey.replicated().replicates.sum(axis=0)
    np.testing.assert_allclose(totals, survey.weights().sum(), rtol=1e-6)


def test_variance_is_the_surveys_rule(
    frame: pd.DataFrame, weights: pd.DataFrame, weights_file: Path, path: Path
) -> None:
    """Sampling variance in implicate 1 over the 999 replicates, plus 6/5 of the variance between implicates."""
    first, rep = frame[::5], weights
    survey = read(path, replicates=weights_file)
    known, stocks, number = survey.replicated(), survey.numbers("stocks"), survey.implicates()

    def mean(values: np.ndarray, weight: np.ndarray) -> float:
        return float((values * weight).sum() / weight.sum())

    each = [known.within(number == i).estimate(mean, stocks) for i in range(1, 6)]
    pooled = pool([float(e.estimate) for e in each], [float(e.variance) for e in each], rule="scf")
    many = rep.filter(like="wt1b").fillna(0).to_numpy() * rep.filter(like="mm").fillna(0).to_numpy()
    by_replicate = [np.average(first["X3915"].clip(lower=0), weights=w) for w in many.T]
    between = np.var(
        [np.average(frame["X3915"].clip(lower=0)[i::5], weights=first["X42001"]) for i in range(5)], ddof=1
    )
    expected = np.var(by_replicate, ddof=1) + 6 / 5 * between
    assert float(pooled.std_error[0]) ** 2 == pytest.approx(expected, rel=1e-6)


def test_replicates_beside_the_summary_extract(tmp_path: Path) -> None:
    sample = bundled("scf_2019_sample.parquet")
    plain = SCF().read(sample)
    first = plain.implicates() == 1
    household, weight = plain.numbers("YY1")[first], plain.weights()[first] * 5
    rep = write_dta(replicates(household, weight), tmp_path, "p19_rw1.dta")
    survey = SCF().read(sample, replicates=rep)
    assert (len(survey.replicates), survey.replicate_rule) == (999, "scf")
    assert survey.columns[: len(plain.columns)] == plain.columns
    np.testing.assert_allclose(survey.numbers("WT1B5").sum(), plain.weights().sum(), rtol=0.05)
    of_one = survey.numbers("YY1") == household[0]
    assert len(set(survey.numbers("WT1B5")[of_one])) == 1


def test_summary_extract_of_1989_has_other_key_names(tmp_path: Path) -> None:
    sample = pd.read_parquet(bundled("scf_2019_sample.parquet")).rename(columns={"YY1": "XX1", "Y1": "X1"})
    sample.astype("float64").to_stata(tmp_path / "rscfp1989.dta", write_index=False)
    assert SCF().read(tmp_path / "rscfp1989.dta", dollars=2019).keys == ("YY1",)


def test_replicates_of_another_wave(weights: pd.DataFrame, path: Path, tmp_path: Path) -> None:
    rep = weights
    other = tmp_path / "p22_rw1.csv"
    rep.assign(yy1=rep["yy1"] + 100, y1=rep["y1"] + 1000).to_csv(other, index=False)
    with pytest.raises(SurveyError, match=r"12 of 12 households \(YY1\) have no replicate weights"):
        read(path, replicates=other)
    larger = rep.copy()
    larger[[f"wt1b{i}" for i in range(1, 1000)]] *= 1.2
    larger.to_csv(other, index=False)
    with pytest.raises(SurveyError, match="999 of 999 replicates don't sum to"):
        read(path, replicates=other)


def test_replicates_as_csv_are_the_same(weights: pd.DataFrame, weights_file: Path, path: Path, tmp_path: Path) -> None:
    weights.drop(columns="yy1").to_csv(tmp_path / "p19_rw1.csv", index=False)
    csv, dta = read(path, replicates=tmp_path / "p19_rw1.csv"), read(path, replicates=weights_file)
    np.testing.assert_allclose(csv.numbers("WT1B999"), dta.numbers("WT1B999"), rtol=1e-6)


def test_replicates_that_are_missing_or_another_file(path: Path, tmp_path: Path) -> None:
    assert any("no replicate weights were given" in note for note in read(path).notes)
    with pytest.raises(SurveyError, match="there is no file or folder"):
        read(path, replicates=tmp_path / "p19_rw1.dta")
    with pytest.raises(SurveyError, match="is not the SCF's replicate weights: it has no column WT1B1"):
        read(path, replicates=path)


def test_summary_extract_is_refused(shared: Path, tmp_path: Path) -> None:
    sample = pd.read_parquet(bundled("scf_2019_sample.parquet")).astype("float64")
    extract = write_dta(sample, tmp_path, "rscfp2019.dta")
    with pytest.raises(SurveyError, match="is not the SCF's full public data set: it has no column X42001"):
        read(extract)
    with pytest.raises(SurveyError, match="holds no files that could be the SCF's full public data set"):
        read(shared / "data" / "scf_2019" / "SCFP2019.zip")


def test_cut_off(frame: pd.DataFrame, path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "p19i6.dta"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SurveyError, match=r"p19i6\.dta can't be read as a Stata file"):
        read(cut)
    with pytest.raises(SurveyError, match=r"\d+ of 12 households don't have implicates 1 to 5"):
        read(write_dta(frame[:-2], tmp_path))
    fixed = write_fixed(frame, tmp_path)
    fixed.write_bytes(fixed.read_bytes()[:-5_000])
    with pytest.raises(SurveyError, match="1 lines don't have the 53,350 characters"):
        read(fixed)


def test_web_page_and_years(path: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    page = tmp_path / "p19i6.dta"
    page.write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(SurveyError, match="web page"):
        read(page)
    with pytest.raises(SurveyError, match="is of 2019, not of 2016"):
        read(path, year=2016)
    with pytest.raises(SurveyError, match="only the column map of 2019 is here"):
        read(write_fixed(frame, tmp_path, "p16i6.txt"))
    with pytest.raises(SurveyError, match="does not say which year"):
        read(write_dta(frame, tmp_path, "full.dta"))
    with pytest.raises(SurveyError, match="there is no Survey of Consumer Finances of 2020"):
        read(write_dta(frame, tmp_path, "p20i6.dta"))


def test_renamed_weight(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="it has no column X42001"):
        read(write_dta(frame.rename(columns={"X42001": "WEIGHT"}), tmp_path))
