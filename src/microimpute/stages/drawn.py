"""One stage while it is drawn: its numbers, with totals, and as bridges hand them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute import rules
from microimpute.fusion import Fusion
from microimpute.implicates import Drawn
from microimpute.kinds import Variable
from microimpute.methods.base import Method
from microimpute.stages.links import Linker
from microimpute.stages.mending import Mender
from microimpute.stages.overlap import StageOverlap
from microimpute.stages.stage import Stage

__all__ = ["StageDrawn", "levels_at", "with_totals"]

FloatArray = npt.NDArray[np.float64]


@dataclass
class StageDrawn:
    """One stage while it is drawn.

    Attributes
    ----------
    stage, method
        As given, the method made.
    first
        The fusion of implicate 1.
    drawn
        The numbers.
    linker, mender
        What was exchanged and mended, with their accounts.
    overlap
        How the donors cover the receivers.
    """

    stage: Stage
    method: Method
    first: Fusion
    drawn: Drawn
    linker: Linker
    mender: Mender
    overlap: StageOverlap

    def columns(self, implicate: int) -> dict[str, FloatArray]:
        """Return drawn targets and derived totals of implicate 1 … m, each of shape (rows,)."""
        return with_totals(self.first, dict(zip(self.first.targets, self.drawn.values[implicate - 1].T, strict=True)))

    def values(self, implicate: int) -> dict[str, npt.NDArray[Any]]:
        """Return what `columns` does with classes as their levels, not as codes: as a bridge hands them on."""
        variables = self.first.variables
        return {
            name: levels_at(column, variables[name]) if name in variables else column
            for name, column in self.columns(implicate).items()
        }


def with_totals(fusion: Fusion, drawn: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Add the totals that identities derive to drawn targets."""
    return drawn | rules.derive(fusion.identities, drawn)


def levels_at(column: FloatArray, variable: Variable) -> npt.NDArray[Any]:
    """Return a drawn column as the donor has it, shape (rows,): amounts as they are, classes as their levels."""
    if not variable.kind.is_class:
        return column
    levels = np.empty(len(variable.levels), dtype=object)
    levels[:] = variable.levels
    plain: type = next((t for t in (bool, int, float) if all(type(v) is t for v in levels)), object)
    return np.asarray(levels.astype(plain)[column.astype(np.int64)])
