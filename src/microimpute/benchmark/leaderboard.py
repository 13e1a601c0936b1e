"""The leaderboard: scores summed up as one plain dict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from microimpute.benchmark.across import across_rows
from microimpute.benchmark.compare import against, by_task, default_method, leaders, valid_methods
from microimpute.benchmark.ranking import Ranking, interval, rank
from microimpute.benchmark.scores import FLOOR, Scores
from microimpute.benchmark.suite import NULL, ORACLE
from microimpute.metrics.base import FAMILIES, audits, metrics
from microimpute.tasks.base import tasks

__all__ = ["summarise"]

Row = dict[str, Any]


def summarise(scores: Scores, title: str) -> dict[str, Any]:
    """Put everything that a page shows into one plain dict.

    Parameters
    ----------
    scores
        Of at least one method on one task.
    title
        Of the page.

    Returns
    -------
    dict
        ``title, made_from, verdict, families, headline, better, default, against, overview, tasks, leaders, parts,
        kinds, costs, audits, troubles, left_out, undefined, metrics``; numbers as float or None.
    """
    ranking = rank(scores)
    families = [f for f in FAMILIES if f in set(scores.frame["family"])]
    default, by_kind = default_method(), scores.by_kind()
    return {
        "title": title,
        "made_from": _made_from(scores),
        "verdict": ranking.why,
        "floor": FLOOR,
        "families": families,
        "headline": _headline(scores, ranking, families),
        "better": _square(ranking.better),
        "default": default,
        "against": against(scores, default),
        "overview": by_task(scores, default),
        "tasks": _tasks(scores, families),
        "leaders": leaders(scores),
        "parts": list(by_kind.columns),
        "kinds": _kinds(scores, by_kind),
        "about": _about(scores),
        "costs": _costs(scores),
        "audits": _audit_rows(scores),
        "across": across_rows(scores.across),
        "troubles": _troubles(scores),
        "left_out": [f"{task}: {why}" for task, why in scores.left_out.items()],
        "undefined": _undefined(scores),
        "metrics": _metric_rows(scores),
    }


def _made_from(scores: Scores) -> Row:
    cells = scores.cells
    arms = cells.groupby("task")["arm"].unique().map(sorted)
    return {
        "cells": len(cells),
        "tasks": {str(t): list(a) for t, a in arms.items()},
        "seeds": int(cells["seed"].nunique()),
        "which_seeds": sorted({int(seed) for seed in cells["seed"]}),
        "code": sorted({str(code) for code in cells["code"]}),
        "versions": {str(c): sorted(set(own["method"])) for c, own in cells.groupby("code")},
        "methods": scores.methods,
        "valid": valid_methods(scores),
        "runs": {m: _run(own) for m, own in cells.groupby("method") if m in scores.methods},
    }


def _run(cells: pd.DataFrame) -> Row:
    first = cells.iloc[0]
    return {"method": str(first["runs"]), "settings": dict(first["settings"]), "seeds": int(cells["seed"].nunique())}


def _headline(scores: Scores, ranking: Ranking, families: list[str]) -> list[Row]:
    head = scores.headline()
    spans = interval(scores)
    rows = []
    for method in ranking.table.index:
        place, own = ranking.table.loc[method], head.loc[method]
        rows.append(
            {
                "method": method,
                "skill": {f: _plain(own[f]) for f in families},
                "span": {f: [_plain(v) for v in spans[f].loc[method]] for f in (*families, "mean")},
                "mean": _plain(own["mean"]),
                "worst": _plain(own["worst"]),
                "worst_family": own["worst family"],
                "rank": _plain(place["mean_rank"]),
                "rank_span": [_plain(place["low"]), _plain(place["high"])],
                "p_best": _plain(place["p_best"]),
                "without": [int(place["best_without"]), int(place["worst_without"])],
            }
        )
    return rows


def _square(better: pd.DataFrame) -> Row:
    return {str(a): {str(b): _plain(better.loc[a, b]) for b in better.columns if a != b} for a in better.index}


def _tasks(scores: Scores, families: list[str]) -> list[Row]:
    table = scores.families().groupby(["task", "arm", "method"]).mean().reindex(columns=families)
    track = scores.cells.drop_duplicates("task").set_index("task")["track"]
    rows = []
    for place, part in table.groupby(level=["task", "arm"]):
        task, arm = map(str, place)
        skills = part.droplevel(["task", "arm"])
        order = skills.mean(axis=1).sort_values(ascending=False)
        methods = [{"method": m, "skill": _by_family(skills, m), "mean": _plain(order[m])} for m in order.index]
        rows.append({"track": str(track[task]), "task": task, "arm": arm, "methods": methods})
    return sorted(rows, key=lambda row: (row["track"], row["task"], row["arm"]))


def _by_family(skills: pd.DataFrame, method: Any) -> dict[str, float | None]:
    return {str(family): _plain(skills.at[method, family]) for family in skills.columns}


def _kinds(scores: Scores, table: pd.DataFrame) -> list[Row]:
    known = scores.kinds().notna().T.groupby(level="kind").any().T.groupby(level="task").any().sum()
    out = []
    for kind in table.index.unique("kind"):
        skills = pd.DataFrame(table.xs(kind, level="kind"))
        methods = [{"method": m, "skill": _by_family(skills, m)} for m in skills.index]
        out.append({"kind": str(kind), "tasks": int(known[kind]), "methods": methods})
    return out


def _about(scores: Scores) -> list[Row]:
    """Say what each task is; one's own, which no registry knows, by name only."""
    known = tasks()
    rows = []
    for name, part in scores.cells.groupby("task"):
        cls = known.get(str(name))
        facts: Row = {"summary": cls.summary, "source": cls.source} if cls else {"summary": "", "source": ""}
        size = [int(part[side].median()) for side in ("donors", "receivers")] if "donors" in part else [None, None]
        track = str(part["track"].iloc[0])
        rows.append({"task": str(name), "track": track, "donors": size[0], "receivers": size[1]} | facts)
    return sorted(rows, key=lambda row: (row["track"], row["task"]))


