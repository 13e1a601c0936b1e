"""How large the cells of a cross table Y × Z can be when no file holds both variables.

One file holds X and Y, the other X and Z. What is the same in every joint distribution with these margins is told as
bounds; what lies between them the data can't tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, IntArray, as_weight, coded, same_length
from microimpute.errors import FusionError

__all__ = ["Frechet", "frechet_bounds"]


@dataclass(frozen=True)
class Frechet:
    """Bounds of the shares of a cross table Y × Z; every table has the shape (levels of Y, levels of Z).

    Attributes
    ----------
    y_levels, z_levels
        What the rows and columns of the tables stand for.
    low, high
        Bounds given the margins of Y and Z alone.
    low_given_x, high_given_x
        Bounds given the distributions of Y and of Z within each class of X.
    independent
        The share if Y and Z were independent within each class of X.
    width, width_given_x
        Mean of high − low over the cells, without and with X.
    mismatch
        Half the sum of absolute differences between the two files' shares of the classes of X. Where it is not small
        the files are not of one population, and bounds given X may lie outside those without.
    """

    y_levels: npt.NDArray[np.generic]
    z_levels: npt.NDArray[np.generic]
    low: FloatArray
    high: FloatArray
    low_given_x: FloatArray
    high_given_x: FloatArray
    independent: FloatArray
    mismatch: float

    @property
    def width(self) -> float:
        """Mean width without X."""
        return float(np.mean(self.high - self.low))

    @property
    def width_given_x(self) -> float:
        """Mean width given X."""
        return float(np.mean(self.high_given_x - self.low_given_x))


def frechet_bounds(
    x_of_y: npt.ArrayLike,
    y: npt.ArrayLike,
    x_of_z: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    weight_y: npt.ArrayLike | None = None,
    weight_z: npt.ArrayLike | None = None,
    x_total: npt.ArrayLike | None = None,
) -> Frechet:
    """Bound the shares of a cross table Y × Z from a file with X, Y and a file with X, Z.

    Parameters
    ----------
    x_of_y, y
        Classes of X and of Y in the first file, shape (rows of the first,). Several X are given as one class each
        of their combinations.
    x_of_z, z
        Classes of X and of Z in the second file, shape (rows of the second,).
    weight_y, weight_z
        Weights of the two files; without, every row counts alike.
    x_total
        Weight of each class of X in the population, in the sorted order of the classes of both files. Without, that of
        the two files together, as StatMatch is used.

    Returns
    -------
    Frechet

    Raises
    ------
    FusionError
        If a class of X is in one file only, as nothing is known of the other variable there.

    Notes
    -----
    With p(x) the share of a class, the bounds given X are::

        Σ_x p(x) max(0, p(y|x) + p(z|x) − 1)  ≤  p(y, z)  ≤  Σ_x p(x) min(p(y|x), p(z|x))

    and those without X max(0, p(y) + p(z) − 1) and min(p(y), p(z)), with the margins of each file as they are. The
    bounds hold cell by cell: not all cells can be at their bound at once. They do not carry sampling error.

    Sources: Fréchet (1951); D'Orazio, M., Di Zio, M. and Scanu, M. (2006). Statistical matching for categorical data:
    displaying uncertainty and using logical constraints. Journal of Official Statistics 22, 137–157, eq. (5) and (6);
    the function Frechet.bounds.cat of the R package StatMatch.
    """
    first, second, classes = coded(x_of_y, x_of_z)
    y_levels, y_code = np.unique(np.asarray(y), return_inverse=True)
    z_levels, z_code = np.unique(np.asarray(z), return_inverse=True)
    xy = _table(first, y_code, (len(classes), len(y_levels)), weight_y, "the file of Y")
    xz = _table(second, z_code, (len(classes), len(z_levels)), weight_z, "the file of Z")
    _check_classes(xy.sum(axis=1), xz.sum(axis=1), classes)
    share = _share(x_total, xy.sum(axis=1) + xz.sum(axis=1))
    y_given, z_given = xy / xy.sum(axis=1, keepdims=True), xz / xz.sum(axis=1, keepdims=True)
    both = y_given[:, :, None], z_given[:, None, :]
    margin_y, margin_z = xy.sum(axis=0) / xy.sum(), xz.sum(axis=0) / xz.sum()
    gap = np.abs(xy.sum(axis=1) / xy.sum() - xz.sum(axis=1) / xz.sum()).sum() / 2
    return Frechet(
        y_levels=y_levels,
        z_levels=z_levels,
        low=np.maximum(0.0, margin_y[:, None] + margin_z - 1.0),
        high=np.minimum(margin_y[:, None], margin_z),
        low_given_x=np.tensordot(share, np.maximum(0.0, both[0] + both[1] - 1.0), axes=1),
        high_given_x=np.tensordot(share, np.minimum(*both), axes=1),
        independent=np.einsum("x,xy,xz->yz", share, y_given, z_given),
        mismatch=float(gap),
    )


def _table(
    x: IntArray, code: npt.NDArray[np.integer], shape: tuple[int, int], weight: npt.ArrayLike | None, what: str
) -> FloatArray:
    same_length(what, len(code), len(x))
    of_rows = as_weight(weight, len(x), f"the weight of {what}")
    cell = x * shape[1] + code
    table = np.bincount(cell, weights=of_rows, minlength=shape[0] * shape[1]).reshape(shape)
    return np.asarray(table, dtype=np.float64)


def _check_classes(in_y: FloatArray, in_z: FloatArray, classes: npt.NDArray[np.generic]) -> None:
    for held, lacks in ((in_y, "the file of Y"), (in_z, "the file of Z")):
        if (empty := held <= 0).any():
            shown = ", ".join(repr(str(c)) for c in classes[empty][:5])
            raise FusionError(
                f"{int(empty.sum())} classes of X have no weight in {lacks}, among them {shown}",
                "Merge them with classes that both files hold.",
            )


def _share(given: npt.ArrayLike | None, pooled: FloatArray) -> FloatArray:
    if given is None:
        return np.asarray(pooled / pooled.sum())
    total = as_weight(given, len(pooled), "x_total")
    return np.asarray(total / total.sum())
