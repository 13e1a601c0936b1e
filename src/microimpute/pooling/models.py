"""What a fitted model predicts, and how that changes with its parameters: what predictions and effects share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.pooling.inputs import in_nests
from microimpute.pooling.rules import find

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fit", "Link", "as_pandas", "is_class", "read_fits"]

FloatArray = npt.NDArray[np.float64]

#: Rows on which a link has to reproduce what the model predicts.
_TRIED = 50


@dataclass(frozen=True)
class Link:
    """How the mean follows from the linear predictor η.

    Attributes
    ----------
    name
        "identity", "Log", "Logit" …
    inverse, slope
        η → mean, and η → its derivative.
    """

    name: str
    inverse: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]


_OWN = (
    Link("identity", lambda eta: eta, np.ones_like),
    Link("Log", np.exp, np.exp),
)


@dataclass(frozen=True)
class Fit:
    """One implicate's model.

    Attributes
    ----------
    where
        "implicate 3", or "nest 2, draw 1".
    result
        As it was fitted.
    beta
        Coefficients of the columns of its design matrix, shape (k,).
    covariance
        Of these, shape (k, k).
    link
        How its mean follows from them.
    df
        Residual degrees of freedom; infinite where it has none.
    names
        Of the columns of the design matrix.
    frame
        The rows that it was fitted to, shape (n, …): of the frame, for a model from a formula, else of the matrix.
    formula
        Its right-hand side; None for a model from a matrix.
    offset
        What was added to each row's linear predictor, exposure included, shape (n,).
    weight
        Weights that it was fitted with (of WLS, of a GLM), shape (n,); ones for other models.
    """

    where: str
    result: Any
    beta: FloatArray
    covariance: FloatArray
    link: Link
    df: float
    names: tuple[str, ...]
    frame: pd.DataFrame
    formula: str | None
    offset: FloatArray
    weight: FloatArray

    def design(self, frame: pd.DataFrame) -> FloatArray:
        """Return the design matrix of other rows, shape (rows, k).

        Raises
        ------
        PoolingError
            If a column is not there, or something is missing in it.
        """
        if self.formula is None:
            matrix = self._columns(frame)
        else:
            try:
                matrix = np.asarray(self.result._transform_predict_exog(frame)[0], dtype=np.float64)
            # a formula may call any function, and what that raises is anybody's
            except Exception as error:  # noqa: BLE001
                told = " ".join(str(error).split()).rpartition("is: ")[2]
                raise PoolingError(
                    f"the formula can't be applied: {told}", "Give rows that it takes, with all its variables."
                ) from None
        if not np.isfinite(matrix).all():
            row = int(np.argmax(~np.isfinite(matrix).all(1)))
            raise PoolingError(f"the model has no finite predictors in row {row + 1}", "Fill or drop such rows.")
        return matrix

    def _columns(self, frame: pd.DataFrame) -> FloatArray:
        out = np.empty((len(frame), len(self.names)))
        for place, name in enumerate(self.names):
            own = self.frame[name].to_numpy()
            if name in frame:
                out[:, place] = frame[name]
            elif (own == 1).all():  # the constant that add_constant gives
                out[:, place] = 1.0
            else:
                raise PoolingError(f"there is no column {name!r}, which the model has", "Give all its predictors.")
        return out

    def mentions(self, column: str) -> bool:
        """Whether a column of the frame is in the model, as far as names tell."""
        if self.formula is None:
            return column in self.names
        return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", self.formula) is not None

    def classes(self) -> list[str]:
        """Name the columns of classes that the formula takes: text, categories, flags, or whatever stands in C()."""
        if self.formula is None:
            return []
        return [c for c in map(str, self.frame.columns) if self.mentions(c) and is_class(self.frame[c], self.formula)]


def is_class(values: pd.Series, formula: str | None) -> bool:
    """Whether a column holds classes: by its type, or because the formula says C(column)."""
    import pandas as pd

    said = formula is not None and re.search(rf"C\(\s*{re.escape(str(values.name))}(?!\w)", formula) is not None
    return said or not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)


def as_pandas(frame: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return a frame of any library, or an array with the columns `names`, as a pandas frame."""
    import narwhals as nw
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame
    if isinstance(frame, np.ndarray):
        rows = np.atleast_2d(frame)
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise PoolingError(f"rows have shape {rows.shape}", f"Give the columns {', '.join(names)}, or a frame.")
        return pd.DataFrame(rows, columns=list(names))
    try:
        table: pd.DataFrame = nw.from_native(frame, eager_only=True).to_pandas()
    except TypeError:
        raise PoolingError(f"{type(frame).__name__} is no table of rows to predict for", "Give a frame.") from None
    return table


