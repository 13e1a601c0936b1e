"""Tasks of one's own: a TOML file that names two files and their columns."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np

from microimpute.errors import BenchmarkError, closest
from microimpute.fusion import Fusion
from microimpute.kinds import encode
from microimpute.metrics.base import Figure
from microimpute.survey import Survey
from microimpute.tasks.base import Problem, Task, task

__all__ = ["OwnTask", "find_task"]

_KEYS = ("title", "donor", "truth", "weight", "keys", "targets", "predictors", "rules", "kinds", "groups", "figure")


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
        kept = [c for c in truth.columns if c not in self.said["targets"]]
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
        values = np.column_stack([encode(truth.frame[t], fusion.variables[t]) for t in fusion.targets])
        groups = {g: np.unique(truth.frame[g].to_numpy(), return_inverse=True)[1] for g in self.said.get("groups", ())}
        notes = () if weight else ("No weight is named: every row counts 1.",)
        return Problem(fusion, values, groups=groups, figures=self._figures(), notes=notes)

    def _figures(self) -> tuple[Figure, ...]:
        try:
            return tuple(Figure(f["name"], f["target"], float(f["threshold"])) for f in self.said.get("figure", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise BenchmarkError(f"{self.path}: a [[figure]] is not understood: {error}", _FIGURE) from None


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
