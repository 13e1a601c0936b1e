"""What fits and draws with a neural method's own idea. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from torch import nn

from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable
from microimpute.neural.calibration import Calibration, Pick, Settle
from microimpute.neural.codec import Codec
from microimpute.neural.device import blockwise, choose, one_thread
from microimpute.neural.inputs import Encoder
from microimpute.neural.nets import read, weights
from microimpute.neural.rows import Lack, Rows, hold_out
from microimpute.neural.training import Report

__all__ = ["Engine", "Idea", "Noise", "Run", "Sizes"]

FloatArray = npt.NDArray[np.float64]
Columns = npt.NDArray[np.float32]

#: Fewest rows on which the calibration is learnt: donors are drawn for several times until there are so many.
ROWS = 8_000


@dataclass(frozen=True)
class Sizes:
    """What a net's size depends on.

    Attributes
    ----------
    predictors
        Predictor columns.
    classes
        Each target's number of classes.
    scores
        Number of targets that have a score.
    order
        Positions of the targets in the order in which they are drawn.
    """

    predictors: int
    classes: tuple[int, ...]
    scores: int
    order: tuple[int, ...]

    @property
    def skeleton(self) -> int:
        """Columns of all classes side by side."""
        return sum(self.classes)


class Noise:
    """Random numbers of some rows by name: always the same for the same row and name while drawing."""

    def __init__(self, uniform: Callable[[str], FloatArray]) -> None:
        self.uniform = uniform

    def normal(self, name: str, count: int) -> Columns:
        """Return standard normal numbers, float32, shape (rows, count)."""
        columns = [ndtri(self.uniform(f"{name} {n}")).astype(np.float32) for n in range(count)]
        return np.column_stack(columns) if columns else np.zeros((len(self.uniform(name)), 0), dtype=np.float32)


#: Applies a function of tensors to rows, block by block; see `device.blockwise`.
Run = Callable[..., Columns]


class Idea(Protocol):
    """What a neural method has of its own; everything else is the `Engine`'s.

    Parts of a net are kept apart by a module that holds them: an adversarial method's critic is not part of
    `net`, but made in `learn` and forgotten.
    """

    name: ClassVar[str]
    #: Share of rows in minibatches that may lack some predictors; 0 for a net that is never without.
    lack: float

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make the net that draws; all its first weights from the generator (see `nets`)."""

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train the net: `training.train` with a loss, or a loop of its own with `training.Watch`."""

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw: classes through `pick`, target after target or all at once, and return scores.

        Parameters
        ----------
        net
            The trained net, in its evaluation mode.
        run
            Applies a function of float32 tensors to rows in blocks; the only way to call the net, so that each
            row is drawn to the same bits whatever the others are.
        x
            float32, shape (rows, predictor columns).
        pick
            Draws classes from logits, obeying rules and calibration; `codec.onehot(pick.classes)` are those
            drawn so far.
        noise
            Random numbers by name.

        Returns
        -------
        numpy.ndarray of float32, shape (rows, scored targets)
            Scores, as the net makes them: the engine settles them. Where a row has none in a column it may hold
            anything finite.
        """


