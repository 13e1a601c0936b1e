"""Sequential regression multivariate imputation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, closest
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.methods.base import FloatArray, Method
from microimpute.regressions.amounts import Bounds
from microimpute.regressions.sequence import Regressions, ordered

__all__ = ["SRMI"]


class SRMI(Method):
    """Target after target from a regression on the predictors and the targets before it.

    Since receivers have none of the targets, the pattern is monotone and one pass is enough. Each implicate's
    parameters are drawn from their posterior given the donors' own weights, so donors are not resampled.

    ==============  ===================================================================================
    kind            model
    ==============  ===================================================================================
    continuous      normal, on the amount's own scale or its weighted normal scores (`transforms.Scale`)
    semicontinuous  logit of non-zero, logit of a loss among those, normal on scores within each
    count           Poisson, or negative binomial where counts vary more; never above the donors' most
    binary          logit
    ordinal         logits in sequence, in the order of the levels
    categorical     logits in sequence, from the most to the least common level
    ==============  ===================================================================================

    Draws never leave the donors' range, but for targets with bounds of their own. A target that an edit rule lets
    be non-zero only where others are is modelled and drawn there alone. Rules that bind targets to one donor (edit
    rules about totals, requirements in a circle) are refused: there is no donor to take them from.

    Parameters
    ----------
    ridge
        How strongly coefficients are held back, in donors; see `glm`.
    shuffle_order
        Whether each implicate draws the targets in an order of its own (what a target requires stays before
        it), so that whatever depends on the order shows as spread between implicates. Otherwise they are
        drawn in the order in which they are given. The manifest tells the order and each target's model.
    bounds
        Least and largest value of targets that are amounts or counts, by name, None where open: ``{"age": [0,
        120]}``. Near-normal amounts and counts (up to 10,000) are then drawn from their distribution between the
        bounds, which may lie beyond the donors' range; without bounds what falls outside that range is put at its
        end. Other amounts only ever take values that donors have.
    """

    name = "srmi"
    summary = "Target after target from Bayesian regressions on the predictors and the targets before it."
    reference = "Raghunathan, Lepkowski, Van Hoewyk & Solenberger (2001), Survey Methodology 27; Rubin (1987)."
    advice = (
        "With few donors, smooth effects, or where agencies ask for the published standard (IVEware, mice). "
        "Not where effects are strongly non-linear or targets are many and heaped."
    )
    joint = True
    proper = True
    uses_weights = True
    cost = 0.03
    resampled = False

    def __init__(
        self,
        ridge: float = 1.0,
        shuffle_order: bool = False,
        bounds: Mapping[str, Sequence[float | None]] | None = None,
    ) -> None:
        if not isinstance(ridge, int | float) or isinstance(ridge, bool) or not 0 < ridge < np.inf:
            raise MethodError(f"srmi's ridge is {ridge!r}", "Give a number above 0.")
        if not isinstance(shuffle_order, bool):
            raise MethodError(f"srmi's shuffle_order is {shuffle_order!r}", "Give true or false.")
        self.ridge = ridge
        self.shuffle_order = shuffle_order
        self.bounds = {name: _pair(name, pair) for name, pair in (bounds or {}).items()}

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Draw each target's parameters from their posterior."""
        self.predictors, self.targets = X.variables, Y.variables
        blocks = ordered(Y, self.name, rng if self.shuffle_order else None)
        bounds = self._bounds(Y)
        self.chain = Regressions.fit(X, Y, weight, blocks, self.ridge, chained=True, rng=rng, bounds=bounds)
        return self

    def _bounds(self, Y: Table) -> dict[int, Bounds]:
        """Find the bounds' targets, which must be amounts, and hold all donors."""
        out = {}
        for name, (least, most) in self.bounds.items():
            if name not in Y.names:
                raise MethodError(f"srmi's bounds name {name!r}, which is no target", closest(name, Y.names))
            place = Y.names.index(name)
            if Y.variables[place].kind.is_class:
                raise MethodError(f"srmi's bounds name {name!r}, which is a class", "Give bounds of amounts only.")
            low, high = -np.inf if least is None else least, np.inf if most is None else most
            values = Y.values[:, place]
            if outside := int(((values < low) | (values > high)).sum()):
                text = f"{outside:,} of {len(values):,} donors are outside srmi's bounds of {name!r}"
                raise MethodError(text, "Widen the bounds, or mend or leave out these donors.")
            out[place] = (low, high)
        return out

    def learnt(self) -> dict[str, Any]:
        """Say in which order targets are drawn, and each one's model."""
        return self.chain.said(self.targets)

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw target after target, shape (rows, targets)."""
        return self.chain.draw(X, rng)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the models' parameters and the scales."""
        return self.chain.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back, after checking that they fit the variables."""
        self.chain = Regressions.from_state(arrays, self.predictors, self.targets, chained=True)
        return self


def _pair(name: str, pair: object) -> list[float | None]:
    """Return bounds as two numbers, the first smaller, None where open."""
    if isinstance(pair, list | tuple) and len(pair) == 2:
        sides = [None if side is None else float(side) for side in pair if side is None or _is_number(side)]
        open_ = [side if side is not None and np.isfinite(side) else None for side in sides]
        if len(sides) == 2 and (open_[0] is None or open_[1] is None or open_[0] < open_[1]):
            return open_
    raise MethodError(f"srmi's bounds of {name!r} are {pair!r}", "Give two numbers, the first smaller; None is open.")


def _is_number(side: object) -> bool:
    return isinstance(side, int | float) and not isinstance(side, bool) and side == side
