"""What can be had on the three synthetic tasks of one target: skill of draws by someone who knows the truth.

    python benchmarks/ceilings.py benchmarks/results.jsonl.gz [--seeds 2 3 4]

`truth again` draws anew from the true distribution. `split known` knows that only the sign of x1 matters and has the
donors on its side as leaf, resampled for each fit as `impute` does: what a forest gives that finds the split, and
nothing but the split, each time. Null, oracle and the methods beside them are the journal's, of the same seeds.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from microimpute.benchmark.cell import question, score_all
from microimpute.benchmark.journal import read
from microimpute.benchmark.own_task import find_task
from microimpute.benchmark.scores import Scores
from microimpute.tasks.base import Problem

TASKS = ("drf_1", "drf_2", "drf_3")
FITS, EACH = 5, 4
Draws = list[np.ndarray]


def truth_again(problem: Problem, rng: np.random.Generator) -> Draws:
    assert problem.sampler is not None
    return [problem.sampler(rng) for _ in range(FITS * EACH)]


def split_known(problem: Problem, rng: np.random.Generator) -> Draws:
    donor, receiver = problem.fusion.donor.frame, problem.fusion.receiver.frame
    ours, theirs = donor["x1"].to_numpy() > 0, receiver["x1"].to_numpy() > 0
    y = donor["y"].to_numpy()
    draws = []
    for _ in range(FITS):
        weight = rng.exponential(size=len(y))  # the Bayesian bootstrap
        for _ in range(EACH):
            drawn = np.zeros((len(theirs), 1))
            for side in (False, True):
                share = weight[ours == side] / weight[ours == side].sum()
                drawn[theirs == side, 0] = rng.choice(y[ours == side], np.sum(theirs == side), p=share)
            draws.append(drawn)
    return draws


KNOWING: dict[str, Callable[[Problem, np.random.Generator], Draws]] = {
    "truth again": truth_again,
    "split known": split_known,
}


def records(known: list[dict[str, Any]], seeds: list[int]) -> list[dict[str, Any]]:
    """Give the journal's records of the tasks and seeds, and those of who knows the truth."""
    out = [r for r in known if r["task"] in TASKS and r["seed"] in seeds]
    like = {(r["task"], r["seed"]): r for r in out if r["label"] == "forest"}
    for (task, seed), record in like.items():
        problem = find_task(task).problem(seed, "split", None)
        for label, draw in KNOWING.items():
            drawn = np.array(draw(problem, np.random.default_rng([seed, 99])))
            values = score_all(question(problem, drawn, np.repeat(np.arange(FITS), EACH), seed))
            out.append({**record, "label": label, "method": label, "values": values})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    said = parser.parse_args()
    families = Scores.of(records(list(read(*said.results)), said.seeds)).families()
    table = families.groupby(["task", "method"]).mean()
    table["mean"] = table.mean(axis=1)
    shown = [*KNOWING, *(m for m in families.index.unique("method") if m not in KNOWING)]
    print("| method | " + " | ".join(TASKS) + " |\n" + "|---" * (len(TASKS) + 1) + "|")
    for method in shown:
        cells = [f"{table.loc[(t, method), 'mean']:.3f}" for t in TASKS if (t, method) in table.index]
        print(f"| {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
