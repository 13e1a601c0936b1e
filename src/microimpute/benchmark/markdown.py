"""The leaderboard as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from microimpute.benchmark.compare import ALL
from microimpute.benchmark.ranking import ENOUGH, SURE
from microimpute.benchmark.scores import KINDS
from microimpute.kinds import Kind

__all__ = [
    "amount",
    "count",
    "markdown",
    "most_tasks",
    "negative",
    "part_name",
    "table",
    "text",
    "with_name",
    "with_span",
]

#: Kinds whose values are labels.
CLASS_KINDS = frozenset(k.value for k in Kind if k.is_class)


def markdown(summary: Mapping[str, Any]) -> str:
    """Write a summary as Markdown."""
    return "\n".join([*_opening(summary), *_drill_down(summary), *_small_print(summary)]) + "\n"


def _opening(summary: Mapping[str, Any]) -> list[str]:
    made, families = summary["made_from"], summary["families"]
    code = ", ".join(made["code"])
    versions = [f"{code}: {', '.join(labels)}" for code, labels in made["versions"].items()]
    lines = [f"# {summary['title']}", ""]
    lines += [
        f"{count(len(made['tasks']), 'task')}, {count(made['seeds'], 'seed')}, {count(made['cells'], 'cell')} "
        f"(seeds {', '.join(map(str, made['which_seeds']))}; code {code}). Cells are made by `microimpute benchmark`, "
        "this page by `microimpute leaderboard`.",
        "",
        *([f"Cells come from several versions of the code ({'; '.join(versions)}).", ""] if len(versions) > 1 else []),
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
        skills = [with_span(row["skill"][f], row["span"][f]) for f in families]
        without = "–".join(str(w) for w in dict.fromkeys(row["without"]))
        worst = with_name(row["worst"], row["worst_family"])
        rows.append(
            [
                *(row["method"], *skills, with_span(row["mean"], row["span"]["mean"])),
                *(worst, with_span(row["rank"], row["rank_span"]), text(row["p_best"]), without),
            ]
        )
    lines += table(head, rows)
    return lines + _against(summary) + _pairs(summary)


def _against(summary: Mapping[str, Any]) -> list[str]:
    default, rows = summary["default"], summary["against"]
    if not rows:
        return []
    lines = ["", f"## The default, `{default}`, against each method", ""]
    lines += [
        f"Difference in mean skill (above zero: `{default}` is better) with its 95% interval, and the probability "
        "that it is above zero; bootstrap over tasks and seeds, on the instances that both ran on.",
        "",
    ]
    most = most_tasks(summary)
    head = ["method"]
    for track, tasks in most.items():
        name = "all tracks" if track == ALL else f"track {track}"
        head += [f"{name} ({count(tasks, 'task')})", f"P(better), {track}"]
    cells = [
        [row["method"], *(cell for track in most for cell in _difference(row["tracks"][track], most[track]))]
        for row in rows
    ]
    return lines + table(head, cells)


def most_tasks(summary: Mapping[str, Any]) -> dict[str, int]:
    """Return how many tasks the default is compared on at most, by track."""
    rows = summary["against"]
    return {track: max(row["tracks"][track]["tasks"] for row in rows) for track in rows[0]["tracks"]} if rows else {}


def _difference(found: Mapping[str, Any], most: int) -> tuple[str, str]:
    """Write a difference with its interval, and on how many tasks it stands if that is not all of them."""
    value, (low, high) = found["difference"], found["span"]
    if value is None:
        return "", ""
    few = "" if found["tasks"] == most else f", {count(found['tasks'], 'task')}"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]{few}", text(found["p_better"])


def _pairs(summary: Mapping[str, Any]) -> list[str]:
    methods = [row["method"] for row in summary["headline"]]
    if len(methods) < 2:
        return []
    lines = ["", "## Probability that the row's method ranks above the column's", ""]
    rows = [
        [f"{number} {a}", *(text(summary["better"][a].get(b), 2) for b in methods)]
        for number, a in enumerate(methods, start=1)
    ]
    return lines + table(["", *(str(number) for number in range(1, len(methods) + 1))], rows)


def _drill_down(summary: Mapping[str, Any]) -> list[str]:
    return _by_task(summary) + _by_kind(summary) + _by_metric(summary)


def _by_task(summary: Mapping[str, Any]) -> list[str]:
    families, default = summary["families"], summary["default"]
    lines = ["", "## By task", ""]
    head = ["track", "task, arm", "leader", "its mean", f"{default}'s mean", f"{default}'s worst family"]
    rows = []
    for row in summary["overview"]:
        worst = with_name(row["worst"], row["worst_family"])
        place = f"{row['task']}, {row['arm']}"
        rows.append([row["track"], place, row["leader"], text(row["best"]), text(row["mean"]), worst])
    lines += table(head, rows)
    lines += ["", negative(summary), ""]
    rows = [
        [task["track"], f"{task['task']}, {task['arm']}", m["method"]]
        + [text(m["skill"][f]) for f in families]
        + [text(m["mean"])]
        for task in summary["tasks"]
        for m in task["methods"]
    ]
    return lines + _folded("All methods on all tasks", ["track", "task, arm", "method", *families, "mean"], rows)


def negative(summary: Mapping[str, Any]) -> str:
    """Say on which tasks the default is worse than ignoring the predictors in some family."""
    default, rows = summary["default"], summary["overview"]
    if all(row["mean"] is None for row in rows):
        return f"`{default}`, the default, did not run."
    bad = [
        f"{row['task']}, {row['arm']}: {with_name(row['worst'], row['worst_family'])}" for row in rows if _is_bad(row)
    ]
    if bad:
        return f"Tasks on which a family's skill of `{default}` is negative: {'; '.join(bad)}."
    return f"There is no task on which a family's skill of `{default}` is negative."


def _is_bad(row: Mapping[str, Any]) -> bool:
    return row["worst"] is not None and row["worst"] < 0


def _by_kind(summary: Mapping[str, Any]) -> list[str]:
    lines = ["", "## By kind of variable", ""]
    lines += [
        "Who leads row by row (each row's own distribution), for zeros, and for tails (of classes: the shares of "
        "their levels); point predictions are left out. Not surely worse are those that the leader beats with a "
        f"probability below {SURE:g}. A leader on fewer than {ENOUGH} tasks is a hint and no finding.",
        "",
    ]
    rows = []
    for kind in KINDS:
        own = [row for row in summary["leaders"] if row["kind"] == kind]
        for row in own:
            what, close = part_name(kind, row["part"]), ", ".join(row["close"]) or "none"
            skill = with_span(row["skill"], row["span"])
            rows.append([kind, what, str(row["tasks"]), row["leader"], skill, close])
        if not own:
            rows.append([kind, "", "0", "", "", ""])
    lines += [*table(["kind", "of what", "tasks", "leader", "its skill", "not surely worse"], rows), ""]
    rows = [
        [kind["kind"], m["method"], *(text(m["skill"][p]) for p in summary["parts"])]
        for kind in summary["kinds"]
        for m in kind["methods"]
    ]
    return lines + _folded("All methods for all kinds", ["kind", "method", *summary["parts"]], rows)


def part_name(kind: str, part: str) -> str:
    """Say in words what part of a kind's scores is meant."""
    if part == "tails" and kind in CLASS_KINDS:
        return "shares of levels"
    return "row by row" if part == "conditional" else part


