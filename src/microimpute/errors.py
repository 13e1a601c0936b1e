"""Every error that a user can meet: what is wrong, in which column, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BenchmarkError",
    "CalibrationError",
    "FetchError",
    "FusionError",
    "MethodError",
    "MicroImputeError",
    "MissingExtraError",
    "OutputError",
    "PoolingError",
    "RecipeError",
    "SurveyError",
    "closest",
    "first_line",
]


class MicroImputeError(Exception):
    """Base of all errors of the package.

    Parameters
    ----------
    problem
        One sentence that names the column or file and what is wrong with it.
    remedy
        One sentence that says what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Come back from another process as what it was: constructors of subclasses take other arguments."""
        return _again, (type(self), self.problem, self.remedy)


def _again(kind: type[MicroImputeError], problem: str, remedy: str) -> MicroImputeError:
    error = kind.__new__(kind, f"{problem}. {remedy}")
    error.problem, error.remedy = problem, remedy
    return error


class SurveyError(MicroImputeError):
    """A survey file or frame is not what it was said to be."""


class FetchError(MicroImputeError):
    """A file can't be fetched from its publisher."""


class FusionError(MicroImputeError):
    """Donor, receiver, targets, predictors and rules do not fit together."""


class MethodError(MicroImputeError):
    """A method does not exist, has no such setting, or can't do what is asked."""


class RecipeError(MicroImputeError):
    """A recipe is not valid TOML or says something that does not exist."""


class BenchmarkError(MicroImputeError):
    """A benchmark's task, metric or suite does not exist or can't be used."""


class PoolingError(MicroImputeError):
    """Estimates can't be pooled, tested or given a variance the way that was asked."""


class CalibrationError(MicroImputeError):
    """Published aggregates can't be met the way that was asked."""


class OutputError(MicroImputeError):
    """Results can't be written to, or read from, the place that was named."""


class MissingExtraError(MicroImputeError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, purpose: str, install: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}, which is not installed", f"Run: {install}")


def first_line(error: Exception) -> str:
    """Return what an error of another package says, short enough to stand within one of ours."""
    return str(error).strip().partition("\n")[0]


def closest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list what there is.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that exist.

    Returns
    -------
    str
        A sentence for the remedy of an error.
    """
    names = sorted(known)
    lowered = {n.lower(): n for n in names}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    return f"There is: {shown or 'nothing'}."
