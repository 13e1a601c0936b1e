"""How a task hides real truth: rows that receive, rows kept, targets taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.frames import as_frame
from microimpute.fusion import Fusion
from microimpute.kinds import Kind, encode
from microimpute.metrics.base import Figure
from microimpute.survey import Survey
from microimpute.tasks.base import Problem, Sampler

__all__ = ["Design", "divide", "hide", "thin"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Most rows that a side of a task keeps.
MOST = 5_000


def divide(units: npt.NDArray[Any], seed: int, arm: str, score: FloatArray, share: float = 0.5) -> BoolArray:
    """Say which rows receive; rows of one unit stay together.

    Parameters
    ----------
    units
        Shape (rows,): household or consumer unit of each row.
    seed
        Same seed, same division.
    arm
        ``"split"``: each unit receives with probability `share`. ``"selected"``: with the known propensity
        1 / (1 + exp(−1.5 z)), z the unit's standardised rank of `score` (its first row's).
    score
        Shape (rows,): a predictor that selection goes by, such as age or income.
    share
        Share of receivers in the arm ``"split"``.

    Returns
    -------
    numpy.ndarray of bool, shape (rows,)
    """
    _, first, inverse = np.unique(units, return_index=True, return_inverse=True)
    chance = np.full(len(first), share)
    if arm == "selected":
        place = np.argsort(np.argsort(score[first], kind="stable"), kind="stable")
        z = (place - place.mean()) / place.std()
        chance = 1 / (1 + np.exp(-1.5 * z))
    return np.asarray((np.random.default_rng([seed, 20]).random(len(first)) < chance)[inverse])


def thin(units: npt.NDArray[Any], receives: BoolArray, seed: int, most: int = MOST) -> BoolArray:
    """Say which rows to keep so that neither side has more than `most`; rows of one unit stay together.

    Parameters
    ----------
    units, receives
        Shape (rows,): unit of each row, and whether it receives.
    seed
        Same seed, same rows.
    most
        Most rows that a side keeps.

    Returns
    -------
    numpy.ndarray of bool, shape (rows,)
    """
    rng = np.random.default_rng([seed, 21])
    keep = np.zeros(len(units), dtype=np.bool_)
    for side in (False, True):
        rows = np.flatnonzero(receives == side)
        _, inverse, counts = np.unique(units[rows], return_inverse=True, return_counts=True)
        order = rng.permutation(len(counts))
        chosen = np.zeros(len(counts), dtype=np.bool_)
        chosen[order[np.cumsum(counts[order]) <= most]] = True
        keep[rows[chosen[inverse]]] = True
    return keep


@dataclass(frozen=True)
class Design:
    """What a task's columns are.

    Attributes
    ----------
    targets, predictors
        Column → kind; all are declared.
    key
        Column that names a row.
    household
        Column that names its household or consumer unit; default: `key`.
    weight
        Column of weights, if there is one.
    rules
        Edit rules and identities.
    source
        Where the data are from.
    """

    targets: Mapping[str, Kind]
    predictors: Mapping[str, Kind]
    key: str
    household: str = ""
    weight: str | None = None
    rules: Sequence[str] = ()
    source: str = ""


def hide(
    frame: pd.DataFrame,
    receives: BoolArray,
    design: Design,
    *,
    sampler: Sampler | None = None,
    groups: Mapping[str, npt.NDArray[Any]] | None = None,
    figures: Sequence[Figure] = (),
    notes: Sequence[str] = (),
) -> Problem:
    """Make a problem of one table: rows that receive lose their targets, which become the truth.

    Parameters
    ----------
    frame
        All rows, with targets.
    receives
        Shape (rows,): whether a row receives; the others are donors.
    design
        What the columns are.
    sampler, figures, notes
        See `Problem`.
    groups
        Name → whole numbers, shape (rows,), for all rows.
    """
    known = [design.key, design.household, design.weight]
    shared = [*dict.fromkeys(c for c in known if c), *design.predictors]
    about: dict[str, Any] = {
        "weight": design.weight,
        "keys": design.key,
        "household": design.household or design.key,
        "source": design.source,
    }
    held_out = frame.loc[receives].reset_index(drop=True)
    giving = frame.loc[~receives, [*shared, *design.targets]].reset_index(drop=True)
    fusion = Fusion(
        Survey(giving, kinds={**design.predictors, **design.targets}, **about),
        Survey(held_out[shared], kinds=design.predictors, **about),
        targets=list(design.targets),
        predictors=list(design.predictors),
        rules=design.rules,
    )
    hidden = as_frame(held_out)
    return Problem(
        fusion,
        np.column_stack([encode(hidden[t], fusion.variables[t]) for t in fusion.targets]),
        sampler,
        {name: np.asarray(codes)[receives].astype(np.int64) for name, codes in (groups or {}).items()},
        tuple(figures),
        tuple(notes),
    )
