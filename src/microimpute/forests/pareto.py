"""The generalised Pareto distribution of the largest amounts, fitted with weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.kinds import Variable

__all__ = ["Tail", "fit_tail", "largest_held"]

FloatArray = npt.NDArray[np.float64]

#: The tail begins above this share of the donors' weight …
SHARE = 0.99
#: … or lower, so that this many effective donors are above (Kish 1965) …
LEAST = 100
#: … but never below this share, nor with fewer effective donors above than this.
LOWEST, FEWEST = 0.9, 20
#: Where so many effective donors are above this share of the weight, they tell the far quantiles themselves.
FAR, ENOUGH = 0.999, 50
#: Where fewer than this share of the amounts above differ, they are heaped.
DIFFERENT = 0.9
#: The shape is kept between these: the end of a finite tail is not its likeliest place, and the mean exists.
SHAPES = (-0.5, 0.9)


@dataclass(frozen=True)
class Tail:
    """What is above the threshold.

    Attributes
    ----------
    law
        float64, shape (4,): threshold, shape and scale of the distribution, and the largest amount that a
        column can hold.
    share
        float64, shape (donors above + 1,): share of the weight above the threshold that donors up to each
        have, in the order of their amounts, from 0 to 1.
    """

    law: FloatArray
    share: FloatArray

    @property
    def count(self) -> int:
        """Number of donors above the threshold."""
        return len(self.share) - 1

    def amount(self, above: npt.NDArray[np.int64], within: FloatArray) -> FloatArray:
        """Draw an amount at a donor's place in the tail.

        Over donors in proportion to weight, these amounts have the fitted distribution.

        Parameters
        ----------
        above
            int64, shape (rows,): places among the donors above the threshold.
        within
            float64 in (0, 1), shape (rows,): where in the donor's share of the tail.
        """
        threshold, shape, scale, largest = self.law
        rest = 1 - self.share[above] - within * (self.share[above + 1] - self.share[above])
        rest = np.maximum(rest, 2.0**-53)
        excess = -np.log(rest) if abs(shape) < 1e-9 else np.expm1(-shape * np.log(rest)) / shape
        return np.asarray(np.minimum(threshold + scale * excess, largest))

    def beyond(self, values: FloatArray, donors: FloatArray, within: FloatArray) -> FloatArray:
        """Draw anew those of some values that are above the threshold, each at its own donors' place in the tail.

        Parameters
        ----------
        values
            float64, shape (rows,): amounts that donors have.
        donors
            float64, shape (donors,): the donors' amounts, ascending.
        within
            float64 in (0, 1), shape (rows,): where in the share of the donors with that amount.
        """
        out = values.copy()
        rows = np.flatnonzero(values > self.law[0])
        highest = donors[len(donors) - self.count :]
        first, end = (np.searchsorted(highest, values[rows], side=side) for side in ("left", "right"))
        place = within[rows] * (end - first)
        above = np.minimum(first + place.astype(np.int64), self.count - 1)
        out[rows] = self.amount(above, place % 1.0)
        return out

    def is_sound(self, donors: int) -> bool:
        """Whether it is a tail of no more than so many donors."""
        if self.law.shape != (4,) or self.share.ndim != 1 or not 1 <= self.count <= donors:
            return False
        threshold, shape, scale, largest = self.law
        law = 0 < threshold <= largest and SHAPES[0] <= shape <= SHAPES[1] and 0 < scale < np.inf
        return bool(law and (np.diff(self.share) >= 0).all() and self.share[0] == 0 and self.share[-1] == 1)


def largest_held(variable: Variable) -> float:
    """Say what the column that draws go to can hold."""
    if variable.dtype is not None and variable.dtype.is_integer():
        return float(min(np.iinfo(str(variable.dtype).lower()).max, 2**53))
    return np.inf


def fit_tail(values: FloatArray, weight: FloatArray, largest: float = np.inf) -> Tail | None:
    """Fit the tail: its scale by weighted maximum likelihood, its shape such that it has the donors' weighted mean.

    Far quantiles are as near the truth as by maximum likelihood alone (docs/peers.md), whose mean, hence every total,
    may lie far from the donors': a shape near one has a mean near infinity. A shape that would leave `SHAPES` stays at
    its end, and the mean is then another.

    The threshold is the weighted 99th percentile; where fewer than 100 effective donors are above it, the
    amount that has 100 above it, but not below the 90th percentile. It must be positive and have 20 effective
    donors with two different amounts above it: without them there is no tail. Nor is there one where 50 effective
    donors are above the 99.9th percentile, as in a survey that samples the rich often: they are the better tail. Nor
    where amounts are heaped at round numbers, which draws between them would miss. Effective donors are (Σw)² / Σw².
    Percentiles count all donors that the target's forest knows, zeros included.

    Parameters
    ----------
    values
        float64, shape (donors,), ascending.
    weight
        float64, shape (donors,), positive.
    largest
        No amount is larger.

    Returns
    -------
    Tail or None
    """
    if not len(values):
        return None
    from_top = weight[::-1].cumsum()[::-1]
    effective = from_top**2 / (weight[::-1] ** 2).cumsum()[::-1]
    share = 1 - from_top / from_top[0]  # of the weight before each donor
    starts = np.flatnonzero((share >= SHARE) & (effective >= LEAST))
    starts = starts if len(starts) else np.flatnonzero((share >= LOWEST) & (effective >= LEAST))[-1:]
    starts = starts if len(starts) else np.flatnonzero(share >= LOWEST)
    if not len(starts):
        return None
    threshold = values[starts[0] - 1] if starts[0] else values[0]
    first = int(np.searchsorted(values, threshold, side="right"))
    if threshold <= 0 or first == len(values) or effective[first] < FEWEST or values[first] == values[-1]:
        return None
    if len(np.unique(values[first:])) < DIFFERENT * (len(values) - first):
        return None
    if effective[min(int(np.searchsorted(share, FAR)), len(values) - 1)] >= ENOUGH:
        return None
    shape, scale = _with_mean(values[first:] - threshold, weight[first:] / from_top[first])
    running = np.concatenate([[0.0], weight[first:].cumsum()]) / weight[first:].sum()
    running[-1] = 1.0
    return Tail(np.array([threshold, shape, scale, max(largest, values[-1])]), np.minimum(running, 1.0))


def _with_mean(excess: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Return the shape, within `SHAPES`, that gives the donors' mean with the likeliest scale, and that scale."""
    scale = _fit(excess, weight)[1]
    return min(max(1 - scale / float(np.sum(weight * excess)), SHAPES[0]), SHAPES[1]), scale


