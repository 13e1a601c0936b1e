"""Totals of surveys and imputations meet published aggregates; what must not change does not."""

import json

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Imputations, Survey, impute, impute_missing
from microimpute.calibration import Aggregate, calibrate
from microimpute.errors import CalibrationError
from microimpute.report import render, summarise
from microimpute.rules import parse_all

RULES = ["ASSET = CASH + HOUSE", "NETWORTH = ASSET - DEBT", "DEBT requires HOUSE", "HOUSE >= 0"]


def people(rows, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"id": np.arange(rows), "sex": rng.choice(["f", "m"], rows), "region": rng.integers(1, 4, rows)}
    )
    return frame.assign(income=np.round(rng.lognormal(10, 1, rows), 2), w=rng.gamma(2, 500, rows)), rng


@pytest.fixture(scope="module")
def fusion():
    donor, rng = people(400, 1)
    house = np.where(rng.random(400) < 0.6, rng.lognormal(12, 0.5, 400), 0.0)
    donor = donor.assign(
        CASH=np.round(rng.lognormal(8, 1.5, 400)) - 500,
        HOUSE=house,
        DEBT=np.where(rng.random(400) < 0.5, house * 0.9, 0.0),
        CARS=rng.integers(0, 4, 400),
        OWNER=np.where(house > 0, "yes", "no"),
    )
    receiver, _ = people(900, 2)
    return Fusion(
        Survey(donor, weight="w", keys="id"),
        Survey(receiver, weight="w", keys="id"),
        targets=["CASH", "HOUSE", "DEBT", "CARS", "OWNER"],
        predictors=["sex", "region", "income"],
        rules=RULES,
        kinds={"CARS": "count", "region": "categorical"},
    )


@pytest.fixture(scope="module")
def made(fusion):
    return impute(fusion, method="hotdeck", m=3, seed=5)


def total(imputations, column, rows=slice(None)):
    return imputations.numbers(column)[:, rows] @ imputations.receiver.weights()[rows]


def test_one_weight_with_which_every_implicate_meets_the_totals(made):
    sex = made.receiver.native.sex.to_numpy()
    f, m = made.receiver.weights()[sex == "f"].sum(), made.receiver.weights()[sex == "m"].sum()
    worth = 1.1 * total(made, "NETWORTH").mean()
    wanted = [
        Aggregate(None, {"f": 1.05 * f, "m": 0.98 * m}, by="sex", source="a census"),
        Aggregate("NETWORTH", worth),
        Aggregate(None, {"yes": 0.55 * (f + m)}, by="OWNER"),
    ]
    assert np.ptp(total(made, "NETWORTH")) > 0.001 * worth  # the implicates differ before
    done = calibrate(made, wanted, bounds=(0.3, 3), distance="logit")
    new = done.result
    weight = new.receiver.weights()
    assert new.receiver.weight == "w_calibrated"
    assert weight[sex == "f"].sum() == pytest.approx(1.05 * f, rel=1e-9)
    np.testing.assert_allclose(total(new, "NETWORTH"), worth, rtol=1e-9)
    for i in (1, 2, 3):
        assert weight[new.complete(i).OWNER == "yes"].sum() == pytest.approx(0.55 * (f + m), rel=1e-9)
    np.testing.assert_array_equal(new.numbers("NETWORTH"), made.numbers("NETWORTH"))
    np.testing.assert_array_equal(new.receiver.numbers("w"), made.receiver.numbers("w"))
    assert made.receiver.weight == "w"
    assert "calibration" not in made.manifest
    ratio = weight / made.receiver.weights()
    assert (done.facts["least_factor"], done.facts["largest_factor"]) == (ratio.min(), ratio.max())
    assert 0.3 < ratio.min() < 0.99 < 1.01 < ratio.max() < 3
    row = done.table[0]
    assert (row.name, row.source) == ("the number of units where sex = f", "a census")
    assert row.before[0] == pytest.approx(f)
    assert row.after == pytest.approx([1.05 * f] * 3)


