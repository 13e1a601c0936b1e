"""PolicyEngine: one HDF5 dataset per implicate, variable and year → array, with entities and who belongs to which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from microimpute import storage
from microimpute.errors import MissingExtraError, OutputError
from microimpute.survey import Survey
from microimpute.units.people import HEAD, People, people_of_tax_units

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = ["GROUPS", "Population", "of_tax_units", "write", "write_all"]

Array = npt.NDArray[Any]

#: Group entities of policyengine-us.
GROUPS = ("household", "spm_unit", "family", "tax_unit", "marital_unit")
#: Tax units' columns → person inputs of policyengine-us; (head's, spouse's) where the file tells them apart.
_EARNED = {"employment_income_before_lsr": "e00200", "self_employment_income_before_lsr": "e00900"}
_UNIT_INCOME = {
    "farm_income": "e02100",
    "taxable_interest_income": "e00300",
    "tax_exempt_interest_income": "e00400",
    "qualified_dividend_income": "e00650",
    "social_security_retirement": "e02400",
    "taxable_private_pension_income": "e01500",
    "taxable_ira_distributions": "e01400",
    "alimony_income": "e00800",
    "unemployment_compensation": "e02300",
}


@dataclass(frozen=True)
class Population:
    """Entities and their variables, as a PolicyEngine dataset holds them.

    Attributes
    ----------
    members
        Group entity → each person's group, as the row number among the groups, shape (persons,).
    variables
        Entity (``"person"`` or one of `GROUPS`) → variable → array, shape (rows of that entity,). Numbers, booleans,
        or text for PolicyEngine's classes. `household_weight` has to be among the household's.
    notes
        What was assumed, a sentence each.
    """

    members: Mapping[str, npt.NDArray[np.int64]] = field(repr=False)
    variables: Mapping[str, Mapping[str, Array]] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def persons(self) -> int:
        """Number of persons."""
        return len(self.members["household"])

    def sizes(self) -> dict[str, int]:
        """Return the number of rows of each entity."""
        return {"person": self.persons} | {g: int(m.max(initial=-1)) + 1 for g, m in self.members.items()}

    def with_variables(self, entity: str, more: Mapping[str, Array]) -> Population:
        """Return a population with more, or other, variables of an entity."""
        own = {**self.variables.get(entity, {}), **more}
        return Population(self.members, {**self.variables, entity: own}, self.notes)


def write(population: Population, path: str | Path, year: int) -> None:
    """Write a dataset that ``policyengine_us.Microsimulation(dataset=path)`` opens.

    Parameters
    ----------
    population
        What to write.
    path
        A new file that ends in .h5.
    year
        Year of all variables: their dollars and their law.

    Raises
    ------
    OutputError
        If a file is there, an entity has gaps or no members, or an array is of another length, missing or infinite
        somewhere; names it.
    MissingExtraError
        If h5py is not installed.

    Notes
    -----
    PolicyEngine's format TIME_PERIOD_ARRAYS: an HDF5 dataset ``variable/year`` for each variable, and ids
    ``person_id``, ``household_id``, ``person_household_id`` and so on. Persons and groups are numbered 0, 1, 2, …
    PolicyEngine ignores variables that it does not know, with a warning in its log.
    """
    target = Path(path)
    if target.suffix != ".h5":
        raise OutputError(f"{target.name} does not end in .h5", f"Name it {target.with_suffix('.h5').name}.")
    arrays = _arrays(population)
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "A PolicyEngine dataset", "pip install 'microimpute[policyengine]'") from None
    storage.refuse_files(target)
    with storage.new_files(target) as scratch, h5py.File(scratch / target.name, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(f"{name}/{year}", data=values)


def write_all(
    imputations: Imputations,
    folder: str | Path,
    year: int,
    make: Callable[[int], Population],
) -> tuple[str, ...]:
    """Write ``implicate_1.h5`` … into a new directory.

    Parameters
    ----------
    imputations
        How many implicates there are.
    folder
        New or empty.
    year
        As `write` takes it.
    make
        Number of an implicate → its population.

    Returns
    -------
    tuple of str
        What was assumed.
    """
    notes: tuple[str, ...] = ()
    with storage.new_directory(Path(folder)) as scratch:
        for i in range(1, imputations.m + 1):
            population = make(i)
            write(population, scratch / f"implicate_{i}.h5", year)
            notes = population.notes
        (scratch / "notes.txt").write_text("\n".join(notes) + "\n", encoding="utf-8")
    return notes


def of_tax_units(
    units: Survey, *, head: Sequence[str] = (), year_factor: Mapping[str, Array] | None = None
) -> Population:
    """Make persons and all entities of Tax-Calculator's tax units.

    Parameters
    ----------
    units
        As `microimpute.export.taxcalc.read_units` or `records` gives them.
    head
        Further columns of the units, such as imputed ones, that become variables of persons by their name: the unit's
        amount is its head's, other persons have 0.
    year_factor
        Column of the units → factor by which its amounts are multiplied, shape (units,): to dollars of one year.

    Returns
    -------
    Population
        Household, family and SPM unit are the household of the file; a marital unit is a head with spouse, or any one
        other person. `notes` say what was assumed.

    Raises
    ------
    SurveyError
        If a column is not there.
    OutputError
        If units have no household.
    """
    people = people_of_tax_units(units)
    if len(units.household) != 2:
        raise OutputError("the tax units have no household", "Read them by microimpute.export.taxcalc.read_units.")
    home = _numbered(np.stack([units.numbers(c) for c in units.household], axis=1))
    leads = people.role != 1
    members = {
        "household": home[people.unit],
        "spm_unit": home[people.unit],
        "family": home[people.unit],
        "tax_unit": people.unit,
        "marital_unit": np.cumsum(leads) - 1,
    }

    def amount(column: str) -> Array:
        if column not in units.columns:
            return np.zeros(len(units))
        return units.numbers(column) * (year_factor or {}).get(column, 1.0)

    person = _person(people, amount)
    for column in head:
        units.require(column, "tax unit")
        person[column] = people.give(amount(column))
    first = _heads(units, home)
    household = {
        "household_weight": units.weights()[first],
        "state_fips": units.numbers("fips")[first].astype(np.int64),
    }
    notes = (
        *people.notes,
        "Earnings are head's and spouse's as in the file; all other income of a unit is its head's, dependants have "
        "none. All pensions are taken for taxable private ones, all Social Security for retirement.",
        "Household, family and SPM unit are one; weight and state are the head unit's.",
        "Nobody is disabled in the file, so none is here; blindness is the file's (head and spouse only). Everybody "
        "is a citizen, PolicyEngine's default.",
    )
    return Population(members, {"person": person, "household": household}, notes)


def _person(people: People, amount: Callable[[str], Array]) -> dict[str, Array]:
    """Return the persons' variables, from the units' amounts by column."""
    person: dict[str, Array] = {"age": people.age.astype(np.float64)}
    for name, column in _EARNED.items():
        person[name] = people.give(amount(f"{column}p"), amount(f"{column}s"))
    person |= {name: people.give(amount(column)) for name, column in _UNIT_INCOME.items()}
    person["non_qualified_dividend_income"] = people.give(amount("e00600") - amount("e00650"))
    person["is_blind"] = people.give(amount("blind_head"), amount("blind_spouse")) > 0
    return person


def _heads(units: Survey, home: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the row of the unit that leads each household."""
    units.require(HEAD, "head")
    rows = np.flatnonzero(units.numbers(HEAD) == 1)
    out = np.zeros(int(home.max(initial=-1)) + 1, dtype=np.int64)
    out[home[rows]] = rows
    return out


