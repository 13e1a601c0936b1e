"""The CPS ASEC's 160 replicate weights: their file, and their places beside persons or units.

The Census Bureau publishes them in fixed width for every year: PWWGT0 to PWWGT160 of 9 characters with four implied
decimals (10 characters in the 3/8 sample of 2014), then H_SEQ and PPPOS. A CSV with these columns is read too. PWWGT0
is the full-sample weight, so a file of another year or weighting shows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from microimpute.errors import SurveyError
from microimpute.readers.asec_files import UNMATCHED, AsecTables
from microimpute.readers.asec_units import Units
from microimpute.readers.delimited import read_numbers
from microimpute.readers.fixed_width import Field, Lines
from microimpute.readers.members import only, opened

__all__ = ["REPLICATES", "attach"]

FloatArray = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REPLICATES = 160
WEIGHTS = tuple(f"PWWGT{i}" for i in range(REPLICATES + 1))
KEYS = ("H_SEQ", "PPPOS")
#: Characters of H_SEQ and PPPOS behind the weights.
_KEY_WIDTHS = (5, 2)
_DECIMALS = 4
#: Largest difference between PWWGT0 and the weight of the main file, which has two decimals.
_SAME = 0.02


def attach(path: Path, tables: AsecTables, units: Units, weight: str, unit: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the replicate weights of each row, PWWGT1 to PWWGT160.

    A unit takes its reference person's, as its own weight does, times the ratio of the two full-sample weights where
    they differ.

    Parameters
    ----------
    path
        The replicate weights' file.
    tables
        The main file.
    units
        Rows that weights are wanted for.
    weight
        Their weight column.
    unit
        What they are.

    Raises
    ------
    SurveyError
        If the file is missing or another; if more than `UNMATCHED` of the rows find no weights, or weights that are
        not theirs; if the main file lacks PPPOS.
    """
    if "PPPOS" not in tables.person:
        raise SurveyError(
            f"{tables.name} has no column PPPOS, the key of the replicate weights", "Get it as published."
        )
    columns = _read(path)
    place = _match(columns, tables, units.person)
    lost = place < 0
    many = np.stack([columns[c] for c in WEIGHTS[1:]], axis=1)[np.maximum(place, 0)]
    full = columns["PWWGT0"][np.maximum(place, 0)]
    person = tables.person["MARSUPWT"][units.person]
    _refuse_other_weights(path, tables, full[~lost], person[~lost])
    own = np.asarray(units.columns[weight], dtype=np.float64)
    ratio = np.divide(own, person, out=np.zeros_like(own), where=person > 0)
    scaled = int(np.sum(np.abs(own - person) > _SAME))
    many *= ratio[:, None]
    many[lost] = own[lost, None]
    notes = [f"{REPLICATES} replicate weights joined by H_SEQ and PPPOS from {path.name}"]
    if lost.any():
        notes.append(f"{int(lost.sum()):,} rows have no replicate weights and carry their full weight in each")
    if unit != "person":
        notes.append(
            f"replicate weights are the reference person's; in {scaled:,} rows the {unit}'s own weight differs from "
            "that person's, and they were multiplied by the ratio"
        )
    frame = pa.table({c: pa.array(many[:, i]) for i, c in enumerate(WEIGHTS[1:])})
    return frame.to_pandas(types_mapper=pd.ArrowDtype), notes


def _read(path: Path) -> dict[str, FloatArray]:
    file = only(path, r".*\.(csv|dat|txt|pub|asc)(\.gz)?", "the replicate weights' file")
    with opened(path, file) as handle:
        if file.lower().removesuffix(".gz").endswith(".csv"):
            what = "the CPS ASEC's replicate weights"
            return read_numbers(handle, Path(file).name, (*WEIGHTS, *KEYS), what=what)
        lines = Lines(handle.read(), Path(file).name)
    length = int(np.median(lines.lengths))
    width, left = divmod(length - sum(_KEY_WIDTHS), len(WEIGHTS))
    odd = int(np.sum(lines.lengths != length))
    if left or width not in (9, 10) or odd:
        raise SurveyError(
            f"{lines.name} is not the CPS ASEC's replicate weights: its lines have {length:,} characters"
            + (f", {odd:,} of them another number" if odd else ""),
            "Lines have 1,456 characters (1,617 in the 3/8 sample of 2014); get the file again.",
        )
    fields = {c: Field(c, 1 + width * i, width, _DECIMALS) for i, c in enumerate(WEIGHTS)}
    start = 1 + width * len(WEIGHTS)
    fields |= {"H_SEQ": Field("H_SEQ", start, 5), "PPPOS": Field("PPPOS", start + 5, 2)}
    return lines.numbers(fields, fields, np.arange(len(lines)), "replicate weight")


def _match(columns: dict[str, FloatArray], tables: AsecTables, rows: Ints) -> Ints:
    """Return where each row's weights stand, -1 where nowhere."""
    key = columns["H_SEQ"] * 1000 + columns["PPPOS"]
    order = np.argsort(key, kind="stable")
    key = key[order]
    if np.any(key[1:] == key[:-1]):
        raise SurveyError("the replicate weights' file has two lines of one person", "Give one year's file.")
    wanted = tables.person["PH_SEQ"][rows] * 1000 + tables.person["PPPOS"][rows]
    place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    found = key[place] == wanted
    lost = int((~found).sum())
    if lost > UNMATCHED * len(rows):
        raise SurveyError(
            f"{lost:,} of {len(rows):,} rows find no replicate weights by H_SEQ and PPPOS",
            f"The replicate weights are of another year than {tables.name}, or one of the two is cut off.",
        )
    return np.where(found, order[place], -1)


def _refuse_other_weights(path: Path, tables: AsecTables, full: FloatArray, person: FloatArray) -> None:
    apart = int(np.sum(np.abs(full - person) > _SAME))
    if apart > UNMATCHED * len(full):
        raise SurveyError(
            f"{path.name}: PWWGT0 differs from MARSUPWT of {tables.name} in {apart:,} of {len(full):,} rows",
            "The replicate weights are of another year, release or population base; get those of this file.",
        )
