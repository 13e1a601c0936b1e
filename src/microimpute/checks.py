"""The checks that `Fusion` makes of columns, designs and rules; every error names the column and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.errors import FusionError, closest
from microimpute.keyed import Keys
from microimpute.rules import Identity, Rule
from microimpute.survey import Survey

__all__ = ["Note"]

FloatArray = npt.NDArray[np.float64]

#: With more rows than this, whole numbers that never repeat are taken for a key.
MANY = 20

#: Largest weight in a file: sums of squares of more, or of less than its inverse, have no place in a float64.
HEAVIEST = 1e30

#: Usual names of weights; a predictor with such a name is pointed out.
WEIGHT_NAMES = frozenset(
    ("weight", "weights", "wgt", "wt", "pweight", "finlwt21", "fnlwgt", "asecwt", "asecwth", "marsupwt")
)


@dataclass(frozen=True)
class Note:
    """Something that was done to the data, or that a reader of the results must know.

    Attributes
    ----------
    text
        One sentence.
    count
        Number of rows concerned.
    warning
        Whether it may change conclusions.
    """

    text: str
    count: int = 0
    warning: bool = False


def targets(donor: Survey, receiver: Survey, names: Sequence[str]) -> tuple[str, ...]:
    """Check that targets exist in the donor, and only there."""
    if isinstance(names, str):
        raise FusionError("targets is one string", f"Give a list: targets=[{names!r}].")
    names = _listed("targets", names)
    if not names:
        raise FusionError("there is no target", "Name at least one column of the donor.")
    for name in names:
        if name not in donor.columns:
            raise FusionError(f"target {name!r} is not in the donor", closest(name, donor.columns))
        if name in donor.design:
            raise FusionError(f"target {name!r} is part of the donor's design", "Leave it out of the targets.")
        if names.count(name) > 1:
            raise FusionError(f"target {name!r} is named twice", "Name it once.")
        absent_from_receiver(receiver, name)
    return names


def _listed(role: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns, whatever they came in: a list, a pandas Index, an array."""
    try:
        listed = tuple(names)
    except TypeError:
        raise FusionError(f"{role} is {names!r}", "Give a list of names of columns.") from None
    for name in listed:
        if not isinstance(name, str):
            raise FusionError(f"{role} has {name!r}, which is no name", "Give names of columns as text.")
    return listed


def resamples(donor: Survey) -> tuple[FloatArray | None, list[Note]]:
    """Return replicate weights that can stand for resamples of the donors, shape (rows, R), or None.

    Those of a bootstrap do, and balanced half-samples; successive differences and the jackknife vary too little for one
    replicate to be a resample, and stretched to the right size they would be negative.
    """
    if not donor.replicates:
        return None, []
    instead = "Implicates learn from Bayesian bootstraps of the donor's households"
    count = len(donor.replicates)
    if not donor.replicate_rule:
        return None, [Note(f"{instead}: nobody said what rule its {count} replicate weights follow.", warning=True)]
    known = donor.replicated()
    if known.rule not in ("bootstrap", "brr"):
        return None, [Note(f"{instead}: no replicate of the rule {known.rule!r} is a resample by itself.")]
    for column, weight in zip(donor.replicates, known.replicates.T, strict=True):
        if weight.min() < 0 or weight.max() <= 0:
            wrong = "has negative numbers" if weight.min() < 0 else "is zero throughout"
            raise FusionError(
                f"donor: replicate weight {column!r} {wrong}",
                "Mend it, or leave it out of `replicates`.",
            )
    return known.replicates, [Note(f"Implicates learn with replicate weights of the donor ({count} there are).")]


def absent_from_receiver(receiver: Survey, name: str) -> None:
    """Check that an imputed column would not overwrite an observed one."""
    if name in receiver.columns:
        raise FusionError(
            f"target {name!r} is in the receiver already",
            "Observed values are never altered: drop or rename it.",
        )


def predictors(
    donor: Survey, receiver: Survey, names: Sequence[str] | None, taken: Sequence[str]
) -> tuple[tuple[str, ...], bool]:
    """Check that predictors are on both sides; without names take the common columns.

    Returns
    -------
    names, chosen
        The predictors, and whether they were chosen here.
    """
    design = donor.design | receiver.design
    if names is None:
        shared = [c for c in donor.columns if c in receiver.columns and c not in design and c not in taken]
        common = tuple(c for c in shared if not (names_rows(donor, c) and names_rows(receiver, c)))
        if not common:
            raise FusionError(
                "donor and receiver have no column in common besides weights and keys",
                "Name or make at least one predictor that both have.",
            )
        return common, True
    if isinstance(names, str):
        raise FusionError("predictors is one string", f"Give a list: predictors=[{names!r}].")
    names = _listed("predictors", names)
    if not names:
        raise FusionError("there is no predictor", "Name at least one column that both surveys have.")
    for name in names:
        for side, survey in (("donor", donor), ("receiver", receiver)):
            if name not in survey.columns:
                raise FusionError(f"predictor {name!r} is not in the {side}", closest(name, survey.columns))
        if name in taken:
            raise FusionError(f"column {name!r} is both target and predictor", "Make it one of the two.")
        if name in design:
            raise FusionError(f"predictor {name!r} is part of the surveys' design", "Leave it out of the predictors.")
    return tuple(dict.fromkeys(names)), False


