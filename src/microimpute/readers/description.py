"""Descriptions of tables: a short TOML file says what weight, keys, kinds and missing codes a file has."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from microimpute.errors import FusionError, SurveyError, closest
from microimpute.frames import Frame, Series, aligned, make_series
from microimpute.kinds import Kind
from microimpute.survey import Survey

__all__ = ["Column", "Description", "described", "find", "is_shipped"]

_TEXT = ("source", "unit", "weight", "implicate", "replicate_rule")
_LISTS = ("keys", "household", "replicates")
_COLUMN = ("label", "kind", "missing", "factor")


@dataclass(frozen=True)
class Column:
    """``[columns.NAME]``.

    Attributes
    ----------
    label
        What it means.
    kind
        Its kind, where it is not to be inferred.
    missing
        Codes that stand for no answer.
    factor
        What numbers are multiplied by: 0.01 where two decimals are implied.
    """

    label: str = ""
    kind: str | None = None
    missing: tuple[Any, ...] = ()
    factor: float | None = None


@dataclass(frozen=True)
class Description:
    """A table's description.

    Attributes
    ----------
    design
        `Survey`'s keyword arguments: source, unit, weight, keys, household, implicate, replicates, replicate_rule,
        dollars.
    missing
        Codes that stand for no answer in every column.
    columns
        Column → what is said of it.
    """

    design: Mapping[str, Any]
    missing: tuple[Any, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Description:
        """Read a description.

        Raises
        ------
        SurveyError
            If it is missing, not TOML, or says something unknown or of another type.
        """
        if not path.is_file():
            raise SurveyError(f"there is no description {path}", "Write one: microimpute inspect FILE --write OUT.toml")
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SurveyError(f"{path.name} is not valid TOML: {error}", "Mend that line.") from None
        known = (*_TEXT, *_LISTS, "dollars", "missing", "columns")
        _refuse_unknown(content, known, path.name)
        design = {k: _of(content[k], str, k, path.name) for k in _TEXT if k in content}
        for key in _LISTS:
            if key in content:
                design[key] = [_of(v, str, key, path.name) for v in _of(content[key], list, key, path.name)]
        if "dollars" in content:
            design["dollars"] = _of(content["dollars"], int, "dollars", path.name)
        columns = _of(content.get("columns", {}), dict, "columns", path.name)
        missing = tuple(_of(content.get("missing", []), list, "missing", path.name))
        return cls(design, missing, {name: _column(name, said, path.name) for name, said in columns.items()})


def find(name: str | Path, beside: Path) -> Path:
    """Return the path of a description: a file, a file beside the data, or one that comes with the package.

    A full path that is not there is looked for beside the data under its last name.
    """
    given = Path(name).expanduser()
    near = beside.parent / (given.name if given.is_absolute() else given)
    return next((p for p in (given, near, _shipped(str(name))) if p.is_file()), given)


def is_shipped(name: str) -> bool:
    """Whether a description of that name comes with the package."""
    return Path(name).name == name and _shipped(name).is_file()


def _shipped(name: str) -> Path:
    return Path(str(resources.files("microimpute.data"))) / f"{name}.toml"


def described(frame: Frame, description: Description, source: str) -> Survey:
    """Make a survey of a table and its description.

    Raises
    ------
    SurveyError
        If a described column is not there, or does not hold what the description says.
    """
    for name, said in description.columns.items():
        if name not in frame.columns:
            raise SurveyError(f"described column {name!r} is not in the table", closest(name, frame.columns))
        if said.kind is not None and said.kind not in set(Kind):
            raise FusionError(f"column {name!r} is declared {said.kind!r}, which is no kind", closest(said.kind, Kind))
    notes: list[str] = []
    made = []
    for name in frame.columns:
        said = description.columns.get(name, Column())
        new = _cleaned(frame[name], said, (*description.missing, *said.missing), notes)
        if new is not None:
            made.append(aligned(new, frame))
    design = {"source": source, **description.design}
    return Survey(
        frame.with_columns(*made) if made else frame,
        kinds={c: s.kind for c, s in description.columns.items() if s.kind},
        labels={c: s.label for c, s in description.columns.items() if s.label},
        notes=notes,
        **design,
    )


def _cleaned(series: Series, said: Column, missing: tuple[Any, ...], notes: list[str]) -> Series | None:
    """Return a column without its missing codes and with its decimals, or None if it stays as it is."""
    name, backend = series.name, series.implementation
    if series.dtype.is_numeric():
        codes = [c for c in missing if isinstance(c, int | float) and not isinstance(c, bool)]
        values = series.cast(nw.Float64).to_numpy()
        lost = np.isin(values, codes)
        if not lost.any() and said.factor is None:
            return None
        out = np.where(lost, np.nan, values * (1.0 if said.factor is None else said.factor))
        _count(notes, name, int(lost.sum()))
        if said.factor is not None:
            notes.append(f"{name} was multiplied by {said.factor:g}")
        return make_series(name, [None if v != v else v for v in out.tolist()], nw.Float64, backend)
    texts = series.to_list()
    wanted = {str(c) for c in missing}
    kept = [None if v is None or str(v) in wanted else v for v in texts]
    lost_texts = sum(new is None and old is not None for new, old in zip(kept, texts, strict=True))
    if not lost_texts:
        return None
    _count(notes, name, lost_texts)
    try:
        numbers = [None if v is None else float(v) for v in kept]
    except (TypeError, ValueError):
        return make_series(name, kept, nw.String, backend)
    if said.factor is not None:
        numbers = [None if v is None else v * said.factor for v in numbers]
    return make_series(name, numbers, nw.Float64, backend)


def _count(notes: list[str], name: str, lost: int) -> None:
    if lost:
        notes.append(f"{lost:,} values of {name} are codes for no answer, and missing now")


def _column(name: str, said: Any, where: str) -> Column:
    content = _of(said, dict, f"columns.{name}", where)
    _refuse_unknown(content, _COLUMN, f"{where}, columns.{name},")
    factor = content.get("factor")
    if factor is not None and (isinstance(factor, bool) or not isinstance(factor, int | float)):
        raise SurveyError(f"{where}: factor of {name!r} is {factor!r}", "Give a number, such as 0.01.")
    return Column(
        label=_of(content.get("label", ""), str, f"label of {name}", where),
        kind=_of(content["kind"], str, f"kind of {name}", where) if "kind" in content else None,
        missing=tuple(_of(content.get("missing", []), list, f"missing of {name}", where)),
        factor=None if factor is None else float(factor),
    )


def _refuse_unknown(content: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in known:
            raise SurveyError(f"{where} has an unknown key {key!r}", closest(key, known))


def _of(value: Any, kind: type, key: str, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SurveyError(f"{where}: {key} is {value!r}", f"Give a value of type {kind.__name__}.")
    return value
