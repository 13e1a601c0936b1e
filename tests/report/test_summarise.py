import dataclasses
import json

import narwhals as nw
import numpy as np
import pytest
from scipy import stats

from microimpute.errors import FusionError
from microimpute.report import summarise
from microimpute.report.outcomes import few_levels
from microimpute.report.sides import ranks


@pytest.fixture(scope="module")
def summary(made):
    return summarise(*made, title="A run")


def quantile(values, weight, share):
    return np.quantile(values, share, weights=weight, method="inverted_cdf")


def row(rows, key, value):
    return next(r for r in rows if r[key] == value)


def test_plain_json_and_the_same_again(made, summary):
    text = json.dumps(summary, allow_nan=False)
    assert json.loads(text) == summary
    assert json.dumps(summarise(*made, title="A run")) == text


def test_headline_is_the_last_total_and_agrees_with_numpy(made, summary, donor, receiver):
    imputations, _ = made
    head = summary["headline"]
    assert head["name"] == "NETWORTH"
    net = donor["CASH"] + donor["HOUSE"] - donor["DEBT"]
    draws = imputations.numbers("NETWORTH")
    for percent in (5, 10, 25, 50, 75, 90, 95, 99):
        line = row(head["rows"], "figure", f"P{percent}")
        each = [quantile(d, receiver["w"], percent / 100) for d in draws]
        assert line["donor"] == quantile(net, donor["w"], percent / 100)
        assert line["imputed"] == pytest.approx(np.mean(each))
        assert (line["low"], line["high"]) == (min(each), max(each))
        assert line["sd"] == pytest.approx(np.std(each, ddof=1))
    negative = row(head["rows"], "figure", "negative")
    assert negative["donor"] == pytest.approx(np.average(net < 0, weights=donor["w"]))
    assert negative["imputed"] == pytest.approx(np.average(draws < 0, weights=receiver["w"], axis=1).mean())


def test_amounts_agree_with_numpy(made, summary, donor, receiver):
    imputations, _ = made
    house = row(summary["amounts"], "name", "HOUSE")
    some = donor["HOUSE"] != 0
    assert house["label"] == "main home"
    assert house["donor"]["any"] == pytest.approx(np.average(some, weights=donor["w"]))
    assert house["donor"]["P90"] == quantile(donor["HOUSE"][some], donor["w"][some], 0.9)
    draws = imputations.numbers("HOUSE")
    assert house["imputed"]["P99"] == pytest.approx(
        np.mean([quantile(d[d != 0], receiver["w"][d != 0], 0.99) for d in draws])
    )
    assert house["imputed"]["total"] == pytest.approx((draws @ receiver["w"].to_numpy()).mean())
    assert row(summary["amounts"], "name", "ASSET")["derived"] == "ASSET = CASH + HOUSE"


def test_classes_agree_with_numpy(made, summary, donor, receiver):
    imputations, _ = made
    levels = row(summary["classes"], "name", "CARD")["levels"]
    yes = row(levels, "level", "yes")
    assert yes["donor"] == pytest.approx(np.average(donor["CARD"] == "yes", weights=donor["w"]))
    each = [np.average(imputations.complete(i)["CARD"] == "yes", weights=receiver["w"]) for i in (1, 2, 3)]
    assert yes["imputed"] == pytest.approx(np.mean(each))
    assert yes["high"] == pytest.approx(max(each))


def test_groups_agree_with_numpy(made, summary, donor, receiver):
    imputations, _ = made
    assert [g["by"] for g in summary["groups"]] == ["age", "income"]
    group = row(summary["groups"][0]["rows"], "group", "35–44")
    inside, mine = donor["age"].between(35, 44), receiver["age"].between(35, 44).to_numpy()
    assert (group["donors"], group["receivers"]) == (inside.sum(), mine.sum())
    net = donor["CASH"] + donor["HOUSE"] - donor["DEBT"]
    assert group["median"]["donor"] == quantile(net[inside], donor["w"][inside], 0.5)
    draws = imputations.numbers("NETWORTH")[:, mine]
    assert group["mean"]["imputed"] == pytest.approx(np.average(draws, weights=receiver["w"][mine], axis=1).mean())
    fifths = summary["groups"][1]["rows"]
    assert len(fifths) == 5
    assert sum(g["receivers"] for g in fifths) == len(receiver)
    lowest = quantile(donor["income"], donor["w"], 0.2)
    assert fifths[0]["donors"] == (donor["income"] < lowest).sum()


def test_correlations_agree_with_scipy_where_weights_are_alike(maker, donor, receiver):
    imputations, fusion = maker(donor.assign(w=1.0), receiver.assign(w=1.0), m=2)
    table = summarise(imputations, fusion, title="")["correlations"]
    columns = table["with_predictors"]["columns"]
    assert columns == ["age", "income"]  # region has no order
    cell = row(table["with_predictors"]["rows"], "name", "CASH")["cells"][1]
    assert cell["donor"] == pytest.approx(stats.spearmanr(donor["CASH"], donor["income"]).statistic)
    draws = imputations.numbers("CASH")
    each = [stats.spearmanr(d, receiver["income"]).statistic for d in draws]
    assert cell["imputed"] == pytest.approx(np.mean(each))
    assert cell["difference"] == pytest.approx(cell["imputed"] - cell["donor"])
    among = table["with_targets"]
    assert all(r["cells"][i] is None for i, r in enumerate(among["rows"]))


