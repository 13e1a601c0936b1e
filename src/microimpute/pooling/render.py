"""Tables of strings as terminal text, HTML or LaTeX."""

from __future__ import annotations

import html as escaping
import math
from collections.abc import Sequence

__all__ = ["html", "latex", "number", "p_value", "share", "text"]

_LATEX = {c: "\\" + c for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}", "∞": r"$\infty$"}


def number(value: float) -> str:
    """Return a number with five digits that count."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.4e}"
    return f"{value:.{max(0, 4 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def p_value(value: float) -> str:
    """Return a p-value."""
    return "–" if math.isnan(value) else "<.0001" if value < 1e-4 else f"{value:.4f}"


def share(value: float) -> str:
    """Return a share of one."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def text(cells: Sequence[Sequence[str]], caption: str, notes: Sequence[str]) -> str:
    """Return lines whose first column stands left and whose others stand right."""
    widths = [max(len(row[j]) for row in cells) for j in range(len(cells[0]))]
    lines = [
        "  ".join(c.ljust(w) if not j else c.rjust(w) for j, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    return "\n".join([caption, *lines, *(f"Note: {n}" for n in notes)])


def html(cells: Sequence[Sequence[str]], caption: str, notes: Sequence[str]) -> str:
    """Return a `<table>`, notes in its foot."""
    safe = [[escaping.escape(c) for c in row] for row in cells]
    head = "".join(f'<th scope="col">{c}</th>' for c in safe[0])
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>" for row in safe[1:]
    )
    foot = "".join(f'<tr><td colspan="{len(safe[0])}">{escaping.escape(n)}</td></tr>' for n in notes)
    foot = f"<tfoot>{foot}</tfoot>" if notes else ""
    return (
        f"<table><caption>{escaping.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table>"
    )


def latex(cells: Sequence[Sequence[str]], caption: str) -> str:
    """Return a `tabular` with booktabs' rules."""
    rows = [" & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\" for row in cells]
    lines = [f"% {caption}", rf"\begin{{tabular}}{{l{'r' * (len(cells[0]) - 1)}}}", r"\toprule", rows[0], r"\midrule"]
    return "\n".join([*lines, *rows[1:], r"\bottomrule", r"\end{tabular}"])
