"""Combining rules: how estimates from m completed data sets become one, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.errors import PoolingError, closest

__all__ = ["RULES", "Moments", "Rule", "Shares", "barnard_rubin", "find"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What a rule combines, each of shape (k,).

    Attributes
    ----------
    m
        Implicates; nests where they are nested.
    draws
        Draws per nest, 1 where they are not nested.
    ubar
        Mean of the variances within completed data sets.
    first
        Variance within implicate 1.
    b
        Variance of the estimates (of the nests' means) over implicates, divisor m − 1; NaN if m = 1.
    w
        Mean variance of estimates within nests, divisor draws − 1; 0 where not nested.
    dfcom
        Degrees of freedom that the analysis has on complete data.
    """

    m: int
    draws: int
    ubar: FloatArray
    first: FloatArray
    b: FloatArray
    w: FloatArray
    dfcom: FloatArray


@dataclass(frozen=True)
class Shares:
    """T as a sum: ubar·Ū + first·U₁ + b·B + w·W."""

    ubar: float = 0.0
    first: float = 0.0
    b: float = 0.0
    w: float = 0.0

    def total(self, ubar: FloatArray, first: FloatArray, b: FloatArray, w: FloatArray) -> FloatArray:
        """Add up variances or whole covariance matrices; what has no share may be NaN."""
        parts = ((self.ubar, ubar), (self.first, first), (self.b, b), (self.w, w))
        return np.asarray(sum((share * part for share, part in parts if share), np.zeros_like(ubar)))


@dataclass(frozen=True)
class Rule:
    """One combining rule.

    Attributes
    ----------
    name
        What `pool` calls it.
    formula, source
        T and its degrees of freedom, and where they come from.
    shares
        (m, draws per nest, synthetic rows over observed rows) → the sum that T is.
    df
        (moments, T) → degrees of freedom, shape (k,).
    missing
        Whether the rule is about missing data, so that λ and the fraction of missing information mean something.
    fallback
        (moments, synthetic rows over observed rows) → what stands for a T that is not positive; None where T is always
        positive.
    said
        What a reader is told where the fallback stands.
    """

    name: str
    formula: str
    source: str
    shares: Callable[[int, int, float], Shares]
    df: Callable[[Moments, FloatArray], FloatArray]
    missing: bool = False
    fallback: Callable[[Moments, float], FloatArray] | None = None
    said: str = ""

    def needs_between(self) -> bool:
        """Return whether T holds the variance between implicates."""
        return self.shares(2, 2, 1.0).b != 0

    def needs_only_first(self) -> bool:
        """Return whether the variance within is that of implicate 1 alone."""
        return self.shares(2, 2, 1.0).ubar == 0

    def nested(self) -> bool:
        """Return whether estimates come in nests."""
        return self.shares(2, 2, 1.0).w != 0


