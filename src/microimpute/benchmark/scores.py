"""Scores: errors of all cells as one tidy table, and skill between the anchors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from microimpute.kinds import Kind
from microimpute.metrics.base import BUNDLE, FAMILIES, metrics
from microimpute.skill import FLOOR, NULL, ORACLE, mean_skill, with_skill

__all__ = ["FLOOR", "KINDS", "PARTS", "UNRANKED", "ZEROS", "Scores", "mean_skill", "with_skill"]

#: The part of a kind's scores that is about zeros alone.
ZEROS = "zeros"
#: Parts of a kind's scores, in the order in which pages show them.
PARTS = (*(f for f in FAMILIES[: FAMILIES.index("tails")]), ZEROS, *FAMILIES[FAMILIES.index("tails") :])
#: Kinds of what is scored one by one, totals included, in the order in which pages show them.
KINDS = (*(k.value for k in Kind), "total")
#: What scores that are about no single target have for a kind.
BUNDLE_KIND = "bundle"


@dataclass(frozen=True)
class Scores:
    """What a benchmark found.

    Attributes
    ----------
    frame
        One row per cell, metric and target: ``track, task, arm, seed, method, metric, family, target, kind, value,
        skill, informative, counted``; see `with_skill`.
    cells
        One row per cell: ``track, task, arm, seed, method, runs, settings, status, reason, seconds, peak_mb, donors,
        receivers`` and its gates; ``method`` is the label, ``runs`` the method's own name.
    audits
        One row per cell and audit figure: ``task, arm, seed, method, audit, figure, value``.
    across
        Track C, unranked: one row per task, seed, method, column and figure.
    left_out
        Task → why it did not run.
    undefined
        (task, metric) pairs without any value: the metric is not defined for the task's kinds.
    """

    frame: pd.DataFrame = field(repr=False)
    cells: pd.DataFrame = field(repr=False)
    audits: pd.DataFrame = field(repr=False)
    across: pd.DataFrame = field(repr=False)
    left_out: Mapping[str, str]
    undefined: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, records: Iterable[dict[str, Any]], left_out: Mapping[str, str] | None = None) -> Scores:
        """Make scores from records of cells; of two records of one cell, as a journal has after a retry, the later."""
        last = {(r["task"], r["arm"], r["seed"], r["label"]): r for r in records}
        records = [last[key] for key in sorted(last)]
        frame = with_skill(pd.DataFrame(_values(records), columns=_COLUMNS))
        cells = pd.DataFrame([_cell(r) for r in records])
        audits = pd.DataFrame(_audits(records), columns=["task", "arm", "seed", "method", "audit", "figure", "value"])
        scored = set(zip(frame["task"], frame["metric"], strict=True))
        across = pd.DataFrame(_across(records), columns=["task", "seed", "method", "part", "name", "figure", "value"])
        names = {r["task"] for r in records if r["track"] != UNRANKED}
        undefined = tuple((t, m) for t in sorted(names) for m in metrics() if (t, m) not in scored)
        return cls(frame, cells, audits, across, dict(left_out or {}), undefined)

    @property
    def methods(self) -> list[str]:
        """Labels of the methods, without the anchors."""
        return sorted(set(self.cells["method"]) - {NULL, ORACLE})

    @property
    def failed(self) -> pd.DataFrame:
        """Cells that failed."""
        return self.cells[self.cells["status"] == "failed"]

    def families(self) -> pd.DataFrame:
        """Return each method's skill by instance and family, see `mean_skill`.

        A failed cell, and one whose draws are missing, has `FLOOR` in every family that the instance has.

        Returns
        -------
        pandas.DataFrame
            Index (task, arm, seed, method), a column per family; NaN where the instance has no such metric.
        """
        table = mean_skill(self.frame, [*INSTANCE, "method", "family"]).unstack("family")
        table = table.reindex(columns=[f for f in FAMILIES if f in table.columns])
        return self._with_failures(table)

    def headline(self) -> pd.DataFrame:
        """Return each method's mean skill by family over tasks, their mean, and its worst family."""
        families = _over_tasks(self.families())
        out = families.copy()
        out["mean"] = families.mean(axis=1)
        out["worst"] = families.min(axis=1)
        out["worst family"] = families.fillna(np.inf).idxmin(axis=1).where(families.notna().any(axis=1), "")
        return out.sort_values("mean", ascending=False)

    def kinds(self) -> pd.DataFrame:
        """Return each method's skill by instance, kind of target and part: a family, or `ZEROS`.

        The part `ZEROS` holds the metrics that are about zeros alone (`Metric.of_zeros`), which are then left out of
        their family. Only scores of single targets and totals count. A failed cell, and one whose draws are missing,
        has `FLOOR` in every part that the instance has.

        Returns
        -------
        pandas.DataFrame
            Index (task, arm, seed, method), columns (kind, part); NaN where the instance has no such score.
        """
        zeros = [name for name, cls in metrics().items() if cls.of_zeros]
        own = self.frame[(self.frame["target"] != BUNDLE) & (self.frame["kind"] != BUNDLE_KIND)]
        own = own.assign(part=own["family"].where(~own["metric"].isin(zeros), ZEROS))
        table = mean_skill(own, [*INSTANCE, "method", "kind", "part"]).unstack(["kind", "part"])
        there = [c for kind in KINDS for part in PARTS if (c := (kind, part)) in table.columns]
        return self._with_failures(table.reindex(columns=pd.MultiIndex.from_tuples(there, names=["kind", "part"])))

    def by_kind(self) -> pd.DataFrame:
        """Return each method's mean skill over tasks, which count alike, by kind of target and part; see `kinds`.

        Returns
        -------
        pandas.DataFrame
            Index (kind, method), a column per part.
        """
        table = _over_tasks(self.kinds())
        parts = [p for p in PARTS if p in table.columns.get_level_values("part")]
        kinds = dict.fromkeys(table.columns.get_level_values("kind"))
        by_kind = {kind: pd.DataFrame(table[kind]).reindex(columns=parts) for kind in kinds}
        if not by_kind:
            return pd.DataFrame(index=pd.MultiIndex.from_tuples([], names=["kind", "method"]))
        tall: pd.DataFrame = pd.concat(by_kind, names=["kind", "method"])
        return tall.dropna(how="all")

    def _with_failures(self, table: pd.DataFrame) -> pd.DataFrame:
        """Put `FLOOR` where a ranked cell has nothing and its instance has something; leave the anchors out."""
        has = table.groupby(INSTANCE).max().notna()
        ranked = self.cells[self.cells["track"] != UNRANKED]
        index = pd.MultiIndex.from_frame(ranked[[*INSTANCE, "method"]])
        table = table.reindex(index)
        lacking = table.isna() & has.reindex(index.droplevel("method")).fillna(False).set_axis(index)
        return table.mask(lacking, FLOOR).drop(index=[NULL, ORACLE], level="method", errors="ignore")


