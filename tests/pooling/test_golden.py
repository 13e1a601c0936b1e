"""Pooling against what R's mice, mitml, miceadds and synthpop print (tests/golden, and shared/golden for sp_*)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microimpute.pooling import d1, d2, d2_wald, d3, d4, pool, pooled_r2

HERE = Path(__file__).parents[1] / "golden"
NHANES_ROWS = 25


def read(name):
    return pd.read_csv(HERE / f"{name}.csv")


def parts(name):
    estimates, covariances = read(f"{name}_qhat"), read(f"{name}_vcov")
    terms = list(dict.fromkeys(estimates.term))
    q = estimates.pivot(index="imp", columns="term", values="estimate")[terms].to_numpy()
    wide = covariances.pivot(index=["imp", "row"], columns="col", values="value")
    u = np.stack([wide.loc[i].loc[terms, terms].to_numpy() for i in range(1, len(q) + 1)])
    return q, u, terms


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "source", "rule"),
    [
        ("nhanes_chl_pool", "nhanes_chl", "rubin"),
        ("nhanes_chl_dfInf_pool", "nhanes_chl", "rubin"),
        ("nhanes_bmi_pool", "nhanes_bmi", "rubin"),
        ("mtcars_psyn_pool", "mtcars_psyn", "partially synthetic"),
    ],
)
def test_tables_of_mice(name, source, rule):
    q, u, terms = parts(source)
    wanted = read(name).set_index("term").loc[terms]
    by_covariance = pool(q, u, dfcom=wanted.dfcom.iloc[0], rule=rule, names=terms)
    by_variance = pool(q, u.diagonal(axis1=1, axis2=2), dfcom=wanted.dfcom.iloc[0], rule=rule, names=terms)
    names = {"std.error": "std_error", "p.value": "p_value", "conf.low": "low", "conf.high": "high"}
    for got in (by_covariance, by_variance):
        frame = got.to_frame()
        for column in wanted.columns.drop("m"):
            close(frame[names.get(column, column)], wanted[column])


def test_anchor_of_lm_chl_on_age_and_bmi():
    q, u, terms = parts("nhanes_chl")
    row = pool(q, u, dfcom=22, names=terms).to_frame().loc["bmi"]
    assert [round(row[c], 6) for c in ("estimate", "std_error", "df", "fmi")] == [
        5.937297,
        2.601135,
        5.443459,
        0.654061,
    ]


def test_mitml_estimates():
    q, u, terms = parts("nhanes_chl")
    wanted = read("nhanes_chl_mitml_testEstimates").set_index("term").loc[terms]
    got = pool(q, u, dfcom=22, names=terms)
    pairs = {"Estimate": "estimate", "Std.Error": "std_error", "t.value": "statistic", "P...t..": "p_value"}
    for theirs, ours in (pairs | {"df": "df", "RIV": "riv", "FMI": "fmi"}).items():
        close(getattr(got, ours), wanted[theirs])


def test_pool_scalar():
    given, wanted = read("nhanes_bmi_poolscalar_in"), read("nhanes_bmi_poolscalar").set_index("rule")
    dfcom = {"rubin_BR": NHANES_ROWS - 1, "rubin_Inf": np.inf, "reiter2003": np.inf}
    for name, row in wanted.iterrows():
        rule = "partially synthetic" if name == "reiter2003" else "rubin"
        got = pool(given.Q, given.U, dfcom=dfcom[name], rule=rule)
        ours = [got.estimate, got.ubar, got.b, got.t, got.df, got.riv, got.fmi]
        close(np.concatenate(ours), row[["qbar", "ubar", "b", "t", "df", "r", "fmi"]].astype(float))


@pytest.mark.parametrize("name", ["nhanes_chl", "nhanes_bmi"])
def test_d1_and_d2_from_wald_statistics(name):
    q, u, terms = parts(name)
    tested = {"nhanes_chl": ["bmi"], "nhanes_bmi": ["hyp", "chl"]}[name]
    dfcom = {"nhanes_chl": 22, "nhanes_bmi": 21}[name]
    pooled = pool(q, u, dfcom=dfcom, names=terms)
    agrees(d1(pooled, tested, small_sample="reiter"), name, "D1_default_dfcom")
    agrees(d1(pooled, tested, dfcom=np.inf), name, "D1_dfcom_Inf")
    agrees(d2_wald(pooled, tested), name, "D2_wald")
    if name == "nhanes_bmi":
        agrees(d1(pooled, tested), name, "D1_default_dfcom")
    else:
        # Reiter's form collapses to 4 at k(m - 1) = 4 whatever the data: the default is Barnard & Rubin's df there.
        row = pooled.to_frame().loc["bmi"]
        got = d1(pooled, tested)
        close([got.statistic, got.df2, got.p_value], [row.statistic**2, row.df, row.p_value])


def agrees(got, name, test):
    wanted = read(f"{name}_Dtests").set_index("test").loc[test]
    close(as_row(got), wanted[["F", "df1", "df2", "p", "riv"]])


@pytest.mark.parametrize(("test", "name"), [(d1, "D1"), (d2_wald, "D2")])
def test_constraints_of_mitml(test, name):
    wanted = read(f"nhanes_chl_mitml_testConstraints_{name}").iloc[:, 0]
    q, u, terms = parts("nhanes_chl")
    got = test(pool(q, u, dfcom=22, names=terms), ["age", "bmi"])
    np.testing.assert_allclose(as_row(got), wanted, rtol=1e-8)
    # The rest is mitml's: it differentiates constraints by R's numericDeriv. With these derivatives, not 1, it agrees.
    step = np.abs(q) * np.sqrt(np.finfo(float).eps)
    slope = ((q + step) - q) / step
    again = test(pool(q, np.einsum("ij,ijk,ik->ijk", slope, u, slope), dfcom=22, names=terms), ["age", "bmi"])
    close(as_row(again), wanted)


def as_row(got):
    return [got.statistic, got.df1, got.df2, got.p_value, got.riv]


def fit(X, y):
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return beta, ((y - X @ beta) ** 2).sum()


def gaussian(rss, n, variance=None):
    variance = rss / n if variance is None else variance
    return -n / 2 * np.log(2 * np.pi * variance) - rss / (2 * variance)


def designs(predictors):
    data = read("nhanes_m5_long").query("`.imp` > 0")
    return [np.column_stack([np.ones(NHANES_ROWS), g[predictors]]) for _, g in data.groupby(".imp")]


def outcomes(name):
    return [g[name].to_numpy() for _, g in read("nhanes_m5_long").query("`.imp` > 0").groupby(".imp")]


def at_means(X, y, refit_intercept):
    fits = [fit(*pair) for pair in zip(X, y, strict=True)]
    beta = np.mean([b for b, _ in fits], axis=0)
    left = [b - a @ beta for a, b in zip(X, y, strict=True)]
    if refit_intercept:
        return [gaussian(((e - e.mean()) ** 2).sum(), NHANES_ROWS) for e in left]
    variance = np.mean([rss / NHANES_ROWS for _, rss in fits])
    return [gaussian((e**2).sum(), NHANES_ROWS, variance) for e in left]


@pytest.mark.parametrize(
    ("name", "outcome", "full", "null"),
    [("nhanes_bmi", "bmi", ["age", "hyp", "chl"], ["age"]), ("nhanes_chl", "chl", ["age", "bmi"], ["age"])],
)
def test_likelihood_ratios(name, outcome, full, null):
    y, models = outcomes(outcome), [designs(full), designs(null)]
    k = len(full) - len(null)
    own = [np.array([gaussian(fit(a, b)[1], NHANES_ROWS) for a, b in zip(X, y, strict=True)]) for X in models]
    close(own[0], read(f"{name}_qhat").groupby("imp").logLik.first())
    if name == "nhanes_chl":
        close(own[1], read("nhanes_chl0_qhat").groupby("imp").logLik.first())
    agrees(d2(2 * (own[0] - own[1]), k), name, "D2_likelihood")
    agrees(d3(*own, *(at_means(X, y, refit_intercept=False) for X in models), k), name, "D3_mitml")
    agrees(d3(*own, *(at_means(X, y, refit_intercept=True) for X in models), k), name, "D3_mice")
    rows = NHANES_ROWS * len(y)
    stacked = [gaussian(fit(np.vstack(X), np.concatenate(y))[1], rows) for X in models]
    agrees(d4(*own, *stacked, k), name, "D4_mitml")


def test_pooled_r2():
    wanted = read("nhanes_bmi_r2").set_index("kind")
    X, y = designs(["age", "hyp", "chl"]), outcomes("bmi")
    plain = np.array([1 - fit(a, b)[1] / ((b - b.mean()) ** 2).sum() for a, b in zip(X, y, strict=True)])
    adjusted = 1 - (1 - plain) * (NHANES_ROWS - 1) / (NHANES_ROWS - 4)
    for kind, r2 in (("r2", plain), ("adj", adjusted)):
        got = pooled_r2(r2, NHANES_ROWS, critical=1.96)
        close([got.estimate, got.low, got.high, got.fmi], wanted.loc[kind])


def test_nested():
    given, wanted = read("nested_in"), read("nested_out").set_index("term")
    q, u = (
        given.pivot(index=["between", "within"], columns="term", values=v).to_numpy().reshape(5, 3, 2)
        for v in ("estimate", "var")
    )
    got = pool(q, u, rule="nested", names=["a", "b"])
    frame = got.to_frame()
    pairs = {"qbar": "estimate", "ubar": "ubar", "W": "w", "B": "b", "T": "t", "df": "df"}
    pairs |= {"lambda1": "lambda_limit", "lambda1_B": "lambda_between_limit", "lambda1_W": "lambda_within_limit"}
    pairs |= {"lambda2": "lambda", "lambda2_B": "lambda_between", "lambda2_W": "lambda_within"}
    assert set(pairs) == set(wanted.columns)
    for theirs, ours in pairs.items():
        close(frame[ours], wanted[theirs])


def test_rules_of_synthpop(shared):
    given = pd.read_csv(shared / "golden" / "sp_lm_synds_in.csv")
    wanted = pd.read_csv(shared / "golden" / "sp_lm_synds_rules.csv")
    terms = list(dict.fromkeys(given.term))
    q, u = (given.pivot(index="syn", columns="term", values=v)[terms] for v in ("coef", "var"))
    rules = {"Qhat": "synthpop observed", "simple": "synthpop simple", "proper": "synthpop proper"}
    rules |= {"incomplete:": "synthpop incomplete"}
    assert len(wanted) == len(rules) * len(terms)
    for said, table in wanted.groupby(wanted.rule.str.split().str[0]):
        got = pool(q, u, rule=rules[said]).to_frame().loc[table.term]
        close(got.estimate, table.est)
        close(got.std_error, table.se)
