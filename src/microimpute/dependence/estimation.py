"""ρ, the rank correlation of two targets given the predictors, estimated from a file that has both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, IntArray, as_keys, as_matrix, as_numbers, as_weight, same_length
from microimpute.dependence.conditional import TINY, Latent, in_key_order, latent, normal_score, rank_correlation
from microimpute.dependence.priors import Normal
from microimpute.errors import FusionError
from microimpute.keyed import RowRandom, generator

__all__ = ["RhoEstimate", "estimate_rho"]

#: A row whose value takes up more than this of the conditional distribution shares it with others.
TIED = 0.02
#: Rounds of drawing ties and correlating again.
ROUNDS = 30
#: Fewest households that a correlation given the predictors is estimated from.
FEWEST = 100


@dataclass(frozen=True)
class RhoEstimate:
    """A rank correlation given the predictors, with its standard error.

    Attributes
    ----------
    rho
        The estimate.
    se
        Its standard error by a Bayesian bootstrap of households.
    households, rows
        How many it is from.
    explained
        Share of the variance of each target's normal scores that the predictors explain, out of fold, of Y and of Z.
    """

    rho: float
    se: float
    households: int
    rows: int
    explained: tuple[float, float]

    def prior(self, widen: float = 1.0) -> Normal:
        """Return a normal prior around the estimate; `widen` multiplies its standard error.

        An estimate from another population, year or concept deserves a factor above 1.
        """
        return Normal(float(np.clip(self.rho, -0.98, 0.98)), self.se * widen)


def estimate_rho(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    z: npt.ArrayLike,
    keys: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    household: npt.ArrayLike | None = None,
    seed: int = 0,
    resamples: int = 200,
    repeats: int = 5,
) -> RhoEstimate:
    """Estimate ρ from an auxiliary file that has X, Y and Z.

    Parameters
    ----------
    x
        The predictors of the fusion as numbers, shape (rows, k); NaN is a missing value. Leaving out predictors that
        the fusion uses would give the correlation given fewer, which is another one.
    y, z
        The leading columns of the two donors' bundles, shape (rows,).
    keys
        A key per row, all different: numbers or texts.
    weight
        Shape (rows,): counts in ranks, regressions and the correlation.
    household
        Keys of the households; their rows are resampled together and never divided in the cross-fitting.
    seed
        Of ties, cross-fitting and bootstrap.
    resamples
        Bootstrap draws.
    repeats
        The conditional ranks are taken so many times, with other divisions and other ties, and ρ is the mean.

    Returns
    -------
    RhoEstimate

    Raises
    ------
    FusionError
        If there are too few households to say anything.

    Notes
    -----
    ρ is the weighted correlation of the conditional ranks of Y and Z (see `conditional.latent`), the same that
    `reordering.reorder` sets. Where rows have the same value, such as a mass at zero, random ranks would hide a part of
    it. So they are drawn from what the other target says, by the Gaussian copula with the correlation found so far,
    and found again, and so on (data augmentation; with both targets cut it is the tetrachoric correlation).

    The variance is that over bootstraps, which give households exponential weights (Rubin, D. B. (1981). The Bayesian
    bootstrap. Annals of Statistics 9, 130–134) and keep the conditional ranks, plus (1 + 1/R) times that between the R
    repeats. The error of the regressions is in it only as far as their division goes. What they miss of the predictors
    is in ρ, mostly upwards.
    """
    y_all, z_all = as_numbers(y, "Y"), as_numbers(z, "Z")
    rows = len(y_all)
    same_length("Z", len(z_all), rows)
    own = as_keys(keys, rows, "keys")
    order = in_key_order(own)
    by_weight = as_weight(weight, rows, "the auxiliary file's weight")[order]
    unit = (own if household is None else as_keys(household, rows, "keys of households"))[order]
    place = np.unique(unit, return_inverse=True)[1].astype(np.int64)
    if (count := int(place.max()) + 1) < FEWEST:
        raise FusionError(
            f"the auxiliary file has {count} households, too few to estimate rho from",
            f"Give at least {FEWEST}, or a prior.",
        )
    x_all = as_matrix(x, rows, "the predictors")[order]
    draws = np.empty((repeats, 1 + resamples))
    explained = np.empty((repeats, 2))
    exponential = _bootstrap(count, resamples, seed)
    for repeat in range(repeats):
        random = RowRandom(seed, repeat + 1, own[order])
        pair = [latent(v[order], x_all, random, name, by_weight, unit) for name, v in (("y", y_all), ("z", z_all))]
        explained[repeat] = [p.explained for p in pair]
        ranks = _untied(pair[0], pair[1], by_weight, generator(seed, repeat + 1, "ties of rho"))
        draws[repeat] = _correlations(*ranks, by_weight, place, exponential)
    rho = draws[:, 0]
    between = float(rho.var(ddof=1)) * (1 + 1 / repeats) if repeats > 1 else 0.0
    return RhoEstimate(
        rho=float(rho.mean()),
        se=float(np.sqrt(draws[:, 1:].var(axis=1, ddof=1).mean() + between)),
        households=count,
        rows=rows,
        explained=(float(explained[:, 0].mean()), float(explained[:, 1].mean())),
    )


def _untied(one: Latent, other: Latent, weight: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return the conditional ranks, those of ties drawn given the other target's (see the notes of `estimate_rho`)."""
    from scipy.special import ndtr

    ranks = [one.rank, other.rank]
    tied = [np.ptp(v.ends, axis=1) > TIED for v in (one, other)]
    if not (tied[0].any() or tied[1].any()):
        return ranks[0], ranks[1]
    for _ in range(ROUNDS):
        r = 2 * np.sin(np.pi * rank_correlation(ranks[0], ranks[1], weight) / 6)
        for j, (this, rows) in enumerate(zip((one, other), tied, strict=True)):
            centre, left = r * normal_score(ranks[1 - j][rows]), np.sqrt(1 - r * r)
            ends = ndtr((normal_score(np.clip(this.ends[rows], TINY, 1 - TINY)) - centre[:, None]) / left)
            drawn = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * rng.random(len(ends))
            ranks[j] = ranks[j].copy()
            ranks[j][rows] = ndtr(centre + left * normal_score(np.clip(drawn, TINY, 1 - TINY)))
            ranks[j] = np.clip(ranks[j], TINY, 1 - TINY)
    return ranks[0], ranks[1]


def _bootstrap(count: int, resamples: int, seed: int) -> FloatArray:
    return generator(seed, 0, "bootstrap of rho").standard_exponential((resamples, count))


def _correlations(
    one: FloatArray, other: FloatArray, weight: FloatArray, place: IntArray, exponential: FloatArray
) -> FloatArray:
    """Return the correlation of two columns by weight, and by each bootstrap's weights."""
    return np.array(
        [
            rank_correlation(one, other, weight),
            *(rank_correlation(one, other, weight * multiple[place]) for multiple in exponential),
        ]
    )