def names_rows(survey: Survey, column: str) -> bool:
    """Say whether a column looks like a key: whole numbers or text, different in every one of many rows."""
    series = survey.frame[column]
    discrete = series.dtype.is_integer() or series.dtype == nw.String
    return discrete and len(series) > MANY and series.n_unique() == len(series)


def looks_like_weight(name: str) -> bool:
    """Say whether a column has one of the usual names of a survey weight."""
    return name.lower() in WEIGHT_NAMES


def dollars(donor: Survey, receiver: Survey) -> None:
    """Check that both surveys' money is in prices of one year, as far as they say."""
    if donor.dollars and receiver.dollars and donor.dollars != receiver.dollars:
        raise FusionError(
            f"the donor is in {donor.dollars} dollars and the receiver in {receiver.dollars} dollars",
            "Bring both to one year, for example with a crosswalk or microimpute.prices.price_factor.",
        )


def weights(survey: Survey, side: str) -> tuple[FloatArray, tuple[Note, ...]]:
    """Check a survey's weights: finite, not negative, not all zero, of a size to compute with."""
    column = survey.weight
    if column is None:
        return np.ones(len(survey)), (Note(f"The {side} has no weights: every row counts alike."),)
    dtype = survey.frame[column].dtype
    if not dtype.is_numeric():
        raise FusionError(f"weight {column!r} of the {side} holds {dtype}", "Weights must be numbers.")
    values = survey.weights()
    for bad, what in (
        (np.isnan(values), "missing"),
        (np.isinf(values), "infinite"),
        (values < 0, "negative"),
    ):
        if bad.any():
            raise FusionError(
                f"weight {column!r} of the {side} is {what} in {bad.sum():,} of {len(values):,} rows",
                "Mend or leave out these rows before the fusion.",
            )
    if len(values) and not values.sum() > 0:
        raise FusionError(f"weight {column!r} of the {side} sums to zero", "Give weights that are not all zero.")
    most = float(values.max(initial=0.0))
    if len(values) and not 1 / HEAVIEST <= most <= HEAVIEST:
        raise FusionError(
            f"weight {column!r} of the {side} is {most:.3g} at its largest, beyond what can be computed with",
            f"Give it in another unit, with the largest between {1 / HEAVIEST:g} and {HEAVIEST:g}.",
        )
    return values, ()


def rows(survey: Survey, side: str) -> None:
    """Check that there is at least one row."""
    if not len(survey):
        raise FusionError(f"the {side} has no rows", "Check the file and any filter before this step.")


def unique_keys(survey: Survey, side: str, keys: Keys, implicates: npt.NDArray[np.int64]) -> None:
    """Check that keys name one row each (in each implicate)."""
    for column in survey.keys:
        if missing := survey.frame[column].null_count():
            raise FusionError(f"key {column!r} of the {side} is missing in {missing:,} rows", "Fill or drop them.")
    for number in np.unique(implicates):
        mine = keys[implicates == number]
        if twice := len(mine) - len(np.unique(mine)):
            raise FusionError(
                f"the key ({', '.join(survey.keys)}) of the {side} names {twice:,} rows more than once",
                "Name columns that together are unique; household= says which rows belong together.",
            )


def implicate_weights(donor: Survey, implicates: npt.NDArray[np.int64], weight: FloatArray) -> None:
    """Check that each of the donor's implicates has rows that can be drawn."""
    for number in np.unique(implicates):
        if not weight[implicates == number].any():
            raise FusionError(
                f"weight {donor.weight!r} of the donor is zero in every row where {donor.implicate!r} is {number}",
                "Leave this implicate out, or give its rows their weights.",
            )


def rule_columns(rules: Sequence[Rule], known: Sequence[str], classes: Sequence[str]) -> None:
    """Check that rules speak of targets, or totals of targets, that are amounts."""
    totals = [r.total for r in rules if isinstance(r, Identity)]
    for rule in rules:
        for column in rule.columns:
            if column not in known and column not in totals:
                raise FusionError(
                    f"rule '{rule}' names {column!r}, which is not a target",
                    closest(column, [*known, *totals]),
                )
            if column in classes:
                raise FusionError(f"rule '{rule}' needs amounts, but {column!r} is a class", "Rewrite the rule.")


def rules_hold(rules: Sequence[Rule], columns: Mapping[str, FloatArray]) -> None:
    """Check that the donors themselves obey the rules, since draws are made of donors."""
    for rule in rules:
        if not all(c in columns for c in rule.columns):
            continue  # a total that the donor file does not hold: nothing to compare with
        broken = int(rule.broken(columns).sum())
        if broken:
            total = len(next(iter(columns.values())))
            raise FusionError(
                f"rule '{rule}' is broken by {broken:,} of {total:,} donor rows",
                "Mend those rows or drop the rule.",
            )
