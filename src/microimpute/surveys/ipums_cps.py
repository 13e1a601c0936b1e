"""Extracts of the Current Population Survey made by IPUMS, with their DDI codebook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.readers.ddi import Codebook, Column, read_ddi
from microimpute.readers.delimited import read_numbers
from microimpute.readers.fixed_width import Lines
from microimpute.readers.frames_of_numbers import as_array
from microimpute.readers.members import only, opened
from microimpute.survey import Survey
from microimpute.surveys.base import Connector

__all__ = ["IPUMSCPS"]

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]

DATA = r".*\.(dat|csv)(\.gz)?"
_SAMPLE = ("YEAR", "MONTH", "SERIAL")
_WEIGHTS = {"person": ("ASECWT", "WTFINL"), "household": ("ASECWTH", "HWTFINL")}
_REPLICATE = {"person": "REPWTP", "household": "REPWT"}
#: An amount of at least this many digits, all 9 (or 8 at the end), is no answer even where the codebook is silent.
_WIDE = 7
#: Never taken for amounts.
_NAMES = re.compile(r"(YEAR|MONTH|SERIAL|PERNUM|CPSIDP?|CPSIDV|.*WT.*|MARBASECID.*|ASECFLAG|HFLAG|AGE)")


class IPUMSCPS(Connector):
    """Reads rectangular extracts, fixed width or CSV, also gzipped; the codebook stands beside them.

    In fixed width, decimals are implied as the codebook says; in CSV they are written. Codes for no answer
    (99999999 and the like) become missing and are counted. Amounts are in dollars of the calendar year before the
    survey.
    """

    name: ClassVar[str] = "ipums_cps"
    title: ClassVar[str] = "IPUMS CPS extract"
    publisher: ClassVar[str] = "https://cps.ipums.org"
    variables: ClassVar[Mapping[str, str]] = {
        "YEAR": "Survey year",
        "SERIAL": "Household number within the sample",
        "PERNUM": "Person number within the household",
        "ASECWT": "Person weight of the supplement",
        "ASECWTH": "Household weight of the supplement",
    }
    options: ClassVar[Mapping[str, str]] = {
        "ddi": "the DDI codebook; default: the .xml of the same name beside the data",
        "unit": "person or household (the householder's row, INC… amounts added up); default: person",
        "values": "codes or labels: what columns with value labels hold; default: codes",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {"ddi": (str, Path), "unit": (str,), "values": (str,)}

    def files(self, path: Path, options: Mapping[str, Any]) -> dict[str, Path]:
        """Return the codebook, also where it is the one beside the extract."""
        return {"ddi": _codebook(path, options)}

    def read(self, path: Path, **options: Any) -> Survey:
        """Read an extract.

        Parameters
        ----------
        path
            The .dat or .csv file, also gzipped.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the data or the codebook is missing, cut off, or another's; if the extract is hierarchical, has no
            survey year and household number, or no weight.
        """
        self.check(options)
        path = Path(path)
        unit = _choice("unit", options.get("unit") or "person", ("person", "household"))
        words = _choice("values", options.get("values") or "codes", ("codes", "labels")) == "labels"
        book = read_ddi(_codebook(path, options))
        if book.structure != "rectangular":
            raise SurveyError(
                f"{path.name} is {book.structure or 'of a structure that is not named'}, and only rectangular extracts "
                "are read",
                "Ask IPUMS for the extract in rectangular (person) form.",
            )
        columns, notes = _read(path, book)
        _require(path, columns)
        notes += _set_missing(columns, book)
        columns = _supplement_only(columns, notes)
        if unit == "household":
            columns = _households(columns, book, notes)
        return _survey(self, path, columns, book, unit, words, notes)


def _choice(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise SurveyError(f"option {option!r} of the ipums_cps connector is {value!r}", f"Choose {' or '.join(known)}.")
    return value


def _codebook(path: Path, options: Mapping[str, Any]) -> Path:
    if options.get("ddi") is not None:
        return Path(options["ddi"])
    return path.with_name(re.sub(r"\.(dat|csv)(\.gz)?$", "", path.name, flags=re.IGNORECASE) + ".xml")


def _read(path: Path, book: Codebook) -> tuple[Columns, list[str]]:
    file = only(path, DATA, "an IPUMS extract (.dat or .csv, also gzipped)")
    numeric = {n: c.field for n, c in book.columns.items() if c.numeric}
    left = [n for n in book.columns if n not in numeric]
    notes = [f"columns of text left out: {', '.join(left)}"] if left else []
    with opened(path, file) as handle:
        if file.lower().removesuffix(".gz").endswith(".csv"):
            columns = read_numbers(handle, path.name, numeric, what="the extract that its codebook describes")
            return columns, [*notes, "decimals as they are written in the CSV"]
        lines = Lines(handle.read(), path.name)
    length = max(c.field.start + c.field.width - 1 for c in book.columns.values())
    odd = int(np.sum(lines.lengths != length))
    if odd:
        raise SurveyError(
            f"{path.name}: {odd:,} of {len(lines):,} lines don't have the codebook's {length:,} characters",
            "Data and codebook may be of different extracts, or the file is cut off; get both again.",
        )
    implied = [n for n, f in numeric.items() if f.decimals]
    columns = lines.numbers(numeric, numeric, np.arange(len(lines)), "extract")
    return columns, [*notes, f"implied decimals resolved in {', '.join(implied) or 'no column'}"]


def _require(path: Path, columns: Columns) -> None:
    for name in ("YEAR", "SERIAL", "PERNUM"):
        if name not in columns:
            raise SurveyError(f"{path.name} has no column {name}", "Is it an IPUMS CPS extract? Add the variable.")
        if not np.isfinite(columns[name]).all():
            raise SurveyError(f"{path.name}: {name} has gaps", "Get the file again; it may be cut off.")
    year = columns["YEAR"]
    if year.min() < 1962 or year.max() > 2100:
        raise SurveyError(
            f"{path.name}: YEAR goes from {year.min():.0f} to {year.max():.0f}",
            "Data and codebook may be of different extracts; get both again.",
        )


def _is_amount(name: str, column: Column) -> bool:
    return not column.categories and not _NAMES.fullmatch(name)


def _set_missing(columns: Columns, book: Codebook) -> list[str]:
    """Set codes for no answer to missing, and count them."""
    notes = []
    for name, column in book.columns.items():
        if name not in columns or not _is_amount(name, column):
            continue
        codes = list(column.no_answer)
        width = column.field.width - column.field.decimals
        if not codes:  # none of a narrow column
            codes = [10.0**w - less for w in range(_WIDE, width + 1) for less in (1, 2)]
        gone = np.isin(columns[name], codes)
        if gone.any():
            columns[name] = np.where(gone, np.nan, columns[name])
            listed = ", ".join(f"{c:.10g}" for c in codes)
            notes.append(f"{int(gone.sum()):,} of {len(gone):,} codes of {name} ({listed}) set to missing")
    return notes


def _supplement_only(columns: Columns, notes: list[str]) -> Columns:
    if "ASECFLAG" not in columns or not np.any(columns["ASECFLAG"] == 2):
        return columns
    kept = columns["ASECFLAG"] != 2
    notes.append(f"{int((~kept).sum()):,} persons of the March basic survey (ASECFLAG 2) left out")
    return {c: v[kept] for c, v in columns.items()}


def _households(columns: Columns, book: Codebook, notes: list[str]) -> Columns:
    keys = np.stack([columns[c] for c in _SAMPLE if c in columns])
    _, group = np.unique(keys, axis=1, return_inverse=True)
    group = group.ravel()
    count = int(group.max()) + 1
    head = columns["RELATE"] == 101 if "RELATE" in columns else columns["PERNUM"] == 1
    order = np.lexsort((columns["PERNUM"], ~head, group))
    first = order[np.searchsorted(group[order], np.arange(count))]
    made = {c: v[first] for c, v in columns.items()}
    amounts = [n for n, c in book.columns.items() if n.startswith("INC") and c.of_person and _is_amount(n, c)]
    for name in (n for n in amounts if n in columns):
        made[name] = np.bincount(group, np.nan_to_num(columns[name]), count).astype(np.float64)
    made["PERSONS"] = np.bincount(group, minlength=count).astype(np.float64)
    who = "RELATE 101" if "RELATE" in columns else "PERNUM 1, for want of RELATE"
    lacking = int(np.sum(np.bincount(group[head], minlength=count) != 1))
    notes.append(f"a household's row is its householder's ({who}); {', '.join(amounts) or 'nothing'} added up")
    if lacking:
        notes.append(f"in {lacking:,} households without exactly one householder, the first person was taken")
    return made


def _survey(
    connector: IPUMSCPS, path: Path, columns: Columns, book: Codebook, unit: str, words: bool, notes: list[str]
) -> Survey:
    weight = next((w for w in _WEIGHTS[unit] if w in columns), None)
    if weight is None:
        raise SurveyError(f"{path.name} has no weight of {unit}s", f"Add {' or '.join(_WEIGHTS[unit])} to the extract.")
    sample = tuple(c for c in _SAMPLE if c in columns)
    keys = (*sample, "PERNUM") if unit == "person" else sample
    replicates = tuple(f"{_REPLICATE[unit]}{i}" for i in range(1, 161))
    complete = all(c in columns for c in replicates)
    if not complete:
        notes.append(f"no replicate weights ({replicates[0]} to {replicates[-1]}) in the extract")
    years = np.unique(columns["YEAR"])
    if 2014 in years:
        notes.append("2014: the sample was split (HFLAG 0: 5/8, 1: 3/8), and each part sums to the population")
    if len(years) > 1:
        notes.append(
            f"{len(years)} survey years: amounts are in dollars of each row's YEAR - 1, so no dollar year is set"
        )
    frame = _frame(columns, book, words)
    return Survey(
        frame,
        weight=weight,
        keys=keys,
        household=sample,
        replicates=replicates if complete else (),
        replicate_rule="cps asec" if complete else "",
        kinds={n: kind for n, c in book.columns.items() if n in frame and (kind := _kind(n, c)) is not None},
        dollars=int(years[0]) - 1 if len(years) == 1 else None,
        unit=unit,
        source=f"{connector.title} {path.name}, IPUMS, University of Minnesota, www.ipums.org",
        labels={n: c.label for n, c in book.columns.items() if n in frame},
        notes=[f"{len(frame):,} rows of {unit}s, survey years {years[0]:.0f} to {years[-1]:.0f}", *notes],
    )


def _are_words(column: Column) -> bool:
    """Whether labels are words: those of AGE and the like repeat the number."""
    repeated = sum(label.strip() == str(code) for code, label in column.categories.items())
    return bool(column.categories) and repeated * 2 < len(column.categories)


def _kind(name: str, column: Column) -> Kind | None:
    if _are_words(column) and not _NAMES.fullmatch(name):
        return Kind.CATEGORICAL
    return Kind.SEMICONTINUOUS if name.startswith("INC") and _is_amount(name, column) else None


def _frame(columns: Columns, book: Codebook, words: bool) -> pd.DataFrame:
    made: dict[str, Any] = {}
    for name, values in columns.items():
        gaps = ~np.isfinite(values)
        filled = np.where(gaps, 0.0, values)
        column = book.columns.get(name)
        if words and column is not None and _are_words(column) and not _NAMES.fullmatch(name):
            known = column.categories
            text = [None if gap else known.get(int(v), f"code {v:.0f}") for v, gap in zip(filled, gaps, strict=True)]
            made[name] = pa.array(text, pa.string())
        else:
            made[name] = as_array(values)
    table: pd.DataFrame = pa.table(made).to_pandas(types_mapper=pd.ArrowDtype)
    return table
