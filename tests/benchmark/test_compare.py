"""The default against each method, and leaders by kind, on records whose answer is known."""

import numpy as np
import pytest
from made_scores import make, noisy

from microimpute import recipe
from microimpute.benchmark.compare import ALL, against, by_task, default_method, leaders, valid_methods
from microimpute.benchmark.scores import FLOOR, Scores

FEW = {"resamples": 200}


def rows(scores, method="a", **more):
    return {row["method"]: row["tracks"] for row in against(scores, method, **({"resamples": 200} | more))}


def test_the_default_is_the_one_that_impute_and_recipes_have():
    assert default_method() == recipe.ImputePart().method


def test_a_constant_difference_is_found_with_no_width_and_certainty():
    """Whatever tasks and seeds are drawn: `a` is .2 above `b`, although both vary between tasks."""
    level = {"t0": 0.5, "t1": 0.7, "t2": 0.3}
    skills = {(t, "split", s, m): v - (0.2 if m == "b" else 0) for t, v in level.items() for s in (0, 1) for m in "ab"}
    found = rows(make(skills))["b"][ALL]
    assert found["difference"] == pytest.approx(0.2)
    assert found["span"] == pytest.approx([0.2, 0.2])
    assert (found["p_better"], found["tasks"]) == (1.0, 3)
    other_way = rows(make(skills), "b")["a"][ALL]
    assert other_way["difference"] == pytest.approx(-0.2)
    assert other_way["p_better"] == 0.0


def test_probability_is_the_share_of_resamples_and_known_for_two_tasks():
    """Better by .1 on one task and worse by .3 on the other: ahead only if the first is drawn twice, 1 in 4."""
    skills = {("t", "split", 0, "a"): 0.5, ("t", "split", 0, "b"): 0.4}
    skills |= {("u", "split", 0, "a"): 0.2, ("u", "split", 0, "b"): 0.5}
    found = rows(make(skills), resamples=4000)["b"][ALL]
    assert found["difference"] == pytest.approx(-0.1)
    assert found["p_better"] == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 4000))
    assert found["span"] == pytest.approx([-0.3, 0.1])


def test_seeds_are_drawn_too():
    """One task, two seeds, +.3 and −.1: the mean of two drawn is below zero when the bad one comes twice, 1 in 4."""
    skills = {("t", "split", s, m): v for s, pair in enumerate([(0.6, 0.3), (0.3, 0.4)]) for m, v in zip("ab", pair)}  # noqa: B905
    found = rows(make(skills), resamples=4000)["b"][ALL]
    assert found["difference"] == pytest.approx(0.1)
    assert found["p_better"] == pytest.approx(0.75, abs=4 * np.sqrt(0.25 * 0.75 / 4000))


def test_equal_methods_are_never_better():
    found = rows(make({(f"t{t}", "split", 0, m): 0.5 for t in range(4) for m in "ab"}))["b"][ALL]
    assert (found["difference"], found["span"], found["p_better"]) == (0, [0, 0], 0)


def test_tracks_apart_and_together():
    """Ahead by .2 on the one task of track A, behind by .1 on the three of track B."""
    tracks = {"t": "A", "u": "B", "v": "B", "w": "B"}
    skills = {(t, "split", 0, "a"): 0.6 if tracks[t] == "A" else 0.3 for t in tracks}
    skills |= {(t, "split", 0, "b"): 0.4 for t in tracks}
    found = rows(make(skills, tracks=tracks))["b"]
    assert list(found) == [ALL, "A", "B"]
    assert {t: f["difference"] for t, f in found.items()} == pytest.approx({ALL: -0.025, "A": 0.2, "B": -0.1})
    assert {t: f["tasks"] for t, f in found.items()} == {ALL: 4, "A": 1, "B": 3}
    assert (found["A"]["p_better"], found["B"]["p_better"]) == (1.0, 0.0)


