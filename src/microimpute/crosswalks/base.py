"""What a crosswalk is."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from microimpute import registry
from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.survey import Survey

__all__ = ["Concept", "Crosswalk", "crosswalk", "crosswalks"]

Formula = Callable[[Survey], npt.NDArray[Any]]


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
        Make the column, shape (rows,), from each survey, money in that survey's own `dollars`.
    money
        Whether it is an amount of money, to be brought to one dollar year.
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

    def harmonise(self, donor: Survey, receiver: Survey, dollars: int) -> tuple[Survey, Survey]:
        """Add the shared predictors to both surveys, all money in prices of one year.

        Parameters
        ----------
        donor, receiver
            As their connectors read them.
        dollars
            Year whose prices the predictors are brought to.

        Returns
        -------
        donor, receiver
            The surveys with one more column per concept.
        """
        raise NotImplementedError


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
