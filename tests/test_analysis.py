"""One analysis over implicates and replicates: what R's survey and mitools print, names, notes, bad input."""

from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from microimpute import Imputations, Survey
from microimpute.analysis import IMPUTED
from microimpute.errors import PoolingError, SurveyError
from microimpute.frames import as_frame
from microimpute.pooling import RULES
from microimpute.synthesis.base import FITTING
from microimpute.variance import Replicates, bootstrap_replicates, gini, least_squares, mean, quantile, share, total

GOLDEN = Path(__file__).parent / "golden"


def imputations(receiver: Survey, table: pd.DataFrame) -> Imputations:
    """Columns of a long table with `imp` as implicates of a receiver."""
    columns = tuple(c for c in table if c != "imp")
    frames = [as_frame(rows.drop(columns="imp").reset_index(drop=True)) for _, rows in table.groupby("imp")]
    return Imputations(receiver, columns, {c: tuple(f[c] for f in frames) for c in columns}, {})


@pytest.fixture(scope="module")
def golden():
    """Five implicates of y beside x and CPS-type weights, as the golden file has them."""
    long = pd.read_csv(GOLDEN / "rep_implicates_long.csv")
    weights = pd.read_csv(GOLDEN / "rep_cps160_weights.csv")
    first = long[long.imp == 1].reset_index(drop=True)
    many = weights.drop(columns="id").set_axis([f"r{i + 1}" for i in range(160)], axis=1)
    frame = pd.concat([first[["id", "x", "grp", "w"]], many], axis=1)
    receiver = Survey(frame, weight="w", keys="id", replicates=list(many), replicate_rule="cps asec")
    return imputations(receiver, long[["imp", "y"]])


@pytest.fixture(scope="module")
def wanted():
    return pd.read_csv(GOLDEN / "rep_combined.csv").query("design == 'cps_successive_diff_mse'")


def test_a_mean_is_what_r_prints(golden, wanted):
    row = wanted[(wanted["stat"] == "mean") & (wanted["term"] == "y")].iloc[0]
    got = golden.pool(mean, "y", dfcom=np.inf)
    np.testing.assert_allclose(
        [got.estimate[0], got.t[0], got.fmi[0]], row[["qbar", "T_rubin", "fmi"]].astype(float), rtol=1e-10
    )
    assert got.names == ("mean of y",)
    assert golden.pool(mean, "y").dfcom[0] == 159  # replicates less one
    assert "160 replicate weights (successive difference)" in got.notes[-1]
    assert "'rubin' over 5 implicates" in got.notes[-1]
    scf = golden.pool(mean, "y", rule="scf", dfcom=np.inf)
    np.testing.assert_allclose(scf.t[0], float(row["T_scf_fed"]), rtol=1e-10)


def test_a_regression_is_what_r_prints(golden, wanted):
    rows = wanted[wanted["stat"] == "glm"].set_index("term")
    for analysis in (
        partial(least_squares, y="y", x=["x"]),
        lambda d, w: smf.wls("y ~ x", d, weights=w).fit(),
        lambda d, w: np.linalg.lstsq(np.c_[np.ones(len(d)), d["x"]] * np.sqrt(w)[:, None], d["y"] * np.sqrt(w))[0],
    ):
        got = golden.pool(analysis, dfcom=np.inf)
        np.testing.assert_allclose(got.estimate, rows.loc[["(Intercept)", "x"], "qbar"].astype(float), rtol=1e-9)
        np.testing.assert_allclose(got.t, rows.loc[["(Intercept)", "x"], "T_rubin"].astype(float), rtol=1e-8)
    assert golden.pool(partial(least_squares, y="y", x=["x"])).names == ("intercept", "x")
    assert golden.pool(lambda d, w: smf.wls("y ~ x", d, weights=w).fit()).names == ("Intercept", "x")


def test_fitted_results_carry_their_own_covariance(golden):
    got = golden.pool(lambda d: smf.wls("y ~ x", d, weights=d["w"]).fit())
    assert got.names == ("Intercept", "x")
    assert "covariances of the fitted results" in got.notes[-1]
    fits = golden.apply(lambda d: smf.wls("y ~ x", d, weights=d["w"]).fit())
    np.testing.assert_allclose(got.estimate, np.mean([f.params for f in fits], axis=0))
    pairs = golden.pool(lambda d: (d["y"].mean(), d["y"].var() / len(d)))
    np.testing.assert_allclose(pairs.estimate, [golden.numbers("y").mean()])


def test_each_implicate_has_its_estimate_and_workers_do_not_matter(golden):
    one, two = (golden.apply(gini, "y", workers=w) for w in (1, 2))
    assert [float(e.estimate) for e in one] == [float(e.estimate) for e in two]
    direct = golden.receiver.replicated().estimate(gini, golden.numbers("y")[3])
    np.testing.assert_allclose(one[3].covariance, direct.covariance, rtol=1e-12)
    assert one.names == ("gini of y",)


def test_several_columns_and_names(golden):
    assert golden.pool(mean, ["x", "y"]).names == ("x", "y")
    assert golden.pool(lambda d, w: {"low": quantile(d["y"], w, 0.1), "high": quantile(d["y"], w, 0.9)}).names == (
        "low",
        "high",
    )
    by_group = golden.pool(lambda d, w: d["y"].mul(w).groupby(d["grp"]).sum() / pd.Series(w).groupby(d["grp"]).sum())
    assert by_group.names == ("a", "b", "c")
    half = golden.pool(share, "x")
    assert 0 < half.estimate[0] <= 1


