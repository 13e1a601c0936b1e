"""Several donors for one receiver: what bridges and links recover, what independent fusion loses, rules across stages."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute
from microimpute.dependence.priors import Uniform
from microimpute.errors import FusionError
from microimpute.stages import Bridge, Edit, Link, Stage, fuse

ROWS = 2500


def population(rows, seed, rho=0.6):
    """Wealth and spending with correlation rho given x; liquid assets that both donors see."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    liquid = rng.normal(size=rows)
    other = rng.normal(size=rows)
    # given x, wealth and spending correlate only through liquid
    share = np.sqrt(rho)
    wealth = x + share * liquid + np.sqrt(1 - rho) * rng.normal(size=rows)
    spending = x + share * liquid + np.sqrt(1 - rho) * other
    return pd.DataFrame({"x": x, "liquid": liquid, "wealth": wealth, "spending": spending})


def given_x(frame):
    """Correlation of wealth and spending given x."""
    left = [frame[c] - np.polyval(np.polyfit(frame["x"], frame[c], 1), frame["x"]) for c in ("wealth", "spending")]
    return float(np.corrcoef(left)[0, 1])


@pytest.fixture(scope="module")
def surveys():
    scf, cex, cps = (population(ROWS, seed) for seed in (1, 2, 3))
    return Survey(scf[["x", "liquid", "wealth"]]), Survey(cex[["x", "liquid", "spending"]]), Survey(cps[["x"]])


def stages(surveys, *bridges):
    scf, cex, _ = surveys
    wealth = Stage("wealth", scf, ["wealth", "liquid"] if bridges else ["wealth"], ["x"])
    donor = cex if bridges else Survey(cex.frame.drop("liquid"))
    return [wealth, Stage("spending", donor, ["spending"], ["x"], bridges=bridges)]


def found(fused):
    m = fused.imputations.m
    return np.mean([given_x(fused.imputations.complete(i)) for i in range(1, m + 1)])


ERROR = 1.5 / np.sqrt(ROWS)  # of a correlation, donors' sampling included


def test_independent_fusion_loses_the_dependence_and_says_so(surveys):
    fused = fuse(surveys[2], stages(surveys), m=2)
    assert abs(found(fused)) < 4 * ERROR
    pair = fused.imputations.manifest["pairs"][0]
    assert pair["stages"] == ["wealth", "spending"]
    assert "assumed, and not testable" in pair["assumed"]
    assert not pair["linked"]


def test_a_bridge_that_carries_it_recovers_it(surveys):
    fused = fuse(surveys[2], stages(surveys, Bridge("liquid", "liquid")), m=2)
    # forests flatten a little what they predict twice
    assert 0.6 - 0.12 < found(fused) < 0.6 + 4 * ERROR
    pair = fused.imputations.manifest["pairs"][0]
    assert pair["bridged_by"] == ["liquid"]
    assert "liquid" in pair["assumed"]


@pytest.mark.parametrize("rho", [-0.4, 0.5])
def test_a_link_gives_what_is_asked_and_leaves_each_donor_alone(surveys, rho):
    alone, linked = (
        fuse(surveys[2], stages(surveys), links=links, m=2) for links in ((), [Link("wealth", "spending", rho)])
    )
    pearson = 2 * np.sin(np.pi * rho / 6)
    assert found(linked) == pytest.approx(pearson, abs=0.05 * abs(rho) + 4 * ERROR)
    assert np.array_equal(alone.imputations.numbers("wealth"), linked.imputations.numbers("wealth"))
    for a, b in zip(alone.imputations.numbers("spending"), linked.imputations.numbers("spending"), strict=True):
        assert np.array_equal(np.sort(a), np.sort(b))  # the same bundles, exchanged
    said = linked.imputations.manifest["links"][0]
    assert said["asked"] == [rho, rho]
    assert said["reached"] == pytest.approx([rho, rho], abs=0.05)


def test_a_prior_widens_between_implicates(surveys):
    prior = {"prior": "uniform", "low": 0.0, "high": 0.6}
    fused = fuse(surveys[2], stages(surveys), links=[Link("wealth", "spending", prior)], m=6)
    asked = fused.imputations.manifest["links"][0]["asked"]
    assert len(set(asked)) == 6
    assert all(0 <= a <= 0.6 for a in asked)
    each = [given_x(fused.imputations.complete(i)) for i in range(1, 7)]
    assert np.corrcoef(each, asked)[0, 1] > 0.95
    nests = fuse(surveys[2], stages(surveys), links=[Link("wealth", "spending", prior)], m=4, draws=2)
    asked = nests.imputations.manifest["links"][0]["asked"]
    assert asked[0] == asked[1] != asked[2]


