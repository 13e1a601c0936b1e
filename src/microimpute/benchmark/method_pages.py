"""A page of Markdown for each method, from what it says of itself and from a benchmark's results."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from microimpute.benchmark.journal import read
from microimpute.benchmark.leaderboard import summarise
from microimpute.benchmark.markdown import count, part_name, table, text, with_span
from microimpute.benchmark.method_results import extent, results, seconds, without_results
from microimpute.benchmark.scores import Scores
from microimpute.described import Description
from microimpute.methods.base import Method, methods

__all__ = [
    "INDEX",
    "RESULTS",
    "index_page",
    "index_said",
    "method_page",
    "method_said",
    "own_methods",
    "source",
    "write",
]

Summary = Mapping[str, Any]

#: Name of the page that lists the others.
INDEX = "README.md"
#: The heading from which on a page shows results; what stands before it comes from the code alone.
RESULTS = "## Benchmark"

_MADE = "<!-- Made by `make method-pages` from the code and the committed results; changes go there. -->"


def write(folder: Path, *results: Path) -> list[Path]:
    """Write the pages of the package's own methods, and remove those of methods that are gone.

    Parameters
    ----------
    folder
        Where to.
    results
        Journals, as `microimpute.benchmark.journal.read` takes them.

    Returns
    -------
    list of Path
        What was written.
    """
    summary = summarise(Scores.of(read(*results)), "")
    made = pages(own_methods(), summary, source(*results))
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in made and path.read_text(encoding="utf-8").startswith(_MADE):
            path.unlink()
    for name, text_of in made.items():
        (folder / name).write_text(text_of, encoding="utf-8")
    return [folder / name for name in made]


def own_methods() -> list[type[Method]]:
    """List the methods that come with the package, without third parties'."""
    return [cls for cls in methods().values() if cls.__module__.startswith("microimpute.methods.")]


def source(*results: Path) -> str:
    """Name journals with their hashes, so that pages made from others are noticed."""
    hashes = (hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in results)
    return ", ".join(f"`{path.name}` (SHA-256 {found}…)" for path, found in zip(results, hashes, strict=True))


def pages(classes: Sequence[type[Method]], summary: Summary, made_from: str) -> dict[str, str]:
    """Write all pages.

    Parameters
    ----------
    classes
        The methods.
    summary
        As `microimpute.benchmark.leaderboard.summarise` returns.
    made_from
        Names what the results were read from; see `source`.

    Returns
    -------
    dict
        Name of the file → its text, `INDEX` among them.
    """
    described = [Description.of(cls) for cls in classes]
    names = [d.name for d in described]
    out = {f"{d.name}.md": method_page(d, names, summary) for d in described}
    return {INDEX: index_page(described, summary, made_from)} | out


def index_said(described: Sequence[Description]) -> str:
    """Write the list of all methods and their facts: the part of the index that comes from the code alone."""
    lines = [_MADE, "# The methods", ""]
    lines += [
        'Each method is one file behind one interface: `impute(..., method="NAME")`, or `method = "NAME"` in a '
        "recipe. What the facts mean is on each method's page; the same in a terminal: `microimpute methods`, "
        "`microimpute methods NAME`.",
        "",
    ]
    heads = [fact.name for fact in described[0].facts]
    rows = [[_link(d.name), *(fact.answer for fact in d.facts), d.summary] for d in described]
    return "\n".join([*lines, *table(["method", *heads, "idea"], rows)]) + "\n"


def index_page(described: Sequence[Description], summary: Summary, made_from: str) -> str:
    """Write the list of all methods, and which to choose when, best mean skill over all tasks first."""
    names = [d.name for d in described]
    tasks = {row["task"] for row in summary["overview"]}
    lines = [index_said(described), f"{RESULTS}: which method when", ""]
    lines += [
        f"By mean skill over the {len(tasks)} ranked tasks of the [benchmark](../benchmarks.md) (0: a shuffle of donor "
        "rows; 1: the truth), with 95% intervals and the median time of a cell (five fits and twenty draws in the "
        "full suite). A difference smaller than the intervals is none; which kinds of variables matter to you may "
        "decide otherwise, and so may what a method promises.",
        "",
    ]
    found = {row["method"]: row for row in summary["headline"] if row["mean"] is not None}
    costs = {row["method"]: row for row in summary["costs"]}
    ranked = sorted((d for d in described if d.name in found), key=lambda d: -found[d.name]["mean"])
    advice = {d.name: _linked(d.advice, names, d.name) for d in described}
    extents = {d.name: extent(d.name, summary) for d in ranked}
    whole = tuple(map(max, zip(*extents.values(), strict=True)))
    fewer = {name: on for name, on in extents.items() if on != whole}
    told = {}
    for d in (d for d in ranked if _draws(d)):
        skill = with_span(found[d.name]["mean"], found[d.name]["span"]["mean"])
        if d.name in fewer:
            on, arms, seeds = fewer[d.name]
            skill += f" on {count(on, 'task')} ({count(arms, 'arm')}), {count(seeds, 'seed')}"
        told[d.name] = f"{_link(d.name)}: {skill}, {seconds(costs[d.name]['seconds'])}. {advice[d.name]}"
    lines += [f"{i}. {told[name]}" for i, name in enumerate((n for n in told if n not in fewer), start=1)]
    if any(name in fewer for name in told):
        lines += ["", "On fewer tasks, arms or seeds, so that their means do not compare with those above:", ""]
        lines += [f"- {told[name]}" for name in told if name in fewer]
    others = [
        f"- {_link(d.name)}: {text(found[d.name]['mean'])}. {advice[d.name]}" for d in ranked if not _draws(d)
    ] + [f"- {_link(d.name)}: {without_results(d.name)} {advice[d.name]}" for d in described if d not in ranked]
    if others:
        lines += ["", "Not ranked:", "", *others]
    return "\n".join([*lines, "", *_leaders(summary), f"Results: {made_from}."]) + "\n"


