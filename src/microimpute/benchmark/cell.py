"""One cell: draw, pass the gates, score."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.benchmark.across import margins
from microimpute.benchmark.gates import gates
from microimpute.benchmark.own_task import find_task
from microimpute.benchmark.suite import NULL, ORACLE, Cell
from microimpute.errors import MethodError, MicroImputeError
from microimpute.fusion import Fusion
from microimpute.implicates import fit
from microimpute.keyed import RowRandom
from microimpute.kinds import Table
from microimpute.methods.base import method
from microimpute.metrics.base import Scored, audits, metrics
from microimpute.rules import derive
from microimpute.tasks.base import Problem

__all__ = ["describe", "draw_all", "judge", "oracle", "question", "run_cell", "score_all"]

FloatArray = npt.NDArray[np.float64]
Draws = tuple[FloatArray, npt.NDArray[np.int64]]

#: Significant digits that results keep.
DIGITS = 6

#: The null's draws have seeds of their own, so that a contender that is the same method is not the null itself.
OFFSET = 1_000_003


def run_cell(cell: Cell, data: Path | None, limit: float) -> dict[str, Any]:
    """Run one cell; what goes wrong inside a method is its result, not ours.

    Returns
    -------
    dict
        ``status`` ("ok", "gate" or "failed"), ``reason``, ``seconds``, ``peak_mb`` of the process so far,
        ``gates``, ``values`` (metric → target → error), ``audits``, ``kinds`` (target → kind), ``rows``.
    """
    import sklearn.ensemble  # noqa: F401 (limits hold only for libraries that are loaded)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        problem = find_task(cell.task).problem(cell.seed, cell.arm, data)
        record = describe(problem)
        if cell.contender.label == ORACLE:
            return record | {"status": "ok", "reason": "", "values": _oracle_values(problem, cell)}
        start = time.perf_counter()
        try:
            drawn, fits = draw_all(problem.fusion, cell)
        except MicroImputeError as error:
            return record | _failed(str(error), time.perf_counter() - start)
        # any method's fault must not end the run; it is recorded and told
        except Exception as error:  # noqa: BLE001
            return record | _failed(_told(error), time.perf_counter() - start)
        return record | judge(problem, drawn, fits, cell.seed, time.perf_counter() - start, limit)


def judge(
    problem: Problem, drawn: FloatArray, fits: npt.NDArray[np.int64], seed: int, seconds: float, limit: float
) -> dict[str, Any]:
    """Put draws through the gates and score them, wherever they come from.

    Parameters
    ----------
    problem
        What was asked.
    drawn
        Shape (draws, n, targets), classes as codes.
    fits
        Shape (draws,): number of each draw's fit.
    seed
        Of the instance.
    seconds, limit
        What fitting and drawing took, and may take.

    Returns
    -------
    dict
        What `run_cell` returns, less the description of the problem.
    """
    record: dict[str, Any] = {"seconds": round(seconds, 3)}
    if not len(problem.truth):
        return record | {"status": "ok", "reason": "", "values": {}, "across": margins(problem, drawn)}
    record["gates"] = gates(problem.fusion, problem.truth, drawn, seconds, limit)
    if record["gates"]["missing"]:
        return record | {"status": "gate", "reason": "draws are missing or infinite", "values": {}, "audits": {}}
    scored = question(problem, drawn, fits, seed)
    shut = [name for name, share in record["gates"].items() if share > 0]
    record |= {"status": "gate" if shut else "ok", "reason": ", ".join(shut)}
    try:
        record |= {"values": _finite(score_all(scored)), "audits": _finite(_audited(scored))}
    # draws far from any donor can break a metric; the run goes on
    except Exception as error:  # noqa: BLE001
        if not shut:
            return record | _failed(f"its draws can't be scored: {_told(error)}", seconds)
        record |= {"values": {}, "audits": {}}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return record | {"peak_mb": round(peak)}


def describe(problem: Problem) -> dict[str, Any]:
    """Return what a record says of the problem: kinds of targets, rows, notes, whether there is a true sampler."""
    fusion = problem.fusion
    kinds = {t: fusion.variables[t].kind.value for t in fusion.targets} | dict.fromkeys(fusion.derived, "total")
    rows = {"donors": len(fusion.donor), "receivers": len(fusion.receiver)}
    return {"kinds": kinds, "rows": rows, "notes": list(problem.notes), "sampler": problem.sampler is not None}


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _finite(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    for name, figures in found.items():
        for target, value in figures.items():
            if not np.isfinite(value):
                raise ValueError(f"{name} of {target or 'the bundle'} is {value}")
    return found


def _failed(reason: str, seconds: float) -> dict[str, Any]:
    return {"status": "failed", "reason": reason, "seconds": round(seconds, 3), "gates": {}, "values": {}, "audits": {}}


def draw_all(fusion: Fusion, cell: Cell) -> Draws:
    """Fit to each donor resample and draw, shape (draws, n, targets), with the number of each draw's fit."""
    chosen = method(cell.contender.method, cell.contender.settings)
    each = cell.draws // cell.fits
    seed = cell.seed + (OFFSET if cell.contender.label == NULL else 0)
    drawn, fits = [], []
    shape = (len(fusion.receivers), len(fusion.targets))
    for number in range(1, cell.fits + 1):
        fitted = fit(fusion, chosen, number, seed)
        for again in range(each):
            rng = RowRandom(seed, number + again * cell.fits, fusion.receiver_keys)
            drawn.append(np.asarray(fitted.draw(fusion.receivers, rng), dtype=np.float64))
            if drawn[-1].shape != shape:
                raise MethodError(f"{chosen.name!r} drew the shape {drawn[-1].shape}", f"It must draw {shape}.")
            fits.append(number)
    return np.stack(drawn), np.array(fits)