def test_what_both_ran_on_counts_and_nothing_else():
    """`b` ran on the hard task only: its mean is lower, but there it is as good."""
    skills = {("easy", "split", 0, "a"): 0.9, ("hard", "split", 0, "a"): 0.2, ("hard", "split", 0, "b"): 0.2}
    skills |= {(t, "split", 0, "c"): 0.1 for t in ("easy", "hard")}
    found = rows(make(skills))
    assert (found["b"][ALL]["difference"], found["b"][ALL]["tasks"]) == (0, 1)
    assert found["c"][ALL]["tasks"] == 2
    apart = make({("t", "split", 0, "a"): 0.2, ("u", "split", 0, "b"): 0.9})
    assert rows(apart)["b"][ALL] == {"difference": None, "span": [None, None], "p_better": None, "tasks": 0}


def test_without_gaps_the_difference_is_that_of_the_headline():
    scores = make(noisy({"a": 0.5, "b": 0.45, "c": 0.2}, noise=0.1))
    head = scores.headline()["mean"]
    for other, found in rows(scores).items():
        assert found[ALL]["difference"] == pytest.approx(head["a"] - head[other])
        low, high = found[ALL]["span"]
        assert low <= found[ALL]["difference"] <= high


def test_families_count_alike_and_a_failed_cell_costs_its_floor():
    skills = {("t", "split", 0, "a"): {"tails": 0.5, "joint": 0.3}, ("t", "split", 0, "b"): {"tails": 0.3}}
    found = rows(make(skills))["b"][ALL]  # no value in the other family: a broken cell
    assert found["difference"] == pytest.approx(((0.5 - 0.3) + (0.3 - FLOOR)) / 2)


def test_intervals_cover_as_often_as_they_say():
    hits = 0
    for number in range(20):
        rng = np.random.default_rng(number)
        skills = {}
        for t in range(12):
            level, ahead = 0.4 + 0.2 * rng.normal(), 0.1 + 0.05 * rng.normal()
            skills |= {(f"t{t:02}", "split", 0, "b"): level, (f"t{t:02}", "split", 0, "a"): level + ahead}
        low, high = rows(make(skills), resamples=60, seed=number)["b"][ALL]["span"]
        hits += low <= 0.1 <= high
        assert high - low < 0.1  # what tasks have in common is taken out
    assert hits >= 15  # percentile intervals of 12 tasks cover somewhat less than 95%


def test_the_nearest_rival_stands_first_and_a_method_that_did_not_run_has_no_table():
    scores = make({("t", "split", 0, m): v for m, v in {"a": 0.5, "b": 0.1, "c": 0.4, "d": 0.7}.items()})
    assert list(rows(scores)) == ["d", "c", "b"]
    assert against(scores, "absent", **FEW) == []
    assert against(make({("t", "split", 0, "a"): 0.5}), "a", **FEW) == []


def test_by_task_names_leader_and_worst_family():
    skills = {("t", "split", s, "a"): {"tails": 0.4, "joint": v} for s, v in enumerate((-0.3, 0.1))}
    skills |= {("t", "split", s, "b"): {"tails": 0.5, "joint": 0.3} for s in (0, 1)}
    skills |= {("u", "selected", 0, "a"): 0.2, ("v", "split", 0, "b"): 0.2}
    found = {row["task"]: row for row in by_task(make(skills, tracks={"u": "B"}), "a")}
    assert list(found) == ["t", "v", "u"]  # by track, then name
    assert found["t"] == {
        **{"track": "A", "task": "t", "arm": "split", "leader": "b", "best": pytest.approx(0.4)},
        **{"mean": pytest.approx(0.15), "worst_family": "joint", "worst": pytest.approx(-0.1)},
    }
    assert (found["u"]["leader"], found["u"]["worst"]) == ("a", pytest.approx(0.2))
    assert (found["v"]["mean"], found["v"]["worst_family"], found["v"]["worst"]) == (None, "", None)


