"""Coverage of nominal 95% intervals of `impute` by simulation: by Reiter's rule, by Rubin's, and without resampling.

    python benchmarks/coverage.py [--methods forest qrf …] [--repetitions 500] [--donors 1000 5000] [--out FOLDER]
    python benchmarks/coverage.py --table FILE [FILE …]

A method may have settings, as in ``hotdeck,groups=16``.

Each repetition draws a donor sample and a receiver sample of 2,000 rows from one population, learns twenty times and
draws the donor's target twice each time, and pools the receiver's mean, median, share above zero and the slope of the
target on a predictor: with twenty models and with the first five; by the rule for external donors from both draws, and
by Rubin's from the first. Truth is the mean over ten samples of a million rows. Sampling variances within an implicate
are those of a simple random sample: s²/n, Woodruff's interval for the median, p(1 − p)/n, and the sandwich for the
slope. A method that draws its parameters is not resampled; for the others the same is done with donors as they are
("not resampled"), to show what is lost.

Populations: `normal`, y = 1 + .8 x + .4 g + e on a number x and a class g; `wealth`, zero for a share that depends on x
and g, else log-normal with a mean and a spread that depend on them. Results are appended to FOLDER/coverage.csv;
finished repetitions are not done again.
"""

import argparse
import csv
import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from microimpute import Fusion, Survey, impute, pool
from microimpute.methods.base import Method, method, methods

RECEIVERS, M, DRAWS = 2000, (5, 20), 2
FIGURES = ("mean", "median", "share", "slope")
#: (models, rule, donors resampled) that tables are printed for.
SHOWN = (
    (20, "external donors", True),
    (5, "external donors", True),
    (20, "rubin", True),
    (20, "external donors", False),
)
CELL = ("population", "donors", "method", "resampled", "repetition", "m", "rule", "figure")
COLUMNS = (*CELL, "estimate", "low", "high")


