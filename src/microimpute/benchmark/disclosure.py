"""Rounding of figures that leave a place where the truth is confidential.

The rules follow those that US statistical agencies commonly ask of researchers; they are to be confirmed with the
data owner before anything is released.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal

__all__ = ["LEAST", "round_count", "round_figure"]

#: Fewest rows that a published figure may come from.
LEAST = 15

#: (below this count, rounded to a multiple of).
STEPS = ((100, 10), (1_000, 50), (10_000, 100), (100_000, 500), (1_000_000, 1_000))

DIGITS = 4


def round_count(count: int) -> str | int:
    """Round a number of rows: below 15 it is only said to be so, above in growing steps.

    15–99 to 10, 100–999 to 50, 1,000–9,999 to 100, 10,000–99,999 to 500, 100,000–999,999 to 1,000, from a million on
    to 4 significant digits; halves go to the even multiple.

    Raises
    ------
    ValueError
        If the count is negative.
    """
    if count < 0:
        raise ValueError(f"a count can't be {count}")
    if count < LEAST:
        return f"<{LEAST}"
    for below, step in STEPS:
        if count < below:
            return int((Decimal(count) / step).quantize(Decimal(1), ROUND_HALF_EVEN)) * step
    return int(_significant(Decimal(count)))


def round_figure(value: float) -> float | None:
    """Round any other number to 4 significant digits, halves to even, by its decimal notation.

    Parameters
    ----------
    value
        The figure; NaN and infinities, and what would round to one, become None.
    """
    if not math.isfinite(value):
        return None
    rounded = float(_significant(Decimal(repr(float(value)))))
    return rounded if math.isfinite(rounded) else None


def _significant(value: Decimal) -> Decimal:
    if value == 0:
        return Decimal(0)
    return value.quantize(Decimal(1).scaleb(value.adjusted() - DIGITS + 1), ROUND_HALF_EVEN)