def _leaders(summary: Summary) -> list[str]:
    if not summary["leaders"]:
        return []
    rows = []
    for row in summary["leaders"]:
        close = ", ".join(row["close"]) or "none"
        rows.append([row["kind"], part_name(row["kind"], row["part"]), str(row["tasks"]), row["leader"], close])
    head = ["kind", "of what", "tasks", "leader", "not surely worse"]
    return ["By kind of variable (see [the benchmark](../benchmarks.md)):", "", *table(head, rows), ""]


def _draws(described: Description) -> bool:
    return next(fact.answer for fact in described.facts if fact.name == "draws") == "yes"


def method_page(described: Description, names: Sequence[str], summary: Summary) -> str:
    """Write one method's page: what it says of itself, and its rows of the benchmark."""
    rows = results(described.name, summary)
    return "\n".join([method_said(described, names), RESULTS, "", *rows]).rstrip("\n") + "\n"


def method_said(described: Description, names: Sequence[str]) -> str:
    """Write idea, settings, advice, reference and facts: the part of a page that comes from the code alone."""
    name = described.name
    lines = [_MADE, f"# `{name}`", "", _linked(described.summary, names, name), ""]
    lines += ["## Idea", "", _linked(_markdown(described.idea), names, name), ""]
    for title, told in described.notes.items():
        lines += [f"### {title}", "", _linked(_markdown(told), names, name), ""]
    lines += ["## When to use it", "", _linked(described.advice, names, name), ""]
    lines += ["## Settings", ""]
    rows = [[f"`{s.name}`", f"`{s.default}`", _linked(_one_line(s.text), names, name)] for s in described.settings]
    lines += table(["setting", "default", "what it does"], rows) if rows else ["It has none."]
    lines += ["", "## Facts", ""]
    lines += table(["fact", "", "what yes means"], [[f.name, f.answer, f.meaning] for f in described.facts])
    if described.coverage:
        lines += ["", "## Pooled intervals", "", _linked(described.coverage, names, name)]
    lines += ["", "## Reference", "", described.reference]
    return "\n".join(lines) + "\n"


def _link(name: str) -> str:
    return f"[`{name}`]({name}.md)"


def _linked(told: str, names: Sequence[str], own: str) -> str:
    """Make links of other methods' names that stand in backticks."""
    wanted = "|".join(re.escape(n) for n in names if n != own)
    return re.sub(rf"(?<!`)`({wanted})`(?!`)", lambda found: _link(found[1]), told) if wanted else told


def _one_line(told: str) -> str:
    """Put a setting's text into one cell of a table; paragraphs and points stay apart."""
    parts = [""]
    for line in told.split("\n"):
        if not line or line.startswith("- "):
            parts.append("")
        parts[-1] = f"{parts[-1]} {line.strip()}".strip()
    return "<br>".join(part for part in parts if part)


def _markdown(told: str) -> str:
    """Turn the simple tables of reStructuredText into Markdown's; the rest is alike."""
    return "\n\n".join(_block(block) for block in told.split("\n\n"))


def _block(block: str) -> str:
    lines = block.split("\n")
    rule = lines[0]
    if len(lines) < 4 or not re.fullmatch(r"=+( +=+)+", rule) or lines[-1] != rule or lines[2] != rule:
        return block
    starts = [found.start() for found in re.finditer(r"=+", rule)]
    ends = [*starts[1:], None]
    cut = [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in (lines[1], *lines[3:-1])]
    return "\n".join(table(cut[0], cut[1:]))
