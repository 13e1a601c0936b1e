"""Fully synthetic data: distributions come back, rules hold, copies are counted, and the right rule pools."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from microimpute import Survey, pool, synthesise
from microimpute.errors import FusionError, MethodError, PoolingError
from microimpute.methods.qrf import QRF
from microimpute.testing import example_donor

KINDS = {"trips": "count", "health": "ordinal"}
RULES = ["debt requires wealth", "net = wealth - debt"]


def survey(rows=2500, frame=None, **about):
    """A survey that has ten times too many of the rich, and weights that say so."""
    frame = example_donor(rows) if frame is None else frame
    rich = frame["wealth"] > frame["wealth"].quantile(0.8)
    return Survey(frame.assign(weight=np.where(rich, 0.1, 1.0)), weight="weight", keys="id", kinds=KINDS, **about)


@pytest.fixture(scope="module")
def donor():
    return survey()


@pytest.fixture(scope="module")
def made(donor):
    return synthesise(donor, 4, seed=1, method=QRF(trees=10), rules=RULES)


def weighted_error(values, weight):
    mean = np.average(values, weights=weight)
    return np.sqrt(np.sum(weight**2 * (values - mean) ** 2)) / weight.sum()


@pytest.mark.parametrize(
    ("column", "of"),
    [
        ("income", np.log),
        ("age", lambda v: v),
        ("wealth", lambda v: v == 0),
        ("wealth", lambda v: v < 0),
        ("debt", lambda v: v > 0),
        ("trips", lambda v: v),
        ("owner", lambda v: v),
        ("health", lambda v: v == 2),
    ],
)
def test_weighted_margins_and_zero_shares_come_back(donor, made, column, of):
    weight = donor.weights()
    codes = {"poor": 0, "fair": 1, "good": 2}
    truth = donor.native[column].map(codes).to_numpy() if column == "health" else donor.numbers(column)
    truth = np.asarray(of(np.asarray(truth, dtype=float)), dtype=float)
    got = np.mean([np.mean(of(values)) for values in made.numbers(column)])
    # the mean of m data sets: its own sampling error, and the donors' resampled, each over m
    error = np.sqrt((weighted_error(truth, weight) ** 2 + truth.var() / made.rows) / made.m)
    assert got == pytest.approx(np.average(truth, weights=weight), abs=4 * error)


def correlation(a, b, weight):
    return np.cov(a, b, aweights=weight)[0, 1] / np.sqrt(np.cov(a, aweights=weight) * np.cov(b, aweights=weight))


@pytest.mark.parametrize(("a", "b"), [("income", "wealth"), ("wealth", "debt"), ("wealth", "owner"), ("age", "trips")])
def test_correlations_come_back(donor, made, a, b):
    def scale(column, values):
        return np.log(values) if column == "income" else (values > 0) if column in ("wealth", "debt") else values

    weight = donor.weights()
    one, two = (np.asarray(scale(c, donor.numbers(c)), dtype=float) for c in (a, b))
    got = [np.corrcoef(scale(a, x), scale(b, y))[0, 1] for x, y in zip(made.numbers(a), made.numbers(b), strict=True)]
    effective = weight.sum() ** 2 / np.sum(weight**2)
    error = np.sqrt((1 / effective + 1 / made.rows) / made.m)
    # trees of ten donors a leaf smooth a little: a tenth of the correlation is theirs
    truth = correlation(one, two, weight)
    assert np.mean(got) == pytest.approx(truth, abs=4 * error + 0.1 * abs(truth))


def test_rules_hold_and_totals_are_derived(made):
    frame = made.frame(2)
    assert not ((frame["debt"] != 0) & (frame["wealth"] == 0)).any()
    assert np.allclose(frame["net"], frame["wealth"] - frame["debt"])
    assert [rule["broken_draws"] for rule in made.manifest["rules"]] == [0, 0]


def test_frames_are_like_the_surveys(donor, made):
    frame = made.frame(1)
    assert list(frame.columns)[:1] == ["weight"]
    assert frame["weight"].sum() == pytest.approx(donor.weights().sum())
    assert frame["weight"].nunique() == 1
    own = donor.native
    for column in ("income", "wealth", "trips", "owner", "region", "health"):
        assert frame[column].dtype == own[column].dtype
    assert len(made.frames) == made.m == 4
    assert "id" not in frame
    assert not frame["wealth"].equals(made.frame(2)["wealth"])
    with pytest.raises(FusionError, match="implicate 5"):
        made.frame(5)


def test_polars_comes_back_as_polars_and_rows_are_as_asked(donor):
    frame = pl.from_pandas(donor.native.drop(columns="health"))
    made = synthesise(Survey(frame, weight="weight", keys="id"), 1, rows=77, method=QRF(trees=2))
    assert isinstance(made.frame(), pl.DataFrame)
    assert len(made.frame()) == made.rows == 77
    assert made.frame()["weight"].sum() == pytest.approx(donor.weights().sum())


def test_same_seed_same_records_for_any_workers(donor):
    one = synthesise(donor, 1, 5, method=QRF(trees=2), workers=1).frame()
    assert one.equals(synthesise(donor, 1, 5, method=QRF(trees=2), workers=3).frame())
    assert not one.equals(synthesise(donor, 1, 6, method=QRF(trees=2)).frame())


def test_utility_is_near_one_for_a_good_synthesis_and_large_for_independent_margins(donor, made):
    good = made.utility()["pmse_ratio"]
    independent = synthesise(donor, 2, 1, method="regression").utility()["pmse_ratio"]
    assert len(good) == 4
    assert np.mean(good) < 1.5
    assert np.mean(independent) > 2.5


def test_any_method_that_makes_new_records_is_an_engine(donor):
    made = synthesise(donor, 2, 1, method="srmi", rules=RULES)
    assert max(made.utility()["pmse_ratio"]) < 1.5
    assert max(made.copies) == 0
    assert [rule["broken_draws"] for rule in made.manifest["rules"]] == [0, 0]


def test_utility_sees_lost_weights(donor):
    class NoWeights(QRF):
        def fit(self, X, Y, weight, rng):
            return super().fit(X, Y, np.ones_like(weight), rng)

    assert np.mean(synthesise(donor, 2, 1, method=NoWeights(trees=10)).utility()["pmse_ratio"]) > 2.5


def mean_and_variance(column):
    def analysis(frame):
        values = frame[column].to_numpy().astype(float)
        return values.mean(), values.var(ddof=1) / len(values)

    return analysis


def test_pools_by_the_rule_for_fully_synthetic_data(made):
    pooled = made.pool(mean_and_variance("owner"))
    q, u = (np.array(part) for part in zip(*map(mean_and_variance("owner"), made.frames), strict=True))
    expected = (1 + 1 / 4) * q.var(ddof=1) - u.mean()
    assert pooled.rule == made.rule == made.manifest["rule"] == "fully synthetic"
    assert pooled.estimate[0] == pytest.approx(q.mean())
    assert pooled.t[0] == pytest.approx(expected if expected > 0 else u.mean() * made.rows / 2500)
    assert pool(q, u).t[0] > pooled.t[0]


@pytest.mark.parametrize("rule", ["rubin", "scf", "nested", "partially synthetic"])
def test_rules_for_other_data_are_refused_and_the_right_one_is_named(made, rule):
    with pytest.raises(PoolingError, match=f"{rule!r} is not for fully synthetic data.*takes 'fully synthetic'"):
        made.pool(mean_and_variance("owner"), rule=rule)


def test_the_ratio_of_sizes_goes_into_the_rule(donor):
    made = synthesise(donor, 2, rows=500, method=QRF(trees=2), columns=["income", "wealth", "age"])
    pooled = made.pool(mean_and_variance("age"), rule="synthpop simple")
    assert pooled.size_ratio == 0.2
    assert pooled.t[0] == pytest.approx(np.mean([mean_and_variance("age")(f)[1] for f in made.frames]) * (0.2 + 0.5))


def test_several_estimates_and_fitted_results_pool(made):
    both = made.pool(
        lambda f: (f[["wealth", "debt"]].mean().to_numpy(), f[["wealth", "debt"]].var().to_numpy() / len(f))
    )
    assert both.estimate.shape == (2,)

    class Fit:
        def __init__(self, frame):
            self.params = pd.Series({"trips": frame["trips"].mean()})
            self.bse = pd.Series({"trips": frame["trips"].std() / np.sqrt(len(frame))})

    assert made.pool(Fit).names == ("trips",)
    assert made.pool(Fit).rule == "fully synthetic"


def test_one_data_set_has_no_fully_synthetic_variance(donor):
    made = synthesise(donor, 1, method=QRF(trees=2), columns=["income", "wealth", "age"])
    with pytest.raises(PoolingError, match="no variance between"):
        made.pool(mean_and_variance("age"))


def test_pooled_variance_is_that_of_repeated_samples():
    """Over repeated surveys, T is on average the variance of the estimate; Rubin's rule would give twice as much."""
    found, told, rubin = [], [], []
    for repeat in range(60):
        rng = np.random.default_rng([repeat, 7])
        frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120), "c": rng.normal(size=120)})
        made = synthesise(frame, 8, repeat, method=QRF(trees=1), workers=1)
        pooled = made.pool(mean_and_variance("a"))
        found.append(pooled.estimate[0])
        told.append((1 + 1 / 8) * pooled.b[0] - pooled.ubar[0])  # before the fallback, which has a bias of its own
        rubin.append(pooled.ubar[0] + (1 + 1 / 8) * pooled.b[0])
    true = np.var(found, ddof=1)
    assert np.mean(told) == pytest.approx(true, rel=4 * np.sqrt(2 / 59))
    assert np.mean(told) < 0.65 * np.mean(rubin)


