"""Models by kind: rare classes at constant odds."""

import numpy as np
import pytest

from microimpute.regressions import parametric
from microimpute.regressions.parametric import FEW, Classes
from microimpute.transforms import Inputs


def test_rare_classes_come_at_constant_odds_and_in_their_shares():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    y = np.where(x + rng.logistic(size=1000) > 0, 0.0, 1.0)
    y[:100] = 2 + np.arange(100) % 99  # one donor each, one of two
    model = Classes.fit(np.column_stack([np.ones(1000), x]), y, np.ones(1000), 1.0, None)
    assert model.codes[2] == 2  # the one of two donors is regressed still
    assert model.beta.shape == (100, 2)
    assert (model.beta[:2, 1] != 0).all()
    assert (model.beta[3:, 1] == 0).all()
    assert FEW == 2

    class Given(Inputs):
        def predict(self, coefficients):
            return coefficients[0] + coefficients[1] * np.resize(x[100:], self.rows)

    drawn = model.draw(Given(90_000), lambda stream: (np.random.default_rng(1).permutation(90_000) + 0.5) / 90_000)
    rare = drawn >= 2
    assert rare.mean() == pytest.approx(0.1, abs=0.02)
    counts = np.bincount(drawn[rare].astype(int), minlength=101)[3:]
    # each of 98 classes as often as another, but for chance: χ² of 97 degrees of freedom
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 97 + 4 * np.sqrt(2 * 97)


def test_odds_of_rare_classes_vary_between_posterior_draws_as_a_dirichlet():
    drawn = [parametric._constant_odds(np.array([1.0, 1.0, 2.0]), np.random.default_rng(s)) for s in range(4000)]
    first, second = 1 / (1 + np.exp(-np.array(drawn).T))
    # a share of Dirichlet(1, 1, 2) is Beta(1, 3); of what is left, the next is Beta(1, 2)
    for shares, mean, variance in ((first, 1 / 4, 3 / 80), (second, 1 / 3, 1 / 18)):
        assert shares.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 4000))
        assert shares.var() == pytest.approx(variance, rel=0.12)
    assert parametric._constant_odds(np.array([1.0, 1.0, 2.0]), None) == pytest.approx(np.log([1 / 3, 1 / 2]))
