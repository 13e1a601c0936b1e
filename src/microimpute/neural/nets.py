"""Nets whose every random number comes from a generator of their own. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from microimpute.errors import MethodError

__all__ = ["Dropout", "Linear", "Residual", "log_softmaxes", "normal", "read", "softmaxes", "uniform", "weights"]

Arrays = Mapping[str, npt.NDArray[Any]]


def normal(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Draw standard normal numbers on the generator's device."""
    return torch.randn(shape, generator=random, device=random.device)


def uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Draw numbers in [0, 1) on the generator's device."""
    return torch.rand(shape, generator=random, device=random.device)


class Linear(nn.Module):
    """A linear layer that begins with uniform weights of variance 1 / (3 · inputs), as torch's own, or at zero."""

    def __init__(self, inputs: int, outputs: int, random: torch.Generator, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else max(inputs, 1) ** -0.5
        self.weight = nn.Parameter((2 * uniform((outputs, inputs), random) - 1) * bound)
        self.bias = nn.Parameter((2 * uniform((outputs,), random) - 1) * bound)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return nn.functional.linear(x, self.weight, self.bias)


class Dropout(nn.Module):
    """Set a share of the numbers to zero while learning, and raise the others so that the mean stays.

    Of several draws for the same rows, shape (draws, rows, numbers), the same drop out: otherwise they would
    differ by more than the noise that the net reads, and be too narrow once nothing drops out.
    """

    def __init__(self, share: float, random: torch.Generator) -> None:
        super().__init__()
        self.share = share
        self.random = random

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        if not self.training or self.share == 0:
            return x
        kept = torch.empty_like(x[0] if x.dim() == 3 else x).bernoulli_(1 - self.share, generator=self.random)
        return x * kept / (1 - self.share)


class Residual(nn.Module):
    """A multi-layer perceptron: a layer in, layers that each add to what they read, and a layer out.

    Parameters
    ----------
    inputs, outputs
        Numbers read and returned per row.
    width, depth
        Numbers per hidden layer, and hidden layers.
    dropout
        Share of hidden numbers set to zero while learning.
    random
        Draws the first weights, and what drops out.
    zero
        Whether the last layer begins at zero.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        depth: int,
        dropout: float,
        random: torch.Generator,
        zero: bool = False,
    ) -> None:
        super().__init__()
        self.first = Linear(inputs, width, random)
        self.hidden = nn.ModuleList(Linear(width, width, random) for _ in range(depth - 1))
        self.last = Linear(width, outputs, random, zero)
        self.dropout = Dropout(dropout, random)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to rows, shape (rows, inputs)."""
        at = self.first(x)
        for layer in self.hidden:
            at = at + layer(self.dropout(nn.functional.silu(at)))
        out: Tensor = self.last(self.dropout(nn.functional.silu(at)))
        return out


def log_softmaxes(logits: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Turn logits of several targets' classes, side by side, into logarithms of chances."""
    return torch.cat([part.log_softmax(dim=1) for part in torch.split(logits, list(counts), dim=1)], dim=1)


def softmaxes(logits: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Turn logits of several targets' classes, side by side, into chances, each target's by themselves."""
    return torch.cat([part.softmax(dim=1) for part in torch.split(logits, list(counts), dim=1)], dim=1)


def weights(net: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """Return a net's weights as arrays."""
    return {f"net.{name}": value.detach().cpu().numpy().copy() for name, value in net.state_dict().items()}


def read(net: nn.Module, arrays: Arrays) -> None:
    """Give a net the weights that `weights` returned, checking names, shapes and numbers.

    Raises
    ------
    MethodError
        If they are not this net's.
    """
    own = net.state_dict()
    saved = {name.removeprefix("net."): values for name, values in arrays.items() if name.startswith("net.")}
    for name, values in own.items():
        array = saved.get(name)
        if array is None or array.shape != tuple(values.shape) or not np.isfinite(array).all():
            raise MethodError(f"the saved weights {name!r} do not fit the net", "Save the model again.")
    if set(saved) != set(own):
        raise MethodError("the saved net has layers that this one lacks", "Save the model again.")
    net.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in saved.items()})
