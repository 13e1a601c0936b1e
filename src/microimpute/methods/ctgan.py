"""A conditional generative adversarial network of the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from microimpute.methods.base import Method
from microimpute.neural.method import Neural
from microimpute.neural.settings import check_device, choice, positive, share, whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from microimpute.neural.calibration import Pick
    from microimpute.neural.codec import Codec
    from microimpute.neural.engine import Columns, Noise, Run, Sizes
    from microimpute.neural.rows import Batch, Rows
    from microimpute.neural.training import Report
    from microimpute.neural.twostep import TwoStep

__all__ = ["Ctgan"]

#: Adam's first rates, of generator and critic; the critic has to keep up for its gap to be a distance.
RATE, CRITIC_RATE = 5e-4, 3e-3
#: Adam's means of gradients and of their squares: no momentum, since what is right changes (Gulrajani et al. 2017).
BETAS = (0.0, 0.9)
#: Part of its first rate that a rate falls to, in a line.
LAST = 0.02
#: Fewest donors in a minibatch.
BATCH = 250
#: Decay of the running mean of the generator's weights, which is what is looked at and kept.
AVERAGE = 0.99
#: Looks without a better one after which learning ends: a generator's draws go up and down.
PATIENCE = 15
#: Of the Gumbel-softmax.
TEMPERATURE = 0.5


class Ctgan(Neural, Method):
    """A generator makes bundles of predictors and noise; a critic, told the predictors too, tells them from donors.

    The generator turns predictors and hidden normal numbers into classes (for amounts: zero, loss or gain), drawn
    by Gumbel-softmax so that the critic's judgement passes through them, and these into amounts. The critic rates
    predictors and bundle together; donors and draws have the same predictors, so that all it can find is how bundles
    go with them. Its mean ratings of donors and draws are as far apart as slopes near one allow, which makes them
    the Wasserstein distance between the two; a penalty holds the slopes (Gulrajani et al. 2017).

    After CTGAN (Xu et al. 2019), with these changes: it is conditioned on all predictors as they are, not on one
    category of one of them; masses at zero are classes; donors come in proportion to weight; amounts are normal
    scores unless mode-specific normalisation is asked for. Some households are held out, and the weights are kept
    whose draws have the best energy score on them: a critic's ratings do not say when draws are good.

    Parameters
    ----------
    steps
        Most steps of the generator.
    width, depth
        Numbers per hidden layer, and hidden layers, of each net.
    hidden
        Number of hidden numbers that the generator reads.
    pack
        Rows that the critic rates together (PacGAN; Lin et al. 2018): from 2 on it sees draws that are too much
        alike. 1 scored best in the benchmark, and 10 is the original's.
    critic_steps
        Steps of the critic to each of the generator's.
    penalty
        What the squared error of the critic's slopes costs.
    dropout
        Share of numbers in the generator's layers set to zero while learning.
    normalisation
        "scores": amounts are normal scores. "modes": mode-specific normalisation as in the original, see
        `neural.modes.Modes`.
    device
        "cpu", "cuda", or "auto": a GPU if there is one.
    """

    name = "ctgan"
    summary = "A generator and a critic, both told the predictors: the critic tells donors from draws."
    reference = "Xu, Skoularidou, Cuesta-Infante & Veeramachaneni (2019), NeurIPS; Gulrajani et al. (2017), NeurIPS."
    advice = (
        "With thousands of donors, to compare with what others did with such networks. "
        "Not with a few hundred donors, nor where rules tie targets to one donor."
    )
    quick: ClassVar[Mapping[str, Any]] = {"steps": 300, "width": 64}
    brief: ClassVar[Mapping[str, Any]] = {"steps": 60}  # enough for a few looks at donors held out

    def __init__(
        self,
        steps: int = 1500,
        width: int = 128,
        depth: int = 2,
        hidden: int = 32,
        pack: int = 1,
        critic_steps: int = 2,
        penalty: float = 1.0,
        dropout: float = 0.0,
        normalisation: str = "scores",
        device: str = "auto",
    ) -> None:
        whole(self.name, steps=steps, width=width, depth=depth, hidden=hidden, pack=pack, critic_steps=critic_steps)
        positive(self.name, penalty=penalty)
        share(self.name, dropout=dropout)
        choice(self.name, ("scores", "modes"), normalisation=normalisation)
        check_device(self.name, device)
        self.steps = steps
        self.width = width
        self.depth = depth
        self.hidden = hidden
        self.pack = pack
        self.critic_steps = critic_steps
        self.penalty = penalty
        self.dropout = dropout
        self.normalisation = normalisation
        self.device = device

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make the generator."""
        from microimpute.neural.twostep import TwoStep

        moded = self.normalisation == "modes"
        return TwoStep(sizes, self.hidden, False, moded, self.width, self.depth, self.dropout, random)

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train it against a critic, which is forgotten; see `neural.engine.Idea`."""
        import torch

        from microimpute.neural.critic import Critic
        from microimpute.neural.training import Plan, Watch
        from microimpute.neural.twostep import energy_of_draws

        codec, maker = rows.codec, _generator(net)
        if maker.modes is not None:
            maker.modes.fit(codec)
        critic = Critic(maker.known, self.pack, self.width, self.depth, random).to(rows.device)
        size = -(-BATCH // self.pack) * self.pack
        plan = Plan(self.steps, size, average=AVERAGE, patience=PATIENCE)
        watch = Watch(net, held, energy_of_draws(maker, codec), plan, random)
        own = torch.optim.Adam(maker.parameters(), RATE, BETAS)
        other = torch.optim.Adam(critic.parameters(), CRITIC_RATE, BETAS)
        batches = rows.batches(size, random)
        net.train()
        for step in range(watch.steps):
            _slow(step / watch.steps, (own, RATE), (other, CRITIC_RATE))
            for _ in range(self.critic_steps):
                batch = next(batches)
                real = torch.cat([batch.x, batch.skeleton, *maker.encode(batch, codec, random)], dim=1)
                drawn = _drawn(maker, codec, batch, random)
                other.zero_grad()
                critic.loss(real, drawn.detach(), self.penalty, random).backward()  # type: ignore[no-untyped-call]
                other.step()
            own.zero_grad()
            (-critic(drawn).mean()).backward()
            own.step()
            if watch.stop():
                break
        return watch.finish()

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw classes, then amounts, from the same numbers; see `neural.engine.Idea`."""
        return _generator(net).generate(run, x, pick, noise)


