"""What is pooled: arrays, or fitted results, read into arrays whose columns mean the same in every implicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError

__all__ = ["Parts", "from_arrays", "from_results", "grouped", "in_nests", "is_fitted", "is_results"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Estimates and their variances in every implicate.

    Attributes
    ----------
    q
        Estimates, shape (M, N, k): N draws in each of M nests, N = 1 where they are not nested.
    u
        Variances of shape (M, N, k) or covariances of shape (M, N, k, k).
    first
        Variances or covariances of implicate 1, shape (k,) or (k, k).
    names
        Of the k parameters.
    dfcom
        Degrees of freedom on complete data, shape (k,).
    absent
        Parameter that was left out → numbers, from 1, of the implicates that lack it.
    """

    q: FloatArray
    u: FloatArray
    first: FloatArray
    names: tuple[str, ...]
    dfcom: FloatArray
    absent: Mapping[str, tuple[int, ...]]

    @property
    def has_covariance(self) -> bool:
        """Whether whole covariance matrices are known."""
        return self.u.ndim == 4

    def variances(self) -> FloatArray:
        """Return variances, shape (M, N, k)."""
        return np.diagonal(self.u, axis1=-2, axis2=-1) if self.has_covariance else self.u

    def spread(self) -> tuple[FloatArray, FloatArray]:
        """Return B and W: matrices of shape (k, k) where covariances are known, else shape (k,).

        B = Σ(Q̄ᵢ − Q̄)(Q̄ᵢ − Q̄)′/(M − 1) over nests' means, W = ΣΣ(Qᵢⱼ − Q̄ᵢ)(Qᵢⱼ − Q̄ᵢ)′/(M(N − 1)): Rubin (1987), eq.
        3.1.4, and Shen (2000). B is NaN for one implicate, W 0 for one draw per nest.
        """
        m, draws, _ = self.q.shape
        means = self.q.mean(1)
        off, inner = means - means.mean(0), (self.q - means[:, None]).reshape(m * draws, -1)
        form = "ik,il->kl" if self.has_covariance else "ik,ik->k"
        between, within = np.einsum(form, off, off), np.einsum(form, inner, inner)
        return (
            between / (m - 1) if m > 1 else np.full_like(between, np.nan),
            within / (m * (draws - 1)) if draws > 1 else np.zeros_like(within),
        )


def is_results(Q: Any) -> bool:
    """Return whether these are fitted results, or nests of them, and not numbers."""
    if not isinstance(Q, Sequence) or isinstance(Q, str) or not len(Q):
        return False
    return is_fitted(Q[0]) or is_results(Q[0])


def is_fitted(result: Any) -> bool:
    """Return whether this is a fitted result: one with `params`, or with `coef()` as pyfixest's have."""
    return hasattr(result, "params") or callable(getattr(result, "coef", None))


def from_arrays(Q: Any, U: Any, dfcom: Any, names: Sequence[str] | None, nested: bool, only_first: bool) -> Parts:
    """Read estimates and variances from arrays.

    Parameters
    ----------
    Q
        Shape (m, k), or (m,) for one parameter; (M, N, k) or (M, N) if nested.
    U
        Variances of Q's shape or covariances with one axis of k more. With `only_first`, implicate 1's alone will
        do: shape (1, k), (1, k, k), or a number for one parameter.
    dfcom
        A number, shape (k,), or None for infinity.
    names
        Of the parameters; Q's columns if it has any, else q1, q2 …
    nested, only_first
        What the rule wants.
    """
    if U is None:
        raise PoolingError("there are estimates but no variances", "Give U, or fitted results that carry their own.")
    if names is None and hasattr(Q, "columns"):
        names = [str(c) for c in Q.columns]
    q, u = _numbers(Q, "estimates"), _numbers(U, "variances")
    lead = 2 if nested else 1
    if q.ndim == lead:
        q, u = q[..., None], u[..., None]
    if q.ndim != lead + 1 or 0 in q.shape:
        wanted = "(nests, draws, parameters)" if nested else "(implicates, parameters)"
        raise PoolingError(f"estimates have shape {np.shape(Q)}", f"Give them as {wanted}.")
    u = _fitting(q, u, only_first)
    if not nested:
        q, u = q[:, None], u[:, None]
    k = q.shape[-1]
    named = tuple(str(n) for n in names) if names is not None else tuple(f"q{i + 1}" for i in range(k))
    return _checked(Parts(q, u, u[0, 0], named, _dfcom(np.inf if dfcom is None else dfcom, k), {}))


