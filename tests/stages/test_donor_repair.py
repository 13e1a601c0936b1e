"""Rules across stages kept by donors: whole bundles of donors who keep the rule with the receiver's own values."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Survey
from microimpute.errors import FusionError
from microimpute.rules import TOLERANCE
from microimpute.stages import Bridge, Edit, Stage, fuse
from microimpute.variance.resampling import bootstrap_replicates

ROWS = 400
RULE, OWN = "spent <= income + wealth", "spent <= 2 income"


@pytest.fixture(scope="module")
def frames():
    """Amounts in the hundreds; a third of the bundles break the rule."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(3, ROWS))
    wealth = pd.DataFrame({"x": x[0], "wealth": 100 * np.exp(x[0] + rng.normal(size=ROWS))})
    spending = pd.DataFrame({"x": x[1], "food": 80 * np.exp(x[1] / 2 + rng.normal(size=ROWS) / 2)})
    spending["rent"] = np.where(rng.random(ROWS) < 0.3, 0.0, spending["food"] * rng.uniform(0.5, 2, ROWS))
    income = 100 * np.exp(x[2] + rng.normal(size=ROWS))
    return wealth, spending, pd.DataFrame({"id": np.arange(ROWS), "x": x[2], "income": income})


def alone(donor):
    return [Stage("spending", donor, ["food", "rent"], ["x"], rules=["spent = food + rent"], method="hotdeck")]


def stages(frames):
    return [Stage("wealth", frames[0], ["wealth"], ["x"], method="hotdeck"), *alone(frames[1])]


def drawn(fused, *names):
    return [fused.imputations.numbers(name) for name in names]


def test_who_breaks_a_rule_gets_the_whole_bundle_of_a_donor_who_keeps_it(frames):
    _, spending, receiver = frames
    plain, made = (fuse(receiver, stages(frames), edits=[Edit(RULE, r)], m=2) for r in ("count", "donor"))
    income = receiver["income"].to_numpy()
    before, after = (drawn(f, "food", "rent", "spent", "wealth") for f in (plain, made))
    over = before[2] > income + before[3] + TOLERANCE
    assert 100 < over.sum() < 500
    least = (spending["food"] + spending["rent"]).min()
    can = over & (income + before[3] + TOLERANCE >= least)
    assert 0 < (over & ~can).sum() < 10  # for whom even the thriftiest donor spends too much: as drawn
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a[~can], b[~can])
    assert np.array_equal(before[3], after[3])  # the earlier stage stands
    food, rent, spent, _ = after
    assert (spent <= income + before[3] + TOLERANCE)[can].all()
    np.testing.assert_allclose(spent, food + rent)
    bundles = set(zip(spending["food"], spending["rent"], strict=True))
    assert set(zip(food[can], rent[can], strict=True)) <= bundles
    said = made.imputations.manifest["edits"][0]
    counts = {"before": over.sum(), "after": (over & ~can).sum(), "from_donors": can.sum()}
    assert {k: said[k] for k in counts} == counts
    assert said["without_donor"] == counts["after"]
    assert sum(said["looked_at"].values()) == counts["from_donors"]
    assert list(said["looked_at"]) == ["8", "32", "128", "all"]  # a fiftieth of 400, then four times as many
    note = next(n for n in made.imputations.manifest["notes"] if "no donor of" in n["text"])
    rows = np.flatnonzero((over & ~can).any(axis=0))
    assert note["count"] == len(rows)
    assert f"keeps '{RULE}', for {len(rows)} receiver" in note["text"]
    assert f"(row {rows[0]}" in note["text"]
    assert note["warning"]


def test_donors_are_alike_in_bridges_too(frames):
    """Liquid assets decide what is spent: who gets another bundle gets that of a donor with about the same."""
    rng = np.random.default_rng(2)
    wealth = frames[0].assign(liquid=rng.normal(size=ROWS))
    liquid = rng.normal(size=ROWS)
    spending = pd.DataFrame({"x": frames[1]["x"], "liquid": liquid, "food": 500 + 100 * liquid})
    given = [
        Stage("wealth", wealth, ["wealth", "liquid"], ["x"], method="hotdeck"),
        Stage("spending", spending, ["food"], ["x"], bridges=[Bridge("liquid", "liquid")], method="shuffle"),
    ]
    receiver = frames[2].assign(cap=520.0)
    made, plain = (fuse(receiver, given, edits=[Edit("food <= cap", r)], m=2).imputations for r in ("donor", "count"))
    food, own, plain = made.numbers("food"), made.numbers("liquid"), plain.numbers("food")
    moved = (plain != food) & (own < 0)  # the rule leaves room for what is expected
    assert moved.sum() > 100
    assert np.corrcoef(food[moved], own[moved])[0, 1] > 0.8  # the shuffle's are independent
    assert abs(np.corrcoef(plain[moved], own[moved])[0, 1]) < 4 / np.sqrt(moved.sum())