def population(name: str, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    x, g = rng.normal(size=rows), rng.integers(2, size=rows)
    if name == "normal":
        y = 1 + 0.8 * x + 0.4 * g + rng.normal(size=rows)
    else:
        there = rng.random(rows) < 1 / (1 + np.exp(-0.8 - 0.7 * x - 0.5 * g))
        y = np.where(there, np.exp(10 + 0.6 * x + 0.3 * g + (1 + 0.1 * g) * rng.normal(size=rows)), 0.0)
    return pd.DataFrame({"x": x, "g": np.where(g == 1, "b", "a"), "y": y})


@cache
def truth(name: str) -> np.ndarray:
    found = [figures(population(name, 1_000_000, np.random.default_rng([99, i])))[0] for i in range(10)]
    return np.asarray(np.mean(found, axis=0))


def figures(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of `FIGURES` and their sampling variances."""
    y, x, n = data["y"].to_numpy(), data["x"].to_numpy(), len(data)
    order = np.sort(y)
    half = 1.96 * np.sqrt(0.25 / n)
    low, middle, high = np.quantile(order, [0.5 - half, 0.5, 0.5 + half])
    above = float(np.mean(y > 0))
    centred = x - x.mean()
    slope = centred @ y / (centred @ centred)
    left = y - y.mean() - slope * centred
    variances = [
        y.var(ddof=1) / n,
        ((high - low) / 3.92) ** 2,
        above * (1 - above) / n,
        (centred**2 @ left**2) / (centred @ centred) ** 2,
    ]
    return np.array([y.mean(), middle, above, slope]), np.array(variances)


def made(text: str) -> Method:
    """Make a method of its name and settings."""
    name, *settings = text.split(",")
    return method(name, {key: json.loads(value) for key, value in (s.split("=", 1) for s in settings)})


def unresampled(text: str) -> Method:
    """Return the same method with donors as they are."""
    own = made(text)
    changed: type[Method] = type(type(own).__name__, (type(own),), {"resampled": False})
    return changed(**own.settings)


def repetition(name: str, donors: int, chosen: str, resampled: bool, number: int) -> list[list[object]]:
    rng = np.random.default_rng([number, donors, len(name)])
    donor, receiver = population(name, donors, rng), population(name, RECEIVERS, rng)
    known = receiver[["x", "g"]]
    fusion = Fusion(Survey(donor), Survey(known), targets=["y"])
    used = made(chosen) if resampled else unresampled(chosen)
    drawn = impute(fusion, method=used, m=max(M) * DRAWS, draws=DRAWS, seed=number, workers=1).numbers("y")
    each = [figures(known.assign(y=y)) for y in drawn]
    q, u = (np.array(part).reshape(max(M), DRAWS, -1) for part in zip(*each, strict=True))
    rows: list[list[object]] = []
    for m in M:
        rules = {"rubin": (q[:m, 0], u[:m, 0]), "external donors": (q[:m], u[:m])}
        for rule, given in rules.items():
            got = pool(*given, dfcom=RECEIVERS - 1, names=FIGURES, rule=rule)
            for k, figure in enumerate(FIGURES):
                numbers = [float(f"{v[k]:.7g}") for v in (got.estimate, got.low, got.high)]
                rows.append([name, donors, chosen, resampled, number, m, rule, figure, *numbers])
    return rows


def run(said: argparse.Namespace) -> None:
    said.out.mkdir(parents=True, exist_ok=True)
    file = said.out / "coverage.csv"
    if not file.exists():
        file.write_text(",".join(COLUMNS) + "\n")
    have = pd.read_csv(file)
    done = set(map(tuple, have[list(CELL[:5])].drop_duplicates().itertuples(index=False)))
    names = said.methods or [
        n for n, cls in methods().items() if cls.valid and cls.uses_predictors and not cls.requires
    ]
    for name in said.populations:
        for donors in said.donors:
            for chosen in names:
                for resampled in (True, False) if made(chosen).resampled and not said.resampled_only else (True,):
                    cell = (name, donors, chosen, resampled)
                    left = [i for i in range(said.repetitions) if (*cell, i) not in done]
                    found = Parallel(n_jobs=said.workers)(delayed(quiet)(*cell, i) for i in left)
                    with file.open("a", newline="") as out:
                        csv.writer(out).writerows(row for rows in found for row in rows)
                    print(*cell, len(left), "repetitions", flush=True)


def quiet(*cell: object) -> list[list[object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return repetition(*cell)  # type: ignore[arg-type]


def table(files: list[Path]) -> None:
    found = pd.concat([pd.read_csv(file) for file in files]).drop_duplicates(list(CELL))
    at = found["figure"].map(FIGURES.index).to_numpy()
    found["truth"] = [truth(n)[k] for n, k in zip(found["population"], at, strict=True)]
    found["covered"] = (found["low"] <= found["truth"]) & (found["truth"] <= found["high"])
    found["bias"] = 100 * (found["estimate"] / found["truth"] - 1)
    found["width"] = found["high"] - found["low"]
    found = found[~((found["population"] == "normal") & (found["figure"] == "share"))]
    for (name, donors), here in found.groupby(["population", "donors"], sort=False):
        for m, rule, resampled in SHOWN:
            own = here[(here["m"] == m) & (here["rule"] == rule) & (here["resampled"] == resampled)]
            if own.empty:
                continue
            donors_are = "" if resampled else ", donors not resampled"
            print(f"\n### {name}, {donors:,} donors, {m} models, rule {rule!r}{donors_are}\n")
            shown = [f for f in FIGURES if f in set(own["figure"])]
            print("| method | repetitions | " + " | ".join(f"{f}: coverage, bias" for f in shown) + " |")
            print("|---" * (len(shown) + 2) + "|")
            for chosen, cells in own.groupby("method"):
                parts = [cells[cells["figure"] == f] for f in shown]
                texts = [f"{100 * p['covered'].mean():.1f}, {p['bias'].mean():+.1f}%" for p in parts]
                print(f"| {chosen} | {cells['repetition'].nunique()} | " + " | ".join(texts) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", help="default: all that draw from predictors and need no extra")
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--donors", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--populations", nargs="+", default=["normal", "wealth"], choices=["normal", "wealth"])
    parser.add_argument("--resampled-only", action="store_true", help="leave out donors as they are")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/coverage"))
    parser.add_argument("--table", type=Path, nargs="+", help="print the tables of coverage.csv files instead")
    said = parser.parse_args()
    if said.table:
        table(said.table)
    else:
        run(said)


if __name__ == "__main__":
    main()
