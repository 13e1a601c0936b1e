"""Partially synthetic data: what stays stays, draws follow the rest, and the rule that pools them is theirs."""

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from microimpute import Imputations, Survey, pool, synthesise
from microimpute.errors import FusionError, MethodError, OutputError, PoolingError
from microimpute.methods.qrf import QRF
from microimpute.pooling import RULES
from microimpute.synthesis import load, synthesise_partially
from microimpute.testing import example_donor
from microimpute.variance import mean

KINDS = {"trips": "count", "health": "ordinal"}
RULES_OF_DATA = ["debt requires wealth", "net = wealth - debt"]


def survey(rows=1500, **about):
    frame = example_donor(rows)
    return Survey(frame, weight="weight", keys="id", kinds=KINDS, labels={"wealth": "net worth"}, **about)


@pytest.fixture(scope="module")
def known():
    return survey()


@pytest.fixture(scope="module")
def made(known):
    return synthesise_partially(known, ["wealth", "debt"], 4, seed=1, method=QRF(trees=10), rules=RULES_OF_DATA)


def test_everything_but_the_targets_stays(known, made):
    own = known.native
    for number in range(1, 5):
        frame = made.frame(number)
        assert list(frame.columns) == [*own.columns, "net"]
        stays = [c for c in own.columns if c not in ("wealth", "debt")]
        pd.testing.assert_frame_equal(frame[stays], own[stays])
        assert frame["wealth"].dtype == own["wealth"].dtype
        assert (frame["wealth"] != own["wealth"]).mean() > 0.5
        assert np.allclose(frame["net"], frame["wealth"] - frame["debt"])
        assert not ((frame["debt"] != 0) & (frame["wealth"] == 0)).any()
    assert not made.frame(1)["wealth"].equals(made.frame(2)["wealth"])
    assert made.survey(1).weight == "weight"
    assert made.survey(1).labels == known.labels
    assert (made.rows, made.replaced, made.m) == (1500, 1500, 4)


def test_weighted_shares_and_relations_to_what_stays_come_back(known, made):
    w, own = known.weights(), known.native
    effective = w.sum() ** 2 / np.sum(w**2)
    for column in ("wealth", "debt"):
        share = np.average(own[column] == 0, weights=w)
        drawn = np.mean([np.average(f[column] == 0, weights=w) for f in made.frames])
        # donors resampled and draws: each about the sampling error of a share, over m
        assert drawn == pytest.approx(share, abs=4 * np.sqrt(2 * share * (1 - share) / effective / 4))

    def rank(frame):
        kept = frame[frame["wealth"] > 0]
        return stats.spearmanr(kept["income"], kept["wealth"])[0]

    truth = rank(own)
    # trees of ten donors a leaf smooth a little: a tenth of the correlation is theirs
    assert np.mean([rank(f) for f in made.frames]) == pytest.approx(truth, abs=4 / np.sqrt(1500) + 0.1 * abs(truth))
    assert truth > 0.3


@pytest.mark.parametrize("library", [lambda f: f, pl.from_pandas, lambda f: f.set_axis(np.arange(len(f)) * 3)])
@pytest.mark.parametrize("by", ["flags", "column"])
def test_only_the_rows_that_were_chosen_are_replaced(library, by):
    frame = example_donor(800)
    rich = frame["wealth"] > frame["wealth"].quantile(0.7)
    table = library(frame.assign(rich=rich))
    made = synthesise_partially(
        Survey(table, weight="weight", keys="id", kinds=KINDS),
        ["wealth", "trips", "region", "health"],
        2,
        where="rich" if by == "column" else rich.to_numpy(),
        method=QRF(trees=3),
        predictors=["income", "age"],
    )
    assert made.replaced == rich.sum()
    for got in made.frames:
        assert type(got) is type(table)
        plain = got if isinstance(got, pd.DataFrame) else got.to_pandas()
        plain = plain.reset_index(drop=True)
        for column in frame.columns:
            assert plain[column][~rich].tolist() == frame[column][~rich].tolist()
        assert (plain["wealth"] != frame["wealth"])[rich].mean() > 0.5
        # models learn from the rich alone: nobody among them becomes poor
        assert plain["wealth"][rich].min() >= frame["wealth"][rich].min()
    if library is pl.from_pandas:
        assert made.frames[0].schema == table.schema


