"""Marginal effects of a model fitted to every implicate: by how much its mean changes, pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError, closest
from microimpute.pooling.inputs import grouped
from microimpute.pooling.models import Fit, as_pandas, is_class, read_fits
from microimpute.pooling.pooled import pool
from microimpute.pooling.table import Pooled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["marginal_effects"]

FloatArray = npt.NDArray[np.float64]

#: Step of a derivative, in units of the value: rounding and curvature together err least near eps^(1/3).
_STEP = 6e-6
#: Values below this many standard deviations, and above one, step as those do.
_SMALL = 1e-3


@dataclass(frozen=True)
class _Variable:
    """What is changed: an amount by a step, a flag from 0 to 1, or a class from the first level to each other."""

    name: str
    what: str
    levels: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Rows:
    """The rows over which effects are averaged, with the offset and weight of each."""

    frame: pd.DataFrame
    offset: FloatArray
    weight: FloatArray


def marginal_effects(
    results: Sequence[Any],
    variables: Sequence[str] | None = None,
    at: Any = "overall",
    *,
    discrete: bool = True,
    weight: Any = None,
    level: float = 0.95,
    rule: str = "rubin",
    dfcom: Any = None,
) -> Pooled:
    """Pool average marginal effects: derivatives of the mean by amounts, discrete changes for flags and classes.

    In implicate i the effect of an amount is Σw·∂μ(x; βᵢ)/∂x / Σw; of a flag, Σw·(μ(x = 1) − μ(x = 0))/Σw; of a class,
    the same from its first level to each other. Variables of a formula are changed before the formula is applied, so
    that powers, logs and interactions follow. Variances are by the delta method, gVᵢg′ with g the gradient by the
    coefficients; implicates are combined by the rule.

    Parameters
    ----------
    results
        Fitted results of statsmodels, one per implicate, as `pooled_predictions` takes; under "external donors" and
        "nested" a list of M lists of N results.
    variables
        Names of the frame's variables (of the matrix's columns, for models without a formula); default: all.
    at
        "overall": averaged over the rows that each implicate's model was fitted to. "mean": at their means, and at the
        most frequent class. Or a frame: averaged over its rows, offset 0.
    discrete
        Whether numbers that are 0 or 1 alone are flags; else their effect is a derivative. Booleans always are.
    weight
        Of the rows that are averaged: a column's name, shape (rows,), or None for the weights that the models were
        fitted with (WLS, GLM; 1 for other models), as Stata's `margins` does. Of "mean" those of the means.
    level, rule, dfcom
        As in `pool`.

    Returns
    -------
    Pooled
        Named by variable; "region[b] - region[a]" for classes. A level that some implicate lacks is left out, and
        reported in `absent`.

    Raises
    ------
    PoolingError
        If a variable is in no model, something is missing or not finite, or a model has no single mean.

    Notes
    -----
    Variances hold predictors fixed, as Stata's `margins` and statsmodels' `get_margeff` do without further asking.
    Derivatives are central differences, with a relative error of the order of 1e-8. Sources: Wooldridge (2010), sec.
    2.2.5 (average partial effects) and 12.5 (delta method); Stata's `mimrgns` (Klein) combines effects so, too.
    """
    fits, draws = read_fits(results, rule)
    if isinstance(at, str) and at not in ("overall", "mean"):
        raise PoolingError(f"at is {at!r}", "Choose 'overall', 'mean', or give a frame.")
    chosen = _variables(fits, variables, discrete)
    parts = [_effects(fit, chosen, _rows(fit, at, weight)) for fit in fits]
    return pool(grouped(parts, draws), dfcom=dfcom, rule=rule, level=level)


def _variables(fits: Sequence[Fit], asked: Sequence[str] | None, discrete: bool) -> list[_Variable]:
    names = list(dict.fromkeys(str(c) for fit in fits for c in fit.frame.columns))
    inside = [n for n in names if any(n in fit.frame and fit.mentions(n) for fit in fits)]
    if asked is not None:
        asked = [asked] if isinstance(asked, str) else list(asked)
        for name in asked:
            if name not in inside:
                raise PoolingError(f"variable {name!r} is in no model", closest(name, inside))
    out = []
    for name in inside if asked is None else asked:
        columns = [fit.frame[name].rename(name) for fit in fits if name in fit.frame]
        if asked is None and all(c.nunique() == 1 for c in columns):
            continue  # a constant
        out.append(_variable(name, columns, fits[0].formula, discrete))
    if not out:
        raise PoolingError("the models have no variables", "Fit them to some.")
    return out


def _variable(name: str, columns: Sequence[pd.Series], formula: str | None, discrete: bool) -> _Variable:
    import pandas as pd

    values = list(dict.fromkeys(v for c in columns for v in c.unique().tolist()))
    if all(pd.api.types.is_bool_dtype(c.dtype) for c in columns):
        return _Variable(name, "flag", (False, True))
    if any(is_class(c, formula) for c in columns):
        ordered = [c.cat.categories.tolist() for c in columns if isinstance(c.dtype, pd.CategoricalDtype)]
        known = [v for v in ordered[0] if v in values] if ordered else sorted(values)
        return _Variable(name, "class", tuple(known))
    if discrete and set(values) <= {0, 1}:
        return _Variable(name, "flag", (0, 1))
    return _Variable(name, "amount")


def _rows(fit: Fit, at: Any, weight: Any) -> _Rows:
    own = isinstance(at, str)
    frame = fit.frame if own else as_pandas(at, fit.names)
    count = len(frame)
    if not count:
        raise PoolingError("there is no row to average over", "Give at least one.")
    if weight is None:
        w = fit.weight if own else np.ones(count)
    elif isinstance(weight, str):
        if weight not in frame:
            raise PoolingError(f"there is no weight column {weight!r}", closest(weight, map(str, frame.columns)))
        w = frame[weight].to_numpy(dtype=np.float64)
    else:
        w = np.asarray(weight, dtype=np.float64)
    if w.shape != (count,) or not np.isfinite(w).all() or (w < 0).any() or not w.sum() > 0:
        raise PoolingError(
            f"weights have shape {w.shape} for {count:,} rows, or hold what is no weight",
            "Give one finite number per row, none below 0 and not all 0.",
        )
    needed = frame[[c for c in frame.columns if fit.mentions(str(c))]]  # surveys are wide, and rows are copied
    rows = _Rows(needed, fit.offset if own else np.zeros(count), w / w.sum())
    return _mean(fit, rows) if isinstance(at, str) and at == "mean" else rows


def _mean(fit: Fit, rows: _Rows) -> _Rows:
    """Return one row: weighted means of amounts and the most frequent class of each variable in the model."""
    import pandas as pd

    row: dict[str, pd.Series] = {}
    for name in map(str, rows.frame.columns):
        column = rows.frame[name]
        if is_class(column, fit.formula):
            heaviest = pd.Series(rows.weight, column.index).groupby(column.to_numpy()).sum().idxmax()
            row[name] = column[column == heaviest].iloc[:1].reset_index(drop=True)
        else:
            row[name] = pd.Series([float(column.to_numpy(dtype=np.float64) @ rows.weight)])
    return _Rows(pd.DataFrame(row), np.atleast_1d(rows.offset @ rows.weight), np.ones(1))


def _effects(fit: Fit, variables: Sequence[_Variable], rows: _Rows) -> SimpleNamespace:
    """Return an implicate's effects and their covariance, as `pool` reads results."""
    import pandas as pd

    names, effects, gradients = [], [], []
    for variable in variables:
        for name, low, high, width in _changes(fit, variable, rows.frame):
            X = [fit.design(frame) for frame in (high, low)]
            eta = [x @ fit.beta + rows.offset for x in X]
            change = (fit.link.inverse(eta[0]) - fit.link.inverse(eta[1])) / width
            slopes = [fit.link.slope(e)[:, None] * x for e, x in zip(eta, X, strict=True)]
            effect = float(rows.weight @ change)
            if not np.isfinite(effect):
                raise PoolingError(f"the effect of {name!r} in {fit.where} is {effect}", "Look at its rows.")
            names.append(name)
            effects.append(effect)
            gradients.append((rows.weight / width) @ (slopes[0] - slopes[1]))
    G = np.array(gradients).reshape(len(names), len(fit.beta))
    return SimpleNamespace(params=pd.Series(effects, names, dtype=float), cov=G @ fit.covariance @ G.T, df_resid=fit.df)


