"""MicroImpute: give a receiver survey the variables that only a donor survey has."""

from microimpute.errors import MicroImputeError
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations, impute
from microimpute.kinds import Kind
from microimpute.methods.base import Method, method
from microimpute.rules import Identity, NonNegative, Requires
from microimpute.survey import Survey

__version__ = "0.1.0"

__all__ = [
    "Fusion",
    "Identity",
    "Imputations",
    "Kind",
    "Method",
    "MicroImputeError",
    "NonNegative",
    "Requires",
    "Survey",
    "impute",
    "method",
]
