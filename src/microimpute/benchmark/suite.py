"""Suites: which tasks, methods and seeds, and the cells that they make."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from microimpute.benchmark.own_task import find_task
from microimpute.errors import BenchmarkError, closest
from microimpute.methods.base import method, methods
from microimpute.skill import NULL, ORACLE
from microimpute.tasks.base import ARMS, tasks

__all__ = ["NULL", "ORACLE", "STOCK", "Cell", "Contender", "Suite"]

#: The method that is the null: whole donor rows at random in proportion to weight, whatever the predictors.
NULL_METHOD = "shuffle"


@dataclass(frozen=True)
class Contender:
    """A method with settings, under a label."""

    label: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One method on one instance of one task."""

    task: str
    arm: str
    seed: int
    contender: Contender
    draws: int
    fits: int


@dataclass(frozen=True)
class Suite:
    """What is run.

    Attributes
    ----------
    title
        For the page.
    tasks
        Names of tasks.
    contenders
        Methods; null and oracle are added by themselves.
    seeds
        Number of instances of each task.
    first_seed
        Seed of the first instance. Settings that were chosen on some seeds are compared fairly only on others.
    draws
        Joint draws per receiver row.
    fits
        Donor resamples; each gives ``draws / fits`` draws.
    arms
        Which arms of the tasks; None for all that they have. A task that has none of them is left out, and said so.
    limit
        Seconds that a cell's fits and draws may take; a gate.

    Raises
    ------
    BenchmarkError, MethodError
        If a task, method, setting or arm does not exist, or a number can't be; names it.
    """

    title: str
    tasks: tuple[str, ...]
    contenders: tuple[Contender, ...]
    seeds: int = 5
    draws: int = 20
    fits: int = 5
    arms: tuple[str, ...] | None = None
    limit: float = 600.0
    first_seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("first_seed", 0), ("draws", 2), ("fits", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise BenchmarkError(f"{name} is {value!r}", f"Give a whole number of at least {least}.")
        if self.draws % self.fits:
            raise BenchmarkError(f"{self.draws} draws can't come from {self.fits} fits", "Choose a multiple of fits.")
        if not isinstance(self.limit, int | float) or isinstance(self.limit, bool) or not self.limit > 0:
            raise BenchmarkError(f"limit is {self.limit!r}", "Give seconds above 0.")
        self._check_tasks()
        self._check_methods()

    def _check_tasks(self) -> None:
        if not self.tasks:
            raise BenchmarkError("no task is named", closest("", tasks()))
        for name in self.tasks:
            if self.tasks.count(name) > 1:
                raise BenchmarkError(f"the task {name!r} is named twice", "Name it once.")
        for arm in self.arms or ():
            if arm not in ARMS:
                raise BenchmarkError(f"there is no arm {arm!r}", closest(arm, ARMS))
        if not any(map(self.arms_of, self.tasks)):
            wanted = " or ".join(map(repr, self.arms or ()))
            raise BenchmarkError(f"none of the tasks has the arm {wanted}", f"Arms are: {', '.join(ARMS)}.")

    def _check_methods(self) -> None:
        if not self.contenders:
            raise BenchmarkError("no method is named", closest("", methods()))
        labels = [c.label for c in self.contenders]
        for label in labels:
            if labels.count(label) > 1 or label in (NULL, ORACLE):
                raise BenchmarkError(f"the label {label!r} is taken", "Give each method a label of its own.")
        for contender in self.contenders:
            method(contender.method, contender.settings)
            try:
                json.dumps(dict(contender.settings), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise BenchmarkError(
                    f"the settings of {contender.label!r} can't be written down: {error}",
                    "Give plain numbers, texts, lists and tables.",
                ) from None

    def arms_of(self, task: str) -> tuple[str, ...]:
        """Return those arms of a task that are run."""
        return tuple(a for a in find_task(task).arms if self.arms is None or a in self.arms)

    def cells(self) -> list[Cell]:
        """List all cells, anchors first on each instance."""
        anchors = (Contender(NULL, NULL_METHOD), Contender(ORACLE, ORACLE))
        return [
            Cell(name, arm, seed, contender, self.draws, self.fits)
            for name in self.tasks
            for arm in self.arms_of(name)
            for seed in range(self.first_seed, self.first_seed + self.seeds)
            for contender in (
                *(a for a in anchors if find_task(name).track != "C" or a.label == NULL),
                *self.contenders,
            )
        ]

    def changed(
        self,
        methods: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        seeds: int | None = None,
        first_seed: int | None = None,
    ) -> Suite:
        """Return the suite with other methods, tasks or seeds."""
        changes: dict[str, Any] = {}
        if methods:
            known = {c.label: c for c in self.contenders}
            changes["contenders"] = tuple(known.get(m, Contender(m, m)) for m in methods)
        if tasks:
            changes["tasks"] = tuple(tasks)
        if seeds is not None:
            changes["seeds"] = seeds
        if first_seed is not None:
            changes["first_seed"] = first_seed
        return replace(self, **changes)

    @classmethod
    def read(cls, name: str | Path) -> Suite:
        """Return a stock suite by name, or read one from a TOML file.

        Raises
        ------
        BenchmarkError
            If there is none, or the file says something that is not known.
        """
        if str(name) in STOCK:
            return STOCK[str(name)]()
        path = Path(name)
        if not path.is_file():
            raise BenchmarkError(
                f"there is no suite {str(name)!r}", closest(str(name), STOCK) + " Or give a TOML file."
            )
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BenchmarkError(f"{path} is not TOML: {error}", "Mend that line.") from None
        return _from_dict(said, path)


_KEYS = ("title", "tasks", "method", "seeds", "first_seed", "draws", "fits", "arms", "limit")


def _from_dict(said: dict[str, Any], path: Path) -> Suite:
    for key in said:
        if key not in _KEYS:
            raise BenchmarkError(f"{path}: unknown key {key!r}", closest(key, _KEYS))
    if not said.get("tasks") or not said.get("method"):
        raise BenchmarkError(f"{path} names no tasks or no method", 'Write tasks = ["…"] and [[method]] name = "…".')
    said.setdefault("title", path.stem)
    for key in ("tasks", "arms"):
        if key in said:
            said[key] = _texts(said[key], key, path)
    contenders = _contenders(said.pop("method"), path)
    if not isinstance(said["title"], str):
        raise BenchmarkError(f"{path}: title is {said['title']!r}", 'Write title = "…".')
    return Suite(contenders=contenders, **said)


def _texts(found: Any, key: str, path: Path) -> tuple[str, ...]:
    if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
        raise BenchmarkError(f"{path}: {key} is {found!r}", f'Write a list of names: {key} = ["…"].')
    return tuple(found)


def _contenders(found: Any, path: Path) -> tuple[Contender, ...]:
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise BenchmarkError(f"{path}: method is {found!r}", 'Write [[method]] and, below it, name = "…".')
    contenders = []
    for entry in found:
        settings = {k: v for k, v in entry.items() if k not in ("name", "label")}
        if "name" not in entry:
            raise BenchmarkError(f"{path}: a [[method]] has no name", closest("", methods()))
        label = entry.get("label", entry["name"])
        if not isinstance(label, str) or not isinstance(entry["name"], str):
            raise BenchmarkError(f"{path}: a [[method]] is called {label!r}", 'Write name = "…", label = "…".')
        contenders.append(Contender(label, entry["name"], settings))
    return tuple(contenders)


def _everything() -> tuple[Contender, ...]:
    able = [name for name, cls in methods().items() if not cls.missing()]
    return tuple(Contender(name, name) for name in able if name != NULL_METHOD)


def _quick() -> Suite:
    named = tuple(Contender(name, name) for name in ("forest", "hotdeck", NULL_METHOD))
    return Suite("Quick suite", ("scf_sample", "wealth_simulator"), named, seeds=2, arms=("split",))


def _full() -> Suite:
    unable = [f"{name} (needs {', '.join(cls.missing())})" for name, cls in methods().items() if cls.missing()]
    title = "Full suite" + (f", without {', '.join(unable)}" if unable else "")
    return Suite(title, tuple(n for n in tasks() if n != "scf_sample"), _everything())


#: Suites by name.
STOCK = {"quick": _quick, "full": _full}
