"""Donor and receiver are the same households: do each target's mean and share come back?

    python benchmarks/same_population.py SCFP2019.zip

Prints, for every target and total, how many donor standard errors the imputations' weighted mean and share
non-zero lie from the donor's own. The standard error is that of a weighted mean of independent households.
"""

import argparse
from pathlib import Path

import numpy as np

from microimpute import Fusion, Survey, impute
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.survey import replace_survey
from microimpute.surveys.base import connector


def mean_and_error(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    mean = np.average(values, weights=weight)
    return float(mean), float(np.sqrt(np.sum((weight * (values - mean)) ** 2)) / weight.sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--m", type=int, default=5)
    said = parser.parse_args()
    walk = crosswalk("scf_to_cps_tax_units")
    sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
    survey, _ = walk.harmonise(connector("scf").read(said.scf), sample, dollars=2019)
    frame = survey.frame.filter(survey.frame["IMPLICATE"] == 1)
    donor = replace_survey(survey, frame=frame, implicate=None)
    receiver = Survey(frame.select("YY1", "WGT", *walk.predictors), weight="WGT", keys="YY1")
    fusion = Fusion(donor, receiver, targets=walk.targets, predictors=walk.predictors, rules=walk.rules)
    drawn = impute(fusion, m=said.m)
    weight = receiver.weights()
    print("| target | share non-zero | in donor SE | mean | in donor SE |\n|---|---|---|---|---|")
    farthest = 0.0
    for column in drawn.columns:
        own, imputed = frame[column].to_numpy(), drawn.numbers(column)
        share, share_error = mean_and_error((own != 0).astype(float), weight)
        mean, mean_error = mean_and_error(own, weight)
        off_share = (np.average(imputed != 0, axis=1, weights=weight).mean() - share) / share_error
        off_mean = (np.average(imputed, axis=1, weights=weight).mean() - mean) / mean_error
        farthest = max(farthest, abs(off_share), abs(off_mean))
        print(f"| {column} | {share:.3f} | {off_share:+.2f} | {mean:,.0f} | {off_mean:+.2f} |")
    print(f"\nfarthest: {farthest:.2f} donor standard errors")


if __name__ == "__main__":
    main()
