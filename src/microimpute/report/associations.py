"""Rank correlations of the main targets, among donors and among implicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Kind
from microimpute.report.sides import Rows, Sides, plain, pooled, ranks

__all__ = ["correlations"]

FloatArray = npt.NDArray[np.float64]
Ranked = tuple[Rows, FloatArray]

#: Targets and predictors shown at most.
MOST_TARGETS = 8
MOST_PREDICTORS = 12


def correlations(sides: Sides, headline: str | None) -> dict[str, Any] | None:
    """Compare weighted Spearman correlations of the main targets with predictors and with each other.

    Parameters
    ----------
    sides
        Donors and implicates.
    headline
        Stands first among the targets; after it come those with the largest totals, then ordered classes.

    Returns
    -------
    dict or None
        ``with_predictors`` and ``with_targets``, each with ``columns`` and ``rows`` of cells that hold the
        donor's correlation, the implicates' mean, and their difference; None where no target has an order.
    """
    candidates = _ordered_targets(sides, headline)
    targets = candidates[:MOST_TARGETS]
    if not targets:
        return None
    ordered = [p for p in sides.fusion.predictors if sides.fusion.variables[p].kind is not Kind.CATEGORICAL]
    predictors = ordered[:MOST_PREDICTORS]
    pairs = [tuple(_without_unseen(sides, p)) for p in predictors]
    donor_x = [_ranked(donor, sides.donor_weight) for donor, _ in pairs]
    receiver_x = [_ranked(receiver, sides.receiver_weight) for _, receiver in pairs]
    donor = _matrix([sides.donor[t] for t in targets], donor_x, sides.donor_weight)
    implicates = zip(*(sides.imputed(t) for t in targets), strict=True)
    found = [_matrix(block, receiver_x, sides.receiver_weight).ravel() for block in implicates]
    cells = [_cell(d, f["imputed"]) for d, f in zip(donor.ravel(), pooled(found), strict=True)]
    width, first = len(targets) + len(predictors), len(targets)
    rows = [cells[i : i + width] for i in range(0, len(cells), width)]
    among = [[None if i == j else cell for j, cell in enumerate(row[:first])] for i, row in enumerate(rows)]
    return {
        "with_predictors": _table(targets, predictors, [row[first:] for row in rows]),
        "with_targets": _table(targets, targets, among) if len(targets) > 1 else None,
        "more_targets": len(candidates) - len(targets),
        "more_predictors": len(ordered) - len(predictors),
    }


def _ordered_targets(sides: Sides, headline: str | None) -> list[str]:
    size = {c: abs(float(sides.donor[c] @ sides.donor_weight)) for c in sides.amounts}
    amounts = sorted(size, key=lambda c: (c != headline, -size[c]))
    kinds = sides.fusion.variables
    ordered = [t for t in sides.fusion.targets if kinds[t].kind in (Kind.BINARY, Kind.ORDINAL)]
    return amounts + ordered


def _cell(donor: float, imputed: float | None) -> dict[str, float | None]:
    known = imputed is not None and not np.isnan(donor)
    return {
        "donor": plain(donor),
        "imputed": imputed,
        "difference": plain(imputed - donor) if known and imputed is not None else None,
    }


def _table(targets: Sequence[str], columns: Sequence[str], rows: Sequence[Any]) -> dict[str, Any] | None:
    if not columns:
        return None
    named = [{"name": name, "cells": list(cells)} for name, cells in zip(targets, rows, strict=True)]
    return {"columns": list(columns), "rows": named}


def _without_unseen(sides: Sides, name: str) -> Iterator[FloatArray]:
    """Yield a predictor of donors and receivers; a class that no donor has has no rank."""
    for values in sides.predictor(name):
        yield np.where(values < 0, np.nan, values) if sides.is_class(name) else values


def _ranked(values: FloatArray, weight: FloatArray) -> Ranked:
    """Rank a predictor among the rows that have it, and say which these are."""
    known = ~np.isnan(values)
    rows: Rows = slice(None) if known.all() else known
    return rows, ranks(values[rows], weight[rows]) if known.any() else np.zeros(0)


def _matrix(targets: Sequence[FloatArray], predictors: Sequence[Ranked], weight: FloatArray) -> FloatArray:
    """Correlate targets with targets and then with predictors, shape (targets, targets + predictors)."""
    ranked = np.array([ranks(values, weight) for values in targets])
    columns = [_correlate(ranked, ranked, weight)]
    for rows, x in predictors:
        columns.append(_correlate(ranked[:, rows], x[None, :], weight[rows]))
    return np.hstack(columns)


def _correlate(a: FloatArray, b: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted correlations of the rows of two arrays; NaN where one of them is constant."""
    if not weight.size:
        return np.full((len(a), len(b)), np.nan)
    share = weight / weight.sum()
    left, right = a - (a @ share)[:, None], b - (b @ share)[:, None]
    variance = np.outer((left**2) @ share, (right**2) @ share)
    cross = (left * share) @ right.T
    out: FloatArray = np.full_like(cross, np.nan)
    np.divide(cross, np.sqrt(variance), out=out, where=variance > 1e-24)
    return out
