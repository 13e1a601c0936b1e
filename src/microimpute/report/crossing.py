"""The report of several donors: how one donor's amount falls over the tenths of another's, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.calibration import total_in_full
from microimpute.dependence.policy import figure_bounds
from microimpute.errors import FusionError, closest
from microimpute.keyed import RowRandom
from microimpute.manifest import cautions
from microimpute.report import words
from microimpute.stages import Fused
from microimpute.stages.links import shared_predictors
from microimpute.stages.uncertainty import alike, latent_or_none, leading, sample
from microimpute.weighted import groups_of

__all__ = ["TENTHS", "cross", "render_cross"]

FloatArray = npt.NDArray[np.float64]

#: Groups of equal weight.
TENTHS = 10
#: Groups of receivers without comparable donors that are shown of a stage.
SHOWN = 8


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
        least and largest that any pairing within neighbourhoods of the predictors gives it; ``cautions``, what speaks
        against the interval; ``pairs``, ``links``, ``edits``, ``calibration`` and ``stages`` of the manifest.

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
    limits = _limits(fused, by, of)
    tenths = [
        {
            "tenth": k + 1,
            "mean": float(means[k]),
            "share": float(pooled.estimate[k]),
            "low": float(pooled.low[k]),
            "high": float(pooled.high[k]),
            "above": round(float(pooled.estimate[k:].sum()), 9),  # all of it is 1, not nearly so
            "least": limits[k][0],
            "most": limits[k][1],
        }
        for k in range(TENTHS)
    ]
    manifest = imputations.manifest
    return {
        "title": title, "by": by, "of": of, "m": imputations.m, "rows": len(imputations), "rule": pooled.rule,
        "shown": SHOWN,
        "tenths": tenths,
        "cautions": cautions(manifest),
        **{key: manifest[key] for key in ("pairs", "links", "edits")},
        "calibration": list(manifest.get("calibration", ())),
        "stages": [
            {
                "name": s["name"], "donor": s["donor"]["source"], "method": s["method"]["name"],
                "targets": [t["name"] for t in s["targets"]], "bridges": s["bridges"],
                "overlap": s["overlap"], "uncovered": _uncovered(s["overlap"]),
            }
            for s in manifest["stages"]
        ],
    }  # fmt: skip


def _uncovered(overlap: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the groups with the largest share of receivers without comparable donors, of those above everybody's."""
    if not overlap["measured"]:
        return []
    groups = [g for g in overlap["groups"] if g["flagged"] and g["share"] > overlap["all"]["share"]]
    return sorted(groups, key=lambda g: -g["share"])[:SHOWN]


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


def _limits(fused: Fused, by: str, of: str) -> list[tuple[float | None, float | None]]:
    """Return the least and largest share of each tenth and those above, over all pairings.

    Pairings are those within neighbourhoods of the predictors, of rows drawn from all implicates (see
    `stages.uncertainty.sample`); that a row is in this tenth or above, times an amount, is supermodular, so that the
    bounds are exact.
    """
    stage = next(name for name, one in fused.stages.items() if of in one.columns)
    fusion, made = fused.fusions[stage], fused.imputations
    bridges = [b["name"] for s in made.manifest["stages"] if s["name"] == stage for b in s["bridges"]]
    seed = fused.stages[stage].manifest["seed"]
    rows, implicate, keys = sample(fusion.receiver_keys, made.receiver.weights(), made.m, seed)
    x, unit = shared_predictors(fusion, bridges)[rows], fusion.receiver_keys[rows]
    y, z = (made.numbers(c)[implicate, rows] for c in (by, of))
    leads = [latent_or_none(v, x, c, RowRandom(seed, 1, keys), unit) for c, v in ((by, y), (of, z))]
    near = alike(x, leads, np.zeros((len(rows), 0)), RowRandom(seed, 1, unit))
    group, total = groups_of(y, np.ones(len(y)), TENTHS).astype(np.float64), float(z.mean())
    out: list[tuple[float | None, float | None]] = [(None, None)]  # the first and all above it have everything
    for k in range(1, TENTHS):

        def held(g: FloatArray, amount: FloatArray, k: int = k) -> FloatArray:
            return np.asarray((g >= k) * amount, dtype=np.float64)

        found = figure_bounds(held, group, z, near, shape="supermodular")
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
        variable = next((f.variables[column] for f in fused.fusions.values() if column in f.targets), None)
        if variable is not None and variable.kind.is_class and not set(variable.levels) <= {0, 1}:
            raise FusionError(f"{column!r} is a class", "Cross two amounts, or columns of 0 and 1.")
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
    environment.filters.update(
        amount=words.amount, percent=words.percent, count=words.count, signed=words.signed, total=total_in_full
    )
    return environment.get_template("cross.html.j2").render(**summary)
