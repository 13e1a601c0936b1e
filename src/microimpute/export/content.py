"""What is exported, and the account beside it from which it comes back as it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from microimpute import design
from microimpute.errors import OutputError
from microimpute.export.columns import Column, Form, Role, describe, from_series
from microimpute.export.values import restore
from microimpute.frames import Frame, Series, as_frame
from microimpute.survey import Survey

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = ["LAYOUT", "Content", "Parts", "account", "bring_back", "columns_of", "types_of"]

#: Version of the account's own layout.
LAYOUT = 1


class Parts(NamedTuple):
    """What an `Imputations` is made of."""

    receiver: Survey
    columns: tuple[str, ...]
    values: dict[str, tuple[Series, ...]]
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Content:
    """Imputations as Arrow arrays, the receiver's columns once.

    Attributes
    ----------
    imputations
        What they come from.
    """

    imputations: Imputations = field(repr=False)

    @property
    def m(self) -> int:
        """Number of implicates."""
        return self.imputations.m

    @property
    def rows(self) -> int:
        """Rows of the receiver."""
        return len(self.imputations)

    @property
    def weight(self) -> str | None:
        """The receiver's weight column."""
        return self.imputations.receiver.weight

    @property
    def names(self) -> list[str]:
        """The receiver's columns, then what was imputed."""
        return [*self.imputations.receiver.columns, *self.imputations.columns]

    @cached_property
    def own(self) -> dict[str, pa.Array]:
        """The receiver's columns."""
        frame = self.imputations.receiver.frame
        return {name: from_series(frame[name]) for name in frame.columns}

    def imputed(self, name: str) -> list[pa.Array]:
        """All implicates of a target."""
        return [from_series(series) for series in self.imputations.values[name]]

    def arrays(self, name: str) -> list[pa.Array]:
        """One array of a column of the receiver's, m of a target."""
        return [self.own[name]] if name in self.own else self.imputed(name)

    def block(self, implicate: int) -> dict[str, pa.Array]:
        """Return all columns of one implicate; of implicate 0 what was imputed is missing."""
        values = self.imputations.values
        new = {c: from_series(values[c][max(implicate, 1) - 1]) for c in self.imputations.columns}
        if implicate == 0:
            new = {c: pa.nulls(len(array), array.type) for c, array in new.items()}
        return self.own | new

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the forms that other programs hold.

        Raises
        ------
        OutputError
            If there are none for some column; names it.
        """
        return tuple(describe(n, self.arrays(n), self.role(n), self.label(n)) for n in self.names)

    def role(self, name: str) -> Role:
        """Say where a column comes from."""
        if name in self.own:
            return Role.OWN
        return Role.DERIVED if name in self.imputations.manifest.get("derived", ()) else Role.IMPUTED

    def label(self, name: str) -> str:
        """Say what a column means: in the survey's words if it has any."""
        survey, manifest = self.imputations.receiver, self.imputations.manifest
        said = {v["name"]: v.get("label", "") for v in manifest.get("targets", ())}
        if label := survey.labels.get(name) or said.get(name):
            return str(label)
        if name == survey.weight:
            return "survey weight"
        method = manifest.get("method", {}).get("name", "microimpute")
        words = {Role.OWN: "", Role.IMPUTED: f"imputed by {method}", Role.DERIVED: "total of imputed columns"}
        return words[self.role(name)]


def account(content: Content, format_name: str, *, columns: bool = True) -> dict[str, Any]:
    """Write down what a file can't say of itself: types, levels, the receiver's design, the manifest.

    `columns` is False for files that hold every type as it is.
    """
    said: dict[str, Any] = {
        "microimpute": LAYOUT,
        "format": format_name,
        "m": content.m,
        "rows": content.rows,
        "receiver": design.as_plain(content.imputations.receiver),
        "imputed": list(content.imputations.columns),
        "manifest": dict(content.imputations.manifest),
    }
    schema = pa.schema([(name, content.arrays(name)[0].type) for name in content.names])
    said["types"] = base64.b64encode(schema.serialize().to_pybytes()).decode()
    if columns:
        said["columns"] = [
            {
                "name": c.name,
                "role": c.role.value,
                "form": c.form.value,
                "levels": [level if isinstance(level, str | int | float) else str(level) for level in c.levels],
                "label": c.label,
                "blanks": None if c.blanks is None else list(c.blanks),
            }
            for c in content.columns
        ]
    plain: dict[str, Any] = json.loads(json.dumps(said))  # as it reads back
    return plain


def types_of(said: Mapping[str, Any]) -> pa.Schema:
    """Read the names and types of columns that an account tells of."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(said["types"])))


def columns_of(said: Mapping[str, Any]) -> tuple[Column, ...]:
    """Read the columns that an account tells of."""
    return tuple(
        Column(
            c["name"],
            Role(c["role"]),
            Form(c["form"]),
            kind.type,
            tuple(c["levels"]),
            c["label"],
            None if c["blanks"] is None else tuple(c["blanks"]),
        )
        for c, kind in zip(said["columns"], types_of(said), strict=True)
    )


def bring_back(said: Mapping[str, Any], blocks: Iterator[dict[str, pa.Array]], *, blind: bool | None) -> Parts:
    """Put imputations together from an account and the blocks 1 … m of a file.

    Parameters
    ----------
    said
        The account.
    blocks
        Name → array, by implicate.
    blind
        Whether the file can't tell empty text from missing text; None if it holds all types itself.

    Raises
    ------
    OutputError
        If the blocks do not hold what the account tells of.
    """
    columns = None if blind is None else {c.name: c for c in columns_of(said)}
    if columns is not None and not said["rows"]:  # files without rows say too little of their columns
        blocks = iter([{n: _empty(c) for n, c in columns.items()}] * said["m"])
    imputed: list[str] = said["imputed"]
    own: dict[str, pa.Array] = {}
    values: dict[str, list[Series]] = {name: [] for name in imputed}
    count = 0
    for block in blocks:
        wanted = imputed if count else list(block)
        if columns is None:
            back = {n: block[n] for n in wanted}
        else:
            back = {n: restore(columns[n], block[n], blind=bool(blind)) for n in wanted}
        frame = _frame({n: back[n] for n in imputed})
        for name in imputed:
            values[name].append(frame[name])
        own = own or {n: array for n, array in back.items() if n not in values}
        count += 1
    if count != said["m"] or any(len(s) != said["rows"] for many in values.values() for s in many):
        raise OutputError("the file and the account beside it differ in implicates or rows", "Export again.")
    survey = design.from_plain(_frame(own), said["receiver"])
    return Parts(survey, tuple(imputed), {n: tuple(s) for n, s in values.items()}, dict(said["manifest"]))


def _empty(column: Column) -> pa.Array:
    return pa.array([], pa.string() if column.form is Form.TEXT else pa.float64())


def _frame(columns: Mapping[str, pa.Array]) -> Frame:
    import pandas as pd

    table = pa.table(dict(columns))
    return as_frame(table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True))
