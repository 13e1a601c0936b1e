"""Who pays an excise tax, by wealth: SCF wealth and CE spending on CPS households, after-tax income by Tax-Calculator.

python scripts/tobacco_tax_by_wealth.py SCFP2019.zip fmli_2013q3_2016q1_subset.csv.gz cps.csv.gz

Needs taxcalc beside this package; scripts/test_microsimulation.py makes such an environment.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import taxcalc as tc

from microimpute import Survey, pool
from microimpute.crosswalks.base import crosswalk
from microimpute.export.taxcalc import read_units, records
from microimpute.prices import price_factor
from microimpute.stages import Link, Stage, fuse
from microimpute.survey import replace_survey
from microimpute.surveys.cex import CEX
from microimpute.surveys.cps_tax_units import CPSTaxUnits
from microimpute.surveys.scf import SCF
from microimpute.variance import bootstrap_replicates

YEAR, EVERY, M = 2019, 20, 5
TAX = 0.10


def sample(cps: Survey) -> Survey:
    """Take every twentieth household, with twenty times its weight."""
    frame = cps.frame.to_pandas().iloc[::EVERY].reset_index(drop=True)
    return replace_survey(cps, frame=frame.assign(household_weight=frame["household_weight"] * EVERY), checks=())


def spending(path: Path) -> Survey:
    """Read tobacco spending and what predicts it, in dollars of one year, under the receiver's names."""
    ce = CEX().read(path)
    frame = ce.frame.to_pandas()
    factor = frame["YEAR"].map({y: price_factor(int(y), YEAR) for y in frame["YEAR"].unique()}).to_numpy(float)
    columns = {
        "age": np.minimum(frame["AGE"].to_numpy(float), 85),
        "persons": frame["FAM_SIZE"].to_numpy(float),
        "total_income": frame["FINCBTAX"].to_numpy(float) * factor,
        "tobacco": frame["tobacco"].to_numpy(float) * factor,
        "CUID": frame["CUID"].to_numpy(),
        "w": ce.weights(),
    }
    # a consumer unit is there up to four times: drawn by unit, never apart
    return Survey(
        pd.DataFrame(columns), weight="w", household="CUID", kinds={"tobacco": "semicontinuous"}, dollars=YEAR
    )


def after_tax(units: Survey, count: int) -> np.ndarray:
    """Run Tax-Calculator under the law of 2014 and return households' income after tax, in dollars of one year."""
    frame = units.frame.to_pandas()
    calculator = tc.Calculator(policy=tc.Policy(), records=tc.Records(data=frame, start_year=2014), verbose=False)
    calculator.advance_to_year(2014)
    calculator.calc_all()
    # years and numbers within them go up as the receiver's rows do
    _, home = np.unique(units.numbers("FLPDYR") * 1e6 + units.numbers("h_seq"), return_inverse=True)
    income = calculator.array("aftertax_income") * price_factor(2014, YEAR)
    return np.bincount(home, weights=income, minlength=count)


def by_wealth(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return tax per household and as a share of income after tax (%), in each fifth of households by net worth."""
    worth, tax, income = values.T
    order = np.argsort(worth, kind="stable")
    rank = np.empty(len(worth))
    rank[order] = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    fifth = np.minimum((rank * 5).astype(int), 4)
    paid, had, size = (np.bincount(fifth, weights=weight * v, minlength=5) for v in (tax, income, np.ones(len(tax))))
    return np.concatenate([paid / size, 100 * paid / had])


def main(scf: str, ce: str, cps: str) -> None:
    """Fuse twice, run Tax-Calculator, pool."""
    walk = crosswalk("scf_to_cps_tax_units")
    donor, receiver = walk.harmonise(SCF().read(Path(scf)), sample(CPSTaxUnits().read(Path(cps))), YEAR)
    bought = spending(Path(ce))
    stages = [
        Stage("wealth", donor, ["NETWORTH"], list(walk.predictors)),
        Stage("spending", bought, ["tobacco"], ["age", "persons", "total_income"]),
    ]
    own = read_units(cps)
    replicates = bootstrap_replicates(receiver.weights(), count=200)
    names = [f"{what}, fifth {i}" for what in ("tax $", "% of income") for i in range(1, 6)]
    for rho in (0.0, -0.3):
        links = [Link("NETWORTH", "tobacco", rho)] if rho else []
        made = fuse(receiver, stages, links=links, m=M).imputations
        estimates = []
        for i in range(1, M + 1):
            units = records(made, i, own, {"NETWORTH": "head", "tobacco": "equal"}, unmatched=1.0)
            values = np.column_stack(
                [made.numbers("NETWORTH")[i - 1], TAX * made.numbers("tobacco")[i - 1], after_tax(units, len(receiver))]
            )
            estimates.append(replicates.estimate(by_wealth, values))
        print(f"rank correlation of net worth and tobacco, given the predictors: {rho}")
        print(pool(np.stack([e.estimate for e in estimates]), np.stack([e.covariance for e in estimates]), names=names))


if __name__ == "__main__":
    main(*sys.argv[1:])
