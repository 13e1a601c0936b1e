"""Means of held-out households: what half of the SCF's households give the other half, against the truth.

    python benchmarks/held_out_totals.py SCFP2019.zip [--splits 10] [--donors N] [--methods forest qrf hotdeck pmm]

Households are divided at random; one half gives (or N of its households), the other receives (m = 2), and the weighted
mean of net worth as imputed is compared with the receivers' own: of all, by age, by fifths of income. The donors' own
mean stands beside it: what it misses is the division's luck. Printed is the error in percent of the group's true mean,
its mean over divisions and the standard error of that.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from settings import parsed

from microimpute import Fusion, Survey, impute
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.methods.base import method
from microimpute.survey import replace_survey
from microimpute.surveys.base import connector
from microimpute.weighted import quantile

WHAT, M = "NETWORTH", 2
AGES = (35, 45, 55, 65, 75)
FIFTHS = np.array([0.2, 0.4, 0.6, 0.8])


def groups(survey: Survey, borders: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of each group that a mean is taken of."""
    age = np.digitize(survey.frame["age"].to_numpy(), AGES)
    income = np.digitize(survey.frame["total_income"].to_numpy(), borders)
    ages = [
        f"under {AGES[0]}",
        *(f"{a} to {b - 1}" for a, b in pairwise(AGES)),
        f"{AGES[-1]} and over",
    ]
    found = {"all": np.ones(len(survey), bool)}
    found |= {f"age {name}": age == k for k, name in enumerate(ages)}
    return found | {f"fifth {k + 1} of income": income == k for k in range(5)}


def means(values: np.ndarray, survey: Survey, borders: np.ndarray) -> np.ndarray:
    """Weighted means by group, over implicates too; shape (groups,)."""
    weight, drawn = survey.weights(), np.atleast_2d(values)
    return np.array(
        [np.average(drawn[:, g], weights=weight[g], axis=1).mean() for g in groups(survey, borders).values()]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--donors", type=int, help="households that give; half of all unless said")
    parser.add_argument("--methods", nargs="+", default=["forest", "qrf", "hotdeck", "pmm"])
    said = parser.parse_args()
    walk = crosswalk("scf_to_cps_tax_units")
    sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
    survey, _ = walk.harmonise(connector("scf").read(said.scf), sample, dollars=2019)
    survey = replace_survey(survey, frame=survey.frame.filter(survey.frame["IMPLICATE"] == 1), implicate=None)
    borders = quantile(survey.frame["total_income"].to_numpy(), FIFTHS, survey.weights())
    half = len(survey) // 2
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("truth", "donors' own", *said.methods)}
    for split in range(said.splits):
        place = np.random.default_rng([split, 77]).permutation(len(survey))
        parts = (place < min(said.donors or half, half), place >= half)
        donor, held = (replace_survey(survey, frame=survey.frame.filter(part.tolist())) for part in parts)
        known = held.frame.select(*walk.predictors)
        fusion = Fusion(donor, known, targets=walk.targets, predictors=walk.predictors, rules=walk.rules)
        found["truth"].append(means(held.frame[WHAT].to_numpy(), held, borders))
        found["donors' own"].append(means(donor.frame[WHAT].to_numpy(), donor, borders))
        for name in said.methods:
            drawn = impute(fusion, method=method(*parsed(name)), m=M, seed=split)
            found[name].append(means(drawn.numbers(WHAT), held, borders))
        print(f"division {split + 1} of {said.splits}", end="\r", flush=True)
    truth = np.array(found.pop("truth"))
    print(f"{said.splits} divisions, {int(parts[0].sum()):,} households give, mean of {WHAT}\n")
    print(f"| group | truth | {' | '.join(found)} |\n{'|---' * (len(found) + 2)}|")
    for k, group in enumerate(groups(survey, borders)):
        off = [100 * (np.array(each) - truth)[:, k] / truth[:, k].mean() for each in found.values()]
        cells = [f"{each.mean():+.1f} ± {each.std(ddof=1) / np.sqrt(len(each)):.1f}" for each in off]
        print(f"| {group} | {truth[:, k].mean():,.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
