"""The Interview's public-use release: family files, and spending by UCC put into categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from microimpute.errors import SurveyError
from microimpute.readers.ce_columns import CHARACTERISTICS, REPLICATES, SUMMARY, SUMMARY_TOTAL, WEIGHT
from microimpute.readers.ce_files import Release, read_columns, whole_numbers
from microimpute.readers.ce_incomes import read_incomes
from microimpute.readers.ce_members import read_members
from microimpute.readers.ce_rows import months_in_year
from microimpute.readers.ce_spending import INTERVIEW, Tally
from microimpute.readers.frames_of_numbers import as_numbers
from microimpute.readers.ucc import UccTable

__all__ = ["IMPLICATES", "Families", "read_families", "read_interview"]

FloatArray = npt.NDArray[np.float64]

#: Implicates of income before taxes.
IMPLICATES = tuple(f"FINCBTX{i}" for i in range(1, 6))
_COMPLETE = ("FINLWT21", "QINTRVMO", "QINTRVYR")
_REQUIRED = ("NEWID", *_COMPLETE, "AGE_REF", "FAM_SIZE", "FINCBTXM")
#: Codes and counts; the rest of the characteristics is money.
_WHOLE = (*(c for c, (k, _) in CHARACTERISTICS.items() if k.value != "semicontinuous"), "QINTRVMO", "QINTRVYR")


@dataclass
class Families:
    """Interviews of a release.

    Attributes
    ----------
    frame
        One row per interview with a month in scope: design, characteristics, months, weight, spending a year.
    spending
        Columns of spending, total first.
    notes
        What was left out or is worth knowing, with counts.
    """

    frame: pd.DataFrame
    spending: list[str]
    notes: list[str] = field(default_factory=list)


def read_interview(
    release: Release,
    *,
    by_ucc: bool,
    calendar: bool,
    extra: Sequence[str],
    table: UccTable,
    members: bool = False,
    incomes: bool = False,
) -> Families:
    """Read all interviews that ask for months of the year, and their spending.

    Parameters
    ----------
    release
        An open release.
    by_ucc
        Spending from the expenditures by UCC (MTBI); otherwise from the summary variables of the family files.
    calendar
        Spending of the calendar year from interviews of five quarters; otherwise all spending of interviews held in
        the year's four quarters.
    extra
        More columns that the family files must hold: replicate weights, implicates.
    table
        What is known of UCCs.
    members, incomes
        Whether columns are made from the members' files (MEMI), and from incomes by UCC (ITBI).

    Raises
    ------
    SurveyError
        See `read_columns`, `Tally`, `read_members` and `read_incomes`; also where years stand in a family file that
        are not its own.
    """
    year = release.year
    quarters = [(year, q) for q in (1, 2, 3, 4)] + [(year + 1, 1)] * calendar
    stems = [] if by_ucc else sorted({s.lstrip("-") for parts in SUMMARY.values() for s in parts} | {SUMMARY_TOTAL})
    frames = [read_families(release, q, [*extra, *(f"{s}{e}" for s in stems for e in ("PQ", "CQ"))]) for q in quarters]
    frame = pd.concat(frames, ignore_index=True)
    _refuse_twice(release, frame)
    month, when = (frame[c].to_numpy(np.int64) for c in ("QINTRVMO", "QINTRVYR"))
    months = months_in_year(when, month, year) if calendar else np.full(len(frame), 3)
    columns = list(INTERVIEW) if by_ucc else [*SUMMARY, "unallocated"]
    notes: list[str] = []
    if by_ucc:
        tally = Tally(frame["NEWID"].to_numpy(np.int64), table)
        for quarter in quarters:
            tally.add(_expenditures(release, quarter, year if calendar else None))
        amounts = tally.amounts()
        notes += tally.notes()
    else:
        current = months_in_year(when, month, year) if calendar else None
        amounts = _summaries(frame, when, month, year, whole=current is None)
        frame = frame.drop(columns=[f"{s}{e}" for s in stems for e in ("PQ", "CQ")])
    if members:
        made, said = read_members(release, quarters, frame)
        frame, notes = pd.concat([frame, as_numbers(made)], axis=1), [*notes, *said]
    if incomes:
        made, said = read_incomes(release, quarters, frame, months, year if calendar else None)
        frame, notes = pd.concat([frame, as_numbers(made)], axis=1), [*notes, *said]
    keep = months > 0
    if gone := int((~keep).sum()):
        notes.append(
            f"{gone:,} interviews without a month of {year} in scope were left out (January to December counts)"
        )
    yearly = amounts[keep] * (12.0 / months[keep])[:, None]
    frame = _design(frame.loc[keep].reset_index(drop=True), months[keep])
    spent = {"total": yearly.sum(axis=1)} | {c: yearly[:, i] for i, c in enumerate(columns)}
    return Families(frame.assign(**spent), list(spent), notes)


def read_families(release: Release, quarter: tuple[int, int], extra: Sequence[str]) -> pd.DataFrame:
    """Read one quarter's family file.

    Raises
    ------
    SurveyError
        If a column is missing, or interviews of another quarter are in it.
    """
    key = ("fmli", *quarter)
    table = read_columns(release, key, [*_REQUIRED, *extra], [c for c in CHARACTERISTICS if c not in _REQUIRED])
    for column in _COMPLETE:
        if table[column].null_count:
            raise SurveyError(
                f"column {column} of {release.members[key]} holds {table[column].null_count:,} gaps",
                "Get the file again; in the published one this column is complete.",
            )
    frame: pd.DataFrame = whole_numbers(table, _WHOLE).to_pandas(types_mapper=pd.ArrowDtype)
    year, month = (frame[c].to_numpy(np.float64) for c in ("QINTRVYR", "QINTRVMO"))
    odd = (year != quarter[0]) | ((month - 1) // 3 + 1 != quarter[1])
    if odd.any():
        raise SurveyError(
            f"{release.members[key]} holds {int(odd.sum()):,} interviews that are not of {quarter[0]}Q{quarter[1]}",
            "Check that the file has its own name; quarters may have been put together or mixed up.",
        )
    return frame


def _refuse_twice(release: Release, frame: pd.DataFrame) -> None:
    if twice := int(frame["NEWID"].duplicated().sum()):
        raise SurveyError(
            f"{release.path.name}: {twice:,} interviews (NEWID) stand in the family files more than once",
            "Get the release again; a quarter may stand in it twice.",
        )


def _expenditures(release: Release, quarter: tuple[int, int], year: int | None) -> pa.Table:
    table = read_columns(release, ("mtbi", *quarter), ["NEWID", "UCC", "COST", "REF_YR"])
    return table if year is None else table.filter(pc.equal(table["REF_YR"], float(year)))


def _summaries(frame: pd.DataFrame, when: FloatArray, month: FloatArray, year: int, *, whole: bool) -> FloatArray:
    """Add up summary variables: of the quarter before, of the current one, or both, as they lie in the year."""
    current = np.ones(len(frame)) if whole else (when == year).astype(np.float64)
    before = np.ones(len(frame)) if whole else 1.0 - ((when == year) & (month <= 3))

    def amount(stem: str) -> FloatArray:
        sign = -1.0 if stem.startswith("-") else 1.0
        name = stem.lstrip("-")
        cq, pq = (frame[f"{name}{e}"].to_numpy(np.float64, na_value=0.0) for e in ("CQ", "PQ"))
        return np.asarray(sign * (current * cq + before * pq))

    parts = np.column_stack([sum((amount(s) for s in stems), np.zeros(len(frame))) for stems in SUMMARY.values()])
    rest = np.round(amount(SUMMARY_TOTAL) - parts.sum(axis=1), 2) + 0.0
    return np.column_stack([parts, rest])


def _design(frame: pd.DataFrame, months: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Add keys and the annual weight, FINLWT21 / 4 × months in scope / 3; replicates the same way."""
    share = months / 12.0
    frame = frame.rename(columns={"QINTRVYR": "YEAR"})
    newid = frame["NEWID"].to_numpy(np.int64)
    new: dict[str, npt.NDArray[np.generic]] = {
        "CUID": newid // 10,
        "INTERVIEW": newid % 10,
        "months": months,
        WEIGHT: frame["FINLWT21"].to_numpy(np.float64) * share,
    }
    for column in (c for c in REPLICATES if c in frame):  # blank where the interview is not in the half-sample
        new[column] = frame[column].to_numpy(np.float64, na_value=0.0) * share
    return frame.assign(**new)
