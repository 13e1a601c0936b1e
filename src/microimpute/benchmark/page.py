"""The leaderboard as one HTML page: a table with intervals, one plot per family, drill-down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microimpute.benchmark.markdown import amount, most_tasks, negative, part_name
from microimpute.benchmark.ranking import ENOUGH, SURE
from microimpute.report.plots import IMPUTED, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["page"]

#: Methods up to which figures have wide rows.
FEW = 8


def page(summary: Mapping[str, Any]) -> str:
    """Render a summary as a page that needs nothing else.

    Parameters
    ----------
    summary
        As `microimpute.benchmark.leaderboard.summarise` returns.

    Returns
    -------
    str
        The page; the same summary always gives the same bytes.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent / "report"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        amount=amount, skill=_skill, tint=_tint, part=lambda row: part_name(row["kind"], row["part"])
    )
    height = 0.9 + (0.3 if len(summary["headline"]) <= FEW else 0.22) * len(summary["headline"])
    names = [*summary["families"], "mean"]
    figures = {
        name: Markup(draw(name, 7.6, height, lambda f, name=name: _dots(f, summary["headline"], name)))  # type: ignore[misc]
        for name in names
    }
    said = {"negative": negative(summary), "sure": SURE, "enough": ENOUGH, "against_tasks": most_tasks(summary)}
    return environment.get_template("page.html.j2").render(**summary, **said, figures=figures)


def _skill(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _tint(value: float | None) -> str:
    """Return the background of a skill: blue above zero, orange below, deeper the farther."""
    if value is None:
        return "transparent"
    return f"rgba({'40, 100, 180' if value > 0 else '214, 120, 30'}, {min(abs(value), 1.0) * 0.45:.2f})"


def _dots(figure: Figure, rows: list[Mapping[str, Any]], name: str) -> None:
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        value = row["mean"] if name == "mean" else row["skill"][name]
        low, high = row["span"][name]
        if value is None:
            continue
        axes.plot([low, high], [place, place], color=IMPUTED, linewidth=2, alpha=0.5, solid_capstyle="butt")
        axes.plot(value, place, "o", color=IMPUTED, markersize=6)
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["method"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(min(-0.15, *(row["span"][name][0] or 0.0 for row in rows)) - 0.03, 1.03)
    axes.set_xlabel("skill: 0 ignores the predictors, 1 is the truth")
