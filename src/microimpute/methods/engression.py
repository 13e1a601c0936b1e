"""A small net with injected noise, trained on the energy score of the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from microimpute.methods.base import Method
from microimpute.neural.method import Neural
from microimpute.neural.settings import check_device, share, whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from microimpute.neural.calibration import Pick
    from microimpute.neural.engine import Columns, Noise, Run, Sizes
    from microimpute.neural.rows import Batch, Rows
    from microimpute.neural.training import Report

__all__ = ["Engression"]


class Engression(Neural, Method):
    """A net that turns predictors and noise into a bundle, as good as the energy score can tell.

    For each donor the net draws several bundles, each from its own noise, and is trained on the energy score:
    the mean distance of the draws from the donor's own bundle, less half their mean distance from each other.
    The score is least, in expectation, for draws from the true distribution given the predictors (Gneiting &
    Raftery 2007). It is taken of the whole bundle and, in equal parts, of each target by itself, which a
    distance in many dimensions hardly sees.

    Bundles are what `neural.codec.Codec` makes of targets: classes (for amounts: zero, loss or gain) and
    normal scores. While the net learns, a class is its chances, which the energy score drives to 0 or 1 by the
    noise. Donors come in proportion to weight; some households are held out, and the weights that do best on
    them are kept.

    Parameters
    ----------
    steps
        Most minibatches to learn from.
    width, depth
        Numbers per hidden layer, and hidden layers.
    noise
        Random numbers that the net reads.
    samples
        Bundles drawn per donor while learning.
    dropout
        Share of hidden numbers set to zero while learning.
    device
        "cpu", "cuda", or "auto": a GPU if there is one.
    """

    name = "engression"
    summary = "A small net with injected noise, trained on the energy score of the bundle."
    reference = "Shen & Meinshausen (2024), Journal of the Royal Statistical Society B 87."
    advice = (
        "With thousands of donors and smooth dependence, where few targets matter jointly. Not with a few hundred "
        "donors, nor where single donors' oddities must come through."
    )
    quick: ClassVar[Mapping[str, Any]] = {"steps": 150, "width": 64}

    def __init__(
        self,
        steps: int = 3000,
        width: int = 128,
        depth: int = 3,
        noise: int = 32,
        samples: int = 2,
        dropout: float = 0.0,
        device: str = "auto",
    ) -> None:
        whole(self.name, steps=steps, width=width, depth=depth, noise=noise, samples=samples - 1)
        share(self.name, dropout=dropout)
        check_device(self.name, device)
        self.steps = steps
        self.width = width
        self.depth = depth
        self.noise = noise
        self.samples = samples
        self.dropout = dropout
        self.device = device

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make the net: predictors and noise in, logits and scores out."""
        from microimpute.neural.nets import Residual

        outputs = sizes.skeleton + sizes.scores
        return Residual(sizes.predictors + self.noise, outputs, self.width, self.depth, self.dropout, random)

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train it; see `neural.engine.Idea`."""
        from microimpute.neural.energy import Energy
        from microimpute.neural.nets import normal, softmaxes
        from microimpute.neural.rows import bundle
        from microimpute.neural.training import Plan, train

        codec, energy = rows.codec, Energy(rows.codec)

        def loss(batch: Batch, random: torch.Generator) -> Tensor:
            x = batch.x.repeat(self.samples, 1)
            out = net(_beside(x, normal((len(x), self.noise), random)))
            drawn = bundle(codec, softmaxes(out[:, : codec.width], codec.counts), out[:, codec.width :])
            return energy(batch.skeleton, batch.scores, *drawn)

        return train(net, loss, rows, held, Plan(self.steps), random)

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw bundles; see `neural.engine.Idea`."""
        out = run(lambda x, z: net(_beside(x, z)), x, noise.normal("noise", self.noise))
        pick.all(out[:, : pick.codec.width])
        return out[:, pick.codec.width :]


def _beside(x: Tensor, z: Tensor) -> Tensor:
    import torch

    return torch.cat([x, z], dim=1)
