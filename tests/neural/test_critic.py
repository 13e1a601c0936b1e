"""The critic: its gap is a distance, its slopes are held, packs show what single rows do not."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.neural.critic import Critic  # noqa: E402
from microimpute.neural.nets import normal  # noqa: E402


def learnt(draw, pack=1, steps=300, penalty=1.0, columns=2):
    """Train a critic between standard normal rows and others; return it and the gap of its ratings."""
    random = torch.Generator().manual_seed(0)
    critic = Critic(columns, pack, 32, 2, random)
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3, (0.0, 0.9))
    for _ in range(steps):
        optimiser.zero_grad()
        critic.loss(normal((240, columns), random), draw(240, random), penalty, random).backward()
        optimiser.step()
    with torch.no_grad():
        gap = critic(normal((24_000, columns), random)).mean() - critic(draw(24_000, random)).mean()
    return critic, float(gap)


def test_the_gap_is_the_wasserstein_distance():
    """Of two normal distributions that differ by a shift it is the length of the shift."""
    shift = torch.tensor([1.2, -0.9])
    critic, gap = learnt(lambda n, random: normal((n, 2), random) + shift, penalty=10.0)
    assert gap == pytest.approx(1.5 * 1.075, rel=0.1)  # a penalty λ leaves the slope at 1 + distance / 2λ
    at = normal((500, 2), torch.Generator().manual_seed(1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(at).sum(), at)
    assert float(slope.norm(dim=1).mean()) == pytest.approx(1.075, abs=0.1)


def test_draws_like_the_donors_have_no_gap():
    assert abs(learnt(lambda n, random: normal((n, 2), random))[1]) < 0.1


def test_packs_show_draws_that_are_alike():
    """Rows that come twice have the right distribution each, and only a pack shows it."""

    def doubled(n, random):
        return normal((n // 2, 1), random).repeat_interleave(2, dim=0)

    assert abs(learnt(doubled, columns=1)[1]) < 0.1
    assert learnt(doubled, pack=2, columns=1)[1] > 0.25
