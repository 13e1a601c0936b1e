"""One analysis on every implicate: estimates, their sampling variance from replicate weights, and the pooled table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError
from microimpute.pooling import Pooled, pool
from microimpute.pooling.inputs import is_fitted
from microimpute.pooling.rules import find
from microimpute.variance import Estimate, Replicates
from microimpute.variance.statistics import takes_many

__all__ = ["IMPUTED", "Estimates", "check_fitting", "each", "pooled"]

#: Combining rules for values that were imputed, because nobody observed them.
IMPUTED = ("rubin", "scf", "nested", "external donors")

FloatArray = npt.NDArray[np.float64]


class Estimates(list[Estimate]):
    """One `variance.Estimate` per implicate, and what its numbers are called.

    Attributes
    ----------
    names
        Of the k numbers.
    replicates
        What their covariances are from.
    """

    def __init__(self, estimates: Sequence[Estimate], names: tuple[str, ...], replicates: Replicates) -> None:
        super().__init__(estimates)
        self.names = names
        self.replicates = replicates


def each(
    completed: Callable[[int], Any],
    m: int,
    analysis: Callable[..., Any],
    of: str | Sequence[str] | None,
    replicates: Replicates | None,
    workers: int | None,
) -> list[Any] | Estimates:
    """Run an analysis on every implicate, several at a time.

    Parameters
    ----------
    completed
        Number of an implicate → its frame, made when it is asked for and forgotten after.
    m
        Number of implicates.
    analysis, of, replicates, workers
        See `Imputations.apply`.

    Returns
    -------
    list or Estimates
        What the analysis returned; `Estimates` where it takes a weight.
    """
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=-1 if workers is None else workers, backend="threading")
    numbers = range(1, m + 1)
    if of is None and not takes_many(analysis) and _arguments(analysis) < 2:
        return list(parallel(delayed(lambda i: analysis(completed(i)))(i) for i in numbers))
    if replicates is None:
        raise PoolingError(
            "the analysis takes a weight, and there are no replicate weights to learn its sampling variance from",
            "Name the receiver's `replicates` and `replicate_rule`, give replicates=bootstrap_replicates(weight, …) "
            "from microimpute.variance, or return a fitted result, which has its own covariance, from f(frame).",
        )
    known = replicates
    got = list(parallel(delayed(lambda i: _estimate(completed(i), analysis, of, known, i))(i) for i in numbers))
    names = got[0][1]
    for i, (_, other) in enumerate(got, 1):
        if other != names:
            raise PoolingError(
                f"implicate {i} gives {_list(other)} where implicate 1 gives {_list(names)}",
                "Fix the categories before the analysis, so that every implicate gives the same numbers.",
            )
    return Estimates([estimate for estimate, _ in got], names, replicates)


def check_fitting(rule: str, fitting: Sequence[str], kind: str, own: str) -> None:
    """Check that a rule is for the data at hand.

    Parameters
    ----------
    rule
        The rule that was asked for.
    fitting
        Those for this kind of data.
    kind, own
        What the data are, and the rule that is taken if none is named.

    Raises
    ------
    PoolingError
        If there is no such rule, or it is for other data.
    """
    if find(rule).name not in fitting:
        raise PoolingError(
            f"the rule {rule!r} is not for {kind} data: its standard errors would be wrong",
            f"Leave the rule out, which takes {own!r}, or choose one of {', '.join(map(repr, fitting))}.",
        )


def pooled(results: list[Any] | Estimates, *, draws: int = 1, rule: str | None = None, **options: Any) -> Pooled:
    """Combine what `each` returned.

    Parameters
    ----------
    results
        One per implicate.
    draws
        Implicates per nest.
    rule
        None: "external donors" where implicates come in nests, else "rubin".
    options
        As `microimpute.pool` takes.

    Raises
    ------
    PoolingError
        If implicates come in nests and the rule takes each for learnt anew.
    """
    rule = rule or ("external donors" if draws > 1 else "rubin")
    nested = find(rule).nested()
    if draws > 1 and not nested:
        raise PoolingError(
            f"implicates come in nests of {draws} draws from one model; the rule {rule!r} takes each for learnt anew",
            "Leave the rule out for 'external donors', or use 'nested'.",
        )

    def nests(values: Any) -> Any:
        """Put implicates into nests: an array by its shape, results into lists."""
        if not nested:
            return values
        if isinstance(values, np.ndarray):
            return values.reshape(len(values) // draws, draws, *values.shape[1:])
        return [values[start : start + draws] for start in range(0, len(values), draws)]

    options["rule"] = rule
    if isinstance(results, Estimates):
        count = results.replicates.replicates.shape[1]
        said: dict[str, Any] = {"dfcom": count - 1, "names": results.names} | options
        shape = (len(results), len(results.names))
        q = np.stack([e.estimate for e in results]).reshape(shape)
        u = np.stack([e.covariance for e in results]).reshape(*shape, shape[1])
        source = f"{count} replicate weights ({results.replicates.rule})"
        return _told(pool(nests(q), nests(u), **said), source)
    if isinstance(results[0], tuple):
        estimates, variances = zip(*results, strict=True)
        return _told(
            pool(nests(list(estimates)), nests(list(variances)), **options), "the variances that the analysis returned"
        )
    if not is_fitted(results[0]):
        raise PoolingError(
            f"the analysis returns {type(results[0]).__name__}, which has no sampling variance",
            "Return a fitted result, or (estimates, variances); or take a weight beside the frame, f(frame, weight), "
            "for a variance from replicate weights.",
        )
    return _told(pool(nests(results), **options), "the covariances of the fitted results")


def _told(found: Pooled, source: str) -> Pooled:
    count = f"{found.m} nests of {found.draws}" if found.draws > 1 else str(found.m)
    how = f"Combined by the rule {found.rule!r} over {count} implicates; variance within them from {source}."
    return replace(found, notes=(*found.notes, how))


def _estimate(
    frame: Any, analysis: Callable[..., Any], of: str | Sequence[str] | None, replicates: Replicates, number: int
) -> tuple[Estimate, tuple[str, ...]]:
    """Return an implicate's estimate with its covariance, and the names of its numbers."""
    values = frame if of is None else _values(frame, of)
    try:
        if takes_many(analysis):
            found = replicates.estimate(analysis, values)
            return found, _names_of(found.estimate, of, analysis)
        names, _ = _named(analysis(values, replicates.weight), of, analysis)
        return replicates.estimate(lambda v, w: _ordered(analysis(v, w), names, of, analysis), values), names
    except PoolingError as error:
        raise PoolingError(f"implicate {number}: {error.problem}", error.remedy) from None


