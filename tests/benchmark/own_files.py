"""A small task of one's own on disk, contenders that misbehave, and a few metrics that are quick."""

from pathlib import Path

import numpy as np
import pandas as pd

from microimpute.benchmark.suite import Contender, Suite
from microimpute.methods.shuffle import Shuffle
from microimpute.metrics.base import metrics
from microimpute.testing import example_donor

ROWS = 120

TASK = """
title = "An example"
donor = "donor.parquet"
truth = "truth.parquet"
weight = "weight"
keys = ["id"]
targets = ["wealth", "debt", "trips", "owner"]
predictors = ["income", "age", "region"]
rules = ["debt requires wealth", "net = wealth - debt"]
groups = ["region"]
[kinds]
trips = "count"
[[figure]]
name = "asset test"
target = "wealth"
threshold = 2000
"""

#: All but the slow ones.
QUICK = {name: cls for name, cls in metrics().items() if name not in ("c2st", "energy_distance")}


def write_task(folder: Path, text: str = TASK, donor=lambda f: f, truth=lambda f: f, name: str = "own") -> Path:
    """Write both files and the TOML file that names them; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = example_donor(2 * ROWS).drop(columns="health")
    donor(rows.iloc[:ROWS].reset_index(drop=True)).to_parquet(folder / "donor.parquet")
    truth(rows.iloc[ROWS:].reset_index(drop=True)).to_parquet(folder / "truth.parquet")
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def suite(*paths: Path | str, methods: tuple[str, ...] = ("hotdeck",), seeds: int = 1, **more) -> Suite:
    contenders = tuple(Contender(m, m) for m in methods)
    return Suite("Small", tuple(map(str, paths)), contenders, seeds=seeds, **{"draws": 4, "fits": 2} | more)


class Raises(Shuffle):
    name = "raises"

    def draw(self, X, rng):
        raise ValueError("no such\ndonor")


class Gaps(Shuffle):
    name = "gaps"

    def draw(self, X, rng):
        return np.where(np.arange(len(X)) % 2 == 0, np.nan, super().draw(X, rng).T).T


class Flat(Shuffle):
    name = "flat"

    def draw(self, X, rng):
        return super().draw(X, rng)[:, 0]


class Unknown(Shuffle):
    name = "unknown"

    def draw(self, X, rng):
        return np.where(np.arange(4) == 3, 7.0, super().draw(X, rng))


class Enormous(Shuffle):
    name = "enormous"

    def draw(self, X, rng):
        return np.where(np.arange(4) == 0, 1e308, super().draw(X, rng))


ODD = {cls.name: cls for cls in (Raises, Gaps, Flat, Unknown, Enormous)}


def same(one: pd.DataFrame, other: pd.DataFrame, **more) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True, **more)
