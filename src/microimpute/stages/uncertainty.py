"""What two donors leave open: correlations and cross tables of their columns, as drawn and between which bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.dependence.bounds import frechet_bounds
from microimpute.dependence.conditional import Latent, latent, rank_correlation
from microimpute.dependence.pairs import PairBounds, presence, product_bounds, standard_ranks
from microimpute.dependence.reordering import neighbourhoods
from microimpute.errors import FusionError
from microimpute.fusion import Fusion
from microimpute.keyed import Keys, RowRandom, generator, hash_columns
from microimpute.stages.drawn import StageDrawn, with_totals
from microimpute.stages.groups import amount_groups
from microimpute.stages.links import shared_predictors

__all__ = ["alike", "latent_or_none", "leading", "sample", "uncertainty"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Most rows that bounds are computed on, drawn from all implicates by weight.
SAMPLE = 20_000
#: Rows of a neighbourhood, about, with fewer than 10,000 rows and from there on.
SIZES = (50, 100)
#: Groups of equal weight that an amount makes in a cross table.
QUARTERS = 4
#: Fewest rows that a rank correlation given the predictors is measured on.
FEWEST = 100


@dataclass(frozen=True)
class _Sampled:
    """Rows of all implicates, in which every row counts alike.

    Attributes
    ----------
    columns
        Column → its values, shape (rows,): amounts, totals, and codes of classes.
    """

    columns: dict[str, FloatArray]
    fusion: Fusion

    def amounts(self) -> list[str]:
        """Columns that can be computed with: amounts, totals, and classes that are 0 and 1."""
        return [c for c in self.columns if not _is_class(self.fusion, c)]

    def matrix(self, names: list[str]) -> FloatArray:
        """Return columns side by side, shape (rows, names)."""
        rows = len(next(iter(self.columns.values())))
        return np.column_stack([np.zeros((rows, 0)), *(self.columns[name] for name in names)])


def leading(fusion: Fusion) -> str:
    """Return the column that stands for a stage: its last derived total, first amount or first target."""
    if fusion.derived:
        return fusion.derived[-1]
    return next((t for t in fusion.targets if not fusion.variables[t].kind.is_class), fusion.targets[0])


def uncertainty(a: StageDrawn, b: StageDrawn, weight: FloatArray) -> dict[str, Any]:
    """Say what is drawn and what is possible for pairs of columns of two stages.

    Parameters
    ----------
    a, b
        The earlier and the later stage, drawn.
    weight
        The receivers', shape (rows,).

    Returns
    -------
    dict
        Plain values: ``rows``, ``neighbourhoods`` and ``median_rows`` of the sample; ``leading``, for each link, or the
        two columns that lead, the rank correlation given the predictors as drawn and the cross table with its Fréchet
        bounds; ``columns``, for every pair that can be computed with, the rank correlation and the share of rows that
        have both, each as drawn, least, independent and most; ``left_out``, classes that have no such figures.

    Notes
    -----
    Neighbourhoods are leaves of one tree of the predictors that both surveys have, bridges left out (see
    `dependence.reordering`). Given the predictors, any rank correlation from −1 to 1 agrees with both donors; bounds
    are those of the rank correlation without them, over all pairings within neighbourhoods.
    """
    rows, implicate, keys = sample(b.first.receiver_keys, weight, len(b.drawn.values), b.drawn.seed)
    one, other = (_Sampled(_columns(s, rows, implicate), s.first) for s in (a, b))
    bridges = tuple(bridge.name for bridge in b.stage.bridges)
    x = shared_predictors(b.first, bridges)[rows]
    random = RowRandom(b.drawn.seed, 1, keys)
    unit = b.first.receiver_keys[rows]
    pairs = _leads(a, b)
    seen = {pair[k]: _latent((one, other)[k], pair[k], x, random, unit) for pair in pairs for k in (0, 1)}
    others = np.hstack([s.matrix(s.amounts()) for s in (one, other)])
    group = alike(x, list(seen.values()), others, RowRandom(b.drawn.seed, 1, unit))
    sizes = np.bincount(group)
    return {
        "rows": len(rows),
        "neighbourhoods": len(sizes),
        "median_rows": float(np.median(sizes)),
        "leading": [_lead(one, other, pair, seen, group) for pair in pairs],
        "columns": _all_pairs(one, other, group),
        "left_out": [c for s in (one, other) for c in s.columns if c not in s.amounts()],
    }


def sample(keys: Keys, weight: FloatArray, m: int, seed: int) -> tuple[IntArray, IntArray, Keys]:
    """Draw rows of all implicates with chances in proportion to weight, systematically in an order that is random.

    Parameters
    ----------
    keys, weight
        The receivers', shape (rows,).
    m
        Number of implicates.
    seed
        Of the run.

    Returns
    -------
    rows, implicates, keys
        Shape (sample,), at most `SAMPLE`; implicates from 0, keys all different.
    """
    pool = np.concatenate([hash_columns([keys, np.full(len(keys), i)], len(keys)) for i in range(m)])
    order = np.argsort(pool, kind="stable")
    running = np.cumsum(np.tile(weight, m)[order])
    size = min(SAMPLE, len(pool))
    start = generator(seed, 0, "sample of pairs").random()
    at = np.searchsorted(running, (np.arange(size) + start) / size * running[-1], side="right")
    chosen = order[np.minimum(at, len(pool) - 1)]
    again = np.arange(size) - np.searchsorted(at, at)  # heavy rows come several times
    return chosen % len(keys), chosen // len(keys), hash_columns([pool[chosen], again], size)


def _columns(one: StageDrawn, rows: IntArray, implicate: IntArray) -> dict[str, FloatArray]:
    return with_totals(one.first, dict(zip(one.first.targets, one.drawn.values[implicate, rows].T, strict=True)))


def _is_class(fusion: Fusion, column: str) -> bool:
    """Say whether a column's numbers are codes that mean nothing by themselves."""
    variable = fusion.variables.get(column)
    return variable is not None and variable.kind.is_class and variable.levels not in ((0, 1), (False, True))