def test_the_weights_are_the_closest_ones(made):
    """Raking factors are exp of a sum over the conditions: a log factor is linear in what the totals count."""
    wanted = [Aggregate("CASH", float(total(made, "CASH").mean())), Aggregate(None, 900_000.0)]
    ratio = calibrate(made, wanted).result.receiver.weights() / made.receiver.weights()
    x = np.column_stack([np.ones(900), made.numbers("CASH").T])
    gap = np.log(ratio) - x @ np.linalg.lstsq(x, np.log(ratio), rcond=None)[0]
    assert np.abs(np.log(ratio)).max() > 1e-3
    assert np.abs(gap).max() < 1e-8


def test_values_by_group_with_their_identities(made):
    region = made.receiver.native.region.to_numpy()
    before = {r: total(made, "NETWORTH", region == r).mean() for r in (1, 2)}
    wanted = [
        Aggregate("NETWORTH", {1: 1.3 * before[1], 2: 0.8 * before[2]}, by="region"),
        Aggregate("DEBT", 1.2 * float(total(made, "DEBT").mean())),
    ]
    new = made.calibrated(wanted, how="values")
    for r in (1, 2):
        target = {1: 1.3, 2: 0.8}[r] * before[r]
        np.testing.assert_allclose(total(new, "NETWORTH", region == r), target, rtol=1e-9)
    np.testing.assert_allclose(total(new, "DEBT"), 1.2 * total(made, "DEBT").mean(), rtol=1e-9)
    for i in range(3):
        columns = {c: new.numbers(c)[i] for c in ("CASH", "HOUSE", "DEBT", "ASSET", "NETWORTH")}
        np.testing.assert_array_equal(columns["ASSET"], columns["CASH"] + columns["HOUSE"])
        np.testing.assert_array_equal(columns["NETWORTH"], columns["ASSET"] - columns["DEBT"])
        assert not any(rule.broken(columns).any() for rule in parse_all(RULES))
        for c in ("CASH", "HOUSE", "DEBT"):
            old = made.numbers(c)[i]
            np.testing.assert_array_equal(np.sign(columns[c]), np.sign(old))
            for r in (1, 2, 3):
                order = np.argsort(old[region == r], kind="stable")
                assert (np.diff(columns[c][region == r][order]) >= 0).all()
    # in region 3 only DEBT is bound, so assets stay as they are there
    np.testing.assert_array_equal(new.numbers("HOUSE")[:, region == 3], made.numbers("HOUSE")[:, region == 3])
    assert (new.numbers("DEBT") != made.numbers("DEBT"))[:, region == 3].any()
    for c in ("CARS",):
        np.testing.assert_array_equal(new.numbers(c), made.numbers(c))
    assert new.receiver.weight == "w"


def test_one_total_of_two_signs_moves_both_by_one_factor(made):
    """Up by a, down by 1/a: a·P − N/a = T has the root (T + √(T² + 4PN)) / 2P, for any T."""
    weight = made.receiver.weights()
    assets, debts, cash = (made.numbers(c)[0] for c in ("HOUSE", "DEBT", "CASH"))
    plus = weight @ (assets + np.maximum(cash, 0))
    minus = weight @ (debts + np.maximum(-cash, 0))
    for wanted in (1.5 * (plus - minus), -1e6, 0.0):
        new = made.calibrated({"NETWORTH": wanted}, how="values")
        factor = (wanted + np.sqrt(wanted**2 + 4 * plus * minus)) / (2 * plus)
        np.testing.assert_allclose(new.numbers("HOUSE")[0], factor * assets, rtol=1e-7)
        np.testing.assert_allclose(new.numbers("DEBT")[0], debts / factor, rtol=1e-7)


def test_observed_values_are_never_touched():
    frame, rng = people(500, 3)
    frame["wage"] = pd.array(np.round(frame.income * 0.7).astype(int), dtype="Int64")
    frame["rent"] = np.where(rng.random(500) < 0.5, np.round(frame.income * 0.1, 2), 0.0)
    frame.loc[rng.random(500) < 0.3, "wage"] = pd.NA
    frame.loc[rng.random(500) < 0.2, "rent"] = np.nan
    frame["gains"] = np.round(frame.wage.astype(float) + frame.rent)  # whole dollars: off by cents, and stays so
    survey = Survey(frame, weight="w", keys="id")
    made = impute_missing(survey, targets=["wage", "rent"], passive=["gains = wage + rent"], m=2, seed=1, iterations=5)
    old = total(made, "gains")
    new = made.calibrated({"gains": 1.1 * old.mean(), "rent": 1.05 * total(made, "rent").mean()}, how="values")
    np.testing.assert_allclose(total(new, "gains"), 1.1 * old.mean(), rtol=1e-9)
    for c in ("wage", "rent", "gains"):
        seen = frame[c].notna().to_numpy()
        for i in range(2):
            np.testing.assert_array_equal(new.numbers(c)[i][seen], frame[c].to_numpy(float, na_value=np.nan)[seen])
    assert (new.numbers("wage") != made.numbers("wage")).any()
    gaps = frame.gains.isna().to_numpy()
    np.testing.assert_array_equal(new.numbers("gains")[:, gaps], (new.numbers("wage") + new.numbers("rent"))[:, gaps])
    with pytest.raises(CalibrationError, match=r"gains, less what is observed, in implicate 1 should be -.*only"):
        made.calibrated({"gains": 0.5 * old.mean()}, how="values")


