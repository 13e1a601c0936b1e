"""How far published totals that are met by imputed values move a link's rank correlation given the predictors.

    python benchmarks/links_calibrated.py [--rows 4000] [--without-region]

Made-up surveys: one donor has house, cash and debt, whose sum is worth, the other spending; a link asks for a rank
correlation of 0.3 of worth and spending given age, income and region (or without it). Then totals are met by values,
as `[[calibrate]]` does after links, and the rank correlation is measured again, with the same predictors and random
numbers for ties.
"""

import argparse

import numpy as np
import pandas as pd

from microimpute.calibration import Aggregate, calibrate
from microimpute.dependence.reordering import reorder
from microimpute.imputations import Imputations
from microimpute.stages import Link, Stage, fuse

X = ["age", "income", "region"]


def survey(rows: int, seed: int) -> pd.DataFrame:
    """Make households with everything; region says nothing about amounts."""
    rng = np.random.default_rng(seed)
    age, income = rng.uniform(20, 80, rows), np.exp(rng.normal(4, 0.7, rows))
    house = income * np.exp(rng.normal(1 + (age - 50) / 60, 0.7, rows)) * (rng.random(rows) < 0.6)
    made = {
        "age": age,
        "income": income,
        "region": np.where(rng.random(rows) < 0.5, "north", "south"),
        "house": house,
        "debt": house * rng.uniform(0, 0.9, rows) * (80 - age) / 60,
        "cash": income * np.exp(rng.normal(-1, 1.3, rows)),
        "spent": np.exp(1.2 + 0.65 * np.log(income) + rng.normal(0, 0.45, rows)),
    }
    return pd.DataFrame(made)


def correlations(made: Imputations, predictors: list[str]) -> np.ndarray:
    """Return the rank correlation of worth and spending given the predictors, by implicate."""
    x = pd.get_dummies(pd.DataFrame(made.receiver.native)[predictors], dtype=float)
    keys = np.arange(len(x), dtype=np.uint64)
    pairs = zip(made.numbers("worth"), made.numbers("spent"), strict=True)
    return np.array([reorder(x, y, z, 0.0, keys).before[0] for y, z in pairs])


def adjustments(made: Imputations) -> dict[str, object]:
    """Return totals to be met, by what they ask for."""
    north = np.asarray(made.receiver.native["region"] == "north")
    total = {c: float(made.numbers(c).mean(axis=0).sum()) for c in ("worth", "spent")}
    parts = {
        c: {
            name: float(made.numbers(c).mean(axis=0)[rows].sum())
            for name, rows in (("north", north), ("south", ~north))
        }
        for c in total
    }
    return {"spending +20%": {"spent": 1.2 * total["spent"]}} | {
        f"worth {100 * (f - 1):+.0f}%": {"worth": f * total["worth"]} for f in (1.2, 0.7, 2.0)
    } | {
        f"{name} +30% in the north, -20% in the south": [
            Aggregate(c, {"north": 1.3 * parts[c]["north"], "south": 0.8 * parts[c]["south"]}, ("region",))
        ]
        for c, name in (("worth", "worth"), ("spent", "spending"))
    }  # fmt: skip


def main() -> None:
    """Link, adjust, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--without-region", action="store_true", help="totals are by groups that are no predictor")
    said = parser.parse_args()
    rows, x = said.rows, X[:2] if said.without_region else X
    wealth, spending, receiver = (survey(rows, seed) for seed in (1, 2, 3))
    stages = [
        Stage(
            "wealth", wealth[[*X, "house", "cash", "debt"]], ["house", "cash", "debt"], x,
            rules=["worth = house + cash - debt"],
        ),
        Stage("spending", spending[[*X, "spent"]], ["spent"], x),
    ]  # fmt: skip
    made = fuse(receiver[X], stages, links=[Link("worth", "spent", 0.3)], m=2).imputations
    before = correlations(made, x)
    print("| totals met | change of ρ in each implicate |\n|---|---|")
    print(f"| (as linked, ρ itself) | {', '.join(f'{v:.3f}' for v in before)} |", flush=True)
    for name, targets in adjustments(made).items():
        moved = correlations(calibrate(made, targets, how="values").result, x) - before
        print(f"| {name} | {', '.join(f'{v:+.3f}' for v in moved)} |", flush=True)


if __name__ == "__main__":
    main()