def test_same_seed_same_donors_whatever_workers_and_order_of_rows(frames):
    _, spending, receiver = frames
    receiver = receiver.assign(cap=spending["food"].quantile(0.1))  # nine of ten break it
    turned = receiver.iloc[::-1].reset_index(drop=True)
    mixed = spending.sample(frac=1, random_state=0).reset_index(drop=True)
    one, two = (
        fuse(Survey(r, keys="id"), alone(s), edits=[Edit("food <= cap", "donor")], m=4, draws=2, workers=w)
        for r, s, w in ((receiver, spending, 1), (turned, mixed, 2))
    )
    for a, b in zip(drawn(one, "food", "rent"), drawn(two, "food", "rent"), strict=True):
        assert np.array_equal(a, b[:, ::-1])
    assert one.imputations.manifest["edits"] == two.imputations.manifest["edits"]
    food = one.imputations.numbers("food")
    assert (food[0] == food[1]).mean() < 0.4  # one nest, two draws, among 5 donors or more


def test_donors_come_from_the_resample_of_their_nest(frames):
    """Half of the donors have no weight in a half-sample, and must not be drawn in its implicates."""
    _, spending, receiver = frames
    rng = np.random.default_rng(4)
    spending = spending.assign(w=rng.uniform(1, 3, ROWS), food=spending["food"] + np.arange(ROWS) * 1e-6)
    many = bootstrap_replicates(spending["w"], count=6).replicates
    names = [f"r{i}" for i in range(6)]
    donor = Survey(
        spending.join(pd.DataFrame(many, columns=names)), weight="w", replicates=names, replicate_rule="bootstrap"
    )
    given = alone(donor)
    made = fuse(receiver, given, edits=[Edit(OWN, "donor")], m=4, draws=2)
    assert made.imputations.manifest["edits"][0]["from_donors"] > 200
    place = {value: i for i, value in enumerate(spending["food"])}
    food = made.imputations.numbers("food")
    fitting = []
    for nest in (food[:2], food[2:]):
        used = np.unique([place[v] for v in nest.ravel()])
        fitting.append([r for r in range(6) if (many[used, r] > 0).all()])
    assert [len(f) for f in fitting] == [1, 1]
    assert fitting[0] != fitting[1]


def test_donors_keep_what_was_drawn_again_for_another_rule(frames):
    receiver = frames[2].assign(cap=80.0)
    edits = [Edit(OWN, "donor"), Edit("rent <= cap", "redraw", limit=50)]
    made = fuse(receiver, alone(frames[1]), edits=edits, m=2)
    by_itself = fuse(receiver, alone(frames[1]), edits=edits[1:], m=2).imputations.manifest["edits"][0]
    donor, redraw = made.imputations.manifest["edits"]
    assert donor["from_donors"] > 50
    assert redraw["after"] <= by_itself["after"] < 5
    assert donor["after"] == donor["without_donor"]


def test_a_rule_that_no_donor_keeps_is_refused_or_named(frames):
    nine, ten = (frames[2].assign(cap=np.where(np.arange(ROWS) < n, -9.0, 1e9)) for n in (9, 10))
    plain = fuse(nine, alone(frames[1]), m=2)
    made = fuse(nine, alone(frames[1]), edits=[Edit("spent <= cap", "donor")], m=2)
    assert np.array_equal(*(drawn(f, "spent")[0] for f in (plain, made)))
    notes = [n for n in made.imputations.manifest["notes"] if "no donor of" in n["text"]]
    said = (
        "no donor of stage 'spending' keeps 'spent <= cap', for 9 receivers (row 0, row 1, row 2, …) in one implicate"
    )
    assert len(notes) == 1  # of both implicates
    assert notes[0]["text"].startswith(said)
    message = r"none of the 400 donors of stage 'spending' keeps 'spent <= cap', for any of the 10 receivers that break it \(row 0, row 1, row 2, …\)"
    with pytest.raises(FusionError, match=message):
        fuse(ten, alone(frames[1]), edits=[Edit("spent <= cap", "donor")], m=1)
    both = [Edit("spent <= cap", "donor"), Edit("food <= 2 x", "redraw")]
    with pytest.raises(FusionError, match=r"keeps 'spent <= cap' beside food <= 2 x, for any of the 10 receivers"):
        fuse(ten.assign(x=1e6), alone(frames[1]), edits=both, m=1)


def test_zeros_can_be_required(frames):
    """Renters alone pay rent: owners get the bundle of a donor who pays none."""
    receiver = frames[2].assign(renter=(np.arange(ROWS) % 2).astype(float))
    made = fuse(receiver, alone(frames[1]), edits=[Edit("rent requires renter", "donor")], m=1).imputations
    rent, food = made.numbers("rent")[0], made.numbers("food")[0]
    assert (rent[::2] == 0).all()
    assert 0.5 < (rent[1::2] > 0).mean() < 0.9  # .7 ± .03
    free = frames[1].loc[frames[1]["rent"] == 0, "food"]
    assert set(food[::2]) <= set(free)
    assert made.manifest["edits"][0]["after"] == 0


def test_a_misspelt_repair_is_told_what_there_is():
    with pytest.raises(FusionError, match=r"'a >= 0' is to be repaired by 'doner'.*'donor'"):
        Edit("a >= 0", "doner")
