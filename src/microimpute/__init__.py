"""MicroImpute: give a receiver survey the variables that only a donor survey has."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microimpute.drawing import impute
    from microimpute.errors import MicroImputeError
    from microimpute.fusion import Fusion
    from microimpute.imputations import Imputations
    from microimpute.kinds import Kind
    from microimpute.methods.base import Method, method
    from microimpute.missing import impute_missing
    from microimpute.pooling import pool
    from microimpute.rules import Identity, NonNegative, Requires
    from microimpute.runner import run
    from microimpute.survey import Survey
    from microimpute.synthesis import synthesise

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
    "impute_missing",
    "method",
    "pool",
    "run",
    "synthesise",
]

#: Where each public name lives; loaded on first use, so that the command line's help is instant.
_HOMES = {
    "errors": ("MicroImputeError",),
    "fusion": ("Fusion",),
    "drawing": ("impute",),
    "imputations": ("Imputations",),
    "kinds": ("Kind",),
    "methods.base": ("Method", "method"),
    "missing": ("impute_missing",),
    "pooling": ("pool",),
    "rules": ("Identity", "NonNegative", "Requires"),
    "runner": ("run",),
    "survey": ("Survey",),
    "synthesis": ("synthesise",),
}

#: Modules whose functions are best called by the module's name.
_MODULES = ("calibration", "fetching", "pooling", "stages", "synthesis", "units", "variance")


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"microimpute.{module}"), name)
    if name in _MODULES:
        return import_module(f"microimpute.{name}")
    raise AttributeError(f"module 'microimpute' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
