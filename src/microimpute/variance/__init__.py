"""Sampling variance from replicate weights, and the weighted statistics that analysts ask for."""

from microimpute.variance.replicates import DESIGNS, Estimate, Replicates
from microimpute.variance.resampling import bootstrap_replicates
from microimpute.variance.statistics import (
    gini,
    least_squares,
    mean,
    poverty_gap,
    poverty_rate,
    quantile,
    ratio,
    share,
    top_share,
    total,
)

__all__ = [
    "DESIGNS",
    "Estimate",
    "Replicates",
    "bootstrap_replicates",
    "gini",
    "least_squares",
    "mean",
    "poverty_gap",
    "poverty_rate",
    "quantile",
    "ratio",
    "share",
    "top_share",
    "total",
]
