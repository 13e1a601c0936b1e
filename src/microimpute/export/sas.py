"""SAS: a CSV file sorted by `_Imputation_`, and the program that reads it with formats and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from microimpute.errors import OutputError
from microimpute.export.base import Format
from microimpute.export.columns import Column, Form
from microimpute.export.content import Content
from microimpute.export.csvfile import arrow_types, read_blocks, write_blocks
from microimpute.export.names import Naming, cut
from microimpute.export.values import numbers, portable, texts

__all__ = ["Sas"]

#: Longest text and longest label, in bytes.
TEXT, LABEL = 32_767, 256

_PROGRAM = """\
/* Reads {file} into work.{data}, which PROC MIANALYZE takes as it is sorted. Run it where {file} is. For example:
   proc reg data={data} outest=est covout noprint; model y = x; by _Imputation_; run;
   proc mianalyze data=est; modeleffects Intercept x; run; */
{formats}data {data};
  infile '{file}' dsd dlm=',' firstobs=2 lrecl=1048576 termstr=lf encoding='utf-8' truncover;
  informat _Imputation_ best32. {informats};
  input _Imputation_ {names};
{attributes}run;
"""


class Sas(Format):
    """A sorted CSV file with `_Imputation_` 1 … m, as SAS's PROC MI makes tables; classes are codes with formats."""

    name = "sas"
    program = "SAS"
    summary = "CSV sorted by _Imputation_ 1 … m, and a SAS program that reads it with formats and labels"
    suffix = ".csv"
    naming = Naming(
        limit=32,
        bad=r"[^A-Za-z0-9_]",
        bad_start="[0-9]",
        reserved="_imputation_|_n_|_error_|_numeric_|_character_|_all_|_infile_|_file_",
        folds=True,
    )

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the table and the program."""
        widths = {c.name: _width(c, content) for c in content.columns if c.form is Form.TEXT}
        for column in content.columns:
            if column.form is Form.NUMBER:
                for array in content.arrays(column.name):
                    numbers(column, array, "SAS")  # refuses what a double can't hold

        def index(i: int) -> dict[str, pa.Array]:
            return {"_Imputation_": pa.array(np.full(content.rows, i), pa.int32())}

        write_blocks(content, names, path, range(1, content.m + 1), index, _coded)
        text = _program(path.name, content.columns, names, widths)
        path.with_suffix(".sas").write_text(text, encoding="utf-8")
        long = [c.name for c in content.columns if len(c.label.encode()) > LABEL]
        return [f"The label of {name!r} is cut to {LABEL} bytes." for name in long]

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        types = {n: pa.int32() if pa.types.is_boolean(t) else t for n, t in arrow_types(said, codes=True).items()}
        return read_blocks(path, said, types)


def _coded(column: Column, array: pa.Array) -> pa.Array:
    plain = portable(column, array)
    return plain.cast(pa.int32()) if column.form is Form.FLAG else plain


def _width(column: Column, content: Content) -> int:
    """Return the longest text of a column in bytes.

    Raises
    ------
    OutputError
        If SAS can't read it; names the column.
    """
    known = texts(column, content.own[column.name])
    if any("\n" in t or "\r" in t for t in known):
        raise OutputError(
            f"column {column.name!r} has text with line breaks, which SAS's DATA step can't read",
            "Replace them by blanks.",
        )
    width = max((len(t.encode()) for t in known), default=0)
    if width > TEXT:
        raise OutputError(
            f"column {column.name!r} has a text of {width:,} bytes; SAS's hold {TEXT:,}",
            "Shorten it, or leave the column out.",
        )
    return max(width, 1)


def _program(file: str, columns: Sequence[Column], names: Mapping[str, str], widths: Mapping[str, int]) -> str:
    formats = {c.name: f"mi{number}f" for number, c in enumerate(columns, 1) if c.value_labels}
    lines = []
    for column in columns:
        if column.value_labels:
            pairs = " ".join(f"{code} = {_quoted(level)}" for code, level in column.value_labels.items())
            lines.append(f"  value {formats[column.name]} {pairs};")
    attributes = [f"  format {names[c]} {name}.;" for c, name in formats.items()]
    for column in columns:
        if label := column.label or (column.name if names[column.name] != column.name else ""):
            attributes.append(f"  label {names[column.name]} = {_quoted(cut(label, LABEL, in_bytes=True))};")
    attributes += [f"  format {names[c.name]} yymmdd10.;" for c in columns if c.form is Form.DATE]
    informats = [f"{names[c.name]} {_informat(c, widths)}" for c in columns]
    return _PROGRAM.format(
        file=file.replace("'", "''"),
        data="imputed",
        formats="proc format;\n" + "\n".join(lines) + "\nrun;\n" if lines else "",
        informats="\n    ".join(informats),
        names="\n    ".join(names[c.name] for c in columns),
        attributes="".join(f"{line}\n" for line in attributes),
    )


def _informat(column: Column, widths: Mapping[str, int]) -> str:
    if column.form is Form.DATE:
        return "yymmdd10."
    return f"$char{widths[column.name]}." if column.form is Form.TEXT else "best32."


def _quoted(text: str) -> str:
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