def test_a_total_is_derived_again_and_keeps_its_type():
    frame = example_donor(300)
    whole = frame.assign(a=frame["trips"], b=frame["age"].round().astype(int), total=lambda d: d["a"] + d["b"])
    rows = np.arange(300) % 2 == 0
    made = synthesise_partially(
        Survey(whole[["income", "a", "b", "total"]]), ["a", "b"], 2, where=rows, rules=["total = a + b"], method="srmi"
    )
    got = made.frame(1)
    assert got["total"].dtype == whole["total"].dtype
    assert (got["total"] == got["a"] + got["b"]).all()
    assert got["total"][~rows].equals(whole["total"][~rows])
    assert not got["total"].equals(whole["total"])
    fresh = synthesise_partially(whole[["income", "a", "b"]], ["a", "b"], 2, where=rows, rules=["total = a + b"])
    assert (fresh.frame(2)["total"] == fresh.frame(2)["a"] + fresh.frame(2)["b"]).all()


def test_same_seed_same_values_for_any_workers_and_order(known):
    one = synthesise_partially(known, ["wealth"], 2, 5, method=QRF(trees=2), workers=1).frame(2)
    again = synthesise_partially(known, ["wealth"], 2, 5, method=QRF(trees=2), workers=3).frame(2)
    pd.testing.assert_frame_equal(one, again)
    turned = Survey(known.native[::-1], weight="weight", keys="id", kinds=KINDS)
    back = synthesise_partially(turned, ["wealth"], 2, 5, method=QRF(trees=2)).frame(2)[::-1]
    assert back["wealth"].tolist() == one["wealth"].tolist()


# counts


def test_planted_copies_are_counted(known):
    class Own(QRF):
        """The first 100 records get their own values back, in the order of the rows that are drawn."""

        def draw(self, X, rng):
            out = super().draw(X, rng)
            out[:100] = WEALTH[:100, None]
            return out

    WEALTH = known.numbers("wealth")
    plain, planted = (
        synthesise_partially(known, ["wealth"], 2, method=kind(trees=5), predictors=["income", "age", "region"])
        for kind in (QRF, Own)
    )
    zeros = (known.numbers("wealth") == 0).sum()  # for whom nothing is what they had before
    for number in range(2):
        same = (plain.frame(number + 1)["wealth"] == known.native["wealth"]).sum()
        assert plain.unchanged[number] == same
        assert 0 < same < zeros
        again = planted.frame(number + 1)["wealth"].to_numpy() == known.numbers("wealth")
        assert again[:100].all()
        assert planted.unchanged[number] == again.sum() > same
        # income is continuous, so that a record that comes back is one household's alone
        assert planted.unique_copies[number] == planted.copies[number] == planted.unchanged[number]
    assert planted.manifest["unique_copies"] == list(planted.unique_copies)
    assert any("one household alone" in note["text"] and note["warning"] for note in planted.manifest["notes"])


def test_common_records_are_copies_of_nobody():
    frame = pd.DataFrame({"a": [0, 1] * 100, "b": ["x", "x", "y", "y"] * 50})
    made = synthesise_partially(frame, ["b"], 2, predictors=["a"], kinds={"a": "binary"})
    assert made.copies == (200, 200)
    assert made.unique_copies == (0, 0)
    assert all(50 < count < 150 for count in made.unchanged)


