"""The protocol for truth that may not leave its place: frozen methods in, one file of rounded figures out.

The rules of what may be said (see `microimpute.benchmark.disclosure`) are to be confirmed with the data owner.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from microimpute.benchmark.cell import draw_all, question
from microimpute.benchmark.disclosure import LEAST, round_count, round_figure
from microimpute.benchmark.gates import gates
from microimpute.benchmark.journal import versions
from microimpute.benchmark.own_task import OwnTask
from microimpute.benchmark.suite import NULL, NULL_METHOD, Cell, Contender
from microimpute.errors import BenchmarkError
from microimpute.metrics.base import CLASSES, Scored, metrics

__all__ = ["FIGURES", "freeze", "run_confidential", "without_network"]

BoolArray = npt.NDArray[np.bool_]

#: Metrics that may be said: means over many rows. Order statistics (quantile ratios, top shares, tail indices) are
#: not among them; tails appear as shares beyond the task's public thresholds.
FIGURES = (
    *("crps", "brier", "energy_score", "variogram_score", "rank_correlation_within", "rank_correlation_across"),
    *("c2st", "pmse", "share_nonzero", "total_variation", "eligibility", "regression", "coverage"),
)
#: Ways out of the machine: connections, datagrams and names to be looked up.
DOORS = (
    *((socket.socket, name) for name in ("connect", "connect_ex", "sendto", "sendmsg")),
    *((socket, name) for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")),
)
#: Groups of receivers that are left out in turn for the standard errors.
GROUPS = 10
RULES = "Rounding and cell rules are to be confirmed with the data owner before release."


@contextmanager
def without_network() -> Iterator[None]:
    """Make every attempt of this process to open a connection or to send a datagram fail while inside."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise BenchmarkError("something tried to use the network in a confidential run", "Use methods that don't.")

    kept = [(place, name, getattr(place, name)) for place, name in DOORS if hasattr(place, name)]
    for place, name, _ in kept:
        setattr(place, name, refuse)
    try:
        yield
    finally:
        for place, name, door in kept:
            setattr(place, name, door)


def freeze(contenders: tuple[Contender, ...], path: Path) -> None:
    """Write methods, settings and the hash of the code that they are, for a confidential run.

    Raises
    ------
    BenchmarkError
        If the file exists or its folder does not.
    """
    frozen = [{"label": c.label, "method": c.method, "settings": dict(c.settings)} for c in contenders]
    _write_new(path, {"code": versions()["code"], "methods": frozen})


def _refuse_occupied(path: Path) -> None:
    if path.exists():
        raise BenchmarkError(f"{path} exists", "Choose another name; what was written is never changed.")
    if not path.parent.is_dir():
        raise BenchmarkError(f"the folder {path.parent} does not exist", "Make it, or choose another.")


