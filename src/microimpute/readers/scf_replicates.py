"""The SCF's 999 bootstrap replicate weights (``p19_rw1`` and the like), beside any of its files.

A household that a replicate selected MM times has the weight WT1B in it, so that the weight to use is their product;
households not selected have gaps. The file knows implicate 1 only. Products are divided by five, as the weight of the
extract is, so that each replicate sums to the number of households over all five implicates.
Source: codebook of the 2019 survey, "Sampling error".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from microimpute.errors import SurveyError
from microimpute.readers.delimited import read_numbers
from microimpute.readers.members import only, opened
from microimpute.readers.scf_waves import IMPLICATES
from microimpute.readers.stata_columns import read_stata_numbers, stata_names

__all__ = ["REPLICATES", "attach"]

FloatArray = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REPLICATES = 999
WEIGHTS = tuple(f"WT1B{i}" for i in range(1, REPLICATES + 1))
TIMES = tuple(f"MM{i}" for i in range(1, REPLICATES + 1))
#: Largest share of households without replicate weights before reading stops.
UNMATCHED = 0.01
#: Largest relative difference between a replicate's total and that of the weights.
_SAME_TOTAL = 0.05
_WHAT = "the SCF's replicate weights"


def attach(path: Path, household: Ints, weight: FloatArray) -> tuple[pd.DataFrame, list[str]]:
    """Return the replicate weights of each row, WT1B1 to WT1B999, multiplicities and the five implicates resolved.

    Parameters
    ----------
    path
        Stata or CSV file, also zipped.
    household
        YY1 of each row, shape (rows,).
    weight
        Weight of each row, which sums to the households over all implicates.

    Raises
    ------
    SurveyError
        If the file is missing or another; if more than `UNMATCHED` of the households are not in it; if its replicates
        sum to another number of households.
    """
    key, many = _read(Path(path))
    order = np.argsort(key, kind="stable")
    key, many = key[order], many[order]
    if np.any(key[1:] == key[:-1]):
        raise SurveyError(f"{path.name} has two lines of one household in implicate 1", "Get the file again.")
    place = np.minimum(np.searchsorted(key, household), len(key) - 1)
    found = key[place] == household
    known = np.unique(household)
    lost = int(np.sum(~np.isin(known, key)))
    if lost > UNMATCHED * len(known):
        raise SurveyError(
            f"{path.name}: {lost:,} of {len(known):,} households (YY1) have no replicate weights",
            "The replicate weights are of another wave, or one of the two files is cut off.",
        )
    totals = many.sum(axis=0)
    apart = np.abs(totals / weight.sum() - 1) > _SAME_TOTAL
    if apart.any():
        raise SurveyError(
            f"{path.name}: {int(apart.sum()):,} of {REPLICATES} replicates don't sum to the {weight.sum() / 1e6:.1f} "
            f"million households of the weight (the first: {totals[apart][0] / 1e6:.1f})",
            "The replicate weights are of another wave, or rows are missing in one of the two files.",
        )
    rows = many[place] / IMPLICATES
    rows[~found] = weight[~found, None]
    notes = [f"{REPLICATES} replicate weights (weight × times selected / 5) joined by YY1 from {path.name}"]
    if lost:
        notes.append(f"{lost:,} households have no replicate weights and carry their full weight in each")
    table = pa.table({c: pa.array(np.ascontiguousarray(rows[:, i])) for i, c in enumerate(WEIGHTS)})
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame, notes


def _read(path: Path) -> tuple[Ints, FloatArray]:
    """Return household numbers, and weight × multiplicity in implicate 1, shape (households, 999)."""
    file = only(path, r".*\.(dta|csv)(\.gz)?", _WHAT)
    if file.lower().endswith(".dta"):
        with opened(path, file) as handle:
            actual = {c.upper(): c for c in stata_names(handle, path.name)}
        _require(path, actual)
        wanted = [actual[c] for c in ("YY1", "Y1", *WEIGHTS, *TIMES) if c in actual]
        with opened(path, file) as handle:
            columns = read_stata_numbers(handle, path.name, wanted)
    else:
        with opened(path, file) as handle:
            columns = read_numbers(handle, path.name, (*WEIGHTS, *TIMES), ("YY1", "Y1"), what=_WHAT)
        _require(path, columns)
    first = np.ones(len(columns["MM1"]), dtype=bool)
    if "Y1" in columns:
        first = columns["Y1"] % 10 == 1
    key = columns["YY1"] if "YY1" in columns else columns["Y1"] // 10
    if not np.isfinite(key).all():
        raise SurveyError(f"{path.name}: household numbers have gaps", "Get the file again; it may be cut off.")
    many = np.empty((int(first.sum()), REPLICATES))
    for i, (weight, times) in enumerate(zip(WEIGHTS, TIMES, strict=True)):
        many[:, i] = np.nan_to_num(columns[weight][first]) * np.nan_to_num(columns[times][first])
    if not len(many) or many.min() < 0:
        raise SurveyError(f"{path.name} is not {_WHAT}: it has no implicate 1, or weights below 0", "Get it again.")
    return key[first].astype(np.int64), many


def _require(path: Path, columns: object) -> None:
    names = set(columns) if isinstance(columns, dict) else set()
    missing = [c for c in (*WEIGHTS, *TIMES) if c not in names]
    if "YY1" not in names and "Y1" not in names:
        missing.insert(0, "YY1 or Y1")
    if missing:
        raise SurveyError(
            f"{path.name} is not {_WHAT}: it has no column {', '.join(missing[:4])}",
            "Get the replicate weights of the wave (p19_rw1, scf2019rw1s.zip), not the survey's data.",
        )
