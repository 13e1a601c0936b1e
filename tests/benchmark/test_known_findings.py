"""What was known before this suite must come out of it: no single metric is safe (EU-SILC, split by household)."""

import functools

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from microimpute.benchmark.cell import question
from microimpute.implicates import fit
from microimpute.keyed import RowRandom
from microimpute.methods.base import method
from microimpute.metrics.base import metric
from microimpute.tasks.base import task


@pytest.fixture(scope="module")
def households(shared):
    """Draws by four contenders, each as the suite would score it."""
    problem = task("eusilc_incomes").problem(0, "split", shared)
    fusion = problem.fusion
    fits = np.repeat(np.arange(1, 6), 4)

    def draw(name, each=4):
        out = []
        for number in range(1, 6):
            fitted = fit(fusion, method(name), number, 0)
            keys = fusion.receiver_keys
            out += [fitted.draw(fusion.receivers, RowRandom(0, number + 5 * k, keys)) for k in range(each)]
        return np.stack(out)

    many = draw("forest", 20)
    forest = many.reshape(5, 20, *many.shape[1:])[:, :4].reshape(20, *many.shape[1:])  # the first four of each fit
    means = np.broadcast_to(many.mean(axis=0), forest.shape)
    apart = np.stack([many[(np.arange(20) * 3 + 7 * j) % 100, :, j] for j in range(forest.shape[2])], axis=-1)
    drawn = {"forest": forest, "shuffle": draw("shuffle"), "mean": means, "independent": apart}
    return {name: question(problem, draws, fits, 0) for name, draws in drawn.items()}


@pytest.fixture(scope="module")
def score(households):
    """A metric's mean over targets for each contender, by the metric's name."""

    @functools.cache
    def by(name):
        return {who: float(np.mean(list(metric(name).score(s).values()))) for who, s in households.items()}

    return by


def rmse(scored):
    error = (scored.draws - scored.truth.values) ** 2
    return float(np.mean(np.sqrt(np.average(error.mean(axis=0), axis=0, weights=scored.weight))))


def wasserstein(scored):
    z, zd, w = scored.z, scored.z_draws[0], scored.weight
    return float(np.mean([wasserstein_distance(a, b, w, w) for a, b in zip(z.T, zd.T, strict=True)]))


def test_the_conditional_mean_is_first_by_rmse_and_last_by_poverty(households, score):
    by_rmse = {who: rmse(s) for who, s in households.items()}
    poverty = score("eligibility")
    assert min(by_rmse, key=by_rmse.get) == "mean"
    assert poverty["mean"] == max(poverty["mean"], poverty["forest"], poverty["independent"])
    assert score("c2st")["mean"] == max(score("c2st").values())


def test_a_shuffle_ties_with_the_best_on_margins_and_within_the_bundle(households, score):
    distance = {who: wasserstein(s) for who, s in households.items()}
    assert distance["shuffle"] < 1.5 * distance["forest"]
    assert distance["shuffle"] < 0.3 * distance["mean"]
    within = score("rank_correlation_within")
    assert within["shuffle"] < within["forest"] + 0.02
    assert within["shuffle"] < within["independent"]


def test_but_not_where_predictors_count(score):
    for name in ("crps", "energy_score", "c2st", "rank_correlation_across", "eligibility"):
        found = score(name)
        assert found["forest"] < found["shuffle"], name


def test_one_variable_at_a_time_cannot_tell_independent_draws(score):
    crps = score("crps")
    assert crps["independent"] == pytest.approx(crps["forest"], rel=0.02)
    for name in ("rank_correlation_within", "c2st", "pmse"):
        found = score(name)
        assert found["independent"] > 1.25 * found["forest"], (name, found)