def _slow(done: float, *optimisers: tuple[torch.optim.Optimizer, float]) -> None:
    for optimiser, rate in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate * max(LAST, 1 - done)


def _generator(net: nn.Module) -> TwoStep:
    from microimpute.neural.twostep import TwoStep

    assert isinstance(net, TwoStep)
    return net


def _drawn(maker: TwoStep, codec: Codec, batch: Batch, random: torch.Generator) -> Tensor:
    """Draw bundles for a batch's predictors as the critic sees them, so that gradients pass."""
    import torch

    from microimpute.neural.gumbel import through
    from microimpute.neural.modes import MOST
    from microimpute.neural.nets import normal
    from microimpute.neural.rows import bundle

    hidden = normal((len(batch), maker.hidden), random)
    chosen = through(maker.logits(batch.x, hidden), codec.counts, TEMPERATURE, random)
    skeleton, there = bundle(codec, chosen, torch.ones_like(batch.scores))
    places, _, logits = maker.amounts(batch.x, hidden, skeleton, codec)
    if maker.modes is None:
        return torch.cat([batch.x, skeleton, places * there], dim=1)
    modes = through(logits, maker.modes.counts, TEMPERATURE, random)
    kept = there.repeat_interleave(MOST, dim=1)
    return torch.cat([batch.x, skeleton, maker.placed(places, modes) * there, modes * kept], dim=1)
