"""The calibration: weighted shares and margins come back, rules hold, and what depends on predictors stays."""

import numpy as np
import pytest
from scipy.special import expit, logit

from microimpute.kinds import Kind, Table, Variable
from microimpute.neural.calibration import Calibration, Pick, Settle, settle
from microimpute.neural.codec import NONE, Codec
from microimpute.ties import Ties

ROWS = 6000


def donors(seed=0):
    """Wealth (zero or positive), debt (only with wealth) and a class."""
    rng = np.random.default_rng(seed)
    wealth = np.where(rng.random(ROWS) < 0.4, 0.0, np.exp(rng.normal(size=ROWS)))
    debt = np.where((wealth > 0) & (rng.random(ROWS) < 0.3), np.exp(rng.normal(size=ROWS)), 0.0)
    kind = rng.choice(3, ROWS, p=[0.7, 0.25, 0.05]).astype(float)
    variables = (
        Variable("debt", Kind.SEMICONTINUOUS),
        Variable("wealth", Kind.SEMICONTINUOUS),
        Variable("kind", Kind.CATEGORICAL, ("a", "b", "c")),
    )
    Y = Table(variables, np.column_stack([debt, wealth, kind]), Ties(requires=((0, (1,)),)))
    return Y, rng.exponential(size=ROWS)


def test_settled_chances_add_up_to_the_shares():
    rng = np.random.default_rng(1)
    logits, weight = 3 * rng.normal(size=(2000, 4)), rng.exponential(size=2000)
    share = np.array([0.9, 0.06, 0.039, 0.001])
    bias = settle(logits, weight, share)
    chances = np.exp(logits + bias)
    chances /= chances.sum(axis=1, keepdims=True)
    assert np.allclose(np.average(chances, axis=0, weights=weight), share, atol=2e-5)


def test_settled_logits_that_are_all_but_certain_stay_finite():
    logits = np.where(np.arange(100)[:, None] < 80, [400.0, 0.0], [0.0, 400.0])
    assert np.isfinite(settle(logits, np.ones(100), np.array([0.5, 0.5]))).all()


def calibrated(seed=0):
    """Settle on logits and scores that are all wrong in the mean, and follow x."""
    Y, weight = donors(seed)
    codec = Codec.fit(Y, weight, "test")
    rng = np.random.default_rng(seed + 1)
    x = rng.normal(size=ROWS)
    own = codec.encode(Y.values)

    def generate(pick, x, rng):
        logits = np.column_stack([-2 + x, x * 0, 3 - x, x * 0, 2 * x, -2 * x, x * 0]).astype(np.float32)
        pick.all(logits)
        return np.column_stack([5 + x + rng.normal(size=len(x)), 0.1 * x - 2]).astype(np.float32)

    pick = Settle(codec, own.classes, weight, lambda name: rng.random(ROWS))
    pick.values(generate(pick, x, rng))
    return Y, weight, codec, x, pick.calibration, generate


def drawn(seed=0):
    Y, weight, codec, x, calibration, generate = calibrated(seed)
    rng = np.random.default_rng(seed + 2)
    pick = Pick(codec, calibration, ROWS, lambda name: rng.random(ROWS))
    return Y, weight, codec, x, pick, pick.values(generate(pick, x, rng))


def test_weighted_shares_and_quantiles_come_back():
    Y, weight, _, _, _, got = drawn()
    kish = weight.sum() ** 2 / np.sum(weight**2)
    for target in range(3):
        for value in (0.0, 1.0, 2.0):
            truth = np.average(Y.values[:, target] == value, weights=weight)
            share = np.average(got[:, target] == value, weights=weight)
            assert abs(share - truth) < 4 * np.sqrt(truth * (1 - truth) / kish) + 1e-9
    for target in (0, 1):
        for level in (0.1, 0.5, 0.9, 0.99):
            some, own = got[:, target] > 0, Y.values[:, target] > 0
            cut = np.quantile(Y.values[own, target], level, weights=weight[own], method="inverted_cdf")
            below = np.average(got[some, target] <= cut, weights=weight[some])
            truth = np.average(Y.values[own, target] <= cut, weights=weight[own])
            assert abs(below - truth) < 4 * np.sqrt(2 * level * (1 - level) / (kish * some.mean()))


def test_rules_hold():
    _, _, _, _, pick, got = drawn()
    assert (got[got[:, 1] == 0, 0] == 0).all()
    assert (pick.classes[got[:, 1] == 0, 0] == NONE).all()
    assert 0.2 < np.mean(got[got[:, 1] > 0, 0] > 0) < 0.4


def test_what_depends_on_predictors_stays():
    _, _, _, x, _, got = drawn()
    some = got[:, 1] > 0
    assert np.corrcoef(x[some], np.argsort(np.argsort(got[some, 1])))[0, 1] > 0.9  # the score is x
    # chances had the logit x - 3; the bias moves it and leaves the slope
    chance = np.average(expit(x + logit(some.mean())) * (1 - expit(x + logit(some.mean()))))
    assert np.polyfit(x, some, 1)[0] == pytest.approx(chance, abs=4 / np.sqrt(4 * ROWS))


def test_scores_beyond_the_donors_keep_their_order():
    *_, codec, _, calibration, _ = calibrated()
    pick = Pick(codec, calibration, 4, lambda name: np.full(4, 0.5))
    pick.classes = np.tile([NONE, 1, 0], (4, 1))
    settled = pick.settle(1, np.array([-9.0, -2.0, 5.0, 9.0], dtype=np.float32))
    assert (np.diff(settled) > 0).all()
    assert np.isfinite(settled).all()


def test_state_comes_back_and_damage_is_refused():
    from microimpute.errors import MethodError

    *_, codec, _, calibration, _ = calibrated()
    again = Calibration.from_state(calibration.state(), codec)
    assert all(np.array_equal(a, b) for a, b in zip(again.curves, calibration.curves, strict=True))
    for damage in ({"bias2": np.zeros(5)}, {"curve0": np.zeros((1, 200))}, {"curve1": np.full((1, 200), np.nan)}):
        with pytest.raises(MethodError):
            Calibration.from_state(calibration.state() | damage, codec)
