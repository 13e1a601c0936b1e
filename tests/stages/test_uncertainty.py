"""What a run of several donors says it can not know: figures as drawn, and their bounds."""

import json

import numpy as np
import pandas as pd
import pytest

from microimpute import Survey
from microimpute.stages import Bridge, Link, Stage, fuse

ROWS = 3000
#: Standard error of a correlation from so many donors, as many receivers and so many rows sampled.
ERROR = 1.5 / np.sqrt(ROWS)


@pytest.fixture(scope="module")
def frames():
    """Wealth and spending with slope 1 on x and residuals of variance 1; heavy receivers have large x."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, ROWS))
    wealth = pd.DataFrame({"x": x[0], "wealth": x[0] + rng.normal(size=ROWS)})
    wealth["home"] = (wealth["wealth"] > 0).astype(float) * 100
    wealth["region"] = np.where(rng.random(ROWS) < 0.5, "north", "south")
    spending = pd.DataFrame({"x": x[1], "spending": x[1] + rng.normal(size=ROWS)})
    weight = np.where(x[2] > 0, 3.0, 1.0)
    return wealth, spending, pd.DataFrame({"x": x[2], "id": np.arange(ROWS), "w": weight})


def run(frames, links=(), receiver=None, m=2):
    wealth, spending, base = frames
    given = [
        Stage("wealth", wealth, ["wealth", "home", "region"], ["x"], method="regression"),
        Stage("spending", spending, ["spending"], ["x"], method="regression"),
    ]
    return fuse(Survey(base if receiver is None else receiver, weight="w", keys="id"), given, links=links, m=m)


def told(fused):
    return fused.imputations.manifest["pairs"][0]["uncertainty"]


def test_independence_is_seen_and_its_bounds_hold_every_other_dependence(frames):
    said = told(run(frames))
    assert json.loads(json.dumps(said)) == said
    lead = said["leading"][0]
    assert (lead["first"], lead["second"]) == ("wealth", "spending")
    assert abs(lead["rho"]) < 4 * ERROR
    of = {(c["first"], c["second"]): c for c in said["columns"]}
    assert set(of) == {("wealth", "spending"), ("home", "spending")}
    assert said["left_out"] == ["region"]
    assert {c["status"] for c in said["columns"]} == {"assumed"}
    figures = of["wealth", "spending"]["rank_correlation"]
    for rho in (-0.9, 0.0, 0.9):
        linked = told(run(frames, [Link("wealth", "spending", rho)]))
        reached = linked["columns"][0]["rank_correlation"]["drawn"]
        assert linked["leading"][0]["rho"] == pytest.approx(rho, abs=0.08 * abs(rho) + 4 * ERROR)
        assert figures["least"] - 4 * ERROR < reached < figures["most"] + 4 * ERROR
        assert abs(reached - figures["independent"]) < 4 * ERROR or rho != 0
        assert linked["columns"][0]["status"] == "linked"
        assert linked["columns"][1]["status"] == "exchanged with wealth and spending"
        # bounds are of the margins given x, whatever is drawn
        assert linked["columns"][0]["rank_correlation"]["most"] == pytest.approx(figures["most"], abs=0.03)


def test_every_pair_is_called_what_it_is(frames):
    """A bridge speaks for the stage that it is made from alone, and for pairs that no link names."""
    wealth, spending, base = frames
    given = [
        Stage("age", wealth.rename(columns={"home": "age"})[["x", "age"]], ["age"], ["x"], method="hotdeck"),
        Stage("wealth", wealth[["x", "wealth", "home"]], ["wealth", "home"], ["x"], method="hotdeck"),
        Stage(
            "spending",
            spending.assign(rich=(spending["spending"] > 0) * 1),
            ["spending"],
            ["x"],
            bridges=[Bridge("rich", "wealth", lambda columns: (columns["wealth"] > 0) * 1)],
            method="hotdeck",
        ),
    ]

    def statuses(links):
        fused = fuse(base[["x"]].head(300), given, links=links, m=1)
        columns = [c for p in fused.imputations.manifest["pairs"] for c in p["uncertainty"]["columns"]]
        return {(c["first"], c["second"]): c["status"] for c in columns}

    plain = {("age", "wealth"): "assumed", ("age", "home"): "assumed", ("age", "spending"): "assumed"}
    assert statuses([]) == plain | dict.fromkeys([("wealth", "spending"), ("home", "spending")], "bridged by rich")
    assert statuses([Link("wealth", "spending", 0.5)]) == plain | {
        ("wealth", "spending"): "linked",
        ("home", "spending"): "bridged by rich; exchanged with wealth and spending",
    }


def test_the_bounds_are_those_of_normal_variables(frames):
    """Sorted residuals make wealth and spending one and the same: 1; opposite ones leave x + e and x − e."""
    figures = told(run(frames))["columns"][0]["rank_correlation"]
    assert figures["most"] > 0.95
    weight = frames[2]["w"]
    var = np.cov(frames[2]["x"], aweights=weight)
    for name, pearson in (("independent", var / (var + 1)), ("least", (var - 1) / (var + 1))):
        # neighbourhoods have a width: what x says inside them is left open too
        assert figures[name] == pytest.approx(6 / np.pi * np.arcsin(pearson / 2), abs=0.05)


def test_a_cross_table_counts_receivers_by_weight_and_lies_within_its_bounds(frames):
    fused = run(frames)
    cross = told(fused)["leading"][0]["cross"]
    drawn, least, most = (np.array(cross[k]) for k in ("drawn", "least", "most"))
    assert drawn.shape == (4, 4)
    assert (least <= drawn + 0.02).all()
    assert (drawn <= most + 0.02).all()
    np.testing.assert_allclose(drawn.sum(axis=1), 0.25, atol=0.01)
    home = next(c for c in told(fused)["columns"] if c["first"] == "home")
    weight = np.tile(frames[2]["w"], 2)
    both = (fused.imputations.numbers("home") != 0).ravel() & (fused.imputations.numbers("spending") != 0).ravel()
    assert home["both"]["drawn"] == pytest.approx(np.average(both, weights=weight), abs=0.01)


def test_the_order_of_rows_changes_nothing(frames):
    turned = frames[2].iloc[::-1].reset_index(drop=True)
    assert told(run(frames)) == told(run(frames, receiver=turned))


def test_classes_that_lead_have_a_cross_table_of_their_levels(frames):
    wealth, spending, base = frames
    given = [
        Stage("region", wealth[["x", "region"]], ["region"], ["x"], method="hotdeck"),
        Stage("spending", spending, ["spending"], ["x"], method="hotdeck"),
    ]
    said = told(fuse(base[["x"]].head(60), given, m=1))
    assert said["columns"] == []
    assert said["leading"][0]["rho"] is None
    assert said["leading"][0]["cross"]["rows"] == ["north", "south"]


def test_few_rows_and_columns_that_do_not_vary_have_no_correlation(frames):
    wealth, spending, base = frames
    given = [
        Stage("wealth", wealth.assign(wealth=1.0)[["x", "wealth"]], ["wealth"], ["x"], method="hotdeck"),
        Stage("spending", spending, ["spending"], ["x"], method="hotdeck"),
    ]
    for rows in (1, 500):
        said = told(fuse(base[["x"]].head(rows), given, m=1))
        assert said["leading"][0]["rho"] is None
        assert said["columns"][0]["rank_correlation"]["drawn"] is None
        assert said["columns"][0]["both"]["drawn"] == 1.0