def test_manifest_files_and_report_carry_the_table(made, fusion, tmp_path):
    aggregate = Aggregate("DEBT", 1.5 * float(total(made, "DEBT").mean()), source="the flow of funds")
    both = made.calibrated([aggregate], how="values").calibrated([Aggregate(None, 1e6)], how="weights")
    both.save(tmp_path / "out")
    again = Imputations.load(tmp_path / "out")
    assert [c["how"] for c in again.manifest["calibration"]] == ["values", "weights"]
    assert again.receiver.weights().sum() == pytest.approx(1e6)
    np.testing.assert_array_equal(again.numbers("NETWORTH"), both.numbers("NETWORTH"))
    assert any("DEBT by 1." in n["text"] for n in again.manifest["notes"])
    summary = summarise(both, fusion, title="A run")
    json.dumps(summary, allow_nan=False)
    debt = next(a for a in summary["amounts"] if a["name"] == "DEBT")
    weight, debts = both.receiver.numbers("w_calibrated"), both.numbers("DEBT")
    assert debt["imputed"]["total"] == pytest.approx((debts @ weight).mean())  # the calibrated weight counts
    page = render(summary)
    for words in ("Calibrated values", "Calibrated weights", "the flow of funds", "the total of DEBT"):
        assert words in page


def test_a_survey_and_its_replicates():
    frame, rng = people(300, 4)
    halves = {f"r{k}": 2 * frame.w * rng.integers(0, 2, 300) for k in range(8)}
    frame = frame.assign(**halves)
    survey = Survey(frame, weight="w", replicates=[*halves], replicate_rule="brr")
    wanted = [Aggregate(None, dict.fromkeys((1, 2, 3), 100000.0), by="region"), Aggregate("income", 1e10)]
    done = calibrate(survey, wanted, distance="linear", bounds=(0.1, 4))
    new = done.result
    assert any("Weights were calibrated to 4 published totals" in n for n in new.notes)
    for column in (new.weight, *new.replicates):
        assert new.numbers(column) @ new.numbers("income") == pytest.approx(1e10)
        assert new.numbers(column)[new.numbers("region") == 2].sum() == pytest.approx(100_000)
    assert (new.numbers("r0_calibrated") == 0).sum() == (new.numbers("r0") == 0).sum()
    # a total that every replicate meets has no sampling variance left
    from microimpute import variance

    estimate = new.replicated().estimate(variance.total, new.numbers("income"))
    assert estimate.variance < 1e-8 * 1e10**2
    assert "100,000" in str(done)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_frame_libraries(library, fusion):
    frame, _ = people(200, 6)
    native = pytest.importorskip("polars").from_pandas(frame) if library == "polars" else None
    if native is None:
        import pyarrow as pa

        native = pa.Table.from_pandas(frame)
    receiver = Survey(native, weight="w", keys="id")
    one = Fusion(fusion.donor, receiver, targets=["CASH", "HOUSE", "DEBT"], predictors=["sex", "income"], rules=RULES)
    made = impute(one, method="hotdeck", m=2, seed=1)
    new = made.calibrated([Aggregate("ASSET", {"f": 1e9, "m": 2e9}, by="sex")], how="values")
    np.testing.assert_allclose(total(new, "ASSET"), 3e9)
    np.testing.assert_allclose(total(made.calibrated({"ASSET": 1.2e10}), "ASSET"), 1.2e10)


