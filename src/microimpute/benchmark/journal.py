"""The journal of a benchmark: one JSON line per finished cell, appended and never changed."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import microimpute
from microimpute.benchmark.suite import Cell
from microimpute.errors import BenchmarkError

__all__ = ["Journal", "identity", "read", "versions"]

#: Parts of the package that don't change a result.
_SILENT = (
    *("report", "cli.py", "commands", "say.py", "described.py"),
    *(
        f"benchmark/{name}.py"
        for name in (
            "compare",
            "leaderboard",
            "markdown",
            "method_pages",
            "method_results",
            "page",
            "ranking",
            "scores",
        )
    ),
)


@cache
def versions() -> dict[str, str]:
    """Return versions of what results may depend on, and a hash of the package's own code."""
    out = {"python": platform.python_version(), "microimpute": microimpute.__version__, "code": _code()}
    for name in ("numpy", "pandas", "scipy", "scikit-learn"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:  # pragma: no cover (all four are dependencies)
            out[name] = "absent"
    return out


def _code() -> str:
    root = Path(microimpute.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(_SILENT):
            digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def identity(cell: Cell, data_hash: str) -> dict[str, Any]:
    """Return what makes a cell the same cell: resuming skips those whose identity is in the journal."""
    return {
        "task": cell.task,
        "arm": cell.arm,
        "seed": cell.seed,
        "label": cell.contender.label,
        "method": cell.contender.method,
        "settings": dict(cell.contender.settings),
        "draws": cell.draws,
        "fits": cell.fits,
        "data": data_hash,
        "code": versions()["code"],
    }


def _key(said: Mapping[str, Any]) -> str:
    names = ("task", "arm", "seed", "label", "method", "settings", "draws", "fits", "data", "code")
    return json.dumps([said[name] for name in names], sort_keys=True)


class Journal:
    """Results on disk.

    Parameters
    ----------
    path
        ``results.jsonl``; made if it does not exist. A last line that was cut off by a kill is removed, and
        `cut` says so.

    Raises
    ------
    BenchmarkError
        If the file is something else; it is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut = False
        self.records: dict[str, dict[str, Any]] = {}
        if path.exists():
            whole, last = _lines(path)
            self.records = {_key(r): r for r in _records(whole, path)}
            self.cut = bool(last)
            if self.cut:
                os.truncate(path, len(whole))

    def find(self, said: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a finished cell's record; failed ones are tried again."""
        record = self.records.get(_key(said))
        return None if record is None or record["status"] == "failed" else record

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; it is on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.records[_key(record)] = record


def read(*paths: Path) -> list[dict[str, Any]]:
    """Read journals, plain or gzipped, of methods that answered the same questions.

    Returns
    -------
    list of dict
        Their records in order: of two records of one cell the later counts.

    Raises
    ------
    BenchmarkError
        If one is none, or no cell is finished in it; or if methods can't be compared: on one instance they saw other
        data, or made other numbers of draws or fits, or one label stands for two methods.
    """
    records: list[dict[str, Any]] = []
    for path in paths:
        found = _records(_lines(path)[0], path)
        if not found:
            raise BenchmarkError(f"{path} has no finished cell", "Run the benchmark first.")
        records += found
    _refuse_mixtures(records, " and ".join(map(str, paths)))
    return records


def _refuse_mixtures(records: list[dict[str, Any]], where: str) -> None:
    last = {tuple(r[name] for name in ("task", "arm", "seed", "label")): r for r in records}
    for place, what in (
        (("task", "arm", "seed"), ("data", "draws", "fits")),
        (("label",), ("method", "settings")),
    ):
        asked: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}
        for record in last.values():
            own = json.dumps([record[name] for name in what], sort_keys=True)
            first, other = asked.setdefault(tuple(record[name] for name in place), (own, record))
            if own != first:
                unlike = next(name for name in what if record[name] != other[name])
                at = ", ".join(f"{name} {record[name]}" for name in place)
                raise BenchmarkError(
                    f"{where}: {other['label']!r} and {record['label']!r} differ in {unlike} ({at}), "
                    f"{_short(other[unlike])} and {_short(record[unlike])}",
                    "Run the benchmark again for one of them, or leave its journal out.",
                )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 40 else f"{text[:37]}…"


#: How every line of a journal begins.
_START = b'{"task": '


def _lines(path: Path) -> tuple[bytes, bytes]:
    """Return a journal's whole lines, and the beginning of one that a kill cut off."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _foreign(path, error) from None
    end = content.rfind(b"\n") + 1
    whole, last = content[:end], content[end:]
    if last[: len(_START)] != _START[: len(last)]:
        raise _foreign(path, "its last line is no record")
    return whole, last


def _records(whole: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        records = [json.loads(line) for line in whole.decode().split("\n")[:-1]]
        for record in records:
            _key(record), record["status"], record["values"], record["kinds"], record["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise _foreign(path, f"it lacks {error}" if isinstance(error, KeyError) else error) from None
    return records


def _foreign(path: Path, why: object) -> BenchmarkError:
    return BenchmarkError(f"{path} is not a benchmark's results: {why}", "Give a results.jsonl.")