def _costs(scores: Scores) -> list[Row]:
    own = scores.cells[scores.cells["method"].isin(scores.methods)]
    return [
        {
            "method": method,
            "seconds": _plain(part["seconds"].median()),
            "longest": _plain(part["seconds"].max()),
            "peak": _plain(part["peak_mb"].max()),
        }
        for method, part in own.groupby("method")
    ]


def _audit_rows(scores: Scores) -> list[Row]:
    if scores.audits.empty:
        return []
    table = scores.audits.groupby(["method", "audit", "figure"])["value"].mean()
    named = {name: cls.summary for name, cls in audits().items()}
    found = sorted({(audit, figure) for _, audit, figure in table.index})
    methods = [NULL, *scores.methods]
    return [
        {
            "audit": audit if audit == figure or not figure else f"{audit}, {figure}",
            "summary": named.get(audit, ""),
            "values": {m: _plain(table.get((m, audit, figure))) for m in methods},
        }
        for audit, figure in found
    ]


def _troubles(scores: Scores) -> list[str]:
    bad = scores.cells[scores.cells["status"] != "ok"]
    table = bad.groupby(["method", "task", "arm", "status", "reason"]).size().reset_index(name="cells")
    out = []
    for method, task, arm, status, reason, cells in table.itertuples(index=False, name=None):
        told = " ".join(str(reason).split())
        out.append(f"{method} on {task}/{arm}: {status} ({told}), {cells} cell{'s' if cells > 1 else ''}")
    return out


def _undefined(scores: Scores) -> list[str]:
    by_metric: dict[str, list[str]] = {}
    for task, metric in scores.undefined:
        by_metric.setdefault(metric, []).append(task)
    return [f"{metric}: {', '.join(found)}" for metric, found in sorted(by_metric.items())]


def _metric_rows(scores: Scores) -> list[Row]:
    """Return each metric's anchors and each method's mean skill, worst ones as they are."""
    own = scores.frame[~scores.frame["method"].isin([NULL, ORACLE])]
    table = own.groupby(["metric", "method"])["skill"].mean().unstack("method")
    rows = []
    for name, cls in sorted(metrics().items(), key=lambda item: (FAMILIES.index(item[1].family), item[0])):
        skill = {m: _plain(table[m].get(name)) for m in table.columns} if name in table.index else {}
        anchor = "oracle" if cls.anchored else "null only, unless the sampler is known"
        facts = {"name": name, "family": cls.family, "summary": cls.summary, "anchor": anchor, "matters": cls.matters}
        rows.append(facts | {"skill": skill})
    return rows


def _plain(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
