"""The report of several donors: how one donor's amount falls over the tenths of another's, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.dependence.policy import figure_bounds
from microimpute.dependence.reordering import reorder
from microimpute.errors import FusionError, closest
from microimpute.report import words
from microimpute.stages import Fused
from microimpute.stages.links import shared_predictors
from microimpute.stages.uncertainty import leading
from microimpute.weighted import groups_of

__all__ = ["TENTHS", "cross", "render_cross"]

FloatArray = npt.NDArray[np.float64]

#: Groups of equal weight.
TENTHS = 10


def cross(fused: Fused, *, title: str, by: str | None = None, of: str | None = None) -> dict[str, Any]:
    """Summarise how an amount of one stage falls over the tenths of an amount of another.

    Parameters
    ----------
    fused
        What several donors gave.
    title
        Heading of the report.
    by, of
        The amount whose weighted tenths make the groups, and the one that is shared out; default: those of the first
        link, else the last derived total (or first target) of the first and of the last stage.

    Returns
    -------
    dict
        Plain values: ``tenths`` with mean, share and pooled interval, the share of this tenth and all above, and the
        least and largest that any pairing within neighbourhoods of the predictors gives it; ``pairs``, ``links``,
        ``edits`` and ``stages`` of the manifest.

    Raises
    ------
    FusionError
        If a column was not imputed, or both are one donor's.
    """
    by, of = _columns(fused, by, of)
    imputations = fused.imputations
    pooled = imputations.pool(lambda frame: shares(frame, imputations.receiver.weight, by, of), workers=1)
    weight = imputations.receiver.weights()
    y, z = imputations.numbers(by), imputations.numbers(of)
    means = np.mean([_means(a, b, weight) for a, b in zip(y, z, strict=True)], axis=0)
    limits = _limits(fused, by, of, y[0], z[0], weight)
    tenths = [
        {
            "tenth": k + 1,
            "mean": float(means[k]),
            "share": float(pooled.estimate[k]),
            "low": float(pooled.low[k]),
            "high": float(pooled.high[k]),
            "above": float(pooled.estimate[k:].sum()),
            "least": limits[k][0],
            "most": limits[k][1],
        }
        for k in range(TENTHS)
    ]
    manifest = imputations.manifest
    return {
        "title": title, "by": by, "of": of, "m": imputations.m, "rows": len(imputations), "rule": pooled.rule,
        "tenths": tenths,
        **{key: manifest[key] for key in ("pairs", "links", "edits")},
        "stages": [
            {
                "name": s["name"], "donor": s["donor"]["source"], "method": s["method"]["name"],
                "targets": [t["name"] for t in s["targets"]], "bridges": s["bridges"],
            }
            for s in manifest["stages"]
        ],
    }  # fmt: skip


def shares(frame: Any, weight: str | None, by: str, of: str) -> tuple[FloatArray, FloatArray]:
    """Return each tenth's share of a total, and its sampling variance with rows taken for independent.

    The variance is that of the linearised ratio, Σ (w z (1{tenth} − share) / Z)², for tenths that are given (Särndal,
    Swensson & Wretman 1992, sec. 5.6).
    """
    w = np.ones(len(frame)) if weight is None else np.asarray(frame[weight], dtype=np.float64)
    y, z = (np.asarray(frame[c], dtype=np.float64) for c in (by, of))
    group = groups_of(y, w, TENTHS)
    held = w * z / np.sum(w * z)
    share = np.bincount(group, held, TENTHS).astype(np.float64)
    own = np.bincount(group, held**2, TENTHS).astype(np.float64)
    return share, own - 2 * share * own + share**2 * np.sum(held**2)


def _means(y: FloatArray, z: FloatArray, weight: FloatArray) -> FloatArray:
    group = groups_of(y, weight, TENTHS)
    return np.bincount(group, weight * z, TENTHS) / np.maximum(np.bincount(group, weight, TENTHS), 1e-300)


def _limits(
    fused: Fused, by: str, of: str, y: FloatArray, z: FloatArray, weight: FloatArray
) -> list[tuple[float | None, float | None]]:
    """Return the least and largest share of each tenth and those above, over all pairings, of implicate 1.

    Pairings are those within neighbourhoods of the predictors; that a row is in this tenth or above, times an amount,
    is supermodular, so that the bounds are exact.
    """
    stage = next(name for name, one in fused.stages.items() if of in one.columns)
    fusion = fused.fusions[stage]
    bridges = [b["name"] for s in fused.imputations.manifest["stages"] if s["name"] == stage for b in s["bridges"]]
    x = shared_predictors(fusion, bridges)
    near = reorder(x, y, z, 0.0, fusion.receiver_keys, weight=weight).neighbourhood
    group, total = groups_of(y, weight, TENTHS).astype(np.float64), float(np.average(z, weights=weight))
    out: list[tuple[float | None, float | None]] = [(None, None)]  # the first and all above it have everything
    for k in range(1, TENTHS):

        def held(g: FloatArray, amount: FloatArray, k: int = k) -> FloatArray:
            return np.asarray((g >= k) * amount, dtype=np.float64)

        found = figure_bounds(held, group, z, near, weight=weight, shape="supermodular")
        out.append((found.low / total, found.high / total))
    return out


def _columns(fused: Fused, by: str | None, of: str | None) -> tuple[str, str]:
    links = fused.imputations.manifest["links"]
    if by is None and of is None and links:
        by, of = links[0]["first"], links[0]["second"]
    ends = list(fused.stages)
    chosen = [by or leading(fused.fusions[ends[0]]), of or leading(fused.fusions[ends[-1]])]
    for column in chosen:
        if column not in fused.imputations.columns:
            raise FusionError(f"{column!r} was not imputed", closest(column, fused.imputations.columns))
    if any(set(chosen) <= set(one.columns) for one in fused.stages.values()):
        raise FusionError(
            f"{chosen[0]!r} and {chosen[1]!r} are from one donor", "The cross table is of two donors' columns."
        )
    return chosen[0], chosen[1]


def render_cross(summary: Mapping[str, Any]) -> str:
    """Render a summary of `cross` as one page that needs nothing else."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(amount=words.amount, percent=words.percent, count=words.count, signed=words.signed)
    return environment.get_template("cross.html.j2").render(**summary)
