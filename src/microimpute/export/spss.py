"""SPSS: a .sav file with `Imputation_`, and the syntax that makes SPSS pool it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from microimpute.errors import MissingExtraError, OutputError
from microimpute.export.base import Format
from microimpute.export.columns import Column, Form
from microimpute.export.content import Content, columns_of
from microimpute.export.names import Naming, cut
from microimpute.export.values import numbers, texts

__all__ = ["Spss"]

#: Longest text, name of a column's meaning, and name of a level, in bytes.
TEXT, LABEL, LEVEL = 32_767, 256, 120
#: Seconds of a day, and days from SPSS's first, 14 October 1582, to 1970.
DAY, EPOCH = 86_400.0, 141_428
#: The variable by which SPSS knows imputations.
INDEX = "Imputation_"

_SYNTAX = """\
* Opens {file} so that procedures pool over its {m} imputations. Run it where {file} is.
GET FILE='{file}'.
SORT CASES BY Imputation_.
SPLIT FILE LAYERED BY Imputation_.
{weight}* For example: REGRESSION /DEPENDENT y /METHOD=ENTER x.
"""


class Spss(Format):
    """A .sav file as SPSS's own multiple imputation makes it: `Imputation_` 0 is the original, 1 … m follow."""

    name = "spss"
    program = "SPSS"
    summary = "SPSS .sav with Imputation_ (0 = original), labels included, and syntax that splits the file"
    suffix = ".sav"
    naming = Naming(
        limit=64,
        in_bytes=True,
        bad=r"[^A-Za-z0-9_]",
        bad_start="[^A-Za-z]",
        reserved="all|and|by|eq|ge|gt|le|lt|ne|not|or|to|with|imputation_",
        folds=True,
    )
    blind = True

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the data and the syntax; the whole table stands in memory, as pyreadstat wants it."""
        reader = _pyreadstat()
        columns = content.columns
        blocks = [content.block(i) for i in range(content.m + 1)]
        held: dict[str, Any] = {INDEX: np.repeat(np.arange(content.m + 1.0), content.rows)}
        for column in columns:
            held[names[column.name]] = _stacked(column, [block[column.name] for block in blocks])
        labels, levels, notes = _labels(columns, names)
        reader.write_sav(
            pd.DataFrame(held),
            str(path),
            file_label="Imputations made by microimpute",
            row_compress=True,
            column_labels={INDEX: "Imputation number", **labels},
            variable_value_labels={INDEX: {0.0: "Original data"}, **levels},
            variable_format={INDEX: "F5.0", **_shown(columns, names)},
            variable_measure={names[c.name]: _measure(c) for c in columns},
        )
        weight = f"WEIGHT BY {names[content.weight]}.\n" if content.weight else ""
        text = _SYNTAX.format(file=path.name.replace("'", "''"), m=content.m, weight=weight)
        path.with_suffix(".sps").write_text(text, encoding="utf-8")
        return notes

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        reader = _pyreadstat()
        try:
            frame, _ = reader.read_sav(str(path), disable_datetime_conversion=True)
        except reader.ReadstatError as error:
            raise OutputError(f"{path} is no SPSS file: {error}", "Name a .sav file that microimpute wrote.") from None
        for column in columns_of(said):
            if column.form is Form.DATE:
                name = said["names"][column.name]
                frame[name] = frame[name] / DAY - EPOCH
        for _, block in frame[frame[INDEX] > 0].groupby(INDEX):
            yield {str(name): pa.array(block[name], from_pandas=True) for name in block.columns}


def _pyreadstat() -> Any:
    try:
        import pyreadstat
    except ImportError:
        raise MissingExtraError("pyreadstat", "SPSS's format", "pip install 'microimpute[export]'") from None
    return pyreadstat


def _stacked(column: Column, arrays: Sequence[pa.Array]) -> Any:
    """Put implicates one below the other."""
    if column.form is Form.DATE:
        return np.concatenate([(numbers(column, a, "SPSS") + EPOCH) * DAY for a in arrays])
    if column.form is not Form.TEXT:
        return np.concatenate([numbers(column, a, "SPSS") for a in arrays])
    one = texts(column, arrays[0])  # text is the receiver's own, the same in every implicate
    width = max((len(t.encode()) for t in one), default=0)
    if width > TEXT:
        raise OutputError(
            f"column {column.name!r} has a text of {width:,} bytes; SPSS's hold {TEXT:,}",
            "Shorten it, or leave the column out.",
        )
    if any(t.endswith(" ") for t in one):
        raise OutputError(f"column {column.name!r} has text that ends in blanks, which SPSS drops", "Strip it.")
    return pd.Series(one * len(arrays), dtype=object)


def _labels(
    columns: Sequence[Column], names: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, dict[float, str]], list[str]]:
    """Return what columns and codes mean, as long as SPSS holds it, and say what was cut."""
    labels: dict[str, str] = {}
    levels: dict[str, dict[float, str]] = {}
    notes = []
    for column in columns:
        name = names[column.name]
        text = column.label or (column.name if name != column.name else "")
        labels[name] = cut(text, LABEL, in_bytes=True)
        if labels[name] != text:
            notes.append(f"The label of {column.name!r} is cut to {LABEL} bytes.")
        said = {float(code): cut(level, LEVEL, in_bytes=True) for code, level in column.value_labels.items()}
        if list(said.values()) != list(column.value_labels.values()):
            notes.append(f"Levels of {column.name!r} are cut to {LEVEL} bytes each.")
        if said:
            levels[name] = said
    return labels, levels, notes


def _shown(columns: Sequence[Column], names: Mapping[str, str]) -> dict[str, str]:
    """Say how columns are shown that are no decimal numbers."""
    whole = [c for c in columns if c.value_labels or (c.form is Form.NUMBER and pa.types.is_integer(c.type))]
    return {names[c.name]: "F12.0" for c in whole} | {names[c.name]: "DATE11" for c in columns if c.form is Form.DATE}


def _measure(column: Column) -> str:
    if column.form in (Form.NUMBER, Form.DATE):
        return "scale"
    return "ordinal" if getattr(column.type, "ordered", False) else "nominal"