def _fit(excess: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Return shape and scale that maximise the likelihood; weights add up to one.

    Given the ratio of shape to scale, the likeliest shape is the mean of log(1 + ratio·excess) (Grimshaw 1993),
    which leaves a search in one dimension.
    """
    from scipy.optimize import minimize_scalar

    unit = float(excess.max())

    def shape_at(end: float) -> float:
        """Shape, given log(1 + ratio·largest excess)."""
        return float(np.sum(weight * np.log1p(np.expm1(end) * excess / unit)))

    def scale_at(end: float) -> float:
        ratio = np.expm1(end) / unit
        return shape_at(end) / ratio if abs(end) > 1e-9 else float(np.sum(weight * excess))

    def loss(end: float) -> float:
        return float(np.log(scale_at(end))) + shape_at(end)

    # below −3 the finite end would be within a twentieth of the largest excess beyond it
    best = minimize_scalar(loss, bounds=(-3.0, 20.0), method="bounded").x
    shape = min(max(shape_at(best), SHAPES[0]), SHAPES[1])
    if shape == shape_at(best):
        return shape, scale_at(best)
    middle = float(np.interp(0.5, weight.cumsum() - weight / 2, excess))  # the median then fixes the scale
    return shape, middle * shape / float(np.expm1(shape * np.log(2)))
