"""The report's figures as inline SVG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from microimpute.report.words import amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["draw", "figures", "is_bent"]

DONOR, IMPUTED, GRID = "#666666", "#1d5fa6", "#e3e3e3"
#: An axis with amounts from here on is linear near zero and logarithmic beyond.
BENT = 1000

_STYLE: Any = {
    "svg.hashsalt": "microimpute",
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's own font
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
}


def figures(summary: Mapping[str, Any]) -> dict[str, str]:
    """Draw what a summary has figures for.

    Parameters
    ----------
    summary
        As `summarise` returns.

    Returns
    -------
    dict
        Some of ``headline``, ``amounts``, ``groups`` → SVG to be put into a page.
    """
    drawn = {}
    if summary["headline"]:
        drawn["headline"] = draw("headline", 7.6, 3.6, lambda f: _headline(f, summary["headline"]))
    if rows := summary["amounts"]:
        drawn["amounts"] = draw("amounts", 7.6, 1.1 + 0.3 * len(rows), lambda f: _amounts(f, rows))
    if parts := summary["groups"]:
        height = 1.3 + 0.34 * max(len(p["rows"]) for p in parts)
        drawn["groups"] = draw("groups", 7.6, height, lambda f: _groups(f, parts))
    return drawn


def draw(name: str, width: float, height: float, paint: Callable[[Figure], None]) -> str:
    """Draw one figure, the same on every machine whatever the user's matplotlib settings."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has its own fonts
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_visible(False)
        paint(figure)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _inline(buffer.getvalue(), name)


def _inline(svg: str, name: str) -> str:
    """Leave out the file header and make names of parts differ between the figures of a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<[^<>]*\sid=")', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<[^<>]*\sxlink:href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"(<[^<>]*url\(#)", rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def _headline(figure: Figure, part: Mapping[str, Any]) -> None:
    axes = figure.add_subplot()
    curve, at = part["curve"], np.arange(1, 100)
    lines = {name: np.array(curve[name], dtype=float) for name in ("donor", "imputed", "low", "high")}
    axes.fill_between(at, lines["low"], lines["high"], color=IMPUTED, alpha=0.25, linewidth=0)
    axes.plot(at, lines["donor"], color=DONOR, linewidth=1.6, linestyle=(0, (4, 2)), label="donor")
    label = "imputed (band: least to most of the implicates)"
    axes.plot(at, lines["imputed"], color=IMPUTED, linewidth=1.8, label=label)
    _amount_scale(axes, "y", [v for line in lines.values() for v in line], part["money"])
    axes.set_xticks([1, 10, 25, 50, 75, 90, 99], ["P1", "P10", "P25", "P50", "P75", "P90", "P99"])
    axes.set_xlim(0, 100)
    axes.set_ylabel(part["name"])
    axes.legend(loc="upper left")


def is_bent(headline: Mapping[str, Any] | None) -> bool:
    """Say whether the headline's axis is logarithmic away from zero."""
    curve = headline["curve"] if headline else {}
    return any(v is not None and abs(v) >= BENT for line in curve.values() for v in line)


def _amounts(figure: Figure, rows: Sequence[Mapping[str, Any]]) -> None:
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1, 2])
    place = np.arange(len(rows), dtype=float)
    for side, colour, shift, face in (("donor", DONOR, -0.17, "white"), ("imputed", IMPUTED, 0.17, IMPUTED)):
        figures = [row[side] for row in rows]
        dot: Any = {
            "marker": "o",
            "linestyle": "",
            "color": colour,
            "markerfacecolor": face,
            "markersize": 4.5,
        }
        left.plot([_or_nan(f["any"]) for f in figures], place + shift, **dot)
        ends = [[_or_nan(f[q]) for f in figures] for q in ("P10", "P50", "P90")]
        right.hlines(place + shift, ends[0], ends[2], color=colour, linewidth=1.4)
        right.plot(ends[1], place + shift, label=side, **dot)
    shown = [row[s][q] for row in rows for s in ("donor", "imputed") for q in ("P10", "P50", "P90")]
    _amount_scale(right, "x", shown, any(row["money"] for row in rows))
    left.set_xlim(-0.03, 1.03)
    left.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    left.set_yticks(place, [row["name"] for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    if len(rows) > 12:  # a tall figure is read from the top
        for axes in (left, right):
            axes.tick_params(labeltop=True, top=True)
    left.set_title("has any", fontsize=9, loc="left")
    right.set_title("if any: P10 to P90, dot at the median", fontsize=9, loc="left")
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=2)


def _groups(figure: Figure, parts: Sequence[Mapping[str, Any]]) -> None:
    grid = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, part in zip(grid, parts, strict=True):
        rows = part["rows"]
        place = np.arange(len(rows), dtype=float)
        middle = [row["median"] for row in rows]
        donor, imputed, low, high = (
            np.array([_or_nan(m[key]) for m in middle]) for key in ("donor", "imputed", "low", "high")
        )
        axes.hlines(place + 0.12, low, high, color=IMPUTED, linewidth=3.5, alpha=0.35)
        axes.plot(donor, place - 0.12, "o", color=DONOR, markerfacecolor="white", markersize=5, label="donor")
        axes.plot(imputed, place + 0.12, "o", color=IMPUTED, markersize=5, label="imputed")
        _amount_scale(axes, "x", [*donor, *low, *high], part["money"], most=5 if len(parts) > 1 else 9)
        axes.set_yticks(place, [row["group"] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_title(f"median {part['of']} by {part['by']}", fontsize=9, loc="left")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _amount_scale(axes: Axes, which: str, values: Sequence[float | None], money: bool, most: int = 9) -> None:
    """Give an axis a scale that shows zero, debts and millions at once, with ticks in plain dollars."""
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    known = np.array([v for v in values if v is not None and not np.isnan(v)] or [0.0])
    low, high = float(min(known.min(), 0.0)), float(max(known.max(), 0.0))
    largest = max(-low, high)
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    set_limits = axes.set_xlim if which == "x" else axes.set_ylim
    if largest < BENT:
        margin = 0.05 * (high - low or 1.0)
        set_limits(low - margin, high + margin)
        axis.set_major_formatter(lambda value, position: amount(value, money))
        return
    linear = 1000.0 if largest >= 30_000 else 100.0
    set_scale("symlog", linthresh=linear, linscale=0.6)
    set_limits(low * 1.5 - linear * 0.15, high * 1.5 + linear * 0.15)
    ticks = _decades(low, high, linear, most)
    axis.set_ticks(ticks, [_short(t, money) for t in ticks])
    axis.set_ticks([], minor=True)


def _decades(low: float, high: float, linear: float, most: int) -> list[float]:
    """Zero and powers of ten on both sides as far as the data go, every second or third if there are many."""
    powers = [linear * 10**k for k in range(20)]
    down, up = ([p for p in powers if p <= 1.5 * end] for end in (-low, high))
    step = 1
    while len(down[::step]) + len(up[::step]) + 1 > most:
        step += 1
    return [*(-t for t in reversed(down[::step])), 0.0, *up[::step]]


def _short(value: float, money: bool) -> str:
    """Write a tick: 0, $1k, −$10k, $1M."""
    size = abs(value)
    for least, unit in ((1e12, "tn"), (1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if size >= least:
            text = f"{size / least:.0f}{unit}"
            break
    else:
        text = f"{size:.0f}"
    return f"{'−' if value < 0 else ''}{'$' if money and value else ''}{text}"
