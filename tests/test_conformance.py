"""Every registered method passes the conformance suite, and the suite catches planted faults."""

import numpy as np
import pytest

from microimpute import checks_of_values, testing
from microimpute.errors import MethodError
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


class ClassesAlike(Shuffle):
    """Every level of a class equally often."""

    def draw(self, X, rng):
        out = super().draw(X, rng)
        for place, variable in enumerate(self.targets):
            if variable.kind.is_class:
                out[:, place] = np.floor(rng.uniform(variable.name) * len(variable.levels))
        return out


class InvertsCovariance(Shuffle):
    """Needs more donors than targets, and variation in each."""

    def fit(self, X, Y, weight, rng):
        np.linalg.cholesky(np.atleast_2d(np.cov(Y.values, rowvar=False)))
        return super().fit(X, Y, weight, rng)


class CodesInBytes(Shuffle):
    """Keeps the codes of classes in eight bits."""

    def fit(self, X, Y, weight, rng):
        super().fit(X, Y, weight, rng)
        small = self.bundles.astype(np.int64).astype(np.int8)
        self.bundles = np.where([v.kind.is_class for v in Y.variables], small, Y.values)
        return self


class DividesBySpread(Shuffle):
    """The nearest donor by standardised predictors, a spread of zero among them."""

    def fit(self, X, Y, weight, rng):
        self.at, self.spread = X.values, X.values.std(axis=0)
        return super().fit(X, Y, weight, rng)

    def draw(self, X, rng):
        with np.errstate(all="ignore"):
            far = (((X.values[:, None] - self.at) / self.spread) ** 2).sum(axis=2)
        return self.bundles[np.argmin(far, axis=1)]


class Extrapolates(Shuffle):
    """Amounts in proportion to the first predictor."""

    def draw(self, X, rng):
        out = super().draw(X, rng)
        return np.where([v.kind.is_class for v in self.targets], out, out * np.abs(X.values[:, :1]) / 1e4)


class NegativeAmounts(Shuffle):
    """A normal residual on amounts that are never negative."""

    def draw(self, X, rng):
        out = super().draw(X, rng)
        noise = 10 * (rng.uniform("noise")[:, None] - 0.5)
        return np.where([v.kind.is_class for v in self.targets], out, out + noise)


class SquaresWeights(Shuffle):
    """Weights that count in what is learnt and again in what is drawn."""

    def fit(self, X, Y, weight, rng):
        return super().fit(X, Y, weight**2, rng)


class PassesGaps(Shuffle):
    """No amount where a predictor is missing."""

    def draw(self, X, rng):
        out = super().draw(X, rng)
        gaps = np.zeros(len(X), dtype=bool)
        for variable, values in zip(X.variables, X.values.T, strict=True):
            gaps |= (values == 1) & variable.name.endswith(" missing")
        out[gaps, 0] = np.nan
        return out


class NamesOtherDonors(Shuffle):
    """Keeps only donors with a weight and counts places among those."""

    def fit(self, X, Y, weight, rng):
        super().fit(X, Y, weight, rng)
        self.bundles, self.cumulative = self.bundles[1:], self.cumulative[1:]
        return self


class RefusesWithoutRemedy(Shuffle):
    def fit(self, X, Y, weight, rng):
        raise MethodError("there are few donors", "")


class OrderDecides(PositionKeyed):
    """Says that rows depend on each other, and lets their order matter too."""

    rowwise = False


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
        (OrderDecides, testing.chunks_do_not_matter),
        (NamesOtherDonors, testing.donors_are_told_as_drawn),
        (InvertsCovariance, testing.degenerate_targets),
        (RefusesWithoutRemedy, testing.few_donors),
        (NegativeAmounts, testing.few_donors),
        (ClassesAlike, testing.a_category_with_one_donor),
        (InvertsCovariance, testing.more_targets_than_donors),
        (CodesInBytes, testing.two_hundred_levels),
        (ClassesAlike, testing.two_hundred_levels),
        (DividesBySpread, testing.same_predictor_for_all_donors),
        (Extrapolates, testing.receivers_far_from_donors),
        (IgnoresWeights, testing.extreme_weights),
        (SquaresWeights, testing.extreme_weights),
        (PassesGaps, testing.gaps_in_predictors),
    ],
    ids=lambda x: x.__name__,
)
def test_the_suite_catches_faults(fault, check):
    with pytest.raises((AssertionError, ValueError)):
        check(fault)


@pytest.mark.parametrize(
    ("asked", "check"),
    [
        ("overlap", testing.receivers_far_from_donors),
        ("target_values", testing.infinite_and_missing_values),
        ("target_values", testing.all_missing_target),
        ("predictor_values", testing.infinite_and_missing_values),
    ],
)
def test_the_suite_notices_that_fusion_stops_asking(monkeypatch, asked, check):
    monkeypatch.setattr(checks_of_values, asked, lambda *given: ())
    with pytest.raises((AssertionError, ValueError, RuntimeWarning)):
        check(Shuffle)


def test_a_refusal_that_says_what_to_do_is_accepted():
    class Refuses(Shuffle):
        def fit(self, X, Y, weight, rng):
            raise MethodError("there are few donors", "Choose another method.")

    testing.few_donors(Refuses)
