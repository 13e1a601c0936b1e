"""Family records of the Interview as the R package rpms has them: csv files with current-quarter spending alone.

Two layouts. The *panel* holds several quarters one after the other, without a year, with names of its own
(AGE, EDUCA, SEX "F"/"M"); the *quarter* holds one quarter with native FMLI names and no month of interview. Both know
spending of the interview's own calendar quarter alone (CQ): none of it in the first month of a quarter, one month in
the second, two in the third.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.errors import SurveyError, closest
from microimpute.frames import read_file
from microimpute.readers.ce_columns import CHARACTERISTICS, PUBLISHED, WEIGHT
from microimpute.readers.ce_rows import months_of_quarter, quarters_again

__all__ = ["PARTS", "SECOND_COPY", "read_subset"]

Ints = npt.NDArray[np.int64]

#: Column of ours → columns of the file that add up to it.
PARTS: Mapping[str, tuple[str, ...]] = {
    "food": ("FOODCQ",),
    "housing_outlays": ("EHOUSNGC",),
    "health": ("HEALTHCQ",),
    "tobacco": ("TOBACCCQ",),
    "footwear": ("FOOTWRCQ",),
    "food_home": ("FDHOMECQ",),
    "food_away": ("FDAWAYCQ",),
    "alcohol": ("ALCBEVCQ",),
    "gasoline": ("GASMOCQ",),
}
_PANEL = (
    "NEWID",
    "QINTRVMO",
    "FINLWT21",
    "TOTEXPCQ",
    "FOODCQ",
    "AGE",
    "EDUCA",
    "SEX",
    "HORIGIN",
    "FAM_SIZE",
    "FINCBTAX",
)
_QUARTER = ("NEWID", "FINLWT21", "FDHOMECQ", "FDAWAYCQ", "AGE_REF", "FAM_SIZE", "FINCBTAX")
#: What the note on a repeated quarter says.
SECOND_COPY = (
    "a second copy of {quarter} with other weights, {rows:,} rows ({again:,} of them of interviews seen before)"
)


def read_subset(
    path: Path, *, first: str | None, months_from: Path | None, share: float | None
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Read one file.

    Parameters
    ----------
    path
        Panel or quarter, csv, csv.gz or Parquet.
    first
        The first quarter in the file, ``"2013q3"``; None finds it in the file's name.
    months_from
        A panel that holds the same consumer units in other quarters: needed by a quarter file, whose interviews' months
        are found from it (a consumer unit is always interviewed in the same month of a quarter).
    share
        Share of consumer units that the file is a sample of; None estimates it in steps of 5% from the published
        number of consumer units.

    Returns
    -------
    frame : pandas.DataFrame
        One row per interview with a month of spending: native names, months, weight, spending a year.
    spending : list of str
        Columns of spending.
    notes : list of str

    Raises
    ------
    SurveyError
        If the file can't be read or is none of the two, the first quarter is not known, or months can't be found.
    """
    data: pd.DataFrame = read_file(path).to_native()
    data = data.rename(columns=str.upper)
    panel = "QINTRVMO" in data or "TOTEXPCQ" in data
    _require(path, data, _PANEL if panel else _QUARTER)
    notes: list[str] = []
    start = _first_quarter(path, first)
    if panel:
        data, notes = _label_quarters(data, start)
        notes.append(
            "AGE, EDUCA, SEX, HORIGIN, MARITAL and MEMBRACE are of one member, most often the one who earns most: of "
            "2,472 consumer units asked a quarter before, 81% had a reference person of that age, 79% of that sex"
        )
    else:
        if months_from is None:
            raise SurveyError(
                f"{path.name} does not say in which month interviews were held",
                "Give months_from=, the panel file that holds the same consumer units in other quarters.",
            )
        data, notes = _link_months(path, data, start, months_from)
    frame, spending = _annual(path, data, notes, share)
    notes.append("income is as collected: what was not answered counts as 0, so its mean is below the published one")
    notes.append(
        "only spending of the interview's own calendar quarter is in the file, one or two months a row, and never that "
        "of March, June, September and December: means of a year miss the end-of-year season"
    )
    return frame, spending, notes


def _require(path: Path, data: pd.DataFrame, names: Sequence[str]) -> None:
    if missing := [c for c in names if c not in data]:
        raise SurveyError(
            f"{path.name} is no family file of the Interview: it has no column {', '.join(missing)}",
            closest(missing[0], [str(c) for c in data.columns]),
        )
    for column in (c for c in names if c not in ("SEX", "HORIGIN")):
        if not pd.api.types.is_numeric_dtype(data[column]) or bool(data[column].isna().any()):
            raise SurveyError(
                f"{path.name}: column {column} holds gaps or something else than numbers", "Get the file again."
            )


def _first_quarter(path: Path, given: str | None) -> tuple[int, int]:
    found = re.search(r"(?<!\d)((?:19|20)\d\d)q([1-4])", path.name if given is None else given, re.IGNORECASE)
    if found is None:
        raise SurveyError(
            f"{path.name} does not say which quarter it starts with" if given is None else f"first is {given!r}",
            "Give first=, for example first='2013q3'.",
        )
    return int(found.group(1)), int(found.group(2))


