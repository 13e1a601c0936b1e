"""Pooling: closed forms, invariances, and agreement with statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from microimpute.pooling import (
    RULES,
    d1,
    d2,
    d2_wald,
    d3_models,
    d4,
    how_many_imputations,
    monte_carlo_error,
    pool,
    pooled_r2,
)

FLAT = [name for name, rule in RULES.items() if not rule.nested()]


@st.composite
def estimates(draw, least=3):
    m, k = draw(st.integers(least, 8)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    q = rng.normal(draw(st.floats(-5, 5)), draw(st.floats(0.1, 3)), (m, k))
    a = rng.normal(size=(m, k, k + 2))
    return q, a @ a.transpose(0, 2, 1), rng


@settings(max_examples=40, deadline=None)
@given(estimates(), st.sampled_from(FLAT), st.sampled_from([5.0, 50.0, np.inf]))
def test_the_order_of_implicates_does_not_matter(data, rule, dfcom):
    q, u, rng = data
    order = rng.permutation(len(q))
    if rule == "scf":
        order = np.concatenate([[0], 1 + rng.permutation(len(q) - 1)])  # implicate 1 is told apart by the rule
    once, again = pool(q, u, dfcom, rule), pool(q[order], u[order], dfcom, rule)
    for name, values in once.columns().items():
        np.testing.assert_allclose(again.columns()[name], values, rtol=1e-8, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(estimates(), st.sampled_from(FLAT), st.floats(0.01, 100))
def test_units_only_change_units(data, rule, factor):
    q, u, _ = data
    once, again = pool(q, u, 30, rule), pool(-factor * q, factor**2 * u, 30, rule)
    for name in ("df", "p_value", "riv", "lambda_", "fmi", "relative_efficiency"):
        np.testing.assert_allclose(getattr(again, name), getattr(once, name), rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(again.estimate, -factor * once.estimate)
    np.testing.assert_allclose(again.std_error, factor * once.std_error, rtol=1e-6)
    np.testing.assert_allclose(again.low, -factor * once.high, rtol=1e-6, atol=1e-9 * factor)


@settings(max_examples=40, deadline=None)
@given(estimates(least=2), st.sampled_from([7.0, np.inf]))
def test_implicates_that_agree_add_nothing(data, dfcom):
    q, u, _ = data
    q = np.broadcast_to(np.round(q[0] * 64) / 64, q.shape)  # so that their mean is exact
    got = pool(q, u, dfcom)
    np.testing.assert_allclose(got.t, got.ubar)
    np.testing.assert_array_equal(got.riv, 0)
    np.testing.assert_allclose(got.df, np.inf if dfcom == np.inf else dfcom * (dfcom + 1) / (dfcom + 3))
    np.testing.assert_allclose(got.covariance(), u.mean(0))
    test = d1(got, dfcom=np.inf)
    assert test.riv == 0
    assert test.df2 == np.inf
    assert test.p_value == pytest.approx(stats.chi2.sf(q[0] @ np.linalg.inv(u.mean(0)) @ q[0], q.shape[1]), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(estimates(), st.sampled_from([9.0, 40.0, np.inf]))
def test_parts_of_the_table_fit_together(data, dfcom):
    q, u, _ = data
    got = pool(q, u, dfcom)
    m = len(q)
    np.testing.assert_allclose(got.t, u.mean(0).diagonal() + (1 + 1 / m) * q.var(0, ddof=1))
    np.testing.assert_allclose(np.diag(got.covariance()), got.t)
    np.testing.assert_allclose(got.riv, got.lambda_ / (1 - got.lambda_))
    np.testing.assert_allclose(stats.t.cdf((got.high - got.estimate) / got.std_error, got.df), 0.975)
    assert (got.df <= min(dfcom, np.inf)).all()
    assert ((got.lambda_ <= got.fmi) & (got.fmi <= 1)).all()


@settings(max_examples=40, deadline=None)
@given(estimates())
def test_joint_tests_do_not_depend_on_how_contrasts_are_written(data):
    q, u, rng = data
    k = q.shape[1]
    pooled, mix = pool(q, u, 60), rng.normal(size=(k, k)) + 3 * np.eye(k)
    for test in (d1, d2_wald):
        one, other = test(pooled), test(pooled, mix)
        np.testing.assert_allclose([one.statistic, one.riv], [other.statistic, other.riv], rtol=1e-5)


@pytest.mark.parametrize("m", [2, 5, 20])
@pytest.mark.parametrize("dfcom", [4, 25])
def test_d1_of_one_contrast_is_the_t_test(m, dfcom):
    rng = np.random.default_rng(m)
    pooled = pool(rng.normal(2, 0.5, (m, 1)), np.ones((m, 1, 1)), dfcom)
    got = d1(pooled)
    assert got.p_value == pytest.approx(float(pooled.p_value[0]), rel=1e-9)


def test_contrasts_can_be_a_matrix_with_values():
    rng = np.random.default_rng(0)
    q, u = rng.normal(size=(5, 2)), np.tile(np.eye(2), (5, 1, 1))
    difference = d1(pool(q, u, 30, names=["a", "b"]), [[1, -1]], 0.5)
    direct = pool(q[:, 0] - q[:, 1] - 0.5, np.full(5, 2.0), 30)
    assert difference.p_value == pytest.approx(float(direct.p_value[0]))
    assert difference.contrasts == ("a - b",)
    assert "D1 test of a - b: F(1" in str(difference)


def test_nested_without_spread_within_nests_is_rubin_over_nests():
    rng = np.random.default_rng(3)
    q, u = rng.normal(size=(4, 2)), rng.uniform(1, 2, (4, 2))
    nested = pool(np.repeat(q[:, None], 3, 1), np.repeat(u[:, None], 3, 1), rule="nested")
    flat = pool(q, u)
    for name in ("estimate", "t", "df", "p_value", "riv", "fmi"):
        np.testing.assert_allclose(getattr(nested, name), getattr(flat, name))


def test_one_parameter_needs_no_second_axis():
    assert pool([1.0, 2.0], [1.0, 1.0]).t[0] == pool([[1.0], [2.0]], [[1.0], [1.0]]).t[0]
    assert len(pool(np.zeros((2, 3)), np.ones((2, 3)), rule="nested")) == 1


def test_scf_takes_the_variance_of_implicate_1_alone():
    q, u = [[1.0, 4.0], [2.0, 5.0], [4.0, 5.0]], [[0.5, 0.7], [9, 9], [9, 9]]
    alone, all_given = pool(q, u[:1], rule="scf"), pool(q, u, rule="scf")
    np.testing.assert_array_equal(alone.t, all_given.t)
    np.testing.assert_allclose(alone.t, np.array([0.5, 0.7]) + 4 / 3 * np.var(q, 0, ddof=1))
    assert pool([1.0, 2.0], 0.25, rule="scf").ubar[0] == 0.25


def test_fully_synthetic_falls_back_where_variance_would_be_negative():
    q, u = np.array([[1.0, 1.0], [1.1, 5.0], [0.9, 9.0]]), np.ones((3, 2))
    got = pool(q, u, rule="fully synthetic", size_ratio=0.5, names=["tight", "wide"])
    np.testing.assert_array_equal(got.fallback, [True, False])
    np.testing.assert_allclose(got.t, [0.5, 4 / 3 * 16 - 1])
    np.testing.assert_allclose(got.df, [2, 2 * (1 - 3 / 64) ** 2])
    assert "not positive for tight" in repr(got)


def test_monte_carlo_error_of_the_estimate_has_a_closed_form():
    q = np.random.default_rng(1).normal(size=(6, 2))
    pooled = pool(q, np.ones((6, 2)), 40)
    got = monte_carlo_error(pooled)
    np.testing.assert_allclose(got.estimate, np.sqrt(pooled.b / 6))
    ses = np.array([pool(np.delete(q, i, 0), np.ones((5, 2)), 40).std_error for i in range(6)])
    assert list(got.to_frame().index) == ["q1", "q2"]
    np.testing.assert_allclose(got.std_error, np.sqrt(5 / 6 * ((ses - ses.mean(0)) ** 2).sum(0)))


def test_how_many_imputations():
    assert how_many_imputations(0.5) == 51  # von Hippel's rule: 1 + (0.5/0.05)²/2
    assert how_many_imputations(0.0) == 2
    assert how_many_imputations(0.3, 20) > how_many_imputations(0.3, 200) > how_many_imputations(0.3)
    pilot = pool(np.arange(5.0), np.full(5, 2.0))
    assert how_many_imputations(pilot) == how_many_imputations(float(pilot.fmi[0]), 5)
    upper = 1 / (1 + np.exp(-stats.norm.ppf(0.975) * np.sqrt(2 / 10)))
    assert how_many_imputations(0.5, 10) == np.ceil(1 + (upper / 0.05) ** 2 / 2)


def test_r2_of_implicates_that_agree():
    got = pooled_r2([0.4, 0.4, 0.4], 103)
    ends = np.tanh(np.arctanh(np.sqrt(0.4)) + stats.norm.ppf([0.025, 0.975]) / 10) ** 2
    np.testing.assert_allclose([got.low, got.estimate, got.high], [ends[0], 0.4, ends[1]])
    assert pooled_r2([0.0, 0.01], 20).low == 0


def test_robust_d4_does_not_depend_on_the_null():
    one = d4([-100.0, -101.0, -102.0], [-104.0, -103.0, -108.0], -306.0, -318.0, 1, parameters=4)
    other = d4([-100.0, -101.0, -102.0], [-110.0, -113.0, -112.0], -306.0, -340.0, 2, parameters=4)
    assert one.riv == other.riv
    assert one.df2 == other.df2
    assert one.riv == pytest.approx(4 / (4 * 2) * 2 * 1)


def test_d2_is_chi_square_when_statistics_agree():
    assert d2([6.0, 6.0, 6.0], 2).p_value == pytest.approx(stats.chi2.sf(6, 2))


def test_it_can_be_read_in_a_terminal_a_notebook_and_latex():
    got = pool([[1.0, 2e-6], [2.0, 3e-6]], np.ones((2, 2)), names=["a_b", "<c>"])
    assert "Pooled over 2 implicates, rule 'rubin'" in repr(got)
    assert len({len(line) for line in repr(got).split("\n")[1:]}) == 1
    assert "&lt;c&gt;" in got._repr_html_()
    assert r"a\_b & 1.5000" in got.to_latex()
    frame = got.to_frame()
    assert list(frame.index) == ["a_b", "<c>"]
    assert {"estimate", "std_error", "lambda", "fmi", "ubar", "b", "t", "fallback"} <= set(frame.columns)


def fits(n_implicates=5, drop_category_in=()):
    sm = pytest.importorskip("statsmodels.api")
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(11)
    x, category = rng.normal(size=120), rng.integers(0, 3, 120)
    full, null = [], []
    for i in range(n_implicates):
        drawn = np.where((category == 2) & (i + 1 in drop_category_in), 1, category)
        frame = pd.DataFrame({"const": 1.0, "x": x + rng.normal(0, 0.3, 120), "b": 1.0 * (drawn == 1)})
        if i + 1 not in drop_category_in:
            frame["c"] = 1.0 * (drawn == 2)
        y = 1 + 2 * frame.x + rng.normal(size=120)
        full.append(sm.OLS(y, frame).fit())
        null.append(sm.OLS(y, frame[["const", "x"]]).fit())
    return full, null


def test_statsmodels_results():
    full, _ = fits()
    got = pool(full)
    assert got.names == ("const", "x", "b", "c")
    assert (got.dfcom == 116).all()
    mice = pytest.importorskip("statsmodels.imputation.mice")
    theirs = mice.MICE("y ~ x", sm_ols(), None)
    theirs.results_list, theirs.exog_names, theirs.endog_names = full, full[0].model.exog_names, "y"
    combined = theirs.combine()
    np.testing.assert_allclose(got.estimate, combined.params)
    np.testing.assert_allclose(got.covariance(), combined.cov_params(), rtol=1e-10)
    np.testing.assert_allclose(got.lambda_, combined.frac_miss_info)
    assert pooled_r2(full).estimate == pytest.approx(np.mean([r.rsquared for r in full]), abs=0.01)


def sm_ols():
    return pytest.importorskip("statsmodels.api").OLS


def test_d3_of_statsmodels_models_keeps_the_residual_variance_at_its_mean():
    full, null = fits()
    got = d3_models(full, null)

    def at(results):
        beta = np.mean([r.params for r in results], axis=0)
        v = np.mean([r.ssr / r.nobs for r in results])
        ssr = [((r.model.endog - r.model.exog @ beta) ** 2).sum() for r in results]
        return np.mean([-60 * np.log(2 * np.pi * v) - s / 2 / v for s in ssr])

    own = 2 * np.mean([f.llf - n.llf for f, n in zip(full, null, strict=True)])
    r = 6 / (2 * 4) * (own - 2 * (at(full) - at(null)))
    assert got.df1 == 2
    assert got.riv == pytest.approx(r)


def test_a_category_that_some_implicates_lack_is_reported():
    full, _ = fits(drop_category_in=(2, 5))
    got = pool(full)
    assert got.names == ("const", "x", "b")
    assert dict(got.absent) == {"c": (2, 5)}
    assert (got.dfcom == 116).all()  # the smallest; 117 where the category is absent
    assert "'c' is left out: absent from 2 of 5 implicates" in repr(got)


def test_results_come_in_nests_and_frames_bring_names():
    pd = pytest.importorskip("pandas")
    full, _ = fits(6)
    got = pool([full[:3], full[3:]], rule="nested")
    assert (got.m, got.draws, got.names) == (2, 3, ("const", "x", "b", "c"))
    q = np.array([r.params for r in full]).reshape(2, 3, 4)
    u = np.array([r.cov_params() for r in full]).reshape(2, 3, 4, 4)
    np.testing.assert_array_equal(got.t, pool(q, u, rule="nested").t)
    np.testing.assert_allclose(np.diag(got.covariance()), got.t)
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 2.5]})
    assert pool(frame, np.ones((2, 2))).names == ("a", "b")


def test_variances_of_zero_give_no_warnings():
    got = pool([[1.0, 1.0], [1.0, 2.0]], np.zeros((2, 2)))
    np.testing.assert_array_equal(got.fmi, [0 + 2 / np.inf, 1])
    np.testing.assert_array_equal(got.t, [0, 0.75])


def test_it_is_the_package_s_own_pool():
    import microimpute

    assert microimpute.pool is pool