def test_ranks_are_those_of_rows_repeated_by_weight():
    values, weight = np.array([3.0, 1.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])
    repeated = stats.rankdata(values.repeat(weight.astype(int)))
    first = np.concatenate([[0], np.cumsum(weight)[:-1]]).astype(int)
    assert ranks(values, weight) == pytest.approx((repeated[first] - 0.5) / 10)


def test_a_planted_shift_of_one_implicate_is_seen(made):
    imputations, fusion = made
    before = summarise(imputations, fusion, title="")
    series = imputations.values["HOUSE"]
    shifted = (*series[:-1], series[-1] + 50_000)
    broken = dataclasses.replace(imputations, values={**imputations.values, "HOUSE": shifted})
    after = summarise(broken, fusion, title="")
    old, new = (row(s["amounts"], "name", "HOUSE")["imputed"] for s in (before, after))
    assert new["any"] > old["any"]
    assert new["mean"] == pytest.approx(old["mean"] + 50_000 / 3)


def test_rows_of_weight_zero_count_for_nothing(maker, donor, receiver):
    weight = np.where(np.arange(len(receiver)) % 3 == 0, 0.0, receiver["w"])
    imputations, fusion = maker(donor, receiver.assign(w=weight), m=2)
    head = summarise(imputations, fusion, title="", headline="CASH")["headline"]
    kept = weight > 0
    each = [quantile(d[kept], weight[kept], 0.5) for d in imputations.numbers("CASH")]
    assert row(head["rows"], "figure", "P50")["imputed"] == pytest.approx(np.mean(each))


def test_warnings_come_from_notes_rules_and_far_predictors(maker, donor, receiver):
    odd = receiver.assign(age=receiver["age"] + 40, income=receiver["income"].where(receiver.index > 20))
    imputations, fusion = maker(donor, odd)
    imputations.manifest["rules"].append({"rule": "HOUSE >= 0", "broken_draws": 7})
    summary = summarise(imputations, fusion, title="")
    told = " ".join(w["text"] for w in summary["warnings"])
    assert "income is never missing among donors" in told
    assert "HOUSE >= 0" in told
    assert "Predictor age is distributed differently" in told
    assert summary["rules"]["listed"][-1]["broken"] == 7
    assert summary["rules"]["draws"] == 900
    assert [r["group"] for r in summary["groups"][1]["rows"]][-1] == "missing"


def test_says_what_was_done_and_assumed(summary):
    text = " ".join(summary["story"])
    assert "Assumed, and not testable" in text
    assert "Bayesian bootstrap" in text
    assert "NETWORTH" in text
    facts = {f["name"]: f["value"] for f in summary["facts"]}
    assert facts["Implicates made"] == "m = 3, seed 1"


def test_concepts_remarks_and_dollars(made):
    concepts = [
        {
            "name": "income",
            "donor": "INCOME",
            "receiver": "e00200",
            "caveat": "",
            "money": True,
            "x": object(),
        }
    ]
    summary = summarise(*made, title="", concepts=concepts, remarks=("Units differ.",))
    assert summary["concepts"] == [{"name": "income", "donor": "INCOME", "receiver": "e00200", "caveat": ""}]
    assert summary["groups"][1]["rows"][0]["group"].startswith("under $")
    assert summary["remarks"] == ["Units differ."]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"headline": "NETWRTH"}, "Did you mean 'NETWORTH'"),
        ({"headline": "CARD"}, "not an imputed amount"),
        ({"by": ["agee"]}, "Did you mean 'age'"),
        ({"by": ["age", "income", "region"]}, "at most two"),
    ],
)
def test_wrong_arguments_are_answered(made, wrong, says):
    with pytest.raises(FusionError, match=says):
        summarise(*made, title="", **wrong)


def test_another_fusion_is_refused(made, maker, donor, receiver):
    _, other = maker(donor, receiver.head(10))
    with pytest.raises(FusionError, match="not drawn from this fusion"):
        summarise(made[0], other, title="")


def test_by_a_class_and_by_a_few_values(made):
    summary = summarise(*made, title="", by=["region"])
    assert [r["group"] for r in summary["groups"][0]["rows"]] == ["north", "south", "west"]


def test_only_the_largest_levels_are_kept():
    rows = [{"level": str(i), "donor": i / 435, "imputed": 1 / 30} for i in range(30)]
    kept = few_levels(rows, ("donor", "imputed"))
    assert len(kept) == 12
    assert kept[-1]["level"] == "19 other levels"
    assert sum(r["imputed"] for r in kept) == pytest.approx(1)


def test_polars_receiver_gives_the_same(made, maker, donor, receiver):
    pl = pytest.importorskip("polars")
    imputations, fusion = maker(donor, pl.from_dict(receiver.to_dict("list")), rules=[str(r) for r in made[1].rules])
    assert isinstance(imputations.values["CASH"][0], nw.Series)
    assert summarise(imputations, fusion, title="A run")["headline"] == summarise(*made, title="A run")["headline"]


def test_the_use_of_donors_stands_among_the_facts(made):
    imputations, _ = made
    uses = imputations.manifest["donor_use"]
    told = row(summarise(*made, title="A run")["facts"], "name", "Donors used")["value"]
    assert f"{np.mean([u['used'] for u in uses]):,.0f} of 600 for 300 rows" in told
    assert f"one at most {max(u['most_used'] for u in uses)} times" in told
    assert f"{np.mean([u['fell_back'] for u in uses]) / 300:.1%} of the rows" in told
    point = dataclasses.replace(
        imputations, manifest={k: v for k, v in imputations.manifest.items() if k != "donor_use"}
    )
    facts = summarise(point, made[1], title="A run")["facts"]
    assert "Donors used" not in [fact["name"] for fact in facts]
