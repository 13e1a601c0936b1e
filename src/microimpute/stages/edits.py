"""Rules that span stages, and what is to be done where they are broken.

Observed values of the receiver are never changed: where one conflicts with a rule, what was imputed gives way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.errors import FusionError, closest
from microimpute.rules import AtMost, NonNegative, Requires, Rule, parse

__all__ = ["REPAIRS", "Edit"]

FloatArray = npt.NDArray[np.float64]
Columns = Mapping[str, FloatArray]

#: What can be done about a broken rule.
REPAIRS = ("redraw", "donor", "adjust", "count")


@dataclass(frozen=True)
class Edit:
    """A rule across stages, and its repair.

    Attributes
    ----------
    rule
        ``"A requires B or C"``, ``"A <= 2 B + C"`` or ``"A >= 0"``, of columns that are imputed or the receiver's own;
        or an object.
    repair
        ``"redraw"`` draws the whole bundle of the last stage concerned again, up to `limit` times: what stays is a draw
        from its distribution given that the rule holds. ``"donor"`` takes the whole bundle of a donor of that stage who
        keeps the rule with the receiver's own values, drawn by weight among those alike in the predictors (see
        `microimpute.matching.eligible`). ``"adjust"`` moves the column that the rule speaks of to the nearest value
        that is allowed: zero, or the bound (parts of a total in proportion), never below zero; the last stage
        concerned has to give it. ``"count"`` changes nothing.
    limit
        Draws tried for a row by ``"redraw"``; of several rules that it breaks the largest.
    """

    rule: Rule | str
    repair: str = "redraw"
    limit: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", parse(self.rule) if isinstance(self.rule, str) else self.rule)
        if self.repair not in REPAIRS:
            raise FusionError(f"{str(self.rule)!r} is to be repaired by {self.repair!r}", closest(self.repair, REPAIRS))
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise FusionError(f"the limit of {str(self.rule)!r} is {self.limit!r}", "Give a whole number from 1 on.")
        if self.repair == "adjust" and not isinstance(self.rule, Requires | NonNegative | AtMost):
            raise FusionError(
                f"{str(self.rule)!r} can't be adjusted to", "Repair it by 'redraw' or 'donor', or count what breaks it."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the rule speaks of."""
        assert isinstance(self.rule, Rule)  # __post_init__ has read it
        return self.rule.columns

    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Say for each row whether it breaks the rule, shape (rows,)."""
        assert isinstance(self.rule, Rule)  # __post_init__ has read it
        return self.rule.broken(columns)
