"""Who has no comparable donors in a stage, and leaving out donors that are like no receiver."""

import json

import numpy as np
import pandas as pd
import pytest

from microimpute import Survey
from microimpute.errors import FusionError
from microimpute.stages import Stage, fuse

DONORS, RECEIVERS = 800, 1000


@pytest.fixture(scope="module")
def frames():
    """A fifth of the receivers, all in the west, is older than any donor; a tenth of the donors younger than any receiver."""
    rng = np.random.default_rng(3)
    age = rng.uniform(30, 60, DONORS)
    age[: DONORS // 10] = rng.uniform(0, 10, DONORS // 10)
    donor = pd.DataFrame({"id": np.arange(DONORS), "age": age, "region": rng.choice(["east", "west"], DONORS)})
    donor = donor.assign(wealth=np.where(age < 20, -1.0, rng.gamma(2, 9, DONORS)), w=rng.uniform(1, 3, DONORS))
    theirs = rng.uniform(30, 60, RECEIVERS)
    old = np.arange(RECEIVERS) < RECEIVERS // 5
    theirs[old] = rng.uniform(90, 99, old.sum())
    region = np.where(old, "west", rng.choice(["east", "west"], RECEIVERS))
    receiver = pd.DataFrame({"age": theirs, "region": region, "w": np.where(old, 2.0, 1.0)})
    return donor, receiver


def run(frames, **changes):
    donor, receiver = frames
    stage = Stage(
        "wealth", Survey(donor, weight="w", keys="id"), ["wealth"], ["age", "region"], method="hotdeck", **changes
    )
    return fuse(Survey(receiver, weight="w"), [stage], m=2)


def test_receivers_beyond_the_donors_are_counted_where_they_are(frames):
    found = run(frames).imputations.manifest["stages"][0]["overlap"]
    assert json.loads(json.dumps(found)) == found
    assert found["rows"] == found["of"] == RECEIVERS
    weight = 2 * 200 / (2 * 200 + 800)
    assert found["all"]["share"] == pytest.approx(weight, abs=0.07)
    group = {(g["predictor"], g["group"]): g for g in found["groups"]}
    assert group["region", "east"]["share"] < 0.1  # three flags of about 1% each, and what chance adds
    west = group["region", "west"]
    assert west["flagged"] >= 200
    assert west["share"] == pytest.approx(400 / (400 + west["rows"] - 200), abs=0.07)
    by_age = [g["share"] for (p, _), g in group.items() if p == "age"]
    assert len(by_age) == 4
    assert by_age[-1] > 0.95  # quarters by weight: the oldest are all beyond the donors
    assert sum(g["rows"] for (p, _), g in group.items() if p == "region") == RECEIVERS
    assert 0 < found["effective"] <= 30
    assert found["auc"] > 0.55


def test_trimming_leaves_out_donors_like_no_receiver_and_no_receiver(frames):
    plain, trimmed = run(frames), run(frames, trim=0.01)
    said = trimmed.imputations.manifest["stages"][0]["overlap"]["trimmed"]
    young = frames[0]["age"] < 20
    assert said["rows"] >= 0.9 * young.sum()
    left = trimmed.fusions["wealth"].donor
    assert len(left) == DONORS - said["rows"]
    assert (left.numbers("age") < 20).mean() < 0.02
    weight = frames[0]["w"]
    assert said["share"] == pytest.approx(1 - left.weights().sum() / weight.sum(), abs=1e-4)
    assert len(trimmed.imputations) == len(plain.imputations) == RECEIVERS
    assert any("left out" in n["text"] and n["count"] == said["rows"] for n in trimmed.imputations.manifest["notes"])
    assert plain.imputations.manifest["stages"][0]["overlap"]["trimmed"] is None
    of_young = [np.mean(f.imputations.numbers("wealth") < 0) for f in (plain, trimmed)]
    assert of_young[1] < of_young[0] / 3  # classes of the hot deck are wide, and gave some receivers a young donor


def test_households_of_donors_with_implicates_go_whole(frames):
    donor, receiver = frames
    five = pd.concat([donor.assign(implicate=i) for i in (1, 2, 3)])
    survey = Survey(five, weight="w", keys="id", implicate="implicate")
    stage = Stage("wealth", survey, ["wealth"], ["age", "region"], method="hotdeck", trim=0.01)
    fused = fuse(Survey(receiver, weight="w"), [stage], m=1)
    left = fused.fusions["wealth"].donor.native
    assert 0 < len(left) < len(five)
    assert (left.groupby("id").size() == 3).all()


@pytest.mark.parametrize("share", [0.5, -0.1, "some", True])
def test_a_share_of_trimming_that_can_not_be(frames, share):
    with pytest.raises(FusionError, match=r"trim of stage 'wealth' is .*from 0 to below 0.5"):
        run(frames, trim=share)


def test_donors_that_can_not_be_trimmed(frames):
    donor, receiver = frames
    with pytest.raises(FusionError, match=r"stage 'wealth': trimming would leave .* hardly overlap"):
        run((donor.assign(age=donor["age"] + 500), receiver), trim=0.01)
    with pytest.raises(FusionError, match="stage 'wealth' can't be trimmed"):
        run((donor.tail(20), receiver), trim=0.01)
    assert not run((donor.tail(20), receiver)).imputations.manifest["stages"][0]["overlap"]["measured"]
