"""The full job from the command line: time, memory, bytes with one worker, verification, percentiles.

    python benchmarks/full_job.py --scf SCFP2019.zip --cps cps.csv.gz

Percentiles of imputed net worth stand beside those of SCF households weighted to have the CPS households'
predictors: their weights are multiplied by the odds of being a receiver, as boosted trees see them
(cross-fitted).
"""

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from microimpute.crosswalks.base import crosswalk
from microimpute.surveys.base import connector

RECIPE = Path(__file__).parent.parent / "recipes/scf_to_cps_full.toml"
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def run(arguments: list[str]) -> tuple[float, float, str, str]:
    """Run the command; seconds, peak memory of all children so far in MB, output and progress."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "microimpute.cli", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return time.perf_counter() - start, peak, done.stdout, done.stderr


def hashes(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


def quantiles(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.quantile(values, LEVELS, weights=weight, method="inverted_cdf")


def odds(donor: np.ndarray, receiver: np.ndarray, weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """How much more often a donor's predictors are met among receivers, shape (donors,)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import KFold

    X = np.vstack([donor, receiver])
    label = np.repeat([0, 1], [len(donor), len(receiver)])
    weight = np.concatenate([w / w.mean() * (len(X) / len(w)) for w in weights])
    chance = np.zeros(len(X))
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        model = HistGradientBoostingClassifier(min_samples_leaf=200, learning_rate=0.05, random_state=0)
        model.fit(X[train], label[train], sample_weight=weight[train])
        chance[test] = model.predict_proba(X[test])[:, 1]
    return np.asarray((chance / (1 - chance))[: len(donor)])


def percentiles(scf: Path, cps: Path, out: Path) -> None:
    walk = crosswalk("scf_to_cps_tax_units")
    donor, receiver = walk.harmonise(connector("scf").read(scf), connector("cps_tax_units").read(cps), dollars=2019)
    frame = donor.frame.filter(donor.frame["IMPLICATE"] == 1)
    sides = [np.column_stack([f[p].to_numpy().astype(float) for p in walk.predictors]) for f in (frame, receiver.frame)]
    own, theirs = frame["WGT"].to_numpy(), receiver.weights()
    worth = frame["NETWORTH"].to_numpy()
    alike = own * odds(sides[0], sides[1], (own, theirs))
    imputed = pd.read_parquet(out / "imputations.parquet", columns=["implicate", "NETWORTH"])
    spread = np.array([quantiles(g["NETWORTH"].to_numpy(), theirs) for _, g in imputed.groupby("implicate")])
    print("\n| net worth | " + " | ".join(f"P{100 * q:.0f}" for q in LEVELS) + " | mean |\n" + "|---" * 8 + "|")
    mean = np.average(imputed["NETWORTH"].to_numpy().reshape(len(spread), -1), axis=1, weights=theirs).mean()
    rows = {
        "SCF households": [*quantiles(worth, own), np.average(worth, weights=own)],
        "SCF households weighted to the CPS predictors": [
            *quantiles(worth, alike),
            np.average(worth, weights=alike),
        ],
        "imputed to CPS households": [*spread.mean(axis=0), mean],
    }
    for name, figures in rows.items():
        print(f"| {name} | " + " | ".join(f"{f:,.0f}" for f in figures) + " |")
    effective = alike.sum() ** 2 / (alike**2).sum()
    print(f"\nEffective number of reweighted SCF households: {effective:,.0f} of {len(alike):,}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scf", type=Path, required=True)
    parser.add_argument("--cps", type=Path, required=True)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out, single = Path(scratch) / "run", Path(scratch) / "one worker"
        recipe = ["run", str(RECIPE), "--donor", str(said.scf), "--receiver", str(said.cps), "--out"]
        seconds, peak, _, steps = run([*recipe, str(out)])
        print("\n".join(line for line in steps.splitlines() if line.startswith("[")))
        print(f"\nfull job, report included: {seconds:.1f} s, peak {peak:,.0f} MB")
        again, *_ = run([*recipe, str(single), "--workers", "1"])
        same = "the same" if hashes(out) == hashes(single) else "DIFFERENT"
        print(f"one worker: {again:.1f} s, {same} bytes in {', '.join(hashes(out))}")
        print("verify:\n" + run(["verify", str(out)])[2])
        percentiles(said.scf, said.cps, out)


if __name__ == "__main__":
    main()
