"""A third file C that has both Y and Z: a cross table calibrated to what the two donors say of each.

Renssen's two estimators. Incomplete two-way stratification gives C the margins of Y and Z; synthetic two-way
stratification corrects the table under conditional independence by what C says beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, as_numbers, as_weight, same_length
from microimpute.errors import FusionError

__all__ = ["CrossTable", "Side", "calibrate", "cross_table"]

Distance = Literal["linear", "raking"]

#: Rounds of Newton's method before raking counts as without solution.
ROUNDS = 100
#: How far totals may be from what was asked, as a share of the population.
CLOSE = 1e-8


@dataclass(frozen=True)
class Side:
    """One file: classes of its target or targets, classes of X, and weights, each of shape (rows,).

    Attributes
    ----------
    x
        Class of the row's predictors, taken together.
    y, z
        Class of each target, where the file has it.
    weight
        Weights; without, every row counts alike.
    """

    x: npt.ArrayLike
    y: npt.ArrayLike | None = None
    z: npt.ArrayLike | None = None
    weight: npt.ArrayLike | None = None


@dataclass(frozen=True)
class CrossTable:
    """An estimated cross table Y × Z; tables have the shape (levels of Y, levels of Z) and are totals of weight.

    Attributes
    ----------
    y_levels, z_levels
        What rows and columns stand for.
    independent
        The table under conditional independence given X.
    incomplete, synthetic
        The table by each two-way stratification; None without a file C.
    weight_incomplete, weight_synthetic
        The calibrated weights of C, shape (rows of C,): the tables are C's own by these weights.
    negative
        How many of C's weights are negative after incomplete and after synthetic stratification; linear calibration
        does not prevent it, raking does.
    """

    y_levels: npt.NDArray[np.generic]
    z_levels: npt.NDArray[np.generic]
    independent: FloatArray
    incomplete: FloatArray | None = None
    synthetic: FloatArray | None = None
    weight_incomplete: FloatArray | None = None
    weight_synthetic: FloatArray | None = None
    negative: tuple[int, int] = (0, 0)


def cross_table(a: Side, b: Side, c: Side | None = None, distance: Distance = "linear") -> CrossTable:
    """Estimate the table Y × Z from A with (X, Y), B with (X, Z) and, if there is one, C with (X, Y, Z).

    Parameters
    ----------
    a, b
        The donors' files. The weights of each should give X the same totals; where they do not, X's totals are the
        mean of both by rows, as in StatMatch.
    c
        The auxiliary file, which may be small, old or not representative.
    distance
        ``"linear"`` (generalised regression, weights may be negative) or ``"raking"`` (weights stay positive).

    Returns
    -------
    CrossTable

    Raises
    ------
    FusionError
        If C can't be calibrated, such as when a class of Y is in A and not in C.

    Notes
    -----
    With X, Y, Z as indicators, β and γ the regressions of Y on X in A and of Z on X in B:

    - conditional independence: β′ (X′X) γ;
    - incomplete: C calibrated to the totals of Y in A and of Z in B;
    - synthetic: C calibrated so that Σ w (y z′ − (y − β′x)(z − γ′x)′) is the table under conditional independence:
      that table, corrected by the residuals' own cross product in C.

    Sources: Renssen, R. H. (1998). Use of statistical matching techniques in calibration estimation. Survey Methodology
    24, 171–183; D'Orazio, M., Di Zio, M. and Scanu, M. (2006). Statistical Matching, section 2.2.3; the function
    comb.samples of the R package StatMatch.
    """
    if a.y is None or b.z is None:
        raise FusionError("the first file has no Y or the second no Z", "Give each its own target.")
    classes = np.unique(np.concatenate([np.asarray(s.x) for s in (a, b)]))
    y_levels, z_levels = np.unique(np.asarray(a.y)), np.unique(np.asarray(b.z))
    w_a, w_b = _weight(a, "the first file"), _weight(b, "the second file")
    x_a, x_b = _indicators(a.x, classes, "X", "the first file"), _indicators(b.x, classes, "X", "the second file")
    y_a, z_b = _indicators(a.y, y_levels, "Y", "the first file"), _indicators(b.z, z_levels, "Z", "the second file")
    share = len(w_a) / (len(w_a) + len(w_b))
    beta, gamma = _means(x_a, y_a, w_a, "Y"), _means(x_b, z_b, w_b, "Z")
    of_x = share * (w_a @ x_a) + (1 - share) * (w_b @ x_b)
    independent = (beta * of_x[:, None]).T @ gamma
    if c is None:
        return CrossTable(y_levels, z_levels, independent)
    if c.y is None or c.z is None:
        raise FusionError("the auxiliary file lacks Y or Z", "Give a file with both.")
    w_c = _weight(c, "the auxiliary file")
    x_c = _indicators(c.x, classes, "X", "the auxiliary file")
    y_c = _indicators(c.y, y_levels, "Y", "the auxiliary file")
    z_c = _indicators(c.z, z_levels, "Z", "the auxiliary file")
    simple = calibrate(np.column_stack([y_c, z_c]), w_c, np.r_[w_a @ y_a, w_b @ z_b], distance)
    residual = (y_c - x_c @ beta)[:, :, None] * (z_c - x_c @ gamma)[:, None, :]
    beyond = (y_c[:, :, None] * z_c[:, None, :] - residual).reshape(len(w_c), -1)
    full = calibrate(beyond, w_c, independent.ravel(), distance)
    return CrossTable(
        y_levels,
        z_levels,
        independent,
        (y_c * simple[:, None]).T @ z_c,
        (y_c * full[:, None]).T @ z_c,
        simple,
        full,
        (int((simple < 0).sum()), int((full < 0).sum())),
    )


def _weight(side: Side, what: str) -> FloatArray:
    return as_weight(side.weight, len(np.asarray(side.x)), f"the weight of {what}")


def _indicators(values: npt.ArrayLike, levels: npt.NDArray[np.generic], name: str, what: str) -> FloatArray:
    given = np.asarray(values)
    if len(unknown := np.setdiff1d(given, levels)):
        raise FusionError(
            f"{name} has the level {str(unknown[0])!r} in {what} only",
            "Merge it with a level that the donors have.",
        )
    return np.asarray(given[:, None] == levels, dtype=np.float64)


def _means(x: FloatArray, target: FloatArray, weight: FloatArray, name: str) -> FloatArray:
    """Return shares of the target's levels in each class of X, shape (classes, levels)."""
    same_length(name, len(target), len(x))
    mass = weight @ x
    if (mass <= 0).any():
        raise FusionError(f"{int((mass <= 0).sum())} classes of X are not in the file of {name}", "Merge classes of X.")
    return np.asarray((x * weight[:, None]).T @ target / mass[:, None])


