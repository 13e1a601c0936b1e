"""A small net with injected noise, trained on the energy score of the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute.methods.base import Method
from microimpute.neural.method import Neural
from microimpute.neural.settings import check_device, share, whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from microimpute.neural.calibration import Pick
    from microimpute.neural.codec import Codec
    from microimpute.neural.engine import Columns, Noise, Run, Sizes
    from microimpute.neural.rows import Batch, Rows
    from microimpute.neural.training import Report

__all__ = ["Engression"]


class Engression(Neural, Method):
    """A net that turns predictors and noise into bundles, as good as the energy score can tell.

    For each donor the net draws several bundles, each from its own noise, and is trained on the energy score:
    the mean distance of the draws from the donor's own bundle, less half their mean distance from each other.
    The score is least, in expectation, for draws from the true distribution given the predictors (Gneiting &
    Raftery 2007). It is taken of the whole bundle and, in equal parts, of each target by itself.

    A distance in many dimensions hardly sees whether targets depend on each other. So targets come in blocks:
    the net is shown the blocks that were drawn before (while learning, a donor's own, up to a block at random)
    and is scored on the rest. With one block for all it is engression as published.

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
        Random numbers that the net reads for each block.
    samples
        Bundles drawn per donor while learning.
    block
        Targets drawn at a time.
    dropout
        Share of hidden numbers set to zero while learning, the same for all draws of a donor.
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
    brief: ClassVar[Mapping[str, Any]] = {"steps": 60}  # enough for a few looks at donors held out

    def __init__(
        self,
        steps: int = 3000,
        width: int = 128,
        depth: int = 3,
        noise: int = 32,
        samples: int = 2,
        block: int = 1,
        dropout: float = 0.0,
        device: str = "auto",
    ) -> None:
        whole(self.name, steps=steps, width=width, depth=depth, noise=noise, samples=samples - 1, block=block)
        share(self.name, dropout=dropout)
        check_device(self.name, device)
        self.steps = steps
        self.width = width
        self.depth = depth
        self.noise = noise
        self.samples = samples
        self.block = block
        self.dropout = dropout
        self.device = device

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make the net: predictors, what is known of the bundle and noise in, logits and scores out."""
        from microimpute.neural.nets import Residual

        outputs = sizes.skeleton + sizes.scores
        inputs = sizes.predictors + outputs + len(sizes.classes) + self.noise
        return Residual(inputs, outputs, self.width, self.depth, self.dropout, random)

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train it; see `neural.engine.Idea`."""
        import torch

        from microimpute.neural.energy import Energy
        from microimpute.neural.nets import normal, softmaxes, uniform
        from microimpute.neural.rows import bundle
        from microimpute.neural.training import Plan, train

        codec, energy = rows.codec, Energy(rows.codec)
        owner, scored = torch.from_numpy(codec.owner).to(rows.device), list(codec.scored)
        place = torch.from_numpy(self._block_of(codec)).to(rows.device)

        def loss(batch: Batch, random: torch.Generator) -> Tensor:
            before = (uniform((len(batch), 1), random) * (place.max() + 1)).floor()
            known = (place < before).float()
            skeleton, scores = batch.skeleton * known[:, owner], batch.scores * known[:, scored]
            seen = torch.cat([batch.x, skeleton, scores, known], dim=1)
            shape = self.samples, len(batch), self.noise
            out = net(torch.cat([seen.expand(self.samples, -1, -1), normal(shape, random)], dim=2)).flatten(0, 1)
            shown, rest = skeleton.repeat(self.samples, 1), 1 - known.repeat(self.samples, 1)
            chances = softmaxes(out[:, : codec.width], codec.counts) * rest[:, owner] + shown
            chances, drawn = bundle(codec, chances, out[:, codec.width :] * rest[:, scored])
            return energy(batch.skeleton, batch.scores - scores, chances, drawn)

        return train(net, loss, rows, held, Plan(self.steps, average=0.99, every=25, patience=20), random)

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw bundles, block by block; see `neural.engine.Idea`."""
        import torch

        codec, place = pick.codec, self._block_of(pick.codec)
        for number in range(int(place.max()) + 1):
            known = np.broadcast_to((place < number).astype(np.float32), (len(x), len(place)))
            drawn = codec.onehot(pick.classes), pick.normal.astype(np.float32), known
            fresh = noise.normal(f"noise {number}", self.noise)
            out = run(lambda *seen: net(torch.cat(seen, dim=1)), x, *drawn, fresh)
            for target in (b.targets[0] for b in codec.blocks if place[b.targets[0]] == number):
                pick(target, out[:, codec.columns[target]])
                if target in codec.scored:
                    column = codec.scored.index(target)
                    pick.settle(column, out[:, codec.width + column])
        return pick.normal.astype(np.float32)

    def _block_of(self, codec: Codec) -> npt.NDArray[np.int64]:
        """Say in which block each target is, shape (targets,)."""
        out = np.zeros(len(codec.parts), dtype=np.int64)
        for number, block in enumerate(codec.blocks):
            out[block.targets[0]] = number // self.block
        return out
