"""Skill, recomputed by hand."""

import numpy as np
import pandas as pd
import pytest

from microimpute.benchmark.scores import FLOOR, Scores, with_skill
from microimpute.metrics.base import FAMILIES, metrics

MATTERS = {name: cls.matters for name, cls in metrics().items()}


def record(label, values, *, task="t", arm="split", seed=0, status="ok", kinds=None, **more):
    """One cell's record; `values` is metric → error of the one target "y", or → {target: error}."""
    spread = {m: v if isinstance(v, dict) else {"y": v} for m, v in values.items()}
    same = {"track": "A", "task": task, "arm": arm, "seed": seed, "label": label, "kinds": kinds or {"y": "count"}}
    return same | {"status": status, "reason": "", "rows": {}, "values": spread, "code": "c"} | more


def scored(**values):
    """Scores of one instance: null, oracle and others by label."""
    return Scores.of([record(label, found) for label, found in values.items()])


def place(scores, method, metric, target="y"):
    frame = scores.frame
    row = frame[(frame["method"] == method) & (frame["metric"] == metric) & (frame["target"] == target)]
    assert len(row) == 1
    return row.iloc[0]


def test_anchored_skill_is_the_share_of_the_way_from_null_to_oracle():
    scores = scored(null={"gini": 0.5}, oracle={"gini": 0.1}, a={"gini": 0.2}, b={"gini": 0.7})
    assert place(scores, "a", "gini")["skill"] == pytest.approx(0.75)
    assert place(scores, "b", "gini")["skill"] == pytest.approx(-0.5)
    assert place(scores, "null", "gini")["skill"] == 0
    assert place(scores, "oracle", "gini")["skill"] == 1


def test_anchors_are_means_over_seeds_of_the_same_arm():
    cells = [("split", 0, 0.4, 0.0), ("split", 1, 0.6, 0.2), ("selected", 0, 9.0, 8.0)]
    records = []
    for arm, seed, null, oracle in cells:
        found = {"null": null, "oracle": oracle, "a": 0.3}
        records += [record(label, {"gini": v}, arm=arm, seed=seed) for label, v in found.items()]
    frame = Scores.of(records).frame
    own = frame[(frame["method"] == "a") & (frame["arm"] == "split")]
    assert own["skill"].tolist() == pytest.approx([0.5, 0.5])  # (0.5 − 0.3) / (0.5 − 0.1)


def test_without_an_oracle_zero_takes_its_place():
    scores = scored(null={"crps": 0.8}, oracle={}, a={"crps": 0.6})
    assert place(scores, "a", "crps")["skill"] == pytest.approx(0.25)
    assert place(scores, "a", "crps")["informative"]


def test_where_null_is_as_good_as_the_oracle_only_harm_counts():
    least = MATTERS["gini"]
    values = {"null": 0.1, "oracle": 0.1 - 0.4 * least, "better": 0.0, "same": 0.1, "bit": 0.1 + 0.9 * least}
    values |= {"worse": 0.1 + 1.5 * least, "awful": 0.1 + 40 * least}
    scores = scored(**{label: {"gini": v} for label, v in values.items()})
    assert not scores.frame["informative"].any()
    counted = {m: place(scores, m, "gini")["counted"] for m in values}
    assert [counted[m] for m in ("better", "same", "bit")] == pytest.approx([0, 0, 0])
    assert counted["worse"] == pytest.approx(-0.5)
    assert counted["awful"] == FLOOR


def test_the_gap_must_be_two_standard_errors_of_the_null_wide():
    least = MATTERS["gini"]
    gap = 3 * least
    for spread, informative in ((0.5, True), (2.0, False)):  # the null's error over 2 seeds is spread · gap / 2
        nulls = [1 - spread * gap / 2, 1 + spread * gap / 2]
        records = [record("null", {"gini": v}, seed=s) for s, v in enumerate(nulls)]
        records += [record("oracle", {"gini": 1 - gap}, seed=s) for s in (0, 1)]
        assert Scores.of(records).frame["informative"].eq(informative).all(), spread


def test_in_means_skill_is_cut_at_the_floor_and_at_one():
    scores = scored(null={"gini": 0.5}, oracle={"gini": 0.1}, a={"gini": 0.0}, b={"gini": 9.0})
    assert place(scores, "a", "gini")["skill"] == pytest.approx(1.25)
    assert place(scores, "b", "gini")["skill"] < -20
    families = scores.families()["tails"].droplevel([0, 1, 2])
    assert families.to_dict() == {"a": 1.0, "b": FLOOR}


