"""What all neural methods have in common as methods; torch is loaded when one fits or draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from microimpute.neural.calibration import Pick
    from microimpute.neural.engine import Columns, Engine, Noise, Run, Sizes
    from microimpute.neural.rows import Rows
    from microimpute.neural.training import Report

__all__ = ["Neural"]

FloatArray = npt.NDArray[np.float64]


class Neural:
    """Half of a method: its facts, and fit, draw and state through an `engine.Engine`.

    A neural method is ``class Mine(Neural, Method)``: its own facts and settings (among them `device`), and the
    three parts of `engine.Idea`: `net`, `learn` and `generate`. They import torch, and the modules here that
    need it, inside.
    """

    predictors: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    #: "cpu", "cuda" or "auto": a GPU if there is one.
    device: str
    #: Share of rows in minibatches that may lack some predictors; a setting of methods that can do without them.
    lack: float = 0.0

    name: ClassVar[str]
    joint: ClassVar[bool] = True
    proper: ClassVar[bool | None] = None
    uses_weights: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch",)
    extra: ClassVar[str] = "deep"

    engine: Engine

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make the net that draws; see `engine.Idea`."""
        raise NotImplementedError

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train the net; see `engine.Idea`."""
        raise NotImplementedError

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw classes and scores; see `engine.Idea`."""
        raise NotImplementedError

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Learn from donors; see `Method.fit`."""
        from microimpute.neural.engine import Engine

        self.predictors, self.targets = X.variables, Y.variables
        self.engine = Engine.fit(self, X, Y, weight, rng, self.device)
        return self

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw one bundle per row, shape (rows, targets)."""
        return self.engine.draw(X, rng)

    def learnt(self) -> dict[str, Any]:
        """Say how learning went."""
        return self.engine.learnt()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the net's weights, the codec and the calibration."""
        return self.engine.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back, after checking that they fit the variables."""
        from microimpute.neural.engine import Engine

        self.engine = Engine.from_state(self, arrays, self.predictors, self.targets, self.device)
        return self
