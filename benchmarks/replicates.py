"""m = 20 × 160 replicate weights of a weighted mean and a Gini on 150,000 rows; beside R's survey and mitools.

    python benchmarks/replicates.py [--rows 150000] [--rscript Rscript]

Ours is `Imputations.pool` on two cores, once for each figure. R gets the same arrays from files, whose reading is not
timed: `survey::svrepdesign` (successive difference), `withReplicates` for the Gini, with the same formula in R, and
`mitools::MIcombine`. R has one process on one core; figures have to agree to 1e-9, or this fails. The floor is the
matrix product that all replicate means need, by NumPy.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter as clock

import numpy as np
import pandas as pd

from microimpute import Imputations, Survey
from microimpute.frames import as_frame
from microimpute.variance import Replicates, gini, mean

M, R = 20, 160

SCRIPT = """
suppressMessages({library(survey); library(mitools)})
args <- commandArgs(TRUE); rows <- as.integer(args[2]); m <- as.integer(args[3]); r <- as.integer(args[4])
get <- function(name, n) readBin(file.path(args[1], name), "double", n)
w <- get("weight", rows); reps <- matrix(get("replicates", rows * r), rows); y <- matrix(get("values", rows * m), rows)
gini <- function(w, data) {
  o <- data$order; v <- data$y[o]; w <- w[o]; s <- cumsum(w * v)
  1 - sum(w * (2 * s - w * v)) / (sum(w) * s[length(s)])
}
start <- proc.time()[["elapsed"]]
designs <- lapply(1:m, function(i) svrepdesign(data = data.frame(y = y[, i]), weights = w, repweights = reps,
  type = "successive-difference", combined.weights = TRUE, mse = TRUE))
class(designs) <- "list"
means <- lapply(designs, function(d) svymean(~y, d))
a <- MIcombine(means)
between <- proc.time()[["elapsed"]]
ginis <- lapply(designs, function(d) {
  d$variables$order <- order(d$variables$y)
  withReplicates(d, gini)
})
b <- MIcombine(lapply(ginis, coef), lapply(ginis, vcov))
end <- proc.time()[["elapsed"]]
cat(sprintf("%.17g", c(coef(a), vcov(a), coef(b), vcov(b), between - start, end - between)))
"""


def arrays(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, replicates of the successive-difference kind, and implicates of a wealth-like amount."""
    rng = np.random.default_rng(7)
    weight = rng.uniform(500, 3000, rows)
    factors = np.array([1.7, 1.0, 0.3])[rng.choice(3, size=(rows, R), p=[0.25, 0.5, 0.25])]
    values = np.where(rng.random((M, rows)) < 0.3, 0.0, rng.lognormal(11, 1.6, size=(M, rows)))
    return weight, weight[:, None] * factors, values


def ours(weight: np.ndarray, many: np.ndarray, values: np.ndarray) -> list[float]:
    receiver = Survey(pd.DataFrame({"row": np.arange(len(weight))}), keys="row")
    implicates = tuple(as_frame(pd.DataFrame({"y": v}))["y"] for v in values)
    imputed = Imputations(receiver, ("y",), {"y": implicates}, {})
    replicates = Replicates(weight, many, "cps asec")
    out, seconds = [], []
    for statistic in (mean, gini):
        start = clock()
        pooled = imputed.pool(statistic, "y", replicates=replicates, workers=2)
        seconds.append(clock() - start)
        out += [pooled.estimate[0], pooled.t[0]]
    return out + seconds


def theirs(weight: np.ndarray, many: np.ndarray, values: np.ndarray, rscript: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        for name, array in (("weight", weight), ("replicates", many.T), ("values", values)):
            np.ascontiguousarray(array).tofile(Path(folder) / name)
        command = [rscript, "-e", SCRIPT, folder, str(len(weight)), str(M), str(R)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(number) for number in told.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--rscript", default="Rscript")
    said = parser.parse_args()
    weight, many, values = arrays(said.rows)
    start = clock()
    for row in values:
        _ = many.T @ row
    floor = clock() - start
    mine, his = ours(weight, many, values), theirs(weight, many, values, said.rscript)
    np.testing.assert_allclose(mine[:4], his[:4], rtol=1e-9)
    print(f"{M} implicates × {R} replicates, {said.rows:,} rows; figures agree to 1e-9.")
    print("| | mean, s | Gini, s | both, s | over the floor |\n|---|---|---|---|---|")
    for name, (a, b) in (("microimpute, two cores", mine[4:]), ("R survey and mitools, one core", his[4:])):
        print(f"| {name} | {a:.2f} | {b:.2f} | {a + b:.2f} | {(a + b) / floor:.1f} |")
    print(f"| floor: the product of weights and values (NumPy) | {floor:.2f} | | {floor:.2f} | 1.0 |")


if __name__ == "__main__":
    main()
