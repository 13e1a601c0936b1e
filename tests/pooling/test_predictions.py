"""Predictions and marginal effects: one implicate is statsmodels', several are Rubin's, and gaps are said."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from microimpute import pool
from microimpute.errors import PoolingError
from microimpute.pooling import d1, marginal_effects, monte_carlo_error, pooled_predictions


def data(seed=0, n=400):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.normal(40, 10, n),
            "z": rng.lognormal(size=n),
            "flag": rng.integers(0, 2, n),
            "region": rng.choice(["a", "b", "c"], n),
            "w": rng.exponential(size=n),
        }
    )
    eta = 0.03 * (frame.x - 40) + 0.5 * frame.flag + (frame.region == "b") * 0.7 - 0.2 * np.log(frame.z)
    frame["y"] = 3 * eta + rng.normal(size=n)
    frame["b"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    frame["count"] = rng.poisson(np.exp(0.5 + eta) * rng.gamma(2, 0.5, n))
    return frame


RHS = "x + z + flag + region"
MODELS = {
    "ols": lambda d: smf.ols(f"y ~ {RHS}", d).fit(),
    "wls": lambda d: smf.wls(f"y ~ {RHS}", d, weights=d.w).fit(cov_type="HC1"),
    "quantreg": lambda d: smf.quantreg(f"y ~ {RHS}", d).fit(),
    "glm": lambda d: smf.glm(f"count ~ {RHS}", d, family=sm.families.Poisson()).fit(),
    "probit glm": lambda d: smf.glm(f"b ~ {RHS}", d, family=sm.families.Binomial(sm.families.links.Probit())).fit(),
    "logit": lambda d: smf.logit(f"b ~ {RHS}", d).fit(disp=0),
    "probit": lambda d: smf.probit(f"b ~ {RHS}", d).fit(disp=0),
    "poisson": lambda d: smf.poisson(f"count ~ {RHS}", d).fit(disp=0),
    "negative binomial": lambda d: smf.negativebinomial(f"count ~ {RHS}", d).fit(disp=0),
}
NEW = pd.DataFrame({"x": [20.0, 45.0, 60.0], "z": [1.0, 0.3, 2.0], "flag": [0, 1, 1], "region": ["a", "b", "c"]})


@pytest.mark.parametrize("name", ["ols", "wls", "glm", "probit glm", "logit", "probit", "poisson"])
def test_copies_of_one_implicate_predict_as_statsmodels_does(name):
    result = MODELS[name](data())
    ours = pooled_predictions([result] * 4, NEW, dfcom=np.inf)
    theirs = result.get_prediction(NEW)
    frame = theirs.summary_frame()
    mean = "mean" if "mean" in frame else "predicted"
    assert ours.estimate == pytest.approx(frame[mean].to_numpy(), rel=1e-10)
    assert ours.std_error == pytest.approx(frame["mean_se" if "mean_se" in frame else "se"].to_numpy(), rel=1e-8)
    if name not in ("ols", "wls"):  # those have t intervals; ours are normal here
        low, high = (c for c in frame.columns if "ci_low" in c or "ci_upp" in c)
        assert ours.low == pytest.approx(frame[low].to_numpy(), rel=1e-8)
        assert ours.high == pytest.approx(frame[high].to_numpy(), rel=1e-8)


@pytest.mark.parametrize("name", ["ols", "quantreg", "negative binomial"])
def test_predictions_are_the_models_own_and_t_on_its_degrees_of_freedom(name):
    result = MODELS[name](data())
    ours = pooled_predictions([result] * 3, NEW)
    assert ours.estimate == pytest.approx(result.predict(NEW).to_numpy(), rel=1e-10)
    df = result.df_resid
    assert ours.df == pytest.approx(df * (df + 1) / (df + 3), rel=1e-12)  # Barnard & Rubin where nothing is missing


def implicates(m=5):
    return [
        data(0).assign(z=lambda d, i=i: d.z * np.exp(np.random.default_rng([7, i]).normal(0, 0.5, len(d))))
        for i in range(m)
    ]


def test_logits_are_pooled_on_their_own_scale_and_come_back_through_the_link():
    results = [MODELS["logit"](d) for d in implicates()]
    ours = pooled_predictions(results, NEW)
    X = np.array([[1, 0, 0, 20, 1, 0], [1, 1, 0, 45, 0.3, 1], [1, 0, 1, 60, 2, 1]])
    assert list(results[0].params.index) == ["Intercept", "region[T.b]", "region[T.c]", "x", "z", "flag"]
    eta = np.stack([X @ r.params.to_numpy() for r in results])
    covariance = np.stack([X @ r.cov_params().to_numpy() @ X.T for r in results])
    plain = pool(eta, covariance, dfcom=results[0].df_resid)
    p = 1 / (1 + np.exp(-plain.estimate))
    assert ours.estimate == pytest.approx(p, rel=1e-12)
    assert ours.low == pytest.approx(1 / (1 + np.exp(-plain.low)), rel=1e-12)
    assert ours.std_error == pytest.approx(p * (1 - p) * plain.std_error, rel=1e-12)
    assert ours.fmi == pytest.approx(plain.fmi)
    assert (ours.fmi > 0.005).all()
    assert "Logit" in ours.notes[-1]
    assert d1(ours.pooled, ["row 1"]).p_value == pytest.approx(d1(plain, ["q1"]).p_value)
    assert len(monte_carlo_error(ours.pooled).estimate) == 3


def test_responses_are_pooled_by_the_delta_method_where_that_is_asked():
    results = [MODELS["logit"](d) for d in implicates()]
    ours = pooled_predictions(results, NEW, scale="response")
    singly = [r.get_prediction(NEW).summary_frame() for r in results]
    q = np.stack([f["predicted"] for f in singly])
    u = np.stack([f["se"] for f in singly]) ** 2
    plain = pool(q, u, dfcom=results[0].df_resid)
    assert ours.estimate == pytest.approx(plain.estimate, rel=1e-10)
    assert ours.std_error == pytest.approx(plain.std_error, rel=1e-8)
    assert ours.estimate != pytest.approx(pooled_predictions(results, NEW).estimate, rel=1e-6)


def test_a_synthetic_rule_and_a_level_are_taken():
    results = [MODELS["logit"](d) for d in implicates()]
    partly = pooled_predictions(results, NEW, rule="partially synthetic", level=0.9)
    assert partly.pooled.rule == "partially synthetic"
    usual = pooled_predictions(results, NEW)
    assert (partly.std_error < usual.std_error).all()
    assert (partly.low > usual.low).all()
    assert marginal_effects(results, rule="partially synthetic").rule == "partially synthetic"
    with pytest.raises(PoolingError, match="results are in none"):
        pooled_predictions(results, NEW, rule="nested")


def test_frames_of_other_libraries_labels_and_many_rows():
    results = [MODELS["logit"](d) for d in implicates(3)]
    named = pooled_predictions(results, NEW.set_axis(["young", "middle", "old"]))
    assert named.names == ("young", "middle", "old")
    assert pooled_predictions(results, pl.from_pandas(NEW)).estimate.tolist() == named.estimate.tolist()
    assert "middle" in repr(named)
    assert "middle" in named.to_html()
    assert "middle" in named.to_latex()
    assert named.to_frame().loc["old", "fmi"] == named.fmi[2]
    many = pooled_predictions(results, pd.concat([NEW] * 400, ignore_index=True))
    assert len(many) == 1200
    assert not many.pooled.parts.has_covariance
    assert many.std_error[:3] == pytest.approx(named.std_error, rel=1e-10)


# marginal effects


@pytest.mark.parametrize("at", ["overall", "mean"])
@pytest.mark.parametrize("kind", [sm.Logit, sm.Probit, sm.Poisson])
def test_copies_of_one_implicate_have_statsmodels_effects(kind, at):
    d = data()
    X = sm.add_constant(d[["x", "z", "flag"]])
    result = kind(d["count"] if kind is sm.Poisson else d["b"], X).fit(disp=0)
    ours = marginal_effects([result] * 3, at=at, dfcom=np.inf)
    theirs = result.get_margeff(at=at, dummy=True)
    assert ours.names == ("x", "z", "flag")
    assert ours.estimate == pytest.approx(theirs.margeff, rel=1e-6)
    assert ours.std_error == pytest.approx(theirs.margeff_se, rel=1e-6)
    smooth = marginal_effects([result] * 3, at=at, discrete=False)
    assert smooth.estimate == pytest.approx(result.get_margeff(at=at).margeff, rel=1e-6)


def test_a_linear_model_with_powers_and_interactions_has_the_effects_of_calculus():
    d = data()
    result = smf.ols("y ~ x * flag + I(x ** 2) + np.log(z)", d).fit()
    found = marginal_effects([result] * 2, ["x", "flag", "z"])
    b, V = result.params, result.cov_params()
    gradients = pd.DataFrame(0.0, index=["x", "flag", "z"], columns=b.index)
    gradients.loc["x", ["x", "x:flag", "I(x ** 2)"]] = 1, d.flag.mean(), 2 * d.x.mean()
    gradients.loc["flag", ["flag", "x:flag"]] = 1, d.x.mean()
    gradients.loc["z", "np.log(z)"] = (1 / d.z).mean()
    assert found.estimate == pytest.approx((gradients @ b).to_numpy(), rel=1e-6)
    variance = np.diag(gradients @ V @ gradients.T)
    assert found.std_error == pytest.approx(np.sqrt(variance), rel=1e-6)
    # one more implicate with the interaction's own covariance: whole matrices are kept
    assert found.covariance()[0, 1] == pytest.approx((gradients @ V @ gradients.T).loc["x", "flag"], rel=1e-6)


def test_classes_are_contrasts_with_the_first_level_and_weights_count():
    d = data()
    result = smf.glm(f"b ~ {RHS}", d, family=sm.families.Binomial(), freq_weights=d.w).fit()
    found = marginal_effects([result] * 2, ["region"])
    assert found.names == ("region[b] - region[a]", "region[c] - region[a]")
    change = result.predict(d.assign(region="b")) - result.predict(d.assign(region="a"))
    assert found.estimate[0] == pytest.approx(np.average(change, weights=d.w), rel=1e-9)
    equal = marginal_effects([result] * 2, ["region"], weight=np.ones(len(d)))
    assert equal.estimate[0] == pytest.approx(change.mean(), rel=1e-9)
    assert equal.estimate[0] != pytest.approx(found.estimate[0], rel=1e-3)
    named = marginal_effects([result] * 2, ["region"], weight="x")
    assert named.estimate[0] == pytest.approx(np.average(change, weights=d.x), rel=1e-9)


def test_rows_of_ones_own_codes_flags_and_offsets():
    d = data().assign(code=lambda d: d.region.map({"a": 1, "b": 2, "c": 3}), yes=lambda d: d.flag == 1)
    exposed = d.assign(time=np.linspace(1, 9, len(d)))
    result = smf.poisson("count ~ x + C(code) + yes", exposed, exposure=exposed["time"]).fit(disp=0)
    found = marginal_effects([result] * 2)
    assert found.names == ("x", "code[2] - code[1]", "code[3] - code[1]", "yes")
    mean = result.predict()
    assert found.estimate[0] == pytest.approx(result.params["x"] * mean.mean(), rel=1e-6)
    at = marginal_effects([result] * 2, ["x"], at=pd.DataFrame({"x": [30.0], "code": [2], "yes": [True]}))
    eta = result.params[["Intercept", "C(code)[T.2]", "yes[T.True]"]].sum() + 30 * result.params["x"]
    assert at.estimate[0] == pytest.approx(result.params["x"] * np.exp(eta), rel=1e-6)


def test_splines_end_where_the_data_do():
    d = data()
    result = smf.ols("y ~ bs(x, df=5) + flag", d).fit()
    found = marginal_effects([result] * 2, ["x"])
    inner = d.assign(x=d.x.clip(d.x.min() + 1e-3, d.x.max() - 1e-3))  # all but the ends, where one side is missing
    slope = (result.predict(inner.assign(x=inner.x + 1e-4)) - result.predict(inner.assign(x=inner.x - 1e-4))) / 2e-4
    assert found.estimate[0] == pytest.approx(slope.mean(), rel=1e-4)


def test_effects_at_the_mean_take_the_most_frequent_class():
    d = data()
    result = MODELS["logit"](d)
    common = d.region.mode()[0]
    row = d[["x", "z", "flag"]].mean().to_frame().T.assign(region=common)
    p = float(result.predict(row).iloc[0])
    found = marginal_effects([result] * 2, ["x"], at="mean")
    assert found.estimate[0] == pytest.approx(result.params["x"] * p * (1 - p), rel=1e-6)


def test_effects_of_implicates_are_pooled_by_rubins_rule():
    results = [MODELS["logit"](d) for d in implicates()]
    found = marginal_effects(results)
    singly = [marginal_effects([r, r]) for r in results]
    plain = pool([s.estimate for s in singly], [s.ubar for s in singly], dfcom=results[0].df_resid)
    assert found.estimate == pytest.approx(plain.estimate)
    assert found.std_error == pytest.approx(plain.std_error)
    assert found.fmi[found.names.index("z")] > 0.1
    assert d1(found, ["x", "z"]).df1 == 2


def test_rows_with_gaps_are_those_that_the_model_left_out():
    d = data()
    d.loc[:9, "x"] = np.nan
    result = MODELS["logit"](d)
    found = marginal_effects([result] * 2, ["flag"])
    kept = d.dropna()
    change = result.predict(kept.assign(flag=1)) - result.predict(kept.assign(flag=0))
    assert found.estimate[0] == pytest.approx(change.mean(), rel=1e-10)


# what implicates lack, and what can't be


def test_a_class_that_one_implicate_lacks_is_left_out_and_said():
    frames = implicates(3)
    frames[1] = frames[1][frames[1].region != "c"]
    results = [MODELS["logit"](d) for d in frames]
    predicted = pooled_predictions(results, NEW)
    assert predicted.names == ("row 1", "row 2")
    assert predicted.pooled.absent == {"row 3": (2,)}
    assert "'row 3' is left out: absent from 1 of 3 implicates" in predicted.notes[0]
    effects = marginal_effects(results, ["region", "x"])
    assert effects.names == ("region[b] - region[a]", "x")
    assert effects.absent == {"region[c] - region[a]": (2,)}
    with pytest.raises(PoolingError, match="'row 1' is absent from 1 of 3"):
        pooled_predictions(results, NEW[2:].reset_index(drop=True))


def test_a_column_that_one_implicate_lacks_is_left_out_of_matrices_too():
    frames = [sm.add_constant(d[["x"]]).assign(c=(d.region == "c").astype(float)) for d in implicates(3)]
    frames[2] = frames[2].drop(columns="c")
    results = [sm.Logit(d.b, X).fit(disp=0) for d, X in zip(implicates(3), frames, strict=True)]
    at = pd.DataFrame({"x": [30.0, 30.0], "c": [0.0, 1.0]})
    assert pooled_predictions(results, at).pooled.absent == {"row 2": (3,)}
    assert marginal_effects(results).absent == {"c": (3,)}


BAD = [
    (lambda r: pooled_predictions(r, NEW.drop(columns="z")), "the formula can't be applied.*'?z'? is not defined"),
    (lambda r: pooled_predictions(r, NEW.assign(x=np.nan)), "no finite predictors in row 1"),
    (lambda r: pooled_predictions(r, NEW[:0]), "no row to predict"),
    (lambda r: pooled_predictions(r, NEW, scale="odds"), "scale is 'odds'"),
    (lambda r: pooled_predictions(r, 3.0), "float is no table"),
    (lambda r: pooled_predictions([], NEW), "no list of fitted models"),
    (lambda r: pooled_predictions(r[:1], NEW), "no variance between"),
    (lambda r: pooled_predictions([1, 2], NEW), "implicate 1 .int. has no model"),
    (lambda r: pooled_predictions([*r, MODELS["ols"](data())], NEW), "implicate 4 has the link identity"),
    (lambda r: marginal_effects(r, ["wealth"]), "variable 'wealth' is in no model"),
    (lambda r: marginal_effects(r, at="median"), "at is 'median'"),
    (lambda r: marginal_effects(r, weight="size"), "no weight column 'size'"),
    (lambda r: marginal_effects(r, weight=-np.ones(400)), "hold what is no weight"),
    (lambda r: marginal_effects(r, weight=np.ones(3)), r"shape \(3,\) for 400 rows"),
]


@pytest.mark.parametrize(("call", "said"), BAD)
def test_bad_input_is_refused_by_name(call, said):
    results = [MODELS["logit"](d) for d in implicates(3)]
    with pytest.raises(PoolingError, match=said):
        call(results)


def test_results_of_packages_that_predict_otherwise_are_refused():
    class Model:
        exog = "a matrix of their own"

        def predict(self, params, exog=None):
            raise AssertionError("it is not asked")

    class Result:
        model, params = Model(), pd.Series([1.0, 2.0])

    with pytest.raises(PoolingError, match=r"implicate 1 .Result. has no model that predicts from a matrix"):
        marginal_effects([Result(), Result()])


def test_models_of_several_outcomes_and_without_a_link_are_refused():
    d = data()
    several = smf.mnlogit("region2 ~ x", d.assign(region2=d.region.map({"a": 0, "b": 1, "c": 2}))).fit(disp=0)
    with pytest.raises(PoolingError, match="Models of several outcomes"):
        pooled_predictions([several] * 2, NEW)
    inflated = sm.ZeroInflatedPoisson(d["count"], sm.add_constant(d[["x"]])).fit(disp=0)
    with pytest.raises(PoolingError, match="implicate 1"):
        pooled_predictions([inflated] * 2, NEW)