KINDS = {"money": "semicontinuous", "class": "categorical"}
#: What is right for zeros and what for tails.
ZEROS, TAILS = "share_nonzero", "gini"


def kinds_of(skills, tasks=6, seeds=2, noise=0.0, runs=None):
    """Method → metric → target → skill, on several tasks; null 1, oracle 0."""
    rng = np.random.default_rng(0)
    records = []
    metrics = {m: list(found) for m, found in next(iter(skills.values())).items()}
    for task in range(tasks):
        for seed in range(seeds):
            same = {"track": "B", "task": f"t{task}", "arm": "split", "seed": seed, "kinds": KINDS, "code": "c"}
            same |= {"status": "ok", "reason": "", "rows": {}}
            anchors = {
                label: {m: dict.fromkeys(t, v) for m, t in metrics.items()}
                for label, v in (("null", 1.0), ("oracle", 0.0))
            }
            own = {
                label: {m: {t: 1 - s + noise * rng.normal() for t, s in f.items()} for m, f in found.items()}
                for label, found in skills.items()
            }
            for label, values in (anchors | own).items():
                records.append(same | {"label": label, "method": (runs or {}).get(label, label), "values": values})
    return Scores.of(records)


def skill(money, zeros, tails, classes):
    return {"crps": {"money": money}, ZEROS: {"money": zeros}, TAILS: {"money": tails}, "brier": {"class": classes}}


def test_each_kind_and_part_has_its_own_leader():
    scores = kinds_of({"a": skill(0.5, 0.2, 0.6, 0.1), "b": skill(0.4, 0.7, 0.3, 0.1), "c": skill(0.1, 0.1, 0.1, 0.3)})
    found = {(row["kind"], row["part"]): row for row in leaders(scores, **FEW)}
    assert {place: row["leader"] for place, row in found.items()} == {
        ("semicontinuous", "conditional"): "a",
        ("semicontinuous", "zeros"): "b",
        ("semicontinuous", "tails"): "a",
        ("categorical", "conditional"): "c",
    }
    first = found["semicontinuous", "zeros"]
    assert first["skill"] == pytest.approx(0.7)
    assert first["span"] == pytest.approx([0.7, 0.7])
    assert (first["tasks"], first["close"]) == (6, [])


def test_who_is_not_surely_worse_is_named():
    near = {"a": skill(0.5, 0.5, 0.5, 0.5), "b": skill(0.49, 0.49, 0.49, 0.49), "c": skill(0.1, 0.1, 0.1, 0.1)}
    found = leaders(kinds_of(near, noise=0.05), **FEW)
    assert all("c" not in row["close"] for row in found)
    assert any(row["close"] for row in found)
    assert all({row["leader"], *row["close"]} <= {"a", "b"} for row in found)


def test_point_predictions_lead_nothing_whatever_their_label():
    skills = {"a": skill(*[0.2] * 4), "points": skill(*[0.9] * 4)}
    scores = kinds_of(skills, runs={"points": "median"})
    assert valid_methods(scores) == ["a"]
    assert {row["leader"] for row in leaders(scores, **FEW)} == {"a"}
    assert {row["leader"] for row in by_task(scores, "a")} == {"a"}
    assert {row["leader"] for row in leaders(kinds_of(skills), **FEW)} == {"points"}  # unless it is a method that draws


def test_an_instance_that_not_all_ran_on_decides_nothing():
    """`b` ran on one task only, where all are good."""
    scores = make({("easy", "split", 0, m): {"tails": 0.9} for m in "ab"} | {("hard", "split", 0, "a"): {"tails": 0.1}})
    (row,) = leaders(scores, **FEW)
    assert (row["kind"], row["part"], row["tasks"], row["skill"]) == ("count", "tails", 1, pytest.approx(0.9))
    assert leaders(make({("t", "split", 0, "a"): {"tails": 0.9}, ("u", "split", 0, "b"): {"tails": 0.9}}), **FEW) == []
