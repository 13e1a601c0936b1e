"""Far quantiles of a heavy-tailed target over repeated donor samples: imputed against the donors' own.

    python benchmarks/tails.py [--samples 200] [--methods forest forest:tail=false qrf qrf:tail=true]

The population's amounts, given predictors, have a Pareto tail of index 1.8 above a log-normal's level. About 1,200
donors are sampled again and again, all with positive amounts: with equal chances, or (--power 0.25) in proportion to a
power of the amount, with weights that undo it. Each time the amounts are imputed to the same 20,000 receivers (a simple
random sample of predictors; m = 5), and the .99, .999 and .9999 quantiles of what is imputed are compared with the
population's true ones, as are the donors' own weighted quantiles. The error is the root mean square of the log of their
ratio; its standard error is the jackknife's, the mean of the logs stands in brackets. `better` is the share of samples
in which a method's log ratio is nearer zero than the donors'.
"""

import argparse
import sys
import time

import numpy as np
import pandas as pd
from settings import parsed

from microimpute import Fusion, Survey, impute
from microimpute.methods.base import method
from microimpute.weighted import quantile

DONORS, RECEIVERS, TRUTH, M = 1_200, 20_000, 20_000_000, 5
INDEX = 1.8
LEVELS = np.array([0.99, 0.999, 0.9999])
KINDS = {"age": "continuous", "schooling": "continuous", "couple": "binary", "wealth": "continuous"}
EMPIRICAL = "donors' own quantile"
METHODS = ["forest", "forest:tail=false", "qrf", "qrf:tail=true"]


def people(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": np.floor(20 + 70 * rng.beta(1.7, 2.2, rows)),
            "schooling": rng.choice([9.0, 12.0, 14.0, 16.0], rows, p=[0.12, 0.26, 0.28, 0.34]),
            "couple": rng.random(rows) < 0.5,
        }
    )


def wealth(frame: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Amounts given predictors: a log-normal level, a quarter of it times a Pareto with the tail's index."""
    z = 10 + 0.015 * (frame["age"] - 50) + 0.1 * (frame["schooling"] - 13) + 0.4 * frame["couple"]
    tail = np.where(rng.random(len(frame)) < 0.25, rng.random(len(frame)) ** (-1 / INDEX), 1.0)
    return np.exp(z.to_numpy() + 0.6 * rng.normal(size=len(frame))) * tail


def truth() -> np.ndarray:
    """Quantiles of a population of 20 million."""
    rng = np.random.default_rng(50)
    parts = [wealth(people(TRUTH // 10, rng), rng) for _ in range(10)]
    return np.asarray(np.quantile(np.concatenate(parts), LEVELS))


def donors(sample: int, power: float) -> pd.DataFrame:
    """Sample with probability in proportion to a power of the amount, and weights that undo it."""
    rng = np.random.default_rng([sample, 51])
    pool = people(20 * DONORS, rng)
    pool["wealth"] = wealth(pool, rng)
    size = pool["wealth"].to_numpy() ** power
    chance = DONORS * size / size.sum()
    taken = rng.random(len(pool)) < chance
    return pool[taken].assign(weight=1 / chance[taken]).reset_index(drop=True)


def row(name: str, ratios: np.ndarray, own: np.ndarray, seconds: float) -> str:
    """One line of the table; `ratios` are logs, shape (samples, levels)."""
    squares, n = ratios**2, len(ratios)
    root = np.sqrt(squares.mean(axis=0))
    left_out = np.sqrt((squares.sum(axis=0) - squares) / (n - 1))
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    nearer = (np.abs(ratios) < np.abs(own)).mean(axis=0)
    cells = [f"{r:.3f} ± {e:.3f} ({b:+.3f})" for r, e, b in zip(root, error, ratios.mean(axis=0), strict=True)]
    shares = ["" if name == EMPIRICAL else f"{s:.2f}" for s in nearer[1:]]
    return "| " + " | ".join([name, *cells, *shares, f"{seconds:.1f}"]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--power", type=float, default=0.0, help="how donors' chances go with their amounts")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="name[:setting=value,…]")
    said = parser.parse_args()
    right = np.log(truth())
    receiver = people(RECEIVERS, np.random.default_rng(52))
    found: dict[str, list[np.ndarray]] = {EMPIRICAL: [], **{name: [] for name in said.methods}}
    spent = dict.fromkeys(found, 0.0)
    for sample in range(said.samples):
        donor = donors(sample, said.power)
        own = quantile(donor["wealth"].to_numpy(), LEVELS, donor["weight"].to_numpy())
        found[EMPIRICAL].append(np.log(own) - right)
        fusion = Fusion(Survey(donor, weight="weight", kinds=KINDS), receiver, targets=["wealth"])
        for name in said.methods:
            start = time.perf_counter()
            drawn = impute(fusion, method=method(*parsed(name)), m=M, seed=sample).numbers("wealth")
            spent[name] += time.perf_counter() - start
            found[name].append(np.log(np.quantile(drawn, LEVELS)) - right)
        print(f"sample {sample + 1} of {said.samples}", file=sys.stderr, end="\r")
    print(f"\n{said.samples} samples of about {DONORS:,} donors, power {said.power:g}")
    print("Log root mean square error ± standard error (bias)\n")
    shown = ["method", *(f"{level:g}" for level in LEVELS), *(f"better at {level:g}" for level in LEVELS[1:]), "s each"]
    print("| " + " | ".join(shown) + " |\n|" + "---|" * len(shown))
    for name, ratios in found.items():
        print(row(name, np.array(ratios), np.array(found[EMPIRICAL]), spent[name] / said.samples))


if __name__ == "__main__":
    main()