def test_whole_donors_are_no_synthesis(donor):
    with pytest.raises(MethodError, match="those of one real household each"):
        synthesise(donor, 1, method="hotdeck")


def test_planted_copies_are_counted(donor):
    class Copies(QRF):
        """The first 100 records are donors."""

        def draw(self, X, rng):
            out = super().draw(X, rng)
            out[:100] = self.chain.bundles[:100]
            return out

    rows = 1000
    plain, planted = (synthesise(donor, 2, method=m(trees=2), rows=rows) for m in (QRF, Copies))
    assert all(count < 20 for count in plain.unique_copies)
    assert all(100 <= count < 120 for count in planted.unique_copies)
    assert all(c >= u for c, u in zip(planted.copies, planted.unique_copies, strict=True))
    assert planted.manifest["unique_copies"] == list(planted.unique_copies)
    assert any("one donor household alone" in note["text"] for note in planted.manifest["notes"])


def test_common_records_are_copies_but_not_of_one_household(donor):
    made = synthesise(donor, 1, method=QRF(trees=2), columns=["owner", "region", "health"])
    assert made.copies == (2500,)
    assert made.unique_copies == (0,)


def test_a_surveys_own_implicates_serve_in_turn(donor):
    parts = [donor.native.assign(implicate=i + 1, wealth=donor.native["wealth"] * (i + 1)) for i in range(2)]
    frame = pd.concat(parts, ignore_index=True)
    stacked = Survey(frame, weight="weight", keys="id", kinds=KINDS, implicate="implicate")
    made = synthesise(stacked, 2, method=QRF(trees=2))
    assert made.rows == 2500
    one, two = (np.quantile(v[v > 0], 0.5) for v in made.numbers("wealth"))
    assert two > 1.5 * one


def test_what_names_rows_is_left_out_and_told(donor):
    frame = donor.native.assign(case=np.arange(2500) + 7)
    made = synthesise(Survey(frame, weight="weight", keys="id"), 1, method=QRF(trees=2))
    assert "case" not in made.columns
    assert any(note["text"].startswith("case names each row") for note in made.manifest["notes"])


def test_gaps_and_bad_arguments_are_refused(donor):
    gappy = donor.native.assign(wealth=donor.native["wealth"].where(donor.native.index > 3))
    with pytest.raises(FusionError, match="'wealth' is missing in 4"):
        synthesise(Survey(gappy, weight="weight", keys="id"), 1)
    with pytest.raises(FusionError, match="rows is 0"):
        synthesise(donor, 1, rows=0)
    with pytest.raises(FusionError, match="'nothing_like_it' is not in the donor"):
        synthesise(donor, 1, columns=["nothing_like_it"])
    with pytest.raises(MethodError):
        synthesise(donor, 1, method="no_such")