def test_means_are_over_targets_then_metrics_and_harm_is_taken_off():
    least = MATTERS["hill"]
    null = {"gini": {"y": 1.0, "z": 1.0}, "top_shares": 1.0, "hill": 0.1}
    oracle = {"gini": {"y": 0.0, "z": 0.0}, "top_shares": 0.0, "hill": 0.1}
    own = {"gini": {"y": 0.0, "z": 0.5}, "top_shares": 0.75, "hill": 0.1 + 1.6 * least}
    found = scored(null=null, oracle=oracle, a=own).families()["tails"].item()
    assert found == pytest.approx(((1 + 0.5) / 2 + 0.25) / 2 - 0.6 / 3)


def test_skill_less_harm_is_cut_at_the_floor_too():
    null, oracle = {"gini": 1.0, "hill": 0.1}, {"gini": 0.0, "hill": 0.1}
    found = scored(null=null, oracle=oracle, a={"gini": 9.0, "hill": 9.0}).families()["tails"].item()
    assert found == FLOOR


def test_a_family_that_is_nowhere_informative_is_blank():
    scores = scored(null={"gini": 0.1, "crps": 1.0}, oracle={"gini": 0.1}, a={"gini": 9.0, "crps": 0.5})
    assert scores.families()["tails"].isna().all()
    assert scores.headline().loc["a", "worst family"] == "conditional"


@pytest.mark.parametrize("status", ["failed", "gate"])
def test_a_cell_without_values_has_the_floor_in_every_family_of_its_instance(status):
    anchors = {"gini": 0.5, "crps": 1.0}
    records = [record("null", anchors), record("oracle", {"gini": 0.1}), record("good", {"gini": 0.1, "crps": 0.0})]
    records += [record("bad", {}, status=status)]
    records += [record(m, {"crps": 1.0 if m == "null" else 0.5}, task="u") for m in ("null", "good", "bad")]
    families = Scores.of(records).families().xs("bad", level="method")
    assert families.loc["t"].iloc[0].to_dict() == {"conditional": FLOOR, "tails": FLOOR}
    assert families.loc["u", "conditional"].item() == pytest.approx(0.5)
    assert np.isnan(families.loc["u", "tails"].item())  # that task has no such family


def test_nobody_but_the_null_needs_to_succeed():
    records = [record("null", {"gini": 0.5}), record("oracle", {"gini": 0.1}), record("bad", {}, status="failed")]
    scores = Scores.of(records)
    assert scores.families().loc[("t", "split", 0, "bad"), "tails"] == FLOOR
    assert scores.failed["method"].tolist() == ["bad"]
    assert scores.methods == ["bad"]


def test_by_kind_leaves_the_bundle_and_the_anchors_out():
    kinds = {"y": "count", "z": "semicontinuous"}
    null, oracle = ({"gini": {"y": v, "z": v}, "energy_score": {"": v}} for v in (1.0, 0.0))
    own = {"gini": {"y": 0.2, "z": 0.6}, "energy_score": {"": 0.9}}
    found = (("null", null), ("oracle", oracle), ("a", own))
    table = Scores.of([record(m, v, kinds=kinds) for m, v in found]).by_kind()
    assert table["tails"].to_dict() == pytest.approx({("count", "a"): 0.8, ("semicontinuous", "a"): 0.4})
    assert list(table.columns) == ["tails"]


def test_zeros_stand_apart_from_the_tails_of_amounts():
    null, oracle = ({"gini": v, "share_nonzero": v, "share_nonzero_cells": v} for v in (1.0, 0.0))
    own = {"gini": 0.1, "share_nonzero": 0.4, "share_nonzero_cells": 0.8}
    scores = scored(null=null, oracle=oracle, a=own)
    assert scores.by_kind().loc[("count", "a")].to_dict() == pytest.approx({"zeros": 0.4, "tails": 0.9})
    assert scores.families()["tails"].item() == pytest.approx((0.9 + 0.6 + 0.2) / 3)  # the family keeps all three


def test_by_kind_each_task_counts_alike_and_a_broken_cell_has_the_floor():
    records = []
    for task, seeds, error in (("t", 3, 0.5), ("u", 1, 0.1)):
        for seed in range(seeds):
            found = (("null", 1.0), ("oracle", 0.0), ("a", error), ("b", None if task == "u" else error))
            records += [
                record(
                    m,
                    {} if v is None else {"gini": v},
                    task=task,
                    seed=seed,
                    status="ok" if v is not None else "failed",
                )
                for m, v in found
            ]
    found = Scores.of(records).by_kind()["tails"]
    assert found["count", "a"] == pytest.approx((0.5 + 0.9) / 2)
    assert found["count", "b"] == pytest.approx((0.5 + FLOOR) / 2)


def test_without_scores_of_single_targets_there_are_no_kinds():
    scores = scored(null={"energy_score": {"": 1.0}}, a={"energy_score": {"": 0.5}})
    assert scores.by_kind().empty
    assert scores.kinds().shape == (1, 0)