def read_fits(results: Sequence[Any], rule: str) -> tuple[list[Fit], int]:
    """Read the models, nest by nest where there are nests, and how many there are to a nest (0: no nests).

    Raises
    ------
    PoolingError
        If there is none, the rule is for nests and they are in none or the other way round, or one is no model whose
        mean follows from a linear predictor: it says what is lacking.
    """
    if not isinstance(results, Sequence) or isinstance(results, str) or not len(results):
        raise PoolingError("results are no list of fitted models", "Give one result per implicate.")
    nested = find(rule).nested()
    nests = in_nests(results, nested)
    fits = [
        _read(result, f"nest {i}, draw {j}" if nested else f"implicate {i}")
        for i, nest in enumerate(nests, 1)
        for j, result in enumerate(nest, 1)
    ]
    return fits, len(nests[0]) if nested else 0


def _read(result: Any, where: str) -> Fit:
    model: Any = getattr(result, "model", None)
    if not (hasattr(model, "predict") and isinstance(getattr(model, "exog", None), np.ndarray)):
        raise PoolingError(
            f"the result of {where} ({type(result).__name__}) has no model that predicts from a matrix",
            "Give fitted results of statsmodels, such as smf.logit(…).fit().",
        )
    exog = np.asarray(model.exog, dtype=np.float64)
    params, k = np.asarray(result.params, dtype=np.float64), exog.shape[1]
    if params.ndim != 1 or len(params) < k:
        raise PoolingError(
            f"the model of {where} has parameters of shape {params.shape} for {k} predictors",
            "Models of several outcomes have no single mean; fit one for each.",
        )
    names = tuple(map(str, model.exog_names[:k]))
    frame, formula = _rows(model, exog, names)
    return Fit(
        where=where,
        result=result,
        beta=params[:k],
        covariance=np.asarray(result.cov_params(), dtype=np.float64)[:k, :k],
        link=_link(model, params, exog, where),
        df=float(getattr(result, "df_resid", np.inf)),
        names=names,
        frame=frame,
        formula=formula,
        offset=_offset(model, len(exog)),
        weight=_weight(model, len(exog)),
    )


def _link(model: Any, params: FloatArray, exog: FloatArray, where: str) -> Link:
    """Find the link that gives what the model predicts."""
    known: list[Any] = [getattr(getattr(model, "family", None), "link", None), getattr(model, "link", None)]
    links = [Link(type(link).__name__, link.inverse, link.inverse_deriv) for link in known if hasattr(link, "inverse")]
    rows = exog[:_TRIED]
    eta = rows @ params[: exog.shape[1]]
    predicted = np.asarray(model.predict(params, rows), dtype=np.float64)
    with np.errstate(over="ignore"):
        for link in (*links, *_OWN):
            if predicted.shape == eta.shape and np.allclose(link.inverse(eta), predicted, rtol=1e-9, atol=0):
                return link
    raise PoolingError(
        f"the mean of {type(model).__name__} ({where}) follows by no known link from its predictors",
        "Predictions and effects are for linear and generalised linear models.",
    )


def _rows(model: Any, exog: FloatArray, names: tuple[str, ...]) -> tuple[pd.DataFrame, str | None]:
    import pandas as pd

    if not hasattr(model, "formula"):
        return pd.DataFrame(exog, columns=list(names)), None
    frame = model.data.frame
    dropped = getattr(model.data, "missing_row_idx", None)
    if dropped is not None and len(dropped):
        frame = frame.iloc[np.setdiff1d(np.arange(len(frame)), dropped)]
    if len(frame) != len(exog):
        raise PoolingError(
            f"a model was fitted to {len(exog):,} rows, and its frame has {len(frame):,}", "Fit it to the rows alone."
        )
    return frame, str(model.formula).partition("~")[2]


def _offset(model: Any, rows: int) -> FloatArray:
    """Add up offset and exposure; statsmodels keeps the log of the exposure under that name."""
    out = np.zeros(rows)
    for part in (getattr(model, "offset", None), getattr(model, "exposure", None)):
        if part is not None and np.shape(part) in ((), (rows,)):
            out = out + np.asarray(part, dtype=np.float64)
    return out


def _weight(model: Any, rows: int) -> FloatArray:
    """Return survey weights: those of WLS and of a GLM, not the working weights of an iteration."""
    out = np.ones(rows)
    kept = ("freq_weights", "var_weights") if hasattr(model, "freq_weights") else ("weights",)
    if kept == ("weights",) and not hasattr(model, "whiten"):
        return out
    for part in (getattr(model, name, None) for name in kept):
        if part is not None and np.shape(part) == (rows,):
            out = out * np.asarray(part, dtype=np.float64)
    return out
