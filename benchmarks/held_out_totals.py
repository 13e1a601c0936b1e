"""Means of held-out households: what half of the SCF's households give the other half, against the truth.

    python benchmarks/held_out_totals.py SCFP2019.zip [--splits 10] [--donors N] [--methods forest qrf hotdeck pmm]

Households are divided at random; one half gives (or N of its households), the other receives (learnt twice, drawn eight
times each), and then the other way round, so that the luck of the division falls out. The weighted mean of net worth as
imputed is compared with the receivers' own: of all, by age, by fifths of income, and so are the means of the larger
items of all. Printed is the error in percent of the true mean, its mean over divisions and the standard error of that.
"""

import argparse
from collections import defaultdict
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

WHAT, M, DRAWS = "NETWORTH", 16, 8
#: Items are shown whose mean is at least this share of net worth.
LARGE = 0.05
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


def errors(
    fusion: Fusion, held: Survey, name: str, seed: int, borders: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Return true means of groups and items of the receivers, and what imputed means are above them."""
    drawn, weight = impute(fusion, method=method(*parsed(name)), m=M, draws=DRAWS, seed=seed), held.weights()
    truth, off = {}, {}
    shown = [(group, WHAT, rows) for group, rows in groups(held, borders).items()]
    shown += [(target, target, slice(None)) for target in fusion.targets]
    for label, column, rows in shown:
        truth[label] = float(np.average(held.frame[column].to_numpy()[rows], weights=weight[rows]))
        off[label] = float(np.average(drawn.numbers(column)[:, rows].mean(axis=0), weights=weight[rows])) - truth[label]
    return truth, off


def halves(survey: Survey, split: int, donors: int | None) -> list[tuple[Survey, Survey]]:
    """Divide the households; each half gives once."""
    place = np.random.default_rng([split, 77]).permutation(len(survey))
    low = place < len(survey) // 2
    found = []
    for side in (low, ~low):
        rows = np.flatnonzero(side)
        giving = np.zeros(len(side), dtype=bool)
        giving[rows[np.argsort(place[rows])][:donors]] = True
        found.append(tuple(replace_survey(survey, frame=survey.frame.filter(p.tolist())) for p in (giving, ~side)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--donors", type=int, help="households that give; half of all unless said")
    parser.add_argument("--methods", nargs="+", default=["forest", "qrf", "hotdeck", "pmm", "srmi"])
    said = parser.parse_args()
    walk = crosswalk("scf_to_cps_tax_units")
    sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
    survey, _ = walk.harmonise(connector("scf").read(said.scf), sample, dollars=2019)
    survey = replace_survey(survey, frame=survey.frame.filter(survey.frame["IMPLICATE"] == 1), implicate=None)
    borders = quantile(survey.frame["total_income"].to_numpy(), FIFTHS, survey.weights())
    truth, off = defaultdict(list), {name: defaultdict(list) for name in said.methods}
    for split in range(said.splits):
        for side, (donor, held) in enumerate(halves(survey, split, said.donors)):
            known = held.frame.select(*walk.predictors)
            fusion = Fusion(donor, known, targets=walk.targets, predictors=walk.predictors, rules=walk.rules)
            for name in said.methods:
                true, found = errors(fusion, held, name, 1000 * split + side, borders)
                for label, error in found.items():
                    off[name][label].append(error)
            for label, mean in true.items():
                truth[label].append(mean)
        print(f"division {split + 1} of {said.splits}", end="\r", flush=True)
    print(f"{said.splits} divisions, both ways, {len(donor):,} households give, mean of {WHAT} and of items\n")
    print(f"| group or item | truth | {' | '.join(off)} |\n{'|---' * (len(off) + 2)}|")
    least = LARGE * np.mean(truth["all"])
    for label, means in truth.items():
        if np.mean(means) >= least:
            pairs = [100 * np.array(off[n][label]).reshape(-1, 2).mean(axis=1) / np.mean(means) for n in off]
            cells = [f"{each.mean():+.1f} ± {each.std(ddof=1) / np.sqrt(len(each)):.1f}" for each in pairs]
            print(f"| {label} | {np.mean(means):,.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
