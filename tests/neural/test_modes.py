"""Mode-specific normalisation: modes are found by weight, and amounts come back from them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.kinds import Kind, Table, Variable  # noqa: E402
from microimpute.neural.codec import Codec  # noqa: E402
from microimpute.neural.modes import MOST, Modes  # noqa: E402
from microimpute.neural.rows import Rows  # noqa: E402


def made(rows=3000, seed=0):
    """Two humps of which weights make one light; and losses, zeros and gains with a heap."""
    rng = np.random.default_rng(seed)
    high = rng.random(rows) < 0.5
    hump = np.where(high, 30.0, 10.0) + rng.normal(size=rows)
    side = rng.choice([-1.0, 0.0, 1.0], rows, p=[0.2, 0.3, 0.5])
    money = side * np.where(rng.random(rows) < 0.3, 1000.0, np.exp(rng.normal(7, 1, rows)))
    weight = np.where(high, 0.1, 1.0)
    Y = Table(
        (Variable("hump", Kind.CONTINUOUS), Variable("money", Kind.SEMICONTINUOUS)), np.column_stack([hump, money])
    )
    codec = Codec.fit(Y, weight, "test")
    some = Rows(np.zeros((rows, 1), np.float32), codec.encode(Y.values), codec, weight, torch.device("cpu"))
    modes = Modes(2)
    modes.fit(codec)
    return Y, codec, modes, some.batch(np.arange(rows), torch.Generator().manual_seed(seed)), high


def test_modes_are_those_of_the_weighted_distribution():
    _, _, modes, _, _ = made()
    share, centre = modes.share[0, 0].numpy(), modes.centre[0, 0].numpy()
    assert share.sum() == pytest.approx(1, abs=1e-6)
    upper = centre > (centre.max() + centre.min()) / 2
    assert share[upper & (share > 0)].sum() == pytest.approx(1 / 11, abs=0.03)  # a tenth of the weight of the other


def test_amounts_come_back_from_modes():
    _, codec, modes, batch, high = made()
    place, chosen = modes.encode(batch, codec, torch.Generator().manual_seed(1))
    assert (chosen.reshape(len(batch), 2, MOST).sum(dim=2) == batch.scored).all()
    assert float(place.abs().max()) < 1.5
    scores = modes.decode(place, chosen, codec, batch.skeleton)
    near = batch.scored.bool() & (batch.scores.abs() < 3.9)
    assert torch.allclose(scores[near], batch.scores[near], atol=2e-3)
    counts = np.array([np.bincount(chosen[:, :MOST].argmax(dim=1).numpy()[h], minlength=MOST) for h in (high, ~high)])
    assert counts.min(axis=0).sum() < 5  # but for donors at the edge of the gap, each hump has modes of its own


def test_order_is_kept_beyond_the_donors():
    _, codec, modes, batch, _ = made()
    skeleton = batch.skeleton[:1].repeat(5, 1)
    chosen = torch.zeros(5, 2 * MOST)
    chosen[:, 0] = chosen[:, MOST] = 1.0
    place = torch.tensor([-40.0, -3.0, 0.0, 3.0, 40.0])[:, None].repeat(1, 2)
    scores = modes.decode(place, chosen, codec, skeleton)
    assert torch.isfinite(scores).all()
    assert (scores.diff(dim=0) >= 0).all()
    assert (scores[-1] > scores[0]).all()


def test_modes_that_do_not_count_are_never_picked():
    _, codec, modes, batch, _ = made()
    logits = modes.possible(torch.zeros(len(batch), 2 * MOST), codec, batch.skeleton)
    for at in (0.0, 0.5, float(np.float32(1 - 1e-8))):
        picked = modes.pick(logits, torch.full((len(batch), 2), at)).reshape(-1, 2, MOST)
        assert (picked.sum(dim=2) == 1).all()
        absent = (logits < -1).reshape(-1, 2, MOST)
        assert absent.any()
        assert float((picked * absent).sum()) == 0


@pytest.mark.parametrize(
    "values", [[1.0, *range(2, 20)], np.r_[np.zeros(50), 5e9 * np.arange(1, 15)], np.arange(13) - 6]
)
def test_amounts_with_few_values_have_modes(values):
    values = np.asarray(values, dtype=float)
    codec = Codec.fit(Table((Variable("y", Kind.SEMICONTINUOUS),), values[:, None]), np.ones(len(values)), "test")
    modes = Modes(len(codec.scored))
    modes.fit(codec)
    assert all(torch.isfinite(value).all() for value in modes.state_dict().values())
    assert (modes.knots.diff(dim=2) > 0).all()
