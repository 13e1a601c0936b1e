"""Bundles in two steps: rules hold in them, and the look at held-out donors tells good draws from bad."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.kinds import Kind, Table, Variable  # noqa: E402
from microimpute.neural.codec import Codec  # noqa: E402
from microimpute.neural.rows import Rows  # noqa: E402
from microimpute.neural.twostep import TwoStep, energy_of_draws  # noqa: E402
from microimpute.ties import Ties  # noqa: E402


def made(seed=0, moded=False):
    """Donors with wealth or without, and debt only with wealth; and an unlearnt net."""
    rng = np.random.default_rng(seed)
    wealth = np.where(rng.random(800) < 0.4, 0.0, rng.exponential(size=800))
    debt = np.where((wealth > 0) & (rng.random(800) < 0.5), rng.exponential(size=800), 0.0)
    variables = tuple(Variable(n, Kind.SEMICONTINUOUS) for n in ("debt", "wealth"))
    Y = Table(variables, np.column_stack([debt, wealth]), Ties(requires=((0, (1,)),)))
    codec = Codec.fit(Y, np.ones(800), "test")
    rows = Rows(np.zeros((800, 1), np.float32), codec.encode(Y.values), codec, np.ones(800), torch.device("cpu"))
    sizes = SimpleNamespace(predictors=1, skeleton=codec.width, scores=len(codec.scored))
    return codec, rows, TwoStep(sizes, 4, True, moded, 16, 2, 0.0, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("moded", [False, True])
def test_rules_hold_while_learning(moded):
    codec, rows, net = made(moded=moded)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        skeleton, scores = net.draw(codec, rows.batch(np.arange(800), random).x, random)
    poor = skeleton[:, codec.columns[1]][:, 0] == 1
    assert 0.1 < float(poor.float().mean()) < 0.9
    assert float(skeleton[poor][:, codec.columns[0]].abs().sum()) == 0
    assert float(scores[poor].abs().sum()) == 0
    assert (skeleton[~poor][:, codec.columns[0]].sum(dim=1) == 1).all()


def test_draws_like_the_donors_look_better():
    codec, rows, net = made()
    look = energy_of_draws(net, codec)
    batch = rows.batch(np.arange(800), torch.Generator().manual_seed(2))
    with torch.no_grad():
        wrong = float(look(batch, torch.Generator().manual_seed(3)).mean())
        for layer in (net.first, net.second):
            layer.last.weight.zero_()
            layer.last.bias.zero_()
        net.first.last.bias[codec.columns[1]] = torch.tensor([0.4, 0.6]).log()
        right = float(look(batch, torch.Generator().manual_seed(3)).mean())
        net.first.last.bias[codec.columns[1]] = torch.tensor([0.95, 0.05]).log()
        poorer = float(look(batch, torch.Generator().manual_seed(3)).mean())
    assert right < wrong
    assert right < poorer - 0.05
