"""Who would be eligible for SSI with and without imputed assets: SCF wealth on CPS households, run by PolicyEngine.

python scripts/ssi_with_wealth.py SCFP2019.zip cps.csv.gz out

Needs policyengine-us beside this package; scripts/test_microsimulation.py makes such an environment.
"""

import sys
from pathlib import Path

import numpy as np
from policyengine_us import Microsimulation

from microimpute import Fusion, Survey, impute, pool
from microimpute.crosswalks.base import crosswalk
from microimpute.export import policyengine
from microimpute.export.taxcalc import read_units, records
from microimpute.prices import price_factor
from microimpute.survey import replace_survey
from microimpute.surveys.cps_tax_units import SCALED_TO_2014, CPSTaxUnits
from microimpute.surveys.scf import SCF
from microimpute.variance import bootstrap_replicates

YEAR, EVERY, M = 2019, 20, 5
#: PolicyEngine's countable assets, and what they are in the SCF.
ASSETS = {
    "bank_account_assets": ("LIQ", "CDS"),
    "stock_assets": ("STOCKS", "NMMF"),
    "bond_assets": ("BOND", "SAVBND"),
}
PARTS = [c for several in ASSETS.values() for c in several]


def sample(cps: Survey) -> Survey:
    """Take every twentieth household, with twenty times its weight."""
    frame = cps.frame.to_pandas().iloc[::EVERY].reset_index(drop=True)
    return replace_survey(cps, frame=frame.assign(household_weight=frame["household_weight"] * EVERY), checks=())


def population(units: Survey) -> policyengine.Population:
    """Make persons with income and, where there is any, assets in dollars of one year."""
    own = units.numbers("FLPDYR")
    to_year = np.select([own == y for y in np.unique(own)], [price_factor(int(y), YEAR) for y in np.unique(own)])
    scaled = {c: price_factor(2014, YEAR) for c in [*SCALED_TO_2014, "e00200p", "e00200s", "e00900p", "e00900s"]}
    factors = dict.fromkeys(("e02100", "e02400", "e01500", "e00400", "e00800"), to_year) | scaled
    made = policyengine.of_tax_units(units, head=[c for c in PARTS if c in units.columns], year_factor=factors)
    person = dict(made.variables["person"])
    assets = {name: person.pop(parts[0]) + person.pop(parts[1]) for name, parts in ASSETS.items() if parts[0] in person}
    variables = {**made.variables, "person": {**person, **assets}}
    return policyengine.Population(made.members, variables, made.notes)


def by_household(path: Path, weight: np.ndarray) -> np.ndarray:
    """Run PolicyEngine; per household, millions eligible in January and billions of SSI in the year."""
    simulation = Microsimulation(dataset=str(path))
    # households are numbered by year and number of the file: the receiver's own order
    np.testing.assert_allclose(simulation.calculate("household_weight", YEAR).values, weight, rtol=1e-6)
    home = simulation.calculate("person_household_id", YEAR).values.astype(int)
    eligible = simulation.calculate("is_ssi_eligible", f"{YEAR}-01").values
    benefit = simulation.calculate("ssi", YEAR).values
    return np.column_stack(
        [np.bincount(home, weights=v, minlength=len(weight)) for v in (eligible / 1e6, benefit / 1e9)]
    )


def main(scf: str, cps: str, out: str) -> None:
    """Impute, write six files, run them, pool."""
    walk = crosswalk("scf_to_cps_tax_units")
    donor, receiver = walk.harmonise(SCF().read(Path(scf)), sample(CPSTaxUnits().read(Path(cps))), YEAR)
    made = impute(Fusion(donor, receiver, targets=PARTS, predictors=walk.predictors), m=M)
    own = read_units(cps)
    folder = Path(out)
    folder.mkdir(parents=True)

    def units(i: int) -> Survey:
        one = records(made, i, own, dict.fromkeys(PARTS, "head"), unmatched=1.0)
        frame = one.frame.to_pandas()
        return replace_survey(one, frame=frame.assign(unit_weight=frame["unit_weight"] * EVERY))

    plain = units(1)
    plain = replace_survey(plain, frame=plain.frame.drop(*PARTS))
    policyengine.write(population(plain), folder / "without.h5", YEAR)
    notes = policyengine.write_all(made, folder / "with", YEAR, lambda i: population(units(i)))
    print(*notes, sep="\n")
    weight = receiver.weights()
    replicates = bootstrap_replicates(weight, count=200)
    without = by_household(folder / "without.h5", weight)
    estimates = []
    for i in range(1, M + 1):
        tested = by_household(folder / f"with/implicate_{i}.h5", weight)
        every = np.hstack([without, tested, tested - without])
        estimates.append(replicates.estimate(lambda values, w: w @ values, every))
    what = ("eligible, millions", "SSI, $ billion")
    names = [f"{w} {how}" for how in ("without assets", "with assets", "difference") for w in what]
    print(pool(np.stack([e.estimate for e in estimates]), np.stack([e.covariance for e in estimates]), names=names))


if __name__ == "__main__":
    main(*sys.argv[1:])
