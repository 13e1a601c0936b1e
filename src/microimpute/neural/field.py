"""The net of flows and diffusions: a direction for scores at a time, given predictors and skeleton. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from microimpute.neural.engine import Sizes
from microimpute.neural.nets import Residual

__all__ = ["Field"]

#: Columns that tell the time.
TIMES = 5


class Field(nn.Module):
    """Where scores should go from where they are, as a residual perceptron that begins at zero.

    Parameters
    ----------
    sizes
        Columns.
    width, depth, dropout, random
        See `nets.Residual`.
    """

    def __init__(self, sizes: Sizes, width: int, depth: int, dropout: float, random: torch.Generator) -> None:
        super().__init__()
        inputs = sizes.scores + TIMES + sizes.predictors + sizes.skeleton
        self.net = Residual(inputs, sizes.scores, width, depth, dropout, random, zero=True)

    def forward(self, z: Tensor, time: Tensor, x: Tensor, skeleton: Tensor, scored: Tensor) -> Tensor:
        """Apply it.

        Parameters
        ----------
        z
            Scores as they are, shape (rows, scores).
        time
            From 0 to 1, shape (rows, 1).
        x, skeleton, scored
            See `rows.Batch`.

        Returns
        -------
        torch.Tensor, shape (rows, scores)
            Zero where there is no score.
        """
        angle = torch.pi * time
        waves = [time, angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos()]
        out: Tensor = self.net(torch.cat([z * scored, *waves, x, skeleton], dim=1)) * scored
        return out
