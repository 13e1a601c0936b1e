"""The report of a run: summarise to a plain dictionary, then render it as one self-contained page."""

from microimpute.report.render import render
from microimpute.report.summarise import summarise

__all__ = ["render", "summarise"]
