"""The energy score of drawn bundles. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from microimpute.neural.codec import Codec

__all__ = ["Energy"]

#: Added under roots, so that two equal bundles have a gradient.
SMALL = 1e-6


class Energy:
    """The energy score of the whole bundle and of each target, in equal parts (Gneiting & Raftery 2007, eq. 22).

    Distances are Euclidean over classes (zeros and ones) and scores. The bundle's is divided by the root of the
    number of targets, so that both parts are of one size.

    Parameters
    ----------
    codec
        Says which columns are whose.
    """

    def __init__(self, codec: Codec) -> None:
        owner = torch.zeros(codec.width + len(codec.scored), len(codec.parts))
        for target, columns in enumerate(codec.columns):
            owner[columns, target] = 1.0
        for column, target in enumerate(codec.scored):
            owner[codec.width + column, target] = 1.0
        self._owner = owner

    def __call__(self, skeleton: Tensor, scores: Tensor, drawn_skeleton: Tensor, drawn_scores: Tensor) -> Tensor:
        """Score draws.

        Parameters
        ----------
        skeleton, scores
            The truth, shapes (rows, classes) and (rows, scored targets).
        drawn_skeleton, drawn_scores
            The draws of all rows, then again of all rows, and so on: shapes (draws · rows, …), two draws or more.

        Returns
        -------
        torch.Tensor, shape (rows,)
        """
        owner = self._owner.to(scores.device)
        truth = torch.cat([skeleton, scores], dim=1)
        draws = torch.cat([drawn_skeleton, drawn_scores], dim=1).reshape(-1, *truth.shape)
        count = len(draws)
        near = sum((_distances(d - truth, owner) for d in draws), torch.zeros(()).to(scores.device)) / count
        apart = [_distances(draws[i] - draws[j], owner) for i in range(count) for j in range(i)]
        return near - sum(apart, torch.zeros(()).to(scores.device)) / (count * (count - 1))


def _distances(gap: Tensor, owner: Tensor) -> Tensor:
    own = gap.square() @ owner
    each = (own + SMALL).sqrt().mean(dim=1)
    whole = (own.mean(dim=1) + SMALL).sqrt()
    return each + whole
