"""The imputed variables beside the donor's: headline, each target, groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind
from microimpute.margins import UNKNOWN_LEVEL
from microimpute.report.sides import Sides, plain, pooled, quantiles
from microimpute.report.words import amount

__all__ = ["amounts", "classes", "few_levels", "groups", "headline", "is_money"]

FloatArray = npt.NDArray[np.float64]

#: Percentiles in the headline table; the plot shows all from 1 to 99.
PERCENTILES = (5, 10, 25, 50, 75, 90, 95, 99)
#: Quantiles of the amounts that are not zero.
QUANTILES = (0.1, 0.5, 0.9, 0.99)
#: A class with more levels is cut down to its largest ones.
MOST_LEVELS = 12
#: Bounds of the age groups in the Survey of Consumer Finances' own tables.
AGES = (35.0, 45.0, 55.0, 65.0, 75.0)


def is_money(sides: Sides, column: str) -> bool:
    """Whether an imputed amount is money: the donor names a dollar year and it is not a count."""
    variable = sides.fusion.variables.get(column)
    return sides.fusion.donor.dollars is not None and (variable is None or variable.kind is not Kind.COUNT)


def headline(sides: Sides, column: str) -> dict[str, Any]:
    """Compare the whole distribution of one amount, zeros included."""
    donor = _distribution(sides.donor[column], sides.donor_weight)
    found = pooled([_distribution(values, sides.receiver_weight) for values in sides.imputed(column)])
    places = [(f"P{p}", p - 1) for p in PERCENTILES] + [("mean", 99), ("negative", 100), ("zero", 101)]
    rows = [
        {"figure": figure, "share": place > 99, "donor": plain(donor[place]), **found[place]}
        for figure, place in places
    ]
    curve = {
        "donor": [plain(d) for d in donor[:99]],
        **{key: [f[key] for f in found[:99]] for key in ("imputed", "low", "high")},
    }
    label = sides.fusion.donor.labels.get(column, "")
    return {"name": column, "label": label, "money": is_money(sides, column), "rows": rows, "curve": curve}


def _distribution(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Percentiles 1 to 99, then mean, share negative and share zero."""
    ends = [np.average(part, weights=weight) for part in (values, values < 0, values == 0)]
    return np.concatenate([quantiles(values, weight, np.arange(1, 100) / 100), ends])


def amounts(sides: Sides) -> list[dict[str, Any]]:
    """Compare each imputed amount: who has any, how much those have, and the total."""
    return [_amount(sides, column) for column in sides.amounts]


def _amount(sides: Sides, column: str) -> dict[str, Any]:
    donor = _amount_figures(sides.donor[column], sides.donor_weight)
    found = pooled([_amount_figures(values, sides.receiver_weight) for values in sides.imputed(column)])
    names = ("any", "P10", "P50", "P90", "P99", "mean", "total")
    derived = next((str(i) for i in sides.fusion.identities if i.total == column), "")
    return {
        "name": column,
        "label": sides.fusion.donor.labels.get(column, ""),
        "derived": derived,
        "money": is_money(sides, column),
        "donor": {name: plain(d) for name, d in zip(names, donor, strict=True)},
        "imputed": {name: f["imputed"] for name, f in zip(names, found, strict=True)},
    }


