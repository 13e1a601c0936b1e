"""Two donors against the truth: files that hold both variables are divided, so that what fusion loses is known.

    python benchmarks/cross_truth.py pension.csv.gz fmli_2013q3_2016q1_subset.csv.gz [--only ce]

Each file's households are divided at random into four: a donor of Y, a donor of Z, a receiver with neither, and an
auxiliary file with both. Printed per file, as means over divisions of households:

- the rank correlation of Y and Z given X, and without X;
- the share of Z that the fifth with most Y has (by weight);

in the receiver's truth; in the truth once reordered to be independent given X; with independent fusion; with Z drawn
given bridges as well, which both donors observe and the donor of Y gave the receiver (home equity; tenure and
vehicles, and these and food); with ρ drawn from what the auxiliary file estimates (mean and standard error); with ρ
drawn from a uniform prior from 0 to 0.6; and the bounds of the share given the neighbourhoods.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from microimpute import Survey, impute
from microimpute.dependence.conditional import rank_correlation
from microimpute.dependence.estimation import estimate_rho
from microimpute.dependence.policy import figure_bounds
from microimpute.dependence.priors import Point, Prior, Uniform
from microimpute.dependence.reordering import reorder
from microimpute.readers.ce_rows import quarters_again
from microimpute.stages import Bridge, Stage, fuse
from microimpute.weighted import quantile, ranks

M = 5
#: Columns that donors of Y and of Z both observe, and the receiver does not.
BRIDGES = {"bridged": ("equity", "owner", "vehicles"), "bridged, with food": ("owner", "vehicles", "food")}
FIGURES = ("rho given X", "rank correlation", "share of Z, top fifth of Y")


def sipp(path: Path) -> pd.DataFrame:
    """Wealth outside pension accounts, and pension accounts, of 9,915 households in 1991."""
    read = pd.read_csv(path)
    frame = read[["age", "inc", "fsize", "educ", "marr", "male", "twoearn"]].astype(float)
    pension = read["ira"] + read["a401"]
    frame["equity"] = read["hequity"].astype(float)
    return frame.assign(Y=read["tw"] - pension, Z=pension.astype(float), weight=1.0, unit=np.arange(len(read)))


def interviews(path: Path) -> pd.DataFrame:
    """Liquid assets and yearly spending of the consumer units that told both."""
    read = pd.read_csv(path, low_memory=False)
    once = np.zeros(len(read), bool)
    for first, second, *_ in quarters_again(read["NEWID"].to_numpy(), read["QINTRVMO"].to_numpy()):
        once[first:second] = True
    read = read[once]
    place = read["QINTRVMO"].astype(int) % 3
    read = read[(place != 1) & read["LIQUIDX"].notna()]
    months = np.where(read["QINTRVMO"].astype(int) % 3 == 2, 1, 2)
    columns = ["FINCBTAX", "AGE", "EDUCA", "FAM_SIZE", "PERSLT18", "NO_EARNR"]
    frame = read[columns].astype(float).assign(months=months.astype(float))
    frame = frame.assign(owner=(read["CUTENURE"].astype(float) <= 3).astype(float), vehicles=read["VEHQ"].astype(float))
    frame = frame.assign(
        Y=read["LIQUIDX"].astype(float),
        Z=read["TOTEXPCQ"] * 12 / months,
        food=read["FOODCQ"] * 12 / months,
        weight=read["FINLWT21"],
        unit=read["NEWID"] // 10,
    )
    return frame.dropna().reset_index(drop=True)


def share_of_top(y: np.ndarray, z: np.ndarray, weight: np.ndarray) -> float:
    top = y > quantile(y, 0.8, weight)
    return float(np.sum((weight * z)[top]) / np.sum(weight * z))


def keys_of(frame: pd.DataFrame) -> np.ndarray:
    return frame.index.to_numpy().astype(np.uint64)


def figures(frame: pd.DataFrame, y: np.ndarray, z: np.ndarray, predictors: list[str]) -> np.ndarray:
    weight = frame["weight"].to_numpy(float)
    unit = frame["unit"].to_numpy().astype(np.uint64)
    given = estimate_rho(frame[predictors], y, z, keys_of(frame), weight=weight, household=unit, resamples=2, repeats=3)
    plain = rank_correlation(ranks(y, weight), ranks(z, weight), weight)
    return np.array([given.rho, plain, share_of_top(y, z, weight)])


def one_division(frame: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
    """Return the figures of one division: by row of the table, figures (and spreads of the last one)."""
    predictors = [c for c in frame.columns if c not in ("Y", "Z", "weight", "unit", *BRIDGES["bridged"], "food")]
    units = frame["unit"].unique()
    fourth = dict(zip(np.random.default_rng(seed).permutation(units), np.arange(len(units)) % 4, strict=True))
    part = frame["unit"].map(fourth)
    of_y, of_z, receiver, both = (frame[part == k] for k in range(4))
    drawn = {}
    for target, donor in (("Y", of_y), ("Z", of_z)):
        made = impute(
            donor[[*predictors, target, "weight"]],
            receiver[[*predictors, "weight"]].reset_index(drop=True),
            targets=[target],
            predictors=predictors,
            weight="weight",
            m=M,
            seed=seed * 2 + (target == "Z"),
        )
        drawn[target] = made.numbers(target).reshape(M, -1)
    x, keys, weight = receiver[predictors].to_numpy(), keys_of(receiver), receiver["weight"].to_numpy(float)
    found = estimate_rho(
        both[predictors],
        both["Y"],
        both["Z"],
        keys_of(both),
        weight=both["weight"],
        household=both["unit"].to_numpy().astype(np.uint64),
        seed=seed,
    )
    true_y, true_z = receiver["Y"].to_numpy(float), receiver["Z"].to_numpy(float)
    out = {"truth": figures(receiver, true_y, true_z, predictors)}
    apart = reorder(x, true_y, true_z, 0.0, keys, weight=weight, drawn_with=out["truth"][0], seed=seed, size=50)
    out["truth, made independent"] = figures(receiver, true_y, true_z[apart.source], predictors)
    beliefs: dict[str, Prior] = {
        "independent": Point(0.0),
        "rho estimated": found.prior(),
        "rho uniform": Uniform(0, 0.6),
    }
    for name, believed in beliefs.items():
        each = []
        for i in range(M):
            y, z = drawn["Y"][i], drawn["Z"][i]
            moved = reorder(
                x, y, z, believed.draw(seed, i + 1), keys, weight=weight, seed=seed, implicate=i + 1, size=50
            )
            each.append(figures(receiver, y, z[moved.source], predictors))
        out[name] = np.mean(each, axis=0)
        out[f"{name}, sd between implicates"] = np.std(each, axis=0, ddof=1)
    for name, wanted in BRIDGES.items():
        names = [c for c in wanted if c in frame]
        if name == "bridged" or "food" in names:
            pairs = bridged(of_y, of_z, receiver, predictors, names, seed)
            out[name] = np.mean([figures(receiver, y, z, predictors) for y, z in pairs], axis=0)
    out["auxiliary"] = np.array([found.rho, found.se, len(receiver)])
    out["bounds"] = np.mean(
        [bounds(drawn["Y"][i], drawn["Z"][i], moved.neighbourhood, weight) for i in range(M)], axis=0
    )
    return out


def bridged(
    of_y: pd.DataFrame, of_z: pd.DataFrame, receiver: pd.DataFrame, predictors: list[str], names: list[str], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw Y with the bridges, then Z given them: one pair per implicate."""
    survey = {"weight": "weight"}
    fused = fuse(
        Survey(receiver[[*predictors, "weight"]].reset_index(drop=True), **survey),
        [
            Stage("y", Survey(of_y[[*predictors, *names, "Y", "weight"]], **survey), ["Y", *names], predictors),
            Stage(
                "z",
                Survey(of_z[[*predictors, *names, "Z", "weight"]], **survey),
                ["Z"],
                predictors,
                bridges=[Bridge(name, (name,)) for name in names],
            ),
        ],
        m=M,
        seed=seed,
    )
    made = fused.imputations
    return list(zip(made.numbers("Y"), made.numbers("Z"), strict=True))


