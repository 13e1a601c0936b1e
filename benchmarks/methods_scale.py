"""Every method that draws: 10,000 donors × 10 predictors × 10 targets onto 100,000 receivers, m = 5; time and memory.

    python benchmarks/methods_scale.py [--methods forest qrf ...]

Each method runs in a process of its own on two cores; memory is the peak of that process, interpreter and libraries
included. Five implicates are timed together, but for methods that need torch: there, learning one implicate and drawing
100,000 rows from it are timed apart. "first fit" and "first draw" are the first implicate's, checks of the data are
not in them. The floor is a random donor for every receiver, in proportion to weight, by plain NumPy. Limits: 10 s for
the default method, 60 s for the others; with torch 300 s for a fit and 30 s for its draw; 2 GB each.
"""

import argparse
import inspect
import json
import os
import resource
import subprocess
import sys
from time import perf_counter as clock

import numpy as np
import pandas as pd

from microimpute import Fusion, Survey, impute
from microimpute.errors import MicroImputeError
from microimpute.methods.base import method, methods

DONORS, RECEIVERS, M, CORES = 10_000, 100_000, 5, 2
FLOOR = "floor (NumPy)"
DEFAULT = inspect.signature(impute).parameters["method"].default
#: Seconds in all, seconds of a fit and of a draw with torch, megabytes.
LIMIT, LIMIT_DEFAULT, LIMIT_FIT, LIMIT_DRAW, LIMIT_MB = 60.0, 10.0, 300.0, 30.0, 2048
#: Seconds after which a method's process is ended.
PATIENCE = 900

PREDICTORS = {
    **{f"x{i}": "continuous" for i in range(5)},
    **{"age": "count", "children": "count", "couple": "binary", "region": "categorical", "school": "ordinal"},
}
TARGETS = {
    "home": "semicontinuous",
    "debt": "semicontinuous",
    "business": "semicontinuous",
    "pension": "semicontinuous",
    "income": "continuous",
    "score": "continuous",
    "visits": "count",
    "owner": "binary",
    "sector": "categorical",
    "health": "ordinal",
}


def people(rows: int, seed: int) -> pd.DataFrame:
    """Predictors, targets that depend on them and on each other, and weights."""
    rng = np.random.default_rng([seed, 40])
    x = rng.normal(size=(rows, 5))
    out = pd.DataFrame(x, columns=[f"x{i}" for i in range(5)])
    out["age"], out["children"] = rng.integers(18, 90, rows), rng.poisson(0.9, rows)
    out["couple"], out["school"] = rng.random(rows) < 0.5, rng.integers(4, size=rows)
    out["region"] = np.array([f"region {i}" for i in range(8)])[rng.integers(8, size=rows)]
    common, noise = rng.normal(size=rows), rng.normal(size=(6, rows))
    level = 0.02 * (out["age"] - 50) + 0.3 * out["school"] + 0.5 * x[:, 0] + 0.7 * common

    def some(logit: np.ndarray) -> np.ndarray:
        return rng.random(rows) < 1 / (1 + np.exp(-logit))

    out["home"] = some(level) * np.exp(11.5 + 0.3 * level + 0.5 * noise[0])
    out["debt"] = some(x[:, 1] - 0.02 * (out["age"] - 45)) * np.exp(9 + 0.5 * x[:, 1] + noise[1])
    size = np.exp(10 + 0.5 * level + 1.5 * noise[2])
    out["business"] = some(level - 2) * np.where(rng.random(rows) < 0.1, -0.2, 1.0) * size
    out["pension"] = some(level + x[:, 2]) * np.exp(9 + 0.5 * level) * rng.random(rows) ** (-1 / 1.8)
    out["income"] = np.exp(10 + 0.3 * level + 0.6 * noise[3])
    out["score"] = 50 + 5 * level + 3 * x[:, 3] + 5 * noise[4]
    out["visits"] = rng.poisson(np.exp(0.5 + 0.2 * x[:, 4] + 0.01 * (out["age"] - 50)))
    out["owner"] = np.where(out["home"] > 0, some(level + 2), some(level - 2))
    liking = np.stack([0.5 * level, x[:, 1], x[:, 2], np.zeros(rows), 0.5 * x[:, 3]])
    sectors = np.array([f"sector {i}" for i in range(5)])
    out["sector"] = sectors[np.argmax(liking + rng.gumbel(size=liking.shape), axis=0)]
    out["health"] = np.digitize(level + noise[5] - 0.02 * (out["age"] - 50), [-1, 0, 1, 2])
    out["weight"] = rng.exponential(size=rows) * np.where(out["income"] > out["income"].median(), 0.5, 1.0)
    return out


def fusion() -> Fusion:
    receiver = people(RECEIVERS, 1)[list(PREDICTORS)]
    kinds = PREDICTORS | TARGETS
    return Fusion(Survey(people(DONORS, 0), weight="weight", kinds=kinds), receiver, targets=list(TARGETS))


def measure(name: str) -> dict[str, float | str]:
    """Run one method in this process and say what it took."""
    if name == FLOOR:
        donor = people(DONORS, 0)
        start = clock()
        values, chance = donor[list(TARGETS)].to_numpy(), (donor["weight"] / donor["weight"].sum()).to_numpy()
        for i in range(M):
            values[np.random.default_rng(i).choice(DONORS, RECEIVERS, p=chance)]
        return {"five implicates": clock() - start} | peak()
    ready, apart = fusion(), bool(method(name).requires)
    marks: list[float] = []
    start = clock()
    try:
        impute(ready, method=name, m=1 if apart else M, workers=CORES, progress=lambda *_: marks.append(clock()))
    except MicroImputeError as error:
        return {"refused": str(error)} | peak()
    found: dict[str, float | str] = {} if apart else {"five implicates": clock() - start}
    learning, drawing, after = marks[:3]  # what `impute` tells of the first implicate, and what comes next
    return found | {"first fit": drawing - learning, "first draw": after - drawing} | peak()


def peak() -> dict[str, float | str]:
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def over(name: str, found: dict[str, float]) -> str:
    """Say which limits are broken."""
    limits = {"peak_mb": LIMIT_MB}
    if name != FLOOR:
        limits["five implicates"] = LIMIT_DEFAULT if name == DEFAULT else LIMIT
        if method(name).requires:
            limits |= {"first fit": LIMIT_FIT, "first draw": LIMIT_DRAW}
    return ", ".join(what for what, most in limits.items() if found.get(what, 0.0) >= most) or "no"


def alone(name: str) -> dict[str, float | str]:
    """Measure in a process of its own."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(CORES))
    command = [sys.executable, __file__, "--one", name]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return {"refused": f"ended after {PATIENCE} seconds"}
    if ended.returncode:
        return {"refused": ended.stderr.strip().splitlines()[-1]}
    found: dict[str, float | str] = json.loads(ended.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", help="default: all that make draws")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.one:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
        print(json.dumps(measure(said.one)))
        return
    shown = ("first fit", "first draw", "five implicates")
    print("| method | first fit, s | first draw, s | five implicates, s | peak, MB | over a limit |")
    print("|---|---|---|---|---|---|")
    for name in (FLOOR, *(said.methods or [n for n, cls in methods().items() if cls.valid])):
        found = alone(name)
        if "refused" in found:
            print(f"| {name} | | | | | {found['refused']} |", flush=True)
            continue
        seconds = [f"{found[what]:.2f}" if what in found else "" for what in shown]
        print("| " + " | ".join([name, *seconds, f"{found['peak_mb']:.0f}", over(name, found)]) + " |", flush=True)


if __name__ == "__main__":
    main()
