"""Persons of Tax-Calculator's tax units, as far as the file tells them: head, spouse, and dependants by age group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError
from microimpute.survey import Survey

__all__ = ["AGE_GROUPS", "HEAD", "People", "people_of_tax_units"]

IntArray = npt.NDArray[np.int64]

#: Column that is 1 for the tax unit of the householder, else 0 (see `microimpute.export.taxcalc.read_units`).
HEAD = "household_head"
#: Upper ends (exclusive) of the age groups that the file counts persons in, and the age that a dependant in each is
#: given: the file has no ages of dependants.
AGE_GROUPS = ((6, 3), (13, 9), (18, 15), (21, 19), (200, 30))
#: Age of dependants that the brackets have no room for, and of those counted as elderly.
_UNPLACED, _ELDERLY = 9, 75
_COUNTS = ("nu06", "nu13", "nu18", "n1820", "n21")
_NEEDED = (*_COUNTS, "XTOT", "MARS", "age_head", "age_spouse", "elderly_dependents")


@dataclass(frozen=True)
class People:
    """Persons, in the order of their units.

    Attributes
    ----------
    unit
        Each person's tax unit as a row number, shape (persons,).
    role
        0 head, 1 spouse, 2 dependant, shape (persons,).
    age
        In years, shape (persons,); dependants' are those of `AGE_GROUPS`.
    notes
        What was assumed, with counts.
    """

    unit: IntArray
    role: IntArray
    age: IntArray
    notes: tuple[str, ...]

    def give(self, head: Any, spouse: Any = 0.0) -> npt.NDArray[np.float64]:
        """Return units' amounts on their heads, and others on their spouses, shape (persons,)."""
        values = np.zeros(len(self.unit))
        for role, amounts in ((0, head), (1, spouse)):
            rows = self.role == role
            values[rows] = np.broadcast_to(np.asarray(amounts, dtype=np.float64), self.count)[self.unit[rows]]
        return values

    @property
    def count(self) -> int:
        """Number of tax units."""
        return int(self.unit.max(initial=-1)) + 1


def people_of_tax_units(units: Survey) -> People:
    """Make the persons of tax units: as many as XTOT counts in each.

    Parameters
    ----------
    units
        With the columns of Tax-Calculator's cps.csv.gz.

    Raises
    ------
    SurveyError
        If a column is missing, or a unit counts fewer persons than its head and spouse.
    """
    for column in _NEEDED:
        units.require(column, "tax unit")
    data = {c: units.numbers(c).astype(np.int64) for c in _NEEDED}
    couple = data["MARS"] == 2
    dependants = data["XTOT"] - 1 - couple
    if (dependants < 0).any():
        raise SurveyError(
            f"{int((dependants < 0).sum()):,} tax units count fewer persons (XTOT) than head and spouse",
            "Give units as they are in cps.csv.gz.",
        )
    spouse_age = np.where(couple & (data["age_spouse"] == 0), data["age_head"], data["age_spouse"])
    ages, unplaced, differ = _ages(data, couple, spouse_age, dependants)
    size = data["XTOT"]
    unit = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(unit)) - np.repeat(np.cumsum(size) - size, size)
    role = np.where(place == 0, 0, np.where((place == 1) & couple[unit], 1, 2))
    age = np.where(role == 0, data["age_head"][unit], spouse_age[unit])
    age[role == 2] = ages
    unknown = int((couple & (data["age_spouse"] == 0)).sum())
    notes = (
        f"{len(unit):,} persons made of {len(size):,} tax units: heads, spouses, and dependants of the ages "
        f"{', '.join(str(a) for _, a in AGE_GROUPS)} ({_ELDERLY} if elderly), for the file has age groups only.",
        f"{unknown:,} spouses without age have their head's.",
        f"{differ:,} units count other persons by age than in all; {unplaced:,} dependants have no age group and "
        f"are taken for {_UNPLACED} years old.",
    )
    return People(unit, role, age, notes)


def _ages(
    data: Mapping[str, IntArray], couple: npt.NDArray[np.bool_], spouse_age: IntArray, dependants: IntArray
) -> tuple[IntArray, int, int]:
    """Return ages of all dependants in the order of their units, how many had no group, and units that differ."""
    cells = np.stack([data["nu06"], data["nu13"] - data["nu06"], data["nu18"] - data["nu13"], data["n1820"],
                      data["n21"]], axis=1)  # fmt: skip
    ends = np.array([end for end, _ in AGE_GROUPS])
    rows = np.arange(len(cells))
    np.subtract.at(cells, (rows, np.searchsorted(ends, data["age_head"], side="right")), 1)
    with_spouse = rows[couple]
    np.subtract.at(cells, (with_spouse, np.searchsorted(ends, spouse_age[couple], side="right")), 1)
    differ = int(((cells < 0).any(axis=1) | (cells.sum(axis=1) != dependants)).sum())
    cells = np.maximum(cells, 0)
    before = np.cumsum(cells, axis=1) - cells
    cells = np.minimum(cells, np.maximum(dependants[:, None] - before, 0))
    elderly = np.minimum(data["elderly_dependents"], cells[:, -1])
    rest = dependants - cells.sum(axis=1)
    counts = np.column_stack([cells[:, :-1], cells[:, -1] - elderly, elderly, rest])
    ages = np.array([*(age for _, age in AGE_GROUPS), _ELDERLY, _UNPLACED])
    return np.repeat(np.tile(ages, len(counts)), counts.ravel()), int(rest.sum()), differ
