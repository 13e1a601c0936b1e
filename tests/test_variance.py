"""Replicate weights: what R's survey and mitools print (tests/golden/rep_*), closed forms, bad input."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microimpute import Imputations, Survey
from microimpute.errors import PoolingError, SurveyError
from microimpute.frames import as_frame
from microimpute.pooling import pool
from microimpute.variance import (
    Replicates,
    gini,
    mean,
    poverty_gap,
    poverty_rate,
    quantile,
    ratio,
    top_share,
    total,
)

GOLDEN = Path(__file__).parent / "golden"
DESIGNS = {
    "cps_fay_0.5_mse": ("cps160", {"rule": "fay", "rho": 0.5}),
    "cps_successive_diff_mse": ("cps160", {"rule": "successive difference"}),
    "ce_brr44_mse": ("ce44", {"rule": "brr"}),
    "scf_boot_mean_centred": ("scf99", {"rule": "bootstrap"}),
}


def least_squares(values, weight):
    X = np.column_stack([np.ones(len(values)), values["x"]])
    return np.linalg.solve((X.T * weight) @ X, (X.T * weight) @ values["y"])


def estimates(design):
    name, settings = DESIGNS[design]
    weights = pd.read_csv(GOLDEN / f"rep_{name}_weights.csv")
    for _, rows in pd.read_csv(GOLDEN / "rep_implicates_long.csv").groupby("imp"):
        assert (rows.id.to_numpy() == weights.id.to_numpy()).all()
        survey = Replicates(rows.w.to_numpy(), weights.drop(columns="id").to_numpy(), **settings)
        y = rows.y.to_numpy()
        yield {
            ("mean", "y"): survey.estimate(mean, y),
            ("total", "y"): survey.estimate(total, y),
            "glm": survey.estimate(least_squares, rows),
            **{("mean_by_grp", g): survey.within(rows.grp == g).estimate(mean, y) for g in "abc"},
        }


def of_row(found, stat, term):
    if stat == "glm":
        place = ["(Intercept)", "x"].index(term)
        return [e["glm"].estimate[place] for e in found], [e["glm"].variance[place] for e in found]
    return [float(e[stat, term].estimate) for e in found], [float(e[stat, term].variance) for e in found]


@pytest.mark.parametrize("design", DESIGNS)
def test_replicates_and_implicates_together(design):
    found = list(estimates(design))
    wanted = pd.read_csv(GOLDEN / "rep_combined.csv").query("design == @design")
    assert len(wanted) == 7
    for _, row in wanted.iterrows():
        q, u = of_row(found, row["stat"], row["term"])
        plain, few, scf = pool(q, u), pool(q, u, dfcom=30), pool(q, u[:1][0], rule="scf")
        ours = [plain.estimate, plain.t, plain.df, plain.fmi, few.df, scf.t, scf.df, scf.ubar, plain.ubar, plain.b]
        theirs = ["qbar", "T_rubin", "df", "fmi", "df_BR_dfcom30", "T_scf_fed", "df_scf_fed", "U1", "Ubar", "B"]
        np.testing.assert_allclose(np.concatenate(ours), row[theirs].astype(float), rtol=1e-10)
        assert row.df_mitools_dfcom30 > few.df[0]  # mitools takes Ū/(Ū + B) where Barnard & Rubin have Ū/T


@pytest.fixture
def drawn():
    rng = np.random.default_rng(5)
    y, weight = rng.lognormal(size=300).round(1), rng.integers(1, 5, 300).astype(float)
    return y, weight, weight[:, None] * rng.poisson(1, (300, 37))


@pytest.mark.parametrize(
    "statistic",
    [
        total,
        mean,
        quantile,
        partial(quantile, level=0.9),
        gini,
        top_share,
        poverty_rate,
        poverty_gap,
        partial(poverty_rate, line=0.7),
        partial(poverty_gap, line=np.linspace(0.5, 1, 300)),
    ],
)
def test_all_replicates_at_once_are_as_one_by_one(statistic, drawn):
    y, weight, many = drawn
    survey = Replicates(weight, many, "bootstrap")
    at_once, one_by_one = (survey.estimate(s, y) for s in (statistic, lambda v, w: statistic(v, w)))
    np.testing.assert_allclose(at_once.replicates, one_by_one.replicates, rtol=1e-12)
    np.testing.assert_allclose(at_once.variance, np.var(one_by_one.replicates, ddof=1), rtol=1e-10)
    assert at_once.estimate.shape == at_once.variance.shape == ()


@pytest.mark.parametrize(
    "statistic", [mean, quantile, gini, top_share, poverty_rate, poverty_gap, partial(top_share, top=0.013)]
)
def test_a_weight_is_how_often_a_row_stands_there(statistic, drawn):
    y, weight, _ = drawn
    repeated = np.repeat(y, weight.astype(int))
    np.testing.assert_allclose(statistic(y, weight), statistic(repeated, np.ones(len(repeated))), rtol=1e-10)


def test_statistics_of_few_rows():
    y, w = np.array([4.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0, 1.0])
    assert [quantile(y, w, q) for q in (0, 0.25, 0.5, 0.51, 1)] == [1, 1, 2, 3, 4]
    assert quantile(y, np.array([1.0, 0.0, 1.0, 1.0]), 0) == 2
    assert gini(y, w) == pytest.approx(0.25)  # mean absolute difference 1.25, over twice the mean 2.5
    assert gini(np.array([0.0, 0, 0, 8]), w) == pytest.approx(0.75)
    assert top_share(y, w, 0.25) == pytest.approx(0.4)
    assert top_share(y, w, 0.375) == pytest.approx(5.5 / 10)
    assert poverty_rate(y, w, 3) == 0.5
    assert poverty_gap(y, w, 3) == pytest.approx((2 / 3 + 1 / 3) / 4)
    assert poverty_rate(y, w) == 0.25  # below 1.2
    assert ratio(np.column_stack([y, 2 * y]), w) == 0.5
    assert np.isnan(gini(-y, w))
    assert np.isnan(top_share(-y, w))


def test_factors():
    rng = np.random.default_rng(2)
    full, many = rng.normal(size=3), rng.normal(size=(10, 3))
    weights = np.ones(4), np.ones((4, 10))
    off, own = many - full, many - many.mean(0)
    np.testing.assert_allclose(Replicates(*weights, "jackknife").covariance(full, many), 0.9 * off.T @ off)
    np.testing.assert_allclose(Replicates(*weights, "bootstrap").covariance(full, many), np.cov(many.T))
    np.testing.assert_allclose(Replicates(*weights, "brr", centre="mean").covariance(full, many), own.T @ own / 10)
    np.testing.assert_allclose(Replicates(*weights, "bootstrap", centre="full").covariance(full, many), off.T @ off / 9)
    scales = rng.uniform(size=10)
    stratified = Replicates(*weights, "jackknife", scales=scales).covariance(full, many)
    np.testing.assert_allclose(stratified, sum(s * np.outer(o, o) for s, o in zip(scales, off, strict=True)))


def test_jackknife_of_a_mean_is_the_textbook_variance():
    y = np.random.default_rng(0).normal(size=12)
    many = (1 - np.eye(12)) * 12 / 11
    got = Replicates(np.ones(12), many, "jackknife").estimate(mean, y)
    assert got.variance == pytest.approx(y.var(ddof=1) / 12)


def test_several_statistics_have_a_covariance():
    y, w = np.random.default_rng(0).normal(size=(9, 2)), np.ones(9)
    got = Replicates(w, (1 - np.eye(9)) * 9 / 8, "jackknife").estimate(mean, y)
    np.testing.assert_allclose(got.covariance, np.cov(y.T) / 9)
    np.testing.assert_allclose(got.variance, np.diag(got.covariance))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), "bbr"), "Did you mean 'brr'"),
        (lambda: Replicates(np.ones(3), np.ones((2, 4))), "weights have shape"),
        (lambda: Replicates(np.ones(3), np.ones((3, 1))), "at least two replicates"),
        (lambda: Replicates(np.ones(3), np.full((3, 4), np.nan)), "weights are missing"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), rho=0.5), "Only fay has rho"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), "fay", rho=1), "rho is 1"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), "fay 1"), "rho is 1.0"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), "fay nan"), "rho is nan"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), "fay 30%"), "rho is '30%', no number"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), "fay 0.3", rho=0.5), "Say rho once"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), centre="median"), "centre is"),
        (lambda: Replicates(np.ones(3), np.ones((3, 4)), scales=np.ones(3)), "one number per replicate"),
    ],
)
def test_bad_designs_are_named(make, match):
    with pytest.raises(PoolingError, match=match):
        make()


def test_a_domain_without_weight_in_a_replicate_is_named():
    many = np.ones((3, 4))
    many[0, 2] = 0
    survey = Replicates(np.ones(3), many).within(np.array([True, False, False]))
    with pytest.raises(PoolingError, match="not a number in replicate 3"):
        survey.estimate(mean, np.arange(3.0))


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5])
def test_fay_s_rho_stands_with_the_rule_in_a_survey_and_in_a_saved_one(rho, tmp_path):
    """Half-samples perturbed by (1 ± (1 − ρ)): the variance is that of whole half-samples, whatever ρ."""
    rng = np.random.default_rng(5)
    y, w = rng.gamma(2, size=8), rng.uniform(1, 3, 8)
    hadamard = np.array([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    signs = np.repeat(hadamard, 2, axis=1).T * np.tile([1, -1], 4)[:, None]  # two clusters in each of four strata
    many = {f"r{i}": w * (1 + (1 - rho) * signs[:, i]) for i in range(4)}
    survey = Survey(
        pd.DataFrame({"y": y, "w": w, **many}), weight="w", replicates=list(many), replicate_rule=f"fay {rho}"
    )
    known = survey.replicated()
    assert (known.rule, known.rho) == ("fay", rho)
    differences = (y * w)[::2] - (y * w)[1::2]  # the textbook's variance of a total with two clusters a stratum
    assert float(known.estimate(total, y).covariance) == pytest.approx((differences**2).sum())
    domain = known.within(np.arange(8) < 4)
    assert float(domain.estimate(total, y).covariance) == pytest.approx((differences[:2] ** 2).sum())
    values = {"z": tuple(as_frame(pd.DataFrame({"z": y + i}))["z"] for i in range(2))}
    Imputations(survey, ("z",), values, {}).save(tmp_path / "out")
    assert Imputations.load(tmp_path / "out").receiver.replicated().rho == rho


def test_fay_without_its_rho_is_refused_in_a_survey():
    frame = pd.DataFrame({"w": np.ones(4), "r1": np.ones(4), "r2": np.ones(4)})
    survey = Survey(frame, weight="w", replicates=["r1", "r2"], replicate_rule="fay")
    with pytest.raises(SurveyError, match=r"the rho of Fay's rule\. Write it with the rule, as 'fay 0\.3'"):
        survey.replicated()
