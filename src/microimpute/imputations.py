"""Imputations: the receiver once, and m implicates of the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import manifest as manifest_file
from microimpute import storage
from microimpute.errors import FusionError
from microimpute.frames import Frame, Series, aligned, make_series
from microimpute.survey import Survey

__all__ = ["ROW_NUMBER", "Imputations"]

FloatArray = npt.NDArray[np.float64]

#: Key of a receiver that has no keys of its own, in tables of imputations.
ROW_NUMBER = "receiver_row"


@dataclass(frozen=True)
class Imputations:
    """The receiver once, and m implicates of the targets.

    Attributes
    ----------
    receiver
        The receiver as it came.
    columns
        Names of what was imputed: drawn targets, then derived totals. Those that the receiver has itself have its
        own values wherever it has any (see `microimpute.impute_missing`).
    values
        Target → one narwhals series per implicate, each of shape (receiver rows,).
    manifest
        What was done, as plain values: method, settings, seed, kinds, rules, notes.
    """

    receiver: Survey = field(repr=False)
    columns: tuple[str, ...]
    values: Mapping[str, tuple[Series, ...]] = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def m(self) -> int:
        """Number of implicates."""
        return len(self.values[self.columns[0]])

    def __len__(self) -> int:
        return len(self.receiver)

    def complete(self, implicate: int = 1) -> Any:
        """Return the receiver with one implicate's targets beside its own columns.

        Parameters
        ----------
        implicate
            1 … m.

        Returns
        -------
        frame
            Of the library that the receiver came in (pandas if it came as a path); its own columns are the
            very same values.

        Raises
        ------
        FusionError
            If there is no such implicate.
        """
        return self.completed(implicate).to_native()

    def completed(self, implicate: int = 1) -> Frame:
        """Return what `complete` does, wrapped by narwhals."""
        if not 1 <= implicate <= self.m:
            raise FusionError(f"there is no implicate {implicate}", f"Choose one of 1 to {self.m}.")
        new = [aligned(self.values[c][implicate - 1], self.receiver.frame) for c in self.columns]
        return self.receiver.frame.with_columns(*new)

    def numbers(self, column: str) -> FloatArray:
        """Return all implicates of an amount, or the codes of a class, shape (m, receiver rows)."""
        if column not in self.values:
            raise FusionError(f"{column!r} was not imputed", f"Choose one of {', '.join(self.columns)}.")
        return np.stack([s.cast(nw.Float64).to_numpy() for s in self.values[column]])

    def keys(self) -> Frame:
        """Return the receiver's keys, or its row numbers from 0 where it has none."""
        if self.receiver.keys:
            return self.receiver.frame.select(*self.receiver.keys)
        backend = self.receiver.frame.implementation
        number = make_series(ROW_NUMBER, np.arange(len(self)), nw.Int64, backend)
        return number.to_frame()

    def long(self) -> Any:
        """Return implicate number, receiver key and targets, one row per implicate and receiver row."""
        return nw.concat(list(self.blocks())).to_native()

    def blocks(self) -> Iterator[Frame]:
        """Yield the table of `long` implicate by implicate."""
        keys = self.keys()
        backend = keys.implementation
        for i in range(self.m):
            number = make_series("implicate", np.full(len(self), i + 1), nw.Int64, backend)
            new = [aligned(self.values[c][i], keys) for c in self.columns]
            yield keys.with_columns(aligned(number, keys), *new).select("implicate", *keys.columns, *self.columns)

    def save(self, folder: str | Path) -> None:
        """Write `imputations.parquet`, `completed.parquet` and `manifest.json` into a new directory.

        Where gaps of the receiver's own columns were filled, `receiver.parquet` keeps it as it came.

        Raises
        ------
        OutputError
            If the directory exists and is not empty.
        """
        with storage.new_directory(Path(folder)) as scratch:
            storage.write_tables(self, scratch)
            manifest_file.write(scratch, self.manifest)

    @classmethod
    def load(cls, folder: str | Path) -> Imputations:
        """Read what `save`, or a run of a recipe, wrote; frames come as pandas.

        Raises
        ------
        OutputError
            If the directory is not one of these.
        """
        content = manifest_file.read(Path(folder))
        said = content["receiver"]
        frame, values, keys = storage.read_tables(Path(folder), said["keys"])
        own = [k for k in keys if k != ROW_NUMBER]
        receiver = Survey(
            frame,
            weight=said["weight"],
            keys=own,
            dollars=said["dollars"],
            unit=said["unit"],
            source=said["source"],
        )
        return cls(receiver, tuple(values), {c: tuple(s) for c, s in values.items()}, content)
