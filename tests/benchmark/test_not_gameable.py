"""If any of these fails, the suite can be gamed."""

from dataclasses import replace

import numpy as np
import pytest

from microimpute.benchmark.cell import score_all
from microimpute.metrics.base import metrics


@pytest.fixture(scope="module")
def skill(cheats):
    """Mean skill, a row per contender, a column per family."""
    return cheats.families().groupby("method").mean()


def test_the_true_sampler_has_a_skill_of_about_one_in_every_family(skill):
    assert (skill.loc["sampler"] > 0.85).all(), skill.loc["sampler"]
    assert (skill.loc["sampler"] <= 1).all(), skill.loc["sampler"]


def test_the_row_shuffle_has_a_skill_of_about_nothing_in_every_family(skill):
    assert (skill.loc["shuffle"].abs() < 0.12).all(), skill.loc["shuffle"]


@pytest.mark.parametrize("single", ["mean", "median"])
def test_single_values_lose_where_distributions_count(skill, single):
    assert skill.loc[single, "indistinguishability"] < -0.2
    assert skill.loc[single, "policy"] < skill.loc["sampler", "policy"] - 0.4
    assert skill.loc[single].min() < skill.loc["shuffle"].min()


def test_independent_draws_score_below_joint_ones_in_the_joint_family(skill):
    assert skill.loc["independent", "joint"] < skill.loc["sampler", "joint"] - 0.15


def test_one_variable_at_a_time_cannot_tell_independent_draws_from_joint_ones(skill):
    """Why the joint family has to be there."""
    assert abs(skill.loc["independent", "conditional"] - skill.loc["sampler", "conditional"]) < 0.1


def test_true_margins_without_predictors_gain_nothing(skill):
    assert skill.loc["margins"].mean() < 0.1
    assert skill.loc["margins", "conditional"] < 0.1
    assert skill.loc["margins", "policy"] < 0.15


def test_doubling_all_weights_changes_nothing(bench):
    scored = bench.scored(bench.sampler(1))
    doubled = replace(scored, weight=2 * scored.weight, draw_weight=2 * scored.draw_weight)
    one, two = score_all(scored), score_all(doubled)
    for name in metrics():
        assert one[name] == pytest.approx(two[name], rel=1e-4, abs=1e-6), name


def test_a_row_twice_is_a_row_of_double_weight(bench, unrandom):
    """Pooled intervals count rows, as every survey's do, so their width is left out."""
    scored = bench.scored(bench.sampler(1)).take(np.arange(600))
    chosen = np.arange(600) % 3 == 0
    times = np.where(chosen, 2.0, 1.0)
    heavier = replace(scored, weight=scored.weight * times, draw_weight=scored.draw_weight * times)
    twice = scored.take(np.concatenate([np.arange(600), np.flatnonzero(chosen)]))
    one, two = score_all(heavier), score_all(twice)
    for name in set(unrandom) - {"coverage", "interval_width", "regression"}:
        assert one[name] == pytest.approx(two[name], rel=1e-3, abs=1e-4), name


def test_ignoring_the_weights_shows(bench):
    """The planted fault: receivers' weights set to one change the scores of an uneven sample."""
    scored = bench.scored(bench.drawn_by("shuffle", 1))
    even = replace(scored, weight=np.ones_like(scored.weight), draw_weight=np.ones_like(scored.draw_weight))
    changed = [n for n in metrics() if metrics()[n]().score(scored) != metrics()[n]().score(even)]
    assert sorted(changed) == sorted(metrics()), set(metrics()) - set(changed)