def _changes(fit: Fit, variable: _Variable, frame: pd.DataFrame) -> list[tuple[str, Any, Any, FloatArray]]:
    """List what is compared: name, rows before, rows after, and the width of each row's step."""
    name, one = variable.name, np.ones(len(frame))
    if name not in fit.frame:
        return []  # `pool` reports that this implicate lacks it
    if variable.what == "amount":
        values, own = (f[name].to_numpy(dtype=np.float64) for f in (frame, fit.frame))
        spread = float(own.std()) or max(1.0, abs(float(own[0])))
        step = _STEP * np.clip(np.abs(values), _SMALL * spread, spread)  # logs bend most near 0
        low, high = values - step, values + step
        if fit.formula is not None and "bs(" in fit.formula:  # B-splines end where the data do
            low, high = np.maximum(low, min(own.min(), values.min())), np.minimum(high, max(own.max(), values.max()))
        return [(name, frame.assign(**{name: low}), frame.assign(**{name: high}), high - low)]
    if variable.what == "flag":
        off, on = (_set(frame, name, value) for value in variable.levels)
        return [(name, off, on, one)]
    seen = set(fit.frame[name].unique())
    first, *others = variable.levels
    if first not in seen:
        return []
    return [
        (f"{name}[{other}] - {name}[{first}]", _set(frame, name, first), _set(frame, name, other), one)
        for other in others
        if other in seen
    ]


def _set(frame: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    """Return rows that all have one value, of the column's own type."""
    import pandas as pd

    dtype = frame[name].dtype
    if pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_float_dtype(dtype):
        return frame.assign(**{name: value})
    return frame.assign(**{name: pd.Series([value] * len(frame), index=frame.index, dtype=dtype)})