SYNTHETIC = [r for r in RULES if "synth" in r]


@pytest.mark.parametrize("rule", SYNTHETIC)
def test_rules_for_synthetic_data_are_refused_before_anything_runs(golden, rule):
    def never(d):
        raise AssertionError("the analysis ran")

    with pytest.raises(PoolingError, match=f"the rule {rule!r} is not for imputed data.*takes 'rubin', or choose one"):
        golden.pool(never, rule=rule)
    with pytest.raises(PoolingError, match=r"no combining rule 'rubbin'.*rubin"):
        golden.pool(never, rule="rubbin")


def test_every_rule_is_for_imputed_or_for_synthetic_data():
    assert len(SYNTHETIC) == 6
    assert {*IMPUTED, *chain.from_iterable(FITTING.values())} == set(RULES)
    assert not {*IMPUTED} & {*SYNTHETIC}


def test_bad_analyses(golden):
    bare = imputations(
        Survey(golden.receiver.native[["id", "w", "x"]]),
        golden.long()[["implicate", "y"]].rename(columns={"implicate": "imp"}),
    )
    with pytest.raises(PoolingError, match=r"no replicate weights.*bootstrap_replicates"):
        bare.pool(mean, "y")
    with pytest.raises(PoolingError, match=r"returns float.*f\(frame, weight\)"):
        bare.pool(lambda d: float(d["y"].mean()))
    with pytest.raises(PoolingError, match="'net' is neither"):
        golden.pool(mean, "net")
    with pytest.raises(PoolingError, match=r"implicate \d: the analysis returns str"):
        golden.pool(lambda d, w: "high")
    with pytest.raises(PoolingError, match="replicates are for 3 rows"):
        golden.pool(mean, "y", replicates=Replicates(np.ones(3), np.ones((3, 2))))
    odd = golden.receiver.replicated().replicates[:, 6]

    def broken(d, w):
        return np.nan if np.array_equal(w, odd) else np.average(d["y"], weights=w)

    with pytest.raises(PoolingError, match=r"implicate \d: the statistic is not a number in replicate 7"):
        golden.pool(broken)
    with pytest.raises(PoolingError, match=r"implicate \d: a replicate gives 'b' where the full sample gives 'a'"):
        golden.pool(lambda d, w: {"b" if np.array_equal(w, odd) else "a": w.sum()})
    first = golden.numbers("y")[0]
    with pytest.raises(PoolingError, match=r"implicate \d gives 'q1', 'q2' where implicate 1 gives 'q1'"):
        golden.pool(lambda d, w: np.ones(1 if np.array_equal(d["y"], first) else 2))


def test_designs_by_name_check_the_number_of_replicates(golden):
    frame = golden.receiver.native
    for rule, error, said in (
        ("cps asec", PoolingError, "'cps asec' has 160 replicate weights, and 3 were given"),
        ("", SurveyError, "nobody said how the 3 replicate weights make a variance"),
        ("cps asc", PoolingError, "Did you mean 'cps asec'"),
    ):
        survey = Survey(frame, weight="w", replicates=["r1", "r2", "r3"], replicate_rule=rule)
        with pytest.raises(error, match=said):
            survey.replicated()
    with pytest.raises(SurveyError, match="no replicate weights"):
        Survey(frame).replicated()


def test_bootstrap_replicates_of_a_total_have_the_textbook_variance():
    """Σ n/(n − 1) Σ (z − z̄)² over clusters; 4,000 replicates: s.e. of a variance about √(2/4,000), 2.2%."""
    rng = np.random.default_rng(3)
    strata = np.repeat([0, 1, 2], [40, 60, 20])
    clusters = np.r_[np.repeat(np.arange(10), 4), np.repeat(np.arange(12), 5), np.arange(20)]
    y, weight = rng.gamma(2, size=120), rng.uniform(1, 3, 120)
    expected = 0.0
    for h in range(3):
        own = strata == h
        z = pd.Series((y * weight)[own]).groupby(clusters[own]).sum()
        expected += len(z) / (len(z) - 1) * ((z - z.mean()) ** 2).sum()
    made = bootstrap_replicates(weight, strata, clusters, count=4000, seed=1)
    assert float(made.estimate(total, y).covariance) == pytest.approx(expected, rel=4 * np.sqrt(2 / 4000))
    loose = bootstrap_replicates(weight, count=4000, seed=1)  # without the design it is another variance
    assert abs(float(loose.estimate(total, y).covariance) / expected - 1) > 4 * np.sqrt(2 / 4000)
    again = bootstrap_replicates(weight, strata, clusters, count=4000, seed=1)
    np.testing.assert_array_equal(made.replicates, again.replicates)


def test_bootstrap_replicates_refuse_lone_clusters():
    with pytest.raises(PoolingError, match="the stratum 'b' has one cluster"):
        bootstrap_replicates(np.ones(3), ["a", "a", "b"])
    with pytest.raises(PoolingError, match="strata have shape"):
        bootstrap_replicates(np.ones(3), ["a", "a"])
    with pytest.raises(PoolingError, match="count is 1"):
        bootstrap_replicates(np.ones(3), count=1)


def test_collinear_regressors_are_named():
    frame = pd.DataFrame({"y": [1.0, 2, 3], "a": [1.0, 2, 4], "b": [2.0, 4, 8]})
    with pytest.raises(PoolingError, match="a, b are collinear"):
        least_squares(frame, np.ones(3), "y", ["a", "b"])
    with pytest.raises(PoolingError, match="'c' is not in the table"):
        least_squares(frame, np.ones(3), "y", ["c"])
