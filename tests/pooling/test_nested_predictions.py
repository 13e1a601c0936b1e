"""Predictions and marginal effects of draws in nests: statsmodels' figures, combined by hand as Reiter and Shen say."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from microimpute import pool
from microimpute.errors import PoolingError
from microimpute.pooling import marginal_effects, pooled_predictions

M, N = 4, 2
ROWS = pd.DataFrame({"x": [-1.0, 0.5], "z": [0.0, 2.0]})


def nests():
    """Frames: z is drawn twice from a model of each nest's own, mostly alike, so that T is positive."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    noise = rng.normal(size=300)
    out = []
    for nest in range(M):
        slope = 1 + 0.15 * np.random.default_rng([4, nest]).normal()
        middle = slope * x + np.random.default_rng([5, nest]).normal(size=300)
        drawn = [middle + np.random.default_rng([6, nest, d]).normal(0, 0.2, 300) for d in range(N)]
        frames = [pd.DataFrame({"x": x, "z": z, "y": x + z / 2 + noise}) for z in drawn]
        out.append([f.assign(b=(f.y > 0).astype(int)) for f in frames])
    return out


def fitted(model):
    return [[model(frame) for frame in nest] for nest in nests()]


def by_hand(q, u, dfcom, rule):
    """Estimate, standard error, and degrees of freedom from (nests, draws) of one figure."""
    means = q.mean(axis=1)
    b = np.sum((means - means.mean()) ** 2) / (M - 1)
    w = np.sum((q - means[:, None]) ** 2) / (M * (N - 1))
    ubar = u.mean()
    if rule == "external donors":
        t, share = ubar - w + (1 + 1 / M) * b - w / N, (1 + 1 / N) * w
    else:
        t, share = ubar + (1 + 1 / M) * b + (1 - 1 / N) * w, (1 - 1 / N) * w
    old = 1 / (((1 + 1 / M) * b / t) ** 2 / (M - 1) + (share / t) ** 2 / (M * (N - 1)))
    missing = np.clip(1 - ubar / t, 0, 1)
    observed = np.inf if np.isinf(dfcom) else (dfcom + 1) / (dfcom + 3) * dfcom * (1 - missing)
    df = 1 / (1 / old + 1 / observed)
    return q.mean(), np.sqrt(t), max(df, 3.0) if rule == "external donors" else df


RULES = ("external donors", "nested")


@pytest.mark.parametrize("rule", RULES)
def test_predictions_of_a_line_are_combined_nest_by_nest(rule):
    results = fitted(lambda d: smf.ols("y ~ x + z", d).fit())
    got = pooled_predictions(results, ROWS, rule=rule)
    told = [[r.get_prediction(ROWS).summary_frame() for r in nest] for nest in results]
    for row in range(len(ROWS)):
        q = np.array([[f["mean"].iloc[row] for f in nest] for nest in told])
        u = np.array([[f["mean_se"].iloc[row] ** 2 for f in nest] for nest in told])
        estimate, se, df = by_hand(q, u, 297, rule)
        assert got.estimate[row] == pytest.approx(estimate, rel=1e-10)
        assert got.std_error[row] == pytest.approx(se, rel=1e-8)
        assert got.df[row] == pytest.approx(df, rel=1e-8)
        assert got.high[row] == pytest.approx(estimate + stats.t.ppf(0.975, df) * se, rel=1e-8)
    assert "Predicted means, pooled over 4 nests of 2 draws" in repr(got)


@pytest.mark.parametrize("rule", RULES)
def test_logits_come_back_through_the_link(rule):
    results = fitted(lambda d: smf.logit("b ~ x + z", d).fit(disp=0))
    got = pooled_predictions(results, ROWS[:1], rule=rule, dfcom=np.inf)
    a = np.array([1.0, -1.0, 0.0])
    q = np.array([[a @ r.params for r in nest] for nest in results])
    u = np.array([[a @ r.cov_params() @ a for r in nest] for nest in results])
    eta, se, df = by_hand(q, u, np.inf, rule)
    assert got.estimate[0] == pytest.approx(1 / (1 + np.exp(-eta)), rel=1e-10)
    assert got.low[0] == pytest.approx(1 / (1 + np.exp(-eta + stats.t.ppf(0.975, df) * se)), rel=1e-8)


@pytest.mark.parametrize("rule", RULES)
def test_effects_are_combined_nest_by_nest(rule):
    results = fitted(lambda d: smf.logit("b ~ x + z", d).fit(disp=0))
    got = marginal_effects(results, ["x", "z"], rule=rule, dfcom=np.inf)
    told = [[r.get_margeff() for r in nest] for nest in results]
    for place in range(2):
        q = np.array([[m.margeff[place] for m in nest] for nest in told])
        u = np.array([[m.margeff_se[place] ** 2 for m in nest] for nest in told])
        estimate, se, df = by_hand(q, u, np.inf, rule)
        assert got.estimate[place] == pytest.approx(estimate, rel=1e-6)
        assert got.std_error[place] == pytest.approx(se, rel=1e-5)
        assert got.df[place] == pytest.approx(df, rel=1e-4)


def test_a_class_that_one_draw_lacks_is_left_out_of_all():
    frames = nests()
    cut = [[f.assign(g=np.where(f.z > 0, "a", "b")) for f in nest] for nest in frames]
    cut[1][0] = cut[1][0].assign(g="a")
    results = [[smf.ols("y ~ x + C(g)", f).fit() for f in nest] for nest in cut]
    got = pooled_predictions(results, pd.DataFrame({"x": [0.0, 0.0], "g": ["a", "b"]}), rule="nested")
    assert got.names == ("row 1",)
    assert any("absent from 1 of 8 implicates" in note for note in got.notes)


USES = [
    lambda r, rule: pool(r, rule=rule),
    lambda r, rule: pooled_predictions(r, ROWS, rule=rule),
    lambda r, rule: marginal_effects(r, rule=rule),
]


@pytest.mark.parametrize("use", USES)
def test_lists_that_do_not_fit_the_rule_are_refused(use):
    pairs = fitted(lambda d: smf.ols("y ~ x + z", d).fit())
    flat = [r for nest in pairs for r in nest]
    for results, rule, said in (
        (flat, "external donors", "results are in none"),
        (pairs, "rubin", "takes each implicate for learnt anew"),
        ([*pairs[:3], pairs[3][:1]], "nested", "different numbers of draws"),
        ([nest[:1] for nest in pairs], "nested", "one draw per nest"),
    ):
        with pytest.raises(PoolingError, match=said):
            use(results, rule)


def test_a_draw_without_a_model_or_with_another_link_is_named():
    pairs = fitted(lambda d: smf.logit("b ~ x + z", d).fit(disp=0))
    other = smf.glm("b ~ x + z", nests()[1][0], family=sm.families.Binomial(sm.families.links.Probit())).fit()
    with pytest.raises(PoolingError, match="nest 2, draw 1 has the link Probit"):
        pooled_predictions([pairs[0], [other, pairs[1][1]], *pairs[2:]], ROWS, rule="nested")
    with pytest.raises(PoolingError, match="result of nest 1, draw 2"):
        pooled_predictions([[pairs[0][0], 3], *pairs[1:]], ROWS, rule="nested")