def _by_metric(summary: Mapping[str, Any]) -> list[str]:
    methods = summary["made_from"]["methods"]
    lines = ["", "## By metric (mean skill, not cut at the bottom)", ""]
    for family in summary["families"]:
        own = [m for m in summary["metrics"] if m["family"] == family]
        lines += [f"### {family.capitalize()}", ""]
        lines += table(
            ["method", *(m["name"] for m in own)], [[x, *(text(m["skill"].get(x)) for m in own)] for x in methods]
        )
        lines += ["", *(f"- {m['name']}: {m['summary']}." for m in own), ""]
    return lines[:-1]


def _small_print(summary: Mapping[str, Any]) -> list[str]:
    lines = ["", "## The tasks", ""]
    rows = [
        [t["track"], t["task"], *(amount(t[s]) for s in ("donors", "receivers")), t["summary"], t["source"]]
        for t in summary["about"]
    ]
    lines += table(["track", "task", "donors", "receivers", "what it is", "source"], rows)
    lines += ["", "Track A: truth known; B: real truth hidden by masking; C: across surveys, unranked.", ""]
    lines += ["## Cost", ""]
    rows = [[c["method"], text(c["seconds"]), text(c["longest"]), text(c["peak"], 0)] for c in summary["costs"]]
    lines += table(["method", "median seconds per cell", "longest", "peak MB of its process"], rows)
    if summary["audits"]:
        lines += ["", "## Beside the score: copies and privacy", ""]
        methods = list(summary["audits"][0]["values"])
        rows = [[m, *(text(a["values"][m]) for a in summary["audits"])] for m in methods]
        lines += table(["method", *(a["audit"] for a in summary["audits"])], rows)
        lines += ["", *(f"- {a['audit']}: {a['summary']}." for a in summary["audits"])]
    if summary["across"]:
        methods = list(summary["across"][0]["imputed"])
        lines += ["", "## Across surveys (track C): beside the donor's margins and published figures, unranked", ""]
        rows = [
            [a["task"], a["name"], *(amount(a[k]) for k in ("published", "donor"))]
            + [amount(a["imputed"].get(m)) for m in methods]
            for a in summary["across"]
        ]
        lines += table(["task", "figure", "published", "donor", *methods], rows)
    for title, key in (
        ("Cells that failed or stand behind a gate", "troubles"),
        ("Tasks that did not run", "left_out"),
        ("Metrics that are not defined for a task's kinds of variables", "undefined"),
    ):
        lines += ["", f"## {title}", "", *([f"- {line}" for line in summary[key]] or ["None."])]
    return lines


def text(value: float | None, digits: int = 3) -> str:
    """Write a number, and nothing for nothing."""
    return "" if value is None else f"{value:.{digits}f}"


def amount(value: float | None) -> str:
    """Write a share with three digits, an amount in whole units, and nothing for nothing."""
    return "" if value is None else f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"


def count(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def with_span(value: float | None, span: Iterable[float | None]) -> str:
    """Write a number with its interval in brackets."""
    low, high = span
    return text(value) if low is None else f"{text(value)} [{text(low, 2)}, {text(high, 2)}]"


def with_name(value: float | None, name: str) -> str:
    """Write a number and whose it is."""
    return f"{text(value)} ({name})" if name else ""


def _folded(title: str, head: list[str], rows: list[list[str]]) -> list[str]:
    """Make a table that opens when asked for."""
    return [f"<details><summary>{title}</summary>", "", *table(head, rows), "", "</details>"]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a table, one line of Markdown per row."""
    bar = r"\|"  # a bar within a cell would end it
    lines = [f"| {' | '.join(cell.replace('|', bar) for cell in row)} |" for row in [head, *rows]]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]
