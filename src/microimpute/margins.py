"""Margins of the predictors in both surveys, side by side, to see whether the two mean the same thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.fusion import Fusion
from microimpute.kinds import Kind, Variable, encode

__all__ = ["APART", "CLOSE", "UNKNOWN_LEVEL", "Margin", "Side", "format_margins", "format_number", "margins"]

FloatArray = npt.NDArray[np.float64]
Weighted = tuple[FloatArray, FloatArray]

#: A distance below this is close.
CLOSE = 0.05
#: A distance below this is apart, from here on far.
APART = 0.15
#: What a receiver's class that no donor has is called.
UNKNOWN_LEVEL = "(no such donor)"
#: Columns of the table of amounts, in order.
FIGURES = ("non-zero", "mean", "P10", "median", "P90")


@dataclass(frozen=True)
class Side:
    """One predictor in one survey, weighted.

    Attributes
    ----------
    missing
        Share of the weight that has no value.
    figures
        Of an amount ``non-zero`` (a share), ``mean``, ``P10``, ``median``, ``P90``; of a class level → share.
        All among rows that have a value; empty if there are none.
    """

    missing: float
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Margin:
    """One predictor in both surveys.

    Attributes
    ----------
    name, label, kind
        The predictor.
    donor, receiver
        Its margin in each survey; the donor's own implicates are taken together.
    distance
        Kolmogorov-Smirnov distance of an amount, total variation distance of a class, both from 0 to 1,
        among rows that have a value; None where a survey has no value at all.
    difference
        Receiver's mean less donor's, in units of their root mean variance; None for classes and where
        nothing varies.
    """

    name: str
    label: str
    kind: Kind
    donor: Side
    receiver: Side
    distance: float | None
    difference: float | None = None

    @property
    def measure(self) -> str:
        """What `distance` is: ``KS`` or ``TV``."""
        return "TV" if self.kind.is_class else "KS"

    @property
    def verdict(self) -> str:
        """``close``, ``apart`` or ``far``, by the larger of the distance and the gap in shares missing."""
        gap = abs(self.donor.missing - self.receiver.missing)
        worst = max(gap, 1.0 if self.distance is None else self.distance)
        return "close" if worst < CLOSE else "apart" if worst < APART else "far"


def margins(fusion: Fusion) -> list[Margin]:
    """Set the weighted margins of each predictor in donor and receiver side by side.

    Parameters
    ----------
    fusion
        Donor and receiver with their predictors.

    Returns
    -------
    list of Margin
        One per predictor, in their order.
    """
    surveys = (fusion.donor, fusion.receiver)
    weights = [survey.weights() for survey in surveys]
    found = []
    for name in fusion.predictors:
        variable = fusion.variables[name]
        values = [encode(survey.frame[name], variable) for survey in surveys]
        label = next((s.labels[name] for s in surveys if s.labels.get(name)), "")
        found.append(_margin(variable, label, *zip(values, weights, strict=True)))
    return found


def _margin(variable: Variable, label: str, donor: Weighted, receiver: Weighted) -> Margin:
    known = [_known(*donor), _known(*receiver)]
    missing = [float(np.average(np.isnan(v), weights=w)) for v, w in (donor, receiver)]
    both = all(len(values) for values, _ in known)
    if variable.kind.is_class:
        levels = [*map(str, variable.levels), UNKNOWN_LEVEL]
        shares = [_shares(v, w, len(variable.levels)) for v, w in known]
        figures = [{n: float(s) for n, s in zip(levels, side, strict=True)} for side in shares]
        if not shares[0][-1] + shares[1][-1]:
            for side in figures:
                del side[UNKNOWN_LEVEL]
        distance = float(np.abs(shares[0] - shares[1]).sum() / 2) if both else None
        difference = None
    else:
        figures = [_amount_figures(*side) for side in known]
        distance = _kolmogorov_smirnov(known[0], known[1]) if both else None
        difference = _standardised_difference(known[0], known[1]) if both else None
    ours, theirs = (Side(m, f) for m, f in zip(missing, figures, strict=True))
    return Margin(variable.name, label, variable.kind, ours, theirs, distance, difference)


def _known(values: FloatArray, weight: FloatArray) -> Weighted:
    counts = ~np.isnan(values) & (weight > 0)
    return values[counts], weight[counts]


def _shares(codes: FloatArray, weight: FloatArray, levels: int) -> FloatArray:
    """Shares of the levels, and last of codes −1: levels that no donor has."""
    places = np.where(codes < 0, levels, codes).astype(np.int64)
    total = np.bincount(places, weights=weight, minlength=levels + 1)
    return np.asarray(total / max(float(weight.sum()), np.finfo(float).tiny))


def _amount_figures(values: FloatArray, weight: FloatArray) -> dict[str, float]:
    if not len(values):
        return {}
    quantiles = np.quantile(values, [0.1, 0.5, 0.9], weights=weight, method="inverted_cdf")
    numbers = [np.average(values != 0, weights=weight), np.average(values, weights=weight), *quantiles]
    return {name: float(number) for name, number in zip(FIGURES, numbers, strict=True)}


def _kolmogorov_smirnov(donor: Weighted, receiver: Weighted) -> float:
    """Largest gap between two weighted distribution functions (scipy's has no weights)."""
    grid = np.unique(np.concatenate([donor[0], receiver[0]]))
    heights = []
    for values, weight in (donor, receiver):
        order = np.argsort(values)
        below = np.concatenate([[0.0], np.cumsum(weight[order])])
        heights.append(below[np.searchsorted(values[order], grid, side="right")] / below[-1])
    return float(np.abs(heights[0] - heights[1]).max())


def _standardised_difference(donor: Weighted, receiver: Weighted) -> float | None:
    means = [float(np.average(values, weights=weight)) for values, weight in (donor, receiver)]
    variances = [
        float(np.average((values - mean) ** 2, weights=weight))
        for (values, weight), mean in zip((donor, receiver), means, strict=True)
    ]
    spread = float(np.sqrt(np.mean(variances)))
    return (means[1] - means[0]) / spread if spread > 0 else None


_WIDTHS = (20, 9, 8, 9, 10, 10, 10, 10, 6, 7, 6)
_HEAD = ("predictor", "survey", "missing", *FIGURES, "dist.", "diff.", "")


def format_margins(found: Sequence[Margin]) -> str:
    """Lay margins out as plain text for a terminal, at most 110 columns wide.

    Parameters
    ----------
    found
        As `margins` returns.

    Returns
    -------
    str
        Amounts first, then classes level by level; each with its distance and the word for it.
    """
    amounts = [m for m in found if not m.kind.is_class]
    classes = [m for m in found if m.kind.is_class]
    lines = ["Predictors in both surveys, weighted"]
    if amounts:
        lines += ["", _row(_HEAD, _WIDTHS)]
        lines += [line for margin in amounts for line in _amount_lines(margin)]
    if classes:
        lines += ["", _row(("class", "level", "donor", "receiver", "dist.", ""), _CLASS_WIDTHS)]
        lines += [line for margin in classes for line in _class_lines(margin)]
    lines += [
        "",
        "dist.: Kolmogorov-Smirnov distance of amounts, total variation distance of classes, 0 to 1.",
        "diff.: receiver's mean less donor's, in standard deviations.",
        f"close: below {CLOSE}; apart: below {APART}; far: from {APART}; a gap in shares missing counts too.",
    ]
    return "\n".join(lines)


def _amount_lines(margin: Margin) -> Iterator[str]:
    for side, survey in ((margin.donor, "donor"), (margin.receiver, "receiver")):
        first = survey == "donor"
        numbers = [format_number(side.figures.get(name)) for name in FIGURES[1:]]
        cells = [
            margin.name if first else "",
            survey,
            _percent(side.missing),
            _percent(side.figures.get("non-zero")),
        ]
        ends = [_decimal(margin.distance), _decimal(margin.difference), margin.verdict] if first else ["", "", ""]
        yield _row([*cells, *numbers, *ends], _WIDTHS)


_CLASS_WIDTHS = (20, 36, 10, 10, 7, 6)


def _class_lines(margin: Margin) -> Iterator[str]:
    ends = [_decimal(margin.distance), margin.verdict]
    rows = [("(missing)", margin.donor.missing, margin.receiver.missing)] if _any_missing(margin) else []
    rows += [(lv, share, margin.receiver.figures.get(lv, 0.0)) for lv, share in margin.donor.figures.items()]
    for i, (level, donor, receiver) in enumerate(rows):
        name = margin.name if i == 0 else ""
        yield _row([name, level, _percent(donor), _percent(receiver), *(ends if i == 0 else ["", ""])], _CLASS_WIDTHS)


def _any_missing(margin: Margin) -> bool:
    return margin.donor.missing + margin.receiver.missing > 0


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Left-align the two columns of words, right-align numbers, leave the verdict at the end as it is."""
    out = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        short = cell if len(cell) < width else cell[: width - 2] + "…"
        out.append(f"{short:<{width}}" if i < 2 else f"{short:>{width}}" if i < len(cells) - 1 else f"  {cell}")
    return "".join(out).rstrip()


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def format_number(value: float | None) -> str:
    """Write a number as a reader wants it: 0.25, 51.3, 62,300, 1.25M.

    Parameters
    ----------
    value
        Any number, or None for a dash.

    Returns
    -------
    str
    """
    if value is None:
        return "–"
    size, sign = abs(value), "−" if value < 0 else ""
    for least, unit in ((1e12, "tn"), (1e9, "bn"), (1e6, "M")):
        if size >= 0.9995 * least:
            return f"{sign}{size / least:,.{2 if size < 99.5 * least else 0}f}{unit}"
    if size >= 10_000:  # three figures are what a survey of this size supports
        return f"{sign}{float(f'{size:.3g}'):,.0f}"
    if size >= 100 or size == round(size):
        return f"{sign}{size:,.0f}"
    return f"{sign}{size:.1f}" if size >= 10 else f"{sign}{size:.3g}"
