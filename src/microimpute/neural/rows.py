"""Donors as tensors, and minibatches of them in proportion to weight. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from microimpute.neural.codec import Codec, Coded
from microimpute.neural.nets import uniform

__all__ = ["Batch", "Lack", "Rows", "bundle", "hold_out"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: Share of donor households held out, and fewest and most held-out rows; with fewer donors none are.
SHARE, FEWEST, MOST = 0.15, 20, 3_000
#: Nearest to 0 or 1 that a share is taken before its normal score.
EDGE = 1e-7


@dataclass(frozen=True)
class Batch:
    """Some donors.

    Attributes
    ----------
    x
        float32, shape (rows, predictor columns).
    skeleton
        float32, shape (rows, codec.width): each target's class as zeros and ones, side by side; all zeros where
        a target's conditions are not met.
    scores
        float32, shape (rows, scored targets): normal scores, drawn anew within their intervals; 0 where none.
    scored
        float32, shape (rows, scored targets): 1 where there is a score.
    weight
        float32, shape (rows,).
    """

    x: Tensor
    skeleton: Tensor
    scores: Tensor
    scored: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Lack:
    """Takes predictors away at random, so that a net learns to draw without them.

    Attributes
    ----------
    share
        Share of rows that may lack any; of those, each lacks a random share of its predictors.
    owner
        int64, shape (columns,): which predictor each column is of, marks last; see `inputs.Encoder`.
    """

    share: float
    owner: IntArray

    def __call__(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Set columns of what is lacking to zero, and its marks to one."""
        owner = torch.from_numpy(self.owner).to(x.device)
        count = int(self.owner.max()) + 1
        some = uniform((len(x), 1), random) < self.share
        lacking = (some & (uniform((len(x), count), random) < uniform((len(x), 1), random)))[:, owner]
        marks = torch.arange(len(owner), device=x.device) >= len(owner) - count
        return torch.where(lacking, marks.to(x.dtype), x)


class Rows:
    """All of some donors on a device.

    Parameters
    ----------
    x
        float32, shape (rows, predictor columns).
    coded, codec
        Their targets.
    weight
        float64, shape (rows,), positive.
    device
        Where the tensors are.
    lack
        Which predictors minibatches go without; None for none.
    """

    def __init__(
        self,
        x: npt.NDArray[np.float32],
        coded: Coded,
        codec: Codec,
        weight: FloatArray,
        device: torch.device,
        lack: Lack | None = None,
    ) -> None:
        self.codec = codec
        self._lack = lack
        self.weight = weight
        self.device = device
        self._x = torch.from_numpy(x).to(device)
        self._skeleton = torch.from_numpy(codec.onehot(coded.classes)).to(device)
        self._scored = torch.from_numpy(coded.scored.astype(np.float32)).to(device)
        self._low = torch.from_numpy(coded.low.astype(np.float32)).to(device)
        self._size = torch.from_numpy((coded.high - coded.low).astype(np.float32)).to(device)
        self._weight = torch.from_numpy((weight / weight.mean()).astype(np.float32)).to(device)

    def __len__(self) -> int:
        return len(self.weight)

    def batch(self, rows: IntArray, random: torch.Generator) -> Batch:
        """Take rows; their scores are drawn from the generator."""
        at = torch.from_numpy(rows).to(self.device)
        scored = self._scored[at]
        share = self._low[at] + self._size[at] * uniform(tuple(scored.shape), random)
        scores = torch.special.ndtri(share.clamp(EDGE, 1 - EDGE)) * scored
        return Batch(self._x[at], self._skeleton[at], scores, scored, self._weight[at])

    def batches(self, size: int, random: torch.Generator) -> Iterator[Batch]:
        """Yield minibatches for ever, donors in proportion to weight.

        Each round takes as many donors as there are, systematically: a donor of k times the mean weight comes
        k times, rounded up or down at random.
        """
        share = np.cumsum(self.weight) / self.weight.sum()
        count = max(len(self), size)
        while True:
            start = float(torch.rand((), generator=random, device=random.device))
            chosen = np.minimum(np.searchsorted(share, (np.arange(count) + start) / count), len(self) - 1)
            mixed = torch.randperm(count, generator=random, device=random.device).cpu().numpy()
            for begin in range(0, count - size + 1, size):
                batch = self.batch(chosen[mixed[begin : begin + size]], random)
                yield batch if self._lack is None else replace(batch, x=self._lack(batch.x, random))


def hold_out(households: npt.NDArray[np.uint64] | None, rows: int, rng: np.random.Generator) -> BoolArray:
    """Choose donors to hold out while learning: whole households, none where donors are few.

    Parameters
    ----------
    households
        As in `Table.households`; None if every row is one.
    rows
        Number of donors.
    rng
        Chooses.

    Returns
    -------
    numpy.ndarray of bool, shape (rows,)
    """
    place = np.arange(rows) if households is None else np.unique(households, return_inverse=True)[1]
    sizes = np.bincount(place)
    order = rng.permutation(len(sizes))
    goal = min(SHARE * rows, MOST)
    kept = np.zeros(len(sizes), dtype=bool)
    kept[order[np.cumsum(sizes[order]) <= goal]] = True
    held = kept[place]
    return held if held.sum() >= FEWEST else np.zeros(rows, dtype=bool)


def bundle(codec: Codec, chances: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Make drawn chances and scores obey the rules, as `Batch.skeleton` and `Batch.scores` do; differentiable.

    Parameters
    ----------
    chances
        Shape (rows, codec.width): chances of each target's classes, or drawn zeros and ones.
    scores
        Shape (rows, scored targets).

    Returns
    -------
    chances, scores
        Of a target whose conditions are not met nothing is left; a score counts as much as its regimes do.
    """
    if not any(block.conditions for block in codec.blocks):  # without a loop over targets
        return chances, scores * (chances @ _regimes(codec).to(chances.device))
    blocks: dict[int, Tensor] = {}
    there: dict[int, Tensor] = {}
    for block in codec.blocks:
        target = block.targets[0]
        own = chances[:, codec.columns[target]]
        for any_of in block.conditions:
            absent = torch.stack([1 - there[c] for c in any_of]).prod(dim=0)
            own = own * (1 - absent)[:, None]
        blocks[target] = own
        there[target] = own[:, torch.from_numpy(codec.parts[target].nonzero).to(own.device)].sum(dim=1)
    out = torch.cat([blocks[t] for t in range(len(codec.parts))], dim=1)
    return out, scores * (out @ _regimes(codec).to(out.device))


def _regimes(codec: Codec) -> Tensor:
    """Say which classes have a score, shape (codec.width, scored targets)."""
    out = torch.zeros(codec.width, len(codec.scored))
    for column, target in enumerate(codec.scored):
        own = codec.columns[target]
        out[own.start + len(codec.parts[target].atoms) : own.stop, column] = 1.0
    return out
