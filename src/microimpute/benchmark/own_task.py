"""Tasks of one's own: a TOML file that names two files and their columns."""

from __future__ import annotations

import hashlib
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.errors import BenchmarkError, closest
from microimpute.frames import Series
from microimpute.fusion import Fusion
from microimpute.kinds import encode
from microimpute.metrics.base import Figure
from microimpute.survey import Survey
from microimpute.tasks.base import Problem, Task, task

__all__ = ["OwnTask", "find_task"]

_KEYS = ("title", "donor", "truth", "weight", "keys", "targets", "predictors", "rules", "kinds", "groups", "figure")

#: What each key must hold; a list of texts where nothing else is said.
_TEXTS = ("title", "donor", "truth", "weight")


class OwnTask(Task):
    """A task from two files: donors, and receivers whose true targets are known.

    Parameters
    ----------
    path
        TOML file::

            title = "Wealth, 2019 onto 2022"
            donor = "donor.parquet"        # beside the TOML file
            truth = "truth.parquet"        # receivers with their true targets
            weight = "w"                   # in both; without it every row counts 1
            keys = ["id"]
            targets = ["wealth", "debt"]
            predictors = ["age", "income"]
            rules = ["net = wealth - debt"]
            groups = ["region"]            # columns of the receivers
            [kinds]
            wealth = "semicontinuous"
            [[figure]]
            name = "asset test"
            target = "wealth"
            threshold = 2000

    Raises
    ------
    BenchmarkError
        If it is not such a file; names the key.
    """

    track = "own"

    def __init__(self, path: Path) -> None:
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BenchmarkError(f"the task file {path} can't be read: {error}", "Give a TOML file.") from None
        for key in said:
            if key not in _KEYS:
                raise BenchmarkError(f"{path}: unknown key {key!r}", closest(key, _KEYS))
        for key in ("donor", "truth", "targets", "predictors"):
            if not said.get(key):
                raise BenchmarkError(f"{path} does not say {key!r}", f"Write {key} = … into it.")
        for key, value in said.items():
            _check(key, value, path)
        self.name = path.stem  # type: ignore[misc]  # one class, a name per file
        self.summary = said.get("title", path.stem)  # type: ignore[misc]
        self.source = str(path.name)  # type: ignore[misc]
        self.said, self.folder = said, path.parent
        self.path = path

    def data_hash(self, data: Path | None) -> str:
        """Hash the task file and both data files."""
        digest = hashlib.sha256(self.path.read_bytes())
        for side in ("donor", "truth"):
            file = self.folder / self.said[side]
            if not file.is_file():
                raise BenchmarkError(f"task {self.name!r}: {file} does not exist", f"Mend {side} in {self.path.name}.")
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def problem(self, seed: int, arm: str, data: Path | None) -> Problem:
        """Read both files; the seed changes only the draws."""
        weight, keys = self.said.get("weight"), self.said.get("keys", ())
        kinds = self.said.get("kinds", {})
        donor = Survey(self.folder / self.said["donor"], weight=weight, keys=keys, kinds=kinds)
        truth = Survey(self.folder / self.said["truth"], weight=weight, keys=keys)
        shown = {weight, *([keys] if isinstance(keys, str) else keys), *self.said["predictors"]}
        kept = [c for c in truth.columns if c in shown]  # no target, and no total of targets
        receiver = Survey(truth.frame.select(*kept), weight=weight, keys=keys)
        fusion = Fusion(
            donor,
            receiver,
            targets=self.said["targets"],
            predictors=self.said["predictors"],
            rules=self.said.get("rules", ()),
        )
        for column in (*fusion.targets, *self.said.get("groups", ())):
            if column not in truth.columns:
                raise BenchmarkError(f"task {self.name!r}: the truth has no column {column!r}", "Mend the task file.")
        values = np.column_stack([self._truth(truth.frame[t], fusion) for t in fusion.targets])
        groups = {g: _groups(truth.frame[g]) for g in self.said.get("groups", ())}
        notes = () if weight else ("No weight is named: every row counts 1.",)
        return Problem(fusion, values, groups=groups, figures=self._figures(fusion), notes=notes)

    def _truth(self, series: Series, fusion: Fusion) -> npt.NDArray[np.float64]:
        """Return a target's true values as numbers; each must be one that a donor could have."""
        variable = fusion.variables[series.name]
        values = encode(series, variable)
        bad = ~np.isfinite(values) | (variable.kind.is_class & (values < 0))
        if bad.any():
            what = "missing or a level that no donor has" if variable.kind.is_class else "missing or infinite"
            raise BenchmarkError(
                f"task {self.name!r}: the truth's {series.name!r} is {what} in {bad.sum():,} of {len(bad):,} rows",
                "Leave these rows out, or recode them.",
            )
        return values

    def _figures(self, fusion: Fusion) -> tuple[Figure, ...]:
        try:
            out = tuple(Figure(f["name"], f["target"], float(f["threshold"])) for f in self.said.get("figure", ()))
        except (KeyError, TypeError, ValueError) as error:
            told = f"it has no {error}" if isinstance(error, KeyError) else error
            raise BenchmarkError(f"{self.path}: a [[figure]] is not understood: {told}", _FIGURE) from None
        amounts = [t for t in fusion.targets if not fusion.variables[t].kind.is_class] + list(fusion.derived)
        for figure in out:
            if figure.target not in amounts:
                raise BenchmarkError(
                    f"{self.path}: the target {figure.target!r} of figure {figure.name!r} is no amount that is imputed",
                    closest(figure.target, amounts),
                )
            if math.isnan(figure.threshold):
                raise BenchmarkError(f"{self.path}: the threshold of figure {figure.name!r} is nan", _FIGURE)
        return out


def _check(key: str, value: Any, path: Path) -> None:
    """Raise unless a key holds what it must."""
    if key == "figure" or (key == "keys" and isinstance(value, str)):
        return
    if key in _TEXTS:
        sound, remedy = isinstance(value, str), f'Write {key} = "…".'
    elif key == "kinds":
        sound, remedy = isinstance(value, dict), 'Write [kinds] and, below it, column = "kind".'
    else:
        sound = isinstance(value, list) and all(isinstance(name, str) for name in value)
        remedy = f'Write a list: {key} = ["…"].'
    if not sound:
        raise BenchmarkError(f"{path}: {key} is {value!r}", remedy)


def _groups(series: Series) -> npt.NDArray[np.int64]:
    """Return a number for each value of a column, text or not; missing values are a group of their own."""
    gaps = series.is_null().to_list()
    values = ["" if gap else f"={value}" for value, gap in zip(series.to_list(), gaps, strict=True)]
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


_FIGURE = "Give each a name, a target and a threshold."


def find_task(name: str) -> Task:
    """Return a task by name, or the one that a TOML file describes.

    Parameters
    ----------
    name
        Of a task, or the path of a file that ends in ``.toml``.

    Raises
    ------
    BenchmarkError
        If there is none.
    """
    return OwnTask(Path(name)) if str(name).endswith(".toml") else task(str(name))
