"""Calibration after imputation: weighted totals meet published aggregates, by weights or by imputed values.

Both ways are opt-in and say what they did; observed values and the old weight stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from microimpute.calibration.adjusting import adjust, broken_since
from microimpute.calibration.aggregates import Aggregate, Line, Side, read_all
from microimpute.calibration.planning import Plan, read_how
from microimpute.calibration.reweighting import reweight
from microimpute.errors import CalibrationError
from microimpute.manifest import describe_survey
from microimpute.rules import derivation_order, parse_all
from microimpute.survey import Survey, replace_survey

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = ["Aggregate", "Calibration", "Compared", "Plan", "before_and_after", "calibrate", "missed", "total_in_full"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """One total before and after.

    Attributes
    ----------
    name
        Which total.
    target
        The published figure.
    before, after
        What each implicate gives, shape (m,).
    source
        Where the figure is published.
    """

    name: str
    target: float
    before: tuple[float, ...]
    after: tuple[float, ...]
    source: str


@dataclass(frozen=True)
class Calibration:
    """What came out of a calibration.

    Attributes
    ----------
    result
        A new `Survey` or `Imputations`.
    table
        Every total before and after.
    facts
        What changed, as plain values: factors of weights, or of each column.
    notes
        Sentences.
    """

    result: Any
    table: tuple[Compared, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: what the manifest keeps."""
        rows = [
            {
                "total": row.name,
                "target": row.target,
                "before": list(row.before),
                "after": list(row.after),
                "source": row.source,
            }
            for row in self.table
        ]
        return {**self.facts, "totals": rows, "notes": list(self.notes)}

    def __str__(self) -> str:
        return before_and_after(self.to_dict())


