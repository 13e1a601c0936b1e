"""Other packages on the benchmark's tasks, each in an environment of its own, scored as our methods are.

    make peers                                   # makes the environments, .venv-peers/
    python benchmarks/peers.py --data DIR [--tasks wealth_simulator ...] [--seeds 1] [--peers ...] [--methods ...]

A peer gets what our methods get: the donors with the same five resamples of their weights, and the receivers'
predictors; it returns 20 draws. Gates, metrics and anchors are the benchmark's own code. Records are appended to
``OUT/results.jsonl`` in the journal's format, so that `microimpute leaderboard` reads them; finished cells are not
run again: peers' not as long as task, metrics, gates and their scripts stay as they are, whatever becomes of our
methods. A new OUT begins with the committed ``peers.jsonl.gz``. Peers run one at a time, on one core; their seconds are
the processor's, loading included.
"""

import argparse
import datetime
import gzip
import hashlib
import inspect
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import microimpute
from microimpute.benchmark.cell import describe, judge
from microimpute.benchmark.journal import Journal, identity, read, versions
from microimpute.benchmark.own_task import find_task
from microimpute.benchmark.runner import run_suite
from microimpute.benchmark.scores import Scores
from microimpute.benchmark.suite import Cell, Contender, Suite
from microimpute.kinds import Kind, Table
from microimpute.resampling import resample
from microimpute.tasks.base import Problem

HERE = Path(__file__).parent
SCRIPTS = HERE / "peers"
ENVIRONMENTS = Path(os.environ.get("MICROIMPUTE_PEERS", HERE.parent / ".venv-peers"))
COMMITTED = HERE / "peers.jsonl.gz"
TASKS = ("wealth_simulator", "scf_halves", "acs_income", "eusilc_incomes")
DRAWS, FITS, ARM = 20, 5, "split"
#: The benchmark's limit of a cell in seconds (a gate), and how many times that a peer may run before it is ended.
LIMIT, PATIENCE = 600.0, 12


@dataclass(frozen=True)
class Peer:
    """A package's method: its script in ``peers/``, its environment, its settings."""

    script: str
    environment: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return ENVIRONMENTS / self.environment / "bin" / "python"

    def contender(self, label: str) -> Contender:
        """Say what the journal calls it: settings, and hashes of the scripts and of the pinned versions."""
        files = (SCRIPTS / self.script, SCRIPTS / "exchange.py", SCRIPTS / f"{self.environment}.txt")
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
        return Contender(label, "peer", {**self.settings, "script": self.script, "hash": digest})


PEERS = {
    "control: random donor rows": Peer("run_shuffle.py", "quantile_forest"),
    "quantile-forest chain": Peer("run_quantile_forest.py", "quantile_forest"),
    "microimpute 3.1.4 QRF": Peer("run_microimpute.py", "microimpute"),
    "microimpute 3.1.4 zero-inflated QRF": Peer("run_microimpute.py", "microimpute", {"zero_inflated": True}),
    "ctgan package CTGAN": Peer("run_ctgan.py", "ctgan", {"model": "ctgan", "epochs": 300, "pool": 50_000}),
    "ctgan package TVAE": Peer("run_ctgan.py", "ctgan", {"model": "tvae", "epochs": 300, "pool": 50_000}),
}


def frame(table: Table, prefix: str, text: tuple[Kind, ...]) -> pd.DataFrame:
    """Put a table under plain names, classes of some kinds as text."""
    columns: dict[str, Any] = {}
    for at, (variable, values) in enumerate(zip(table.variables, table.values.T, strict=True)):
        if variable.kind in text:
            values = np.array([f"c{v:.0f}" if v >= 0 else "unknown" for v in values], dtype=object)
        columns[f"{prefix}{at}"] = values
    return pd.DataFrame(columns)


