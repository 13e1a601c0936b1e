"""impute: what researchers rely on in the draws, and in what comes back."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute import Fusion, Imputations, MicroImputeError, Survey, impute, method
from microimpute.resampling import resample
from microimpute.testing import example_donor, example_receiver

FRAMES = {
    "pandas": lambda f: f,
    "polars": pl.from_pandas,
    "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_one_line_on_two_frames(kind):
    make = FRAMES[kind]
    donor, receiver = example_donor(300), example_receiver(100)
    got = impute(make(donor), make(receiver), targets=["wealth", "owner", "region_of_work"], weight="weight")
    done = got.complete(2)
    assert type(done) is type(make(receiver))
    plain = done if kind == "pandas" else done.to_pandas()
    pd.testing.assert_frame_equal(plain[list(receiver.columns)], receiver, check_dtype=kind == "pandas")
    assert list(plain.columns) == [*receiver.columns, "wealth", "owner", "region_of_work"]
    assert got.m == 5
    assert len(got.long()) == 500


def test_every_frame_library_gives_the_same_draws():
    donor, receiver = example_donor(200), example_receiver(50)
    drawn = [
        impute(f(donor), f(receiver), targets=["wealth"], weight="weight").numbers("wealth") for f in FRAMES.values()
    ]
    assert all(np.array_equal(drawn[0], other) for other in drawn[1:])


def test_files_give_the_same_draws(tmp_path):
    donor, receiver = example_donor(200).drop(columns="health"), example_receiver(50)
    donor.to_csv(tmp_path / "d.csv.gz", index=False)
    receiver.to_parquet(tmp_path / "r.parquet")
    donor.to_stata(tmp_path / "d.dta", write_index=False)
    frames = impute(donor, receiver, targets=["wealth"], weight="weight").numbers("wealth")
    for file in ("d.csv.gz", "d.dta"):
        files = impute(str(tmp_path / file), tmp_path / "r.parquet", targets=["wealth"], weight="weight")
        assert np.array_equal(files.numbers("wealth"), frames)


def test_an_odd_index_is_kept():
    receiver = example_receiver(20).set_index(np.arange(20) * 7)
    done = impute(example_donor(100), receiver, targets=["wealth"]).complete()
    assert (done.index == receiver.index).all()
    assert done["wealth"].notna().all()


def test_observed_gaps_and_types_survive():
    receiver = example_receiver(20).astype({"age": "int8"})
    receiver["odd"] = pd.array([None, 2**60 + 1] * 10, dtype="Int64")
    done = impute(example_donor(100), receiver, targets=["wealth"]).complete()
    pd.testing.assert_frame_equal(done[list(receiver.columns)], receiver)


def test_default_predictors_are_named_and_keys_left_out():
    notes = [n["text"] for n in impute(example_donor(100), example_receiver(30), targets=["wealth"]).manifest["notes"]]
    assert any("income, age, region" in n for n in notes)
    assert any(n.startswith("id names each row") for n in notes)
    assert any(n.startswith("weight is used as a predictor; is it a weight?") for n in notes)


def test_implicates_carry_donor_sampling_error():
    """The spread of an implicate's mean is what resampling donors gives, and nearly none without it."""
    donor, receiver = example_donor(300), example_receiver(5000)
    fusion = Fusion(
        Survey(donor, weight="weight", keys="id"),
        Survey(receiver, weight="weight", keys="id"),
        targets=["owner"],
        predictors=["income", "age", "region"],
    )
    means = impute(fusion, m=40, method="shuffle").numbers("owner").mean(axis=1)
    weight, owner = donor["weight"].to_numpy(), donor["owner"].to_numpy(float)
    sampling = np.sum((weight / weight.sum()) ** 2 * (owner - np.average(owner, weights=weight)) ** 2)
    expected = sampling + owner.var() / 5000
    ratio = means.var(ddof=1) / expected
    assert 0.5 < ratio < 1.75  # chi-square with 39 degrees of freedom over 39, 4 standard errors wide


def test_donor_implicates_are_used_in_turn():
    """Implicate i learns from the donor's implicate i; a sixth starts again with the first."""
    donor = pd.concat([example_donor(50).assign(implicate=i, target=float(i)) for i in (1, 2, 3)])
    survey = Survey(donor, weight="weight", keys="id", implicate="implicate")
    fusion = Fusion(survey, Survey(example_receiver(10), keys="id"), targets=["target"], predictors=["income"])
    assert impute(fusion, m=4).numbers("target")[:, 0].tolist() == [1, 2, 3, 1]


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 50))
def test_resampling_keeps_households_together(seed, implicate):
    rng = np.random.default_rng(1)
    weight, households = rng.exponential(size=60), np.repeat(np.arange(20), 3).astype(np.uint64)
    again = resample(weight, households, seed, implicate)
    assert again.sum() == pytest.approx(60)
    ratio = (again / weight).reshape(20, 3)
    assert np.allclose(ratio, ratio[:, :1])


