"""Why totals can't be met: which one, and what range it could have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microimpute.calibration.distances import Distance
from microimpute.errors import CalibrationError

__all__ = ["explain", "refuse_single"]

FloatArray = npt.NDArray[np.float64]

#: Relative slack that is no contradiction, only rounding of published totals by a computer.
SLACK = 1e-9
#: The same for sums of floats.
ROUNDING = 1e-13


def refuse_single(
    design: FloatArray, weight: FloatArray, totals: FloatArray, distance: Distance, names: Sequence[str]
) -> None:
    """Raise if one total can't be met even without the others.

    Raises
    ------
    CalibrationError
        Names it, and the range that it could have.
    """
    for name, total, x in zip(names, totals, (design * weight[:, None]).T, strict=True):
        up, down = float(x[x > 0].sum()), float(x[x < 0].sum())
        if up == 0 and down == 0:
            if total != 0:
                raise CalibrationError(
                    f"{name} should be {total:,.6g}, but no row counts in it: it is 0 whatever the weights",
                    "Leave it out, or mend the column or group.",
                )
            continue
        least, most = _ends(up, down, distance), -_ends(-down, -up, distance)
        slack = ROUNDING * (up - down)
        inside = least - slack <= total <= most + slack
        if not inside or (distance.low == 0 and total == 0 and (up == 0 or down == 0) and distance.name != "linear"):
            raise CalibrationError(
                f"{name} should be {total:,.6g}; it is {up + down:,.6g} now, and factors from "
                f"{distance.low:g} to {distance.high:g} can bring it to between {least:,.6g} and {most:,.6g} only",
                "Correct the target (its unit, its population), or allow wider bounds.",
            )


def _ends(up: float, down: float, distance: Distance) -> float:
    """Return the least that factors can make of a positive and a negative sum."""
    first = distance.low * up if up else 0.0
    return first + (distance.high * down if down else 0.0)


def explain(
    design: FloatArray, weight: FloatArray, totals: FloatArray, distance: Distance, names: Sequence[str]
) -> None:
    """Raise for totals that can't be met together.

    The sum of relative gaps is made least (a linear programme); the total with the largest gap is named, with the
    range that it could have if all others without a gap are met.

    Raises
    ------
    CalibrationError
        Always.
    """
    x = design * weight[:, None]
    keep = weight > 0
    x = x[keep]
    size = np.maximum(np.abs(totals), np.abs(x).sum(0))
    x, wanted = x / np.where(size > 0, size, 1.0), totals / np.where(size > 0, size, 1.0)
    gaps = _least_gaps(x, wanted, distance)
    if gaps is None or np.abs(gaps).max() <= SLACK:
        raise CalibrationError(
            "the totals can be met only by factors at, or beyond, the very edge of what the distance allows",
            "Allow wider bounds, leave out small groups, or name fewer totals.",
        )
    worst = int(np.argmax(np.abs(gaps)))
    others = (np.abs(gaps) <= SLACK) & (np.arange(len(gaps)) != worst)
    least, most = (_end(x, wanted, worst, others, distance, sign) for sign in (1, -1))
    span = f"{_told(least, size[worst], 'any small number')} and {_told(most, size[worst], 'any large number')}"
    more = int((np.abs(gaps) > SLACK).sum()) - 1
    also = f" ({more} more can't be met either)" if more else ""
    raise CalibrationError(
        f"{names[worst]} should be {totals[worst]:,.6g}, which contradicts the other totals{also}: with the others "
        f"met it can be between {span}",
        "Check that all totals are of one population and one unit, or allow wider bounds.",
    )


def _least_gaps(x: FloatArray, wanted: FloatArray, distance: Distance) -> FloatArray | None:
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack, identity

    rows, count = x.shape
    both = identity(count)
    equal = hstack([csr_matrix(x.T), both, -both])
    cost = np.concatenate([np.zeros(rows), np.ones(2 * count)])
    limits = [_limits(distance)] * rows + [(0.0, None)] * (2 * count)
    found = linprog(cost, A_eq=equal, b_eq=wanted, bounds=limits, method="highs")
    return np.asarray(found.x[rows : rows + count] - found.x[rows + count :]) if found.status == 0 else None


def _end(
    x: FloatArray, wanted: FloatArray, one: int, others: npt.NDArray[np.bool_], distance: Distance, sign: int
) -> float | None:
    from scipy.optimize import linprog

    found = linprog(
        sign * x[:, one],
        A_eq=x[:, others].T if others.any() else None,
        b_eq=wanted[others] if others.any() else None,
        bounds=[_limits(distance)] * len(x),
        method="highs",
    )
    return sign * float(found.fun) if found.status == 0 else None


def _limits(distance: Distance) -> tuple[float | None, float | None]:
    return (
        distance.low if np.isfinite(distance.low) else None,
        distance.high if np.isfinite(distance.high) else None,
    )


def _told(value: float | None, size: float, otherwise: str) -> str:
    return otherwise if value is None else f"{value * size:,.6g}"