INSTANCE = ["task", "arm", "seed"]
#: The track of tasks without truth per record.
UNRANKED = "C"
_COLUMNS = ["track", *INSTANCE, "method", "metric", "family", "target", "kind", "value"]


def _over_tasks(table: pd.DataFrame) -> pd.DataFrame:
    """Average over seeds, then arms, then tasks, so that each task counts alike; a row per method."""
    for level in (["task", "arm", "method"], ["task", "method"], ["method"]):
        table = table.groupby(level).mean()
    return table


def _values(records: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    family = {name: cls.family for name, cls in metrics().items()}
    return [
        (r["track"], r["task"], r["arm"], r["seed"], r["label"], m, family[m], t, r["kinds"].get(t, BUNDLE_KIND), v)
        for r in records
        for m, found in r["values"].items()
        if m in family
        for t, v in found.items()
    ]


def _cell(record: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: record[name] for name in ("track", "task", "arm", "seed")}
    rest = {name: record.get(name) for name in ("status", "reason", "seconds", "peak_mb", "code")}
    label = record["label"]
    run = {"method": label, "runs": record.get("method", label), "settings": record.get("settings", {})}
    whole: dict[str, Any] = own | run | rest | record["rows"] | record.get("gates", {})
    return whole


def _audits(records: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (r["task"], r["arm"], r["seed"], r["label"], audit, figure, value)
        for r in records
        for audit, found in r.get("audits", {}).items()
        for figure, value in found.items()
    ]


def _across(records: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (r["task"], r["seed"], r["label"], part, name, figure, value)
        for r in records
        for part, found in r.get("across", {}).items()
        for name, figures in found.items()
        for figure, value in figures.items()
    ]
