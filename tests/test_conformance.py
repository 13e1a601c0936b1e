"""Every registered method passes the conformance suite, and the suite catches planted faults."""

import numpy as np
import pytest

from microimpute import testing
from microimpute.methods.base import methods
from microimpute.methods.shuffle import Shuffle
from microimpute.testing import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", sorted(methods()))
def test_conformance(name, check):
    missing = methods()[name].missing()
    if missing:
        pytest.skip(f"{name} needs {', '.join(missing)}, which is not installed")
    check(methods()[name])


class IgnoresWeights(Shuffle):
    def fit(self, X, Y, weight, rng):
        return super().fit(X, Y, np.ones_like(weight), rng)


class ClaimsPredictors(Shuffle):
    uses_predictors = True


class OwnRandomness(Shuffle):
    def draw(self, X, rng):
        return self.bundles[np.random.default_rng().integers(len(self.bundles), size=len(X))]


class SharedNumber(Shuffle):
    """One random number for all rows of a chunk."""

    def draw(self, X, rng):
        place = int(rng.uniform("donor")[0] * len(self.bundles)) if len(X) else 0
        return self.bundles[np.full(len(X), place, dtype=int)]


class BreaksBundles(Shuffle):
    """Each target from a donor of its own."""

    def draw(self, X, rng):
        places = [(rng.uniform(f"donor {t}") * len(self.bundles)).astype(int) for t in range(self.bundles.shape[1])]
        return np.column_stack([self.bundles[p, t] for t, p in enumerate(places)])


class Median(Shuffle):
    """A weighted median for everybody."""

    def draw(self, X, rng):
        return np.tile(np.median(self.bundles, axis=0).round(), (len(X), 1))


class WritesWeights(Shuffle):
    def fit(self, X, Y, weight, rng):
        weight /= weight.sum()
        return super().fit(X, Y, weight, rng)


class PositionKeyed(Shuffle):
    """Depends on where a row stands in its chunk."""

    def draw(self, X, rng):
        return self.bundles[(np.arange(len(X)) * 7 + int(rng.seed) + rng.implicate) % len(self.bundles)]


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (IgnoresWeights, testing.weights_are_used_as_declared),
        (ClaimsPredictors, testing.predictors_are_used_as_declared),
        (OwnRandomness, testing.same_seed_same_draws),
        (SharedNumber, testing.chunks_do_not_matter),
        (BreaksBundles, testing.targets_are_drawn_jointly),
        (Median, testing.weights_are_used_as_declared),
        (Median, testing.same_seed_same_draws),
        (WritesWeights, testing.training_arrays_are_left_alone),
        (PositionKeyed, testing.row_order_does_not_matter),
    ],
    ids=lambda x: x.__name__,
)
def test_the_suite_catches_faults(fault, check):
    with pytest.raises((AssertionError, ValueError)):
        check(fault)
