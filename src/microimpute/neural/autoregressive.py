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
        self.masks = place[None, :] < knows[:, None], knows[None, :] <= knows[:, None], knows[None, :] <= place[:, None]

    def forward(self, x: Tensor, skeleton: Tensor) -> Tensor:
        """Return logits, shape (rows, classes of all targets)."""
        return self._logits(self.given(x), skeleton, self._masked())

    def _masked(self) -> list[Tensor]:
        """Return the weights of the masked layers, the first one's first."""
        into, within, out = (mask.to(self.first.weight.device) for mask in self.masks)
        middle = [layer.weight * within for layer in self.hidden if isinstance(layer, Linear)]
        return [self.first.weight * into, *middle, self.last.weight * out]

    def _logits(self, given: Tensor, skeleton: Tensor, masked: list[Tensor]) -> Tensor:
        at = given + nn.functional.linear(skeleton, masked[0], self.first.bias)
        for weight, layer in zip(masked[1:-1], self.hidden, strict=True):
            at = at + nn.functional.linear(self._open(at), weight, layer.bias)  # type: ignore[arg-type]
        straight: Tensor = self.straight(self._open(given))
        return straight + nn.functional.linear(self._open(at), masked[-1], self.last.bias)

    def _open(self, at: Tensor) -> Tensor:
        opened: Tensor = self.dropout(nn.functional.silu(at))
        return opened

    def loss(self, batch: Batch, random: torch.Generator) -> Tensor:
        """Return minus the log chance of each donor's classes, shape (rows,)."""
        logs = log_softmaxes(self(batch.x, batch.skeleton), self.counts)
        return -(logs * batch.skeleton).sum(dim=1)

    def pick(self, run: Run, x: Columns, pick: Pick) -> None:
        """Draw all targets' classes, target after target."""
        codec, given = pick.codec, run(self.given, x)
        with torch.no_grad():
            masked = self._masked()
        for block in codec.blocks:
            target = block.targets[0]
            logits = np.zeros((len(x), 1), dtype=np.float32)
            if codec.counts[target] > 1:
                known = codec.onehot(pick.classes)
                logits = run(lambda g, s: self._logits(g, s, masked), given, known)[:, codec.columns[target]]
            pick(target, logits)
