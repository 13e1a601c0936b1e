"""Who is declared better, on scores whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from made_scores import make, noisy

from microimpute.benchmark.ranking import ENOUGH, interval, rank


@pytest.fixture(scope="module")
def clear():
    return rank(make(noisy({"a": 0.7, "b": 0.4, "c": 0.1})), resamples=200)


@pytest.fixture(scope="module")
def mixed():
    return rank(make(noisy({"a": 0.41, "b": 0.4, "c": 0.39}, noise=0.1)), resamples=200)


def test_a_clear_winner_is_declared(clear):
    assert clear.winner == "a"
    assert clear.why == "a is best with probability 1.00, and without any one task."
    assert clear.table.index.tolist() == ["a", "b", "c"]
    assert clear.table["mean_rank"].tolist() == [1, 2, 3]
    assert clear.table[["best_without", "worst_without"]].to_numpy().tolist() == [[1, 1], [2, 2], [3, 3]]


def test_equal_methods_are_not_separated(mixed):
    assert mixed.winner is None
    assert mixed.why.startswith("The data do not separate the methods: ")
    assert mixed.table["p_best"].max() < 0.95


def test_methods_that_are_the_same_share_the_first_place():
    found = rank(make({(f"t{t}", "split", 0, m): 0.5 for t in range(6) for m in "ab"}), resamples=50)
    assert found.winner is None
    assert found.table["p_best"].tolist() == [0.5, 0.5]
    assert found.table["mean_rank"].tolist() == [1.5, 1.5]
    assert found.better.loc["a", "b"] == found.better.loc["b", "a"] == 0


def test_a_winner_that_hangs_on_one_task_is_not_declared_and_the_task_is_named():
    """`a` is five ranks above `b` on task0; elsewhere it is one rank above three times, and one below once."""
    places = [[0, 5, 1, 2, 3, 4], *[[0, 1, 2, 3, 4, 5]] * 3, [1, 0, 2, 3, 4, 5]]
    skills = {
        (f"task{t}", "split", 0, m): 0.8 - 0.1 * p
        for t, row in enumerate(places)
        for m, p in zip("abcdef", row, strict=True)
    }
    whole = rank(make(skills), resamples=1000)
    assert whole.table.loc["a", "p_best"] >= 0.95  # sure of itself as long as task0 is there
    assert whole.winner is None
    assert whole.why == "The data do not separate the methods: without task0, a is not surely best."


@pytest.mark.parametrize(
    ("tasks", "said"), [(1, "One task is"), (2, "2 tasks are"), (ENOUGH - 1, f"{ENOUGH - 1} tasks are")]
)
def test_too_few_tasks_declare_nobody(tasks, said):
    found = rank(make(noisy({"a": 0.9, "b": 0.1}, tasks=tasks)), resamples=50)
    assert found.winner is None
    assert found.why == f"{said} too few to declare a winner; it takes {ENOUGH}."
    assert rank(make(noisy({"a": 0.9, "b": 0.1}, tasks=ENOUGH)), resamples=50).winner == "a"


def test_one_method_wins_nothing():
    found = rank(make(noisy({"a": 0.9})), resamples=50)
    assert (found.winner, found.why) == (None, "There is only one method.")


def test_probabilities_of_being_best_add_up_to_one(clear, mixed):
    for found in (clear, mixed):
        assert found.table["p_best"].sum() == pytest.approx(1)
        assert found.table["p_best"].between(0, 1).all()


def test_better_than_is_antisymmetric_up_to_ties(clear, mixed):
    for found in (clear, mixed):
        both = found.better.to_numpy() + found.better.to_numpy().T
        assert (np.diag(both) == 0).all()
        assert (both <= 1 + 1e-12).all()
    assert clear.better.loc["a", "c"] == 1
    assert clear.better.loc["c", "a"] == 0


def test_intervals_of_ranks_hold_the_mean_rank(clear, mixed):
    for found in (clear, mixed):
        assert (found.table["low"] <= found.table["mean_rank"]).all()
        assert (found.table["mean_rank"] <= found.table["high"]).all()
    assert (mixed.table["high"] > mixed.table["low"]).all()


def test_the_same_seed_gives_the_same_ranking(mixed):
    scores = make(noisy({"a": 0.41, "b": 0.4, "c": 0.39}, noise=0.1))
    again, other = rank(scores, resamples=200), rank(scores, resamples=200, seed=1)
    pd.testing.assert_frame_equal(mixed.table, again.table)
    pd.testing.assert_frame_equal(mixed.better, again.better)
    assert not other.better.equals(again.better)


def test_ranks_are_of_tasks_so_that_arms_and_seeds_do_not_outvote_them():
    skills = {
        ("t", arm, s, m): v for arm in ("split", "selected") for s in range(4) for m, v in (("a", 0.9), ("b", 0.1))
    }
    skills |= {(t, "split", 0, m): v for t in "uv" for m, v in (("a", 0.1), ("b", 0.9))}
    table = rank(make(skills), resamples=50).table["mean_rank"]
    assert table.to_dict() == pytest.approx({"b": 4 / 3, "a": 5 / 3})


def test_instances_that_not_all_methods_ran_on_are_left_out():
    skills = noisy({"a": 0.7, "b": 0.4})
    more = skills | {("other", "split", 0, "a"): 0.0}
    one, two = rank(make(skills), resamples=100), rank(make(more), resamples=100)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert two.winner == "a"


def test_methods_without_a_common_instance_are_equal():
    found = rank(make({("t", "split", 0, "a"): 0.9, ("u", "split", 0, "b"): 0.1}), resamples=20)
    assert found.winner is None
    assert found.table["p_best"].tolist() == [0.5, 0.5]


def test_intervals_of_skill_cover_as_often_as_they_say():
    """Skills of tasks are draws from a population whose mean is 0.4."""
    hits = 0
    for number in range(30):
        rng = np.random.default_rng(number)
        skills = {(f"t{t:02}", "split", 0, "a"): 0.4 + 0.1 * rng.normal() for t in range(12)}
        low, high = interval(make(skills), resamples=100, seed=number)["mean"].loc["a"]
        hits += low <= 0.4 <= high
    assert hits >= 24  # percentile intervals of 12 draws cover somewhat less than 95%


def test_intervals_hold_what_the_headline_says():
    rng = np.random.default_rng(1)
    skills = {("t", arm, s, "a"): 0.8 + 0.01 * rng.normal() for arm in ("split", "selected") for s in range(2)}
    skills |= {("u", "split", 0, "a"): 0.2, ("v", "split", 0, "a"): {"tails": 0.5}}
    scores = make(skills)
    head, spans = scores.headline().loc["a"], interval(scores, resamples=200)
    assert set(spans) == {"joint", "tails", "mean"}
    for name, span in spans.items():
        low, high = span.loc["a"]
        assert low <= head[name] <= high
        assert high - low > 0.1


def test_a_family_that_one_task_has_gets_no_zeros_where_that_task_is_not_drawn():
    skills = {(f"t{t}", "split", 0, "a"): {"tails": 0.5} for t in range(5)} | {("u", "split", 0, "a"): 0.6}
    low, high = interval(make(skills), resamples=200)["joint"].loc["a"]
    assert (low, high) == pytest.approx((0.6, 0.6))


def test_with_one_instance_intervals_are_points():
    span = interval(make({("t", "split", 0, "a"): 0.3}), resamples=20)
    assert span["mean"].loc["a"].tolist() == pytest.approx([0.3, 0.3])