def question(problem: Problem, drawn: FloatArray, fits: npt.NDArray[np.int64], seed: int) -> Scored:
    """Put truth, draws and donors together for the metrics."""
    fusion = problem.fusion
    training = fusion.training(1)
    weight = fusion.receiver.weights()
    return Scored(
        X=fusion.receivers,
        truth=Table(training.Y.variables, problem.truth),
        draws=drawn,
        weight=weight,
        donor_x=training.X,
        donor_y=training.Y,
        donor_weight=training.weight,
        draw_weight=np.broadcast_to(weight, drawn.shape[:2]),
        fits=fits,
        totals=_totals(fusion, problem.truth),
        drawn_totals=_totals(fusion, drawn),
        groups=problem.groups,
        figures=problem.figures,
        seed=seed,
    )


def _totals(fusion: Fusion, values: FloatArray) -> dict[str, FloatArray]:
    columns = {t: values[..., i] for i, t in enumerate(fusion.targets) if not fusion.variables[t].kind.is_class}
    return derive(fusion.identities, columns)


def oracle(problem: Problem, draws: int, fits: int, seed: int) -> Scored:
    """Return the oracle's question: the true sampler's draws, or the truth with bootstrapped weights."""
    each = draws // fits
    numbers = np.repeat(np.arange(1, fits + 1), each)
    rng = np.random.default_rng([seed, 99])
    if problem.sampler is not None:
        return question(problem, np.stack([problem.sampler(rng) for _ in range(draws)]), numbers, seed)
    scored = question(problem, np.broadcast_to(problem.truth, (draws, *problem.truth.shape)), numbers, seed)
    again = scored.weight * rng.standard_exponential((draws, len(scored.weight)))
    return replace(scored, draw_weight=again * (scored.weight.sum() / again.sum(axis=1, keepdims=True)))


def _oracle_values(problem: Problem, cell: Cell) -> dict[str, dict[str, float]]:
    values = score_all(oracle(problem, cell.draws, cell.fits, cell.seed), anchored_only=problem.sampler is None)
    return values


def score_all(scored: Scored, anchored_only: bool = False) -> dict[str, dict[str, float]]:
    """Apply all metrics: metric → target → error; without those whose oracle a resample of truth can't be."""
    return {name: _rounded(cls().score(scored)) for name, cls in metrics().items() if cls.anchored or not anchored_only}


def _audited(scored: Scored) -> dict[str, dict[str, float]]:
    return {name: _rounded(cls().measure(scored)) for name, cls in audits().items()}


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.{DIGITS}g}") for name, value in figures.items()}