def _leads(a: StageDrawn, b: StageDrawn) -> list[tuple[str, str]]:
    """Return the pairs that are linked, else the two columns that lead."""
    linked = [(link.first, link.second) for link in b.linker.links if link.first in a.stage.gives()]
    return linked or [(leading(a.first), leading(b.first))]


def _latent(side: _Sampled, column: str, x: FloatArray, random: RowRandom, unit: Keys) -> Latent | None:
    return None if _is_class(side.fusion, column) else latent_or_none(side.columns[column], x, column, random, unit)


def latent_or_none(values: FloatArray, x: FloatArray, name: str, random: RowRandom, unit: Keys) -> Latent | None:
    """Return the normal variable behind a column; None for few rows, one value, or if predictors leave nothing."""
    if np.ptp(values) == 0 or len(values) < FEWEST:
        return None
    try:
        return latent(values, x, random, name, np.ones(len(values)), unit)
    except FusionError:  # nothing is left given the predictors: no correlation either
        return None


def alike(x: FloatArray, leads: Sequence[Latent | None], others: FloatArray, random: RowRandom) -> IntArray:
    """Group rows that are alike in what predictors say of columns, shape (rows,).

    Parameters
    ----------
    x
        Predictors, shape (rows, k).
    leads
        Columns that count as much as all others together; None stands for one that has no ranks.
    others
        Shape (rows, columns), maybe none.
    random
        Random numbers of the rows, or of their households, which then stay together.
    """
    varying = others[:, np.ptp(others, axis=0) > 0]
    known = [lead for lead in leads if lead is not None]
    if not known and not varying.shape[1]:
        return np.zeros(len(x), dtype=np.int64)
    return neighbourhoods(x, known, varying if varying.shape[1] else None, SIZES[len(x) >= 10_000], random)


def _lead(
    one: _Sampled, other: _Sampled, pair: tuple[str, str], seen: dict[str, Latent | None], group: IntArray
) -> dict[str, Any]:
    """Return one pair's rank correlation given the predictors and its cross table, with bounds."""
    first, second = seen[pair[0]], seen[pair[1]]
    rho = rank_correlation(first.rank, second.rank, np.ones(len(group))) if first and second else None
    (y, of_y), (z, of_z) = (_classes(s, c) for s, c in zip((one, other), pair, strict=True))
    found = frechet_bounds(group, y, group, z)
    drawn = np.zeros((len(of_y), len(of_z)))
    np.add.at(drawn, (y, z), 1 / len(y))
    return {
        "first": pair[0],
        "second": pair[1],
        "rho": _number(rho),
        "cross": {
            "rows": of_y,
            "columns": of_z,
            **{
                name: [[_number(v) for v in row] for row in table]
                for name, table in (
                    ("drawn", drawn),
                    ("least", found.low_given_x),
                    ("independent", found.independent),
                    ("most", found.high_given_x),
                )
            },
        },
    }


def _classes(side: _Sampled, column: str) -> tuple[IntArray, list[str]]:
    """Return each row's class, 0, 1, …, and how the classes are called: levels, or groups of equal weight."""
    values = side.columns[column]
    variable = side.fusion.variables.get(column)
    if variable is not None and variable.kind.is_class:
        levels, code = np.unique(values.astype(np.int64), return_inverse=True)
        return code.astype(np.int64), [str(variable.levels[k]) for k in levels]
    return amount_groups(values, np.ones(len(values)), QUARTERS)


def _all_pairs(one: _Sampled, other: _Sampled, group: IntArray) -> list[dict[str, Any]]:
    names = one.amounts(), other.amounts()
    if not all(names):
        return []
    sides = [s.matrix(chosen) for s, chosen in zip((one, other), names, strict=True)]
    ranks = product_bounds(standard_ranks(sides[0]), standard_ranks(sides[1]), group)
    both = product_bounds(presence(sides[0]), presence(sides[1]), group)
    return [
        {"first": y, "second": z, "rank_correlation": _four(ranks, j, k), "both": _four(both, j, k)}
        for j, y in enumerate(names[0])
        for k, z in enumerate(names[1])
    ]


def _four(found: PairBounds, j: int, k: int) -> dict[str, float | None]:
    return {name: _number(table[j, k]) for name, table in vars(found).items()}


def _number(value: float | None) -> float | None:
    """Write a figure with four decimals; None where there is none."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