def _ordered(result: Any, names: tuple[str, ...], of: Any, analysis: Callable[..., Any]) -> FloatArray:
    own, numbers = _named(result, of, analysis)
    if own != names:
        raise PoolingError(
            f"a replicate gives {_list(own)} where the full sample gives {_list(names)}",
            "Fix the categories before the analysis, or make the domain larger.",
        )
    return numbers


def _named(result: Any, of: Any, analysis: Callable[..., Any]) -> tuple[tuple[str, ...], FloatArray]:
    """Read numbers and their names from what an analysis returned."""
    result = getattr(result, "params", result)
    if isinstance(result, Mapping):
        return tuple(map(str, result)), np.array(list(result.values()), dtype=np.float64)
    try:
        numbers = np.atleast_1d(np.asarray(result, dtype=np.float64))
    except (TypeError, ValueError):
        raise PoolingError(
            f"the analysis returns {type(result).__name__}, not numbers",
            "Return a number, an array, a dict or series of them, or a fitted result.",
        ) from None
    index = getattr(result, "index", None)
    names = tuple(map(str, index)) if index is not None and not callable(index) else _names_of(numbers, of, analysis)
    return names, numbers


def _names_of(numbers: FloatArray, of: Any, analysis: Callable[..., Any]) -> tuple[str, ...]:
    count = max(1, int(np.size(numbers)))
    if isinstance(of, str) and count == 1:
        function = getattr(analysis, "func", analysis)
        return (f"{getattr(function, '__name__', 'statistic')} of {of}",)
    if of is not None and not isinstance(of, str) and len(of) == count:
        return tuple(of)
    return tuple(f"q{i + 1}" for i in range(count))


def _values(frame: Any, of: str | Sequence[str]) -> FloatArray:
    names = [of] if isinstance(of, str) else list(of)
    for name in names:
        if name not in list(frame.columns):
            raise PoolingError(f"column {name!r} is neither the receiver's nor imputed", "Name one that is there.")
    columns = [np.asarray(frame[name], dtype=np.float64) for name in names]
    for name, column in zip(names, columns, strict=True):
        if missing := int(np.isnan(column).sum()):
            raise PoolingError(f"column {name!r} is missing in {missing:,} rows", "Fill them, or analyse a domain.")
    return columns[0] if isinstance(of, str) else np.column_stack(columns)


def _arguments(analysis: Callable[..., Any]) -> int:
    """Count the arguments that a function must be given."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(analysis).parameters.values()
    except ValueError:  # a builtin that does not say
        return 1
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