def test_resampling_has_the_variance_of_a_weighted_mean():
    rng = np.random.default_rng(2)
    weight, y = rng.exponential(size=400), rng.normal(size=400)
    keys = np.arange(400).astype(np.uint64)
    means = [np.average(y, weights=resample(weight, keys, 0, i)) for i in range(1, 1001)]
    expected = np.sum(weight**2 * (y - np.average(y, weights=weight)) ** 2) / weight.sum() ** 2
    assert np.var(means) == pytest.approx(expected, rel=4 * np.sqrt(2 / 1000) + 0.02)
    assert np.mean(means) == pytest.approx(np.average(y, weights=weight), abs=4 * np.sqrt(expected / 1000) + 0.002)


def test_totals_are_derived_never_drawn():
    donor = example_donor(400)
    donor["net"] = donor["wealth"] - donor["debt"]
    got = impute(donor, example_receiver(200), targets=["net", "wealth", "debt"], rules=["net = wealth - debt"])
    assert set(got.columns) == {"wealth", "debt", "net"}
    assert np.array_equal(got.numbers("net"), got.numbers("wealth") - got.numbers("debt"))
    assert got.manifest["derived"] == ["net"]


def test_save_and_load(tmp_path):
    got = impute(example_donor(100), example_receiver(30), targets=["wealth", "health", "region_of_work"], m=3)
    got.save(tmp_path / "out")
    again = Imputations.load(tmp_path / "out")
    assert again.m == 3
    assert again.columns == got.columns
    assert np.array_equal(again.numbers("wealth"), got.numbers("wealth"))
    for i in (1, 2, 3):
        a, b = again.complete(i), got.complete(i)
        assert a["health"].astype(str).tolist() == b["health"].astype(str).tolist()
        assert list(a.columns) == list(b.columns)
    with pytest.raises(MicroImputeError, match="not empty"):
        got.save(tmp_path / "out")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"m": 0}, "m is 0"),
        ({"m": 2.5}, r"m is 2\.5"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "workers is 0"),
        ({"targets": "wealth"}, "one string"),
        ({"targets": []}, "no target"),
        ({"predictors": []}, "no predictor"),
        ({"predictors": ["income"], "targets": ["income"]}, "in the receiver already"),
        ({"targets": ["weight"], "weight": "weight"}, "design"),
        ({"targets": ["wealth", "wealth"]}, "named twice"),
        ({"kinds": {"welth": "count"}}, "'welth'"),
    ],
)
def test_bad_calls(said, match):
    with pytest.raises(MicroImputeError, match=match) as caught:
        impute(example_donor(30), example_receiver(10), **{"targets": ["wealth"], **said})
    assert caught.value.remedy


def test_different_dollar_years_are_refused():
    donor, receiver = Survey(example_donor(20), dollars=2019), Survey(example_receiver(5), dollars=2014)
    with pytest.raises(MicroImputeError, match="2019 dollars and the receiver in 2014"):
        impute(donor, receiver, targets=["wealth"])


def test_keys_that_repeat_are_refused():
    receiver = pd.concat([example_receiver(5)] * 2)
    with pytest.raises(MicroImputeError, match=r"key \(id\) of the receiver names 5 rows more than once"):
        impute(Survey(example_donor(20), keys="id"), Survey(receiver, keys="id"), targets=["wealth"])


def test_no_such_implicate_or_column():
    got = impute(example_donor(20), example_receiver(5), targets=["wealth"], m=2)
    for bad in (0, 3):
        with pytest.raises(MicroImputeError, match=f"no implicate {bad}"):
            got.complete(bad)
    with pytest.raises(MicroImputeError, match="'income' was not imputed"):
        got.numbers("income")


def test_same_population_means_and_zeros_come_back():
    """Donor and receiver alike: weighted mean and share non-zero within two donor standard errors."""
    donor = example_donor(3000)
    receiver = donor[["id", "income", "age", "region", "weight"]]
    targets = ["wealth", "debt", "trips"]
    got = impute(
        Survey(donor, weight="weight", keys="id"),
        Survey(receiver, weight="weight", keys="id"),
        targets=targets,
        m=10,
    )
    weight = donor["weight"].to_numpy()
    for target in targets:
        for of in (lambda v: v, lambda v: v != 0):
            truth = of(donor[target].to_numpy(float))
            mean = np.average(truth, weights=weight)
            error = np.sqrt(np.sum(weight**2 * (truth - mean) ** 2)) / weight.sum()
            drawn = np.average(of(got.numbers(target)).mean(axis=0), weights=weight)
            assert abs(drawn - mean) < 2 * error, target


def test_how_often_donors_are_used_is_told():
    donor, receiver = example_donor(120).assign(number=np.arange(120.0)), example_receiver(300)
    receiver["region"] = receiver["region"].where(receiver.index >= 30, "moon")
    fusion = Fusion(Survey(donor, keys="id"), Survey(receiver, keys="id"), targets=["number"], predictors=["region"])
    done = impute(fusion, method=method("nearest", {"neighbours": 5, "classes": ["region"]}), m=2)
    for told, drawn in zip(done.manifest["donor_use"], done.numbers("number"), strict=True):
        uses = np.bincount(drawn.astype(int))
        assert told == {
            "rows": 300,
            "donors": 120,
            "used": np.count_nonzero(uses),
            "most_used": uses.max(),
            "effective": round(300**2 / np.sum(uses**2), 1),
            "fell_back": 30,
        }
    assert "donor_use" not in impute(fusion, method="regression", m=1).manifest
    assert "donor_use" not in impute(fusion, method=method("pmm", {"univariate": True}), m=1).manifest
