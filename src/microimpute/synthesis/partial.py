"""Partially synthetic data: real records some of whose values are drawn anew, with the rule that pools them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import checks
from microimpute import manifest as manifest_file
from microimpute import rules as edit_rules
from microimpute.drawing import impute
from microimpute.errors import FusionError, MethodError, closest
from microimpute.frames import Series, aligned, make_series
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.kinds import Kind
from microimpute.methods.base import Method
from microimpute.rules import Rule
from microimpute.survey import Survey, replace_survey
from microimpute.synthesis.base import SyntheticData, design_of

__all__ = ["PartiallySynthetic", "synthesise_partially"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PartiallySynthetic(SyntheticData):
    """A survey m times, some of its values drawn anew given the others.

    Attributes
    ----------
    columns
        What was replaced, totals that identities derive included.
    rows, replaced
        Records of the survey, and those whose values were replaced.
    unchanged
        For each data set, how many of the replaced records got all their own values back, by chance.
    copies
        For each data set, how many of the replaced records equal some record of the survey, in all columns but those
        of the design and those that name rows.
    unique_copies
        For each data set, how many of those equal the record of one household alone: whoever knows it would find it.
    rule
        Name of the combining rule (`microimpute.pooling.RULES`) that `pool` uses.
    manifest
        What was done, as plain values.
    """

    columns: tuple[str, ...]
    rows: int
    replaced: int
    unchanged: tuple[int, ...]
    copies: tuple[int, ...]
    unique_copies: tuple[int, ...]
    manifest: Mapping[str, Any] = field(repr=False)
    _original: Survey = field(repr=False)
    _values: Mapping[str, tuple[Series, ...]] = field(repr=False)
    kind: str = field(default="partially synthetic", init=False)
    rule: str = field(default="partially synthetic", init=False)

    @property
    def m(self) -> int:
        """Number of data sets."""
        return len(self._values[self.columns[0]])

    @property
    def size_ratio(self) -> float:
        """Rows of a data set over rows of the survey: 1."""
        return 1.0

    def survey(self, number: int = 1) -> Survey:
        """Return a data set, 1 … m, in the library that the survey came in, with the survey's design.

        Raises
        ------
        FusionError
            If there is no such data set.
        """
        if not 1 <= number <= self.m:
            raise FusionError(f"there is no data set {number}", f"Choose one of 1 to {self.m}.")
        frame = self._original.frame
        new = [aligned(self._values[c][number - 1], frame) for c in self.columns]
        return design_of(self._original, frame.with_columns(*new))


def synthesise_partially(
    survey: Any,
    targets: Sequence[str],
    m: int = 5,
    seed: int = 0,
    *,
    where: Any = None,
    method: str | Method = "qrf",
    predictors: Sequence[str] | None = None,
    rules: Sequence[Rule | str] = (),
    kinds: Mapping[str, Kind | str] | None = None,
    workers: int | None = None,
) -> PartiallySynthetic:
    """Replace some columns of a survey, or of some of its rows, by draws given the rest; everything else stays.

    Parameters
    ----------
    survey
        `Survey`, or anything that `Survey` takes.
    targets
        Columns to replace, in the order in which they are drawn.
    m, seed, workers
        As in `impute`.
    where
        Rows whose values are replaced: shape (rows,), or the name of a column of flags; default: all. The model learns
        from these rows alone, so that it is theirs even if they were chosen by what is replaced (top incomes, say).
    method
        The engine: any method, by name or made with settings of its own.
    predictors
        Columns that stay and that draws are given; default: all that stay but those of the design and those that name
        rows. What is left out here loses its relation to the targets.
    rules, kinds
        As in `Fusion`: edit rules among the targets hold, totals of them are derived.

    Returns
    -------
    PartiallySynthetic

    Raises
    ------
    FusionError, SurveyError, MethodError
        Each names the column and the remedy; MethodError also if every replaced record of a data set got all its own
        values back.

    Notes
    -----
    Each data set comes from its own resample of the rows that are replaced, or from parameters drawn (see
    `Method.resampled`). T = Ū + B/m then holds the sampling error once: Rubin's rule, T = Ū + (1 + 1/m)B, would count
    values that were observed as missing, with intervals too wide. Sources: Reiter (2003), Surv. Methodol. 29, who has
    models learn from the replaced rows; Reiter & Kinney (2012), J. Off. Stat. 28 (draws need not be proper); Drechsler
    (2011), Synthetic Datasets for Statistical Disclosure Control, ch. 7.
    """
    known = survey if isinstance(survey, Survey) else Survey(survey)
    chosen = _mask(known, where)
    totals = [i.total for i in edit_rules.derivation_order(edit_rules.parse_all(rules))]
    donor = replace_survey(known, frame=known.frame.filter(chosen.tolist()), checks=(), notes=())
    away = [c for c in dict.fromkeys([*targets, *totals]) if c in donor.columns and c not in donor.design]
    receiver = design_of(donor, donor.frame.drop(away))
    if predictors is None:
        predictors = _predictors(receiver, where)
    fusion = Fusion(donor, receiver, targets=targets, predictors=predictors, rules=rules, kinds=kinds)
    drawn = impute(fusion, method=method, m=m, seed=seed, workers=workers)
    values = {c: tuple(_whole(known, chosen, fusion, drawn, c, i) for i in range(m)) for c in drawn.columns}
    unchanged, copies, unique = _compare(known, chosen, values, m)
    if max(unchanged) == chosen.sum():
        raise MethodError(
            f"{drawn.manifest['method']['name']!r} replaces nothing: all {chosen.sum():,} records got their own values",
            "Choose a method that draws, such as qrf or srmi, or fewer predictors.",
        )
    replaced = int(chosen.sum())
    counts = {"rows": len(known), "replaced": replaced, "unchanged": unchanged, "copies": copies}
    manifest = _manifest(known, drawn, {**counts, "unique_copies": unique})
    return PartiallySynthetic(drawn.columns, len(known), replaced, unchanged, copies, unique, manifest, known, values)


def _mask(survey: Survey, where: Any) -> BoolArray:
    """Read which rows are replaced, shape (rows,)."""
    if where is None:
        return np.ones(len(survey), dtype=bool)
    if isinstance(where, str):
        if where not in survey.columns:
            raise FusionError(f"where names {where!r}, which is not in the table", closest(where, survey.columns))
        where = survey.frame[where].to_list()
    values = np.asarray(where)
    if values.shape != (len(survey),) or not set(values.tolist()) <= {True, False}:
        raise FusionError(
            f"where has shape {values.shape}, or holds something else than flags",
            f"Give one flag for each of {len(survey):,} rows, none of them missing.",
        )
    flags = values.astype(bool)
    if not flags.any():
        raise FusionError("where chooses no row", "Choose at least one.")
    return flags


def _predictors(receiver: Survey, where: Any) -> list[str]:
    able = [c for c in receiver.columns if c not in receiver.design and not checks.names_rows(receiver, c)]
    return [c for c in able if not (isinstance(where, str) and c == where)]  # the same in all rows


def _whole(known: Survey, chosen: BoolArray, fusion: Fusion, drawn: Imputations, column: str, number: int) -> Series:
    """Put an implicate's draws into their rows; everywhere else a column is as it was."""
    series = drawn.values[column][number]
    if column in known.columns:
        own = known.frame[column]
        new: list[Any] = series.to_list()
        if own.dtype.is_integer() and not series.dtype.is_integer():  # a total of whole numbers is one
            new = [int(v) for v in np.rint(series.to_numpy())]
    else:  # a total that the survey does not have
        parts = {
            c: known.numbers(c) for c in known.columns if c in fusion.targets and not fusion.variables[c].kind.is_class
        }
        total = edit_rules.derive(fusion.identities, parts)[column]
        own = make_series(column, total, nw.Float64, known.frame.implementation)
        new = series.to_list()
    if known.frame.implementation.is_pandas():  # positions, whatever the index
        own = nw.from_native(own.to_native().reset_index(drop=True), series_only=True)
    return own.scatter(np.flatnonzero(chosen).tolist(), new)


