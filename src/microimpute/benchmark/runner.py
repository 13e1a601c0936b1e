"""benchmark: tasks × methods × seeds, over all cores, resumed where it was interrupted."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from microimpute.benchmark.cell import run_cell
from microimpute.benchmark.journal import Journal, identity, versions
from microimpute.benchmark.own_task import find_task
from microimpute.benchmark.scores import Scores
from microimpute.benchmark.suite import Cell, Contender, Suite
from microimpute.errors import BenchmarkError, MicroImputeError

__all__ = ["benchmark", "make_folder", "run_suite"]

Progress = Callable[[str, float], None]


def benchmark(
    tasks: Sequence[str] = ("scf_sample", "wealth_simulator"),
    methods: Sequence[str | Contender] = ("forest", "hotdeck"),
    seeds: int = 5,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
) -> Scores:
    """Score methods on tasks.

    Parameters
    ----------
    tasks
        Names; see ``microimpute.tasks.base.tasks()``.
    methods
        Names, or `Contender` with settings and a label.
    seeds
        Instances of each task.
    data
        Folder below which tasks find their files by name.
    out
        Folder for the journal, so that an interrupted call resumes; nothing is written without it.
    workers
        Processes; default: all cores. Results don't depend on it.

    Returns
    -------
    Scores

    Raises
    ------
    BenchmarkError
        If a task or method does not exist or a file is missing.
    """
    contenders = tuple(m if isinstance(m, Contender) else Contender(m, m) for m in methods)
    suite = Suite("benchmark", tuple(tasks), contenders, seeds=seeds)
    return run_suite(suite, data=data, out=out, workers=workers)


def run_suite(
    suite: Suite,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Run a suite; finished cells of an earlier run into the same folder are taken from its journal.

    Tasks whose files are not there or can't be used, and those that have none of the suite's arms, are left out and
    listed in `Scores.left_out`.

    Raises
    ------
    BenchmarkError
        If no task can run, or the folders can't be used.
    """
    from joblib import Parallel, cpu_count, delayed, parallel_config

    tell = progress or (lambda step, share: None)
    folder = None if data is None else Path(data)
    if folder is not None and not folder.is_dir():
        raise BenchmarkError(f"the data folder {folder} does not exist", "Give --data DIR.")
    hashes, left_out = _hashes(suite, folder)
    if not hashes:
        raise _nothing(left_out)
    journal = _journal(out)
    if journal is not None and journal.cut:
        tell("the journal's last line was cut off and is made again", 0.0)
    done, waiting = _divided(suite, hashes, journal)
    cells = len(done) + len(waiting)
    if done:
        tell(f"{len(done)} of {cells} cells are in the journal already", len(done) / cells)
    with parallel_config(backend="loky", inner_max_num_threads=1):  # threads of many workers would fight for cores
        run = Parallel(n_jobs=workers or cpu_count(), return_as="generator_unordered", batch_size=1)
    results: Iterable[dict[str, Any]] = run(
        delayed(_one)(cell, folder, suite.limit, hashes[cell.task]) for cell in waiting
    )
    for record in results:
        if "left out" in record:
            left_out[record["task"]] = BenchmarkError(*record["left out"])
            continue
        if journal is not None:
            journal.add(record)
        done.append(record)
        tell(_line(record), len(done) / cells)
    if not done:
        raise _nothing(left_out)
    return Scores.of(done, {name: why.problem for name, why in left_out.items()})


def _divided(
    suite: Suite, hashes: Mapping[str, str], journal: Journal | None
) -> tuple[list[dict[str, Any]], list[Cell]]:
    """Return records of the cells that the journal holds, and the cells that have to be run."""
    done, waiting = [], []
    for cell in suite.cells():
        if cell.task not in hashes:
            continue
        found = journal.find(identity(cell, hashes[cell.task])) if journal is not None else None
        if found is not None and _gated_alike(found, suite.limit):
            done.append(found)
        else:
            waiting.append(cell)
    return done, waiting


def _gated_alike(record: Mapping[str, Any], limit: float) -> bool:
    """Say whether the time limit, which may have changed since, gates a finished cell as it did then."""
    gates = record.get("gates", {})
    return not gates or (gates["seconds over"] > 0) == (record["seconds"] > limit)


def _nothing(left_out: Mapping[str, BenchmarkError]) -> BenchmarkError:
    remedies = dict.fromkeys(why.remedy for why in left_out.values())
    return BenchmarkError("no task can run: " + "; ".join(w.problem for w in left_out.values()), " ".join(remedies))


def _one(cell: Cell, data: Path | None, limit: float, data_hash: str) -> dict[str, Any]:
    stamp = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    said = identity(cell, data_hash) | {"track": find_task(cell.task).track, "at": stamp, "versions": versions()}
    try:
        return said | run_cell(cell, data, limit)
    except MicroImputeError as error:  # the task's own: what a method raises is in its record
        named = error.problem if isinstance(error, BenchmarkError) else f"task {cell.task!r}: {error.problem}"
        return said | {"left out": (named, error.remedy)}


def _hashes(suite: Suite, data: Path | None) -> tuple[dict[str, str], dict[str, BenchmarkError]]:
    hashes: dict[str, str] = {}
    left_out: dict[str, BenchmarkError] = {}
    for name in suite.tasks:
        try:
            hashes[name] = find_task(name).data_hash(data)
        except BenchmarkError as error:
            left_out[name] = error
        if not suite.arms_of(name):
            hashes.pop(name, None)
            wanted = " or ".join(map(repr, suite.arms or ()))
            left_out[name] = BenchmarkError(f"task {name!r} has no arm {wanted}", "Choose another arm.")
    return hashes, left_out


def _journal(out: str | Path | None) -> Journal | None:
    if out is None:
        return None
    make_folder(Path(out))
    return Journal(Path(out) / "results.jsonl")


def make_folder(folder: Path) -> None:
    """Make the folder for results if it is not there.

    Raises
    ------
    BenchmarkError
        If it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f"the folder {folder} can't be made: {error}", "Choose another with --out.") from None


def _line(record: dict[str, Any]) -> str:
    where = f"{record['task']}/{record['arm']} seed {record['seed']} {record['label']}"
    told = "" if record["status"] == "ok" else f": {record['status']}, {record['reason']}"
    return f"{where} {record.get('seconds', 0):.1f} s{told}"
