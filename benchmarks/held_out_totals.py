"""Means of held-out households: what half of the SCF's households give the other half, against the truth.

    python benchmarks/held_out_totals.py SCFP2019.zip [--splits 10] [--methods forest qrf hotdeck]

Households are divided at random; one half gives, the other receives (m = 2), and the weighted mean of net worth as
imputed is compared with the receivers' own. The donors' own mean stands beside it: what it misses is the division's
luck. Printed is the relative error, its mean over divisions and the standard error of that.
"""

import argparse
from pathlib import Path

import numpy as np
from settings import parsed

from microimpute import Fusion, impute
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.methods.base import method
from microimpute.survey import replace_survey
from microimpute.surveys.base import connector

WHAT, M = "NETWORTH", 2


def mean(values: np.ndarray, weight: np.ndarray) -> float:
    return float(np.average(values, weights=weight, axis=-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=["forest", "qrf", "hotdeck"])
    said = parser.parse_args()
    walk = crosswalk("scf_to_cps_tax_units")
    sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
    survey, _ = walk.harmonise(connector("scf").read(said.scf), sample, dollars=2019)
    survey = replace_survey(survey, frame=survey.frame.filter(survey.frame["IMPLICATE"] == 1), implicate=None)
    off: dict[str, list[float]] = {name: [] for name in ("donors' own", *said.methods)}
    for split in range(said.splits):
        gives = np.random.default_rng([split, 77]).permutation(len(survey)) < len(survey) / 2
        donor, held = (replace_survey(survey, frame=survey.frame.filter(half.tolist())) for half in (gives, ~gives))
        weight, truth = held.weights(), held.frame[WHAT].to_numpy()
        fusion = Fusion(
            donor,
            held.frame.select(*walk.predictors),
            targets=walk.targets,
            predictors=walk.predictors,
            rules=walk.rules,
        )
        off["donors' own"].append(mean(donor.frame[WHAT].to_numpy(), donor.weights()) / mean(truth, weight) - 1)
        for name in said.methods:
            drawn = impute(fusion, method=method(*parsed(name)), m=M, seed=split)
            off[name].append(mean(drawn.numbers(WHAT), weight) / mean(truth, weight) - 1)
        print(f"division {split + 1} of {said.splits}", end="\r", flush=True)
    print(f"{said.splits} divisions, mean of {WHAT}\n")
    print("| method | off, mean ± standard error | off, each |\n|---|---|---|")
    for name, found in off.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        each = ", ".join(f"{value:+.1%}" for value in found)
        print(f"| {name} | {np.mean(found):+.1%} ± {100 * error:.1f} | {each} |")


if __name__ == "__main__":
    main()