@dataclass
class Engine:
    """A fitted neural method.

    Attributes
    ----------
    idea
        The method.
    encoder, codec
        How predictors and targets are seen.
    net
        What was learnt; in evaluation mode.
    calibration
        Puts margins right.
    device
        Where the net is.
    report
        How learning went.
    """

    idea: Idea
    encoder: Encoder
    codec: Codec
    net: nn.Module
    calibration: Calibration
    device: torch.device
    report: Report

    @classmethod
    def fit(cls, idea: Idea, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator, device: str) -> Self:
        """Learn from donors.

        Parameters
        ----------
        idea
            The method.
        X, Y, weight, rng
            As in `Method.fit`.
        device
            See `device.choose`.

        Raises
        ------
        MethodError
            If rules bind several targets to one donor, or there is no such device.
        """
        place = choose(device)
        kept = weight > 0
        X, Y, weight = X.take(kept), Y.take(kept), weight[kept]
        codec = Codec.fit(Y, weight, idea.name)
        encoder = Encoder.fit(X, weight, marked=idea.lack > 0)
        random = torch.Generator(place).manual_seed(int(rng.integers(2**63 - 1)))
        with one_thread():
            net = idea.net(_sizes(encoder, codec), random).to(place)
            engine = cls(idea, encoder, codec, net, Calibration.none(codec), place, Report(0, 0, math.nan))
            if not codec.settled:
                engine._learn(X, Y, weight, random, rng)
            net.eval()
        return engine

    def _learn(self, X: Table, Y: Table, weight: FloatArray, random: torch.Generator, rng: np.random.Generator) -> None:
        x, coded = self.encoder.columns(X), self.codec.encode(Y.values)
        out = hold_out(X.households, len(X), rng)
        lack = Lack(self.idea.lack, self.encoder.owner) if self.idea.lack else None

        def rows(chosen: npt.NDArray[np.bool_]) -> Rows:
            return Rows(x[chosen], coded.take(chosen), self.codec, weight[chosen], self.device, lack)

        self.report = self.idea.learn(self.net, rows(~out), rows(out) if out.any() else None, random)
        self.net.eval()
        times = -(-ROWS // len(x))
        again = np.tile(np.arange(len(x)), times)
        settle = Settle(self.codec, coded.classes[again], weight[again], lambda name: rng.random(len(again)))
        noise = Noise(lambda name: rng.uniform(2.0**-53, 1.0, len(again)))
        settle.values(self.idea.generate(self.net, self._run, x[again], settle, noise))
        self.calibration = settle.calibration

    @property
    def _run(self) -> Run:
        return partial(_run, self.device)

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw for receivers, shape (rows, targets)."""
        pick = Pick(self.codec, self.calibration, len(X), rng.uniform)
        return pick.values(self.idea.generate(self.net, self._run, self.encoder.columns(X), pick, Noise(rng.uniform)))

    def learnt(self) -> dict[str, Any]:
        """Say how learning went, in plain values."""
        held_out = None if math.isnan(self.report.held_out) else float(f"{self.report.held_out:.6g}")
        return {"steps": self.report.steps, "best step": self.report.best, "held-out loss": held_out}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all its arrays."""
        report = np.array([self.report.steps, self.report.best, np.nan_to_num(self.report.held_out, nan=np.inf)])
        parts = self.encoder.state() | self.codec.state() | self.calibration.state() | weights(self.net)
        return parts | {"report": report}

    @classmethod
    def from_state(
        cls,
        idea: Idea,
        arrays: Mapping[str, npt.NDArray[Any]],
        predictors: tuple[Variable, ...],
        targets: tuple[Variable, ...],
        device: str,
    ) -> Self:
        """Rebuild from `state`, checking that all fits the variables.

        Raises
        ------
        MethodError
            If it does not.
        """
        encoder = Encoder.from_state(arrays, predictors)
        codec = Codec.from_state(arrays, targets)
        place = choose(device)
        net = idea.net(_sizes(encoder, codec), torch.Generator(place).manual_seed(0))
        read(net, arrays)
        steps, best, held_out = (float(v) for v in arrays["report"])
        report = Report(int(steps), int(best), held_out if math.isfinite(held_out) else math.nan)
        return cls(idea, encoder, codec, net.to(place).eval(), Calibration.from_state(arrays, codec), place, report)


def _sizes(encoder: Encoder, codec: Codec) -> Sizes:
    order = tuple(block.targets[0] for block in codec.blocks)
    return Sizes(encoder.width, codec.counts, len(codec.scored), order)


def _run(device: torch.device, function: Callable[..., torch.Tensor], *columns: Columns) -> Columns:
    return blockwise(function, device, *columns)