def _label_quarters(data: pd.DataFrame, start: tuple[int, int]) -> tuple[pd.DataFrame, list[str]]:
    """Give each row its year; drop second copies of a quarter's interviews."""
    month = data["QINTRVMO"].to_numpy(np.int64)
    newid = data["NEWID"].to_numpy(np.int64)
    quarter = (month - 1) // 3 + 1
    if quarter[0] != start[1]:
        raise SurveyError(
            f"the first interview is of quarter {quarter[0]}, not of {start[0]}Q{start[1]}", "Give first= as it is."
        )
    year = np.zeros(len(data), np.int64)
    keep = np.ones(len(data), bool)
    notes: list[str] = []
    now, before = start[0], quarter[0] - 1
    found = quarters_again(newid, month)
    for first, second, end, again in found:
        now += int(quarter[first] <= before)
        before = quarter[first]
        year[first:end] = now
        if second < end:
            keep[second:end] = False
            words = f"months {', '.join(str(m) for m in np.unique(month[second:end]))} of {now}"
            notes.append("left out: " + SECOND_COPY.format(quarter=words, rows=end - second, again=again))
    last = np.flatnonzero(keep)[-1]
    notes.insert(0, f"quarters {start[0]}Q{start[1]} to {year[last]}Q{quarter[last]}, {len(found)} of them in the file")
    return data.assign(YEAR=year).loc[keep].reset_index(drop=True), notes


def _link_months(path: Path, data: pd.DataFrame, start: tuple[int, int], panel: Path) -> tuple[pd.DataFrame, list[str]]:
    """Find months of interviews from the same consumer units in other quarters, or from both neighbours in the list."""
    other: pd.DataFrame = read_file(panel).to_native()
    _require(panel, other, ("NEWID", "QINTRVMO"))
    known = pd.Series(
        months_of_quarter(other["QINTRVMO"].to_numpy(np.int64)), index=other["NEWID"].to_numpy(np.int64) // 10
    )
    known = known[~known.index.duplicated()].sort_index()
    unit = data["NEWID"].to_numpy(np.int64) // 10
    places, values = known.index.to_numpy(), known.to_numpy(np.int64)
    at = np.searchsorted(places, unit)
    after, before = np.minimum(at, len(places) - 1), np.maximum(at - 1, 0)
    same = places[after] == unit
    between = ~same & (values[after] == values[before]) & (at > 0) & (at < len(places))
    found = same | between
    if found.mean() < 0.8:
        raise SurveyError(
            f"months of {1 - found.mean():.0%} of the interviews of {path.name} can't be found from {panel.name}",
            "Give the panel that holds the same consumer units in the quarters around it.",
        )
    month = 3 * (start[1] - 1) + 1 + values[after]
    notes = [
        f"months of {int(same.sum()):,} interviews are those of the same consumer units in {panel.name}, of "
        f"{int(between.sum()):,} those of both neighbours in the list; {int((~found).sum()):,} were left out"
    ]
    data = data.assign(QINTRVMO=month, YEAR=start[0], _found=found)
    return data.loc[data.pop("_found").to_numpy(bool)].reset_index(drop=True), notes


def _annual(path: Path, data: pd.DataFrame, notes: list[str], share: float | None) -> tuple[pd.DataFrame, list[str]]:
    """Bring spending to a year, weights to one population."""
    months = months_of_quarter(data["QINTRVMO"].to_numpy(np.int64))
    weight = data["FINLWT21"].to_numpy(np.float64)
    quarter = data["YEAR"].to_numpy(np.int64) * 10 + (data["QINTRVMO"].to_numpy(np.int64) - 1) // 3
    _, counts = np.unique(quarter, return_counts=True)
    held = share if share is not None else _share(path, data, weight, len(counts))
    if held < 1:
        notes.append(f"weights are divided by {held:g}: the file holds about that share of consumer units")
    notes.append(
        f"{int((months == 0).sum()):,} interviews of January, April, July or October know no spending: left out"
    )
    keep = months > 0
    rows = data.loc[keep].reset_index(drop=True)
    months, weight = months[keep], weight[keep] / (held * len(counts)) * months[keep]
    yearly = {
        name: rows[list(columns)].to_numpy(np.float64).sum(axis=1) * 12.0 / months
        for name, columns in PARTS.items()
        if all(c in rows for c in columns)
    }
    if "TOTEXPCQ" in rows:
        whole = rows["TOTEXPCQ"].to_numpy(np.float64) * 12.0 / months
        yearly["other"] = np.round(whole - sum(yearly.values()), 2) + 0.0
        yearly = {"total": np.sum(list(yearly.values()), axis=0), **yearly}
    newid = rows["NEWID"].to_numpy(np.int64)
    design = {"CUID": newid // 10, "INTERVIEW": newid % 10, "months": months, WEIGHT: weight}
    columns = [c for c in ("NEWID", "YEAR", "QINTRVMO", "FINLWT21", *CHARACTERISTICS) if c in rows]
    return rows[columns].assign(**design, **yearly), list(yearly)


def _share(path: Path, data: pd.DataFrame, weight: npt.NDArray[np.float64], quarters: int) -> float:
    years = data["YEAR"].to_numpy(np.int64)
    if unknown := sorted(set(years.tolist()) - set(PUBLISHED)):
        raise SurveyError(
            f"the number of consumer units of {unknown[0]} is not known here", f"Give share= for {path.name}."
        )
    population = float(np.average([PUBLISHED[y][0] * 1e3 for y in years], weights=weight))
    return min(1.0, round(20 * float(weight.sum()) / quarters / population) / 20)
