"""Bundles in two steps from hidden numbers: all classes at once, then all amounts given the classes. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from microimpute.neural.codec import Codec
from microimpute.neural.energy import Energy
from microimpute.neural.engine import Sizes
from microimpute.neural.gumbel import classes
from microimpute.neural.nets import Residual, normal
from microimpute.neural.rows import Batch, bundle
from microimpute.neural.training import Loss

__all__ = ["Finish", "TwoStep", "energy_of_draws"]

#: Turns what the second net returns into scores, shape (rows, scored targets), with random numbers if it needs any.
Finish = Callable[[Tensor, torch.Generator], Tensor]


class TwoStep(nn.Module):
    """A net for the classes and a net for the amounts, both told the predictors and the same hidden numbers.

    Given the predictors, classes depend on each other through the hidden numbers alone; amounts depend on each
    other through these and the classes.

    Parameters
    ----------
    sizes
        Columns.
    hidden
        Number of hidden numbers.
    columns
        Numbers that the second net returns per scored target.
    width, depth, dropout, random
        As in `nets.Residual`, of both nets.

    Attributes
    ----------
    predictors, hidden
        Number of predictor columns, and of hidden numbers.
    """

    def __init__(
        self, sizes: Sizes, hidden: int, columns: int, width: int, depth: int, dropout: float, random: torch.Generator
    ) -> None:
        super().__init__()
        self.predictors = sizes.predictors
        self.hidden = hidden
        inputs = sizes.predictors + hidden
        self.first = Residual(inputs, sizes.skeleton, width, depth, dropout, random)
        self.second = Residual(inputs + sizes.skeleton, columns * sizes.scores, width, depth, dropout, random)

    def logits(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return logits of the classes, shape (rows, classes of all targets)."""
        out: Tensor = self.first(torch.cat([x, hidden], dim=1))
        return out

    def amounts(self, x: Tensor, hidden: Tensor, skeleton: Tensor) -> Tensor:
        """Return what amounts are made of given classes, shape (rows, columns · scored targets)."""
        out: Tensor = self.second(torch.cat([x, hidden, skeleton], dim=1))
        return out

    def draw(self, codec: Codec, x: Tensor, finish: Finish, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw bundles while learning, as `rows.bundle` returns them; no gradient passes the classes."""
        hidden = normal((len(x), self.hidden), random)
        drawn = classes(self.logits(x, hidden), codec.counts, random)
        skeleton, _ = bundle(codec, drawn, x.new_zeros(len(x), len(codec.scored)))
        return bundle(codec, skeleton, finish(self.amounts(x, hidden, skeleton), random))


def energy_of_draws(net: TwoStep, codec: Codec, finish: Finish) -> Loss:
    """Return what held-out donors are looked at by: the energy score of two bundles drawn for each."""
    energy = Energy(codec)

    def look(batch: Batch, random: torch.Generator) -> Tensor:
        return energy(batch.skeleton, batch.scores, *net.draw(codec, batch.x.repeat(2, 1), finish, random))

    return look
