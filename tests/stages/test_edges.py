"""Fusing several donors at its edges: other libraries, rows without weight, bounds below zero, what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from microimpute import Survey
from microimpute.errors import FusionError
from microimpute.rules import AtMost, parse
from microimpute.stages import Edit, Link, Stage, fuse

ROWS = 300


@pytest.fixture
def frames():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(3, ROWS))
    wealth = pd.DataFrame({"x": x[0], "wealth": np.exp(x[0] + rng.normal(size=ROWS))})
    wealth["region"] = np.where(rng.random(ROWS) < 0.5, "north", "south")
    spending = pd.DataFrame({"x": x[1], "spending": np.exp(x[1] + rng.normal(size=ROWS))})
    spending.loc[:99, "spending"] = 0.0
    return wealth, spending, pd.DataFrame({"x": x[2]})


def stages(frames, receiver=None, targets=("wealth",)):
    wealth, spending, _ = frames
    return [
        Stage("wealth", wealth, list(targets), ["x"], method="hotdeck"),
        Stage("spending", spending, ["spending"], ["x"], receiver=receiver, method="hotdeck"),
    ]


def test_a_bound_below_zero_makes_no_gaps_and_moves_nothing_below_zero(frames):
    receiver = frames[2].assign(income=np.where(np.arange(ROWS) % 2, -50.0, -0.5))
    made = fuse(receiver, stages(frames), edits=[Edit("spending <= income", "adjust")], m=1).imputations
    plain = fuse(receiver, stages(frames), m=1).imputations.numbers("spending")[0]
    drawn = made.numbers("spending")[0]
    low = np.arange(ROWS) % 2 == 1
    assert (plain[low] == 0).any()  # these had become gaps
    assert (drawn[low] == 0).all()
    assert made.manifest["edits"][0]["after"] == low.sum()


def test_a_stage_may_see_the_receiver_in_another_library_or_as_a_frame(frames):
    plain = fuse(Survey(frames[2]), stages(frames), m=1).imputations.complete(1)
    mixed = fuse(pl.from_pandas(frames[2]), stages(frames, receiver=frames[2]), m=1).imputations.complete(1)
    assert isinstance(mixed, pl.DataFrame)
    assert np.array_equal(mixed["spending"].to_numpy(), plain["spending"].to_numpy())


def test_rows_without_weight_are_exchanged_with_the_others(frames):
    weight = np.where(frames[2]["x"] > 0, 0.0, 1.0)  # the highest values are theirs alone
    receiver = Survey(frames[2].assign(w=weight), weight="w")
    made = fuse(receiver, stages(frames), links=[Link("wealth", "spending", 0.4)], m=1).imputations
    assert made.manifest["links"][0]["reached"][0] == pytest.approx(0.4, abs=0.2)
    assert np.isfinite(made.numbers("spending")).all()


def test_what_the_receiver_observes_is_not_overwritten(frames):
    base = frames[2].assign(spending=1.0)
    with pytest.raises(FusionError, match="gives 'spending', which the receiver has already"):
        fuse(base, stages(frames, receiver=Survey(frames[2])), m=1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"edits": [Edit("wealth <= 2 spending", "adjust")]}, "'wealth' is of an earlier stage"),
        ({"edits": [Edit("x <= spending", "adjust")]}, "'x' is observed"),
        ({"edits": ["spending requires region"]}, "'spending requires region' needs amounts, but 'region' is a class"),
        ({"links": [Link("region", "spending", 0.2)]}, "the link of .* needs amounts, but 'region' is a class"),
    ],
)
def test_what_can_not_be_done_is_refused(frames, asked, message):
    with pytest.raises(FusionError, match=message):
        fuse(frames[2], stages(frames, targets=("wealth", "region")), m=1, **asked)


def test_a_bound_is_written_with_all_its_digits():
    rule = AtMost("a", {"b": 1234567.5, "c": -0.00001, "d": 1.0})
    assert parse(str(rule)) == rule


def test_gaps_of_a_column_in_a_rule_are_said(frames):
    receiver = frames[2].assign(income=np.where(np.arange(ROWS) < 40, np.nan, 1e9))
    made = fuse(receiver, stages(frames), edits=[Edit("spending <= income", "count")], m=1).imputations.manifest
    assert made["notes"][0] == {
        "text": "income is missing in 40 receiver rows: rules across stages take it for 0 there.",
        "count": 40,
        "warning": True,
    }


def test_a_row_is_drawn_again_as_often_as_the_rule_that_it_breaks_allows(frames):
    once, idle = Edit("spending <= wealth", limit=1), Edit("spending <= 99999 wealth", limit=20)
    alone, beside = (
        fuse(frames[2], stages(frames), edits=edits, m=1).imputations.manifest["edits"][0]
        for edits in ([once], [once, idle])
    )
    assert alone["after"] > 0
    assert alone["drawn_again"] == alone["before"]
    assert beside == alone