def total_in_full(value: float) -> str:
    """Write a total with all its whole digits, and one below a thousand with six digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def before_and_after(said: Mapping[str, Any]) -> str:
    """Lay out in lines what `Calibration.to_dict` says, and a manifest keeps: every total, and the notes."""
    rows = said["totals"]
    width = max(len(row["total"]) for row in rows)
    lines = [f"{'':{width}}  {'published':>20}  {'before':>20}  {'after':>20}"]
    for row in rows:
        figures = (row["target"], float(np.mean(row["before"])), float(np.mean(row["after"])))
        lines.append(f"{row['total']:{width}}" + "".join(f"  {total_in_full(figure):>20}" for figure in figures))
    return "\n".join([*lines, *said["notes"]])


def calibrate(
    data: Survey | Imputations,
    targets: Mapping[str, float] | Iterable[Aggregate],
    *,
    how: str = "weights",
    distance: str = "raking",
    bounds: tuple[float, float] | None = None,
    name: str | None = None,
) -> Calibration:
    """Make weighted totals meet published aggregates.

    Parameters
    ----------
    data
        A survey, or imputations; neither is changed.
    targets
        Column → total over all units; or a list of `Aggregate`, for totals by group and numbers of units.
    how
        ``"weights"``: weights move, as little as meets the totals; values stay. For imputations one weight is found
        with which every implicate meets them. ``"values"``: imputed amounts move and weights stay; within a group
        amounts keep their order, zeros stay zero, signs stay, derived totals are derived again. Only for imputations.
    distance
        ``"raking"`` (factors exp(u), always positive), ``"linear"`` (1 + u: the regression estimator), or
        ``"logit"`` (within bounds, smoothly); see `microimpute.calibration.distances`.
    bounds
        Least and largest factor, such as (0.3, 3).
    name
        Name of the new weight column; default: the old one's with ``_calibrated``.

    Returns
    -------
    Calibration

    Raises
    ------
    CalibrationError
        If a column or group is not there, weights are negative or missing, or totals can't be met: names one, and
        the range that it could have.

    Notes
    -----
    Deville & Särndal (1992), JASA 87, 376–382; Deville, Särndal & Sautory (1993), JASA 88, 1013–1020. Published
    totals are taken for exact: their own sampling error is not carried into variances.
    """
    chosen = read_how(how, distance, bounds, name)
    lines, side = read_all(targets), Side(data)
    said = {"how": how, "distance": distance, "bounds": list(bounds) if bounds else None}
    notes, broken = _notes(side, lines), list[str]()
    if how == "weights":
        made = reweight(side, lines, chosen, name)
        result = made.survey if isinstance(data, Survey) else replace(data, receiver=made.survey)
        facts, notes = said | made.facts, notes + made.notes
    else:
        result, changed, broken = _with_values(data, side, lines, chosen)
        facts, notes = said | {"factors": {c: [low, high] for c, (low, high) in changed.items()}}, notes + broken
    table = _compare(lines, side, Side(result))
    done = Calibration(result, table, facts, tuple(notes))
    return replace(done, result=_logged(result, done, broken))


def _with_values(data: Any, side: Side, lines: Any, chosen: Any) -> tuple[Any, Any, list[str]]:
    if isinstance(data, Survey):
        raise CalibrationError("a survey holds observed values only, which are never changed", "Use how='weights'.")
    identities = derivation_order(parse_all(x["rule"] for x in data.manifest["rules"]))
    kinds = {t["name"]: t["kind"] for t in data.manifest["targets"]}
    made = adjust(side, lines, chosen, identities, kinds)
    values = {c: tuple(made.values.get(c, s)) for c, s in data.values.items()}
    result = replace(data, values=values)
    return result, made.factors, broken_since(data.manifest, side, Side(result))


def _compare(lines: Sequence[Sequence[Line]], before: Side, after: Side) -> tuple[Compared, ...]:
    table = []
    for of in lines:
        figures = [np.array([_totals(s, of, i) for i in range(s.m)]) for s in (before, after)]
        for number, line in enumerate(of):
            then, now = (tuple(float(v) for v in f[:, number]) for f in figures)
            table.append(Compared(str(line), line.target, then, now, line.aggregate.source))
    return tuple(table)


def missed(data: Survey | Imputations, targets: Mapping[str, float] | Iterable[Aggregate]) -> list[str]:
    """Say which totals are not met to six digits: those, say, that a later calibration moved again."""
    lines, side = read_all(targets), Side(data)
    told = "{} is {:,.0f} in the end, not {:,.0f}: a later calibration moved it again."
    return [
        told.format(row.name, np.mean(row.after), row.target)
        for row in _compare(lines, side, side)
        if not np.allclose(row.after, row.target, rtol=1e-6, atol=1e-9)
    ]


def _totals(side: Side, of: Sequence[Line], implicate: int) -> FloatArray:
    codes, weight = side.codes(of, implicate), side.survey.weights()
    column = of[0].aggregate.of
    values = weight if column is None else weight * np.nan_to_num(side.numbers(column, implicate))
    inside = codes >= 0
    return np.asarray(np.bincount(codes[inside], values[inside], len(of)))


def _notes(side: Side, lines: Sequence[Sequence[Line]]) -> list[str]:
    notes = []
    for of in lines:
        aggregate = of[0].aggregate
        what = aggregate.of or "the number of units"
        if aggregate.of is not None:
            gaps = int(np.isnan(side.numbers(aggregate.of, 0)).sum())
            if gaps:
                notes.append(f"{gaps:,} missing values of {aggregate.of} count nothing in its total.")
        outside = int((side.codes(of, 0) < 0).sum())
        if outside:
            groups = ", ".join(aggregate.groups)
            notes.append(f"{outside:,} rows are in none of the groups of {groups} that totals of {what} are given for.")
    return list(dict.fromkeys(notes))


def _logged(result: Any, done: Calibration, warnings: Sequence[str]) -> Any:
    """Write down what was done: in the manifest of imputations, in the notes of a survey."""
    count = len(done.table)
    totals = f"{count} published total{'s' if count > 1 else ''}"
    if done.facts["how"] == "weights":
        low, high = done.facts["least_factor"], done.facts["largest_factor"]
        text = f"Weights were calibrated to {totals} ({done.facts['distance']}): factors from {low:.3g} to {high:.3g}"
    else:
        each = ", ".join(f"{c} by {low:.3g} to {high:.3g}" for c, (low, high) in done.facts["factors"].items())
        text = f"Imputed values were adjusted to {totals}: {each}"
    if isinstance(result, Survey):
        return replace_survey(result, notes=(*result.notes, text))
    manifest = dict(result.manifest)
    manifest["receiver"] = describe_survey(result.receiver)
    manifest["calibration"] = [*manifest.get("calibration", ()), done.to_dict()]
    told = [{"text": f"{text}.", "count": 0, "warning": False}]
    told += [{"text": warning, "count": 0, "warning": True} for warning in warnings]
    manifest["notes"] = [*manifest["notes"], *told]
    return replace(result, manifest=manifest)