BAD = [
    ({"NETWORT": 1.0}, {}, r"target column 'NETWORT' is not there.*'NETWORTH'"),
    (
        [Aggregate(None, {"x": 5.0}, by="sex")],
        {},
        r"number of units where sex = x: no row is in that group\. sex has: f, m",
    ),
    ([Aggregate("CASH", {"f": 5.0}, by="sexx")], {}, r"group column 'sexx' is not there.*'sex'"),
    ([Aggregate("CASH", {("f", 1): 5.0}, by="sex")], {}, "has 2 values for 1 columns"),
    ([Aggregate("CASH", 5.0, by="sex")], {}, "has no groups"),
    ([Aggregate("CASH", {"f": 5.0})], {}, "has groups, but no column to find them in"),
    ([Aggregate("CASH", float("nan"))], {}, "target of CASH is nan"),
    ([Aggregate("CASH", True)], {}, "target of CASH is True"),
    ([Aggregate("CASH", 1.0), Aggregate("CASH", 2.0)], {}, "the total of CASH is given twice"),
    ([], {}, "there are no targets"),
    ({"OWNER": 5.0}, {}, r"'OWNER' holds .*, which has no total"),
    ({"CASH": 5.0}, {"how": "magic"}, "how is 'magic'"),
    ({"DEBT": -5.0}, {}, r"the total of DEBT, in implicate 1, should be -5; .* between 0 and inf only"),
    ({"DEBT": -5.0}, {"how": "values"}, r"the total of DEBT in implicate 1 should be -5; .* between 0 and inf only"),
    ({"CARS": 5.0}, {"how": "values"}, "'CARS' is count: a factor would make it what nobody has"),
    ({"OWNER": 5.0}, {"how": "values"}, "'OWNER' holds .*, which has no total"),
    ({"income": 5.0}, {"how": "values"}, "'income' was observed, not imputed"),
    ([Aggregate(None, 5.0)], {"how": "values"}, "numbers of units do not depend on imputed amounts"),
    (
        [Aggregate("CASH", {0.0: 5.0}, by="HOUSE"), Aggregate("HOUSE", 1.0)],
        {"how": "values"},
        "which is adjusted itself",
    ),
    ({"CASH": 5.0}, {"how": "values", "name": "v"}, "a name was given for a weight"),
    ({"CASH": 5e8}, {"name": "income"}, "'income' is there already"),
]


@pytest.mark.parametrize(("targets", "options", "told"), BAD, ids=range(len(BAD)))
def test_bad_targets(made, targets, options, told):
    with pytest.raises(CalibrationError, match=told):
        calibrate(made, targets, **options)


@pytest.mark.parametrize(("value", "told"), [(-1.0, "negative in 1 rows"), (np.nan, "missing in 1 rows")])
def test_bad_weights(value, told):
    frame, _ = people(50, 7)
    frame.loc[3, "w"] = value
    with pytest.raises(CalibrationError, match=f"weight column 'w' is {told}"):
        calibrate(Survey(frame, weight="w"), {"income": 1e6})


def test_linear_weights_below_zero_are_refused_not_cut():
    survey = Survey(people(100, 8)[0], weight="w")
    low = 0.35 * float(survey.weights() @ survey.numbers("income"))
    wanted = [Aggregate("income", low), Aggregate(None, float(survey.weights().sum()))]
    with pytest.raises(CalibrationError, match=r"linear distance makes \d+ weights negative.*raking"):
        calibrate(survey, wanted, distance="linear")
    assert (calibrate(survey, wanted).result.weights() > 0).all()


def test_values_of_a_survey_are_observed():
    with pytest.raises(CalibrationError, match="holds observed values only"):
        calibrate(Survey(people(20, 9)[0], weight="w"), {"income": 1e6}, how="values")


def test_missing_values_and_rows_in_no_group_are_counted():
    frame, _ = people(100, 10)
    frame.loc[:4, "income"] = np.nan
    frame.loc[10:12, "sex"] = None
    done = calibrate(Survey(frame, weight="w"), [Aggregate("income", {"f": 1e9, "m": 1e9}, by="sex")])
    assert "5 missing values of income count nothing in its total." in done.notes
    assert "3 rows are in none of the groups of sex that totals of income are given for." in done.notes
    assert any("The number of units was left free" in n for n in done.notes)
