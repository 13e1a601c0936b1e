"""20,000 donors × 10 predictors × 5 targets onto 100,000 receivers, one implicate: time and memory.

    python benchmarks/scale.py

Runs in a process of its own; memory is the peak of that process, interpreter and libraries included. The
floor beside it is a random donor for every receiver by plain NumPy.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from microimpute import Fusion, Survey, impute


def people(rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    X = rng.normal(size=(rows, 10))
    X[:, :3] = np.round(X[:, :3])
    hurdle = rng.random((rows, 5)) < 1 / (1 + np.exp(-X[:, :5]))
    Y = np.where(hurdle, np.exp(9 + X[:, 5:] + rng.normal(size=(rows, 5))), 0)
    return pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y).add_prefix("y")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rng = np.random.default_rng(0)
    X, Y = people(20_000, rng)
    receiver, _ = people(100_000, rng)
    kinds = dict.fromkeys(X, "continuous") | dict.fromkeys(Y, "semicontinuous")
    donor = pd.concat([X, Y], axis=1).assign(w=rng.random(len(X)))
    start = time.perf_counter()
    fusion = Fusion(Survey(donor, weight="w"), receiver, targets=list(Y), kinds=kinds)
    checked = time.perf_counter()
    impute(fusion, m=1)
    done = time.perf_counter()
    probability = (donor["w"] / donor["w"].sum()).to_numpy()
    Y.to_numpy()[rng.choice(len(Y), len(receiver), p=probability)]
    floor = time.perf_counter() - done
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"checking {checked - start:.2f} s, imputing {done - checked:.2f} s (the first use of scikit-learn "
        f"included); floor {floor:.3f} s; peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
