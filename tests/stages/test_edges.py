"""Fusing several donors at its edges: other libraries, rows without weight, bounds below zero, what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from microimpute import Survey
from microimpute.errors import FusionError
from microimpute.methods.hotdeck import HotDeck
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


def test_a_class_in_a_link_is_refused_before_anything_is_drawn(frames):
    wealth, spending, receiver = frames
    given = stages((wealth, spending.assign(kind=np.where(spending["x"] > 0, "a", "b")), receiver))
    last = Stage("spending", given[1].donor, ["spending", "kind"], ["x"], method="hotdeck")
    seen = []
    with pytest.raises(FusionError, match=r"the link of 'wealth' and 'kind' needs amounts, but 'kind' is a class"):
        fuse(receiver, [given[0], last], links=[Link("wealth", "kind", 0.2)], m=1, before=seen.append)
    assert not seen


class Between(HotDeck):
    """A method of somebody's own that draws between whole numbers; ours give values that donors have."""

    name = "between"

    def draw(self, X, rng):
        return super().draw(X, rng) + 0.4


def test_rules_see_whole_numbers_as_they_are_written(frames):
    """3.4 cars are written as 3: what breaks a rule is counted of those, and totals are made of them."""
    wealth, spending, receiver = frames
    cars = spending.assign(cars=(3 * spending["spending"]).astype(int))
    given = [
        Stage("wealth", wealth[["x", "wealth"]], ["wealth"], ["x"], method="hotdeck"),
        Stage("cars", cars, ["cars", "spending"], ["x"], rules=["both = cars + spending"], method=Between()),
    ]
    bound = Survey(receiver.assign(bound=np.full(ROWS, 1.7)))  # and one and a half: rules forgive rounded dollars
    counted, redrawn = (
        fuse(bound, given, edits=[Edit("cars <= bound", r)], m=2).imputations for r in ("count", "redraw")
    )
    written = counted.numbers("cars")
    assert (written == 3).any()
    assert counted.manifest["edits"][0]["before"] == (written > 3.2).sum() > 0
    np.testing.assert_allclose(counted.numbers("both"), written + counted.numbers("spending"))
    again = redrawn.numbers("cars")
    assert redrawn.manifest["edits"][0]["after"] == (again > 3.2).sum()
    assert (again[written > 3.2] == 3).any()  # drawn again as 3.4, which would not do


def test_a_few_receivers_whom_no_draw_helps_do_not_stop_a_run(frames):
    receiver = Survey(frames[2].assign(id=np.arange(ROWS), cap=np.where(np.arange(ROWS) == 7, -9.0, 1e9)), keys="id")
    made = fuse(receiver, stages(frames), edits=[Edit("spending <= cap", limit=3)], m=1).imputations
    said = made.manifest["edits"][0]
    assert (said["before"], said["after"], said["drawn_again"]) == (1, 1, 3)
    text = made.manifest["notes"][0]["text"]
    assert text.startswith(
        "none of 3 draws of stage 'spending' keeps 'spending <= cap', for the one that breaks it (id 7)"
    )
    plain = fuse(receiver, stages(frames), m=1).imputations
    assert np.array_equal(made.numbers("spending"), plain.numbers("spending"))
    nine, ten = (frames[2].assign(cap=np.where(np.arange(ROWS) < n, -9.0, 1e9)) for n in (9, 10))
    fuse(nine, stages(frames), edits=[Edit("spending <= cap", limit=3)], m=1)
    with pytest.raises(FusionError, match=r"for any of the 10 receivers that break it \(row 0, row 1, row 2, …\)"):
        fuse(ten, stages(frames), edits=[Edit("spending <= cap", limit=3)], m=1)


def test_what_adjusting_breaks_of_the_stages_own_rules_is_moved_after():
    rng = np.random.default_rng(0)
    donor = pd.DataFrame({"x": rng.normal(size=200), "home": rng.gamma(2, 100, 200), "rooms": rng.gamma(2, 1, 200)})
    donor["loan"] = donor["home"] / 2
    donor["net"] = donor["home"] - donor["loan"]
    owner = (np.arange(60) % 2).astype(float)
    receiver = pd.DataFrame({"x": rng.normal(size=60), "owner": owner})
    own = ["net = home - loan", "loan requires home", "loan <= home"]
    stage = Stage("wealth", donor, ["home", "loan", "rooms"], ["x"], rules=own, method="hotdeck")
    made = fuse(receiver, [stage], edits=[Edit("home requires owner", "adjust")], m=1).imputations
    home, loan, net, rooms = (made.numbers(c)[0] for c in ("home", "loan", "net", "rooms"))
    assert (home[owner == 0] == 0).all()
    assert (loan[owner == 0] == 0).all()
    assert (loan[owner == 1] > 0).all()
    np.testing.assert_allclose(net, home - loan)
    assert (rooms > 0).all()
    said = made.manifest["edits"][0]
    assert (said["adjusted"], said["followed"], said["after"]) == (30, 30, 0)
    assert all(r["broken_draws"] == 0 for r in made.manifest["rules"])


def test_every_row_is_moved_to_its_own_bound_and_what_follows_is_moved_in_the_same_row():
    rng = np.random.default_rng(1)
    donor = pd.DataFrame({"x": rng.normal(size=200), "home": rng.gamma(2, 100, 200)})
    donor["loan"] = donor["home"] * rng.uniform(size=200)
    receiver = pd.DataFrame({"x": rng.normal(size=80), "cap": rng.gamma(2, 80, 80)})
    stage = Stage("wealth", donor, ["home", "loan"], ["x"], rules=["loan <= home"], method="hotdeck")
    plain = fuse(receiver, [stage], m=1).imputations
    made = fuse(receiver, [stage], edits=[Edit("home <= cap", "adjust")], m=1).imputations
    cap = receiver["cap"].to_numpy()
    before, home, loan = plain.numbers("home")[0], made.numbers("home")[0], made.numbers("loan")[0]
    over = parse("home <= cap").broken({"home": before, "cap": cap})
    assert 20 < over.sum() < 70
    np.testing.assert_allclose(home, np.where(over, cap, before), rtol=1e-12)
    asked = plain.numbers("loan")[0]
    follows = parse("loan <= home").broken({"loan": asked, "home": home})
    assert 10 < follows.sum() < over.sum()
    np.testing.assert_allclose(loan, np.where(follows, home, asked), rtol=1e-12)
    said = made.manifest["edits"][0]
    assert (said["adjusted"], said["followed"], said["after"]) == (over.sum(), follows.sum(), 0)
