"""Imputations on disk: two Parquet files and a manifest, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw

from microimpute.errors import OutputError
from microimpute.frames import Frame, Series, as_frame

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = [
    "COMPLETED",
    "IMPUTATIONS",
    "RECEIVER",
    "new_directory",
    "new_files",
    "read_tables",
    "refuse_files",
    "refuse_occupied",
    "write_tables",
]

IMPUTATIONS = "imputations.parquet"
COMPLETED = "completed.parquet"
#: Only where the receiver had gaps that were filled: as it came, gaps and all.
RECEIVER = "receiver.parquet"


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """Give a scratch directory that takes the target's place when all went well, and vanishes when not.

    Raises
    ------
    OutputError
        If the target exists and is not an empty directory, or can't be made.
    """
    refuse_occupied(target)
    with _scratch(target) as scratch:
        yield scratch
        if target.exists():
            target.rmdir()
        scratch.rename(target)


@contextmanager
def new_files(target: Path) -> Iterator[Path]:
    """Give a scratch directory whose files all take their places beside the target, or none does.

    Raises
    ------
    OutputError
        If one of them is there already, or can't be written.
    """
    with _scratch(target) as scratch:
        yield scratch
        made = sorted(scratch.iterdir(), key=lambda file: file.name == target.name)  # the target comes last
        refuse_files(*(target.parent / file.name for file in made))
        placed: list[Path] = []
        try:
            for file in made:
                placed.append(file.rename(target.parent / file.name))
        except OSError:
            for path in placed:
                path.unlink()
            raise


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """Give a hidden directory beside the target that is gone afterwards."""
    scratch = target.parent / f".{target.name}.partial"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if scratch.exists():  # left by a run that was killed
            shutil.rmtree(scratch)
        scratch.mkdir()
    except OSError as error:
        raise OutputError(f"{target} can't be made: {error.strerror}", "Choose another place.") from None
    try:
        yield scratch
    except OSError as error:
        raise OutputError(f"{target} can't be written: {error.strerror}", "Check space and permissions.") from None
    finally:
        if scratch.exists():
            shutil.rmtree(scratch)


def refuse_occupied(target: Path) -> None:
    """Raise unless a path is free or an empty directory.

    Raises
    ------
    OutputError
        If something is there.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"the output directory {target} is not empty", "Choose another one, or empty it.")


def refuse_files(*files: Path) -> None:
    """Raise unless all paths are free.

    Raises
    ------
    OutputError
        Names the one that is there.
    """
    for file in files:
        if file.exists():
            raise OutputError(f"{file} is there already", "Choose another name, or move it away.")


def write_tables(imputations: Imputations, folder: Path) -> None:
    """Write all implicates, one row group each, and the receiver completed by implicate 1."""
    import pyarrow.parquet as pq

    writer = None
    for block in imputations.blocks():
        table = _to_arrow(block)
        writer = writer or pq.ParquetWriter(folder / IMPUTATIONS, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=max(1, len(table)))
    if writer:
        writer.close()
    pq.write_table(_to_arrow(imputations.completed(1)), folder / COMPLETED, compression="zstd")
    receiver = imputations.receiver
    if set(imputations.columns) & set(receiver.columns):
        pq.write_table(_to_arrow(receiver.frame), folder / RECEIVER, compression="zstd")


def _to_arrow(frame: Frame) -> Any:
    if frame.implementation.is_pandas():
        frame = nw.from_native(frame.to_native().reset_index(drop=True), eager_only=True)
    return frame.to_arrow().replace_schema_metadata(None)


def read_tables(folder: Path, keys: Sequence[str] | None = None) -> tuple[Frame, dict[str, list[Series]], list[str]]:
    """Read what `write_tables` wrote.

    Parameters
    ----------
    folder
        The directory.
    keys
        The receiver's keys; where they are not given they are what stands before the targets, which can't be told
        from them if the receiver's last columns are its keys, or its own gaps were filled.

    Returns
    -------
    receiver, values, keys
        The receiver as it came, the implicates of each target, and the key columns.

    Raises
    ------
    OutputError
        If a file is missing or the two do not belong together.
    """
    for name in (IMPUTATIONS, COMPLETED):
        if not (folder / name).is_file():
            raise OutputError(f"{folder} has no {name}", "Name a directory that microimpute wrote.")
    long, completed = as_frame(folder / IMPUTATIONS), as_frame(folder / COMPLETED)
    filled = (folder / RECEIVER).is_file()
    found = 1 if filled else _first_target(long, completed) - 1  # refuses files that do not belong together
    count = found if keys is None else max(1, len(keys))
    named, targets = long.columns[1 : 1 + count], long.columns[1 + count :]
    rows = len(completed)
    if not rows or len(long) % rows:
        raise OutputError(f"{IMPUTATIONS} and {COMPLETED} differ in rows", "Run the recipe again.")
    blocks = [long[start : start + rows] for start in range(0, len(long), rows)]
    values = {t: [block[t] for block in blocks] for t in targets}
    receiver = as_frame(folder / RECEIVER) if filled else completed.drop(*targets)
    if len(receiver) != rows:
        raise OutputError(f"{RECEIVER} and {COMPLETED} differ in rows", "Run it again.")
    return receiver, values, named


def _first_target(long: Frame, completed: Frame) -> int:
    """Find where targets begin among the columns: they end the completed table in the same order."""
    columns = long.columns
    for at in range(1, len(columns)):
        if completed.columns[-(len(columns) - at) :] == columns[at:]:
            return at
    raise OutputError(f"{IMPUTATIONS} and {COMPLETED} do not belong together", "Run the recipe again.")
