"""Calibrated weights for a survey, or for all implicates at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.calibration.aggregates import Line, Side
from microimpute.calibration.distances import Distance
from microimpute.calibration.solving import calibrated_weights
from microimpute.errors import CalibrationError
from microimpute.survey import Survey, replace_survey

__all__ = ["Reweighted", "new_weight", "reweight"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reweighted:
    """A survey with a calibrated weight.

    Attributes
    ----------
    survey
        The survey with one more column, which is its weight now; so are calibrated replicates, if it had any.
    facts
        Least and largest factor, effective sample size before and after.
    notes
        Sentences.
    """

    survey: Survey
    facts: dict[str, object]
    notes: list[str]


def reweight(side: Side, lines: Sequence[Sequence[Line]], distance: Distance, name: str | None) -> Reweighted:
    """Find one weight per row with which every implicate meets the totals.

    Totals that speak of imputed columns are one condition per implicate. Replicate weights are calibrated to the same
    totals each, as the variance of calibrated estimates wants (Deville & Särndal 1992; Wolter 2007, ch. 3).

    Raises
    ------
    CalibrationError
        If totals can't be met, weights come out negative, or the new column's name is taken.
    """
    survey, column = side.survey, new_weight(side, name)
    design, totals, names = _design(side, lines)
    weight = survey.weights()
    found = _solved(design, weight, totals, distance, names)
    new = {column: found}
    for replicate in survey.replicates:
        start = survey.numbers(replicate)
        if (start < 0).any() or not np.isfinite(start).all():
            raise CalibrationError(f"replicate weight {replicate!r} is negative or missing", "Mend it first.")
        try:
            new[f"{replicate}_calibrated"] = _solved(design, start, totals, distance, names)
        except CalibrationError as error:
            raise CalibrationError(
                f"under replicate weight {replicate!r}: {error.problem}",
                f"{error.remedy} Or leave the replicates out: Survey(..., replicates=[]).",
            ) from None
    made = survey.with_columns(new)
    made = replace_survey(made, weight=column, replicates=[f"{r}_calibrated" for r in survey.replicates])
    return Reweighted(made, _facts(weight, found, column), _notes(side, lines, weight, found, survey))


def new_weight(side: Side, name: str | None) -> str:
    """Return the name of the calibrated weight.

    Raises
    ------
    CalibrationError
        If it, or that of a calibrated replicate weight, is taken.
    """
    column = name or f"{side.survey.weight or 'weight'}_calibrated"
    for made in (column, *(f"{r}_calibrated" for r in side.survey.replicates)):
        if made in side.columns:
            raise CalibrationError(f"column {made!r} is there already", "Choose another name for the weight: name=...")
    return column


def _design(side: Side, lines: Sequence[Sequence[Line]]) -> tuple[FloatArray, FloatArray, list[str]]:
    columns, totals, names = [], [], []
    for of in lines:
        aggregate = of[0].aggregate
        varies = bool({aggregate.of, *aggregate.groups} & set(side.values)) and side.m > 1
        for i in range(side.m if varies else 1):
            values = 1.0 if aggregate.of is None else np.nan_to_num(side.numbers(aggregate.of, i))
            codes = side.codes(of, i)
            for number, line in enumerate(of):
                columns.append(values * (codes == number))
                totals.append(line.target)
                names.append(f"{line}, in implicate {i + 1}," if varies else str(line))
    return np.column_stack(columns), np.array(totals), names


def _solved(
    design: FloatArray, weight: FloatArray, totals: FloatArray, distance: Distance, names: Sequence[str]
) -> FloatArray:
    found = calibrated_weights(design, weight, totals, distance, names)
    if count := int((found < 0).sum()):
        raise CalibrationError(
            f"the linear distance makes {count:,} weights negative",
            "Choose distance='raking', or bounds=(0.3, 3), say.",
        )
    return found


def _facts(before: FloatArray, after: FloatArray, column: str) -> dict[str, object]:
    some = before > 0
    ratio = after[some] / before[some]
    return {
        "weight": column,
        "least_factor": float(ratio.min()),
        "largest_factor": float(ratio.max()),
        "effective_rows_before": float(before.sum() ** 2 / np.sum(before**2)),
        "effective_rows_after": float(after.sum() ** 2 / np.sum(after**2)),
    }


def _notes(
    side: Side, lines: Sequence[Sequence[Line]], before: FloatArray, after: FloatArray, survey: Survey
) -> list[str]:
    notes = []
    if survey.replicates:
        notes.append(f"Each of the {len(survey.replicates)} replicate weights was calibrated to the same totals.")
    if not any(line.aggregate.of is None for of in lines for line in of):
        notes.append(
            f"The number of units was left free: weights sum to {after.sum():,.0f} after {before.sum():,.0f}; to hold "
            "it, add a target of that total without a column (of=None)."
        )
    zero = int((before == 0).sum())
    if zero:
        notes.append(f"{zero:,} rows of weight zero keep it.")
    return notes
