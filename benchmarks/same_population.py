"""Donor and receiver are the same households: each target's mean and share should come back.

    python benchmarks/same_population.py SCFP2019.zip

Receivers are the donors' households, each repeated in proportion to its weight (100,000 rows), so that the
noise of single draws for heavy households does not stand in for a bias. Prints, for every target and total,
how many donor standard errors the imputations' mean and share non-zero lie from the donor's own weighted
ones. The standard error is that of a weighted mean of independent households.
"""

import argparse
from pathlib import Path

import numpy as np

from microimpute import Fusion, impute
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.survey import replace_survey
from microimpute.surveys.base import connector

ROWS = 100_000


def mean_and_error(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    mean = np.average(values, weights=weight)
    return float(mean), float(np.sqrt(np.sum((weight * (values - mean)) ** 2)) / weight.sum())


def repeated(weight: np.ndarray, rows: int) -> np.ndarray:
    """Row numbers, each as often as its weight says, systematically, shape (rows,)."""
    steps = (np.arange(rows) + 0.5) / rows
    return np.searchsorted(np.cumsum(weight) / weight.sum(), steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--m", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    walk = crosswalk("scf_to_cps_tax_units")
    sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
    survey, _ = walk.harmonise(connector("scf").read(said.scf), sample, dollars=2019)
    frame = survey.frame.filter(survey.frame["IMPLICATE"] == 1)
    donor = replace_survey(survey, frame=frame, implicate=None)
    weight = donor.weights()
    receiver = frame.select(*walk.predictors)[repeated(weight, ROWS)]
    fusion = Fusion(donor, receiver, targets=walk.targets, predictors=walk.predictors, rules=walk.rules)
    drawn = impute(fusion, m=said.m, seed=said.seed)
    print("| target | share non-zero | in donor SE | mean | in donor SE |\n|---|---|---|---|---|")
    farthest = 0.0
    for column in drawn.columns:
        own, imputed = frame[column].to_numpy(), drawn.numbers(column)
        share, share_error = mean_and_error((own != 0).astype(float), weight)
        mean, mean_error = mean_and_error(own, weight)
        off_share = (np.mean(imputed != 0) - share) / share_error
        off_mean = (imputed.mean() - mean) / mean_error
        farthest = max(farthest, abs(off_share), abs(off_mean))
        print(f"| {column} | {share:.3f} | {off_share:+.2f} | {mean:,.0f} | {off_mean:+.2f} |")
    print(f"\nfarthest: {farthest:.2f} donor standard errors")


if __name__ == "__main__":
    main()
