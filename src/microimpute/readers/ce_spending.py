"""Expenditures by UCC added up to categories, line by line of millions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from microimpute.errors import SurveyError
from microimpute.readers.ucc import CATEGORIES, DIARY_ONLY, NOT_SPENDING, UNKNOWN, UccTable

__all__ = ["INTERVIEW", "UNKNOWN_SHARE", "UNMATCHED_SHARE", "Tally"]

#: Categories of the Interview.
INTERVIEW = tuple(c for c in CATEGORIES if c not in DIARY_ONLY)
#: Largest share of dollars that may have UCCs nobody knows.
UNKNOWN_SHARE = 0.01
#: Largest share of lines that may belong to no consumer unit of the family files.
UNMATCHED_SHARE = 0.01
#: Most UCCs that a note or an error lists.
_LISTED = 10
#: Stands for a UCC that is blank; no code is 0, so it counts as unknown.
_NO_UCC = 0


class Tally:
    """Adds up lines of expenditure by consumer unit and category.

    Parameters
    ----------
    newid
        Identifiers of the rows, shape (rows,), each once.
    table
        What is known of UCCs.
    categories
        Columns of the result.
    """

    def __init__(self, newid: npt.NDArray[np.int64], table: UccTable, categories: Sequence[str] = INTERVIEW) -> None:
        self._table = table
        self._categories = tuple(categories)
        self._order = np.argsort(newid, kind="stable")
        self._newid = newid[self._order]
        names = list(CATEGORIES)
        self._place = np.full(len(names), -1)
        self._place[[names.index(c) for c in self._categories]] = np.arange(len(self._categories))
        self._sums = np.zeros(len(newid) * len(self._categories))
        self.not_spending = np.zeros(len(newid))
        self._unknown: dict[int, tuple[int, float]] = {}
        self._lines = self._unmatched = self._gaps = 0
        self._unmatched_units: set[int] = set()
        self._dollars = self._unmatched_dollars = 0.0

    def add(self, lines: pa.Table) -> None:
        """Add lines with columns NEWID, UCC (blank ones count as unknown) and COST.

        Raises
        ------
        SurveyError
            If a UCC has not at most six digits, or one of a category that is not asked for.
        """
        newid = lines["NEWID"].to_numpy()
        ucc = lines["UCC"].combine_chunks().fill_null(_NO_UCC).to_numpy()
        cost = lines["COST"].to_numpy().astype(np.float64)
        if len(ucc) and (ucc.min() < 0 or ucc.max() > 999_999):
            raise SurveyError("a UCC has more than six digits", "Get the file again; column UCC may be shifted.")
        gaps = ~np.isfinite(cost)
        self._gaps += int(gaps.sum())
        cost[gaps] = 0.0
        cost *= self._table.factor[ucc]
        at = np.searchsorted(self._newid, newid)
        matched = self._newid[np.minimum(at, len(self._newid) - 1)] == newid if len(self._newid) else at < 0
        code = self._table.code[ucc]
        self._count(newid, ucc, cost, matched, code)
        row = self._order[np.minimum(at, len(self._newid) - 1)][matched]
        self._add_known(row, ucc[matched], cost[matched], code[matched])

    def _count(
        self,
        newid: npt.NDArray[np.int64],
        ucc: npt.NDArray[np.int64],
        cost: npt.NDArray[np.float64],
        matched: npt.NDArray[np.bool_],
        code: npt.NDArray[np.int16],
    ) -> None:
        self._lines += len(newid)
        self._unmatched += int((~matched).sum())
        self._unmatched_units |= set(np.unique(newid[~matched]).tolist())
        self._unmatched_dollars += float(cost[~matched].sum())
        self._dollars += float(np.abs(cost[code != NOT_SPENDING]).sum())
        strange = code == UNKNOWN
        if strange.any():
            which, place = np.unique(ucc[strange], return_inverse=True)
            lines = np.bincount(place)
            dollars = np.bincount(place, weights=np.abs(cost[strange]))
            for u, n, d in zip(which.tolist(), lines.tolist(), dollars.tolist(), strict=True):
                before = self._unknown.get(u, (0, 0.0))
                self._unknown[u] = (before[0] + n, before[1] + d)

    def _add_known(
        self,
        row: npt.NDArray[np.int64],
        ucc: npt.NDArray[np.int64],
        cost: npt.NDArray[np.float64],
        code: npt.NDArray[np.int16],
    ) -> None:
        known = code >= 0
        place = self._place[code[known]]
        if (place < 0).any():
            odd = int(ucc[known][place < 0][0])
            raise SurveyError(
                f"UCC {odd:06d} is one of the Diary alone, and stands in the Interview", "Check which file was given."
            )
        cells = row[known] * len(self._categories) + place
        self._sums += np.bincount(cells, weights=cost[known], minlength=len(self._sums))
        other = code == NOT_SPENDING
        self.not_spending += np.bincount(row[other], weights=cost[other], minlength=len(self.not_spending))

    def amounts(self) -> npt.NDArray[np.float64]:
        """Return sums, shape (rows, categories), in the order of rows and categories given.

        Raises
        ------
        SurveyError
            If too many lines belong to no row, or too many dollars to no category.
        """
        if self._unmatched > UNMATCHED_SHARE * self._lines:
            raise SurveyError(
                f"{self._unmatched:,} of {self._lines:,} lines of expenditure "
                f"({self._unmatched / self._lines:.1%}) have a NEWID that no family file holds",
                "Check that both are of one release, and that no family file is cut off.",
            )
        unknown = sum(d for _, d in self._unknown.values())
        if unknown > UNKNOWN_SHARE * self._dollars:
            raise SurveyError(
                f"{unknown / self._dollars:.1%} of dollars have UCCs that no grouping knows: {self._listed()}",
                "Give the hierarchical grouping of the year, grouping='CE-HG-Inter-<year>.txt'.",
            )
        return self._sums.reshape(-1, len(self._categories))

    def _listed(self) -> str:
        by_dollars = sorted(self._unknown.items(), key=lambda item: -item[1][1])
        told = [
            f"{f'{u:06d}' if u != _NO_UCC else 'none'} ({n:,} lines, {d:,.0f} dollars)"
            for u, (n, d) in by_dollars[:_LISTED]
        ]
        rest = len(by_dollars) - len(told)
        return ", ".join(told) + (f" and {rest} more" if rest else "")

    def notes(self) -> list[str]:
        """Say what was counted and what was left out."""
        notes = [f"{self._lines:,} lines of expenditure"]
        if self._unmatched:
            notes.append(
                f"{self._unmatched:,} lines ({self._unmatched_dollars:,.0f} dollars) of {len(self._unmatched_units):,} "
                "NEWIDs belong to no interview of the family files and were left out"
            )
        if self._gaps:
            notes.append(f"{self._gaps:,} lines without an amount count as 0")
        if self._unknown:
            notes.append(f"left out, for no grouping knows these UCCs: {self._listed()}")
        return notes
