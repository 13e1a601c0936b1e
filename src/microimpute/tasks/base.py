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
from microimpute.frames import as_frame
from microimpute.fusion import Fusion
from microimpute.kinds import Kind, encode
from microimpute.metrics.base import Figure
from microimpute.survey import Survey

__all__ = [
    "ARMS",
    "Design",
    "Problem",
    "Published",
    "Task",
    "divide",
    "hide",
    "locate",
    "read",
    "task",
    "tasks",
    "thin",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: How receivers are set apart from donors: by a coin, or by a known propensity that depends on X.
ARMS = ("split", "selected")

#: Most rows that a side of a task keeps.
MOST = 5_000

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


def divide(units: npt.NDArray[Any], seed: int, arm: str, score: FloatArray, share: float = 0.5) -> BoolArray:
    """Say which rows receive; rows of one unit stay together.

    Parameters
    ----------
    units
        Shape (rows,): household or consumer unit of each row.
    seed
        Same seed, same division.
    arm
        ``"split"``: each unit receives with probability `share`. ``"selected"``: with the known propensity
        1 / (1 + exp(−1.5 z)), z the unit's standardised rank of `score` (its first row's).
    score
        Shape (rows,): a predictor that selection goes by, such as age or income.
    share
        Share of receivers in the arm ``"split"``.

    Returns
    -------
    numpy.ndarray of bool, shape (rows,)
    """
    _, first, inverse = np.unique(units, return_index=True, return_inverse=True)
    chance = np.full(len(first), share)
    if arm == "selected":
        place = np.argsort(np.argsort(score[first], kind="stable"), kind="stable")
        z = (place - place.mean()) / place.std()
        chance = 1 / (1 + np.exp(-1.5 * z))
    return np.asarray((np.random.default_rng([seed, 20]).random(len(first)) < chance)[inverse])


def thin(units: npt.NDArray[Any], receives: BoolArray, seed: int, most: int = MOST) -> BoolArray:
    """Say which rows to keep so that neither side has more than `most`; rows of one unit stay together.

    Parameters
    ----------
    units, receives
        Shape (rows,): unit of each row, and whether it receives.
    seed
        Same seed, same rows.
    most
        Most rows that a side keeps.

    Returns
    -------
    numpy.ndarray of bool, shape (rows,)
    """
    rng = np.random.default_rng([seed, 21])
    keep = np.zeros(len(units), dtype=np.bool_)
    for side in (False, True):
        rows = np.flatnonzero(receives == side)
        _, inverse, counts = np.unique(units[rows], return_inverse=True, return_counts=True)
        order = rng.permutation(len(counts))
        chosen = np.zeros(len(counts), dtype=np.bool_)
        chosen[order[np.cumsum(counts[order]) <= most]] = True
        keep[rows[chosen[inverse]]] = True
    return keep


@dataclass(frozen=True)
class Design:
    """What a task's columns are.

    Attributes
    ----------
    targets, predictors
        Column → kind; all are declared.
    key
        Column that names a row.
    household
        Column that names its household or consumer unit; default: `key`.
    weight
        Column of weights, if there is one.
    rules
        Edit rules and identities.
    source
        Where the data are from.
    """

    targets: Mapping[str, Kind]
    predictors: Mapping[str, Kind]
    key: str
    household: str = ""
    weight: str | None = None
    rules: Sequence[str] = ()
    source: str = ""


def hide(
    frame: pd.DataFrame,
    receives: BoolArray,
    design: Design,
    *,
    sampler: Sampler | None = None,
    groups: Mapping[str, npt.NDArray[Any]] | None = None,
    figures: Sequence[Figure] = (),
    notes: Sequence[str] = (),
) -> Problem:
    """Make a problem of one table: rows that receive lose their targets, which become the truth.

    Parameters
    ----------
    frame
        All rows, with targets.
    receives
        Shape (rows,): whether a row receives; the others are donors.
    design
        What the columns are.
    sampler, figures, notes
        See `Problem`.
    groups
        Name → whole numbers, shape (rows,), for all rows.
    """
    known = [design.key, design.household, design.weight]
    shared = [*dict.fromkeys(c for c in known if c), *design.predictors]
    about: dict[str, Any] = {
        "weight": design.weight,
        "keys": design.key,
        "household": design.household or design.key,
        "source": design.source,
    }
    held_out = frame.loc[receives].reset_index(drop=True)
    giving = frame.loc[~receives, [*shared, *design.targets]].reset_index(drop=True)
    fusion = Fusion(
        Survey(giving, kinds={**design.predictors, **design.targets}, **about),
        Survey(held_out[shared], kinds=design.predictors, **about),
        targets=list(design.targets),
        predictors=list(design.predictors),
        rules=design.rules,
    )
    hidden = as_frame(held_out)
    return Problem(
        fusion,
        np.column_stack([encode(hidden[t], fusion.variables[t]) for t in fusion.targets]),
        sampler,
        {name: np.asarray(codes)[receives].astype(np.int64) for name, codes in (groups or {}).items()},
        tuple(figures),
        tuple(notes),
    )


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