def write(problem: Problem, cell: Cell, folder: Path) -> None:
    """Write what `peers/exchange.py` describes."""
    fusion, training = problem.fusion, problem.fusion.training(1)
    targets = (Kind.BINARY, Kind.CATEGORICAL, Kind.ORDINAL)
    donor = pd.concat([frame(training.X, "x", (Kind.CATEGORICAL,)), frame(training.Y, "y", targets)], axis=1)
    for number in range(1, cell.fits + 1):
        own = fusion.training(number)
        if len(fusion.implicates) != 1:
            raise SystemExit(f"{cell.task}: donors have implicates of their own, which peers are not given")
        donor[f"weight {number}"] = resample(own.weight, own.households, cell.seed, number)
    donor.to_parquet(folder / "donor.parquet")
    frame(fusion.receivers, "x", (Kind.CATEGORICAL,)).to_parquet(folder / "receiver.parquet")
    named = [(f"x{i}", v) for i, v in enumerate(training.X.variables)]
    named += [(f"y{i}", v) for i, v in enumerate(training.Y.variables)]
    said = {
        "kinds": {n: v.kind.value for n, v in named},
        "levels": {n: len(v.levels) for n, v in named},
        "predictors": [n for n, _ in named if n.startswith("x")],
        "targets": [n for n, _ in named if n.startswith("y")],
        "fits": cell.fits,
        "draws": cell.draws,
        "seed": cell.seed,
        "settings": {k: v for k, v in cell.contender.settings.items() if k not in ("script", "hash")},
    }
    (folder / "question.json").write_text(json.dumps(said))


