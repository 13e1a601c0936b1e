"""Fusion: donor, receiver, targets, predictors and rules, checked once. The only place that validates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute import checks, checks_of_values
from microimpute import rules as edit_rules
from microimpute.checks import Note
from microimpute.errors import FusionError
from microimpute.gaps import fill
from microimpute.keyed import Keys
from microimpute.kinds import Kind, Table, Variable, describe, encode
from microimpute.rules import Identity, Rule
from microimpute.survey import Survey
from microimpute.ties import ties

__all__ = ["Fusion", "Note", "Training"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Training:
    """What one implicate learns from.

    Attributes
    ----------
    X, Y
        Predictors and targets of the donors, ordered by the donors' keys.
    weight
        float64, shape (donors,).
    households
        uint64, shape (donors,); rows of one household agree.
    replicates
        Replicate weights that are resamples, shape (donors, R), or None.
    """

    X: Table
    Y: Table
    weight: FloatArray
    households: Keys
    replicates: FloatArray | None = None


@dataclass(frozen=True, init=False)
class Fusion:
    """A donor and a receiver made ready for imputation.

    Parameters
    ----------
    donor, receiver
        `Survey`, or anything that `Survey` takes.
    targets
        Columns that only the donor has. A target that is the total of an identity among `rules` is
        derived from its parts instead of drawn.
    predictors
        Columns that both have; without them all common columns are taken, and `notes` says so.
    rules
        Edit rules and identities, as objects or text (see `microimpute.rules`).
    kinds
        Declared kinds, column → kind; they go before the surveys' own.

    Attributes
    ----------
    variables
        Predictors' and targets' descriptions by name.
    identities
        Totals in the order in which they are derived.
    notes
        What was counted, assumed or filled on the way.

    Raises
    ------
    FusionError
        If anything does not fit; names the column and the remedy.
    """

    donor: Survey
    receiver: Survey
    targets: tuple[str, ...]
    predictors: tuple[str, ...]
    rules: tuple[Rule, ...]
    identities: tuple[Identity, ...]
    variables: Mapping[str, Variable]
    notes: tuple[Note, ...]
    receiver_keys: Keys = field(repr=False)
    _donor_x: Table = field(repr=False)
    _donor_y: Table = field(repr=False)
    _receiver_x: Table = field(repr=False)
    _donor_weight: FloatArray = field(repr=False)
    _donor_order: npt.NDArray[np.int64] = field(repr=False)
    _donor_implicate: npt.NDArray[np.int64] = field(repr=False)
    _households: Keys = field(repr=False)
    _replicates: FloatArray | None = field(repr=False)

    def __init__(
        self,
        donor: Any,
        receiver: Any,
        *,
        targets: Sequence[str],
        predictors: Sequence[str] | None = None,
        rules: Sequence[Rule | str] = (),
        kinds: Mapping[str, Kind | str] | None = None,
    ) -> None:
        donor, receiver = _survey(donor), _survey(receiver)
        self._set(donor=donor, receiver=receiver)
        notes = [Note(text) for text in (*donor.notes, *receiver.notes)]
        notes += self._check_design()
        notes += self._choose_columns(targets, predictors, rules)
        notes += self._encode(kinds or {})
        self._check_rules()
        notes += self._order_donors()
        self._set(notes=tuple(notes))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen for everyone else

    @property
    def derived(self) -> tuple[str, ...]:
        """Totals that are derived, not drawn."""
        return tuple(i.total for i in self.identities)

    @property
    def implicates(self) -> tuple[int, ...]:
        """Numbers of the donor's own implicates."""
        return tuple(int(i) for i in np.unique(self._donor_implicate))

    def training(self, implicate: int) -> Training:
        """Return what implicate 1, 2, … learns from: the donor's own implicates are used in turn.

        Parameters
        ----------
        implicate
            Number of the implicate to be made, from 1.
        """
        own = self.implicates[(implicate - 1) % len(self.implicates)]
        rows = self._donor_order[self._donor_implicate[self._donor_order] == own]
        return Training(
            replace(self._donor_x.take(rows), households=self._households[rows]),
            self._donor_y.take(rows),
            self._donor_weight[rows],
            self._households[rows],
            None if self._replicates is None else self._replicates[rows],
        )

    @property
    def receivers(self) -> Table:
        """Predictors of the receivers, in the order of their file."""
        return self._receiver_x

    def donor_columns(self) -> dict[str, FloatArray]:
        """Return all donors' targets and derived totals as numbers, shape (donor rows,) each."""
        columns = dict(zip(self._donor_y.names, self._donor_y.values.T, strict=True))
        return columns | edit_rules.derive(self.identities, columns)

    def _check_design(self) -> list[Note]:
        notes: list[Note] = []
        for survey, side in ((self.donor, "donor"), (self.receiver, "receiver")):
            checks.rows(survey, side)
            _, told = checks.weights(survey, side)
            notes += told
            notes += [
                Note(
                    f"{side}: {c.figure} is {c.found:,.6g}, published {c.published:,.6g} ({c.source}).",
                    warning=True,
                )
                for c in survey.checks
                if not c.passed
            ]
        if self.receiver.implicate is not None:
            raise FusionError(
                f"the receiver has implicates of its own ({self.receiver.implicate!r})",
                "Choose one implicate of it, or fuse each in turn.",
            )
        checks.dollars(self.donor, self.receiver)
        keys = self.receiver.row_keys()
        checks.unique_keys(self.receiver, "receiver", keys, np.ones(len(keys), dtype=np.int64))
        self._set(receiver_keys=keys)
        return notes

    def _choose_columns(
        self, targets: Sequence[str], predictors: Sequence[str] | None, given: Sequence[Rule | str]
    ) -> list[Note]:
        parsed = edit_rules.parse_all(given)
        identities = edit_rules.derivation_order(parsed)
        totals = {i.total for i in identities}
        named = checks.targets(self.donor, self.receiver, targets)
        for total in sorted(totals):
            checks.absent_from_receiver(self.receiver, total)
        drawn = tuple(t for t in named if t not in totals)
        if not drawn:
            raise FusionError("all targets are totals of identities", "Name the parts as targets too.")
        chosen, by_default = checks.predictors(self.donor, self.receiver, predictors, [*named, *totals])
        self._set(targets=drawn, predictors=chosen, rules=parsed, identities=identities)
        notes = [Note(f"{t} is derived from its parts, not drawn.") for t in named if t in totals]
        if by_default:
            notes.append(Note(f"Predictors are the columns that both surveys have: {', '.join(chosen)}."))
            shared = [c for c in self.donor.columns if c in self.receiver.columns and c not in self.donor.design]
            left_out = [c for c in shared if checks.names_rows(self.donor, c) and c not in chosen]
            notes += [Note(f"{c} names each row and is left out of the predictors.") for c in left_out]
            suspects = [c for c in chosen if checks.looks_like_weight(c)]
            notes += [Note(f"{c} is used as a predictor; is it a weight?", warning=True) for c in suspects]
        return notes

    def _encode(self, kinds: Mapping[str, Kind | str]) -> list[Note]:
        declared = {**self.receiver.kinds, **self.donor.kinds, **kinds}
        for column in kinds:
            if column not in self.donor.columns:
                raise FusionError(f"a kind is declared for {column!r}, which is not in the donor", "Check its name.")
        variables = {
            name: describe(self.donor.frame[name], declared.get(name)) for name in (*self.predictors, *self.targets)
        }
        self._set(variables=variables)
        outcomes = [encode(self.donor.frame[t], variables[t]) for t in self.targets]
        for name, values in zip(self.targets, outcomes, strict=True):
            checks_of_values.target_values(variables[name], values)
        drawn = dict(zip(self.targets, outcomes, strict=True))
        derived = edit_rules.derive(self.identities, drawn)
        totals = np.column_stack(list(derived.values())) if derived else None
        kept = tuple(variables[t] for t in self.targets)
        y = Table(kept, np.column_stack(outcomes), ties(self.rules, self.targets), totals)
        x_donor, x_receiver, notes = self._encode_predictors(variables)
        self._set(_donor_x=x_donor, _donor_y=y, _receiver_x=x_receiver)
        return notes

    def _encode_predictors(self, variables: Mapping[str, Variable]) -> tuple[Table, Table, list[Note]]:
        out: list[tuple[Variable, FloatArray, FloatArray]] = []
        notes: list[Note] = []
        weight = self.donor.weights()
        for name in self.predictors:
            variable = variables[name]
            ours, theirs = (
                encode(self.donor.frame[name], variable),
                encode(self.receiver.frame[name], variable),
            )
            checks_of_values.predictor_values(variable, ours, "donor")
            checks_of_values.predictor_values(variable, theirs, "receiver")
            notes += checks_of_values.overlap(variable, ours, theirs, weight)
            notes += checks_of_values.coarse(variable, ours)
            columns, told = fill(variable, ours, theirs, weight, self.predictors)
            out += columns
            notes += told
        kept = tuple(v for v, _, _ in out)
        return (
            Table(kept, np.column_stack([o for _, o, _ in out])),
            Table(kept, np.column_stack([t for _, _, t in out])),
            notes,
        )

    def _check_rules(self) -> None:
        classes = [t for t in self.targets if self.variables[t].kind.is_class]
        checks.rule_columns(self.rules, self.targets, classes)
        columns = dict(zip(self._donor_y.names, self._donor_y.values.T, strict=True))
        for total in self.derived:
            if total in self.donor.columns:
                columns[total] = self.donor.numbers(total)
        checks.rules_hold(self.rules, columns)

    def _order_donors(self) -> list[Note]:
        weight = self.donor.weights()
        keys, implicates = self.donor.row_keys(), self.donor.implicates()
        checks.unique_keys(self.donor, "donor", keys, implicates)
        checks.implicate_weights(self.donor, implicates, weight)
        order = np.argsort(keys, kind="stable")
        used = order[weight[order] > 0]
        self._set(_donor_weight=weight, _donor_order=used, _donor_implicate=implicates)
        replicates, notes = checks.resamples(self.donor)
        self._set(_households=self.donor.household_keys(), _replicates=replicates)
        if left_out := len(order) - len(used):
            notes.append(Note(f"{left_out:,} donor rows have weight zero and are never drawn.", left_out))
        return notes


def _survey(source: Any) -> Survey:
    return source if isinstance(source, Survey) else Survey(source)