def _numbers(values: Any, what: str) -> FloatArray:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PoolingError(
            f"{what} are not one array of numbers", "Give every implicate as many numbers as the others."
        ) from error


def _fitting(q: FloatArray, u: FloatArray, only_first: bool) -> FloatArray:
    if only_first and u.ndim and u.shape[0] == 1 and u.shape[1:] in (q.shape[1:], (*q.shape[1:], q.shape[-1])):
        return np.repeat(u, len(q), axis=0)
    if only_first and u.size == 1 and q.shape[-1] == 1:
        return np.full_like(q, u.item())
    if u.shape == q.shape or u.shape == (*q.shape, q.shape[-1]):
        return u
    if u.shape == (*q.shape[:-1], 1, 1):
        return u[..., 0]
    raise PoolingError(
        f"variances have shape {u.shape}, estimates {q.shape}",
        f"Give variances of shape {q.shape} or covariances of shape {(*q.shape, q.shape[-1])}.",
    )


def _dfcom(dfcom: Any, k: int) -> FloatArray:
    df = np.array(dfcom, dtype=np.float64)
    if df.shape not in ((), (k,)):
        raise PoolingError(f"dfcom has shape {df.shape}", f"Give one number, or one for each of {k} parameters.")
    if not (df > 0).all():
        raise PoolingError("complete-data degrees of freedom (dfcom) are not above 0", "Leave dfcom out if unknown.")
    return np.broadcast_to(df, (k,))


def _checked(x: Parts) -> Parts:
    if len(x.names) != x.q.shape[-1] or len(set(x.names)) != len(x.names):
        raise PoolingError(
            f"there are {x.q.shape[-1]} parameters and {len(set(x.names))} different names",
            "Name every parameter once.",
        )
    _finite(x, x.q, "estimate")
    variances = x.variances()
    _finite(x, variances, "variance")
    if (variances < 0).any():
        nest, draw, p = np.argwhere(variances < 0)[0]
        raise PoolingError(
            f"the variance of {x.names[p]!r} in {_where(x, nest, draw)} is negative", "Check what U holds."
        )
    if x.has_covariance and not (
        np.isfinite(x.u).all() and np.allclose(x.u, np.swapaxes(x.u, -1, -2), rtol=1e-6, atol=1e-300)
    ):
        raise PoolingError("a covariance matrix has holes or is not symmetric", "Check what U holds.")
    return x


def _finite(x: Parts, values: FloatArray, what: str) -> None:
    if not np.isfinite(values).all():
        nest, draw, p = np.argwhere(~np.isfinite(values))[0]
        raise PoolingError(
            f"the {what} of {x.names[p]!r} in {_where(x, nest, draw)} is {values[nest, draw, p]}",
            "Leave that parameter out, or find out why its analysis failed there.",
        )


def _where(x: Parts, nest: int, draw: int) -> str:
    return f"implicate {nest + 1}" if x.q.shape[1] == 1 else f"nest {nest + 1}, draw {draw + 1}"


def in_nests(results: Sequence[Any], nested: bool) -> list[list[Any]]:
    """Return results by nest: as they are given, or each in one of its own where the rule knows no nests.

    Raises
    ------
    PoolingError
        If there are nests and the rule takes none, or none and it takes them; or if their sizes differ.
    """
    lists = [isinstance(r, Sequence) and not isinstance(r, str) for r in results]
    if nested and not all(lists):
        raise PoolingError(
            "the rule is for draws in nests, and results are in none",
            "Give a list for each model learnt, with the results of its draws: [[a1, a2], [b1, b2], …].",
        )
    if not nested and any(lists):
        raise PoolingError(
            "results come in nests, and the rule takes each implicate for learnt anew",
            "Choose the rule 'external donors' or 'nested'.",
        )
    nests = [list(r) if nested else [r] for r in results]
    if len({len(n) for n in nests}) != 1:
        raise PoolingError("nests hold different numbers of draws", "Give every nest as many as the others.")
    if not nests[0]:
        raise PoolingError("nests are empty", "Give every nest a result for each draw.")
    return nests


def grouped(results: Sequence[Any], draws: int) -> list[Any]:
    """Return results in nests of so many draws; as they are where there is 0 to a nest, which is none."""
    return [list(results[i : i + draws]) for i in range(0, len(results), draws)] if draws else list(results)


