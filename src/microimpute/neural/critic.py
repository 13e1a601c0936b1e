"""A critic of packed bundles, held to slopes of one. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from microimpute.neural.nets import Residual, uniform

__all__ = ["Critic"]


class Critic(nn.Module):
    """Rates packs of rows: high for donors, low for draws.

    The gap between mean ratings, at its largest over critics whose slope is nowhere above 1, is the Wasserstein
    distance between donors and draws (Arjovsky, Chintala & Bottou 2017); slopes are held near 1 by a
    penalty between the two (Gulrajani et al. 2017, eq. 3). Rows are rated several at a time, so that draws that are too
    much alike are seen to be (PacGAN; Lin et al. 2018).

    Parameters
    ----------
    columns
        Numbers per row: predictors and bundle.
    pack
        Rows rated together.
    width, depth, random
        As in `nets.Residual`.
    """

    def __init__(self, columns: int, pack: int, width: int, depth: int, random: torch.Generator) -> None:
        super().__init__()
        self.pack = pack
        self.net = Residual(columns * pack, 1, width, depth, 0.0, random)

    def forward(self, rows: Tensor) -> Tensor:
        """Rate rows, shape (packs · pack, columns), those that follow each other together: shape (packs, 1)."""
        out: Tensor = self.net(rows.reshape(-1, self.pack * rows.shape[1]))
        return out

    def loss(self, real: Tensor, drawn: Tensor, penalty: float, random: torch.Generator) -> Tensor:
        """Return what the critic makes small: minus the gap of ratings, and the penalty for slopes that are not 1.

        Parameters
        ----------
        real, drawn
            Donors and draws with the same predictors, equal shapes.
        penalty
            What the squared error of slopes costs.
        random
            Says where between the two slopes are looked at.
        """
        packs = len(real) // self.pack
        part = uniform((packs, 1), random).repeat_interleave(self.pack, dim=0)
        between = (part * real + (1 - part) * drawn).requires_grad_()
        (slope,) = torch.autograd.grad(self(between).sum(), between, create_graph=True)
        steep = slope.reshape(packs, -1).norm(dim=1)
        out: Tensor = self(drawn).mean() - self(real).mean() + penalty * (steep - 1).square().mean()
        return out
