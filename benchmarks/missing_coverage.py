"""Bias and coverage of `impute_missing` by simulation, by method: 250 rows, a mean and a slope.

    python benchmarks/missing_coverage.py [METHOD …] [--repetitions 60] [--mechanisms random by-x y-by-x] [--out FILE]
    python benchmarks/missing_coverage.py --table FILE

y = 1 + x + noise, both truly 1. Four in ten of y are missing, at random or, "by-x", the more surely the larger x is, up
to eight in ten; one in ten of x is missing where y is not ("y-by-x": none of x, one pass is enough). m = 10, four
passes, Rubin's rule with 248 degrees of freedom. METHOD is a name and settings, as in ``qrf,leaf=5``; ``pmm+srmi``
fills y by pmm and x by srmi.
Results are appended to FILE; finished repetitions are not done again.

The table tells bias from variance: "spread" is the standard deviation of pooled estimates over repetitions, "told" the
root mean square of the standard errors that go with them; with told below spread intervals are too narrow whatever the
bias.
"""

import argparse
import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from microimpute import impute_missing, pool
from microimpute.methods.base import Method, method

ROWS, M, PASSES = 250, 10, 4
#: Repetitions after which results are written.
BATCH = 10
FIGURES = ("mean", "slope")
CELL = ("method", "mechanism", "repetition")
COLUMNS = (*CELL, "figure", "estimate", "std_error", "low", "high")


def survey(number: int, mechanism: str) -> pd.DataFrame:
    rng = np.random.default_rng([number, 12])
    x = rng.normal(size=ROWS)
    frame = pd.DataFrame({"x": x, "y": 1 + x + rng.normal(size=ROWS)})
    chance = np.full(ROWS, 0.4) if mechanism == "random" else 0.8 / (1 + np.exp(-2.5 * x))
    lost = rng.random(ROWS) < chance
    frame.loc[lost, "y"] = np.nan
    if mechanism != "y-by-x":
        frame.loc[~lost & (rng.random(ROWS) < 0.1), "x"] = np.nan
    return frame


def analyse(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean of y and slope of y on x: estimates and variances."""
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    centred = x - x.mean()
    square = centred @ centred
    slope = centred @ y / square
    left = y - y.mean() - slope * centred
    return np.array([y.mean(), slope]), np.array([y.var(ddof=1) / ROWS, left @ left / (ROWS - 2) / square])


def made(text: str) -> Method:
    """Make a method of its name and settings."""
    name, *settings = text.split(",")
    said = dict(s.split("=", 1) for s in settings)
    return method(name, {key: json.loads(value) for key, value in said.items()})


def repetition(text: str, mechanism: str, number: int) -> list[list[object]]:
    y, _, x = text.partition("+")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # four passes are few for R-hat
        chosen = {"y": made(y)} if mechanism == "y-by-x" else {"y": made(y), "x": made(x or y)}
        done = impute_missing(survey(number, mechanism), method=chosen, m=M, iterations=PASSES, seed=number, workers=1)
    q, u = zip(*(analyse(done.complete(i + 1)) for i in range(M)), strict=True)
    got = pool(np.array(q), np.array(u), dfcom=ROWS - 2)
    cells = zip(FIGURES, got.estimate, got.std_error, got.low, got.high, strict=True)
    return [[text, mechanism, number, figure, *(float(f"{v:.7g}") for v in numbers)] for figure, *numbers in cells]


def run(said: argparse.Namespace) -> None:
    if not said.out.exists():
        said.out.parent.mkdir(parents=True, exist_ok=True)
        said.out.write_text(",".join(COLUMNS) + "\n")
    have = pd.read_csv(said.out)
    done = set(have[list(CELL)].drop_duplicates().itertuples(index=False, name=None))
    for text in said.methods:
        for mechanism in said.mechanisms:
            left = [i for i in range(said.repetitions) if (text, mechanism, i) not in done]
            for start in range(0, len(left), BATCH):
                part = left[start : start + BATCH]
                found = Parallel(n_jobs=said.workers)(delayed(repetition)(text, mechanism, i) for i in part)
                with said.out.open("a", newline="") as out:
                    csv.writer(out).writerows(row for rows in found for row in rows)
            print(text, mechanism, len(left), "repetitions", flush=True)


def table(file: Path) -> None:
    found = pd.read_csv(file).drop_duplicates([*CELL, "figure"])
    found["covered"] = (found["low"] <= 1) & (found["high"] >= 1)
    for mechanism, here in found.groupby("mechanism", sort=False):
        print(f"\nmissing: {mechanism}\n")
        print("| method | repetitions | " + " | ".join(f"{f}: bias, coverage, told / spread" for f in FIGURES) + " |")
        print("|---" * (len(FIGURES) + 2) + "|")
        for text, cells in here.groupby("method", sort=False):
            parts = [cells[cells["figure"] == figure] for figure in FIGURES]
            told = [
                f"{p['estimate'].mean() - 1:+.3f}, {p['covered'].mean():.3f}, "
                f"{np.sqrt((p['std_error'] ** 2).mean()):.3f} / {p['estimate'].std():.3f}"
                for p in parts
            ]
            print(f"| {text} | {cells['repetition'].nunique()} | " + " | ".join(told) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["srmi", "pmm", "qrf", "forest"], metavar="METHOD")
    parser.add_argument("--repetitions", type=int, default=60)
    parser.add_argument("--mechanisms", nargs="+", default=["random", "by-x"], choices=["random", "by-x", "y-by-x"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/missing_coverage.csv"))
    parser.add_argument("--table", type=Path, help="print the table of such a file instead")
    said = parser.parse_args()
    if said.table:
        table(said.table)
    else:
        run(said)


if __name__ == "__main__":
    main()