def test_what_a_label_runs_is_kept():
    records = [
        record("null", {"gini": 1.0}),
        record("wide", {"gini": 0.5}, method="nearest", settings={"neighbours": 9}),
    ]
    cells = Scores.of(records).cells.set_index("method")
    assert cells["runs"].to_dict() == {"null": "null", "wide": "nearest"}
    assert cells.loc["wide", "settings"] == {"neighbours": 9}


def test_headline_is_the_mean_over_families_and_names_the_worst():
    null, oracle = {"gini": 1.0, "crps": 1.0, "c2st": 1.0}, {"gini": 0.0, "c2st": 0.0}
    scores = scored(null=null, oracle=oracle, a={"gini": 0.1, "crps": 0.6, "c2st": 0.8}, b=dict.fromkeys(null, 0.95))
    head = scores.headline()
    assert head.index.tolist() == ["a", "b"]
    assert head.loc["a", "mean"] == pytest.approx((0.9 + 0.4 + 0.2) / 3)
    assert head.loc["a", "worst"] == pytest.approx(0.2)
    assert head.loc["a", "worst family"] == "indistinguishability"


def test_in_the_headline_each_task_counts_alike_however_many_arms_and_seeds_it_has():
    records = []
    for task, arm, seed, error in [("t", "split", 0, 0.0), ("t", "split", 1, 0.2), ("t", "selected", 0, 0.5)]:
        values = {"null": 1.0, "oracle": 0.0, "a": error}
        records += [record(m, {"gini": v}, task=task, arm=arm, seed=seed) for m, v in values.items()]
    records += [record(m, {"gini": v}, task="u") for m, v in (("null", 1.0), ("oracle", 0.0), ("a", 1.0))]
    mean = Scores.of(records).headline().loc["a", "tails"]
    assert mean == pytest.approx(((0.9 + 0.5) / 2 + 0.0) / 2)


def test_a_headline_without_any_informative_place_is_blank():
    head = scored(null={"gini": 0.1}, oracle={"gini": 0.1}, a={"gini": 0.1}).headline()
    assert head.loc["a", ["tails", "mean", "worst"]].isna().all()
    assert head.loc["a", "worst family"] == ""


def test_metrics_without_any_value_are_listed_by_task():
    records = [record("null", {"gini": 1.0}), record("null", {"gini": 1.0, "crps": 1.0}, task="u")]
    undefined = Scores.of(records).undefined
    assert ("t", "crps") in undefined
    assert ("u", "crps") not in undefined
    assert len(undefined) == 2 * len(metrics()) - 3


def test_of_two_records_of_one_cell_the_later_counts():
    """A failed cell that was run again stands twice in its journal."""
    good = [record("null", {"gini": 1.0}), record("oracle", {"gini": 0.0}), record("a", {"gini": 0.5})]
    again = Scores.of([record("a", {}, status="failed"), *good])
    assert again.families()["tails"].tolist() == [0.5]
    assert again.failed.empty
    assert len(again.cells) == 3


def test_order_of_records_changes_nothing():
    records = [record(m, {"gini": v}, seed=s) for s in (0, 1) for m, v in (("null", 1.0), ("oracle", 0), ("a", 0.5))]
    pd.testing.assert_frame_equal(Scores.of(records).frame, Scores.of(records[::-1]).frame)


def test_every_known_family_keeps_its_place_and_unknown_metrics_are_left_out():
    values = dict.fromkeys(sorted(metrics(), reverse=True), 1.0) | {"a metric of old": 3.0}
    oracle = dict.fromkeys(metrics(), 0.0)
    scores = scored(null=values, oracle=oracle, a=values)
    assert tuple(scores.families().columns) == FAMILIES
    assert "a metric of old" not in set(scores.frame["metric"])


@pytest.mark.parametrize("factor", [0.5, 3.0, 1000.0])
def test_a_factor_on_all_values_of_a_metric_changes_no_informative_skill(factor):
    rng = np.random.default_rng(0)
    labels = ["null", "oracle", "a", "b"]
    rows = [
        ("t", "split", s, m, "gini", "tails", "y", v)
        for s in range(3)
        for m, v in zip(labels, rng.random(4) + np.array([9, 0, 2, 5]), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["task", "arm", "seed", "method", "metric", "family", "target", "value"])
    one, two = with_skill(frame), with_skill(frame.assign(value=frame["value"] * factor))
    assert one["informative"].all()
    assert two["informative"].all()
    np.testing.assert_allclose(one["skill"], two["skill"])


def test_the_planted_fault_a_term_instead_of_a_factor_changes_unanchored_skill():
    one = scored(null={"crps": 1.0}, oracle={}, a={"crps": 0.5})
    two = scored(null={"crps": 2.0}, oracle={}, a={"crps": 1.5})
    assert place(one, "a", "crps")["skill"] != place(two, "a", "crps")["skill"]
