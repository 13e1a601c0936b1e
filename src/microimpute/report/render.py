"""Render a summary as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microimpute.calibration import total_in_full
from microimpute.margins import APART, CLOSE
from microimpute.report import plots, words
from microimpute.selection import FAILED

__all__ = ["render"]

#: Difference in rank correlation that has the deepest colour.
DEEPEST = 0.3


def render(summary: Mapping[str, Any]) -> str:
    """Render a summary as one HTML page that needs nothing else: styles and figures are inside.

    Parameters
    ----------
    summary
        As `summarise` returns, or read back from JSON.

    Returns
    -------
    str
        The page; the same summary always gives the same bytes.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        amount=words.amount,
        percent=words.percent,
        signed=words.signed,
        count=words.count,
        tint=_tint,
        total=total_in_full,
    )
    figures = {name: Markup(svg) for name, svg in plots.figures(summary).items()}
    template = environment.get_template("template.html.j2")
    return template.render(
        **summary, figures=figures, bent=plots.is_bent(summary["headline"]), close=CLOSE, apart=APART, failed=FAILED
    )


def _tint(difference: float | None) -> str:
    """Return the background of a difference: blue below zero, orange above, deeper the larger it is."""
    if difference is None:
        return "transparent"
    depth = min(abs(difference) / DEEPEST, 1.0) * 0.55
    return f"rgba({'214, 120, 30' if difference > 0 else '40, 100, 180'}, {depth:.2f})"