def run_peer(peer: Peer, cell: Cell, data: Path | None) -> dict[str, Any]:
    """Ask a peer, and score its answer; what goes wrong in it is its result."""
    problem = find_task(cell.task).problem(cell.seed, cell.arm, data)
    start = _children()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(problem, cell, folder)
        alone = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            ended = subprocess.run(
                [str(peer.python), str(SCRIPTS / peer.script), str(folder)],
                capture_output=True,
                text=True,
                env=alone | one,
                timeout=PATIENCE * LIMIT,
            )
            last = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
            told = last if ended.returncode else ""
        except subprocess.TimeoutExpired:
            told = f"it was ended after {PATIENCE * LIMIT:.0f} seconds"
        if told:
            failed = {"status": "failed", "reason": told, "seconds": round(_children() - start, 3)}
            return describe(problem) | failed | {"gates": {}, "values": {}, "audits": {}}
        drawn = np.load(folder / "draws.npy", allow_pickle=False)
        answer = json.loads((folder / "answer.json").read_text())
    expected = (cell.draws, len(problem.fusion.receivers), len(problem.fusion.targets))
    if drawn.shape != expected:
        raise SystemExit(f"{cell.contender.label} drew the shape {drawn.shape}, not {expected}")
    fits = np.repeat(np.arange(1, cell.fits + 1), cell.draws // cell.fits)
    record = describe(problem) | judge(problem, drawn, fits, cell.seed, _children() - start, LIMIT)
    apart = {"fit_seconds": round(answer["fit seconds"], 3), "draw_seconds": round(answer["draw seconds"], 3)}
    return record | apart | {"peak_mb": answer["peak_mb"], "peer": answer["versions"]}


def judges(task: str) -> str:
    """Hash the code that a peer's result on a task depends on."""
    root = Path(microimpute.__file__).parent
    named = ("benchmark/cell.py", "benchmark/gates.py", "tasks/base.py", "tasks/masking.py", "keyed.py", "weighted.py")
    files = [*(root / name for name in named), *sorted((root / "metrics").glob("*.py"))]
    files.append(Path(inspect.getfile(type(find_task(task)))))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _children() -> float:
    """Return the processor seconds of all peers so far: on one core the same as seconds, and not a shared machine's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_peers(labels: list[str], tasks: list[str], seeds: int, data: Path | None, out: Path) -> None:
    """Run what the journal lacks."""
    journal = Journal(out / "results.jsonl")
    for task in tasks:
        data_hash = find_task(task).data_hash(data)
        for seed in range(seeds):
            for label in labels:
                cell = Cell(task, ARM, seed, PEERS[label].contender(label), DRAWS, FITS)
                said = identity(cell, data_hash) | {"code": judges(task)}
                if journal.find(said) is not None:
                    continue
                stamp = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                said |= {"track": find_task(task).track, "at": stamp, "versions": versions()}
                record = said | run_peer(PEERS[label], cell, data)
                journal.add(record)
                told = "" if record["status"] == "ok" else f": {record['status']}, {record['reason']}"
                print(f"{task}/{ARM} seed {seed} {label} {record['seconds']:.1f} s{told}", file=sys.stderr, flush=True)


def report(out: Path, tasks: list[str]) -> None:
    """Print tables: skill by family on each task and over tasks, gates, time; who ranks above whom."""
    scores = Scores.of(read(out / "results.jsonl"))
    families = scores.families()
    names = [str(f) for f in families.columns]
    cells = scores.cells.set_index(["task", "arm", "seed", "method"])
    for task in (*tasks, ""):
        part = families.groupby(["task", "method"]).mean()
        part = part.loc[task].copy() if task else part.groupby("method").mean()
        part["mean"] = part[names].mean(axis=1)
        print(f"\n### {task or 'Over tasks'}\n")
        shown = ["method", *names, "mean", "rules broken", "off support", "seconds"]
        print("| " + " | ".join(shown) + " |\n|" + "---|" * len(shown))
        for method, row in part.sort_values("mean", ascending=False).iterrows():
            known = cells.loc[[k for k in cells.index if k[3] == method and (not task or k[0] == task)]]
            skill = [f"{row[n]:.3f}" for n in (*names, "mean")]
            gates = [f"{known[g].mean():.2%}" for g in ("edits", "support")]
            print("| " + " | ".join([str(method), *skill, *gates, f"{known['seconds'].mean():.0f}"]) + " |")
    for line in scores.failed.itertuples():
        print(f"\nFailed: {line.method} on {line.task}: {line.reason}")
    ratios(scores)


def ratios(scores: Scores) -> None:
    """Print three errors over the null's: the bundle's energy score, the mean CRPS, the classifier's."""
    own = scores.frame[scores.frame["metric"].isin(["energy_score", "crps", "c2st"])]
    own = own[~own["method"].isin(["null", "oracle"])].assign(ratio=own["value"] / own["null"])
    table = own.groupby(["method", "metric", "task"])["ratio"].mean().unstack(["metric", "task"]).sort_index(axis=1)
    print("\n### Mean error over the null's (lower is better)\n")
    print("| method | " + " | ".join(f"{m}, {t}" for m, t in table.columns) + " |\n|" + "---|" * (1 + table.shape[1]))
    for method, row in table.iterrows():
        print(f"| {method} | " + " | ".join(f"{v:.4f}" for v in row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder below which tasks find their files")
    parser.add_argument("--out", type=Path, default=Path("out/peers"), help="folder for results.jsonl")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--methods", nargs="+", default=["forest", "qrf", "srmi", "pmm"], help="ours, beside them")
    said = parser.parse_args()
    for label in said.peers:
        if not PEERS[label].python.exists():
            raise SystemExit(f"{PEERS[label].python} does not exist: run `make peers` first")
    ours = tuple(Contender(name, name) for name in said.methods)
    said.out.mkdir(parents=True, exist_ok=True)
    if COMMITTED.exists() and not (said.out / "results.jsonl").exists():
        (said.out / "results.jsonl").write_bytes(gzip.decompress(COMMITTED.read_bytes()))
    suite = Suite("Peers", tuple(said.tasks), ours, seeds=said.seeds, draws=DRAWS, fits=FITS, arms=(ARM,), limit=LIMIT)
    run_suite(suite, data=said.data, out=said.out, workers=1, progress=lambda step, share: print(step, file=sys.stderr))
    run_peers(said.peers, said.tasks, said.seeds, said.data, said.out)
    report(said.out, said.tasks)


if __name__ == "__main__":
    main()
