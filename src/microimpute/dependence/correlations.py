"""Which correlations of Y and Z are possible, given what each has to do with X: positive definiteness decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, as_matrix, as_numbers, as_weight
from microimpute.errors import FusionError

__all__ = ["RhoBounds", "check_correlations", "correlation", "rho_bounds", "rho_range"]

#: How far below zero rounding may take what is not negative.
ROUNDING = 1e-12


@dataclass(frozen=True)
class RhoBounds:
    """What the correlation of Y and Z can be.

    Attributes
    ----------
    low, high
        The ends of the range: the partial correlation given X is −1 and 1 there.
    independent
        The correlation if Y and Z are conditionally independent given X: the middle of the range.
    """

    low: float
    independent: float
    high: float

    def marginal(self, partial: float) -> float:
        """Return the correlation that a partial correlation given X, in [−1, 1], stands for."""
        return self.independent + partial * (self.high - self.low) / 2

    def partial(self, marginal: float) -> float:
        """Return the partial correlation given X that a correlation stands for.

        Raises
        ------
        FusionError
            If the correlation is outside the range, which it says.
        """
        if not self.low <= marginal <= self.high:
            raise FusionError(
                f"a correlation of {marginal:g} is impossible given the correlations with X",
                f"Choose one from {self.low:.4f} to {self.high:.4f}.",
            )
        half = (self.high - self.low) / 2
        return (marginal - self.independent) / half if half > 0 else 0.0


def correlation(columns: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weighted correlation matrix of columns, shape (rows, k) → (k, k)."""
    centred = columns - np.average(columns, axis=0, weights=weight)
    moments = (centred * weight[:, None]).T @ centred
    scale = np.sqrt(np.diag(moments))
    if (flat := scale <= 0).any():
        raise FusionError(f"column {int(np.flatnonzero(flat)[0])} does not vary", "Leave constant columns out.")
    return np.asarray(moments / np.outer(scale, scale))


def rho_range(x: FloatArray, with_y: FloatArray, with_z: FloatArray) -> RhoBounds:
    """Return the range of the correlation of Y and Z.

    Parameters
    ----------
    x
        Correlation matrix of X, shape (k, k), positive definite.
    with_y, with_z
        Correlations of X with Y and with Z, shape (k,).

    Raises
    ------
    FusionError
        If a matrix that is given is impossible by itself.

    Notes
    -----
    With R the correlation matrix of X, a and b its correlations with Y and Z, the matrix of (X, Y, Z) is positive
    semi-definite if and only if::

        | ρ − a′R⁻¹b | ≤ sqrt( (1 − a′R⁻¹a) (1 − b′R⁻¹b) )

    Sources: Moriarity, C. and Scheuren, F. (2001). Statistical matching: a paradigm for assessing the uncertainty in
    the procedure. Journal of Official Statistics 17, 407–422; Rässler, S. (2002). Statistical Matching. Springer,
    section 2.4.
    """
    if np.linalg.eigvalsh(x).min() <= 0:
        raise FusionError("the correlation matrix of X is not positive definite", "Leave out X that repeat others.")
    a, b = np.linalg.solve(x, with_y), np.linalg.solve(x, with_z)
    left = [1.0 - float(with_y @ a), 1.0 - float(with_z @ b)]
    for name, value in zip(("Y", "Z"), left, strict=True):
        if value < -ROUNDING:
            raise FusionError(
                f"the correlations of X with {name} explain more than all of it",
                "Take them, and those within X, from one file.",
            )
    middle = float(with_y @ b)
    half = float(np.sqrt(max(left[0], 0.0) * max(left[1], 0.0)))
    return RhoBounds(middle - half, middle, middle + half)


def rho_bounds(
    x_of_y: npt.ArrayLike,
    y: npt.ArrayLike,
    x_of_z: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    weight_y: npt.ArrayLike | None = None,
    weight_z: npt.ArrayLike | None = None,
) -> RhoBounds:
    """Bound the correlation of Y and Z from a file with X, Y and a file with X, Z.

    Parameters
    ----------
    x_of_y, x_of_z
        Numeric predictors, the same columns in both files, shape (rows of the file, k), without gaps.
    y, z
        Shape (rows of the file,).
    weight_y, weight_z
        Weights of the files; without, every row counts alike.

    Returns
    -------
    RhoBounds

    Notes
    -----
    Correlations within X come from the two files together, each file's weights as they are. See `rho_range` for the
    formula. With ranks in place of amounts these are bounds of the rank correlation of a Gaussian copula only.
    """
    of_y, of_z = as_numbers(y, "Y"), as_numbers(z, "Z")
    first, second = as_matrix(x_of_y, len(of_y), "X beside Y"), as_matrix(x_of_z, len(of_z), "X beside Z")
    if np.isnan(first).any() or np.isnan(second).any() or first.shape[1] != second.shape[1]:
        raise FusionError("X has gaps, or not the same columns in both files", "Fill the gaps and name the same X.")
    w_y, w_z = as_weight(weight_y, len(of_y), "weight of Y"), as_weight(weight_z, len(of_z), "weight of Z")
    within = correlation(np.concatenate([first, second]), np.concatenate([w_y, w_z]))
    a = correlation(np.column_stack([first, of_y]), w_y)[:-1, -1]
    b = correlation(np.column_stack([second, of_z]), w_z)[:-1, -1]
    return rho_range(within, a, b)


def check_correlations(matrix: npt.ArrayLike, names: Sequence[str]) -> FloatArray:
    """Check that a matrix of (partial) correlations is possible, and say what would be.

    Parameters
    ----------
    matrix
        Shape (k, k), symmetric with ones on its diagonal.
    names
        What its rows are, k of them.

    Returns
    -------
    numpy.ndarray, shape (k, k)

    Raises
    ------
    FusionError
        One error that names the pair and the range that the others leave to it; or, where they leave none, how far
        all of a variable's correlations have to shrink.
    """
    out = np.asarray(matrix, dtype=np.float64)
    if out.ndim != 2 or out.shape != (len(names), len(names)) or not np.isfinite(out).all():
        raise FusionError(f"the matrix of correlations has the shape {out.shape}", f"Give {len(names)} × {len(names)}.")
    if not np.allclose(out, out.T, atol=1e-12) or not np.allclose(np.diag(out), 1.0, atol=1e-12):
        raise FusionError("the matrix of correlations is not symmetric with ones on its diagonal", "Mend it.")
    for k in range(1, len(names)):
        within, with_k = out[:k, :k], out[:k, k]
        explained = float(with_k @ np.linalg.solve(within, with_k))
        if explained >= 1.0:
            raise _impossible(within, with_k, explained, names[: k + 1])
    return out


def _impossible(within: FloatArray, with_k: FloatArray, explained: float, names: Sequence[str]) -> FusionError:
    """Return the error for a variable whose correlations with those before it can't hold together."""
    *others, last, this = names
    problem = f"the correlations of {this!r} with {', '.join(map(repr, [*others, last]))} can't hold together"
    if len(with_k) > 1:
        rest = within[:-1, :-1]
        if float(with_k[:-1] @ np.linalg.solve(rest, with_k[:-1])) < 1.0:
            room = rho_range(rest, with_k[:-1], within[:-1, -1])
            return FusionError(
                f"{problem}: that with {last!r} is {with_k[-1]:g}",
                f"Given the others, choose one between {room.low:.4f} and {room.high:.4f}.",
            )
    else:
        return FusionError(f"{problem}: it is {with_k[0]:g}", "Choose one between -1 and 1.")
    return FusionError(problem, f"Multiply them by less than {1 / np.sqrt(explained):.4f}.")
