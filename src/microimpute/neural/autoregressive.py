"""Skeletons class by class: a masked net whose logits for a target know the targets before it. Needs torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from microimpute.neural.calibration import Pick
from microimpute.neural.engine import Columns, Run, Sizes
from microimpute.neural.nets import Dropout, Linear, Residual, log_softmaxes
from microimpute.neural.rows import Batch

__all__ = ["Autoregressive"]


class Autoregressive(nn.Module):
    """Logits of all targets' classes in one pass, each from the predictors and the classes before it.

    A masked multi-layer perceptron (Germain et al. 2015, "MADE"): a hidden unit knows the first so many targets
    in the order of drawing, and hands on to units and logits that may know as much. What the predictors say goes
    to all units and logits unmasked, by a net of its own.

    Parameters
    ----------
    sizes
        Columns, and the order in which targets are drawn.
    width, depth
        Numbers per hidden layer, and hidden layers.
    dropout
        Share of hidden numbers set to zero while learning.
    random
        Draws the first weights, and what drops out.
    """

    def __init__(self, sizes: Sizes, width: int, depth: int, dropout: float, random: torch.Generator) -> None:
        super().__init__()
        self.counts = sizes.classes
        place = torch.cat([torch.full((n,), sizes.order.index(t)) for t, n in enumerate(sizes.classes)])
        knows = torch.arange(width) % len(sizes.order)  # how many targets a hidden unit knows
        self.given = Residual(sizes.predictors, width, width, depth, dropout, random)
        self.first = Linear(sizes.skeleton, width, random)
        self.hidden = nn.ModuleList(Linear(width, width, random) for _ in range(depth - 1))
        self.last = Linear(width, sizes.skeleton, random)
        self.straight = Linear(width, sizes.skeleton, random)
        self.dropout = Dropout(dropout, random)
        for name, mask in (
            ("into", place[None, :] < knows[:, None]),
            ("within", knows[None, :] <= knows[:, None]),
            ("out", knows[None, :] <= place[:, None]),
        ):
            self.register_buffer(name, mask.float(), persistent=False)

    def forward(self, x: Tensor, skeleton: Tensor) -> Tensor:
        """Return logits, shape (rows, classes of all targets)."""
        given = self.given(x)
        at = given + _masked(self.first, self.into, skeleton)
        for layer in self.hidden:
            at = at + _masked(layer, self.within, self.dropout(nn.functional.silu(at)))
        straight = self.straight(self.dropout(nn.functional.silu(given)))
        out: Tensor = straight + _masked(self.last, self.out, self.dropout(nn.functional.silu(at)))
        return out

    def loss(self, batch: Batch, random: torch.Generator) -> Tensor:
        """Return minus the log chance of each donor's classes, shape (rows,)."""
        logs = log_softmaxes(self(batch.x, batch.skeleton), self.counts)
        return -(logs * batch.skeleton).sum(dim=1)

    def pick(self, run: Run, x: Columns, pick: Pick) -> None:
        """Draw all targets' classes, target after target."""
        codec = pick.codec
        for block in codec.blocks:
            target = block.targets[0]
            if codec.counts[target] > 1:
                logits = run(self, x, codec.onehot(pick.classes))
                pick(target, logits[:, codec.columns[target]])
            else:
                pick(target, np.zeros((len(x), 1), dtype=np.float32))


def _masked(layer: nn.Module, mask: object, x: Tensor) -> Tensor:
    assert isinstance(layer, Linear)
    assert isinstance(mask, Tensor)
    return nn.functional.linear(x, layer.weight * mask, layer.bias)
