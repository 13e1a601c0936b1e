"""Fitted results of linearmodels and pyfixest: fakes with their attributes, and the real ones where installed."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Imputations, Survey, pool
from microimpute.errors import PoolingError
from microimpute.frames import as_frame

V = np.array([[0.04, 0.01], [0.01, 0.09]])


class Linearmodels:
    """`params` a series, `cov` a frame, `std_errors`, `df_resid`; no `cov_params`, no `bse`."""

    def __init__(self, estimates, df=97):
        self.params = pd.Series(estimates, ["x", "z"], name="parameter")
        self.cov = pd.DataFrame(V, self.params.index, self.params.index)
        self.std_errors = pd.Series(np.sqrt(np.diag(V)), self.params.index)
        self.df_resid = df


class Pyfixest:
    """`coef()` a series, `_vcov` an array, `se()`, `_df_t`; `vcov` is a method that sets another covariance."""

    def __init__(self, estimates, df=97):
        self._coefnames = [np.str_("x"), np.str_("z")]
        self._estimates, self._vcov, self._df_t = np.asarray(estimates), V, df

    def coef(self):
        return pd.Series(self._estimates, pd.Index(self._coefnames, name="Coefficient"), name="Estimate")

    def se(self):
        return pd.Series(np.sqrt(np.diag(self._vcov)), self._coefnames)

    def vcov(self, vcov):
        raise AssertionError("it would change the result")


QS = [[1.0, 2.0], [1.4, 2.1], [0.9, 2.4]]


@pytest.mark.parametrize("fake", [Linearmodels, Pyfixest])
def test_they_pool_as_their_numbers_do(fake):
    plain = pool(QS, [V] * 3, dfcom=95, names=["x", "z"])
    found = pool([fake(q, df) for q, df in zip(QS, (97, 95, 99), strict=True)])
    assert found.names == ("x", "z")
    assert all(type(name) is str for name in found.names)
    assert found.estimate == pytest.approx(plain.estimate)
    assert found.std_error == pytest.approx(plain.std_error)
    assert found.df == pytest.approx(plain.df)  # the smallest df of the three
    assert found.covariance() == pytest.approx(plain.covariance())


def test_standard_errors_do_where_there_is_no_covariance():
    bare = [Pyfixest(q) for q in QS]
    for result in bare:
        result.se = lambda: pd.Series([0.2, 0.3], ["x", "z"])
        del result._vcov
    assert pool(bare).std_error == pytest.approx(pool([Pyfixest(q) for q in QS]).std_error)
    nothing = [type("Bare", (), {"params": pd.Series(q)})() for q in QS]
    with pytest.raises(PoolingError, match="neither cov_params"):
        pool(nothing)


def imputed():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=120), "group": np.repeat(np.arange(12), 10)})
    values = tuple(as_frame(pd.DataFrame({"y": frame.x + rng.normal(size=120)}))["y"] for _ in range(3))
    return Imputations(Survey(frame), ("y",), {"y": values}, {})


def test_imputations_pool_what_has_coef():
    found = imputed().pool(lambda d: Pyfixest([d["y"].mean(), d["x"].mean()]))
    assert found.names == ("x", "z")
    assert "covariances of the fitted results" in found.notes[-1]


@pytest.mark.filterwarnings("default")  # what those packages do to pandas is theirs
def test_real_pyfixest():
    pf = pytest.importorskip("pyfixest")
    fits = imputed().apply(lambda d: pf.feols("y ~ x | group", d, vcov={"CRV1": "group"}))
    found = pool(fits)
    plain = pool([f.coef().to_numpy() for f in fits], [f.se().to_numpy() ** 2 for f in fits], dfcom=11, names=["x"])
    assert found.names == ("x",)
    assert found.std_error == pytest.approx(plain.std_error)
    assert found.df == pytest.approx(plain.df)
    assert pool([pf.fepois("c ~ x", d) for d in [imputed().complete(1).assign(c=range(120))] * 2]).names[1] == "x"


@pytest.mark.filterwarnings("default")  # what those packages do to pandas is theirs
def test_real_linearmodels():
    lm = pytest.importorskip("linearmodels")
    fits = imputed().apply(
        lambda d: lm.IV2SLS.from_formula("y ~ 1 + x", d).fit(cov_type="clustered", clusters=d["group"])
    )
    found = pool(fits)
    assert found.names == ("Intercept", "x")
    plain = pool([f.params for f in fits], [f.std_errors.to_numpy() ** 2 for f in fits], dfcom=118)
    assert found.std_error == pytest.approx(plain.std_error)
    assert found.df == pytest.approx(plain.df)
    panel = imputed().apply(
        lambda d: lm.PanelOLS.from_formula(
            "y ~ x + EntityEffects", d.assign(t=d.index % 10).set_index(["group", "t"])
        ).fit()
    )
    assert pool(panel).names == ("x",)