def _amount_figures(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Share with any, quantiles of what is not zero, mean and total of all."""
    some = values != 0
    middle = quantiles(values[some], weight[some], QUANTILES)
    mean = np.average(values, weights=weight)
    return np.array([np.average(some, weights=weight), *middle, mean, mean * weight.sum()])


def classes(sides: Sides) -> list[dict[str, Any]]:
    """Compare the share of each level of each imputed class."""
    out = []
    for column in sides.imputations.columns:
        if not sides.is_class(column):
            continue
        levels = [str(level) for level in sides.fusion.variables[column].levels]
        donor = _shares(sides.donor[column], sides.donor_weight, len(levels))
        found = pooled([_shares(v, sides.receiver_weight, len(levels)) for v in sides.imputed(column)])
        rows = [{"level": lv, "donor": plain(d), **f} for lv, d, f in zip(levels, donor, found, strict=True)]
        label = sides.fusion.donor.labels.get(column, "")
        kept = few_levels(rows, ("donor", "imputed", "low", "high"))
        out.append({"name": column, "label": label, "levels": kept})
    return out


def _shares(codes: FloatArray, weight: FloatArray, levels: int) -> FloatArray:
    return np.asarray(np.bincount(codes.astype(np.int64), weights=weight, minlength=levels) / weight.sum())


def few_levels(rows: Sequence[dict[str, Any]], shares: Sequence[str]) -> list[dict[str, Any]]:
    """Keep a class's largest levels by the donor's share, in their order, and put the others into one."""
    if len(rows) <= MOST_LEVELS:
        return list(rows)
    largest = sorted(range(len(rows)), key=lambda i: -(rows[i]["donor"] or 0.0))[: MOST_LEVELS - 1]
    others = [row for i, row in enumerate(rows) if i not in largest]
    rest: dict[str, Any] = {key: plain(sum(row[key] or 0.0 for row in others)) for key in shares}
    if "low" in rest:  # extremes of a sum are not sums of extremes
        rest |= {"low": None, "high": None, "sd": None}
    return [rows[i] for i in sorted(largest)] + [{"level": f"{len(others)} other levels", **rest}]


def groups(sides: Sides, column: str, by: str, money: bool) -> dict[str, Any]:
    """Compare an amount within groups of a predictor; the donor's groups serve for both sides."""
    names, donor, receiver = _grouping(sides, by, money)
    inside = [donor == g for g in range(len(names))]
    theirs = [receiver == g for g in range(len(names))]
    donors = [_group_figures(sides.donor[column], sides.donor_weight, rows) for rows in inside]
    found = pooled(
        [
            np.concatenate([_group_figures(values, sides.receiver_weight, rows) for rows in theirs])
            for values in sides.imputed(column)
        ]
    )
    out = []
    for g, name in enumerate(names):
        row: dict[str, Any] = {"group": name}
        row |= {"donors": int(inside[g].sum()), "receivers": int(theirs[g].sum())}
        for i, figure in enumerate(("median", "mean", "any")):
            row[figure] = {"donor": plain(donors[g][i]), **found[3 * g + i]}
        out.append(row)
    label = sides.fusion.donor.labels.get(by, "") or sides.fusion.receiver.labels.get(by, "")
    return {"by": by, "label": label, "of": column, "money": is_money(sides, column), "rows": out}


def _group_figures(values: FloatArray, weight: FloatArray, rows: npt.NDArray[np.bool_]) -> FloatArray:
    inside, counts = values[rows], weight[rows]
    if not len(inside):
        return np.full(3, np.nan)
    mean, share = np.average(inside, weights=counts), np.average(inside != 0, weights=counts)
    return np.array([*quantiles(inside, counts, [0.5]), mean, share])


def _grouping(sides: Sides, by: str, money: bool) -> tuple[list[str], FloatArray, FloatArray]:
    """Name the groups and say which each row is in; groups that are empty on both sides are left out."""
    variable, (donor, receiver) = sides.fusion.variables[by], sides.predictor(by)
    known = donor[~np.isnan(donor)]
    if variable.kind.is_class:
        names, codes = [*map(str, variable.levels), UNKNOWN_LEVEL], [donor, receiver]
        codes = [np.where(c < 0, len(names) - 1, c) for c in codes]
    elif by.lower() != "age" and len(single := np.unique(known)) <= 10:
        names, codes = [amount(v, money) for v in single], [_nearest(c, single) for c in (donor, receiver)]
    else:
        weight = sides.donor_weight[~np.isnan(donor)]
        fifths = np.unique(quantiles(known, weight, [0.2, 0.4, 0.6, 0.8]))
        cuts = np.array(AGES) if by.lower() == "age" else fifths[fifths > known.min()]
        names = _ranges(cuts, by, money)
        codes = [np.digitize(c, cuts).astype(float) for c in (donor, receiver)]
    codes = [np.where(np.isnan(raw), len(names), c) for raw, c in zip((donor, receiver), codes, strict=True)]
    present = [g for g in range(len(names) + 1) if any((c == g).any() for c in codes)]
    place = np.full(len(names) + 1, -1.0)
    place[present] = np.arange(len(present))
    named = [*names, "missing"]
    return [named[g] for g in present], place[codes[0].astype(int)], place[codes[1].astype(int)]


def _nearest(values: FloatArray, single: FloatArray) -> FloatArray:
    """Place each value at the nearest of the donors' few; receivers may have others."""
    between = (single[1:] + single[:-1]) / 2
    return np.digitize(values, between).astype(float)


def _ranges(cuts: FloatArray, by: str, money: bool) -> list[str]:
    if not len(cuts):
        return ["all"]
    if by.lower() == "age":
        inner = [f"{low:.0f}–{high - 1:.0f}" for low, high in pairwise(cuts)]
        return [f"under {cuts[0]:.0f}", *inner, f"{cuts[-1]:.0f} and over"]
    text = [amount(c, money) for c in cuts]
    inner = [f"{low} to {high}" for low, high in pairwise(text)]
    return [f"under {text[0]}", *inner, f"{text[-1]} and over"]
