"""The leaderboard as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["amount", "markdown"]


def markdown(summary: Mapping[str, Any]) -> str:
    """Write a summary as Markdown."""
    return "\n".join([*_opening(summary), *_drill_down(summary), *_small_print(summary)]) + "\n"


def _opening(summary: Mapping[str, Any]) -> list[str]:
    made, families = summary["made_from"], summary["families"]
    code = ", ".join(made["code"])
    lines = [f"# {summary['title']}", ""]
    lines += [
        f"{_count(len(made['tasks']), 'task')}, {_count(made['seeds'], 'seed')}, {_count(made['cells'], 'cell')} (code "
        f"{code}). Cells are made by `microimpute benchmark`, this page by `microimpute leaderboard`.",
        "",
        f"**{summary['verdict']}**",
        "",
    ]
    lines += [
        f"Skill: 0 is a weighted shuffle of donor rows that ignores the predictors, 1 the truth itself; negative is "
        f"worse than ignoring the predictors (in means no worse than {summary['floor']:g}). In brackets: 95% "
        "bootstrap intervals over tasks and seeds.",
        "",
    ]
    head = ["method", *families, "mean", "worst family", "mean rank", "P(best)", "rank without one task"]
    rows = []
    for row in summary["headline"]:
        skills = [_with_span(row["skill"][f], row["span"][f]) for f in families]
        without = "–".join(str(w) for w in dict.fromkeys(row["without"]))
        worst = f"{_text(row['worst'])} ({row['worst_family']})" if row["worst_family"] else ""
        rows.append(
            [
                *(row["method"], *skills, _with_span(row["mean"], row["span"]["mean"])),
                *(worst, _with_span(row["rank"], row["rank_span"]), _text(row["p_best"]), without),
            ]
        )
    lines += _table(head, rows)
    methods = list(summary["better"])
    if len(methods) > 1:
        lines += ["", "## Probability that the row's method ranks above the column's", ""]
        lines += _table(["", *methods], [[a, *(_text(summary["better"][a].get(b)) for b in methods)] for a in methods])
    return lines


def _drill_down(summary: Mapping[str, Any]) -> list[str]:
    families = summary["families"]
    lines = ["", "## By task", ""]
    rows = [
        [task["track"], f"{task['task']}, {task['arm']}", m["method"]]
        + [_text(m["skill"][f]) for f in families]
        + [_text(m["mean"])]
        for task in summary["tasks"]
        for m in task["methods"]
    ]
    lines += _table(["track", "task, arm", "method", *families, "mean"], rows)
    lines += ["", "## By kind of variable", ""]
    rows = [
        [kind["kind"], m["method"], *(_text(m["skill"][f]) for f in families)]
        for kind in summary["kinds"]
        for m in kind["methods"]
    ]
    lines += _table(["kind", "method", *families], rows)
    methods = summary["made_from"]["methods"]
    lines += ["", "## By metric (mean skill, not cut at the bottom)", ""]
    rows = [
        [m["family"], m["name"], *(_text(m["skill"].get(x)) for x in methods), m["summary"]] for m in summary["metrics"]
    ]
    return lines + _table(["family", "metric", *methods, "what it is"], rows)


def _small_print(summary: Mapping[str, Any]) -> list[str]:
    lines = ["", "## The tasks", ""]
    rows = [
        [t["track"], t["task"], *(amount(t[s]) for s in ("donors", "receivers")), t["summary"], t["source"]]
        for t in summary["about"]
    ]
    lines += _table(["track", "task", "donors", "receivers", "what it is", "source"], rows)
    lines += ["", "Track A: truth known; B: real truth hidden by masking; C: across surveys, unranked.", ""]
    lines += ["## Cost", ""]
    rows = [[c["method"], _text(c["seconds"]), _text(c["longest"]), _text(c["peak"], 0)] for c in summary["costs"]]
    lines += _table(["method", "median seconds per cell", "longest", "peak MB of its process"], rows)
    if summary["audits"]:
        methods = list(summary["audits"][0]["values"])
        lines += ["", "## Beside the score: copies and privacy", ""]
        rows = [[a["audit"], *(_text(a["values"][m]) for m in methods), a["summary"]] for a in summary["audits"]]
        lines += _table(["figure", *methods, "what it is"], rows)
    if summary["across"]:
        methods = list(summary["across"][0]["imputed"])
        lines += ["", "## Across surveys (track C): beside the donor's margins and published figures, unranked", ""]
        rows = [
            [a["task"], a["name"], *(amount(a[k]) for k in ("published", "donor"))]
            + [amount(a["imputed"].get(m)) for m in methods]
            for a in summary["across"]
        ]
        lines += _table(["task", "figure", "published", "donor", *methods], rows)
    for title, key in (
        ("Cells that failed or stand behind a gate", "troubles"),
        ("Tasks that did not run", "left_out"),
        ("Metrics that are not defined for a task's kinds of variables", "undefined"),
    ):
        lines += ["", f"## {title}", "", *([f"- {line}" for line in summary[key]] or ["None."])]
    return lines


def _text(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def amount(value: float | None) -> str:
    """Write a share with three digits, an amount in whole units, and nothing for nothing."""
    return "" if value is None else f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _with_span(value: float | None, span: Iterable[float | None]) -> str:
    low, high = span
    return _text(value) if low is None else f"{_text(value)} [{_text(low, 2)}, {_text(high, 2)}]"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    bar = r"\|"  # a bar within a cell would end it
    lines = [f"| {' | '.join(cell.replace('|', bar) for cell in row)} |" for row in [head, *rows]]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]
