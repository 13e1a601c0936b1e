"""Which members belong to which household, checked before anything is moved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError
from microimpute.keyed import occurrence
from microimpute.survey import Survey, replace_survey

__all__ = ["Link"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Link:
    """Households and their members: persons, tax units, families.

    Parameters
    ----------
    households, members
        The two sides; neither is changed.
    on
        Columns that both have and that name a household; or household column → member column. A survey with
        implicates of its own needs its implicate column among them.
    head
        How the head is known: a column of the members that is true or 1 for heads; or (column, value or values that
        heads have); or ``"first"``, the first row of a household. Only rules that speak of heads need it.
    unmatched
        Largest share of members without a household, and of households without members, that is let pass; they are
        counted in `notes`.

    Attributes
    ----------
    household
        Each member's household as a row number, −1 for none, shape (members,).
    place
        Each member's place among those of its household, 0, 1, … in row order, shape (members,).
    sizes
        Number of members, shape (households,).
    notes
        Sentences: who matched nobody, whose weights differ.

    Raises
    ------
    SurveyError
        If the two are in dollars of different years, a key is not there, missing or double, or more than `unmatched`
        match nobody.
    """

    def __init__(
        self,
        households: Survey,
        members: Survey,
        *,
        on: str | Sequence[str] | Mapping[str, str],
        head: Any = None,
        unmatched: float = 0.0,
    ) -> None:
        self.households, self.members = households, members
        if None not in (households.dollars, members.dollars) and households.dollars != members.dollars:
            raise SurveyError(
                f"households are in dollars of {households.dollars}, members of {members.dollars}",
                "Bring both to one year (microimpute.prices.price_factor).",
            )
        pairs = _pairs(on)
        self.keys = tuple(pairs)
        self.household = self._matched(pairs)
        self.sizes: IntArray = np.bincount(self.household[self.household >= 0], minlength=len(households))
        self.place: IntArray = occurrence(self.household.view(np.uint64))
        self.notes = [*self._unmatched(unmatched, pairs), *self._weights()]
        self._head = head

    def _matched(self, pairs: Mapping[str, str]) -> IntArray:
        for survey, columns, side in (
            (self.households, pairs.keys(), "household"),
            (self.members, pairs.values(), "member"),
        ):
            for column in columns:
                survey.require(column, f"{side} key")
        above = _hashed(self.households, list(pairs))
        below = _hashed(self.members, list(pairs.values()))
        if gaps := int(_gaps(self.households, list(pairs)).sum()):
            raise SurveyError(f"{gaps:,} households have no key", "Fill it, or leave them out.")
        order = np.argsort(above, kind="stable")
        ordered = above[order]
        double = int((ordered[1:] == ordered[:-1]).sum())
        if double:
            raise SurveyError(
                f"{double:,} households have the key ({', '.join(pairs)}) of another one",
                "Name all columns that tell households apart, the survey's implicate too.",
            )
        if not len(ordered):
            return np.full(len(below), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(ordered, below), len(ordered) - 1)
        known = (ordered[at] == below) & ~_gaps(self.members, list(pairs.values()))
        return np.where(known, order[at], -1).astype(np.int64)

    def _unmatched(self, allowed: float, pairs: Mapping[str, str]) -> list[str]:
        notes = []
        for what, lost, of in (
            ("members have no household", int((self.household < 0).sum()), len(self.members)),
            ("households have no members", int((self.sizes == 0).sum()), len(self.households)),
        ):
            if not lost:
                continue
            text = f"{lost:,} of {of:,} {what}"
            if lost > allowed * of:
                types = {f"{a} holds {self.households.frame[a].dtype}, {b} {self.members.frame[b].dtype}"
                         for a, b in pairs.items()}  # fmt: skip
                raise SurveyError(
                    f"{text}, matched on {', '.join(pairs)}",
                    f"Check the keys ({'; '.join(sorted(types))}), or let them pass: "
                    f"unmatched={math.ceil(1000 * lost / of) / 1000:g}.",
                )
            notes.append(f"{text}.")
        return notes

    def _weights(self) -> list[str]:
        """Compare the weights of both sides: weighted totals only stay if members carry the household's weight."""
        if self.households.weight is None and self.members.weight is None:
            return []
        above, below = self.households.weights(), self.members.weights()
        for side, weight in (("household", above), ("member", below)):
            if bad := int((~np.isfinite(weight) | (weight < 0)).sum()):
                raise SurveyError(f"{bad:,} {side} weights are missing or negative", "Mend or leave out those rows.")
        some = self.household >= 0
        theirs, own = above[self.household[some]], below[some]
        differ = int((np.abs(own - theirs) > 1e-6 * np.maximum(own, theirs)).sum())
        if not differ:
            return []
        return [
            f"{differ:,} of {some.sum():,} members have another weight than their household: weighted totals of "
            "members differ from those of households, though sums within households agree."
        ]

    def heads(self) -> Flags:
        """Say which members are heads, shape (members,).

        Raises
        ------
        SurveyError
            If nobody said how heads are known, or a household does not have exactly one.
        """
        if self._head is None:
            raise SurveyError("nobody said who the head of a household is", "Give Link(..., head=...).")
        if isinstance(self._head, str) and self._head == "first":
            flags = self.place == 0
        else:
            column, values = (self._head, [1]) if isinstance(self._head, str) else self._head
            several = values if isinstance(values, list | tuple | set | frozenset) else [values]
            self.members.require(column, "head")
            series = self.members.frame[column]
            flags = np.array([v in several for v in series.to_list()], dtype=bool)
        flags = np.asarray(flags & (self.household >= 0), dtype=bool)
        count = np.bincount(self.household[flags], minlength=len(self.households))
        odd = int(((count != 1) & (self.sizes > 0)).sum())
        if odd:
            none = int(((count == 0) & (self.sizes > 0)).sum())
            raise SurveyError(
                f"{none:,} households have no head and {odd - none:,} have several",
                "Say which values heads have: head=(column, [values]), or head='first'.",
            )
        return flags


def _pairs(on: str | Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(on, Mapping):
        return dict(on)
    names = (on,) if isinstance(on, str) else tuple(on)
    if not names:
        raise SurveyError("no key was named", "Name the columns that both sides have: on='h_seq', say.")
    return {name: name for name in names}


def _hashed(survey: Survey, columns: list[str]) -> npt.NDArray[np.uint64]:
    return replace_survey(survey, household=columns).household_keys()


def _gaps(survey: Survey, columns: list[str]) -> Flags:
    gaps = np.zeros(len(survey), dtype=bool)
    for column in columns:
        series = survey.frame[column]
        gaps |= np.array(series.is_null().to_list(), dtype=bool)
        if series.dtype.is_float():
            gaps |= np.isnan(survey.numbers(column))
    return gaps