def test_a_method_that_gives_everyone_their_own_values_is_refused(known):
    class Nothing(QRF):
        """Draws what was there."""

        def draw(self, X, rng):
            return known.numbers("wealth")[:, None]

    with pytest.raises(MethodError, match="replaces nothing: all 1,500 records got their own values"):
        synthesise_partially(known, ["wealth"], 2, method=Nothing(trees=2), predictors=["income", "age"])


# pooling


def mean_and_variance(column):
    def analysis(frame):
        values = frame[column].to_numpy().astype(float)
        return values.mean(), values.var(ddof=1) / len(values)

    return analysis


def test_it_pools_by_its_own_rule(made):
    pooled = made.pool(mean_and_variance("wealth"))
    q, u = (np.array(part) for part in zip(*map(mean_and_variance("wealth"), made.frames), strict=True))
    assert pooled.rule == made.rule == made.manifest["rule"] == "partially synthetic"
    assert pooled.t[0] == pytest.approx(u.mean() + q.var(ddof=1) / 4)
    assert pooled.df[0] == pytest.approx(3 * (1 + 4 * u.mean() / q.var(ddof=1)) ** 2)
    assert made.pool(mean_and_variance("wealth"), rule="synthpop incomplete").size_ratio == 1


@pytest.mark.parametrize("rule", ["rubin", "scf", "fully synthetic", "synthpop simple"])
def test_rules_for_other_data_are_refused_and_the_right_one_is_named(made, rule):
    with pytest.raises(PoolingError, match=f"{rule!r} is not for partially synthetic data.*takes 'partially syn"):
        made.pool(mean_and_variance("wealth"), rule=rule)


def test_replicate_weights_of_the_survey_count():
    frame = example_donor(300)
    rng = np.random.default_rng(1)
    many = {f"r{i}": frame["weight"] * rng.exponential(size=300) for i in range(30)}
    known = Survey(
        frame.assign(**many), weight="weight", keys="id", replicates=list(many), replicate_rule="bootstrap", kinds=KINDS
    )
    made = synthesise_partially(known, ["wealth"], 3, method=QRF(trees=2))
    pooled = made.pool(mean, of="wealth")
    each = [known.replicated().estimate(mean, f["wealth"].to_numpy()) for f in made.frames]
    q, u = (
        np.array([float(part) for part in parts])
        for parts in zip(*((e.estimate, e.variance) for e in each), strict=True)
    )
    assert pooled.t[0] == pytest.approx(u.mean() + q.var(ddof=1) / 3)
    assert "30 replicate weights" in pooled.notes[-1]


def test_the_rule_covers_and_rubins_is_too_wide():
    """Over repeated surveys: T is the variance of the mean, and intervals hold the truth; Rubin's T is far larger."""
    repeats, m, n, rng = 150, 5, 100, np.random.default_rng(11)
    found, told, rubin, held, wide = [], [], [], [], []
    for repeat in range(repeats):
        x = rng.normal(size=n)
        frame = pd.DataFrame({"x": x, "y": 0.5 * x + rng.normal(size=n)})
        made = synthesise_partially(frame, ["y"], m, repeat, method="regression", workers=1)
        pooled = made.pool(mean_and_variance("y"))
        usual = pool(pooled.parts.q[:, 0], pooled.parts.u[:, 0])
        found.append(pooled.estimate[0])
        told.append(pooled.t[0])
        rubin.append(usual.t[0])
        held.append(pooled.low[0] <= 0 <= pooled.high[0])
        wide.append(usual.low[0] <= 0 <= usual.high[0])
    true = np.var(found, ddof=1)
    noise = 4 * np.sqrt(2 / (repeats - 1))  # of a variance, relative
    assert np.mean(told) == pytest.approx(true, rel=noise)
    assert np.mean(rubin) > (1 + noise) * true
    error = np.sqrt(0.95 * 0.05 / repeats)
    assert np.mean(held) == pytest.approx(0.95, abs=3 * error)
    assert np.mean(wide) > 0.95 + 2 * error