def _write_new(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is not there yet, whole or not at all."""
    _refuse_occupied(path)
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise


def _thaw(path: Path) -> tuple[Contender, ...]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        listed = tuple(Contender(m["label"], m["method"], m["settings"]) for m in said["methods"])
        code = said["code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path} is not a list of frozen methods: {error}", "Make one with --freeze.") from None
    if code != versions()["code"]:
        found = versions()["code"]
        raise BenchmarkError(f"{path} was frozen from code {code}, installed is {found}", "Install that version.")
    return listed


def run_confidential(task_file: Path, frozen: Path, out: Path, draws: int = 20, fits: int = 5) -> dict[str, Any]:
    """Score frozen methods on a task whose truth is confidential; write one JSON file of rounded figures.

    Methods see donors and receivers without targets; the truth is read into the problem and used only by metrics.
    Standard errors are from leaving out each of ten groups of receivers in turn (delete-a-group jackknife).

    Raises
    ------
    BenchmarkError
        If the methods' code is not what was frozen, something opens a connection, or `out` can't be a new file.
    """
    _refuse_occupied(out)
    contenders = (Contender(NULL, NULL_METHOD), *_thaw(frozen))
    with without_network():
        own = OwnTask(task_file)
        data_hash = own.data_hash(None)
        problem = own.problem(0, "split", None)
        result: dict[str, Any] = {"rules": RULES, "task": own.name, "data": data_hash, "versions": versions()}
        result["donors"] = round_count(len(problem.fusion.donor))
        result["receivers"] = round_count(len(problem.fusion.receiver))
        result["methods"] = {}
        for contender in contenders:
            cell = Cell(own.name, "split", 0, contender, draws, fits)
            drawn, numbers = draw_all(problem.fusion, cell)
            shut = gates(problem.fusion, problem.truth, drawn, 0.0, np.inf)
            shut.pop("seconds over")
            said: dict[str, Any] = {"gates": {name: round_figure(share) for name, share in shut.items()}}
            if shut["missing"] == 0:
                scored = question(problem, drawn, numbers, 0)
                said |= {"figures": _figures(scored), "shares below thresholds": _shares(scored)}
            result["methods"][contender.label] = said
    _write_new(out, result)
    return result


def _figures(scored: Scored) -> dict[str, Any]:
    """Return each metric's mean over targets with its standard error, rounded."""
    n = len(scored.weight)
    if n < LEAST * GROUPS:
        return {}
    group = np.random.default_rng(scored.seed).permutation(n) % GROUPS
    out = {}
    for name in FIGURES:
        hidden = _hidden(name, scored)
        whole = _mean(name, scored, hidden)
        if whole is None:
            continue
        parts = [_mean(name, scored.take(group != g), hidden) for g in range(GROUPS)]
        known = np.array([p for p in parts if p is not None])
        error = float(np.sqrt((GROUPS - 1) / GROUPS * np.sum((known - known.mean()) ** 2)))
        out[name] = {"value": round_figure(whole), "standard error": round_figure(error)}
    return out


def _mean(name: str, scored: Scored, hidden: frozenset[str]) -> float | None:
    found = [value for key, value in metrics()[name]().score(scored).items() if key not in hidden]
    return float(np.mean(found)) if found else None


def _hidden(name: str, scored: Scored) -> frozenset[str]:
    """Return the targets or figures that a metric of shares leaves out, because one of their cells is too small."""
    everyone = [np.ones(len(scored.weight), dtype=bool)]
    if name == "share_nonzero":
        amounts = {n: scored.amount(n)[0] for n in (*scored.truth.names, *scored.totals)}
        return frozenset(n for n, y in amounts.items() if not _enough(y != 0, everyone))
    if name == "total_variation":
        classes = scored.of_kind(CLASSES)
        levels = {j: np.arange(len(scored.truth.variables[j].levels)) for j in classes}
        values = scored.truth.values
        return frozenset(
            scored.truth.names[j] for j in classes if min(np.sum(values[:, j] == k) for k in levels[j]) < LEAST
        )
    if name == "eligibility":
        every = [members for cells in _groupings(scored) for members in cells.values()]
        small = [f for f in scored.figures if not _enough(scored.amount(f.target)[0] < f.threshold, every)]
        return frozenset(f.name for f in small)
    return frozenset()


def _enough(yes: BoolArray, cells: Iterable[BoolArray]) -> bool:
    """Say whether in each cell enough rows are, and enough are not."""
    return all(min(yes[members].sum(), (~yes[members]).sum()) >= LEAST for members in cells)


def _groupings(scored: Scored) -> list[dict[str, BoolArray]]:
    """Return all rows, and the groups of each grouping, by name."""
    everyone = {"all": np.ones(len(scored.weight), dtype=bool)}
    return [everyone, *({f"{g} {k}": v == k for k in np.unique(v)} for g, v in scored.groups.items())]


def _shares(scored: Scored) -> dict[str, Any]:
    """Return shares below public thresholds, truth and draws.

    A grouping is left out as a whole where one of its groups is too small: that one is what the others lack.
    """
    out: dict[str, Any] = {}
    for figure in scored.figures:
        truth, drawn = scored.amount(figure.target)
        below = truth < figure.threshold
        for cells in _groupings(scored):
            if not _enough(below, cells.values()):
                continue
            for name, members in cells.items():
                weight, yes = scored.weight[members], below[members]
                share = float(np.average(yes, weights=weight))
                error = float(np.sqrt(np.sum((weight * (yes - share)) ** 2)) / weight.sum())
                imputed = float(np.average((drawn[:, members] < figure.threshold).mean(axis=0), weights=weight))
                rounded = {"true": round_figure(share), "standard error": round_figure(error)}
                out[f"{figure.name}, {name}"] = rounded | {"imputed": round_figure(imputed)}
    return out
