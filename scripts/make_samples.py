"""Make the survey samples that travel with the package, from the published files.

    python scripts/make_samples.py SCFP2019.zip cps.csv.gz

Households are drawn with unequal probabilities, systematically from a sorted list, and their weights are then
calibrated (bounded raking, Deville and Särndal 1992) to totals of the published file. See
src/microimpute/data/README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from microimpute.crosswalks.scf_to_cps_tax_units import SCFToCPSTaxUnits
from microimpute.readers.scf_waves import IMPLICATES
from microimpute.rules import parse_all
from microimpute.survey import Survey
from microimpute.surveys.cps_tax_units import HOUSEHOLD_ONLY, REQUIRED, CPSTaxUnits
from microimpute.surveys.scf import IDENTITIES, SCF

FloatArray = npt.NDArray[np.float64]

SEED = 20191
#: How strongly an SCF household's chance to be drawn grows with its wealth.
RICHNESS = 0.6
SCF_HOUSEHOLDS = 1_200
CPS_HOUSEHOLDS = 6_000
#: How far calibration may change a weight: not below, not above, so many times.
LOW, HIGH = 0.2, 4.0
DATA = Path(__file__).resolve().parents[1] / "src" / "microimpute" / "data"

DEMOGRAPHIC = (
    "HHSEX",
    "AGE",
    "AGECL",
    "EDUC",
    "EDCL",
    "MARRIED",
    "KIDS",
    "LF",
    "FAMSTRUCT",
    "RACECL",
    "RACE",
)
WORK = ("OCCAT1", "OCCAT2", "HOUSECL")
INCOME = ("INCOME", "WAGEINC", "BUSSEFARMINC", "INTDIVINC", "KGINC", "SSRETINC", "TRANSFOTHINC", "PENACCTWD")


def systematic(size: FloatArray, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw `count` units with probability proportional to size, large ones with certainty, in list order."""
    chance = np.minimum(1.0, count * size / size.sum())
    while not np.isclose(chance.sum(), count):  # give what certain units can't take to the others
        sure = chance >= 1.0
        chance[~sure] = np.minimum(1.0, (count - sure.sum()) * size[~sure] / size[~sure].sum())
    ticks = np.floor(np.r_[0.0, np.cumsum(chance)] + rng.uniform())
    return np.flatnonzero(np.diff(ticks) > 0)


def rake(start: FloatArray, design: FloatArray, totals: FloatArray) -> FloatArray:
    """Find weights between LOW and HIGH times the starting ones whose totals are the given ones.

    The logit method of Deville and Särndal (1992, case 6), solved by damped Newton steps.
    """
    x = design / np.abs(totals)
    goal = totals / np.abs(totals)
    steepness = (HIGH - LOW) / ((1.0 - LOW) * (HIGH - 1.0))

    def weigh(multiplier: FloatArray) -> tuple[FloatArray, FloatArray]:
        raised = (1.0 - LOW) * np.exp(np.clip(steepness * (x @ multiplier), -50.0, 50.0))
        ratio = (LOW * (HIGH - 1.0) + HIGH * raised) / (HIGH - 1.0 + raised)
        slope = (ratio - LOW) * (HIGH - ratio) * steepness / (HIGH - LOW)
        return start * ratio, start * slope

    multiplier = np.zeros(x.shape[1])
    weight, slope = weigh(multiplier)
    for _ in range(500):
        gap = goal - weight @ x
        if np.abs(gap).max() < 1e-9:
            return weight
        step = np.linalg.lstsq(x.T @ (slope[:, None] * x), gap, rcond=1e-12)[0]
        for _ in range(40):  # halve the step until it brings the totals nearer
            weight, slope = weigh(multiplier + step)
            if np.linalg.norm(goal - weight @ x) < np.linalg.norm(gap):
                break
            step *= 0.5
        multiplier += step
    raise RuntimeError(f"raking does not settle; largest relative gap {np.abs(gap).max():.2e}")


def groups(values: FloatArray, weight: FloatArray, shares: FloatArray) -> FloatArray:
    """Return indicators of lying at or below the weighted quantiles, shape (rows, quantiles)."""
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weight[order])
    cuts = values[order][np.searchsorted(cumulated, shares * cumulated[-1])]
    below: FloatArray = (values[:, None] <= cuts).astype(np.float64)
    return below


