"""impute_missing: gaps come back as they were, with honest intervals; nothing observed ever changes."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute import Imputations, Survey, impute_missing, pool
from microimpute.methods.srmi import SRMI

GOLDEN = Path(__file__).parents[1] / "golden"
OPEN = SRMI(bounds={"y": [None, None]})  # otherwise draws end where the observed do, as donors do


def bivariate(seed, mechanism, rows=250):
    """y = 1 + x + noise; four in ten of y and one in ten of x missing, y at random or wherever x is large."""
    rng = np.random.default_rng([seed, 11])
    x = rng.normal(size=rows)
    frame = pd.DataFrame({"x": x, "y": 1 + x + rng.normal(size=rows)})
    chance = np.full(rows, 0.4) if mechanism == "MCAR" else 0.8 / (1 + np.exp(-2.5 * x))
    lost = rng.random(rows) < chance
    frame.loc[lost, "y"] = np.nan
    frame.loc[~lost & (rng.random(rows) < 0.1), "x"] = np.nan
    return frame


def analyse(frame):
    """Mean of y, slope of y on x: estimates and variances."""
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    n, cx = len(x), x - x.mean()
    slope = cx @ y / (cx @ cx)
    rest = y - y.mean() - slope * cx
    return np.array([y.mean(), slope]), np.array([y.var(ddof=1) / n, rest @ rest / (n - 2) / (cx @ cx)])


@pytest.fixture(scope="module", params=["MCAR", "MAR"])
def repeated(request):
    out = []
    for seed in range(40):
        done = impute_missing(
            bivariate(seed, request.param), m=10, seed=seed, method={"y": OPEN}, iterations=4, workers=1
        )
        q, u = zip(*(analyse(done.complete(i + 1)) for i in range(done.m)), strict=True)
        out.append(pool(np.array(q), np.array(u), dfcom=248))
    return out


@pytest.mark.filterwarnings("ignore::microimpute.missing.ConvergenceWarning")
def test_mean_and_slope_come_back_and_intervals_cover(repeated):
    estimate = np.array([p.estimate for p in repeated])
    bias = estimate.mean(axis=0) - 1.0
    assert np.all(np.abs(bias) < 4 * estimate.std(axis=0, ddof=1) / np.sqrt(40))
    interval = np.array([[p.low, p.high] for p in repeated])
    covered = ((interval[:, 0] < 1) & (interval[:, 1] > 1)).sum(axis=0)
    assert np.all(covered >= 34)  # 38 expected of 40; fewer than 34 once in 70 sound runs of either
    told = np.array([p.t for p in repeated]).mean(axis=0)
    assert np.all(told > 0.5 * estimate.var(axis=0, ddof=1))  # a chi-square with 39 degrees of freedom reaches 2 never


def nhanes():
    frame = pd.read_csv(GOLDEN / "nhanes_m5_long.csv")
    return frame[frame[".imp"] == 0].drop(columns=[".imp", ".id"]).reset_index(drop=True)


def regression(frame, outcome, predictors):
    X = np.column_stack([np.ones(len(frame)), frame[predictors].to_numpy(dtype=float)])
    y = frame[outcome].to_numpy(dtype=float)
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ y
    rest = y - X @ beta
    return beta, np.diag(inverse) * (rest @ rest) / (len(y) - X.shape[1])


def test_nhanes_is_what_mice_makes_of_it():
    """lm(chl ~ age + bmi): mice's pooled estimates lie within the Monte Carlo error of five and of forty chains."""
    wanted = pd.read_csv(GOLDEN / "nhanes_chl_pool.csv")
    m = 40
    done = impute_missing(nhanes(), m=m, seed=1, kinds={"hyp": "binary"})
    q, u = zip(*(regression(done.complete(i + 1), "chl", ["age", "bmi"]) for i in range(m)), strict=True)
    got = pool(np.array(q), np.array(u), dfcom=22)
    between = np.maximum(got.b, wanted["b"])
    assert np.all(np.abs(got.estimate - wanted["estimate"]) < 3 * np.sqrt(between / 5 + between / m))
    assert np.all(np.abs(np.log(got.ubar / wanted["ubar"])) < np.log(1.6))  # mice's five: 51 to 89 about 74 for age
    assert np.all(got.riv > 0.3)  # half of the information is missing
    assert done.manifest["pattern"] == "chained"
    assert done.manifest["method"]["name"] == "srmi"
    assert done.manifest["method"]["settings"] == SRMI().settings