def barnard_rubin(old: FloatArray, share: FloatArray, dfcom: FloatArray) -> FloatArray:
    """Return degrees of freedom for a complete-data analysis that has few itself.

    1/df = 1/ν_old + 1/ν_obs, ν_obs = (ν + 1)/(ν + 3)·ν·(1 − λ): Barnard & Rubin (1999). λ = 0 leaves
    ν(ν + 1)/(ν + 3). λ is taken over T, that is Ū/T = 1 − λ; the R package mitools takes Ū/(Ū + B) instead.

    Parameters
    ----------
    old
        ν_old, infinite where nothing is missing; shape (k,).
    share
        λ, shape (k,).
    dfcom
        ν, infinite if the analysis has no limit of its own; shape (k,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(np.isinf(dfcom), np.inf, (dfcom + 1) / (dfcom + 3) * dfcom * (1 - share))
        return np.asarray(1 / (1 / old + 1 / observed))


def _rubin_df(x: Moments, t: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(t > 0, (1 + 1 / x.m) * x.b / t, 0.0)
        return barnard_rubin((x.m - 1) / share**2, share, x.dfcom)


def _nested_df(x: Moments, t: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.where(t > 0, (1 + 1 / x.m) * x.b / t, 0.0)
        within = np.where(t > 0, (1 - 1 / x.draws) * x.w / t, 0.0)
        old = 1 / (between**2 / (x.m - 1) + within**2 / (x.m * (x.draws - 1)))
        return barnard_rubin(old, between + within, x.dfcom)


#: Fewest degrees of freedom under "external donors".
FEWEST = 3.0


def _external_df(x: Moments, t: FloatArray) -> FloatArray:
    """Reiter's degrees of freedom, at least `FEWEST`.

    T is a difference: where it comes out small beside its parts, they go to zero, and with them every use of an
    interval: with M = 5 one in 18, with M = 20 one in 110 was a million times as wide as the median one. With three,
    intervals cover no less than they should (docs/coverage.md).
    """
    raw = x.ubar - (1 + 1 / x.draws) * x.w + (1 + 1 / x.m) * x.b
    with np.errstate(divide="ignore", invalid="ignore"):
        between, within = (1 + 1 / x.m) * x.b / t, (1 + 1 / x.draws) * x.w / t
        old = 1 / (between**2 / (x.m - 1) + within**2 / (x.m * (x.draws - 1)))
        share = np.clip(1 - x.ubar / t, 0, 1)  # where T < Ū the donors tell more than the receivers would: all is known
        found = np.maximum(barnard_rubin(old, share, x.dfcom), np.minimum(FEWEST, x.dfcom))
        return np.where(raw > 0, found, x.m - 1)


def _partial_df(x: Moments, t: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(x.b > 0, (x.m - 1) * (1 + x.m * x.ubar / x.b) ** 2, np.inf))


def _full_df(x: Moments, t: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = (x.m - 1) * (1 - x.ubar / ((1 + 1 / x.m) * x.b)) ** 2
        return np.asarray(np.where((1 + 1 / x.m) * x.b > x.ubar, usual, x.m - 1))


def _normal(x: Moments, t: FloatArray) -> FloatArray:
    return np.full_like(t, np.inf)


#: Every rule by its name.
RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "rubin",
            "T = Ū + (1 + 1/m)B; λ = (1 + 1/m)B/T; ν_old = (m − 1)/λ², with ν_obs as in Barnard & Rubin",
            "Rubin (1987), eqs. 3.1.2–3.1.6; Barnard & Rubin (1999)",
            lambda m, n, ratio: Shares(ubar=1, b=1 + 1 / m),
            _rubin_df,
            missing=True,
        ),
        Rule(
            "scf",
            "T = U₁ + (1 + 1/m)B, U₁ the sampling variance in implicate 1; df as rubin with U₁ for Ū",
            "Federal Reserve Board, SCF codebook, and its macro for sampling and imputation error",
            lambda m, n, ratio: Shares(first=1, b=1 + 1 / m),
            _rubin_df,
            missing=True,
        ),
        Rule(
            "nested",
            "T = Ū + (1 + 1/M)B + (1 − 1/N)W; 1/df = ((1 + 1/M)B/T)²/(M − 1) + ((1 − 1/N)W/T)²/(M(N − 1))",
            "Shen (2000); Rubin (2003)",
            lambda m, n, ratio: Shares(ubar=1, b=1 + 1 / m, w=1 - 1 / n),
            _nested_df,
            missing=True,
        ),
        Rule(
            "external donors",
            "T = Ū − W + (1 + 1/M)B − W/N; 1/df = ((1 + 1/M)B/T)²/(M − 1) + ((1 + 1/N)W/T)²/(M(N − 1)), "
            "with ν_obs as in Barnard & Rubin, and at least 3; where T ≤ 0, T = (1 + 1/M)B and df = M − 1",
            "Reiter (2008), Biometrika 95, 933–946; the least df is ours",
            lambda m, n, ratio: Shares(ubar=1, b=1 + 1 / m, w=-(1 + 1 / n)),
            _external_df,
            fallback=lambda x, ratio: (1 + 1 / x.m) * x.b,
            said="Ū − W + (1 + 1/M)B − W/N is not positive for {names}: (1 + 1/M)B stands instead (Reiter 2008), "
            "df = M − 1. More implicates would help.",
        ),
        Rule(
            "partially synthetic",
            "T = Ū + B/m; df = (m − 1)(1 + mŪ/B)²",
            "Reiter (2003)",
            lambda m, n, ratio: Shares(ubar=1, b=1 / m),
            _partial_df,
        ),
        Rule(
            "fully synthetic",
            "T = (1 + 1/m)B − Ū; df = (m − 1)(1 − Ū/((1 + 1/m)B))²; where T ≤ 0, T = Ū·n_syn/n and df = m − 1",
            "Raghunathan, Reiter & Rubin (2003); where T ≤ 0 Reiter (2002)",
            lambda m, n, ratio: Shares(ubar=-1, b=1 + 1 / m),
            _full_df,
            fallback=lambda x, ratio: x.ubar * ratio,
            said="(1 + 1/m)B − Ū is not positive for {names}: Ū·n_syn/n stands instead (Reiter 2002), df = m − 1. "
            "More synthetic data sets would help.",
        ),
        Rule(
            "synthpop observed",
            "V = Ū·k/n, for inference to the observed data, not the population; normal",
            "Raab, Nowok & Dibben (2016); R package synthpop",
            lambda m, n, ratio: Shares(ubar=ratio),
            _normal,
        ),
        Rule(
            "synthpop simple",
            "T = Ū(k/n + 1/m); normal",
            "Raab, Nowok & Dibben (2016), T_s; R package synthpop",
            lambda m, n, ratio: Shares(ubar=ratio + 1 / m),
            _normal,
        ),
        Rule(
            "synthpop proper",
            "T = Ū(k/n + (1 + k/n)/m); normal",
            "Raab, Nowok & Dibben (2016), T_p; R package synthpop",
            lambda m, n, ratio: Shares(ubar=ratio + (1 + ratio) / m),
            _normal,
        ),
        Rule(
            "synthpop incomplete",
            "T = Ūk/n + B/m; normal",
            "R package synthpop, after Reiter (2003)",
            lambda m, n, ratio: Shares(ubar=ratio, b=1 / m),
            _normal,
        ),
    )
}


def find(name: str) -> Rule:
    """Return a rule by its name.

    Raises
    ------
    PoolingError
        If there is none of that name.
    """
    if name not in RULES:
        raise PoolingError(f"there is no combining rule {name!r}", closest(name, RULES))
    return RULES[name]
