"""Both sides of a comparison: the donors and the implicates, weighted, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.kinds import encode

__all__ = ["Sides", "both_sides", "plain", "pooled", "quantiles", "ranks"]

FloatArray = npt.NDArray[np.float64]
Rows = slice | npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """Donors and implicates without the rows of weight zero, which count for nothing.

    Attributes
    ----------
    fusion, imputations
        What is compared.
    donor_weight, receiver_weight
        float64, shape (rows kept,) of either side.
    donor
        Targets and derived totals of all the donor's implicates, shape (rows kept,) each.
    donor_rows, receiver_rows
        Which rows of the files are kept.
    """

    fusion: Fusion
    imputations: Imputations
    donor_weight: FloatArray
    receiver_weight: FloatArray
    donor: Mapping[str, FloatArray]
    donor_rows: Rows
    receiver_rows: Rows

    def imputed(self, column: str) -> Iterator[FloatArray]:
        """Yield an imputed column implicate by implicate, classes as codes, shape (rows kept,)."""
        variable = self.fusion.variables.get(column)
        for series in self.imputations.values[column]:
            if variable is not None and variable.kind.is_class:
                yield encode(series, variable)[self.receiver_rows]
            else:
                yield series.cast(nw.Float64).to_numpy()[self.receiver_rows]

    def predictor(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return a predictor of donors and of receivers; classes as codes, −1 unseen, NaN missing."""
        variable = self.fusion.variables[name]
        donor = encode(self.fusion.donor.frame[name], variable)[self.donor_rows]
        return donor, encode(self.fusion.receiver.frame[name], variable)[self.receiver_rows]

    def is_class(self, column: str) -> bool:
        """Whether an imputed column or predictor holds classes."""
        return column in self.fusion.variables and self.fusion.variables[column].kind.is_class

    @property
    def amounts(self) -> list[str]:
        """Imputed columns that are amounts: drawn, then derived."""
        return [c for c in self.imputations.columns if not self.is_class(c)]


def both_sides(imputations: Imputations, fusion: Fusion) -> Sides:
    """Line up donors and implicates."""
    weights = [fusion.donor.weights(), imputations.receiver.weights()]  # the receiver's may have been calibrated
    kept: list[Rows] = [slice(None) if (w > 0).all() else w > 0 for w in weights]
    donor = {name: values[kept[0]] for name, values in fusion.donor_columns().items()}
    return Sides(fusion, imputations, weights[0][kept[0]], weights[1][kept[1]], donor, kept[0], kept[1])


def quantiles(values: FloatArray, weight: FloatArray, shares: Sequence[float] | FloatArray) -> FloatArray:
    """Return weighted quantiles, NaN where there are no values."""
    if not len(values):
        return np.full(len(shares), np.nan)
    found: FloatArray = np.quantile(values, shares, weights=weight, method="inverted_cdf")
    return found


def ranks(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weighted mid-ranks from 0 to 1, shape (rows,): ties share the middle of their range."""
    unique, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight, minlength=len(unique))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.asarray(middle[place])


def pooled(implicates: Sequence[FloatArray]) -> list[dict[str, float | None]]:
    """Summarise estimates over implicates.

    Parameters
    ----------
    implicates
        One array of estimates per implicate, all of the same length; NaN where there is none.

    Returns
    -------
    list of dict
        For each estimate its mean ``imputed``, ``low``, ``high`` and standard deviation ``sd`` over the
        implicates that have one; ``sd`` is None below two.
    """
    out = []
    for estimates in np.array(implicates).T:
        known = estimates[~np.isnan(estimates)]
        if not len(known):
            out.append(dict.fromkeys(("imputed", "low", "high", "sd")))
            continue
        sd = plain(known.std(ddof=1)) if len(known) > 1 else None
        low, high = plain(known.min()), plain(known.max())
        out.append({"imputed": plain(known.mean()), "low": low, "high": high, "sd": sd})
    return out


def plain(value: Any) -> float | None:
    """Return a float of ten figures, so that the last bits of a sum do not show; None for NaN."""
    return None if value is None or np.isnan(value) else float(f"{value:.10g}")
