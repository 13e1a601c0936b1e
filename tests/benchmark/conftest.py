import numpy as np
import pytest

from microimpute.benchmark.cell import oracle, question, score_all
from microimpute.benchmark.scores import Scores
from microimpute.implicates import fit
from microimpute.keyed import RowRandom
from microimpute.methods.base import method
from microimpute.metrics.base import metrics
from microimpute.tasks.base import task

#: Receivers that are scored, to keep the tests short.
ROWS = 1500


class Bench:
    """Contenders that no registry knows, on the wealth simulator: what a cheat would hand in."""

    def __init__(self, seed):
        self.seed = seed
        self.problem = task("wealth_simulator").problem(seed, "split", None)
        self.rows = np.arange(ROWS)
        self.fits = np.repeat(np.arange(1, 6), 4)

    def scored(self, draws):
        return question(self.problem, draws, self.fits, self.seed).take(self.rows)

    def sampler(self, seed, draws=20):
        rng = np.random.default_rng([self.seed, seed])
        return np.stack([self.problem.sampler(rng) for _ in range(draws)])

    def drawn_by(self, name, seed):
        fusion, out = self.problem.fusion, []
        for number in range(1, 6):
            fitted = fit(fusion, method(name), number, seed)
            keys = fusion.receiver_keys
            out += [fitted.draw(fusion.receivers, RowRandom(seed, number + 5 * k, keys)) for k in range(4)]
        return np.stack(out)

    def contenders(self):
        truth, weight = self.problem.truth, self.problem.fusion.receiver.weights()
        rng = np.random.default_rng(self.seed)
        many = self.sampler(7, 40)
        classes = [v.kind.is_class for v in self.problem.fusion.training(1).Y.variables]
        middle = np.median(many, axis=0)
        mean = np.where(classes, np.round(middle), many.mean(axis=0))
        one_by_one = np.stack([self.sampler(100 + j)[:, :, j] for j in range(truth.shape[1])], axis=-1)
        shares = weight / weight.sum()
        margins = np.stack([truth[rng.choice(len(truth), len(truth), p=shares)] for _ in range(20)])
        return {
            "null": self.drawn_by("shuffle", 10_001),
            "shuffle": self.drawn_by("shuffle", 1),
            "sampler": self.sampler(1),
            "independent": one_by_one,
            "mean": np.broadcast_to(mean, (20, *mean.shape)),
            "median": np.broadcast_to(np.where(classes, np.round(middle), middle), (20, *mean.shape)),
            "margins": margins,
        }

    def records(self):
        variables = self.problem.fusion.training(1).Y.variables
        kinds = {v.name: v.kind.value for v in variables}
        same = {"task": "wealth_simulator", "arm": "split", "seed": self.seed, "track": "A", "kinds": kinds}
        same |= {"status": "ok", "reason": "", "rows": {}}
        truth = oracle(self.problem, 20, 5, self.seed).take(self.rows)
        yield same | {"label": "oracle", "values": score_all(truth)}
        for label, draws in self.contenders().items():
            yield same | {"label": label, "values": score_all(self.scored(draws))}


@pytest.fixture(scope="session")
def bench():
    return Bench(0)


@pytest.fixture(scope="session")
def cheats():
    """Scores of honest and dishonest contenders on three instances."""
    return Scores.of([record for seed in (0, 1, 2) for record in Bench(seed).records()])


@pytest.fixture(scope="session")
def unrandom():
    """Names of metrics that draw no random numbers of their own."""
    return sorted(set(metrics()) - {"c2st", "energy_distance", "pmse"})