def test_intervals_over_a_prior_hold_the_truth():
    """Truth .5 inside a prior from 0 to .8: pooled intervals hold it; those of independent fusion never do."""
    held, missed = [], []
    for number in range(8):
        scf, cex, cps = (population(400, [number, k], 0.5) for k in range(3))
        given = [
            Stage("wealth", scf[["x", "wealth"]], ["wealth"], ["x"], method="regression"),
            Stage("spending", cex[["x", "spending"]], ["spending"], ["x"], method="regression"),
        ]

        def figure(frame):
            r = given_x(frame)
            return r, (1 - r * r) ** 2 / len(frame)

        for links, out in (([Link("wealth", "spending", Uniform(0.0, 0.8))], held), ([], missed)):
            pooled = fuse(cps[["x"]], given, links=links, m=6, seed=number).imputations.pool(figure)
            out.append(bool(pooled.low[0] <= 0.5 <= pooled.high[0]))
    assert sum(held) >= 6  # of 8 at 95 per cent: fewer has probability .006
    assert sum(missed) == 0


def test_the_first_stage_draws_what_impute_does_and_stages_share_no_numbers(surveys):
    scf, _, cps = surveys
    fused = fuse(cps, stages(surveys), m=2, seed=4)
    alone = impute(Fusion(scf, cps, targets=["wealth"], predictors=["x"]), m=2, seed=4)
    assert np.array_equal(fused.imputations.numbers("wealth"), alone.numbers("wealth"))
    # donors with the same keys, and a method that takes one number per row: twins would draw the same donor
    table = scf.native[["x", "wealth"]].assign(id=np.arange(ROWS))
    first, copy = (Survey(t, keys="id") for t in (table, table.rename(columns={"wealth": "copy"})))
    twins = [Stage(c, d, [c], ["x"], method="hotdeck") for c, d in (("wealth", first), ("copy", copy))]
    both = fuse(cps, twins, m=1).imputations
    same = np.mean(both.numbers("wealth")[0] == both.numbers("copy")[0])
    assert same < 0.1  # classes hold at least ten donors; with shared numbers all would be the same


def test_same_seed_same_draws_whatever_the_order_of_rows(surveys):
    _, _, cps = surveys
    keyed = Survey(cps.native.assign(id=np.arange(ROWS)), keys="id")
    turned = Survey(keyed.native.iloc[::-1].reset_index(drop=True), keys="id")
    given = stages(surveys, Bridge("liquid", "liquid"))
    links = [Link("wealth", "spending", 0.3)]
    one, two = (fuse(s, given, links=links, m=1, workers=w).imputations for s, w in ((keyed, 1), (turned, 2)))
    assert np.array_equal(one.numbers("spending")[0], two.numbers("spending")[0][::-1])


def test_rules_across_stages(surveys):
    pushed = Survey(surveys[2].native.assign(rent=(np.arange(ROWS) % 2).astype(float)))
    given = stages(surveys)
    rule = "spending <= wealth - rent"  # and one and a half: rules forgive rounded dollars
    before = fuse(pushed, given, edits=[Edit(rule, "count")], m=2)
    after = fuse(pushed, given, edits=[rule], m=2)
    counted, mended = (f.imputations.manifest["edits"][0] for f in (before, after))
    assert counted["before"] == counted["after"] == mended["before"] > 300
    assert mended["after"] < 0.1 * mended["before"]
    assert mended["drawn_again"] >= mended["before"]
    assert mended["stage"] == "spending"
    one, two = (f.imputations for f in (before, after))
    assert np.array_equal(one.numbers("wealth"), two.numbers("wealth"))
    kept = one.numbers("spending") <= one.numbers("wealth") - pushed.numbers("rent") + 1.5
    assert np.array_equal(one.numbers("spending")[kept], two.numbers("spending")[kept])  # the others stay as drawn
    assert two.receiver is pushed


def test_adjusting_moves_to_the_bound(surveys):
    fused = fuse(surveys[2], stages(surveys), edits=[Edit("spending >= 0", "adjust")], m=1).imputations
    plain = fuse(surveys[2], stages(surveys), m=1).imputations
    assert np.array_equal(fused.numbers("spending"), np.maximum(plain.numbers("spending"), 0))
    said = fused.manifest["edits"][0]
    assert said["adjusted"] == said["before"] == int((plain.numbers("spending") < 0).sum())
    assert said["after"] == 0


