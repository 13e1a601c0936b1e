"""First drafts of descriptions: what can be guessed from a table, marked as guessed."""

from __future__ import annotations

import json
import re
from typing import Any

import narwhals as nw
import numpy as np

from microimpute.frames import Frame, Series

__all__ = ["draft"]

_WEIGHT = re.compile(r"weight|wgt|^p?wt|wt$|^finlwt|^w$", re.IGNORECASE)
_KEY = re.compile(r"id$|^id|serial|seq$|key|^newid|number$", re.IGNORECASE)
_MONEY = re.compile(r"inc|earn|wage|salar|wealth|worth|asset|debt|mort|val$|spend|exp$|tax|rent$|price", re.IGNORECASE)
_COUNT = re.compile(r"kids|child|persons|size|^n[a-z]{1,3}$|num|count", re.IGNORECASE)
#: Fewest digits of a code such as 9999.
_DIGITS = 4
#: Most values of a column of codes.
_CODES = 12


def draft(frame: Frame, source: str) -> str:
    """Write the first draft of a description.

    Parameters
    ----------
    frame
        The table.
    source
        What it is, in words.

    Returns
    -------
    str
        TOML that `Description.read` takes. Every guess has a comment that says so and why; nothing is certain but the
        columns' names.
    """
    lines = [
        "# First draft: every line with 'guess' has to be checked against the survey's documentation.",
        f"source = {_quoted(source)}",
        'unit = "row"  # say what a row is: household, person, ...',
        *_design(frame),
        "# dollars = 2019  # the year whose prices the money is in",
        "",
    ]
    for name in frame.columns:
        lines += [f"[columns.{_quoted(name)}]", 'label = ""', *_column(frame[name]), ""]
    return "\n".join(lines)


def _design(frame: Frame) -> list[str]:
    weights = [c for c in frame.columns if _WEIGHT.search(c) and frame[c].dtype.is_numeric() and _positive(frame[c])]
    lines = []
    if weights:
        others = f"; it could be {', '.join(weights[1:4])}" if len(weights) > 1 else ""
        lines.append(f"weight = {_quoted(weights[0])}  # guess: by its name{others}")
    else:
        lines.append('# weight = ""  # no column looks like a weight: every row counts alike')
    keys = [c for c in frame.columns if _KEY.search(c) and c not in weights and frame[c].n_unique() == len(frame)]
    if keys:
        lines.append(f"keys = [{_quoted(keys[0])}]  # guess: by its name; no value stands twice")
    else:
        lines.append("# keys = []  # no column that is called like a key has each value once")
    return lines


def _positive(series: Series) -> bool:
    values = series.drop_nulls().cast(nw.Float64).to_numpy()
    return bool(len(values) and (values >= 0).all() and values.any())


def _column(series: Series) -> list[str]:
    if series.dtype.is_numeric():
        return _number(series.name, series.drop_nulls().cast(nw.Float64).to_numpy())
    if series.dtype == nw.Boolean:
        return ['kind = "binary"']
    values = [str(v) for v in series.drop_nulls().to_list()]
    odd = sorted({v for v in values if not _is_number(v)})
    if odd and len(odd) <= 3 and len(odd) < len(set(values)):
        told = ", ".join(map(_quoted, odd))
        rest = np.array([float(v) for v in values if v not in odd])
        kinds = [line for line in _number(series.name, rest) if line.startswith("kind")]
        return [f"missing = [{told}]  # guess: all other values are numbers", *kinds]
    return ['kind = "categorical"  # guess: text']


def _number(name: str, values: Any) -> list[str]:
    if not len(values):
        return ["# no value at all"]
    lines = []
    codes = _nines(values)
    if codes:
        lines.append(f"missing = [{', '.join(f'{c:.0f}' for c in codes)}]  # guess: nines, far beyond the other values")
    known = values[~np.isin(values, codes)]
    distinct = np.unique(known)
    whole = bool((np.trunc(distinct) == distinct).all())
    if whole and len(distinct) == 2:
        lines.append('kind = "binary"  # guess: two values')
    elif whole and _COUNT.search(name) and len(distinct) <= 3 * _CODES and distinct.min(initial=0) >= 0:
        lines.append('kind = "count"  # guess: by its name')
    elif whole and len(distinct) <= _CODES:
        lines.append(f'kind = "categorical"  # guess: {len(distinct)} whole numbers, which may be codes or amounts')
    elif _MONEY.search(name) or (np.abs(known).max(initial=0.0) >= 10_000 and len(distinct) > 50):
        zero = float(np.mean(known == 0))
        kind = "semicontinuous" if zero > 0.01 else "continuous"
        lines.append(f'kind = "{kind}"  # guess: money, {zero:.0%} exactly zero')
    return lines


def _nines(values: Any) -> list[float]:
    """Find codes such as 99999999 or 9999998 above everything else."""
    distinct = np.unique(values)
    found: list[float] = []
    while len(distinct) > 1 and re.fullmatch(rf"9{{{_DIGITS - 1},}}[6-9]", f"{distinct[-1]:.10g}"):
        found.append(float(distinct[-1]))
        distinct = distinct[:-1]
    # a survey's largest incomes may be nines too: codes are far from everything else
    return found if found and min(found) > 2 * abs(float(distinct[-1])) else []


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
