"""What every format is: a way to write imputations for another program, and to read them back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from microimpute import registry, storage
from microimpute.errors import OutputError, closest, first_line
from microimpute.export.content import LAYOUT, Content, Parts, account, bring_back
from microimpute.export.names import Naming, fit
from microimpute.frames import UNREADABLE

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = ["Format", "by_name", "export", "formats", "load", "readable"]

#: The account of an export that is a directory.
ACCOUNT = "account.json"
#: What a file of another content raises when it is read as one of ours.
_NOT_OURS = (*UNREADABLE, KeyError, TypeError, IndexError, AttributeError)


class Format(ABC):
    """A format that another program reads.

    A subclass in a file of its own in this folder is found by its name; third parties register theirs under the
    entry-point group ``microimpute.export``.
    """

    #: Name to ask for it by.
    name: ClassVar[str]
    #: The program that reads it, in a word or two.
    program: ClassVar[str]
    #: What it is, in one sentence.
    summary: ClassVar[str]
    #: Ending of the file; empty for a directory.
    suffix: ClassVar[str]
    #: What the program takes for names of columns.
    naming: ClassVar[Naming] = Naming()
    #: Whether empty text reads back as missing text.
    blind: ClassVar[bool | None] = False

    @abstractmethod
    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write into a scratch directory; whatever stands there afterwards beside `path` belongs to the export.

        Parameters
        ----------
        content
            What to write.
        names
            Column → its name in the file.
        path
            The file, or the directory, which exists.

        Returns
        -------
        notes
            What differs from the columns as they were, a sentence each.

        Raises
        ------
        OutputError
            If the format can't hold something; names the column and what to do.
        """

    @abstractmethod
    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m: name in the file → array, as the account `said` has them."""

    def columns(self, content: Content) -> Sequence[str]:
        """Names to be given in the file; a format that holds every type may ask less of them."""
        return [c.name for c in content.columns]

    def read(self, path: Path) -> Parts:
        """Read back what `write` wrote.

        Raises
        ------
        OutputError
            If the file is none of ours, or damaged.
        """
        said = self.account(path)
        if said is None:
            raise OutputError(
                f"{path} is no export in the format {self.name!r}, or the account that was written with it is gone",
                f"Name a file that microimpute wrote, with {self.account_file(path).name} beside it.",
            )
        back = {there: here for here, there in said["names"].items()}
        try:
            found = ({back[n]: b for n, b in block.items() if n in back} for block in self.blocks(path, said))
            return bring_back(said, found, blind=self.blind)
        except _NOT_OURS as error:
            raise OutputError(f"{path} can't be read: {first_line(error)}", "Export again; it was changed.") from None

    def account_file(self, path: Path) -> Path:
        """Where the account stands."""
        return path.with_name(path.name + ".json") if self.suffix else path / ACCOUNT

    def write_account(self, said: Mapping[str, Any], path: Path) -> None:
        """Write the account beside the file."""
        text = json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False)
        self.account_file(path).write_text(text + "\n", encoding="utf-8")

    def account(self, path: Path) -> dict[str, Any] | None:
        """Read the account, or None if there is none of this format."""
        try:  # a path such as "." has no name to stand beside
            file = self.account_file(path)
            said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() and path.exists() else None
        except (OSError, ValueError):
            return None
        ours = isinstance(said, dict) and said.get("microimpute") == LAYOUT and said.get("format") == self.name
        return said if ours else None


def formats() -> Mapping[str, type[Format]]:
    """List all formats by name."""
    return registry.collect("export", Format)


def by_name(name: str) -> Format:
    """Return the format of that name.

    Raises
    ------
    OutputError
        If there is none; says which was probably meant.
    """
    if name not in formats():
        raise OutputError(f"there is no export format {name!r}", closest(name, formats()))
    return formats()[name]()


def export(imputations: Imputations, path: str | Path, format_name: str) -> tuple[str, ...]:
    """Write imputations for another program, whole or not at all.

    Returns
    -------
    tuple of str
        What differs in the file from the columns as they were, a sentence each.

    Raises
    ------
    OutputError
        If there is no such format, a file is there already, or the format can't hold a column.
    """
    chosen, target = by_name(format_name), Path(path)
    if chosen.suffix and target.suffix.lower() != chosen.suffix:
        raise OutputError(
            f"{target.name} does not end in {chosen.suffix}", f"Name it {target.with_suffix(chosen.suffix).name}."
        )
    if chosen.suffix:
        storage.refuse_files(target, chosen.account_file(target))
    else:
        storage.refuse_occupied(target)
    content = Content(imputations)
    names, notes = fit(chosen.columns(content), imputations.columns, chosen.naming, chosen.program)
    if (draws := imputations.draws) > 1:
        notes.append(
            f"Implicates come in nests of {draws} draws from one model: combine them by the rule 'external donors' "
            "(Imputations.pool does), or give another program one implicate of each nest."
        )
    place = storage.new_files if chosen.suffix else storage.new_directory
    with place(target) as scratch:
        inner = scratch / target.name if chosen.suffix else scratch
        notes += chosen.write(content, names, inner)
        said = account(content, chosen.name, columns=chosen.blind is not None)
        chosen.write_account(said | {"names": names, "notes": notes}, inner)
    return tuple(notes)


def readable(path: Path) -> list[Format]:
    """List the formats in which something is an export of ours: one, or none."""
    return [made for kind in formats().values() if (made := kind()).account(path) is not None]


def load(path: str | Path, format_name: str | None = None) -> Parts:
    """Read back what `export` wrote.

    Parameters
    ----------
    path
        The file or directory.
    format_name
        Its format; found out unless given.

    Raises
    ------
    OutputError
        If it is none of ours.
    """
    source = Path(path)
    if not source.exists():
        raise OutputError(f"there is no file {source}", "Check the path.")
    if format_name is not None:
        return by_name(format_name).read(source)
    if not (found := readable(source)):
        raise OutputError(
            f"{source} was not written by microimpute, or the account beside it is gone",
            "Name what an export wrote, with its .json file beside it.",
        )
    return found[0].read(source)