def _compare(
    known: Survey, chosen: BoolArray, values: Mapping[str, tuple[Series, ...]], m: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Count, for each data set, replaced records unchanged, equal to some record, and to one household's alone."""
    compared = [c for c in known.columns if c not in known.design and (c in values or not checks.names_rows(known, c))]
    held = [c for c in values if c in known.columns]
    before, own = _records(known, compared), _records(known, held)
    owner: dict[int, Any] = {}
    for record, household in zip(before.tolist(), known.household_keys().tolist(), strict=True):
        if owner.setdefault(record, household) != household:
            owner[record] = None  # held by several households
    counts = []
    for number in range(m):
        new = [aligned(values[c][number], known.frame) for c in held]
        survey = replace_survey(known, frame=known.frame.with_columns(*new))
        found = [owner[r] for r in _records(survey, compared)[chosen].tolist() if r in owner]
        same = int((_records(survey, held) == own)[chosen].sum())
        counts.append((same, len(found), sum(household is not None for household in found)))
    unchanged, copies, unique = zip(*counts, strict=True)
    return unchanged, copies, unique


def _records(survey: Survey, columns: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Hash each row's values in some columns, shape (rows,)."""
    return Survey(survey.frame.select(*columns), keys=columns).row_keys()


def _manifest(known: Survey, drawn: Imputations, counts: Mapping[str, Any]) -> dict[str, Any]:
    told = ("method", "m", "seed", "resampling", "predictors", "targets", "derived", "rules")
    notes = [note for note in drawn.manifest["notes"] if not note["text"].startswith("The receiver")]
    most, replaced = max(counts["unique_copies"]), counts["replaced"]
    if most:
        text = f"Up to {most:,} of {replaced:,} replaced records of a data set are the record of one household alone."
        notes.append({"text": text, "count": most, "warning": True})
    plain = {name: list(count) if isinstance(count, tuple) else count for name, count in counts.items()}
    return (
        {name: drawn.manifest[name] for name in told}
        | plain
        | {
            "survey": manifest_file.describe_survey(known),
            "rule": "partially synthetic",
            "notes": notes,
        }
    )
