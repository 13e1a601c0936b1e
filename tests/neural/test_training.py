"""The loop: weights count, households stay whole, the best is kept, seeds repeat, nothing outside is touched."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.kinds import Kind, Table, Variable  # noqa: E402
from microimpute.neural.codec import Codec  # noqa: E402
from microimpute.neural.device import one_thread  # noqa: E402
from microimpute.neural.nets import Residual, read, weights  # noqa: E402
from microimpute.neural.rows import FEWEST, Rows, bundle, hold_out  # noqa: E402
from microimpute.neural.training import BLIND, Plan, train  # noqa: E402
from microimpute.ties import Ties  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def alone():
    """As while fitting: one thread, which is faster for nets this small."""
    with one_thread():
        yield


def rows(count=1000, seed=0, slope=1.0, weight=None):
    """Donors whose one amount is its normal score: x times a slope, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 1)).astype(np.float32)
    y = slope * x + rng.normal(size=(count, 1))
    weight = np.ones(count) if weight is None else weight
    codec = Codec.fit(Table((Variable("y", Kind.CONTINUOUS),), y), weight, "test")
    return Rows(x, codec.encode(y), codec, weight, CPU), x, y


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def squared(net):
    return lambda batch, random: (net(batch.x) - batch.scores).square().mean(dim=1)


def slope(net):
    with torch.no_grad():
        return float(net(torch.ones(1, 1)) - net(-torch.ones(1, 1))) / 2


def test_minibatches_come_by_weight():
    weight = np.r_[np.full(300, 5.0), np.full(700, 0.1), 300.0]
    some, x, _ = rows(1001, weight=weight)
    random = seeded(1)
    batches = some.batches(77, random)
    seen = np.concatenate([next(batches).x.numpy() for _ in range(400)])
    counts = np.array([np.sum(seen == value) for value in x[:, 0]])
    share = weight / weight.sum()
    assert counts[1000] / counts.sum() == pytest.approx(share[1000], abs=0.005)
    assert counts[:300].sum() / counts.sum() == pytest.approx(share[:300].sum(), abs=0.005)


def test_scores_are_drawn_anew_within_their_interval():
    some, _, _ = rows(50)
    random = seeded(2)
    every = np.arange(50)
    first, second = some.batch(every, random).scores, some.batch(every, random).scores
    assert not torch.equal(first, second)
    assert torch.equal(first.argsort(dim=0), second.argsort(dim=0))


def test_households_are_held_out_whole():
    households = np.random.default_rng(3).integers(0, 300, 1000).astype(np.uint64)
    held = hold_out(households, 1000, np.random.default_rng(4))
    assert 0.08 < held.mean() <= 0.15
    assert not set(households[held]) & set(households[~held])
    assert not hold_out(None, 5 * FEWEST, np.random.default_rng(5)).any()
    assert hold_out(None, 8 * FEWEST, np.random.default_rng(5)).any()


def test_learning_stops_and_the_best_weights_are_kept():
    """Held-out donors have the opposite slope: every step makes it worse, so the first look is the best."""
    learnt, _, _ = rows(2000, slope=2.0)
    held, _, _ = rows(500, seed=1, slope=-2.0)
    net = Residual(1, 1, 16, 2, 0.0, seeded(6), zero=True)
    report = train(net, squared(net), learnt, held, Plan(1000, every=10, patience=3), seeded(7))
    assert report.best == 10
    assert report.steps == 40
    kept = slope(net)
    whole = train(net, squared(net), learnt, None, Plan(1000), seeded(7))
    assert whole.steps == BLIND
    assert kept < 0.5 < slope(net)


def test_held_out_donors_count_by_weight():
    """Two groups with opposite slopes: which fits decides the weight, in learning and in looking."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2000, 1)).astype(np.float32)
    first = np.arange(2000) < 1000
    y = np.where(first[:, None], 3 * x, -3 * x) + 0.1 * rng.normal(size=(2000, 1))
    weight = np.where(first, 1.0, 0.02)
    codec = Codec.fit(Table((Variable("y", Kind.CONTINUOUS),), y), weight, "test")
    some = Rows(x, codec.encode(y), codec, weight, CPU)
    net = Residual(1, 1, 16, 2, 0.0, seeded(9))
    report = train(net, squared(net), some, some, Plan(300), seeded(10))
    assert report.held_out < 0.3  # unweighted, half of the donors would be as far off as can be


def test_running_means_are_kept():
    learnt, _, _ = rows(500)
    held, _, _ = rows(200, seed=1)
    ends = []
    for average in (0.0, 0.99):
        net = Residual(1, 1, 8, 2, 0.0, seeded(11))
        train(net, squared(net), learnt, held, Plan(50, average=average), seeded(12))
        ends.append(weights(net)["net.last.weight"])
    assert not np.allclose(*ends)


def test_a_seed_repeats_and_the_worlds_own_is_left_alone():
    learnt, _, _ = rows(300)
    states = []
    for outside in (1, 2):
        torch.manual_seed(outside)
        before = torch.get_rng_state()
        random = seeded(13)
        net = Residual(1, 1, 8, 3, 0.3, random)
        train(net, squared(net), learnt, learnt, Plan(60), random)
        states.append(weights(net))
        assert torch.equal(before, torch.get_rng_state())
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_weights_of_another_net_are_refused():
    from microimpute.errors import MethodError

    net = Residual(2, 3, 8, 2, 0.0, seeded(15))
    for damage in ({"net.last.weight": np.zeros((3, 9))}, {"net.last.bias": np.full(3, np.nan)}, {"net.x": np.ones(1)}):
        with pytest.raises(MethodError):
            read(net, weights(net) | damage)


def test_drawn_bundles_obey_rules_as_donors_do():
    rng = np.random.default_rng(16)
    wealth = np.where(rng.random(400) < 0.4, 0.0, rng.exponential(size=400))
    debt = np.where((wealth > 0) & (rng.random(400) < 0.5), rng.exponential(size=400), 0.0)
    variables = (Variable("debt", Kind.SEMICONTINUOUS), Variable("wealth", Kind.SEMICONTINUOUS))
    Y = Table(variables, np.column_stack([debt, wealth]), Ties(requires=((0, (1,)),)))
    codec = Codec.fit(Y, np.ones(400), "test")
    some = Rows(np.zeros((400, 1), np.float32), codec.encode(Y.values), codec, np.ones(400), CPU)
    batch = some.batch(np.arange(400), seeded(17))
    skeleton, scores = bundle(codec, batch.skeleton, batch.scores)
    assert torch.equal(skeleton, batch.skeleton)  # donors obey already
    assert torch.equal(scores, batch.scores)
    chances = torch.tensor([[0.2, 0.8, 0.75, 0.25]])  # debt: none, some; wealth: none, some
    skeleton, scores = bundle(codec, chances, torch.tensor([[2.0, 4.0]]))
    assert torch.allclose(skeleton, torch.tensor([[0.05, 0.2, 0.75, 0.25]]))
    assert torch.allclose(scores, torch.tensor([[0.4, 1.0]]))
