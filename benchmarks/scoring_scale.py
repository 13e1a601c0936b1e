"""Scoring 20 draws × 20,000 rows × 20 targets by all metrics and audits: time by metric, and memory.

    python benchmarks/scoring_scale.py

One thread, one process; memory is its peak, interpreter and libraries included.
"""

import argparse
import resource
import time

import numpy as np
from threadpoolctl import threadpool_limits

from microimpute.kinds import Kind, Table, Variable
from microimpute.metrics.base import Figure, Scored, audits, metrics

M, N, K, P = 20, 20_000, 20, 10


def question() -> Scored:
    rng = np.random.default_rng(0)
    targets = tuple(Variable(f"y{j}", Kind.SEMICONTINUOUS) for j in range(K))
    predictors = tuple(Variable(f"x{j}", Kind.CONTINUOUS) for j in range(P))
    x, donor_x = rng.normal(size=(2, N, P))

    def amounts(x: np.ndarray) -> np.ndarray:
        there = rng.random((N, K)) < 0.6
        return np.where(there, np.exp(9 + x[:, [0]] + rng.normal(size=(N, K))), 0)

    weight = rng.uniform(0.5, 2, N)
    draws = np.stack([amounts(x) for _ in range(M)])
    return Scored(
        X=Table(predictors, x),
        truth=Table(targets, amounts(x)),
        draws=draws,
        weight=weight,
        donor_x=Table(predictors, donor_x),
        donor_y=Table(targets, amounts(donor_x)),
        donor_weight=rng.uniform(0.5, 2, N),
        draw_weight=np.broadcast_to(weight, (M, N)),
        fits=np.repeat(np.arange(5), M // 5),
        groups={"half": (x[:, 0] > 0).astype(int)},
        figures=(Figure("asset test", "y0", 2000.0),),
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    import sklearn.ensemble  # noqa: F401 (limits hold only for libraries that are loaded)

    asked = question()
    total = 0.0
    with threadpool_limits(1):
        for name, cls in {**metrics(), **audits()}.items():
            start = time.perf_counter()
            cls().score(asked) if name in metrics() else cls().measure(asked)
            seconds = time.perf_counter() - start
            total += seconds
            print(f"{name:26} {seconds:6.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'all':26} {total:6.2f} s, peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
