"""What a crosswalk is."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute import registry
from microimpute.concepts.bridge import DeclaredBridge, weighted_rank
from microimpute.errors import SurveyError, closest
from microimpute.frames import aligned, make_series
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.survey import Survey, replace_survey

__all__ = ["Concept", "Crosswalk", "Formula", "crosswalk", "crosswalks"]

#: Makes a column, shape (rows,), from a survey; money in prices of the year that is given.
Formula = Callable[[Survey, int], npt.NDArray[Any]]


@dataclass(frozen=True)
class Concept:
    """One shared predictor: what it is on each side and how it is made.

    Attributes
    ----------
    name
        Name of the predictor in both surveys.
    kind
        Its kind.
    donor, receiver
        What it means in each survey and from which variables it is made.
    caveat
        What is not comparable; empty if nothing is known.
    from_donor, from_receiver
        Make the column, shape (rows,), from each survey. Money comes out in prices of the year that is the
        second argument: rows of one survey may be in dollars of different years, so each formula converts.
    money
        Whether it is an amount of money.
    """

    name: str
    kind: Kind
    donor: str
    receiver: str
    caveat: str
    from_donor: Formula
    from_receiver: Formula
    money: bool = False


class Crosswalk(ABC):
    """Makes two surveys' predictors comparable."""

    #: Name in recipes, ``<donor>_to_<receiver>``.
    name: ClassVar[str]
    #: Connectors that donor and receiver come from.
    donor: ClassVar[str]
    receiver: ClassVar[str]
    #: Shared predictors.
    concepts: ClassVar[tuple[Concept, ...]]
    #: Edit rules among the donor's targets, as text.
    rules: ClassVar[tuple[str, ...]] = ()
    #: Targets when a recipe names none.
    targets: ClassVar[tuple[str, ...]] = ()
    #: How the units of the two surveys differ, and other things a reader must know.
    remarks: ClassVar[tuple[str, ...]] = ()
    #: Variables of the donor that another donor's targets give as well.
    bridges: ClassVar[tuple[DeclaredBridge, ...]] = ()

    def defaults(self, donor: Survey) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return targets and rules when a recipe names none; a crosswalk whose donor has several kinds of file chooses.

        Parameters
        ----------
        donor
            As its connector read it.
        """
        return self.targets, self.rules

    def chosen_bridges(self, names: Sequence[str] | None = None) -> tuple[DeclaredBridge, ...]:
        """Return the declared bridges of these names, or all.

        Raises
        ------
        SurveyError
            If there is no such bridge.
        """
        known = {bridge.name: bridge for bridge in self.bridges}
        for name in names or ():
            if name not in known:
                raise SurveyError(f"crosswalk {self.name} has no bridge {name!r}", closest(name, known))
        return tuple(known[name] for name in (known if names is None else names))

    def with_bridges(self, donor: Survey, names: Sequence[str] | None = None) -> Survey:
        """Add bridges to the donor, and keep the rows in which all of them are known.

        A receiver gets its bridges from imputed values, so it is never without one. Donors without one would be filled
        with a median and would stand for receivers at the median, which hides the dependence that a bridge is for;
        they are left out instead. Weights stay as they are: for donors only their proportions count.

        Parameters
        ----------
        donor
            As its connector read it, with or without the shared predictors.
        names
            Bridges to use; None takes all.

        Raises
        ------
        SurveyError
            If there is no such bridge, the donor can't give it, or no row has all.
        """
        bridges = self.chosen_bridges(names)
        made = {b.name: np.asarray(b.from_donor(donor)) for b in bridges}
        known = np.ones(len(donor), dtype=bool)
        for values in made.values():
            known &= ~np.isnan(values.astype(np.float64))
        if not known.any():
            raise SurveyError(
                f"no donor has all of the bridges {', '.join(made)}", "Choose fewer, or a file with last interviews."
            )
        kept = replace_survey(donor, frame=donor.frame.filter(known.tolist()))
        weight = kept.weights()
        columns = {n: v[known] for n, v in made.items()}
        columns |= {b.name: weighted_rank(columns[b.name].astype(np.float64), weight) for b in bridges if b.ranked}
        labels = {**donor.labels, **{b.name: b.donor for b in bridges}}
        note = f"bridges {', '.join(made)} made; {int((~known).sum()):,} of {len(donor):,} donors lack one: left out"
        added = kept.with_columns(columns)
        kinds = {**donor.kinds, **{b.name: b.kind for b in bridges}}
        return replace_survey(added, kinds=kinds, labels=labels, notes=(*donor.notes, note))

    @property
    def predictors(self) -> tuple[str, ...]:
        """Names of the shared predictors."""
        return tuple(concept.name for concept in self.concepts)

    def harmonise(self, donor: Survey, receiver: Survey, dollars: int) -> tuple[Survey, Survey]:
        """Add the shared predictors to both surveys, all money in prices of one year.

        Parameters
        ----------
        donor, receiver
            As their connectors read them.
        dollars
            Year whose prices the predictors are brought to. The surveys' own columns stay as they are, unless both
            surveys name a dollar year and these differ: then the donor's amounts, the columns declared semicontinuous,
            are brought to the receiver's year, and a note says so.

        Returns
        -------
        donor, receiver
            The surveys with one more column per concept, of declared kind and with a label.

        Raises
        ------
        SurveyError
            If a survey lacks a column that a concept is made from, or has one of a concept's name.
        """
        ours, theirs = self._side(donor, dollars, "donor"), self._side(receiver, dollars, "receiver")
        if donor.dollars and receiver.dollars and donor.dollars != receiver.dollars:
            ours = _in_dollars(ours, donor.dollars, receiver.dollars, keep=self.predictors)
        return ours, theirs

    def _side(self, survey: Survey, dollars: int, side: str) -> Survey:
        columns: dict[str, npt.NDArray[Any]] = {}
        labels = dict(survey.labels)
        for concept in self.concepts:
            formula: Formula = getattr(concept, f"from_{side}")
            columns[concept.name] = self._column(concept, formula, survey, dollars, side)
            unit = f", {dollars} dollars" if concept.money else ""
            labels[concept.name] = f"{getattr(concept, side)}{unit}"
        kinds = {**survey.kinds, **{c.name: c.kind for c in self.concepts}}
        made = f"{len(columns)} shared predictors made by the crosswalk {self.name}, money in {dollars} dollars"
        added = survey.with_columns(columns)
        return replace_survey(added, kinds=kinds, labels=labels, notes=(*survey.notes, made))

    def _column(self, concept: Concept, formula: Formula, survey: Survey, dollars: int, side: str) -> npt.NDArray[Any]:
        try:
            values = np.asarray(formula(survey, dollars))
        except SurveyError as error:
            connector = self.donor if side == "donor" else self.receiver
            raise SurveyError(
                f"crosswalk {self.name}: the {side} can't give {concept.name!r}: {error.problem}",
                f"Read the {side} with the connector {connector!r}; a sample must keep the columns it needs.",
            ) from None
        if values.shape != (len(survey),):
            raise SurveyError(
                f"crosswalk {self.name}: {concept.name!r} has shape {values.shape} for {len(survey)} rows",
                "Make one value per row.",
            )
        return values


def _in_dollars(survey: Survey, before: int, year: int, keep: Sequence[str]) -> Survey:
    """Bring a survey's own amounts, not the shared predictors, to prices of another year."""
    factor = price_factor(before, year)
    amounts = [c for c, k in survey.kinds.items() if Kind(k) is Kind.SEMICONTINUOUS and c not in keep]
    backend = survey.frame.implementation
    made = [aligned(make_series(c, survey.numbers(c) * factor, None, backend), survey.frame) for c in amounts]
    note = (
        f"{len(amounts)} amounts of the donor brought from {before} to {year} dollars, the receiver's, by "
        f"CPI-U (times {factor:.4f}); columns that are not declared semicontinuous stay as they are"
    )
    return replace_survey(survey, frame=survey.frame.with_columns(*made), dollars=year, notes=(*survey.notes, note))


def crosswalks() -> Mapping[str, type[Crosswalk]]:
    """List all crosswalks by name."""
    return registry.collect("crosswalks", Crosswalk)


def crosswalk(name: str) -> Crosswalk:
    """Return the crosswalk of that name.

    Raises
    ------
    SurveyError
        If there is none.
    """
    return registry.find("crosswalks", Crosswalk, name, SurveyError)()