# files


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_release_carries_its_rule_and_pools_by_it(made, tmp_path, format):
    made.save(tmp_path / "out", format)
    said = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert said["rule"] == "partially synthetic"
    assert said["pooling"]["formula"] == RULES["partially synthetic"].formula
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        *(f"synthetic-{i}.{format}" for i in range(1, 5)),
    ]
    back = load(tmp_path / "out")
    assert (back.m, back.kind, back.rule, back.size_ratio) == (4, "partially synthetic", "partially synthetic", 1.0)
    assert back.frame(3)["wealth"].tolist() == pytest.approx(made.frame(3)["wealth"].tolist(), rel=1e-12)
    assert back.frame(3)["health"].tolist() == made.frame(3)["health"].tolist()
    assert back.survey(2).weight == "weight"
    assert back.survey(2).labels == {"wealth": "net worth"}
    ours, theirs = made.pool(mean_and_variance("net")), back.pool(mean_and_variance("net"))
    assert theirs.t == pytest.approx(ours.t)
    assert theirs.rule == "partially synthetic"
    with pytest.raises(PoolingError, match="'rubin' is not for partially"):
        back.pool(mean_and_variance("net"), rule="rubin")
    with pytest.raises(OutputError, match=r"holds partially synthetic data.*microimpute\.synthesis\.load"):
        Imputations.load(tmp_path / "out")
    back.save(tmp_path / "again", format)
    assert load(tmp_path / "again").manifest["pooling"] == said["pooling"]


def test_a_fully_synthetic_release_keeps_its_rule_and_its_size(known, tmp_path):
    made = synthesise(known, 3, rows=700, method=QRF(trees=2))
    made.save(tmp_path / "out")
    back = load(tmp_path / "out")
    assert (back.rule, back.size_ratio) == ("fully synthetic", 700 / 1500)
    ours, theirs = (x.pool(mean_and_variance("age"), rule="synthpop simple") for x in (made, back))
    assert theirs.t == pytest.approx(ours.t)
    assert "id" not in back.frame(1)


def test_releases_that_were_changed_are_refused(made, tmp_path):
    made.save(tmp_path / "out")
    with pytest.raises(OutputError, match="not empty"):
        made.save(tmp_path / "out")
    with pytest.raises(OutputError, match="not written as 'stata'"):
        made.save(tmp_path / "new", "stata")
    with pytest.raises(FusionError, match="no data set 5"):
        load(tmp_path / "out").frame(5)
    (tmp_path / "out" / "synthetic-2.parquet").unlink()
    with pytest.raises(OutputError, match=r"has no synthetic-2\.parquet"):
        load(tmp_path / "out")
    file = tmp_path / "out" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rule": "rubin"}))
    with pytest.raises(OutputError, match="pools partially synthetic data by the rule 'rubin'"):
        load(tmp_path / "out")
    file.write_text(json.dumps({"layout": 1}))
    with pytest.raises(OutputError, match="holds no synthetic data"):
        load(tmp_path / "out")


BAD = [
    ({"targets": ["wealth"], "where": "ric"}, "where names 'ric'"),
    ({"targets": ["wealth"], "where": [True] * 3}, r"shape \(3,\)"),
    ({"targets": ["wealth"], "where": np.full(1500, 2)}, "something else than flags"),
    ({"targets": ["wealth"], "where": np.zeros(1500, bool)}, "chooses no row"),
    ({"targets": ["welth"]}, "target 'welth' is not in the donor"),
    ({"targets": ["id"]}, "part of the donor's design"),
    ({"targets": "wealth"}, "targets is one string"),
    ({"targets": ["wealth"], "predictors": ["wealth"]}, "'wealth' is not in the receiver"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_arguments_are_refused(known, arguments, said):
    with pytest.raises(FusionError, match=said):
        synthesise_partially(known, **arguments)


def test_nothing_is_warned_of_on_the_way(known):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        synthesise_partially(known, ["health"], 1, method=QRF(trees=2))