def sample_scf(survey: Survey) -> pa.Table:
    """Draw SCF households with all implicates, net worth sorted, the rich more often than their weight."""
    columns = {c for rule in parse_all(IDENTITIES) for c in rule.columns} | {*SCFToCPSTaxUnits.targets}
    keep = ["YY1", "Y1", "WGT", *DEMOGRAPHIC, *WORK, *INCOME]
    keep += [c for c in survey.columns if c in columns and c not in keep]
    data = survey.native.sort_values(["YY1", "IMPLICATE"])
    households = len(data) // IMPLICATES

    def mean(values: npt.NDArray[Any]) -> FloatArray:
        by_household = values.astype(np.float64).reshape(households, IMPLICATES, -1)
        return np.asarray(by_household.mean(axis=1))

    weight = mean(data["WGT"].to_numpy())[:, 0] * IMPLICATES
    worth = mean(data["NETWORTH"].to_numpy())[:, 0]
    row_weight = data["WGT"].to_numpy(np.float64)
    exact = [*SCFToCPSTaxUnits.targets, *INCOME[1:7], "AGE", "KIDS"]
    rows = np.hstack(
        [
            np.ones((len(data), 1)),
            data[exact].to_numpy(np.float64),
            groups(data["NETWORTH"].to_numpy(np.float64), row_weight, np.arange(1, 10) / 10),
            groups(data["INCOME"].to_numpy(np.float64), row_weight, np.array([0.25, 0.5, 0.75, 0.9])),
            data[["MARRIED", "HOUSECL"]].to_numpy(np.float64) == 1,
            data[["OCCAT1"]].to_numpy(np.float64) == 2,
            data[["WAGEINC", "SSRETINC", "TRANSFOTHINC"]].to_numpy(np.float64) != 0,
        ]
    )
    design, totals = mean(rows), row_weight @ rows  # published weights differ a little between implicates
    order = np.argsort(worth, kind="stable")
    size = weight * (np.abs(worth) + 50_000.0) ** RICHNESS
    rng = np.random.default_rng(SEED)
    chosen = np.sort(order[systematic(size[order], SCF_HOUSEHOLDS, rng)])
    start = (weight / size)[chosen]
    start *= weight.sum() / start.sum()
    calibrated = rake(start, design[chosen], totals)
    kept = (chosen[:, None] * IMPLICATES + np.arange(IMPLICATES)).ravel()
    frame = data[keep].iloc[kept].copy()
    frame["WGT"] = np.round(np.repeat(calibrated / IMPLICATES, IMPLICATES), 4)  # same bytes on any machine
    return shrink(frame)


def sample_cps(path: Path, survey: Survey) -> pa.Table:
    """Draw CPS households by weight, sorted by year, couple, age and income, and keep their tax units."""
    data = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    frame = survey.native
    weight = survey.weights()
    income = frame[[c for c in frame if str(c).startswith("family_e0")]].sum(axis=1).to_numpy(np.float64)
    age, children = survey.numbers("age_head"), survey.numbers("family_children")
    couple = survey.numbers("married") + survey.numbers("partner")
    order = np.lexsort((income, np.floor(age / 10), couple, survey.numbers("FLPDYR")))
    rng = np.random.default_rng(SEED)
    chosen = np.sort(order[systematic(weight[order], CPS_HOUSEHOLDS, rng)])
    years = survey.numbers("FLPDYR")[:, None] == np.array([2012, 2013])
    design = np.column_stack(
        [
            *(np.ones(len(frame)), years, age, couple, children, survey.numbers("partner")),
            *(survey.numbers("persons"), survey.numbers("tax_units"), survey.numbers("snap_ben")),
            *(survey.numbers(f"family_{c}") for c in ("e00200", "e00900", "e01500", "e02400", "e02300", "e01400")),
            *(survey.numbers(f"family_{c}") for c in ("e00300", "e00600")),
            groups(income, weight, np.arange(1, 10) / 10),
        ]
    )
    calibrated = rake(np.full(len(chosen), weight.sum() / len(chosen)), design[chosen], weight @ design)
    scaled = pd.DataFrame({"FLPDYR": frame["FLPDYR"].iloc[chosen], "h_seq": frame["h_seq"].iloc[chosen]})
    scaled = scaled.astype("int64").assign(factor=calibrated / weight[chosen])
    units = data[[c for c in (*REQUIRED, *HOUSEHOLD_ONLY) if c in data]].merge(scaled, on=["FLPDYR", "h_seq"])
    units["s006"] = np.rint(units["s006"] * units.pop("factor")).astype(np.int64)
    return shrink(units.sort_values(["FLPDYR", "h_seq", "ffpos", "a_lineno"]))


def shrink(frame: pd.DataFrame) -> pa.Table:
    """Hold whole numbers as integers."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    for place, name in enumerate(table.column_names):
        values = table[name].to_numpy()
        if np.array_equal(values, np.rint(values)):
            kind = pa.int32() if np.abs(values).max() < 2**31 else pa.int64()
            table = table.set_column(place, name, pa.array(values.astype(np.int64)).cast(kind))
    return table


def main() -> None:
    """Read the two published files, write the two samples."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scf", type=Path, help="SCFP2019.zip as published")
    parser.add_argument("cps", type=Path, help="Tax-Calculator's cps.csv.gz")
    given = parser.parse_args()
    made = {
        "scf_2019_sample.parquet": sample_scf(SCF().read(given.scf)),
        "cps_2013_2015_sample.parquet": sample_cps(given.cps, CPSTaxUnits().read(given.cps)),
    }
    for name, table in made.items():
        pq.write_table(table, DATA / name, compression="zstd", compression_level=19)
        size = (DATA / name).stat().st_size
        print(f"{name}: {table.num_rows:,} rows, {table.num_columns} columns, {size:,} bytes")


if __name__ == "__main__":
    main()
