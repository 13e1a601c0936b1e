"""What a peer's script reads and writes; needs numpy and pandas only, so that it runs in every environment.

The folder holds ``question.json``, ``donor.parquet`` and ``receiver.parquet``. Amounts and counts are numbers, and so
are binary and ordinal predictors (their codes); categorical predictors and all targets that are classes are text
("c0", "c1", …; "unknown" for a predictor's class that no donor has). ``donor.parquet`` has a column of weights for
each fit: the donors' weights after that fit's Bayesian bootstrap, as our methods get them.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class Question:
    """Donors, receivers and what is asked."""

    def __init__(self, folder: Path) -> None:
        said = json.loads((folder / "question.json").read_text())
        self.folder = folder
        self.kinds: dict[str, str] = said["kinds"]
        self.levels: dict[str, int] = said["levels"]
        self.predictors: list[str] = said["predictors"]
        self.targets: list[str] = said["targets"]
        self.fits, self.draws, self.seed = said["fits"], said["draws"], said["seed"]
        self.settings: dict[str, Any] = said["settings"]
        self.donor = pd.read_parquet(folder / "donor.parquet")
        self.receiver = pd.read_parquet(folder / "receiver.parquet")

    def is_class(self, column: str) -> bool:
        """Whether a target is a class."""
        return self.kinds[column] in ("binary", "categorical", "ordinal")

    @property
    def text(self) -> list[str]:
        """Columns that hold text."""
        return [c for c in (*self.predictors, *self.targets) if not pd.api.types.is_numeric_dtype(self.donor[c])]

    def weight(self, number: int) -> np.ndarray:
        """Return the weights of the donors for one fit, numbered from 1."""
        return self.donor[f"weight {number}"].to_numpy()

    def resampled(self, number: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw as many donors as there are in proportion to weight: for packages that can't use weights."""
        weight = self.weight(number)
        rows = rng.choice(len(weight), len(weight), p=weight / weight.sum())
        return self.donor.loc[rows, [*self.predictors, *self.targets]].reset_index(drop=True)

    def coded(self, drawn: pd.DataFrame) -> np.ndarray:
        """Turn drawn targets into numbers, shape (rows, targets): classes back into codes."""
        columns = []
        for target in self.targets:
            values = drawn[target]
            if self.is_class(target):
                columns.append(values.astype(str).str.removeprefix("c").astype(np.float64).to_numpy())
            else:
                columns.append(values.to_numpy(np.float64))
        return np.column_stack(columns)


#: Fits once: question, number of the fit → a function that draws for all receivers, codes, shape (rows, targets).
Fit = Callable[[Question, int], Callable[[int], np.ndarray]]


def answer(fit: Fit, *packages: str) -> None:
    """Fit and draw as often as asked, and write draws, seconds, memory and versions."""
    question = Question(Path(sys.argv[1]))
    each = question.draws // question.fits
    drawn, learning, drawing = [], 0.0, 0.0
    for number in range(1, question.fits + 1):
        start = time.perf_counter()
        draw = fit(question, number)
        learnt = time.perf_counter()
        drawn += [draw(again) for again in range(each)]
        learning, drawing = learning + learnt - start, drawing + time.perf_counter() - learnt
    np.save(question.folder / "draws.npy", np.stack(drawn))
    said = {
        "fit seconds": learning,
        "draw seconds": drawing,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {name: version(name) for name in packages},
    }
    (question.folder / "answer.json").write_text(json.dumps(said))


def dummies(question: Question, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Numbers as they are, text as a column per level that a donor has."""
    out = {}
    for column in columns:
        if column in question.text:
            for level in sorted(question.donor[column].unique()):
                out[f"{column} {level}"] = (frame[column] == level).to_numpy(np.float64)
        else:
            out[column] = frame[column].to_numpy(np.float64)
    return pd.DataFrame(out)
