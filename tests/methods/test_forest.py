"""The default: how targets are put into blocks, and that the draws follow the truth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microimpute import Fusion, Survey, impute, method
from microimpute.blocks import plan
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.testing import example_donor, example_receiver
from microimpute.ties import Ties


def targets(count, requires=(), together=()):
    variables = tuple(Variable(f"t{i}", Kind.CONTINUOUS) for i in range(count))
    return Table(variables, np.zeros((1, count)), Ties(tuple(requires), tuple(together)))


def positions(count):
    return st.integers(0, count - 1)


@given(st.data())
def test_every_plan_is_sound(data):
    count = data.draw(st.integers(2, 8))
    requires = data.draw(
        st.lists(
            st.tuples(positions(count), st.lists(positions(count), min_size=1, max_size=3, unique=True).map(tuple)),
            max_size=5,
        )
    )
    requires = [(t, tuple(a for a in any_of if a != t)) for t, any_of in requires]
    requires = [(t, any_of) for t, any_of in requires if any_of]
    together = data.draw(
        st.lists(st.lists(positions(count), min_size=2, max_size=3, unique=True).map(tuple), max_size=3)
    )
    size = data.draw(st.integers(1, 10))
    blocks = plan(targets(count, requires, together), size)
    assert sorted(t for b in blocks for t in b.targets) == list(range(count))
    home = {t: n for n, b in enumerate(blocks) for t in b.targets}
    for group in together:
        assert len({home[t] for t in group}) == 1
    for t, any_of in requires:
        inside = {home[a] for a in any_of} == {home[t]}
        assert inside or any_of in blocks[home[t]].conditions
        assert all(home[a] <= home[t] for a in any_of)


def test_plans():
    assert [b.targets for b in plan(targets(4), 1)] == [(0,), (1,), (2,), (3,)]
    assert [b.targets for b in plan(targets(5), 2)] == [(0, 1), (2, 3), (4,)]
    mortgage_first = plan(targets(3, requires=[(0, (2,))]), 1)
    assert [(b.targets, b.conditions) for b in mortgage_first] == [((1,), ()), ((2,), ()), ((0,), ((2,),))]
    assert [b.targets for b in plan(targets(3, requires=[(0, (2,))]), 2)] == [(0, 2), (1,)]
    circle = plan(targets(3, requires=[(0, (2,)), (2, (0,))]), 1)
    assert [b.targets for b in circle] == [(0, 2), (1,)]


@pytest.mark.parametrize("block", [1, 2, 9])
def test_edit_rules_hold_by_construction(block):
    donor = example_donor(1500)
    fusion = Fusion(
        Survey(donor, weight="weight", keys="id"),
        Survey(example_receiver(4000), keys="id"),
        targets=["debt", "trips", "wealth"],
        rules=["debt requires wealth", "debt >= 0"],
        predictors=["income", "age", "region"],
    )
    got = impute(fusion, method=method("forest", {"block": block}), m=2)
    debt, wealth = got.numbers("debt"), got.numbers("wealth")
    assert (wealth[debt != 0] != 0).all()
    expected = np.average(donor["debt"] > 0, weights=donor["weight"])
    assert abs((debt > 0).mean() - expected) < 0.06


@pytest.mark.parametrize("tail", [True, False])
def test_conditional_distribution_is_that_of_the_truth(tail):
    """Zero shares and quantiles within cells of the predictor, against a known law, not only overall."""
    rng = np.random.default_rng(0)
    n = 8000
    x = rng.uniform(0, 1, n)
    amount = np.exp(8 + 2 * x + 0.5 * rng.normal(size=n))
    y = np.where(rng.random(n) < x, amount, 0.0)
    donor, receiver = (
        pd.DataFrame({"x": x, "y": y}),
        pd.DataFrame({"x": np.repeat([0.1, 0.5, 0.9], 2000) + rng.uniform(-0.1, 0.1, 6000)}),
    )
    drawn = impute(donor, receiver, targets=["y"], method=method("forest", {"tail": tail}), m=5).numbers("y")
    for cell, at in enumerate((0.1, 0.5, 0.9)):
        values = drawn[:, 2000 * cell : 2000 * (cell + 1)].ravel()
        assert abs((values > 0).mean() - at) < 0.06  # 1,600 donors in the cell, resampled: s.e. .015
        near = np.log(y[(np.abs(x - at) < 0.1) & (y > 0)])
        error = 1.2533 * near.std() / np.sqrt(len(near))  # of a median
        assert abs(np.median(np.log(values[values > 0])) - np.median(near)) < 4 * error
    donors_own = np.isin(drawn, y)
    assert donors_own.all() != tail
    assert donors_own[drawn <= np.quantile(y, 0.95)].all()  # the tail begins where 100 effective donors are above


def test_chained_targets_keep_their_correlation():
    rng = np.random.default_rng(1)
    a = rng.normal(size=4000)
    donor = pd.DataFrame({"x": rng.normal(size=4000), "a": a, "b": 0.8 * a + 0.6 * rng.normal(size=4000)})
    got = impute(donor, donor[["x"]], targets=["a", "b"], m=1)
    assert np.corrcoef(got.numbers("a")[0], got.numbers("b")[0])[0, 1] == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    "bad", [{"trees": 0}, {"leaf": 1.5}, {"features": 0}, {"share": 2}, {"block": True}, {"features": "a"}]
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("forest", bad)


def test_totals_lead_and_are_dropped():
    """The first block is the derived totals from one donor; what comes back are the targets alone."""
    donor = example_donor(300)
    fusion = Fusion(
        donor,
        example_receiver(20),
        targets=["wealth", "debt"],
        rules=["net = wealth - debt"],
        predictors=["income"],
    )
    training = fusion.training(1)
    forest = method("forest", {"tail": False})
    fitted = forest.fit(training.X, training.Y, training.weight, np.random.default_rng(0))
    assert fitted.blocks[0].targets[0] == 0
    assert np.array_equal(fitted.chain.bundles[:, 0], training.Y.values[:, 0] - training.Y.values[:, 1])
    drawn = fitted.draw(fusion.receivers, RowRandom(0, 1, fusion.receiver_keys))
    assert drawn.shape == (20, 2)
    assert set(drawn[:, 0]) <= set(donor["wealth"])
    assert set(drawn[:, 1]) <= set(donor["debt"])


def test_the_tail_goes_beyond_the_largest_donor_and_is_nearer_the_truth():
    """Pareto donors of index 1.8: far quantiles over donor samples, by the tail and by donors' own amounts."""
    rng = np.random.default_rng(30)
    logs = {True: [], False: []}
    beyond = 0.0
    for seed in range(25):
        donor = pd.DataFrame({"x": rng.normal(size=600)})
        donor["y"] = (1 - rng.random(600)) ** (-1 / 1.8)
        receiver = pd.DataFrame({"x": rng.normal(size=20_000)})
        for tail in logs:
            done = impute(donor, receiver, targets=["y"], method=method("forest", {"tail": tail}), m=1, seed=seed)
            got = done.numbers("y")[0]
            logs[tail].append(np.log(np.quantile(got, 0.999)) - np.log(0.001) / -1.8)
            beyond += np.mean(got > donor["y"].max()) * tail / 25
    error = {tail: np.mean(np.square(e)) for tail, e in logs.items()}
    assert error[True] < error[False]  # without the tail, the planted fault: bound by the largest donor
    assert 0.3 / 600 < beyond < 3 / 600  # one in 600 receivers is larger than the largest of 600 donors


def test_a_tail_comes_back_from_its_file_and_a_damaged_one_is_refused():
    rng = np.random.default_rng(31)
    X = Table((Variable("x", Kind.CONTINUOUS),), rng.normal(size=(500, 1)))
    Y = Table((Variable("y", Kind.CONTINUOUS),), (1 - rng.random((500, 1))) ** (-1 / 1.8))
    made = method("forest", {"tail": True})
    fitted = made.fit(X, Y, np.ones(500), np.random.default_rng(0))
    numbers = RowRandom(0, 1, np.arange(500, dtype=np.uint64))
    again = made.fresh()
    again.predictors, again.targets = fitted.predictors, fitted.targets
    assert np.array_equal(again.set_state(fitted.state()).draw(X, numbers), fitted.draw(X, numbers))
    with pytest.raises(MethodError, match="tail"):
        again.set_state(fitted.state() | {"tail.0.donors": np.zeros(3)})


@pytest.mark.parametrize("bad", [{"cuts": -1}, {"cuts": 0.5}, {"predict": 1}, {"tuned": "yes"}, {"tail": None}])
def test_settings_that_cannot_be_are_refused(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("forest", bad)