def calibrate(x: FloatArray, weight: FloatArray, totals: FloatArray, distance: Distance = "linear") -> FloatArray:
    """Change weights as little as possible so that they give columns the totals that are asked.

    Parameters
    ----------
    x
        Shape (rows, k); columns may repeat each other as long as the totals do.
    weight
        Shape (rows,).
    totals
        Shape (k,).
    distance
        ``"linear"``: w (1 + x′λ); ``"raking"``: w exp(x′λ).

    Returns
    -------
    numpy.ndarray, shape (rows,)

    Raises
    ------
    FusionError
        If no weights of this form give the totals.

    Notes
    -----
    Source: Deville, J.-C. and Särndal, C.-E. (1992). Calibration estimators in survey sampling. JASA 87, 376–382.
    """
    wanted = as_numbers(totals, "the totals")
    if distance not in ("linear", "raking"):
        raise FusionError(f"the distance {distance!r} is none", "Choose 'linear' or 'raking'.")
    scale = max(float(np.abs(wanted).max()), float(weight.sum()))
    lam = np.zeros(x.shape[1])
    out = weight
    for _ in range(1 if distance == "linear" else ROUNDS):
        step = np.linalg.pinv((x * out[:, None]).T @ x, rcond=1e-11, hermitian=True) @ (wanted - out @ x)
        lam = lam + step
        out = weight * (1 + x @ lam) if distance == "linear" else weight * np.exp(np.clip(x @ lam, -50, 50))
        if np.abs(out @ x - wanted).max() <= CLOSE * scale:
            return np.asarray(out)
    worst = int(np.argmax(np.abs(out @ x - wanted)))
    raise FusionError(
        f"calibration misses the total of column {worst}, {wanted[worst]:,.4g}, by {(out @ x - wanted)[worst]:+,.4g}",
        "Merge classes that the auxiliary file hardly has.",
    )
