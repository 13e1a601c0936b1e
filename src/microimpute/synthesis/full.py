"""Fully synthetic data: whole records drawn from a model of a survey, with the combining rule that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import checks
from microimpute.drawing import impute
from microimpute.errors import FusionError, MethodError
from microimpute.frames import make_series
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.kinds import Kind, Table, encode
from microimpute.methods.base import Method
from microimpute.methods.base import method as method_named
from microimpute.metrics.base import Scored
from microimpute.metrics.indistinguishability import PMSE
from microimpute.rules import Rule
from microimpute.survey import Survey
from microimpute.synthesis.base import SyntheticData

__all__ = ["Synthetic", "synthesise"]

FloatArray = npt.NDArray[np.float64]

#: The predictor that says nothing, and the key of synthetic records, while they are drawn.
NOTHING, RECORD = "__nothing__", "__record__"
#: Share of synthetic records that may be those of one donor household each; above, it is no synthesis.
COPIES = 0.5


@dataclass(frozen=True)
class Synthetic(SyntheticData):
    """Synthetic data sets, none of whose records stands for a unit of the survey.

    Attributes
    ----------
    columns
        What was synthesised, totals that identities derive included.
    rows
        Records of each data set.
    copies
        For each data set, how many records equal some donor's in every synthesised column, by chance or because
        records are common.
    unique_copies
        For each data set, how many of those equal the record of one donor household alone: synthpop's
        "replicated uniques", which are what a disclosure check looks at.
    rule
        Name of the combining rule (`microimpute.pooling.RULES`) that `pool` uses.
    manifest
        What was done, as plain values.
    """

    columns: tuple[str, ...]
    rows: int
    copies: tuple[int, ...]
    unique_copies: tuple[int, ...]
    rule: str
    manifest: Mapping[str, Any] = field(repr=False)
    kind: str = field(default="fully synthetic", init=False)
    _fusion: Fusion = field(repr=False)
    _drawn: Imputations = field(repr=False)

    @property
    def m(self) -> int:
        """Number of synthetic data sets."""
        return self._drawn.m

    def survey(self, number: int = 1) -> Survey:
        """Return a synthetic data set, 1 … m, in the library that the survey came in.

        If the survey has weights, each record has the same: the survey's sum of weights over the number of records,
        so that totals are those of the population and formulas for simple random samples hold.

        Raises
        ------
        FusionError
            If there is no such data set.
        """
        weight, donor = self._fusion.receiver.weight, self._fusion.donor
        frame = self._drawn.completed(number).select(*([weight] if weight else []), *self.columns)
        kept = {c: k for c, k in donor.kinds.items() if c in self.columns}
        labels = {c: text for c, text in donor.labels.items() if c in self.columns}
        return Survey(frame, weight=weight, kinds=kept, labels=labels, dollars=donor.dollars, unit="synthetic record")

    @property
    def size_ratio(self) -> float:
        """Records of a data set over rows of the survey."""
        return self.rows / len(self._fusion.training(1).weight)

    def numbers(self, column: str) -> FloatArray:
        """Return an amount of all data sets, or the codes of a class, shape (m, rows)."""
        variable = self._fusion.variables.get(column)
        if variable is None or not variable.kind.is_class:
            return self._drawn.numbers(column)
        return np.stack([encode(series, variable) for series in self._drawn.values[column]])

    def utility(self) -> dict[str, list[float]]:
        """Say how well a classifier tells synthetic records from the survey's.

        Returns
        -------
        dict
            ``pmse_ratio``: for each data set, the propensity score mean squared error over its mean when labels are
            swapped at random; about 1 where nothing tells them apart (see `microimpute.metrics`, `PMSE`).
        """
        ratios = [PMSE().ratio(self._beside(number)) for number in range(1, self.m + 1)]
        return {"pmse_ratio": [round(ratio, 4) for ratio in ratios]}

    def _beside(self, number: int) -> Scored:
        """Put as many records of the survey, chosen at random, beside as many synthetic ones."""
        training = self._fusion.training(number)
        drawn = np.column_stack([self.numbers(t)[number - 1] for t in self._fusion.targets])
        rng = np.random.default_rng([number, 40])
        size = min(len(drawn), len(training.weight))
        ours, theirs = (rng.permutation(n)[:size] for n in (len(training.weight), len(drawn)))
        truth, weight = training.Y.take(ours), training.weight[ours]
        nothing = Table((), np.zeros((size, 0)))
        equal = np.full((1, size), weight.sum() / size)
        one = np.ones(1, dtype=np.int64)
        return Scored(nothing, truth, drawn[None, theirs], weight, nothing, truth, weight, equal, one)


def synthesise(
    survey: Any,
    m: int = 5,
    seed: int = 0,
    *,
    method: str | Method = "qrf",
    rows: int | None = None,
    columns: Sequence[str] | None = None,
    rules: Sequence[Rule | str] = (),
    kinds: Mapping[str, Kind | str] | None = None,
    workers: int | None = None,
) -> Synthetic:
    """Draw m fully synthetic data sets from a survey.

    Each comes from the survey's households resampled (or from parameters drawn, see `Method.resampled`) and is drawn
    in proportion to weight, as from a synthetic population, so that data sets differ by the sampling error of the
    survey and by their own; that is what the rule for fully synthetic data needs.

    Parameters
    ----------
    survey
        `Survey`, or anything that `Survey` takes.
    m, seed, workers
        As in `impute`.
    method
        The engine: any method, by name or made with settings of its own. It draws all columns given nothing. Methods
        that draw variable by variable (qrf is synthpop's sequential trees) make new records; those that take whole
        donors copy real ones, and are refused.
    rows
        Records of each data set; default: as many as the survey has rows (in one of its own implicates).
    columns
        What to synthesise, in the order in which it is drawn; default: all columns but those of the design and
        those that name rows.
    rules, kinds
        As in `Fusion`: edit rules hold in the synthetic records, totals are derived.

    Returns
    -------
    Synthetic

    Raises
    ------
    FusionError, SurveyError, MethodError
        Each names the column and the remedy; MethodError also if more than half of the records are those of one real
        household each.

    Notes
    -----
    Sources: Raghunathan, Reiter & Rubin (2003), J. Off. Stat. 19 (fully synthetic data); Reiter (2005), J. Off.
    Stat. 21 (trees); Nowok, Raab & Dibben (2016), J. Stat. Softw. 74 (synthpop).
    """
    donor = survey if isinstance(survey, Survey) else Survey(survey)
    chosen = method_named(method) if isinstance(method, str) else method
    if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 1):
        raise FusionError(f"rows is {rows!r}", "Give a whole number of at least 1.")
    named, left_out = _columns(donor, columns)
    size = rows or round(len(donor) / len(np.unique(donor.implicates())))
    fusion = Fusion(
        donor.with_columns({NOTHING: np.zeros(len(donor))}),
        _records(donor, size),
        targets=named,
        predictors=[NOTHING],
        rules=rules,
        kinds=kinds,
    )
    drawn = impute(fusion, method=chosen, m=m, seed=seed, workers=workers)
    copies, unique = _copies(fusion, drawn)
    _refuse_copies(chosen, unique, size)
    rule = "fully synthetic"  # donors are resampled, or parameters drawn, whatever else a method loses
    manifest = _manifest(drawn.manifest, size, copies, unique, rule, left_out)
    order = {name: place for place, name in enumerate(donor.columns)}
    kept = tuple(sorted(drawn.columns, key=lambda c: order.get(c, len(order))))
    return Synthetic(kept, size, copies, unique, rule, manifest, fusion, drawn)


def _columns(donor: Survey, asked: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return what is synthesised, and what is left out because it names rows."""
    if asked is not None:
        return list(asked), []
    able = [c for c in donor.columns if c not in donor.design]
    naming = [c for c in able if checks.names_rows(donor, c)]
    return [c for c in able if c not in naming], naming


def _records(donor: Survey, size: int) -> Survey:
    """Make empty records: a key, and the weight that each has."""
    backend = donor.frame.implementation
    weight = donor.weights()[donor.implicates() == donor.implicates().min()].sum() / size
    columns = [
        make_series(RECORD, np.arange(size), nw.Int64, backend),
        make_series(NOTHING, np.zeros(size), nw.Float64, backend),
    ]
    if donor.weight is not None:
        columns.append(make_series(donor.weight, np.full(size, weight), nw.Float64, backend))
    frame = columns[0].to_frame().with_columns(*columns[1:])
    return Survey(frame, weight=donor.weight, keys=RECORD, dollars=donor.dollars, unit="synthetic record")


def _copies(fusion: Fusion, drawn: Imputations) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Count, for each data set, records that are some donor's, and those that are one household's alone."""
    donors = np.column_stack([fusion.donor_columns()[t] for t in fusion.targets])
    owner: dict[bytes, Any] = {}
    for record, household in zip(_bytes(donors), fusion.donor.household_keys(), strict=True):
        if owner.setdefault(record, household) != household:
            owner[record] = None  # held by several households
    copies, unique = [], []
    for number in range(drawn.m):
        parts = [encode(drawn.values[t][number], fusion.variables[t]) for t in fusion.targets]
        held = [owner[record] for record in _bytes(np.column_stack(parts)) if record in owner]
        copies.append(len(held))
        unique.append(sum(household is not None for household in held))
    return tuple(copies), tuple(unique)


def _bytes(values: FloatArray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(values) + 0.0]  # + 0.0 makes −0 equal 0


def _refuse_copies(chosen: Method, unique: Sequence[int], size: int) -> None:
    most = max(unique)
    if most > COPIES * size:
        raise MethodError(
            f"{chosen.name!r} makes no new records: {most:,} of {size:,} are those of one real household each",
            "Choose a method that draws variable by variable, such as qrf or srmi, or synthesise more columns.",
        )


def _manifest(
    made: Mapping[str, Any],
    size: int,
    copies: Sequence[int],
    unique: Sequence[int],
    rule: str,
    left_out: Sequence[str],
) -> dict[str, Any]:
    told = ("method", "m", "seed", "donor", "donor_implicates", "targets", "derived", "rules")
    notes = [note for note in made["notes"] if not note["text"].startswith("The receiver")]
    notes += [
        {"text": f"{name} names each row and was not synthesised.", "count": 0, "warning": False} for name in left_out
    ]
    if any(unique):
        text = f"Up to {max(unique):,} of {size:,} records of a data set are the record of one donor household alone."
        notes.append({"text": text, "count": max(unique), "warning": True})
    return {name: made[name] for name in told} | {
        "rows": size,
        "copies": list(copies),
        "unique_copies": list(unique),
        "rule": rule,
        "notes": notes,
    }
