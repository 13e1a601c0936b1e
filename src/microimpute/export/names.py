"""Names that another program takes: shortened and made apart where they must be, and told."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from microimpute.errors import OutputError

__all__ = ["Naming", "cut", "fit"]

#: Names that are alike up to the limit are numbered; so many of them can be.
_MOST = 999


@dataclass(frozen=True)
class Naming:
    """What a program takes for a column's name.

    Attributes
    ----------
    limit
        Longest name; None means any.
    imputed
        Longest name of what is imputed, where that is less.
    in_bytes
        Whether the limit counts bytes of UTF-8, not characters.
    bad
        Regular expression of characters that are replaced by an underscore; empty means none.
    bad_start
        Regular expression of what may not stand first; such a name gets a ``v`` in front.
    reserved
        Regular expression of names that mean something else there, in any case of letters if `folds`.
    folds
        Whether upper and lower case are the same.
    """

    limit: int | None = None
    imputed: int | None = None
    in_bytes: bool = False
    bad: str = ""
    bad_start: str = ""
    reserved: str = ""
    folds: bool = False


def fit(
    columns: Sequence[str], imputed: Collection[str], naming: Naming, program: str
) -> tuple[dict[str, str], list[str]]:
    """Give each column a name that a program takes.

    Returns
    -------
    names, notes
        Column → its name there; and a sentence for each that differs. Columns whose names can stay keep them.

    Raises
    ------
    OutputError
        If too many columns have names that are alike as far as the program reads them.
    """
    rules = {c: replace(naming, limit=naming.imputed or naming.limit) if c in imputed else naming for c in columns}
    wanted = {c: _legal(c, rules[c]) for c in columns}
    taken = {_fold(c, naming) for c in columns if wanted[c] == c and not naming.folds}
    names: dict[str, str] = {}
    for column, name in wanted.items():
        if name == column and not naming.folds:
            names[column] = name
            continue
        names[column] = _apart(column, name, taken, rules[column], program)
        taken.add(_fold(names[column], naming))
    notes = [f"{c!r} is called {names[c]!r} in the file." for c in columns if names[c] != c]
    return names, notes


def _legal(column: str, naming: Naming) -> str:
    name = re.sub(naming.bad, "_", column) if naming.bad else column
    if not name or (naming.bad_start and re.match(naming.bad_start, name)):
        name = f"v{name}"
    name = _cut(name, naming)
    if naming.reserved and re.fullmatch(naming.reserved, name, re.IGNORECASE if naming.folds else 0):
        name = _cut(name, naming, spare=1) + "_"
    return name


def _apart(column: str, name: str, taken: set[str], naming: Naming, program: str) -> str:
    if _fold(name, naming) not in taken:
        return name
    for number in range(1, _MOST + 1):
        tail = f"_{number}"
        other = _cut(name, naming, spare=len(tail)) + tail
        if _fold(other, naming) not in taken:
            return other
    raise OutputError(
        f"column {column!r} can't be told from {_MOST:,} others by a name that {program} takes",
        "Rename columns so that their first characters differ.",
    )


def _fold(name: str, naming: Naming) -> str:
    return name.lower() if naming.folds else name


def _cut(name: str, naming: Naming, spare: int = 0) -> str:
    return name if naming.limit is None else cut(name, naming.limit - spare, in_bytes=naming.in_bytes)


def cut(text: str, limit: int, *, in_bytes: bool = False) -> str:
    """Shorten a text to a number of characters, or of bytes in UTF-8 without breaking a character."""
    return text.encode()[:limit].decode(errors="ignore") if in_bytes else text[:limit]
