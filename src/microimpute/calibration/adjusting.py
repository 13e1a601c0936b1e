"""Imputed values moved so that weighted totals are met: ranks within groups, zeros, signs and identities stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.calibration.aggregates import Line, Side
from microimpute.calibration.distances import Distance
from microimpute.calibration.solving import calibrated_weights
from microimpute.errors import CalibrationError, closest
from microimpute.frames import Series, make_series
from microimpute.rules import AtMost, Identity, parse

__all__ = ["Adjusted", "adjust", "broken_since", "check_adjustable", "leaves"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass
class Adjusted:
    """Imputed columns after the adjustment.

    Attributes
    ----------
    values
        Column → one series per implicate; only those that changed.
    factors
        Column → least and largest factor over rows and implicates.
    """

    values: dict[str, list[Series]] = field(default_factory=dict)
    factors: dict[str, tuple[float, float]] = field(default_factory=dict)


def leaves(column: str, identities: Sequence[Identity]) -> dict[str, int]:
    """Return the columns, themselves no totals, that a column is the signed sum of."""
    identity = next((i for i in identities if i.total == column), None)
    if identity is None:
        return {column: 1}
    found: dict[str, int] = {}
    for part, sign in identity.parts.items():
        for leaf, inner in leaves(part, identities).items():
            found[leaf] = found.get(leaf, 0) + sign * inner
    return {leaf: sign for leaf, sign in found.items() if sign}


def adjust(
    side: Side,
    lines: Sequence[Sequence[Line]],
    distance: Distance,
    identities: Sequence[Identity],
    kinds: Mapping[str, str],
) -> Adjusted:
    """Scale imputed amounts by as little as meets the totals, in each implicate.

    All imputed amounts of one column, group and sign share a factor F(x'λ): what totals count positively and what
    they count negatively (debts in net worth, losses) move in opposite directions. The factors are those of
    calibration with the amounts' weighted sums in the place of weights.

    Parameters
    ----------
    identities
        In order of derivation; totals are derived again from their parts.
    kinds
        Kind of each drawn column.

    Raises
    ------
    CalibrationError
        If a total speaks of what was not imputed, of classes or counts, or can't be met.
    """
    signs = check_adjustable(side, lines, identities, kinds)
    parts = list(dict.fromkeys(leaf for of in signs for leaf in of))
    out = Adjusted()
    for i in range(side.m):
        columns = {leaf: side.numbers(leaf, i) for leaf in parts}
        free = {leaf: _free(side, leaf, identities) for leaf in parts}
        factors = _factors(side, lines, signs, distance, columns, free, i)
        for leaf, factor in factors.items():
            some = factor[free[leaf] & (np.nan_to_num(columns[leaf]) != 0)]
            low, high = out.factors.get(leaf, (np.inf, 0.0))
            out.factors[leaf] = (float(some.min(initial=low)), float(some.max(initial=high)))
            columns[leaf] = np.where(factor == 1.0, columns[leaf], columns[leaf] * factor)
        columns |= _derived(side, identities, columns, i)
        for name, values in columns.items():
            if name in side.values:
                out.values.setdefault(name, []).append(_series(side, name, values))
    out.factors = {leaf: ends for leaf, ends in out.factors.items() if ends[1] > 0}
    return out


def check_adjustable(
    side: Side, lines: Sequence[Sequence[Line]], identities: Sequence[Identity], kinds: Mapping[str, str]
) -> list[dict[str, int]]:
    """Return the parts of each total, with their signs.

    Raises
    ------
    CalibrationError
        If a total speaks of what was not imputed, of classes or counts, or by groups that would be moved.
    """
    signs = [_checked(side, of, identities, kinds) for of in lines]
    _refuse_moving_groups(lines, list(dict.fromkeys(leaf for of in signs for leaf in of)), identities)
    return signs


def _checked(
    side: Side, of: Sequence[Line], identities: Sequence[Identity], kinds: Mapping[str, str]
) -> dict[str, int]:
    column = of[0].aggregate.of
    if column is None:
        raise CalibrationError("numbers of units do not depend on imputed amounts", "Calibrate weights to them.")
    if column not in side.values:
        if column in side.survey.columns:
            raise CalibrationError(
                f"target column {column!r} was observed, not imputed; observed values are never changed",
                "Calibrate weights to it: how='weights'.",
            )
        raise CalibrationError(f"target column {column!r} is not there", closest(column, side.columns))
    parts = leaves(column, identities)
    if not any(leaf in side.values for leaf in parts):
        raise CalibrationError(f"no part of {column!r} was imputed", "Calibrate weights to it: how='weights'.")
    for leaf in parts:
        if kinds.get(leaf) in ("count", "binary", "categorical", "ordinal"):
            raise CalibrationError(
                f"target column {leaf!r} is {kinds[leaf]}: a factor would make it what nobody has",
                "Calibrate weights to it: how='weights'.",
            )
    return parts


def _refuse_moving_groups(
    lines: Sequence[Sequence[Line]], parts: Sequence[str], identities: Sequence[Identity]
) -> None:
    moved = {*parts, *(t.total for t in identities if set(leaves(t.total, identities)) & set(parts))}
    for of in lines:
        for group in of[0].aggregate.groups:
            if group in moved:
                raise CalibrationError(
                    f"{of[0].aggregate.of!r} is to be adjusted by groups of {group!r}, which is adjusted itself",
                    "Group by a column that stays as it is.",
                )


def _free(side: Side, column: str, identities: Sequence[Identity]) -> Flags:
    """Rows whose value was imputed, and is part of no total that was observed."""
    own = set(side.survey.columns)
    if column not in side.values:
        return np.zeros(len(side.survey), dtype=bool)
    fixed = np.zeros(len(side.survey), dtype=bool)
    above = [t.total for t in identities if column in leaves(t.total, identities)]
    for name in (column, *above):
        if name in own:
            fixed |= ~np.isnan(side.survey.numbers(name))
    return ~fixed


def _factors(
    side: Side,
    lines: Sequence[Sequence[Line]],
    signs: Sequence[Mapping[str, int]],
    distance: Distance,
    columns: Mapping[str, FloatArray],
    free: Mapping[str, Flags],
    implicate: int,
) -> dict[str, FloatArray]:
    """Solve for the factors of all cells (column × groups × sign) and give each row its own."""
    weight = side.survey.weights()
    codes = [side.codes(of, implicate) for of in lines]
    starts = np.cumsum([0, *(len(of) for of in lines)])
    left = np.array([line.target for of in lines for line in of])
    for a, of in enumerate(lines):  # observed totals may be off from their parts by cents, and stay so
        off = _beyond_parts(side, str(of[0].aggregate.of), signs[a], columns, implicate)
        inside = codes[a] >= 0
        left[starts[a] : starts[a + 1]] -= np.bincount(codes[a][inside], (weight * off)[inside], len(of))
    designs: list[FloatArray] = []
    masses: list[FloatArray] = []
    places: dict[str, tuple[IntArray, IntArray]] = {}
    for leaf, values in columns.items():
        amount = np.nan_to_num(values)
        using = [a for a, of in enumerate(signs) if leaf in of]
        for a in using:  # what can't move is taken from the target
            kept = ~free[leaf] & (codes[a] >= 0)
            still = np.bincount(codes[a][kept], signs[a][leaf] * (weight * amount)[kept], len(lines[a]))
            left[starts[a] : starts[a + 1]] -= still
        rows = np.flatnonzero(free[leaf] & (amount != 0) & np.any([codes[a] >= 0 for a in using], axis=0))
        key = np.column_stack([*(codes[a][rows] for a in using), np.sign(amount[rows])]).astype(np.int64)
        cells, cell = np.unique(key, axis=0, return_inverse=True)
        design = np.zeros((len(cells), starts[-1]))
        for at, a in enumerate(using):
            some = np.flatnonzero(cells[:, at] >= 0)
            design[some, starts[a] + cells[some, at]] = signs[a][leaf] * cells[some, -1]
        places[leaf] = (rows, cell.ravel() + sum(len(d) for d in designs))
        designs.append(design)
        masses.append(np.bincount(cell.ravel(), np.abs(weight * amount)[rows], len(cells)).astype(np.float64))
    names = _names(side, lines, left, implicate)
    mass = np.concatenate(masses)
    factor = calibrated_weights(np.concatenate(designs), mass, left, distance, names, factors=True)
    out = {leaf: np.ones(len(weight)) for leaf in columns}
    for leaf, (rows, cell) in places.items():
        out[leaf][rows] = factor[cell]
    return out


def _beyond_parts(
    side: Side, column: str, signs: Mapping[str, int], columns: Mapping[str, FloatArray], implicate: int
) -> FloatArray:
    parts = np.sum([sign * np.nan_to_num(columns[leaf]) for leaf, sign in signs.items()], axis=0)
    off = np.nan_to_num(side.numbers(column, implicate)) - parts
    observed = bool(set(side.values) & set(side.survey.columns))  # else only the last bits of sums differ
    return off if observed else np.zeros_like(off)


def _names(side: Side, lines: Sequence[Sequence[Line]], left: FloatArray, implicate: int) -> list[str]:
    flat = [line for of in lines for line in of]
    return [
        str(line) + (", less what is observed," if gap != line.target else "") + f" in implicate {implicate + 1}"
        for line, gap in zip(flat, left, strict=True)
    ]


def _derived(
    side: Side, identities: Sequence[Identity], columns: Mapping[str, FloatArray], implicate: int
) -> dict[str, FloatArray]:
    """Derive the totals that an adjusted column is part of, in the order and way of the imputation itself."""
    known = dict(columns)
    made: dict[str, FloatArray] = {}
    for identity in identities:
        if not set(leaves(identity.total, identities)) & set(columns):
            continue
        parts = {p: known[p] if p in known else side.numbers(p, implicate) for p in identity.parts}
        nothing = np.all([np.isnan(v) for v in parts.values()], axis=0)
        total = np.where(nothing, np.nan, identity.value({p: np.nan_to_num(v) for p, v in parts.items()}))
        if identity.total in side.survey.columns:
            own = side.survey.numbers(identity.total)
            total = np.where(np.isnan(own), total, own)
        made[identity.total] = known[identity.total] = total
    return made


def broken_since(manifest: Mapping[str, Any], before: Side, after: Side) -> list[str]:
    """Say which bounds more rows break after an adjustment than before, over all implicates.

    Identities hold, and so do rules of zeros and signs. Missing values count as 0. Of a bound that speaks of columns
    which are not here (a stage's own view of the receiver had them) that is said instead.
    """
    notes = []
    for text in (said["rule"] for said in (*manifest["rules"], *manifest.get("edits", ()))):
        rule = parse(text)
        if not isinstance(rule, AtMost):
            continue
        if gone := [c for c in rule.columns if c not in before.columns]:
            notes.append(f"{text!r} was not looked at again after the adjustment: {gone[0]} is not in the receiver.")
            continue
        then, now = (
            sum(int(rule.broken({c: np.nan_to_num(s.numbers(c, i)) for c in rule.columns}).sum()) for i in range(s.m))
            for s in (before, after)
        )
        if now > then:
            notes.append(
                f"{text!r} is broken by {now:,} rows over all implicates after the adjustment, by {then:,} before."
            )
    return notes


def _series(side: Side, name: str, values: FloatArray) -> Series:
    backend = side.survey.frame.implementation
    if np.isnan(values).any():
        return make_series(name, [None if v != v else v for v in values.tolist()], nw.Float64, backend)
    return make_series(name, values, nw.Float64, backend)
