"""The training loop: minibatches by weight, held-out donors, the best weights kept. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from microimpute.neural.rows import Batch, Rows

__all__ = ["Loss", "Plan", "Report", "Tell", "Watch", "train"]

#: A loss per row of a batch, shape (rows,).
Loss = Callable[[Batch, torch.Generator], Tensor]
#: Called with the share of steps done.
Tell = Callable[[float], None]

#: Steps where no donors can be held out, and nobody can see when a net begins to learn them by heart.
BLIND = 200
#: Fewest rows that a look at held-out donors takes, each with numbers of its own.
LOOK = 1_024


@dataclass(frozen=True)
class Plan:
    """How long and how fast a net learns.

    Attributes
    ----------
    steps
        Most minibatches.
    batch
        Donors in each.
    rate, decay
        AdamW's first rate, which falls to zero along a cosine, and its weight decay.
    every, patience
        Steps between looks at held-out donors, and looks without a better one after which learning ends.
    average
        Decay of the running mean of weights that is looked at and kept; 0 for the weights themselves.
    """

    steps: int
    batch: int = 256
    rate: float = 1e-3
    decay: float = 1e-2
    every: int = 50
    patience: int = 10
    average: float = 0.0


@dataclass(frozen=True)
class Report:
    """What came of it: steps done, the step whose weights were kept, and the held-out loss then (NaN if none).

    Reports of parts that were trained one after the other add up.
    """

    steps: int
    best: int
    held_out: float

    def __add__(self, other: Report) -> Report:
        return Report(self.steps + other.steps, self.best + other.best, self.held_out + other.held_out)


class Watch:
    """Looks at held-out donors, remembers the best weights, and says when to stop.

    Parameters
    ----------
    net
        The net whose weights are kept.
    held
        Held-out donors; None where there are none: then the last weights are kept.
    loss
        What is looked at, lower is better.
    plan
        See `Plan`.
    random
        Gives each look the same numbers.
    """

    def __init__(self, net: nn.Module, held: Rows | None, loss: Loss, plan: Plan, random: torch.Generator) -> None:
        self._net, self._held, self._loss, self._plan = net, held, loss, plan
        self._seed = int(torch.randint(2**31, (1,), generator=random, device=random.device))
        self._kept: dict[str, Tensor] | None = None
        self._mean: dict[str, Tensor] | None = _copy(net) if plan.average else None
        self._done = self._best_at = 0
        self._best = math.inf
        self.steps = plan.steps if held is not None else min(plan.steps, BLIND)

    def stop(self) -> bool:
        """Take note of a step; say whether it was the last."""
        self._done += 1
        if self._mean is not None:
            keep = min(self._plan.average, (1 + self._done) / (10 + self._done))
            for name, value in self._net.state_dict().items():
                self._mean[name].lerp_(value, 1 - keep)
        last = self._done >= self.steps
        if self._held is None or not (last or self._done % self._plan.every == 0):
            return last
        found = self._look(self._held)
        if found < self._best:
            self._best, self._best_at = found, self._done
            self._kept = _copy(self._net) if self._mean is None else {n: v.clone() for n, v in self._mean.items()}
        return last or self._done - self._best_at >= self._plan.patience * self._plan.every

    def _look(self, held: Rows) -> float:
        own = _copy(self._net)
        if self._mean is not None:
            self._net.load_state_dict(self._mean)
        self._net.eval()
        random = torch.Generator(held.device).manual_seed(self._seed)
        total = weight = 0.0
        rows = torch.arange(len(held)).repeat(-(-LOOK // len(held)))
        with torch.no_grad():
            for part in torch.split(rows, 1_000):
                batch = held.batch(part.numpy(), random)
                total += float((self._loss(batch, random) * batch.weight).sum())
                weight += float(batch.weight.sum())
        self._net.load_state_dict(own)
        self._net.train()
        return total / weight

    def finish(self) -> Report:
        """Give the net the best weights."""
        kept = self._kept if self._held is not None else self._mean
        if kept is not None:
            self._net.load_state_dict(kept)
        self._net.eval()
        if self._held is None:
            return Report(self._done, self._done, math.nan)
        return Report(self._done, self._best_at, self._best)


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def train(
    net: nn.Module,
    loss: Loss,
    rows: Rows,
    held: Rows | None,
    plan: Plan,
    random: torch.Generator,
    tell: Tell | None = None,
    look: Loss | None = None,
) -> Report:
    """Let a net learn by AdamW to make a loss small.

    Parameters
    ----------
    net
        Its parameters are changed.
    loss
        A loss per row; in learning, donors come in proportion to weight, so it is a plain mean over them.
    rows, held
        Donors to learn from, and donors held out.
    plan
        See `Plan`.
    random
        For everything random.
    tell
        Called at each look with the share of steps done.
    look
        What is looked at on held-out donors; None for the loss itself.

    Returns
    -------
    Report
    """
    watch = Watch(net, held, look or loss, plan, random)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=plan.decay)
    net.train()
    if watch.steps:
        for step, batch in enumerate(rows.batches(plan.batch, random)):
            for group in optimiser.param_groups:
                group["lr"] = plan.rate * 0.5 * (1 + math.cos(math.pi * step / watch.steps))
            optimiser.zero_grad()
            loss(batch, random).mean().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            if tell is not None and step % plan.every == 0:
                tell(step / watch.steps)
            if watch.stop():
                break
    return watch.finish()
