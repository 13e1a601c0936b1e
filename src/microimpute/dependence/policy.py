"""Least and largest value of a user's own figure E f(Y, Z) over all joint distributions that the data allow.

What the data say is how Y and Z are each distributed among receivers alike. Which Y meets which Z within a
neighbourhood they do not say, so each pairing there is as good as any other, and the figure's extremes over pairings
are its bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, IntArray, as_numbers, as_weight, same_length
from microimpute.errors import FusionError
from microimpute.keyed import generator

__all__ = ["FigureBounds", "figure_bounds", "shape_of"]

Figure = Callable[[FloatArray, FloatArray], FloatArray]
Shape = Literal["supermodular", "submodular", "other"]

#: Points per side of the grid on which the shape of a figure is looked at.
GRID = 48
#: Most rows of a neighbourhood of which all pairings are compared; larger ones are thinned to so many.
POINTS = 100


@dataclass(frozen=True)
class FigureBounds:
    """What a weighted mean of f(Y, Z) can be.

    Attributes
    ----------
    low, high
        Its bounds, with the neighbourhoods as they are.
    independent
        Its value if Y and Z are independent within each neighbourhood.
    drawn
        Its value as Y and Z stand beside each other in the rows given.
    shape
        What was used of f: ``"supermodular"`` or ``"submodular"``, where sorting is exact, or ``"other"``.
    told
        Whether the shape was told by the caller; else it was seen on a grid, which is no proof.
    neighbourhoods, median_rows
        How many neighbourhoods, and rows in a usual one. With few rows each (below some 30) the bounds are too narrow,
        with few neighbourhoods too wide for what the predictors say.
    thinned
        Neighbourhoods in which pairings were compared on `POINTS` points instead of all rows.
    method
        One sentence for the report.
    """

    low: float
    high: float
    independent: float
    drawn: float
    shape: Shape
    told: bool
    neighbourhoods: int
    median_rows: float
    thinned: int
    method: str


def figure_bounds(
    figure: Figure,
    y: npt.ArrayLike,
    z: npt.ArrayLike,
    neighbourhood: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    shape: Shape | None = None,
    seed: int = 0,
) -> FigureBounds:
    """Bound the weighted mean of f(Y, Z) over all pairings of Y and Z within neighbourhoods.

    Parameters
    ----------
    figure
        f(y, z) → values, element by element on arrays that broadcast: such as ``lambda y, z: z * (y > top)`` for what
        those above a threshold of wealth spend. A ratio to the total of one variable is such a mean by a constant.
    y, z
        What was drawn for the receivers from the two donors, shape (rows,). Rows of several implicates one below the
        other make the bounds less dependent on single draws.
    neighbourhood
        Number or name of each row's neighbourhood, such as `Reordered.neighbourhood`, shape (rows,).
    weight
        Shape (rows,); a row's weight goes with its Y and with its Z.
    shape
        Whether f rewards (``"supermodular"``: its mixed second difference is nowhere negative) or penalises
        (``"submodular"``) that large Y meet large Z. None: looked at on a grid of the data's quantiles.
    seed
        Of the thinning of large neighbourhoods and of the value under independence.

    Returns
    -------
    FigureBounds

    Notes
    -----
    With p the weighted distributions within a neighbourhood, this is the transport problem of Kantorovich::

        max or min over joints π with margins p_Y, p_Z of  Σ π(y, z) f(y, z)

    - supermodular and submodular f: the largest (least) value is at the comonotone pairing, and the least (largest) at
      the antimonotone one (Cambanis, S., Simons, G. and Stout, W. (1976). Zeitschrift für Wahrscheinlichkeitstheorie
      36, 285–294). Both are found by sorting, exactly, with any weights.
    - other f: an assignment of rows with equal weights is an extreme point of the problem. Neighbourhoods of at most
      100 rows of equal weight are solved exactly; others on 100 points each, systematic in the order of Y and of Z, so
      that margins are right to 1/100 of the neighbourhood's weight. The mean of f on those points is compared with that
      on all rows through `independent`.

    Bounds are for the draws given: they carry no sampling error. Pooling over implicates adds it.
    """
    of_y, of_z = as_numbers(y, "Y"), as_numbers(z, "Z")
    rows = len(of_y)
    same_length("Z", len(of_z), rows)
    group = np.unique(np.asarray(neighbourhood), return_inverse=True)[1].astype(np.int64)
    same_length("the neighbourhood", len(group), rows)
    by_weight = as_weight(weight, rows, "the weight")
    used = by_weight > 0
    of_y, of_z, by_weight = of_y[used], of_z[used], by_weight[used] / by_weight.sum()
    group = np.unique(group[used], return_inverse=True)[1].astype(np.int64)
    f = _checked(figure, of_y, of_z)
    seen: Shape = shape or shape_of(f, of_y, of_z)
    if seen not in ("supermodular", "submodular", "other"):
        raise FusionError(f"the shape {seen!r} is none", "Say 'supermodular', 'submodular' or 'other', or nothing.")
    thinned = 0
    if seen == "other":
        low, high, thinned = _by_assignment(f, of_y, of_z, by_weight, group, seed)
        how = f"assignment within neighbourhoods, on {POINTS} points in {thinned:,} of them"
    else:
        with_sorted, against = (_coupled(f, of_y, of_z, by_weight, group, turn) for turn in (1, -1))
        low, high = (against, with_sorted) if seen == "supermodular" else (with_sorted, against)
        how = "sorting within neighbourhoods, exact" + ("" if shape else f" if the figure is {seen}, as on a grid")
    sizes = np.bincount(group)
    return FigureBounds(
        low=low,
        high=high,
        independent=_independent(f, of_y, of_z, by_weight, group, seed),
        drawn=float(np.sum(by_weight * f(of_y, of_z))),
        shape=seen,
        told=shape is not None,
        neighbourhoods=len(sizes),
        median_rows=float(np.median(sizes)),
        thinned=thinned,
        method=f"Least and largest value over all pairings: {how}.",
    )


def shape_of(figure: Figure, y: FloatArray, z: FloatArray) -> Shape:
    """Look at mixed second differences of f between neighbouring quantiles of Y and Z: of one sign, or not."""
    levels = (np.arange(GRID) + 0.5) / GRID
    ys, zs = (np.unique(np.r_[v.min(), np.quantile(v, levels), v.max()]) for v in (y, z))
    values = np.asarray(figure(ys[:, None], zs[None, :]), dtype=np.float64)
    mixed = np.diff(np.diff(np.broadcast_to(values, (len(ys), len(zs))), axis=0), axis=1)
    little = 1e-9 * max(float(np.abs(values).max()), 1e-300)
    if (mixed >= -little).all():
        return "supermodular"
    return "submodular" if (mixed <= little).all() else "other"


def _checked(figure: Figure, y: FloatArray, z: FloatArray) -> Figure:
    def f(one: FloatArray, other: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):  # what is not finite is told below
            out = np.asarray(figure(one, other), dtype=np.float64)
        out = np.broadcast_to(out, np.broadcast_shapes(one.shape, other.shape))
        if not np.isfinite(out).all():
            raise FusionError("the figure is missing or infinite for some Y and Z", "Make it finite for all of them.")
        return out

    one, other = y[:7], z[:7]
    listed = f(np.repeat(one, len(other)), np.tile(other, len(one))).reshape(len(one), -1)
    if not np.allclose(f(one[:, None], other[None, :]), listed, rtol=1e-9, atol=0):
        raise FusionError("the figure is not the same row by row and for all pairs", "Let it work element by element.")
    return f


def _coupled(f: Figure, y: FloatArray, z: FloatArray, weight: FloatArray, group: IntArray, turn: int) -> float:
    """Return Σ w f over the pairing in which Z rises (turn 1) or falls (−1) with Y within each group, weights split."""
    by_y, by_z = np.lexsort((y, group)), np.lexsort((turn * z, group))
    ends = [np.cumsum(weight[order]) for order in (by_y, by_z)]
    # Sums in different orders differ by rounding; both sides meet again where a group ends.
    last = np.cumsum(np.bincount(group)) - 1
    ends[1][last] = ends[0][last]
    edges = np.union1d(ends[0], ends[1])
    piece = np.diff(np.r_[0.0, edges])
    middle = edges - piece / 2
    at = [np.minimum(np.searchsorted(e, middle), len(y) - 1) for e in ends]
    return float(np.sum(piece * f(y[by_y[at[0]]], z[by_z[at[1]]])))


def _independent(f: Figure, y: FloatArray, z: FloatArray, weight: FloatArray, group: IntArray, seed: int) -> float:
    """Return Σ w f with each Y beside Z of its neighbourhood drawn by weight, the mean of several random pairings."""
    rng = generator(seed, 0, "independent figure")
    order = np.argsort(group, kind="stable")
    running = np.cumsum(weight[order])
    counts = np.bincount(group)
    start = np.r_[0.0, running[np.cumsum(counts) - 1]]
    times = int(np.clip(2_000_000 // len(y), 20, 400))
    total = 0.0
    for _ in range(times):
        level = start[group] + rng.random(len(y)) * (start[group + 1] - start[group])
        partner = order[np.minimum(np.searchsorted(running, level), len(y) - 1)]
        total += float(np.sum(weight * f(y, z[partner])))
    return total / times


def _by_assignment(
    f: Figure, y: FloatArray, z: FloatArray, weight: FloatArray, group: IntArray, seed: int
) -> tuple[float, float, int]:
    """Return least and largest Σ w f, and in how many neighbourhoods it is on points instead of rows."""
    from scipy.optimize import linear_sum_assignment

    rng = generator(seed, 0, "points of a figure")
    order = np.argsort(group, kind="stable")
    low = high = 0.0
    thinned = 0
    for rows in np.split(order, np.cumsum(np.bincount(group))[:-1]):
        mass = weight[rows]
        if len(rows) <= POINTS and np.ptp(mass) <= 1e-12 * mass.max():
            one, other = y[rows], z[rows]
        else:
            one, other = (_points(v[rows], mass, float(rng.random())) for v in (y, z))
            thinned += 1
        values = f(one[:, None], other[None, :])
        share = float(mass.sum()) / len(one)
        low += share * float(values[linear_sum_assignment(values)].sum())
        high += share * float(values[linear_sum_assignment(values, maximize=True)].sum())
    return low, high, thinned


def _points(values: FloatArray, mass: FloatArray, start: float) -> FloatArray:
    """Return `POINTS` values that stand for equal weights: systematic in the order of the values."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(mass[order])
    levels = (np.arange(POINTS) + start) / POINTS * running[-1]
    return np.asarray(values[order[np.minimum(np.searchsorted(running, levels), len(values) - 1)]])
