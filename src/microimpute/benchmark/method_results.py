"""The benchmark's rows of one method, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microimpute.benchmark.compare import ALL
from microimpute.benchmark.markdown import count, table, text, with_name, with_span
from microimpute.benchmark.scores import KINDS
from microimpute.benchmark.suite import NULL_METHOD

__all__ = ["extent", "results", "seconds", "tasks_of", "without_results"]

Summary = Mapping[str, Any]


def seconds(value: float | None) -> str:
    """Write a time."""
    return "an unknown time" if value is None else f"{value:.1f} s"


def without_results(name: str) -> str:
    """Say why a method has no rows."""
    if name == NULL_METHOD:
        return "the benchmark's null: its skill is 0 by definition, so it has no rows of its own."
    return "not in the committed results, so nothing is known of its skill here."


def results(name: str, summary: Summary) -> list[str]:
    """Write a method's rows; without any, say so."""
    row = next((row for row in summary["headline"] if row["method"] == name), None)
    if row is None:
        return [f"`{name}` is {without_results(name)}"]
    made = summary["made_from"]
    on = f"{count(tasks_of(name, summary), 'task')}, {count(made['runs'][name]['seeds'], 'seed')}"
    lines = [
        f"On {on}; see [the whole benchmark](../benchmarks.md). Skill: 0 is a shuffle of donor rows that ignores the "
        "predictors, 1 the truth; in brackets 95% bootstrap intervals over tasks and seeds.",
        "",
    ]
    settings = made["runs"][name]["settings"]
    if settings:
        lines += [
            f"Run with {', '.join(f'`{k} = {json.dumps(v)}`' for k, v in settings.items())}, all else as by default.",
            "",
        ]
    lines += [*_headline(row, summary), "", *_kinds(name, summary), "", *_tasks(name, summary)]
    variants = [m for m, run in made["runs"].items() if run["method"] == name and m != name]
    if variants:
        lines += ["", f"With other settings, in [the whole benchmark](../benchmarks.md): {', '.join(variants)}."]
    troubles = [line for line in summary["troubles"] if line.startswith(f"{name} on ")]
    if troubles:
        lines += ["", "### Cells that failed or stand behind a gate", "", *(f"- {told}" for told in troubles)]
    return lines


def tasks_of(name: str, summary: Summary) -> int:
    """Return the number of ranked tasks that a method ran on."""
    return len({own["task"] for own in summary["tasks"] if any(m["method"] == name for m in own["methods"])})


def extent(name: str, summary: Summary) -> tuple[int, int, int]:
    """Return the numbers of ranked tasks, of their arms and of seeds that a method ran on."""
    arms = sum(any(m["method"] == name for m in own["methods"]) for own in summary["tasks"])
    return tasks_of(name, summary), arms, int(summary["made_from"]["runs"][name]["seeds"])


def _headline(row: Mapping[str, Any], summary: Summary) -> list[str]:
    own, default = row["method"], summary["default"]
    table_of = {r["method"]: r for r in summary["headline"]}
    beside = [m for m in dict.fromkeys((_best(summary), default)) if m in table_of and m != own]
    notes = {default: "the default"} | {_best(summary): "the best mean"}
    notes[default] = "the default, and the best mean" if _best(summary) == default else "the default"
    rows = []
    for method in (own, *beside):
        r = table_of[method]
        label = method if method == own else f"{method}, {notes[method]}"
        if (on := tasks_of(method, summary)) != tasks_of(own, summary):
            label += f", on {count(on, 'task')}"
        skills = [with_span(r["skill"][f], r["span"][f]) for f in summary["families"]]
        worst = with_name(r["worst"], r["worst_family"])
        rows.append([label, with_span(r["mean"], r["span"]["mean"]), worst, *skills])
    lines = table(["", "mean", "worst family", *summary["families"]], rows)
    cost = next(c for c in summary["costs"] if c["method"] == own)
    peak = "" if cost["peak"] is None else f" Largest peak memory of its process: {cost['peak']:.0f} MB."
    rank, span = row["rank"], row["rank_span"]
    lines += ["", f"Mean rank {with_span(rank, span)} of {len(table_of)}; P(best) {text(row['p_best'])}."]
    lines += [f"A cell took {seconds(cost['seconds'])} (median), {seconds(cost['longest'])} at most.{peak}"]
    against = next((a["tracks"] for a in summary["against"] if a["method"] == own), None)
    if against and against[ALL]["difference"] is not None:
        found = against[ALL]
        low, high = found["span"]
        lines += [
            f"The default's mean skill less this one's is {found['difference']:+.3f} [{low:+.3f}, {high:+.3f}]; "
            f"P({default} better) {text(found['p_better'])}."
        ]
    return lines


def _best(summary: Summary) -> str:
    valid = set(summary["made_from"]["valid"])
    known = [r for r in summary["headline"] if r["mean"] is not None and r["method"] in valid]
    most = max((tasks_of(r["method"], summary) for r in known), default=0)
    known = [r for r in known if tasks_of(r["method"], summary) == most]
    return str(max(known, key=lambda r: r["mean"])["method"]) if known else ""


def _kinds(name: str, summary: Summary) -> list[str]:
    parts, valid = summary["parts"], set(summary["made_from"]["valid"])
    by_kind = {kind["kind"]: kind for kind in summary["kinds"]}
    rows = []
    for kind in KINDS:
        skills = {m["method"]: m["skill"] for m in by_kind[kind]["methods"]} if kind in by_kind else {}
        tasks = str(by_kind[kind]["tasks"]) if kind in by_kind else "0"
        own = skills.get(name, {})
        others = {m: skill for m, skill in skills.items() if m in valid | {name}}
        rows.append([kind, tasks, *(_placed(own.get(part), [s[part] for s in others.values()]) for part in parts)])
    lines = ["### By kind of variable", ""]
    lines += [
        "Mean skill over tasks, and its place among the methods that make draws. Zeros: who has any; tails, of "
        "classes: the shares of their levels. Blank: no task tells. Places on few tasks are hints.",
        "",
    ]
    return [*lines, *table(["kind", "tasks", *parts], rows)]


def _placed(own: float | None, all_of_them: list[float | None]) -> str:
    if own is None:
        return ""
    known = [skill for skill in all_of_them if skill is not None]
    return f"{text(own)} ({1 + sum(skill > own for skill in known)} of {len(known)})"


def _tasks(name: str, summary: Summary) -> list[str]:
    default = summary["default"]
    overview = {(row["task"], row["arm"]): row for row in summary["overview"]}
    rows = []
    for task in summary["tasks"]:
        found = {m["method"]: m for m in task["methods"]}
        if name not in found:
            continue
        lead, own = overview[task["task"], task["arm"]], found[name]
        skills = {f: v for f, v in own["skill"].items() if v is not None}
        worst = min(skills, key=lambda f: skills[f], default="")
        row = [task["track"], f"{task['task']}, {task['arm']}", text(own["mean"])]
        row += [with_name(skills.get(worst), worst)]
        row += [] if name == default else [text(found[default]["mean"]) if default in found else ""]
        rows.append([*row, with_name(lead["best"], lead["leader"])])
    beside = [] if name == default else [f"{default} (default)"]
    return ["### By task", "", *table(["track", "task, arm", name, "worst family", *beside, "best"], rows)]
