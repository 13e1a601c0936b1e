"""Whether the chains have converged: R-hat and autocorrelation of what was drawn, pass by pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution
from scipy.stats import norm, rankdata

from microimpute.errors import SurveyError
from microimpute.imputations import Imputations

__all__ = ["LIMIT", "Convergence", "ConvergenceWarning", "autocorrelation", "convergence", "r_hat"]

FloatArray = npt.NDArray[np.float64]
#: Target → statistic → one list per implicate, of one number per pass; None where nothing was drawn.
Trace = Mapping[str, Mapping[str, Sequence[Sequence[float | None]]]]

#: R-hat above this says that chains have not mixed (Gelman et al. 2013, sec. 11.4).
LIMIT = 1.1
#: Chance at which chains of independent passes may be called unmixed, over all of a run's figures.
ALARM = 0.01


class ConvergenceWarning(UserWarning):
    """Chains differ by more than they move: more passes are needed, or the model is circular."""


@dataclass(frozen=True)
class Convergence:
    """How each target's mean and standard deviation went, pass by pass in each implicate.

    Attributes
    ----------
    trace
        Target → ``"mean"`` or ``"sd"`` → array of shape (implicates, passes): the weighted mean and standard
        deviation of what was drawn; of an unordered class, those of being its most common level.
    """

    trace: Mapping[str, Mapping[str, FloatArray]] = field(repr=False)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per target and statistic, see `table`; NaN where there is nothing to tell by."""
        figures = [(t, s, np.asarray(c)) for t, two in self.trace.items() for s, c in two.items()]
        out = []
        for target, statistic, chains in figures:
            found = r_hat(chains)
            count, passes = _split(chains).shape
            bound = max(LIMIT, _by_chance(count, passes, ALARM / len(figures)))
            out.append(
                {
                    "target": target,
                    "statistic": statistic,
                    "r_hat": found,
                    "limit": bound,
                    "autocorrelation": autocorrelation(chains),
                    "mixed": None if np.isnan(found) else found <= bound,
                }
            )
        return out

    def table(self) -> Any:
        """Return a pandas frame, one row per target and statistic.

        ``r_hat``: see `r_hat`. ``limit``: 1.1, or what chains so few and short exceed by chance alone once in a
        hundred runs, if that is more. ``autocorrelation``: of one pass with the next. ``mixed``: whether R-hat is
        within the limit; None where chains are too few or short to tell.
        """
        import pandas as pd

        return pd.DataFrame(self.rows)

    @property
    def unmixed(self) -> list[str]:
        """Targets of which a statistic's R-hat is above its limit."""
        return list(dict.fromkeys(row["target"] for row in self.rows if row["mixed"] is False))


def convergence(imputations: Imputations) -> Convergence:
    """Return how the chains went that `impute_missing` ran, also of imputations that were loaded again.

    Raises
    ------
    SurveyError
        If there was no chain: the pattern was monotone, or the imputations came from a donor.
    """
    trace: Trace = imputations.manifest.get("trace", {})
    if not trace:
        raise SurveyError("these imputations took no passes", "Only what impute_missing draws in passes has chains.")
    arrays = {t: {s: np.array(c, dtype=np.float64) for s, c in two.items()} for t, two in trace.items()}
    return Convergence(arrays)


def r_hat(chains: FloatArray) -> float:
    """Return the split R-hat of some chains.

    Chains are split in halves (from four passes on), and the square root of total over within variance is taken: of
    the values (Gelman et al. 2013, sec. 11.4), of the normal scores of their ranks, and of those of their distance
    from the median (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, Bayesian Analysis 16). The largest counts:
    ranks see what has heavy tails, but in chains of a few passes they hardly differ.

    Parameters
    ----------
    chains
        float64, shape (chains, passes).

    Returns
    -------
    float
        1 where nothing moves or differs, infinite where chains differ and none moves, NaN with fewer than two
        passes or chains or where a value is NaN.
    """
    split = _split(chains)
    if min(split.shape) < 2 or np.isnan(split).any():
        return float("nan")
    folded = np.abs(split - np.median(split))
    return max(map(_plain_r_hat, (split, _scores(split), _scores(folded))))


def autocorrelation(chains: FloatArray) -> float:
    """Return the correlation of one pass with the next, each chain around its own mean.

    Parameters
    ----------
    chains
        float64, shape (chains, passes).

    Returns
    -------
    float
        NaN with fewer than three passes, or where nothing moves.
    """
    if chains.shape[1] < 3 or np.isnan(chains).any():
        return float("nan")
    centred = chains - chains.mean(axis=1, keepdims=True)
    total = float(np.sum(centred**2))
    return float(np.sum(centred[:, 1:] * centred[:, :-1]) / total) if total > 0 else float("nan")


def _split(chains: FloatArray) -> FloatArray:
    """Make two chains of each, without the pass in the middle of an odd number; short ones stay whole."""
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, -half:]]) if half >= 2 else chains


def _scores(values: FloatArray) -> FloatArray:
    rank = rankdata(values).reshape(values.shape)
    return np.asarray(norm.ppf((rank - 0.375) / (values.size + 0.25)))


def _plain_r_hat(chains: FloatArray) -> float:
    passes = chains.shape[1]
    within = float(chains.var(axis=1, ddof=1).mean())
    between = float(chains.mean(axis=1).var(ddof=1))
    if within <= 0:
        return float("inf") if between > 0 else 1.0
    return float(np.sqrt((passes - 1) / passes + between / within))


def _by_chance(chains: int, passes: int, chance: float) -> float:
    """Return the R-hat that chains of independent passes exceed with that chance; NaN where there is none."""
    if chains < 2 or passes < 2:
        return float("nan")
    ratio = float(f_distribution.isf(chance, chains - 1, chains * (passes - 1)))
    return float(np.sqrt((passes - 1 + ratio) / passes))


def figures(trace: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, dict[str, list[list[float | None]]]]:
    """Turn traces into plain values for a manifest."""
    return {t: {s: list(_plain(chains)) for s, chains in two.items()} for t, two in trace.items()}


def _plain(chains: FloatArray) -> Iterator[list[float | None]]:
    for chain in chains:
        yield [None if np.isnan(v) else float(v) for v in chain]
