"""Two donors at the size that was asked for: 20 targets of wealth and 15 of spending onto all CPS households.

    python benchmarks/two_donors.py [--scf SCFP2019.zip] [--ce fmli_2013q3_2016q1_subset.csv.gz] [--cps cps.csv.gz]

Runs recipes/wealth_and_spending_to_cps_full.toml with its bridges, link, rule, m = 5 and pages, but for the targets:

- wealth: 20 instead of the 26 parts. BUS and INSTALL are drawn as they are, and funds, shares and bonds (NMMF, STOCKS,
  BOND, SAVBND) as one sum, FUNDS; totals are derived as before. The recipe's three of food come on top, since a bridge
  is made from them.
- spending: the family records at hand have current-quarter spending in six parts alone (food, housing, health, tobacco,
  footwear, and what is left of the total). Food and housing are split into three pieces, health into two and the rest
  into five, which makes 15. Shares are exponential numbers keyed by the row, divided by their sum; every piece but the
  first is nothing for every second unit, at random. So the pieces are made up, and serve to measure time alone.

Prints wall seconds by step and the peak memory of the process. Files default to where the recipe has them.
"""

import argparse
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from microimpute.concepts.scf import FOOD
from microimpute.keyed import RowRandom
from microimpute.recipe_of_stages import StagedRecipe, moved, read_recipe
from microimpute.runner.files import read_survey
from microimpute.runner.several import run_stages, stage_of
from microimpute.stages import Stage

RECIPE = Path(__file__).parent.parent / "recipes/wealth_and_spending_to_cps_full.toml"
ASSETS = ("LIQ", "CDS", "FUNDS", "RETQLIQ", "CASHLI", "OTHMA", "OTHFIN")
THINGS = ("VEHIC", "HOUSES", "ORESRE", "NNRESRE", "BUS", "OTHNFIN")
HOME_DEBT = ("HELOC", "NH_MORT")
DEBTS = ("RESDBT", "OTHLOC", "CCBAL", "INSTALL", "ODEBT")
WEALTH = (*ASSETS, *THINGS, *HOME_DEBT, *DEBTS)
WEALTH_RULES = (
    f"FIN = {' + '.join(ASSETS)}",
    f"NFIN = {' + '.join(THINGS)}",
    "ASSET = FIN + NFIN",
    "MRTHEL = HELOC + NH_MORT",
    "HOMEEQ = HOUSES - MRTHEL",
    f"DEBT = MRTHEL + {' + '.join(DEBTS)}",
    "NETWORTH = ASSET - DEBT",
    "NH_MORT requires HOUSES",
    "HELOC requires HOUSES",
    "RESDBT requires ORESRE",
    *(f"{c} >= 0" for c in (*WEALTH, *FOOD) if c not in ("RETQLIQ", "NNRESRE", "BUS")),
)
#: Part → pieces that it is split into.
PIECES = {"food": 3, "housing_outlays": 3, "health": 2, "tobacco": 1, "footwear": 1, "other": 5}


def wealth(stage: Stage) -> Stage:
    """Give the stage 20 targets of wealth, and those of food."""
    donor = stage.donor
    funds = np.sum([donor.numbers(c) for c in ("NMMF", "STOCKS", "BOND", "SAVBND")], axis=0)
    return replace(stage, donor=donor.with_columns({"FUNDS": funds}), targets=(*WEALTH, *FOOD), rules=WEALTH_RULES)


def spending(stage: Stage) -> Stage:
    """Give the stage 15 targets by splitting the parts that the file has."""
    donor = stage.donor
    random = RowRandom(0, 1, donor.row_keys())
    made: dict[str, np.ndarray] = {}
    for part, count in PIECES.items():
        share = np.array([-np.log(random.uniform(f"{part} {i}")) for i in range(count)])
        for i in range(1, count):
            share[i] *= random.uniform(f"some {part} {i}") < 0.5
        share /= share.sum(axis=0)
        made |= {f"{part}_{i + 1}": donor.numbers(part) * share[i] for i in range(count)}
    rules = [f"total = {' + '.join(made)}", *(f"{c} >= 0" for c in made if c.startswith(("food", "foot", "tobacco")))]
    return replace(stage, donor=donor.with_columns(made), targets=tuple(made), rules=rules)


class Clock:
    """Adds up wall seconds by step, whatever the implicate."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.now, self.begun, self.step = time.perf_counter(), time.perf_counter(), ""

    def __call__(self, step: str, share: float) -> None:
        """Close the step before and begin this one; it is what `progress` is called with."""
        then, self.now = self.now, time.perf_counter()
        if self.step:
            self.seconds[self.step] = self.seconds.get(self.step, 0.0) + self.now - then
        self.step = re.sub(r"implicate \d+ of \d+: ", "", step)

    def table(self) -> str:
        """Return steps with their seconds; drawing holds the exchange by links and the rules."""
        rows = [f"| {step} | {seconds:.1f} |" for step, seconds in self.seconds.items()]
        return "\n".join(["| step | seconds |", "|---|---|", *rows, f"| all | {self.now - self.begun:.1f} |"])


def run(known: StagedRecipe, out: Path, tell: Callable[[str, float], None]) -> dict[str, int]:
    """Read, change the targets, draw and write; targets by stage."""
    tell("reading the surveys", 0.0)
    receiver = read_survey(known.receiver, "receiver")
    change = {"wealth": wealth, "spending": spending}
    stages = [change[part.name](stage_of(part, known, receiver)) for part in known.stages]
    done = run_stages(known, receiver, stages, out, workers=None, progress=tell)
    print(f"{len(done.imputations):,} households, m = {done.imputations.m}")
    return {name: len(fusion.targets) for name, fusion in done.fused.fusions.items()}


def main() -> None:
    """Run, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("scf", "ce", "cps"):
        parser.add_argument(f"--{name}", type=Path)
    said = parser.parse_args()
    donors = [f"{stage}={path}" for stage, path in (("wealth", said.scf), ("spending", said.ce)) if path]
    known = moved(read_recipe(RECIPE), donors, None if said.cps is None else str(said.cps))
    assert isinstance(known, StagedRecipe)
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        targets = run(known, Path(scratch) / "out", clock)
    print(f"targets: {', '.join(f'{name} {count}' for name, count in targets.items())}\n")
    print(clock.table())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"\npeak memory {peak:,.0f} MB")


if __name__ == "__main__":
    main()
