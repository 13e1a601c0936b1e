"""Audits of privacy against brute force, and what copies and honest draws look like."""

import numpy as np
import pytest

from microimpute.kinds import Kind
from microimpute.metrics import privacy
from microimpute.metrics.base import audits, metrics


def run(scored, draw, n=600, predictors=1, **more):
    """Three halves of one population: receivers, donors, and what `draw` makes of the donors' targets."""
    rng = np.random.default_rng(7)
    y, donors, fresh = rng.lognormal(size=(3, n, 3))
    x, donor_x = rng.normal(size=(2, n, predictors))
    return scored(y, draw(rng, donors, fresh), x, donor_x=donor_x, donor_y=donors, **more)


def copies(rng, donors, fresh):
    return donors[rng.integers(0, len(donors), (2, len(donors)))]


def honest(rng, donors, fresh):
    return np.stack([fresh, fresh[::-1]])


def test_all_are_found_and_none_is_a_score():
    for name in privacy.__all__:
        cls = getattr(privacy, name)
        assert audits()[cls.name] is cls
        assert cls.name not in metrics()
        assert cls.summary


def test_copy_rate(scored):
    assert privacy.CopyRate().measure(run(scored, copies)) == {"share": 1}
    assert privacy.CopyRate().measure(run(scored, honest)) == {"share": 0}
    half = run(scored, lambda rng, donors, fresh: np.stack([donors, fresh]))
    assert privacy.CopyRate().measure(half) == {"share": 0.5}


def test_a_copy_is_of_the_whole_bundle_and_zeros_have_no_sign(scored):
    donors = np.array([[1.0, 2.0], [3.0, 0.0]])
    draws = [[[1.0, 0.0], [3.0, -0.0]]]
    assert privacy.CopyRate().measure(scored(donors, draws)) == {"share": 0.5}


def test_donor_reuse(scored):
    donors = np.array([1.0, 2, 3, 3, 3, 9])
    draws = np.array([[1.0, 1, 1, 2, 3, 3], [3.0, 3, 3, 3, 8, 8]])
    # draw 1: 1 thrice, 2 once, two of the three 3s once each; draw 2: four uses of three donors
    want = {"mean": (6 / 4 + 4 / 3) / 2, "max": 3}
    assert privacy.DonorReuse().measure(scored(np.arange(6.0), draws, donor_y=donors)) == pytest.approx(want)
    assert privacy.DonorReuse().measure(run(scored, honest)) == {}
    once = run(scored, lambda rng, donors, fresh: donors[None])
    assert privacy.DonorReuse().measure(once) == {"mean": 1, "max": 1}


def test_closest_record_is_half_for_honest_draws_and_large_for_copies(scored):
    closest = privacy.ClosestRecord()
    assert closest.measure(run(scored, honest, n=2000))["share"] == pytest.approx(0.5, abs=0.05)
    assert closest.measure(run(scored, copies, predictors=0))["share"] > 0.99  # one of 600 donors is left out
    assert closest.measure(run(scored, copies))["share"] > 0.53  # as much is left when X is that of strangers


def test_closest_record_counts_ties_half(scored):
    rng = np.random.default_rng(1)
    y, d = rng.integers(0, 2, (2, 300)) * 1.0
    assert privacy.ClosestRecord().measure(scored(y, [d], donor_y=y[::-1]))["share"] == 0.5


def test_a_draw_is_not_compared_with_its_own_truth(scored):
    """Draws equal to the truth are honest: excluded own rows leave them as near to donors as to others."""
    own = run(scored, lambda rng, donors, fresh: fresh[None], n=1500)
    own = scored(own.truth.values, own.truth.values[None], own.X.values, donor_x=own.donor_x.values,
                 donor_y=own.donor_y.values)  # fmt: skip
    assert privacy.ClosestRecord().measure(own)["share"] == pytest.approx(0.5, abs=0.05)
    figures = privacy.MembershipInference().measure(own)
    assert figures["low"] - 0.02 < 0.5 < figures["high"] + 0.02


def test_membership(scored):
    attack = privacy.MembershipInference()
    figures = attack.measure(run(scored, honest, n=2000))
    assert figures["low"] < 0.5 < figures["high"]
    assert attack.measure(run(scored, copies, predictors=0))["low"] > 0.7
    assert attack.measure(run(scored, copies))["low"] > 0.5


def test_nearest_against_scipy():
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(2)
    at, among = rng.normal(size=(450, 4)), rng.normal(size=(301, 4))
    assert privacy._nearest(at, among) == pytest.approx(cKDTree(among).query(at)[0])
    rows = np.arange(301)
    assert privacy._nearest(among, among, rows[:, None], rows) == pytest.approx(cKDTree(among).query(among, 2)[0][:, 1])
    assert (privacy._nearest(among, among) == 0).all()


def test_delong_against_scikit_learn_and_the_bootstrap():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    donors, truth = np.round(rng.normal(0, 1, 300), 1), np.round(rng.normal(0.7, 1, 200), 1)
    area, error = privacy._delong(donors, truth)
    label = np.r_[np.ones(300), np.zeros(200)]
    assert area == pytest.approx(roc_auc_score(label, -np.r_[donors, truth]))
    again = [privacy._delong(rng.choice(donors, 300), rng.choice(truth, 200))[0] for _ in range(400)]
    assert error == pytest.approx(np.std(again), rel=0.15)


def test_classes_and_too_few_rows(scored):
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, (3, 50, 1)) * 1.0
    classes = scored(y[0], y[1:], y[0], kinds=(Kind.CATEGORICAL,), x_kinds=(Kind.CATEGORICAL,), donor_y=y[1])
    tiny = scored(np.ones(1), np.ones((1, 1)), donor_y=np.ones(1))
    for name in privacy.__all__:
        audit = getattr(privacy, name)()
        assert all(np.isfinite(v) for v in audit.measure(classes).values())
        assert all(np.isfinite(v) for v in audit.measure(tiny).values())


def test_same_seed_same_figures(scored):
    one, two = run(scored, honest, n=2500, seed=1), run(scored, honest, n=2500, seed=2)
    for cls in (privacy.ClosestRecord, privacy.MembershipInference):
        assert cls().measure(one) == cls().measure(one)
        assert cls().measure(one) != cls().measure(two)
