"""From estimates in m completed data sets to one, with a standard error that holds what imputation adds."""

from microimpute.pooling.effects import marginal_effects
from microimpute.pooling.joint import JointTest
from microimpute.pooling.likelihood import d3, d3_models, d4
from microimpute.pooling.montecarlo import MonteCarlo, monte_carlo_error
from microimpute.pooling.planning import RSquared, how_many_imputations, pooled_r2
from microimpute.pooling.pooled import pool
from microimpute.pooling.predictions import Predictions, pooled_predictions
from microimpute.pooling.rules import RULES
from microimpute.pooling.table import Pooled
from microimpute.pooling.wald import d1, d2, d2_wald

__all__ = [
    "RULES",
    "JointTest",
    "MonteCarlo",
    "Pooled",
    "Predictions",
    "RSquared",
    "d1",
    "d2",
    "d2_wald",
    "d3",
    "d3_models",
    "d4",
    "how_many_imputations",
    "marginal_effects",
    "monte_carlo_error",
    "pool",
    "pooled_predictions",
    "pooled_r2",
]
