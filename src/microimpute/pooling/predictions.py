"""Predictions of a model fitted to every implicate, pooled where they are nearest to normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.pooling import render
from microimpute.pooling.inputs import grouped
from microimpute.pooling.models import Fit, as_pandas, read_fits
from microimpute.pooling.pooled import pool
from microimpute.pooling.table import Pooled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Predictions", "pooled_predictions"]

FloatArray = npt.NDArray[np.float64]

#: Rows up to which predictions keep their covariance with each other.
WHOLE = 1000


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """Predicted means, one per row; every array has shape (rows,).

    Attributes
    ----------
    names
        Of the rows.
    estimate, std_error, low, high
        Predicted mean, its standard error (delta method: dμ/dη times that of the linear predictor), interval.
    link
        Through which the interval came back: "identity", "Log", "Logit" …
    scale
        Where implicates were combined: "link" or "response".
    pooled
        What was combined, with degrees of freedom, fraction of missing information, and tests, on that scale.
    """

    names: tuple[str, ...]
    estimate: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    link: str
    scale: str
    pooled: Pooled = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def df(self) -> FloatArray:
        """Degrees of freedom."""
        return self.pooled.df

    @property
    def fmi(self) -> FloatArray:
        """Fraction of missing information."""
        return self.pooled.fmi

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""
        where = f"the scale of the link ({self.link})" if self.scale == "link" else "the scale of the response"
        return (*self.pooled.notes, f"Combined on {where}.")

    def to_frame(self) -> Any:
        """Return a pandas frame, one row per prediction."""
        import pandas as pd

        shown = ("estimate", "std_error", "df", "low", "high", "fmi")
        return pd.DataFrame({c: getattr(self, c) for c in shown}, index=pd.Index(self.names, name="row"))

    def to_latex(self) -> str:
        """Return a LaTeX table (booktabs)."""
        return render.latex(self._cells(), self._caption())

    def to_html(self) -> str:
        """Return an HTML table."""
        return render.html(self._cells(), self._caption(), self.notes)

    def __repr__(self) -> str:
        return render.text(self._cells(), self._caption(), self.notes)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _caption(self) -> str:
        return f"Predicted means, pooled over {self.pooled.over}, rule {self.pooled.rule!r}"

    def _cells(self) -> list[list[str]]:
        head = ["row", "estimate", "std. error", "df", f"{100 * self.pooled.level:g}% low", "high", "FMI"]
        shown = (self.estimate, self.std_error, self.df, self.low, self.high)
        return [
            head,
            *(
                [name, *(render.number(c[i]) for c in shown), render.share(self.fmi[i])]
                for i, name in enumerate(self.names)
            ),
        ]


def pooled_predictions(
    results: Sequence[Any],
    at: Any,
    *,
    scale: str = "link",
    level: float = 0.95,
    rule: str = "rubin",
    dfcom: Any = None,
) -> Predictions:
    """Predict for given rows from a model that was fitted to every implicate.

    In implicate i the linear predictor of row x is x′βᵢ with variance x′Vᵢx; these are combined by the rule, and
    estimate and interval go through the inverse link. So an interval for a probability stays within 0 and 1, and what
    is combined is nearer to normal, which the rules take for granted. Where predictions themselves are to be combined,
    ask for scale="response", with variances by the delta method, (dμ/dη)²x′Vᵢx.

    Parameters
    ----------
    results
        Fitted results of statsmodels, one per implicate: OLS, WLS, GLM, Logit, Probit, Poisson, quantile regression …;
        from a formula or from matrices. Under "external donors" and "nested" a list of M lists of N results.
    at
        Rows to predict for: a frame with the model's variables, or an array with the columns of its matrix. Offset 0
        and exposure 1.
    scale
        "link" or "response".
    level
        Of the interval.
    rule, dfcom
        As in `pool`.

    Returns
    -------
    Predictions
        A row whose class some implicate has not seen is left out, and reported in a note.

    Raises
    ------
    PoolingError
        If a variable is not there, links differ, or a model has no single mean.

    Notes
    -----
    Sources: Rubin (1987), ch. 3, and van Buuren (2018), sec. 5.2: what is combined should be about normal, after a
    transformation if need be. Stata's `mi predict` combines linear predictors, too; the R package marginaleffects
    combines responses, as scale="response" does.
    """
    fits, draws = read_fits(results, rule)
    if scale not in ("link", "response"):
        raise PoolingError(f"scale is {scale!r}", "Choose 'link' or 'response'.")
    link = fits[0].link
    for fit in fits:
        if fit.link.name != link.name:
            raise PoolingError(f"{fit.where} has the link {fit.link.name}, the first {link.name}", "Fit them alike.")
    rows = as_pandas(at, fits[0].names)
    if not len(rows):
        raise PoolingError("there is no row to predict for", "Give at least one.")
    names = _row_names(rows)
    parts = [_predicted(fit, rows, names, fits, scale) for fit in fits]
    found = pool(grouped(parts, draws), dfcom=dfcom, rule=rule, level=level)
    if scale == "response":
        return Predictions(found.names, found.estimate, found.std_error, found.low, found.high, link.name, scale, found)
    low, high = np.sort(np.stack([link.inverse(found.low), link.inverse(found.high)]), axis=0)  # a link may fall
    spread = np.abs(link.slope(found.estimate)) * found.std_error
    return Predictions(found.names, link.inverse(found.estimate), spread, low, high, link.name, scale, found)


def _row_names(rows: pd.DataFrame) -> list[str]:
    labels = [str(label) for label in rows.index]
    plain = labels == [str(i) for i in range(len(rows))] or len(set(labels)) < len(labels)
    return [f"row {i + 1}" for i in range(len(rows))] if plain else labels


def _predicted(fit: Fit, rows: pd.DataFrame, names: list[str], fits: Sequence[Fit], scale: str) -> SimpleNamespace:
    """Return an implicate's predictions for the rows that it can predict, as `pool` reads results."""
    import pandas as pd

    able = _able(fit, rows, fits)
    X = fit.design(rows[able]) if able.any() else np.zeros((0, len(fit.beta)))
    eta = X @ fit.beta
    D = X * fit.link.slope(eta)[:, None] if scale == "response" else X
    params = pd.Series(
        fit.link.inverse(eta) if scale == "response" else eta, [n for n, a in zip(names, able, strict=True) if a]
    )
    if len(rows) > WHOLE:
        return SimpleNamespace(
            params=params, bse=np.sqrt(np.einsum("ij,jk,ik->i", D, fit.covariance, D)), df_resid=fit.df
        )
    return SimpleNamespace(params=params, cov=D @ fit.covariance @ D.T, df_resid=fit.df)


def _able(fit: Fit, rows: pd.DataFrame, fits: Sequence[Fit]) -> npt.NDArray[np.bool_]:
    """Say of which rows a model has seen the classes: shape (rows,)."""
    able = np.ones(len(rows), dtype=bool)
    for column in fit.classes():
        if column in rows:
            able &= rows[column].isin(fit.frame[column].unique()).to_numpy()
    if fit.formula is None:  # a column that only other implicates have stands for a class that this one lacks
        others = {n for other in fits for n in other.names} - set(fit.names)
        for column in others & set(map(str, rows.columns)):
            able &= (rows[column] == 0).to_numpy()
    return able
