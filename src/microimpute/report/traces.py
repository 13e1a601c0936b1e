"""Trace plots of chained equations: what was drawn, pass by pass, one line per implicate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microimpute.imputations import Imputations
from microimpute.missing import Convergence, convergence
from microimpute.report.plots import IMPUTED, draw
from microimpute.report.words import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["trace_plots"]

#: Height of a target's plots, and of what stands around them, in inches.
ROW, AROUND = 1.5, 0.5


def trace_plots(imputations: Imputations) -> str:
    """Draw how each target's mean and standard deviation went, pass by pass.

    Lines that cross and wander about one level have mixed; lines that stay apart, or all rise or fall, have not.

    Parameters
    ----------
    imputations
        From `impute_missing`, fresh or loaded.

    Returns
    -------
    str
        SVG, to be written to a file or put into a page or notebook.

    Raises
    ------
    SurveyError
        If there was no chain (see `microimpute.missing.convergence`).
    """
    chains = convergence(imputations)
    height = AROUND + ROW * len(chains.trace)
    return draw("traces", 7.6, height, lambda figure: _paint(figure, chains))


def _paint(figure: Figure, chains: Convergence) -> None:
    said = {(row["target"], row["statistic"]): row for row in chains.rows}
    grid = figure.subplots(len(chains.trace), 2, squeeze=False, sharex=True)
    for panels, (target, statistics) in zip(grid, chains.trace.items(), strict=True):
        for axes, (statistic, lines) in zip(panels, statistics.items(), strict=True):
            passes = np.arange(1, lines.shape[1] + 1)
            for number, line in enumerate(lines):
                shade = 0.35 + 0.65 * (number + 1) / len(lines)
                axes.plot(passes, line, color=IMPUTED, alpha=shade, linewidth=1.1)
            told = said[target, statistic]["r_hat"]
            note = "" if np.isnan(told) else f", R-hat {told:.2f}"
            axes.yaxis.set_major_formatter(lambda value, position: amount(value))
            axes.set_title(f"{target}: {statistic}{note}", fontsize=9, loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("pass")
