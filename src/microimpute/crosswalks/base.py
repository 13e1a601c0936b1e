"""What a crosswalk is."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from microimpute import registry
from microimpute.errors import SurveyError, closest
from microimpute.kinds import Kind
from microimpute.survey import Survey, replace_survey

__all__ = ["BridgeConcept", "Concept", "Crosswalk", "Formula", "crosswalk", "crosswalks"]

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


@dataclass(frozen=True)
class BridgeConcept:
    """A variable that this donor observes and another donor gives to the receiver: it carries dependence.

    Attributes
    ----------
    name
        Of the predictor, in this donor and, once the other donor's stage is drawn, in the receiver.
    kind
        Its kind.
    other
        Connector of the other donor, whose targets it is made from.
    earlier
        Those targets.
    here, there
        What it means in this donor and in the other.
    caveat
        What is not comparable; empty if nothing is known.
    from_donor
        Makes the column, shape (rows,), from this donor; money in prices of the year that is given, NaN if missing.
    from_earlier
        Makes it from the other donor's targets by name, shape (rows,) each, and the year of prices.
    money
        Whether it is an amount of money.
    """

    name: str
    kind: Kind
    other: str
    earlier: tuple[str, ...]
    here: str
    there: str
    caveat: str
    from_donor: Formula
    from_earlier: Callable[[Mapping[str, npt.NDArray[np.float64]], int], npt.NDArray[Any]]
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
    #: Variables through which another donor's targets may be conditioned on, see `microimpute.stages`.
    bridges: ClassVar[tuple[BridgeConcept, ...]] = ()
    #: Targets when a recipe names none.
    targets: ClassVar[tuple[str, ...]] = ()
    #: How the units of the two surveys differ, and other things a reader must know.
    remarks: ClassVar[tuple[str, ...]] = ()

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
            Year whose prices the predictors are brought to; the surveys' own columns stay as they are.

        Returns
        -------
        donor, receiver
            The surveys with one more column per concept, of declared kind and with a label.

        Raises
        ------
        SurveyError
            If a survey lacks a column that a concept is made from, or has one of a concept's name.
        """
        return self._side(donor, dollars, "donor"), self._side(receiver, dollars, "receiver")

    def bridged(self, donor: Survey, names: Sequence[str], dollars: int) -> Survey:
        """Add bridges to the donor, as columns of declared kind.

        Raises
        ------
        SurveyError
            If the crosswalk has no such bridge, or the donor lacks a column that it is made from.
        """
        offered = {bridge.name: bridge for bridge in self.bridges}
        columns: dict[str, npt.NDArray[Any]] = {}
        kinds, labels = dict(donor.kinds), dict(donor.labels)
        for name in names:
            if name not in offered:
                raise SurveyError(f"crosswalk {self.name!r} has no bridge {name!r}", closest(name, offered))
            bridge = offered[name]
            columns[name] = np.asarray(bridge.from_donor(donor, dollars))
            kinds[name] = bridge.kind
            labels[name] = f"{bridge.here}, {dollars} dollars" if bridge.money else bridge.here
        return donor.with_columns(columns, kinds=kinds, labels=labels)

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
