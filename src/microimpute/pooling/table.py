"""The table of pooled estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.pooling import render
from microimpute.pooling.inputs import Parts
from microimpute.pooling.rules import find

__all__ = ["Pooled"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Pooled:
    """One row per parameter; every array has shape (k,).

    Attributes
    ----------
    names
        Of the parameters.
    estimate, std_error, df
        Q̄, √T, degrees of freedom of its t distribution.
    low, high
        Interval at `level`.
    statistic, p_value
        Q̄/√T, and two-sided p of no effect.
    riv, lambda_, fmi, relative_efficiency
        r = (1 + 1/m)B/Ū, λ = r/(1 + r), fraction of missing information (r + 2/(df + 3))/(1 + r), and
        1/(1 + fmi/m). NaN where the rule is not about missing data (r alone is given then).
    ubar, b, t
        Variance within (implicate 1's under the rule scf), between, total.
    dfcom
        Degrees of freedom on complete data.
    m, draws
        Implicates or nests; draws per nest, 1 where not nested.
    rule, level, size_ratio
        As asked.
    fallback
        Where the rule gave no positive variance and its documented fallback stands instead.
    absent
        Parameter that was left out → numbers of the implicates that lack it.
    extras
        More columns, of the rule nested: `w`, `lambda_between`, `lambda_within` (over T: shares of the parts of T),
        and the same three for infinitely many draws (`*_limit`); of the rule external donors: `w`.
    notes
        What a reader must know.
    parts
        What was pooled, implicate by implicate.
    """

    names: tuple[str, ...]
    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    low: FloatArray
    high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    riv: FloatArray
    lambda_: FloatArray
    fmi: FloatArray
    relative_efficiency: FloatArray
    ubar: FloatArray
    b: FloatArray
    t: FloatArray
    dfcom: FloatArray
    m: int
    draws: int
    rule: str
    level: float
    size_ratio: float
    fallback: BoolArray
    absent: Mapping[str, tuple[int, ...]]
    extras: Mapping[str, FloatArray]
    notes: tuple[str, ...]
    parts: Parts = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def columns(self) -> dict[str, FloatArray]:
        """Return every column, shape (k,), by its name in `to_frame`."""
        return {c.rstrip("_"): getattr(self, c) for c in _COLUMNS} | dict(self.extras)

    def covariance(self) -> FloatArray:
        """Return T as a matrix, shape (k, k).

        Raises
        ------
        PoolingError
            If only variances were given, or the rule's fallback stands for some of them.
        """
        if not self.parts.has_covariance:
            raise PoolingError("only variances were pooled", "Give covariances, shape (m, k, k), or fitted results.")
        if self.fallback.any():
            raise PoolingError(
                f"the variance of {self.names[int(np.argmax(self.fallback))]!r} is a fallback",
                "There is no covariance matrix then; use the variances.",
            )
        rule = find(self.rule)
        shares = rule.shares(self.m, self.draws, self.size_ratio)
        return shares.total(self.parts.u.mean((0, 1)), self.parts.first, *self.parts.spread())

    def to_frame(self) -> Any:
        """Return a pandas frame, one row per parameter, with all columns."""
        import pandas as pd

        return pd.DataFrame(self.columns(), index=pd.Index(self.names, name="term"))

    def to_latex(self) -> str:
        """Return a LaTeX table (booktabs) of what the terminal shows."""
        return render.latex(self._cells(), self._caption())

    def to_html(self) -> str:
        """Return an HTML table of what the terminal shows."""
        return render.html(self._cells(), self._caption(), self.notes)

    def __repr__(self) -> str:
        return render.text(self._cells(), self._caption(), self.notes)

    def _repr_html_(self) -> str:
        return self.to_html()

    @property
    def over(self) -> str:
        """Over what was pooled: "10 implicates", "20 nests of 2 draws"."""
        nests = f"{self.m} nests of {self.draws} draws" if self.draws > 1 else f"{self.m} implicates"
        return nests if self.m > 1 else "1 implicate"

    def _caption(self) -> str:
        return f"Pooled over {self.over}, rule {self.rule!r}"

    def _cells(self) -> list[list[str]]:
        head = ["term", "estimate", "std. error", "df", f"{100 * self.level:g}% low", "high", "p", "FMI"]
        shown = (self.estimate, self.std_error, self.df, self.low, self.high)
        rows = [
            [name, *(render.number(c[i]) for c in shown), render.p_value(self.p_value[i]), render.share(self.fmi[i])]
            for i, name in enumerate(self.names)
        ]
        return [head, *rows]


_COLUMNS = (
    "estimate", "std_error", "df", "low", "high", "statistic", "p_value", "riv", "lambda_", "fmi",
    "relative_efficiency", "ubar", "b", "t", "dfcom", "fallback",
)  # fmt: skip
