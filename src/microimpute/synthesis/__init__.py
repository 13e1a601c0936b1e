"""Synthetic data, fully or in part, with the combining rule that each needs."""

from microimpute.synthesis.base import SyntheticData
from microimpute.synthesis.full import Synthetic, synthesise
from microimpute.synthesis.partial import PartiallySynthetic, synthesise_partially
from microimpute.synthesis.release import Released, load

__all__ = [
    "PartiallySynthetic",
    "Released",
    "Synthetic",
    "SyntheticData",
    "load",
    "synthesise",
    "synthesise_partially",
]