def mixed(rows=160, seed=0):
    """A survey of every kind, with gaps everywhere."""
    rng = np.random.default_rng([seed, 12])
    age = rng.normal(45, 12, rows)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "age": age,
            "wages": np.where(rng.random(rows) < 0.3, 0.0, np.exp(rng.normal(9 + age / 90, 0.5))),
            "owner": rng.random(rows) < 0.6,
            "region": rng.choice(["north", "south", "west"], rows),
            "health": pd.Categorical(
                rng.choice(["poor", "fair", "good"], rows), ["poor", "fair", "good"], ordered=True
            ),
            "trips": pd.array(rng.poisson(2, rows), dtype="Int64"),
            "weight": rng.uniform(0.5, 3, rows),
        }
    )
    for column in ("age", "wages", "region", "health", "trips"):
        frame[column] = frame[column].mask(rng.random(rows) < 0.2)
    frame["owner"] = frame["owner"].astype("boolean").mask(rng.random(rows) < 0.2)
    return frame


FRAMES = {
    "pandas": lambda f: f.set_index(np.arange(len(f)) * 3 + 5),
    "polars": pl.from_pandas,
    "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
}


def fill(frame, **options):
    options = {"iterations": 4, "m": 2, "kinds": {"trips": "count"}} | options
    survey = frame if isinstance(frame, Survey) else Survey(frame, weight="weight", keys="id")
    return impute_missing(survey, **options)


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.filterwarnings("ignore::microimpute.missing.ConvergenceWarning")
def test_observed_values_and_types_are_the_same_and_gaps_are_filled(library):
    own = FRAMES[library](mixed())
    done = fill(own, m=2).complete(2)
    assert type(done) is type(own)
    if library == "pandas":
        assert (done.index == own.index).all()
        assert list(done.dtypes) == list(own.dtypes)
    elif library == "polars":
        assert done.schema == own.schema
    else:
        assert done.schema.types == own.schema.types
    before, after = (f if library == "pandas" else f.to_pandas() for f in (own, done))
    assert list(after.columns) == list(before.columns)
    assert after.notna().all(axis=None)
    for column in before:
        kept = before[column].notna().to_numpy()
        if pd.api.types.is_numeric_dtype(before[column].dtype):
            one, two = (f[column][kept].to_numpy(dtype=float) for f in (before, after))
            assert one.tobytes() == two.tobytes()
        else:
            assert before[column][kept].tolist() == after[column][kept].tolist()


@pytest.mark.filterwarnings("ignore::microimpute.missing.ConvergenceWarning")
def test_every_library_order_and_number_of_workers_gives_the_same_draws():
    frame = mixed()
    frame["health"] = frame["health"].astype(object)  # an order that polars would not take over
    one = fill(frame, workers=1).complete(2).set_index("id")
    shuffled = frame.sample(frac=1, random_state=3)
    for other in (fill(frame, workers=3), fill(shuffled), fill(pl.from_pandas(frame))):
        again = other.complete(2)
        again = (again if isinstance(again, pd.DataFrame) else again.to_pandas()).set_index("id").loc[one.index]
        for column in ("age", "wages", "trips"):
            assert np.array_equal(one[column].to_numpy(dtype=float), again[column].to_numpy(dtype=float))
        for column in ("owner", "region", "health"):
            assert list(one[column].astype(str)) == list(again[column].astype(str))
    assert not fill(frame, seed=1).complete(2)["wages"].equals(one["wages"].reset_index(drop=True))


