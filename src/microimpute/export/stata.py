"""Stata: files that are `mi set` already, flong or mlong, and the .do that imports them the long way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from microimpute.export.base import Format
from microimpute.export.columns import Form, Role
from microimpute.export.content import Content, columns_of
from microimpute.export.dtafile import EPOCH, MISSING_BYTE, DtaWriter, Variable, variable
from microimpute.export.names import Naming, cut

__all__ = ["Flong", "Mlong"]

#: Longest label of a variable.
LABEL = 80
#: Longest characteristic, in bytes.
CHARACTERISTIC = 67_784
_RESERVED = (
    "_all|_b|byte|_coef|_cons|double|float|if|in|int|long|_n|_N|_pi|_pred|_rc|_skip|using|with|str[0-9]+|strL|_mi_.*"
)
_DO = """\
* Sets up {file} the long way, should Stata not take it as it is: as it is, the file is mi set already, so that
*   use "{file}", clear
*   mi estimate: regress y x
* is all. Run this file where {file} is.
version 12
use "{file}", clear
foreach c in marker style M N n ivars pvars rvars update {{
    char _dta[_mi_`c']
}}
drop _mi_miss
rename (_mi_m _mi_id) ({m} {id})
mi import flong, m({m}) id({id}) imputed({imputed}){passive} clear
mi register regular {regular}
"""


class Flong(Format):
    """A .dta file (format 118) that Stata takes for its own mi data in style flong.

    m = 0 is the receiver with what was imputed missing (`.`), then come the m implicates, each with all rows in the
    same order. Source: [MI] technical in Stata's manual.
    """

    name = "stata"
    program = "Stata"
    summary = "Stata .dta, mi set in style flong, labels included, and a .do file as fallback"
    suffix = ".dta"
    naming = Naming(limit=32, imputed=29, bad=r"[^A-Za-z0-9_]", bad_start="[0-9]", reserved=_RESERVED)
    blind = True
    #: Stata's name of the style.
    style = "flong"

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the data and the .do file."""
        variables = [variable(content, c, names[c.name]) for c in content.columns]
        lists = {role: [v.name for v in variables if v.column and v.column.role is role] for role in Role}
        moment = now()
        traits, notes = self._traits(content, lists, moment)
        labels, more = _labels(content, names)
        system = [Variable("_mi_m", "i2"), Variable("_mi_id", "i4"), *variables, Variable("_mi_miss", "i1")]
        values = {names[c.name]: c.value_labels for c in content.columns if c.value_labels}
        coded = {k: v for k, v in values.items() if _coded(k, system)}
        writer = DtaWriter(path, system, labels, coded, traits, moment)
        writer.blocks = lambda: _records(content, system)
        writer.nobs = content.rows * (content.m + 1)
        writer.write_file()
        path.with_suffix(".do").write_text(_do(path.name, lists, set(names.values())), encoding="utf-8")
        return [*notes, *more]

    def _traits(
        self, content: Content, lists: Mapping[Role, Sequence[str]], moment: datetime
    ) -> tuple[dict[str, str], list[str]]:
        """Return the characteristics of the data set by which Stata knows mi data."""
        said = {"marker": "_mi_ds_1", "style": self.style, "M": str(content.m), "N": str(content.rows)}
        if self.style == "mlong":
            said["n"] = str(content.rows)  # rows that are incomplete in m = 0: all
        for name, role in (("ivars", Role.IMPUTED), ("pvars", Role.DERIVED), ("rvars", Role.OWN)):
            said[name] = " ".join(lists[role])
        said["update"] = str(int((moment - datetime(1960, 1, 1, tzinfo=UTC)).total_seconds()))
        notes = []
        if len(said["rvars"]) >= CHARACTERISTIC:
            said["rvars"] = ""
            notes.append("The receiver's own columns are too many for Stata's list and are not registered as regular.")
        return {f"_mi_{k}": v for k, v in said.items() if v}, notes

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        frame = pd.read_stata(path, convert_categoricals=False, convert_dates=False)
        frame = frame.sort_values(["_mi_m", "_mi_id"])
        for column in columns_of(said):
            if column.form is Form.DATE:
                name = said["names"][column.name]
                frame[name] = frame[name].astype(np.float64) - EPOCH  # days may stand as two-byte integers
        for _, block in frame[frame["_mi_m"] > 0].groupby("_mi_m"):
            yield {str(name): pa.array(block[name], from_pandas=True) for name in block.columns}


class Mlong(Flong):
    """A .dta file (format 118) that Stata takes for its own mi data in style mlong.

    The rows are those of flong, for every row of a receiver lacks what is imputed and none can be left out.
    """

    name = "stata-mlong"
    summary = "Stata .dta, mi set in style mlong, labels included, and a .do file as fallback"
    style = "mlong"


def now() -> datetime:
    """Return the time that is written into the file."""
    return datetime.now(UTC)


def _records(content: Content, variables: Sequence[Variable]) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of m = 0, 1, … as Stata stores them."""
    kind = np.dtype([(v.name, v.dtype if v.dtype.startswith("S") else "<" + v.dtype) for v in variables])
    own = {v.name: v.values(content.own[v.column.name]) for v in variables if v.column and v.column.own}
    for i in range(content.m + 1):
        out = np.zeros(content.rows, dtype=kind)
        block = content.block(i)
        out["_mi_m"], out["_mi_id"] = i, np.arange(1, content.rows + 1)
        out["_mi_miss"] = 1 if i == 0 else MISSING_BYTE
        for v in variables:
            if v.column is not None:
                out[v.name] = own[v.name] if v.column.own else v.values(block[v.column.name])
        yield out


def _coded(name: str, variables: Sequence[Variable]) -> bool:
    return any(v.name == name and not v.dtype.startswith("S") for v in variables)


def _labels(content: Content, names: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return what variables mean, in at most 80 characters, and say which were cut."""
    labels = {"_mi_m": "Imputation number", "_mi_id": "Observation", "_mi_miss": "Incomplete observation"}
    notes = []
    for column in content.columns:
        text = column.label or (column.name if names[column.name] != column.name else "")
        if len(text) > LABEL:
            notes.append(f"The label of {column.name!r} is cut to {LABEL} characters.")
        labels[names[column.name]] = cut(text, LABEL)
    return labels, notes


def _do(file: str, lists: Mapping[Role, Sequence[str]], taken: set[str]) -> str:
    free = ["implicate", "observation"]
    free = [next(n for n in (name, f"{name}_", f"{name}__") if n not in taken) for name in free]
    passive = " ".join(lists[Role.DERIVED])
    return _DO.format(
        file=file,
        m=free[0],
        id=free[1],
        imputed=" ".join(lists[Role.IMPUTED]),
        passive=f" passive({passive})" if passive else "",
        regular=" ".join(lists[Role.OWN]),
    )