def test_a_total_is_adjusted_through_its_parts():
    rng = np.random.default_rng(0)
    donor = pd.DataFrame({"x": rng.normal(size=200), "food": rng.gamma(2, 100, 200), "rent": rng.gamma(2, 100, 200)})
    donor["spent"] = donor["food"] + donor["rent"]
    receiver = pd.DataFrame({"x": rng.normal(size=50), "income": np.full(50, 300.0)})
    stage = Stage("spending", donor, ["food", "rent"], ["x"], rules=["spent = food + rent"])
    made = fuse(receiver, [stage], edits=[Edit("spent <= income", "adjust")], m=1).imputations
    food, rent, spent = (made.numbers(c)[0] for c in ("food", "rent", "spent"))
    np.testing.assert_allclose(spent, food + rent)
    assert spent.max() <= 301.5
    assert (spent > 299).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: [b, a], r"made from 'liquid', given by stage 'wealth', which comes later"),
        (lambda a, b: [a, a], "two stages are called 'wealth'"),
        (lambda a, b: [], "no stage"),
        (lambda a, b: [a, Stage("s", b.donor, ["spending"], ["x"], bridges=[Bridge("liquid", "liquidity")])], "no stage gives"),
        (lambda a, b: [a, Stage("s", b.donor, ["spending"], ["x"], bridges=[Bridge("cash", "liquid")])], "one side only"),
        (lambda a, b: [a, Stage("s", b.donor, ["spending"], bridges=[Bridge("liquid", "liquid")])], "names no predictors"),
    ],
)  # fmt: skip
def test_stages_that_do_not_fit(surveys, change, message):
    given = stages(surveys, Bridge("liquid", "liquid"))
    with pytest.raises(FusionError, match=message):
        fuse(surveys[2], change(*given), m=1)


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([Link("spending", "wealth", 0.3)], "wrong order"),
        ([Link("wealth", "spendings", 0.3)], "no stage gives 'spendings'"),
        ([Link("wealth", "spending", 0.3)] * 2, "there twice"),
    ],
)
def test_links_that_do_not_fit(surveys, links, message):
    with pytest.raises(FusionError, match=message):
        fuse(surveys[2], stages(surveys), links=links, m=1)


def test_rules_that_can_not_hold(surveys):
    pushed = Survey(surveys[2].native.assign(one=1.0))
    with pytest.raises(FusionError, match=r"none of 5 draws of stage 'spending' keeps 'spending <= - 99 one'.*row 0"):
        fuse(pushed, stages(surveys), edits=[Edit("spending <= - 99 one", limit=5)], m=1)
    with pytest.raises(FusionError, match="speaks of no imputed column"):
        fuse(surveys[2], stages(surveys), edits=["x >= 0"], m=1)
    with pytest.raises(FusionError, match="nobody has 'incom'"):
        fuse(surveys[2], stages(surveys), edits=["spending <= incom"], m=1)
    with pytest.raises(FusionError, match="an identity"):
        fuse(surveys[2], stages(surveys), edits=["spending = wealth"], m=1)


def test_a_difference_is_not_adjusted_through_its_parts():
    """Net worth is assets less debts: scaled to zero, both would be gone."""
    rng = np.random.default_rng(0)
    donor = pd.DataFrame({"x": rng.normal(size=100), "assets": rng.gamma(2, 9, 100), "debts": rng.gamma(2, 9, 100)})
    donor["net"] = donor["assets"] - donor["debts"]
    stage = Stage("wealth", donor, ["assets", "debts"], ["x"], rules=["net = assets - debts"])
    receiver = pd.DataFrame({"x": rng.normal(size=20)})
    with pytest.raises(FusionError, match="'net' is a difference of its parts"):
        fuse(receiver, [stage], edits=[Edit("net >= 0", "adjust")], m=1)
    kept = fuse(receiver, [stage], edits=[Edit("assets >= 0", "adjust"), Edit("net >= 0", "count")], m=1)
    assert (kept.imputations.numbers("assets") > 0).all()


def test_other_receivers_are_refused(surveys):
    a, b = stages(surveys)
    fewer = Survey(surveys[2].native.head(10))
    with pytest.raises(FusionError, match="sees other receivers"):
        fuse(surveys[2], [a, Stage("s", b.donor, ["spending"], ["x"], receiver=fewer)], m=1)
