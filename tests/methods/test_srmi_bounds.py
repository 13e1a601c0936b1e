"""SRMI's bounds: draws from distributions cut off at them; and what it tells of its order and models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microimpute import impute, method
from microimpute.errors import MethodError

DONORS, ROWS = 3000, 20_000


def donors(seed=0):
    rng = np.random.default_rng(seed)
    x = np.round(rng.uniform(-1, 1, DONORS), 3)
    frame = pd.DataFrame({"x": x, "score": 50 + 5 * x + 10 * rng.normal(size=DONORS)})
    frame["visits"] = rng.poisson(np.exp(1 + x))
    return frame


def drawn(target, x, bounds=None, m=1):
    """Draw for many receivers at one place, mean over implicates taken by the caller."""
    settings = {} if bounds is None else {"bounds": {target: bounds}}
    frame, receiver = donors(), pd.DataFrame({"x": np.full(ROWS, float(x)), "id": np.arange(ROWS)})
    kinds = {"visits": "count", "score": "continuous"}
    done = impute(
        frame, receiver, targets=[target], predictors=["x"], kinds={target: kinds[target]}, m=m,
        method=method("srmi", settings),
    )  # fmt: skip
    return done.numbers(target), done.manifest["method"]["learnt"]


def test_amounts_are_drawn_from_the_normal_distribution_between_the_bounds():
    edges = donors()["score"].agg(["min", "max"])
    low, high = edges["min"] - 3, edges["max"] + 20
    (got,), learnt = drawn("score", 1.0, [low, high])
    assert learnt[0]["models"] == {"score": "normal"}
    assert not np.isin(got, [low, high]).any()  # nothing is piled up at the ends
    assert (got > edges["max"]).any()  # the donors' range is left
    law = stats.truncnorm((low - 55) / 10, (high - 55) / 10, loc=55, scale=10)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        # the fit's own error: a mean off by 10/√3000 · 2, a spread by 10/√6000
        error = np.sqrt(share * (1 - share)) * np.sqrt(4 / DONORS + 1 / ROWS)
        assert np.mean(got < law.ppf(share)) == pytest.approx(share, abs=4 * error)


def test_without_bounds_draws_keep_to_the_donors_range_and_open_ones_do_not():
    edges = donors()["score"].agg(["min", "max"])
    (plain,), _ = drawn("score", 1.0)
    (open_,), _ = drawn("score", 1.0, [None, None])
    assert plain.max() == edges["max"]
    assert (open_ > edges["max"]).sum() == pytest.approx((plain == edges["max"]).sum(), abs=1)
    half, _ = drawn("score", 1.0, [None, edges["max"]])
    assert half.max() < edges["max"]


def test_counts_are_drawn_from_the_distribution_between_the_bounds():
    most = int(donors()["visits"].max())
    (got,), learnt = drawn("visits", 1.0, [0, most + 8])
    assert learnt[0]["models"]["visits"] in ("Poisson", "negative binomial")
    assert got.max() > most
    law = stats.poisson(np.exp(2))
    for value in (2, 5, 8, 12, most):
        share = law.cdf(value)
        error = np.sqrt(share * (1 - share)) * np.sqrt(8 / DONORS + 1 / ROWS)
        assert np.mean(got <= value) == pytest.approx(share, abs=4 * error + 0.003)


def test_a_tight_bound_cuts_the_counts_off_instead_of_piling_them_up():
    frame = donors()
    frame["visits"] = np.minimum(frame["visits"], 5)
    receiver = pd.DataFrame({"x": np.full(ROWS, 1.0)})
    chosen = [method("srmi", s) for s in ({}, {"bounds": {"visits": [0, 5]}})]
    piled, cut = (
        impute(frame, receiver, targets=["visits"], kinds={"visits": "count"}, method=c, m=1).numbers("visits")
        for c in chosen
    )
    assert cut.max() == piled.max() == 5
    heap, top = (np.mean(d == 5) / np.mean(d == 4) for d in (piled, cut))
    assert top < 1.5 < heap


def test_losses_and_gains_each_keep_to_their_side():
    size = stats.truncnorm(-1.5, np.inf, loc=12, scale=8).rvs(DONORS, random_state=2)
    side = np.where(np.arange(DONORS) % 3, 1.0, -1.0)
    frame = pd.DataFrame({"side": np.where(side > 0, "gain", "loss"), "y": side * size})
    receiver = pd.DataFrame({"side": ["gain", "loss"] * (ROWS // 2)})
    chosen = method("srmi", {"bounds": {"y": [-80, 90]}})
    kinds = {"y": "semicontinuous"}
    done = impute(frame, receiver, targets=["y"], kinds=kinds, method=chosen, m=1)
    (got,), gains = done.numbers("y"), receiver["side"].to_numpy() == "gain"
    assert "normal on" not in done.manifest["method"]["learnt"][0]["models"]["y"]
    # the logit sends some astray; a normal distribution that is not cut off at zero, 7 in 100 more
    assert np.mean(got[gains] < 0) < 0.02
    assert np.mean(got[~gains] > 0) < 0.02
    assert frame["y"].max() < got.max() < 90


def test_the_order_is_told():
    frame = donors()
    chosen = method("srmi", {"shuffle_order": True})
    done = impute(frame, frame[["x"]].head(50), targets=["score", "visits"], method=chosen, m=6)
    orders = [tuple(told["order"]) for told in done.manifest["method"]["learnt"]]
    assert set(orders) == {("score", "visits"), ("visits", "score")}
    plain = impute(frame, frame[["x"]].head(50), targets=["visits", "score"], method="srmi", m=1)
    assert plain.manifest["method"]["learnt"][0]["order"] == ["visits", "score"]


@pytest.mark.parametrize("bad", [[1], [3, 1], ["a", 2], 5, [float("nan"), 1], [True, 2]])
def test_bad_bounds(bad):
    with pytest.raises(MethodError, match="'score'"):
        method("srmi", {"bounds": {"score": bad}})


def test_bounds_that_do_not_fit_the_donors():
    frame = donors().assign(kind="a")
    for bounds, named in (
        ({"scroe": [0, 1]}, "Did you mean 'score'"),
        ({"kind": [0, 1]}, "'kind', which is a class"),
        ({"score": [40, 60]}, "donors are outside srmi's bounds of 'score'"),
    ):
        with pytest.raises(MethodError, match=named):
            impute(
                frame, frame[["x"]].head(5), targets=["score", "kind"], m=1, method=method("srmi", {"bounds": bounds})
            )
