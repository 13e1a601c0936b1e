"""Missing values inside one survey: every incomplete variable filled from the others, in turns."""

from microimpute.missing.diagnostics import Convergence, ConvergenceWarning, convergence
from microimpute.missing.filling import impute_missing

__all__ = ["Convergence", "ConvergenceWarning", "convergence", "impute_missing"]