def from_results(results: Any, dfcom: Any, names: Sequence[str] | None, nested: bool, align: str) -> Parts:
    """Read estimates and covariances from fitted results (of statsmodels, linearmodels, pyfixest and the like).

    Parameters
    ----------
    results
        One per implicate (nested: a list per nest), each with `params` and `cov_params()`, `cov` or `bse`; or, as
        pyfixest's, with `coef()` and `_vcov` or `se()`.
    dfcom
        None takes the smallest `df_resid` (pyfixest's `_df_t`), or infinity where there is none.
    names
        Names of the parameters where results have none of their own.
    nested
        What the rule wants.
    align
        "common" keeps the parameters that all implicates have and reports the rest; "strict" wants them all equal.
    """
    nests = in_nests(results, nested)
    flat = list(chain.from_iterable(nests))
    read = [_one(r, names) for r in flat]
    kept, absent = _common([r[0] for r in read], align)
    places = [[r[0].index(n) for n in kept] for r in read]
    shape = (len(nests), len(nests[0]), len(kept))
    q = np.stack([r[1][p] for r, p in zip(read, places, strict=True)]).reshape(shape)
    whole = all(r[2].ndim == 2 for r in read)
    if whole:
        u = np.stack([r[2][np.ix_(p, p)] for r, p in zip(read, places, strict=True)]).reshape(*shape, len(kept))
    else:
        spread = [np.diag(r[2]) if r[2].ndim == 2 else r[2] for r in read]
        u = np.stack([s[p] for s, p in zip(spread, places, strict=True)]).reshape(shape)
    df = min(_df_of(r) for r in flat) if dfcom is None else dfcom
    return _checked(Parts(q, u, u[0, 0], kept, _dfcom(df, len(kept)), absent))


def _one(result: Any, names: Sequence[str] | None) -> tuple[list[str], FloatArray, FloatArray]:
    """Read names, estimates of shape (k,), and covariance (k, k) or variances (k,) of one fitted result."""
    params = result.params if hasattr(result, "params") else result.coef()
    estimates = np.array(params, dtype=np.float64).ravel()
    own = getattr(params, "index", None)
    if own is None or callable(own):  # a list has a method of that name
        own = names if names is not None else getattr(getattr(result, "model", None), "exog_names", None)
    if own is None:
        own = [f"q{i + 1}" for i in range(len(estimates))]
    named = [str(n) for n in own]
    if len(named) != len(estimates) or len(set(named)) != len(named):
        raise PoolingError(
            f"a result has {len(estimates)} parameters and {len(set(named))} different names",
            "Name every parameter once.",
        )
    for attribute in ("cov_params", "cov", "_vcov"):  # pyfixest's `vcov` sets one
        if hasattr(result, attribute):
            found = getattr(result, attribute)
            return named, estimates, np.array(found() if callable(found) else found, dtype=np.float64)
    for attribute in ("bse", "std_errors", "se"):
        if hasattr(result, attribute):
            found = getattr(result, attribute)
            return named, estimates, np.array(found() if callable(found) else found, dtype=np.float64).ravel() ** 2
    raise PoolingError("a result has neither cov_params() nor bse", "Give estimates and variances as arrays.")


def _df_of(result: Any) -> float:
    """Return the degrees of freedom of a result's t distribution, infinite where it has none."""
    known = (getattr(result, name, None) for name in ("df_resid", "_df_t"))
    return next((float(df) for df in known if df is not None), np.inf)


def _common(names: list[list[str]], align: str) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]]]:
    every = list(dict.fromkeys(chain.from_iterable(names)))
    lacking = {n: tuple(i + 1 for i, have in enumerate(names) if n not in have) for n in every}
    kept = tuple(n for n in every if not lacking[n])
    absent = {n: where for n, where in lacking.items() if where}
    if align not in ("common", "strict"):
        raise PoolingError(f"align is {align!r}", "Choose 'common' or 'strict'.")
    if absent and (align == "strict" or not kept):
        name, where = next(iter(absent.items()))
        raise PoolingError(
            f"parameter {name!r} is absent from {len(where)} of {len(names)} implicates (the first: {where[0]})",
            "Fix the categories before fitting, so that every implicate has the same parameters"
            + (", or pool with align='common'." if kept else "."),
        )
    return kept, absent
