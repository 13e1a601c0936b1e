"""Classes drawn so that gradients pass: the Gumbel-softmax. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from microimpute.neural.nets import uniform

__all__ = ["classes", "relaxed"]

#: Keeps logarithms of uniform numbers finite.
LEAST = 1e-10


def relaxed(logits: Tensor, counts: tuple[int, ...], temperature: float, random: torch.Generator) -> Tensor:
    """Draw classes as shares that are nearly zeros and ones (Jang, Gu & Poole 2017, eq. 2).

    Parameters
    ----------
    logits
        Shape (rows, classes of all targets side by side).
    counts
        Number of classes of each target.
    temperature
        Above 0; the lower, the nearer to zeros and ones.
    random
        Draws.

    Returns
    -------
    torch.Tensor, shape (rows, classes)
        Each target's add up to 1.
    """
    parts = torch.split((logits + _gumbel(logits, random)) / temperature, list(counts), dim=1)
    return torch.cat([part.softmax(dim=1) for part in parts], dim=1)


def classes(logits: Tensor, counts: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Draw classes as zeros and ones, shape (rows, classes); no gradient passes."""
    out = torch.zeros_like(logits)
    begin = 0
    for part in torch.split(logits + _gumbel(logits, random), list(counts), dim=1):
        if part.shape[1]:
            out.scatter_(1, begin + part.argmax(dim=1, keepdim=True), 1.0)
        begin += part.shape[1]
    return out


def _gumbel(logits: Tensor, random: torch.Generator) -> Tensor:
    drawn = uniform(tuple(logits.shape), random).clamp(LEAST, 1 - 1e-7)
    return -(-drawn.log()).log()
