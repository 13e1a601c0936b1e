"""Classes drawn so that gradients pass: the Gumbel-softmax. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from microimpute.neural.nets import uniform

__all__ = ["classes", "through"]

#: Keeps logarithms of uniform numbers finite.
LEAST = 1e-10


def through(logits: Tensor, counts: tuple[int, ...], temperature: float, random: torch.Generator) -> Tensor:
    """Draw classes as zeros and ones with the gradient of shares that are nearly so (Jang, Gu & Poole 2017, eq. 2).

    With shares themselves a critic would know donors by their zeros and ones.

    Parameters
    ----------
    logits
        Shape (rows, classes of all targets side by side).
    counts
        Number of classes of each target.
    temperature
        Above 0; the lower, the nearer the shares to zeros and ones.
    random
        Draws.

    Returns
    -------
    torch.Tensor, shape (rows, classes)
    """
    raised = (logits + _gumbel(logits, random)) / temperature
    owner = torch.repeat_interleave(torch.tensor(counts, dtype=torch.int64)).to(logits.device)
    nothing = raised.new_zeros(len(logits), len(counts))
    with torch.no_grad():
        top = nothing.scatter_reduce(1, owner.expand(len(logits), -1), raised, "amax", include_self=False)
        drawn = _ones(raised, counts)
    shares = (raised - top[:, owner]).exp()
    shares = shares / nothing.index_add(1, owner, shares)[:, owner]
    return drawn + shares - shares.detach()


def classes(logits: Tensor, counts: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Draw classes as zeros and ones, shape (rows, classes); no gradient passes."""
    return _ones(logits + _gumbel(logits, random), counts)


def _ones(raised: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Return 1 for each target's largest, else 0."""
    out = torch.zeros_like(raised)
    begin = 0
    for part in torch.split(raised, list(counts), dim=1):
        if part.shape[1]:
            out.scatter_(1, begin + part.argmax(dim=1, keepdim=True), 1.0)
        begin += part.shape[1]
    return out


def _gumbel(logits: Tensor, random: torch.Generator) -> Tensor:
    drawn = uniform(tuple(logits.shape), random).clamp(LEAST, 1 - 1e-7)
    return -(-drawn.log()).log()
