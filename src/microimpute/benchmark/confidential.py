"""The protocol for truth that may not leave its place: frozen methods in, one file of rounded figures out.

The rules of what may be said (see `microimpute.benchmark.disclosure`) are to be confirmed with the data owner.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from microimpute.benchmark.cell import draw_all, question
from microimpute.benchmark.disclosure import LEAST, round_count, round_figure
from microimpute.benchmark.gates import gates
from microimpute.benchmark.journal import versions
from microimpute.benchmark.own_task import OwnTask
from microimpute.benchmark.suite import NULL, NULL_METHOD, Cell, Contender
from microimpute.errors import BenchmarkError
from microimpute.metrics.base import Scored, metrics

__all__ = ["FIGURES", "freeze", "run_confidential", "without_network"]

#: Metrics that may be said: means over many rows. Order statistics (quantile ratios, top shares, tail indices) are
#: not among them; tails appear as shares beyond the task's public thresholds.
FIGURES = (
    *("crps", "brier", "energy_score", "variogram_score", "rank_correlation_within", "rank_correlation_across"),
    *("c2st", "pmse", "share_nonzero", "total_variation", "eligibility", "regression", "coverage"),
)
#: Groups of receivers that are left out in turn for the standard errors.
GROUPS = 10
RULES = "Rounding and cell rules are to be confirmed with the data owner before release."


@contextmanager
def without_network() -> Iterator[None]:
    """Make every attempt to open a connection fail while inside."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise BenchmarkError("something tried to use the network in a confidential run", "Use methods that don't.")

    kept = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    socket.socket.connect = socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = kept  # type: ignore[method-assign]


def freeze(contenders: tuple[Contender, ...], path: Path) -> None:
    """Write methods, settings and the hash of the code that they are, for a confidential run.

    Raises
    ------
    BenchmarkError
        If the file exists.
    """
    if path.exists():
        raise BenchmarkError(f"{path} exists", "Choose another name; a frozen list is never changed.")
    frozen = [{"label": c.label, "method": c.method, "settings": dict(c.settings)} for c in contenders]
    path.write_text(json.dumps({"code": versions()["code"], "methods": frozen}, indent=2) + "\n", encoding="utf-8")


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
        If the methods' code is not what was frozen, or something opens a connection.
    """
    if out.exists():
        raise BenchmarkError(f"{out} exists", "Choose another name.")
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
            scored = question(problem, drawn, numbers, 0)
            result["methods"][contender.label] = {
                "gates": {name: round_figure(share) for name, share in shut.items()},
                "figures": _figures(scored),
                "shares below thresholds": _shares(scored),
            }
    out.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return result


def _figures(scored: Scored) -> dict[str, Any]:
    """Return each metric's mean over targets with its standard error, rounded."""
    n = len(scored.weight)
    if n < LEAST * GROUPS:
        return {}
    group = np.random.default_rng(scored.seed).permutation(n) % GROUPS
    out = {}
    for name in FIGURES:
        whole = _mean(name, scored)
        if whole is None:
            continue
        parts = [_mean(name, scored.take(group != g)) for g in range(GROUPS)]
        known = np.array([p for p in parts if p is not None])
        error = float(np.sqrt((GROUPS - 1) / GROUPS * np.sum((known - known.mean()) ** 2)))
        out[name] = {"value": round_figure(whole), "standard error": round_figure(error)}
    return out


def _mean(name: str, scored: Scored) -> float | None:
    found = metrics()[name]().score(scored)
    return float(np.mean(list(found.values()))) if found else None


def _shares(scored: Scored) -> dict[str, Any]:
    """Return shares below public thresholds, truth and draws, of groups with enough rows."""
    cells = {"all": np.ones(len(scored.weight), dtype=bool)}
    cells |= {f"{g} {k}": labels == k for g, labels in scored.groups.items() for k in np.unique(labels)}
    out: dict[str, Any] = {}
    for figure in scored.figures:
        truth, drawn = scored.amount(figure.target)
        for name, members in cells.items():
            below = truth[members] < figure.threshold
            if min(below.sum(), (~below).sum()) < LEAST:
                continue
            weight = scored.weight[members]
            share = float(np.average(below, weights=weight))
            error = float(np.sqrt(np.sum((weight * (below - share)) ** 2)) / weight.sum())
            imputed = float(np.average((drawn[:, members] < figure.threshold).mean(axis=0), weights=weight))
            rounded = {"true": round_figure(share), "standard error": round_figure(error)}
            out[f"{figure.name}, {name}"] = rounded | {"imputed": round_figure(imputed)}
    return out
