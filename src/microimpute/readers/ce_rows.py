"""Rows of the Consumer Expenditure Interview: months in scope, amounts a year, consumer units of several interviews.

An interview in month m of a quarter asks for the three months before it. The family file splits them at the start
of the interview's own calendar quarter into current-quarter (CQ) and previous-quarter (PQ) amounts: 0 and 3 months,
1 and 2, or 2 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.readers.ce_columns import REPLICATES, WEIGHT

__all__ = ["ASKED_LAST", "by_consumer_unit", "months_in_year", "months_of_quarter", "quarters_again"]

Ints = npt.NDArray[np.int64]

#: Asked in one interview of a consumer unit alone: its known value counts, whichever interview that was.
ASKED_LAST = ("LIQUIDX", "IRAX", "STOCKX", "STUDNTX")


def months_of_quarter(month: Ints) -> Ints:
    """Return how many months before the interview lie in the interview's own calendar quarter: 0, 1 or 2.

    Parameters
    ----------
    month
        Month of the interview, 1 to 12, shape (rows,).
    """
    return (month - 1) % 3


def quarters_again(newid: Ints, month: Ints) -> list[tuple[int, int, int, int]]:
    """Find where quarters, one after the other, begin and end, and where one comes a second time.

    Parameters
    ----------
    newid
        Interview, shape (rows,): appears once in a quarter.
    month
        Month of the interview, 1 to 12, shape (rows,), in the file's order.

    Returns
    -------
    list
        For each quarter its first row, the row that its second copy starts with (its end, if there is none), its end,
        and how many interviews of the second copy stand in the first as well.
    """
    quarter = (month - 1) // 3
    begins = np.flatnonzero(np.r_[True, quarter[1:] != quarter[:-1]])
    found = []
    for first, end in zip(begins, np.r_[begins[1:], len(newid)], strict=True):
        again = pd.Series(newid[first:end]).duplicated().to_numpy()
        second = first + int(np.argmax(again)) if again.any() else end
        found.append((int(first), int(second), int(end), int(again.sum())))
    return found


def months_in_year(interview_year: Ints, month: Ints, year: int) -> Ints:
    """Return how many of the three months before the interview lie in a calendar year: 0 to 3.

    Parameters
    ----------
    interview_year, month
        Of the interview, shape (rows,).
    year
        The calendar year.
    """
    serial = 12 * interview_year + month - 1
    return np.asarray(
        np.clip(np.minimum(serial, 12 * (year + 1)) - np.maximum(serial - 3, 12 * year), 0, 3), dtype=np.int64
    )


def by_consumer_unit(frame: pd.DataFrame, spending: Sequence[str]) -> pd.DataFrame:
    """Put the interviews of each consumer unit together.

    Weights and months are added up; amounts a year are means weighted by the weights, so that weighted means of all
    stay what they were; characteristics are those of the last interview.

    Parameters
    ----------
    frame
        One row per interview, with CUID, INTERVIEW, months and the weight.
    spending
        Columns of amounts a year.

    Returns
    -------
    pandas.DataFrame
        One row per consumer unit, in the order of CUID.
    """
    rows = frame.sort_values(["CUID", "INTERVIEW"], kind="stable").reset_index(drop=True)
    unit = rows["CUID"].to_numpy()
    start = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    last = np.r_[start[1:], len(unit)] - 1
    out = rows.iloc[last].reset_index(drop=True)
    weight = rows[WEIGHT].to_numpy(np.float64)
    whole = np.add.reduceat(weight, start)
    out[WEIGHT] = whole
    out["months"] = np.add.reduceat(rows["months"].to_numpy(np.int64), start)
    new: dict[str, npt.NDArray[np.float64]] = {}
    for column in spending:
        new[column] = np.add.reduceat(weight * rows[column].to_numpy(np.float64), start) / whole
    for column in (c for c in REPLICATES if c in rows):
        new[column] = np.add.reduceat(rows[column].to_numpy(np.float64), start)
    for column in (c for c in ASKED_LAST if c in rows):
        known = rows.groupby("CUID")[column].last()  # the last one that is not missing
        new[column] = known.to_numpy(np.float64, na_value=np.nan)
    whole_frame: pd.DataFrame = out.assign(**new)
    return whole_frame