@pytest.mark.parametrize("method", ["pmm", "qrf", "hotdeck", "forest"])
@pytest.mark.filterwarnings("ignore::microimpute.missing.ConvergenceWarning")
def test_any_method_is_an_engine(method):
    frame = mixed(120)
    done = fill(frame, m=1, iterations=2, method={"wages": method, "region": method})
    told = {t["name"]: t["method"]["name"] for t in done.manifest["targets"]}
    assert told == dict.fromkeys(told, "srmi") | {"wages": method, "region": method}
    got = done.complete()
    assert got.notna().all(axis=None)
    assert set(got["wages"]) <= set(frame["wages"].dropna())  # donors' own amounts


def test_weights_count():
    """Those who answer and have a large y count little: the drawn mean is the weighted one."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=3000)
    weight = np.where(y > 0.5, 0.1, 1.0)
    lost = rng.random(3000) < 0.5
    frame = pd.DataFrame({"x": rng.normal(size=3000), "y": np.where(lost, np.nan, y), "w": weight})
    truth = np.average(y[~lost], weights=weight[~lost])
    error = np.sqrt(np.sum((weight * (y - truth))[~lost] ** 2)) / weight[~lost].sum()
    for method in ("srmi", "pmm"):
        got = impute_missing(frame, weight="w", method=method, m=3).numbers("y")[:, lost].mean()
        assert got == pytest.approx(truth, abs=4 * np.sqrt(error**2 + 1 / 3 / lost.sum()))
        assert abs(y[~lost].mean() - truth) > 0.2


@pytest.mark.parametrize("method", ["srmi", "hotdeck"])
def test_implicates_differ_by_the_error_of_those_observed(method):
    """The mean of 2,700 draws from 300 observed varies by nearly all of the observed's own sampling variance."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.normal(size=3000), "y": rng.normal(size=3000)})
    frame.loc[300:, "y"] = np.nan
    between = impute_missing(frame, m=60, method=method).numbers("y")[:, 300:].mean(axis=1).var(ddof=1)
    expected = frame["y"].var() * (1 / 300 + 1 / 2700)
    assert between == pytest.approx(expected, rel=4 * np.sqrt(2 / 59))
    assert between > 2 * frame["y"].var() / 2700  # all that there is without donor resampling


def test_households_are_resampled_whole():
    """Ten alike in each of 40 households: means vary as those of 40, not of 400."""
    rng = np.random.default_rng(9)
    home = np.repeat(np.arange(80), 10)
    frame = pd.DataFrame({"home": home, "i": np.arange(800), "x": rng.normal(size=800), "y": rng.normal(size=80)[home]})
    frame.loc[400:, "y"] = np.nan
    survey = Survey(frame, keys="i", household="home")
    between = impute_missing(survey, m=60, method="hotdeck").numbers("y")[:, 400:].mean(axis=1).var(ddof=1)
    expected = frame["y"].var() * (1 / 40 + 1 / 400)
    assert between == pytest.approx(expected, rel=4 * np.sqrt(2 / 59))
    assert between > 4 * frame["y"].var() * 2 / 400


def test_rows_of_zero_weight_are_filled_and_never_drawn_from():
    rng = np.random.default_rng(10)
    frame = pd.DataFrame({"x": rng.normal(size=200), "y": rng.integers(0, 9, 200) * 1.0, "w": 1.0})
    frame.loc[:49, ["y", "w"]] = [99.0, 0.0]
    frame.loc[40:99, "y"] = np.nan
    for method in ("srmi", "pmm"):
        got = impute_missing(frame, weight="w", m=2, method=method).numbers("y")
        assert not np.isnan(got).any()
        assert got[:, 40:100].max() <= 8


