"""Survey: a table together with its design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError, closest
from microimpute.frames import Frame, aligned, as_frame, make_series, plain_values
from microimpute.keyed import Keys, hash_columns, occurrence
from microimpute.kinds import Kind

if TYPE_CHECKING:
    from microimpute.variance import Replicates

__all__ = ["Check", "Survey", "replace_survey"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """A published figure beside the one that the file gives.

    Attributes
    ----------
    figure
        What it is, with unit.
    published, found
        The two values.
    tolerance
        Largest relative difference that passes.
    source
        Where the published value stands.
    """

    figure: str
    published: float
    found: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        """Whether the two agree within the tolerance."""
        return abs(self.found - self.published) <= self.tolerance * abs(self.published)


@dataclass(frozen=True, init=False)
class Survey:
    """A table with its design: weight, implicates, keys, kinds, dollar year.

    Parameters
    ----------
    frame
        pandas or polars frame, Arrow table, or path of a Parquet, CSV or Stata file.
    weight
        Column of survey weights; None means that every row counts alike.
    keys
        Columns that together name a unit (a household, say); for a survey with implicates the same unit
        stands once in each implicate.
    implicate
        Column that numbers the survey's own implicates, 1, 2, ….
    household
        Columns that name the household of a row when rows are persons or tax units; donors are resampled
        by it. Default: `keys`.
    replicates
        Replicate weight columns.
    replicate_rule
        How they make a variance: "brr", "fay 0.3" (Fay's, with its ρ), "successive difference", "jackknife",
        "bootstrap", or a survey's name such as "cps asec"; see `microimpute.variance.Replicates`. Needed where a
        variance is asked for.
    kinds
        Declared kinds, column → kind.
    dollars
        Year whose prices the money columns are in.
    unit
        What a row is, in a word.
    source
        Where the data are from, in a sentence.
    labels
        Column → what it means.
    checks
        Published figures that were compared when the file was read.
    notes
        What was changed or left out when the file was read, one sentence each, with counts.
    """

    frame: Frame = field(repr=False)
    weight: str | None
    keys: tuple[str, ...]
    implicate: str | None
    household: tuple[str, ...]
    replicates: tuple[str, ...]
    replicate_rule: str
    kinds: Mapping[str, Kind | str]
    dollars: int | None
    unit: str
    source: str
    labels: Mapping[str, str] = field(repr=False)
    checks: tuple[Check, ...] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)

    def __init__(
        self,
        frame: Any,
        *,
        weight: str | None = None,
        keys: str | Sequence[str] = (),
        implicate: str | None = None,
        household: str | Sequence[str] = (),
        replicates: Sequence[str] = (),
        replicate_rule: str = "",
        kinds: Mapping[str, Kind | str] | None = None,
        dollars: int | None = None,
        unit: str = "row",
        source: str = "",
        labels: Mapping[str, str] | None = None,
        checks: Sequence[Check] = (),
        notes: Sequence[str] = (),
    ) -> None:
        table = frame if isinstance(frame, nw.DataFrame) else as_frame(frame)
        values: dict[str, Any] = {
            "frame": table,
            "weight": weight,
            "keys": _names(keys),
            "implicate": implicate,
            "household": _names(household) or _names(keys),
            "replicates": tuple(replicates),
            "replicate_rule": replicate_rule,
            "kinds": dict(kinds or {}),
            "dollars": dollars,
            "unit": unit,
            "source": source,
            "labels": dict(labels or {}),
            "checks": tuple(checks),
            "notes": tuple(notes),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        """Refuse design columns that are not there, and what does not number implicates."""
        one = {"weight": self.weight, "implicate": self.implicate}
        several = {"keys": self.keys, "household": self.household, "replicates": self.replicates, "kinds": self.kinds}
        for role, column in one.items():
            if column is not None:
                self.require(str(column), role)
        for role, columns in several.items():
            for column in columns:
                self.require(column, role)
        self.implicates()

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def native(self) -> Any:
        """The frame in the library that it came in."""
        return self.frame.to_native()

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return self.frame.columns

    @property
    def design(self) -> frozenset[str]:
        """Columns that describe the sample, not the units: weights, keys, implicate."""
        one = {c for c in (self.weight, self.implicate) if c}
        return frozenset(one | {*self.keys, *self.household, *self.replicates})

    def require(self, column: str, role: str) -> None:
        """Raise unless a column is there.

        Raises
        ------
        SurveyError
            Names the column, its role, and the nearest name that exists.
        """
        if column not in self.columns:
            raise SurveyError(f"{role} column {column!r} is not in the table", closest(column, self.columns))

    def numbers(self, column: str) -> FloatArray:
        """Return a numeric column as float64, shape (rows,), missing as NaN.

        Raises
        ------
        SurveyError
            If there is no such column, or it holds something else.
        """
        self.require(column, "numeric")
        dtype = self.frame[column].dtype
        if not dtype.is_numeric() and dtype != nw.Boolean:
            raise SurveyError(f"column {column!r} holds {dtype}, not numbers", "Convert it to numbers.")
        out: FloatArray = self.frame[column].cast(nw.Float64).to_numpy().astype(np.float64)
        return out

    def weights(self) -> FloatArray:
        """Return the weights as float64, shape (rows,); ones where the survey has none."""
        return np.ones(len(self)) if self.weight is None else self.numbers(self.weight)

    def replicated(self) -> Replicates:
        """Return the weight with its replicates and their rule.

        Raises
        ------
        SurveyError
            If the survey has no replicate weights, or does not say by what rule they make a variance.
        PoolingError
            If the rule does not exist, or the survey that it names has another number of replicates.
        """
        from microimpute.variance import Replicates

        if not self.replicates:
            raise SurveyError("the survey has no replicate weights", "Name their columns in `replicates`.")
        if not self.replicate_rule:
            raise SurveyError(
                f"nobody said how the {len(self.replicates)} replicate weights make a variance",
                "Set the survey's `replicate_rule`, to 'cps asec' or 'bootstrap', say.",
            )
        if self.replicate_rule == "fay":
            raise SurveyError("nobody said the rho of Fay's rule", "Write it with the rule, as 'fay 0.3'.")
        many = np.column_stack([self.numbers(c) for c in self.replicates])
        return Replicates(self.weights(), many, self.replicate_rule)

    def implicates(self) -> npt.NDArray[np.int64]:
        """Return each row's implicate number, shape (rows,); ones where the survey has none.

        Raises
        ------
        SurveyError
            If a number is missing or not whole, or the column does not hold numbers.
        """
        if self.implicate is None:
            return np.ones(len(self), dtype=np.int64)
        numbers = self.numbers(self.implicate)
        whole = np.isfinite(numbers) & (np.trunc(numbers) == numbers)
        if odd := int((~whole).sum()):
            raise SurveyError(
                f"implicate column {self.implicate!r} is missing or no whole number in {odd:,} of {len(self):,} rows",
                "Number the implicates 1, 2, ….",
            )
        return numbers.astype(np.int64)

    def row_keys(self) -> Keys:
        """Hash each row's key to 64 bits, shape (rows,).

        A survey without keys is keyed by the content of its rows, numbered where rows are alike, so that
        the order in which they stand does not matter.
        """
        if self.keys:
            return self._hash(self.keys)
        content = self._hash(tuple(self.columns))
        return hash_columns([content.view(np.int64), occurrence(content)], len(self))

    def household_keys(self) -> Keys:
        """Hash each row's household to 64 bits, shape (rows,); rows of one household agree."""
        return self._hash(self.household) if self.household else self.row_keys()

    def _hash(self, columns: Sequence[str]) -> Keys:
        return hash_columns([plain_values(self.frame[c]) for c in columns], len(self))

    def with_columns(self, columns: Mapping[str, npt.NDArray[Any]], **changes: Any) -> Survey:
        """Return a survey with more columns; `changes` replace parts of its design.

        Raises
        ------
        SurveyError
            If a column is there already: observed values are never overwritten.
        """
        taken = sorted(set(columns) & set(self.columns))
        if taken:
            raise SurveyError(f"column {taken[0]!r} is in the table already", "Choose another name.")
        backend = self.frame.implementation
        new = [aligned(make_series(n, v, None, backend), self.frame) for n, v in columns.items()]
        return replace_survey(self, frame=self.frame.with_columns(*new), **changes)


def replace_survey(survey: Survey, **changes: Any) -> Survey:
    """Return a copy of a survey with some of its parts changed."""
    parts = {name: getattr(survey, name) for name in Survey.__dataclass_fields__}
    parts.update(changes)
    return Survey(parts.pop("frame"), **parts)


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
