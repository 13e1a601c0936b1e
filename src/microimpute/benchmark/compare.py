"""Statements about methods: the default against each other one, and who leads for which kind of variable."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd

from microimpute.benchmark.ranking import SURE, over_tasks, resampled
from microimpute.benchmark.scores import ZEROS, Scores
from microimpute.drawing import impute
from microimpute.methods.base import methods

__all__ = ["ALL", "against", "by_task", "default_method", "leaders", "valid_methods"]

Row = dict[str, Any]

#: Name of all ranked tracks together.
ALL = "all"
#: Parts of a kind's scores for which a leader is named: a row's own distribution, zeros, and tails or level shares.
LED = ("conditional", ZEROS, "tails")


def default_method() -> str:
    """Return the method that `impute` uses when none is named."""
    return str(inspect.signature(impute).parameters["method"].default)


def valid_methods(scores: Scores) -> list[str]:
    """Return the labels of methods that make draws; point predictions are for comparison and lead nothing."""
    known = methods()
    runs = dict(zip(scores.cells["method"], scores.cells["runs"], strict=True))
    return [label for label in scores.methods if (cls := known.get(runs[label])) is None or cls.valid]


def against(scores: Scores, method: str, resamples: int = 1000, seed: int = 0) -> list[Row]:
    """Compare one method with each other one by mean skill, over all ranked tasks and per track.

    Of each instance (task, arm, seed) that both ran on, the difference in skill is taken family by family; it is
    averaged over seeds, arms, tasks and then families, and bootstrapped over tasks and their seeds as the ranks are.

    Parameters
    ----------
    scores
        Of at least that method.
    method
        Its label.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    list of dict
        ``method`` (the other one) and ``tracks``: track, or `ALL` → ``difference`` (above zero: ours is better),
        ``span`` (95% interval), ``p_better`` (share of the resamples in which ours is better) and ``tasks``, their
        number; the nearest rival over all tasks first. Empty if it did not run, or nothing else did.
    """
    families = scores.families()
    others = [m for m in scores.methods if m != method]
    if method not in scores.methods or not others or families.empty:
        return []
    wide = families.unstack("method")
    parts = {f: wide[f].rsub(wide[(f, method)], axis=0)[others] for f in families.columns}
    difference = pd.concat(parts, axis=1, names=["family", "method"])
    track = _tracks(scores)
    own = np.array([track[str(task)] for task in difference.index.get_level_values("task")])
    tracks = {ALL: difference} | {t: difference[own == t] for t in sorted(set(own.tolist()))}
    found = {name: _differences(part, resamples, seed) for name, part in tracks.items()}
    rows = [{"method": other, "tracks": {t: table[other] for t, table in found.items()}} for other in others]
    return sorted(rows, key=lambda row: _or_infinity(row["tracks"][ALL]["difference"]))


def _differences(difference: pd.DataFrame, resamples: int, seed: int) -> dict[str, Row]:
    mean = over_tasks(difference).groupby(level="method").mean()
    drawn = resampled(difference, resamples, seed).T.groupby(level="method").mean().T
    known = difference.notna().T.groupby(level="method").any().T.groupby(level="task").any().sum()
    low, high = drawn.quantile(0.025), drawn.quantile(0.975)
    return {
        str(m): {
            "difference": _plain(mean[m]),
            "span": [_plain(low[m]), _plain(high[m])],
            "p_better": _plain((drawn[m] > 0).mean() if drawn[m].notna().any() else np.nan),
            "tasks": int(known[m]),
        }
        for m in mean.index
    }


def by_task(scores: Scores, method: str) -> list[Row]:
    """Say for each task and arm who leads, and what the method's mean and worst family are there.

    Returns
    -------
    list of dict
        ``track, task, arm, leader, best`` (the leader's mean), ``mean, worst_family, worst``; None where the method
        did not run.
    """
    table = scores.families().groupby(["task", "arm", "method"]).mean()
    track = _tracks(scores)
    valid = valid_methods(scores)
    rows = []
    for place, part in table.groupby(level=["task", "arm"]):
        task, arm = map(str, place)
        skills = part.droplevel(["task", "arm"])
        mean = skills.mean(axis=1)
        ranked = mean[mean.index.isin(valid)].dropna()
        row: Row = {"track": track[task], "task": task, "arm": arm}
        row |= {"leader": str(ranked.idxmax()) if len(ranked) else "", "best": _plain(ranked.max())}
        row |= {"mean": _plain(mean.get(method)), "worst_family": "", "worst": None}
        if row["mean"] is not None:
            worst = skills.loc[method].dropna()
            row |= {"worst_family": str(worst.idxmin()), "worst": _plain(worst.min())}
        rows.append(row)
    return sorted(rows, key=lambda row: (row["track"], row["task"], row["arm"]))


def leaders(scores: Scores, resamples: int = 1000, seed: int = 0) -> list[Row]:
    """Say which method leads for which kind of variable, and which are not surely worse.

    Only instances count that all methods which make draws ran on. A method is not surely worse when the leader is
    better than it in fewer than 95% of the bootstrap's resamples (over tasks and seeds, as for ranks).

    Returns
    -------
    list of dict
        ``kind, part`` (see `LED`), ``tasks`` (their number), ``leader, skill, span, close`` (labels, best first).
    """
    table = scores.kinds()
    table = table[table.index.get_level_values("method").isin(valid_methods(scores))]
    rows = []
    for kind in table.columns.get_level_values("kind").unique():
        for part in (p for p in LED if (kind, p) in table.columns):
            value = table[(kind, part)].unstack("method").dropna()
            if len(value):
                rows.append({"kind": str(kind), "part": part} | _leader(value, resamples, seed))
    return rows


def _leader(value: pd.DataFrame, resamples: int, seed: int) -> Row:
    mean = over_tasks(value).sort_values(ascending=False, kind="stable")
    drawn = resampled(value, resamples, seed)
    leader = mean.index[0]
    behind = drawn.rsub(drawn[leader], axis=0).gt(0).mean()
    low, high = drawn[leader].quantile([0.025, 0.975])
    return {
        "tasks": int(value.index.get_level_values("task").nunique()),
        "leader": str(leader),
        "skill": _plain(mean.iloc[0]),
        "span": [_plain(low), _plain(high)],
        "close": [str(m) for m in mean.index[1:] if behind[m] < SURE],
    }


def _tracks(scores: Scores) -> dict[str, str]:
    cells = scores.cells
    return {str(task): str(track) for task, track in zip(cells["task"], cells["track"], strict=True)}


def _plain(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _or_infinity(value: float | None) -> float:
    return np.inf if value is None else value