def test_a_monotone_pattern_takes_one_pass_and_says_so():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(rng.normal(size=(300, 3)).cumsum(axis=1), columns=["a", "b", "c"])
    frame.loc[:99, "c"] = np.nan
    frame.loc[:49, "b"] = np.nan
    done = impute_missing(frame, m=2)
    assert (done.manifest["pattern"], done.manifest["iterations"], done.manifest["order"]) == (
        "monotone",
        1,
        ["b", "c"],
    )
    assert any("one pass" in note["text"] for note in done.manifest["notes"])
    predictors = {t["name"]: t["predictors"] for t in done.manifest["targets"]}
    assert predictors == {"b": ["a"], "c": ["a", "b"]}
    c = impute_missing(frame, m=40, method="srmi").numbers("c")[:, :50] - frame["a"].to_numpy()[:50]
    assert c.std() == pytest.approx(np.sqrt(2), rel=0.2)  # b's spread is in c, where both are missing
    assert impute_missing(frame, m=1, order=["c", "b"], iterations=5).manifest["pattern"] == "chained"
    chosen = {"b": ["c"]}
    assert impute_missing(frame, m=1, predictors=chosen, iterations=5).manifest["pattern"] == "chained"


def test_predictors_are_those_chosen():
    """y hangs on x; drawn without it, it does not where it is missing."""
    frame = bivariate(1, "MCAR", 2000)
    frame["z"] = np.random.default_rng(2).normal(size=2000)
    lost = frame["y"].isna() & frame["x"].notna()
    with_x = impute_missing(frame, m=1).complete()[lost]
    without = impute_missing(frame, m=1, predictors={"y": ["z"]}).complete()[lost]
    assert np.corrcoef(with_x["x"], with_x["y"])[0, 1] == pytest.approx(np.sqrt(0.5), abs=4 * 0.5 / np.sqrt(lost.sum()))
    assert np.corrcoef(without["x"], without["y"])[0, 1] == pytest.approx(0, abs=4 / np.sqrt(lost.sum()))


def test_saved_and_loaded_the_gaps_are_still_known(tmp_path):
    frame = bivariate(3, "MCAR")
    done = impute_missing(frame, m=2)
    done.save(tmp_path / "out")
    again = Imputations.load(tmp_path / "out")
    assert again.columns == done.columns
    assert np.array_equal(again.numbers("y"), done.numbers("y"))
    assert again.receiver.frame.to_pandas()["y"].isna().sum() == frame["y"].isna().sum()
    assert again.manifest["trace"] == done.manifest["trace"]
    pd.testing.assert_frame_equal(again.complete(2).astype(float), done.complete(2))


@st.composite
def gappy(draw):
    """Small surveys of several kinds with gaps anywhere, two values observed at least."""
    rows = draw(st.integers(12, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    frame = pd.DataFrame(
        {
            "works": rng.integers(0, 2, rows).astype(float),
            "hours": rng.integers(10, 60, rows).astype(float),
            "sector": rng.choice(["public", "private"], rows),
            "income": np.exp(rng.normal(size=rows)),
            "weight": rng.uniform(0, 2, rows),
        }
    )
    frame.loc[:3, "works"] = [0.0, 1.0, 1.0, 1.0]
    frame.loc[:3, "hours"] = [np.nan, 20.0, 30.0, 40.0]
    frame.loc[:3, "sector"] = ["public", "private", "public", "private"]
    frame.loc[:3, "weight"] = 1.0
    frame.loc[frame["works"] == 0, "hours"] = np.nan
    share = draw(st.floats(0.05, 0.6))
    for column in ("works", "hours", "sector", "income"):
        lost = rng.random(rows) < share
        lost[:4] = False
        lost[5] = column == "income" or lost[5]
        frame[column] = frame[column].mask(lost)
    return frame


@given(gappy(), st.sampled_from(["srmi", "hotdeck", "pmm"]))
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore::microimpute.missing.ConvergenceWarning")
def test_observed_values_never_change_and_only_skips_stay_missing(frame, method):
    done = impute_missing(
        Survey(frame, weight="weight"),
        m=2,
        method=method,
        iterations=2,
        workers=1,
        kinds={"works": "binary"},
        skips={"hours": "works == 1"},
    )
    for i in (1, 2):
        got = done.complete(i)
        for column in frame:
            kept = frame[column].notna()
            assert got[column][kept].tolist() == frame[column][kept].tolist()
        assert got.drop(columns="hours").notna().all(axis=None)
        assert (got["hours"].notna() == (got["works"] == 1)).all()