def _numbered(keys: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give distinct rows the numbers 0, 1, 2 and so on."""
    _, which = np.unique(keys, axis=0, return_inverse=True)
    return which.reshape(-1).astype(np.int64)


def _arrays(population: Population) -> dict[str, Array]:
    """Return everything by its name in the file, checked."""
    if missing := [g for g in GROUPS if g not in population.members]:
        raise OutputError(f"nobody said which {missing[0]} persons belong to", f"Name all of {', '.join(GROUPS)}.")
    sizes = population.sizes()
    out: dict[str, Array] = {"person_id": np.arange(population.persons, dtype=np.int64)}
    for group in GROUPS:
        membership = np.asarray(population.members[group])
        if membership.shape != (population.persons,) or membership.dtype.kind not in "iu":
            raise OutputError(f"{group} does not number every person's group", "Give whole numbers, one per person.")
        if not np.array_equal(np.unique(membership), np.arange(sizes[group])):
            raise OutputError(f"a {group} has no members", "Number the groups 0, 1, 2, … without gaps.")
        out[f"{group}_id"] = np.arange(sizes[group], dtype=np.int64)
        out[f"person_{group}_id"] = membership.astype(np.int64)
    if "household_weight" not in population.variables.get("household", {}):
        raise OutputError("households have no household_weight", "PolicyEngine would count every household once.")
    for entity, variables in population.variables.items():
        for name, values in variables.items():
            if name in out:
                raise OutputError(f"variable {name!r} is there twice", "Leave ids out; they are written anyway.")
            out[name] = _checked(name, np.asarray(values), entity, sizes)
    return out


def _checked(name: str, values: Array, entity: str, sizes: Mapping[str, int]) -> Array:
    if entity not in sizes:
        raise OutputError(f"there is no entity {entity!r}", f"Choose one of person, {', '.join(GROUPS)}.")
    if values.shape != (sizes[entity],):
        raise OutputError(
            f"variable {name!r} has {len(values):,} values for {sizes[entity]:,} rows of {entity}",
            "Give one per row of its entity.",
        )
    if values.dtype.kind in "OU":
        text = np.array([str(v).encode() for v in values])
        if any(v is None or v != v for v in values.tolist()):
            raise OutputError(f"variable {name!r} is missing in some rows", "Fill it, or leave it out.")
        return text
    if values.dtype.kind not in "biuf" or not np.isfinite(values.astype(np.float64)).all():
        raise OutputError(
            f"variable {name!r} is missing, infinite or no number in some rows", "Fill it, or leave it out."
        )
    return values