def bounds(y: np.ndarray, z: np.ndarray, neighbourhood: np.ndarray, weight: np.ndarray) -> np.ndarray:
    top, total = quantile(y, 0.8, weight), np.average(z, weights=weight)
    got = figure_bounds(lambda a, b: b * (a > top) / total, y, z, neighbourhood, weight=weight)
    return np.array([got.low, got.independent, got.high])


def report(title: str, frame: pd.DataFrame, divisions: int) -> None:
    found = [one_division(frame, seed) for seed in range(divisions)]
    mean = {name: np.mean([f[name] for f in found], axis=0) for name in found[0]}
    error = {n: np.std([f[n] - f["truth"] for f in found], axis=0, ddof=1) / np.sqrt(divisions) for n in found[0]}
    print(f"\n### {title}\n\n| | {' | '.join(FIGURES)} |\n|---|---|---|---|")
    rows = ("truth", "truth, made independent", "independent", *BRIDGES, "rho estimated", "rho uniform")
    for name in (row for row in rows if row in mean):
        cells = [
            f"{v:.3f}" + (f" ± {e:.3f}" if not name.startswith("truth") else "")
            for v, e in zip(mean[name], error[name], strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    for name in ("rho estimated", "rho uniform"):
        spread = " | ".join(f"{v:.3f}" for v in mean[f"{name}, sd between implicates"])
        print(f"| {name}: sd between implicates | {spread} |")
    low, middle, high = mean["bounds"]
    rho, se, count = mean["auxiliary"]
    print(f"\nBounds of the share: {low:.3f} to {high:.3f} (independent {middle:.3f}).")
    print(f"Auxiliary file: rho {rho:.3f}, standard error {se:.3f}. Receivers: {count:,.0f}. Divisions: {divisions}.")
    print("± is the standard error over divisions of the difference to the truth.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sipp", type=Path, help="SIPP 1991: wealth and pension accounts")
    parser.add_argument("interviews", type=Path, help="CE Interview: liquid assets and spending")
    parser.add_argument("--divisions", type=int, default=8)
    parser.add_argument("--only", choices=("sipp", "ce"), help="one of the two files")
    said = parser.parse_args()
    if said.only != "ce":
        report("SIPP 1991: pension accounts (Z) and other wealth (Y)", sipp(said.sipp), said.divisions)
    if said.only != "sipp":
        report("CE Interview: spending (Z) and liquid assets (Y)", interviews(said.interviews), said.divisions)


if __name__ == "__main__":
    main()
