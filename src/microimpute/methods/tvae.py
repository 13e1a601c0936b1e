"""A conditional variational autoencoder of the bundle."""

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

__all__ = ["Tvae"]

#: Least and largest logarithm of the encoder's spread.
SPREAD = (-6.0, 3.0)
#: Share of the steps over which β rises from nothing.
WARM = 0.2
#: AdamW's first rate.
RATE = 2e-3


class Tvae(Neural, Method):
    """Hidden numbers and predictors make the bundle; what they leave open is noise of a learnt scale.

    A decoder learns p(bundle | predictors, z) for hidden normal numbers z: classes (for amounts: zero, loss or
    gain) from logits, then amounts' normal scores given the classes, each with a mean and a noise scale of its
    own. An encoder, which is forgotten after learning, guesses z from a donor's predictors and bundle, and both
    make the evidence lower bound large: the log chance of the donor's bundle given the guess, less β times the
    guess's divergence from the normal distribution. β rises from zero, so that the hidden numbers are put to
    use before they cost anything (Bowman et al. 2016). In a draw, z is normal, and noise is added to the mean.

    After TVAE (Xu et al. 2019), with three changes: predictors are given to encoder and decoder, so that it draws
    given them; masses at zero are classes; noise scales depend on the row. Donors come in proportion to weight.
    Some households are held out, and the weights are kept whose draws have the best energy score on them: the
    lower bound itself goes on rising while draws are no better.

    Parameters
    ----------
    steps
        Most minibatches to learn from.
    width, depth
        Numbers per hidden layer, and hidden layers, of each net.
    hidden
        Number of hidden numbers z.
    beta
        What the guess's divergence costs at last; 1 is the bound of the likelihood.
    dropout
        Share of numbers in layers set to zero while learning.
    normalisation
        "scores": amounts are normal scores. "modes": mode-specific normalisation as in the original, see
        `neural.modes.Modes`.
    device
        "cpu", "cuda", or "auto": a GPU if there is one.
    """

    name = "tvae"
    summary = "A conditional variational autoencoder: hidden numbers and predictors make the bundle."
    reference = "Xu, Skoularidou, Cuesta-Infante & Veeramachaneni (2019), NeurIPS; Sohn, Lee & Yan (2015), NeurIPS."
    advice = (
        "With thousands of donors and targets that depend on each other through a few things that predictors do not "
        "show. Not with a few hundred donors, nor where rules tie targets to one donor."
    )
    quick: ClassVar[Mapping[str, Any]] = {"steps": 150, "width": 64}
    brief: ClassVar[Mapping[str, Any]] = {"steps": 60}  # enough for a few looks at donors held out

    def __init__(
        self,
        steps: int = 3000,
        width: int = 128,
        depth: int = 2,
        hidden: int = 8,
        beta: float = 1.0,
        dropout: float = 0.1,
        normalisation: str = "scores",
        device: str = "auto",
    ) -> None:
        whole(self.name, steps=steps, width=width, depth=depth, hidden=hidden)
        share(self.name, dropout=dropout)
        check_device(self.name, device)
        positive(self.name, beta=beta)
        choice(self.name, ("scores", "modes"), normalisation=normalisation)
        self.steps = steps
        self.width = width
        self.depth = depth
        self.hidden = hidden
        self.beta = beta
        self.dropout = dropout
        self.normalisation = normalisation
        self.device = device

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make the decoder."""
        from microimpute.neural.twostep import TwoStep

        moded = self.normalisation == "modes"
        return TwoStep(sizes, self.hidden, True, moded, self.width, self.depth, self.dropout, random)

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train it together with an encoder; see `neural.engine.Idea`."""
        import torch
        from torch import nn

        from microimpute.neural.nets import Residual, normal
        from microimpute.neural.training import BLIND, Plan, train
        from microimpute.neural.twostep import energy_of_draws

        codec, decoder = rows.codec, _decoder(net)
        if decoder.modes is not None:
            decoder.modes.fit(codec)
        size = self.width, self.depth, self.dropout, random
        encoder = Residual(decoder.known, 2 * self.hidden, *size).to(rows.device)
        warm = WARM * (self.steps if held is not None else min(self.steps, BLIND))
        done = 0

        def loss(batch: Batch, random: torch.Generator) -> Tensor:
            nonlocal done
            done += 1
            place, modes = decoder.encode(batch, codec, random)
            guess = encoder(torch.cat([batch.x, batch.skeleton, place, modes], dim=1))
            mean, log = guess[:, : self.hidden], guess[:, self.hidden :].clamp(*SPREAD)
            z = mean + log.exp() * normal(tuple(mean.shape), random)
            divergence: Tensor = (mean.square() + (2 * log).exp() - 1 - 2 * log).sum(dim=1) / 2
            beta = self.beta * min(1.0, done / warm)
            return beta * divergence - _log_chance(decoder, codec, z, batch, place, modes)

        both, plan = nn.ModuleList([decoder, encoder]), Plan(self.steps, rate=RATE)
        return train(both, loss, rows, held, plan, random, look=energy_of_draws(decoder, codec))

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw hidden numbers, then classes, then amounts; see `neural.engine.Idea`."""
        return _decoder(net).generate(run, x, pick, noise)


def _decoder(net: nn.Module) -> TwoStep:
    from microimpute.neural.twostep import TwoStep

    assert isinstance(net, TwoStep)
    return net


def _log_chance(decoder: TwoStep, codec: Codec, z: Tensor, batch: Batch, place: Tensor, modes: Tensor) -> Tensor:
    """Return log p(bundle | predictors, z) up to a constant, shape (rows,)."""
    from microimpute.neural.nets import log_softmaxes

    classes = log_softmaxes(decoder.logits(batch.x, z), codec.counts)
    places, log, logits = decoder.amounts(batch.x, z, batch.skeleton, codec)
    amounts = -log - ((place - decoder.placed(places, modes)) / log.exp()).square() / 2
    out = (classes * batch.skeleton).sum(dim=1) + (amounts * batch.scored).sum(dim=1)
    if decoder.modes is not None:
        out = out + (log_softmaxes(logits, decoder.modes.counts) * modes).sum(dim=1)
    return out
