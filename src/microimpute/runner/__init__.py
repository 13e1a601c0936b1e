"""Runs recipes, of one donor or of several, and verifies what a run wrote."""

from microimpute.runner.files import REPORT
from microimpute.runner.one import Result
from microimpute.runner.running import run
from microimpute.runner.several import StagedResult
from microimpute.runner.verifying import Difference, verify

__all__ = ["REPORT", "Difference", "Result", "StagedResult", "run", "verify"]
