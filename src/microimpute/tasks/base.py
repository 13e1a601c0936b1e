"""What a benchmark task is."""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute import registry
from microimpute.errors import BenchmarkError
from microimpute.fusion import Fusion
from microimpute.metrics.base import Figure

__all__ = ["ARMS", "Problem", "Published", "Sampler", "Task", "locate", "read", "task", "tasks"]

FloatArray = npt.NDArray[np.float64]

#: How receivers are set apart from donors: by a coin, or by a known propensity that depends on X.
ARMS = ("split", "selected")

#: The true sampler, where it is known: a generator → one joint draw per receiver row, shape (rows, targets),
#: in the order of the fusion's targets, classes as codes.
Sampler = Callable[[np.random.Generator], FloatArray]


@dataclass(frozen=True)
class Published:
    """A published figure that imputations should come near, on track C.

    Attributes
    ----------
    name
        What it is.
    column
        The target or total.
    statistic
        ``"mean"``, ``"median"`` or ``"share"`` (non-zero), weighted.
    value
        As published, in the column's unit.
    source
        Where.
    """

    name: str
    column: str
    statistic: str
    value: float
    source: str


@dataclass(frozen=True)
class Problem:
    """One instance of a task: what methods see, and the truth that they do not.

    Attributes
    ----------
    fusion
        Donor and receiver; the receiver has no targets.
    truth
        float64, shape (receiver rows, targets) in the order of ``fusion.targets``, classes as codes; no rows on
        track C.
    sampler
        Draws from the true conditional distribution, where it is known.
    groups
        Name → int64, shape (receiver rows,).
    figures
        Policy figures that are asked.
    notes
        What was assumed or left out, one sentence each.
    published
        Published figures, on track C.
    """

    fusion: Fusion
    truth: FloatArray = field(repr=False)
    sampler: Sampler | None = None
    groups: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict, repr=False)
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()


class Task(ABC):
    """One benchmark task; a subclass in a file of its own in ``tasks/``."""

    #: Name in suites and results.
    name: ClassVar[str]
    #: ``"A"`` truth known, ``"B"`` real truth hidden by masking, ``"C"`` across surveys: unranked.
    track: ClassVar[str]
    #: One line for readers of the results.
    summary: ClassVar[str]
    #: Where the data or the generator come from.
    source: ClassVar[str]
    #: File names that it needs, looked for anywhere below the data folder; empty if it carries its own.
    files: ClassVar[tuple[str, ...]] = ()
    #: Which of `ARMS` it has.
    arms: ClassVar[tuple[str, ...]] = ("split",)

    @abstractmethod
    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Make one instance.

        Parameters
        ----------
        seed
            Same seed, same instance.
        arm
            One of `arms`.
        data
            Folder with the files, for tasks that need some.

        Raises
        ------
        BenchmarkError
            If a file is missing; says which, and where it comes from.
        """

    def data_hash(self, data: Path | None) -> str:
        """Return a hash of the files that it reads, or of nothing for tasks that carry their own."""
        digest = hashlib.sha256()
        for name in self.files:
            digest.update(locate(name, data, self).read_bytes())
        return digest.hexdigest()


def locate(name: str, data: Path | None, task: Any) -> Path:
    """Find a task's file by name below the data folder.

    Raises
    ------
    BenchmarkError
        If it is not there.
    """
    found = sorted(data.rglob(name)) if data is not None else []
    if not found:
        where = f"is not below {data}" if data is not None else "needs a data folder"
        raise BenchmarkError(f"task {task.name!r}: {name} {where}", f"Give --data DIR. It comes from: {task.source}")
    return found[0]


def read(name: str, data: Path | None, task: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a task's CSV file, gzipped or not.

    Raises
    ------
    BenchmarkError
        If it is not there, is cut off, or lacks a column.
    """
    path = locate(name, data, task)
    try:
        return pd.read_csv(path, usecols=list(columns), low_memory=False)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise BenchmarkError(
            f"task {task.name!r}: {path} can't be read: {error}", f"Get it again. It comes from: {task.source}"
        ) from None


def tasks() -> Mapping[str, type[Task]]:
    """List all tasks by name."""
    return registry.collect("tasks", Task)


def task(name: str) -> Task:
    """Return the task of that name.

    Raises
    ------
    BenchmarkError
        If there is none.
    """
    return registry.find("tasks", Task, name, BenchmarkError)()  # type: ignore[type-abstract]
