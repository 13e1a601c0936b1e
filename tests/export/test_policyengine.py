"""PolicyEngine datasets: what is in the file, what is refused, and the program itself computes SSI from it."""

import sys

import numpy as np
import pytest
from tax_units_made import households, units, write_units

from microimpute import pool
from microimpute.errors import MissingExtraError, OutputError
from microimpute.export.policyengine import GROUPS, Population, of_tax_units, write, write_all
from microimpute.export.taxcalc import read_units, records

h5py = pytest.importorskip("h5py", reason="h5py is not installed")
YEAR = 2024


@pytest.fixture
def path(tmp_path):
    return write_units(tmp_path)


def read(file):
    with h5py.File(file) as handle:
        return {name: handle[name][str(YEAR)][()] for name in handle}


def test_what_stands_in_the_file(path, tmp_path):
    population = of_tax_units(read_units(path))
    write(population, tmp_path / "x.h5", YEAR)
    got = read(tmp_path / "x.h5")
    assert got["person_id"].tolist() == list(range(14))
    for group in GROUPS:
        assert np.array_equal(np.unique(got[f"person_{group}_id"]), got[f"{group}_id"]), group
    assert got["person_tax_unit_id"].tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7]
    assert got["person_household_id"].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4, 4, 5]
    # couples are one marital unit, everybody else is one alone
    assert np.bincount(got["person_marital_unit_id"]).tolist() == [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1]
    assert got["age"].tolist() == [70, 45, 40, 3, 9, 30, 50, 15, 75, 19, 80, 67, 66, 28]
    given = units()
    # the third household's head is its second unit, whose weight is 301
    assert got["household_weight"].tolist() == [205, 197, 301, 150, 150, 250]
    assert got["state_fips"].tolist() == [23, 23, 6, 36, 36, 48]
    for name, column in {
        "employment_income_before_lsr": "e00200",
        "taxable_interest_income": "e00300",
        "social_security_retirement": "e02400",
    }.items():
        by_unit = np.bincount(got["person_tax_unit_id"], weights=got[name])
        assert by_unit.tolist() == given[column].tolist()
    assert got["employment_income_before_lsr"][2] == given["e00200s"][1] > 0
    assert got["is_blind"].nonzero()[0].tolist() == [10]
    dividends = got["qualified_dividend_income"] + got["non_qualified_dividend_income"]
    assert dividends.sum() == given["e00600"].sum()


def test_imputed_amounts_are_persons(path, tmp_path):
    made, own = households(path), read_units(path)

    def make(i):
        return of_tax_units(records(made, i, own, {"liquid": "head"}, names={"liquid": "bank_account_assets"}),
                            head=["bank_account_assets"])  # fmt: skip

    write_all(made, tmp_path / "out", YEAR, make)
    plain = of_tax_units(own)
    write(plain, tmp_path / "plain.h5", YEAR)
    before = read(tmp_path / "plain.h5")
    for i in (1, 2, 3):
        got = read(tmp_path / "out" / f"implicate_{i}.h5")
        by_home = np.bincount(got["person_household_id"], weights=got["bank_account_assets"])
        assert by_home.tolist() == made.complete(i)["liquid"].tolist()
        for name, values in before.items():
            assert np.array_equal(got[name], values), name


def of_two(**changes):
    members = dict.fromkeys(GROUPS, np.array([0, 1]))
    variables = {"person": {"age": np.array([40.0, 50.0])}, "household": {"household_weight": np.array([1.0, 2.0])}}
    return Population({**members, **changes.pop("members", {})}, {**variables, **changes})


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: of_two(members={"family": np.array([0, 2])}), "a family has no members"),
        (lambda: of_two(members={"family": np.array([0.0, 1.0])}), "family does not number"),
        (lambda: of_two(household={"state_fips": np.array([6, 6])}), "no household_weight"),
        (lambda: of_two(person={"age": np.array([40.0, np.nan])}), "'age' is missing"),
        (lambda: of_two(person={"age": np.array([40.0])}), "'age' has 1 values for 2 rows of person"),
        (lambda: of_two(person={"person_id": np.array([4, 5])}), "'person_id' is there twice"),
        (lambda: of_two(benefit_unit={"x": np.array([4, 5])}), "no entity 'benefit_unit'"),
    ],
)
def test_what_is_refused(made, told, tmp_path):
    with pytest.raises(OutputError, match=told):
        write(made(), tmp_path / "x.h5", YEAR)
    assert not list(tmp_path.iterdir())


def test_names_and_files_that_are_there(tmp_path):
    with pytest.raises(OutputError, match=r"Name it x\.h5"):
        write(of_two(), tmp_path / "x.hdf", YEAR)
    write(of_two(), tmp_path / "x.h5", YEAR)
    with pytest.raises(OutputError, match=r"x\.h5"):
        write(of_two(), tmp_path / "x.h5", YEAR)


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"microimpute\[policyengine\]"):
        write(of_two(), tmp_path / "x.h5", YEAR)


def ssi(file):
    """Return which persons PolicyEngine finds eligible for SSI (without the test of income) in January."""
    us = pytest.importorskip(
        "policyengine_us",
        reason="policyengine-us is not installed; scripts/test_microsimulation.py makes an environment with it",
    )
    simulation = us.Microsimulation(dataset=str(file))
    resources = simulation.calculate("ssi_countable_resources", YEAR).values
    weight = simulation.calculate("person_weight", YEAR).values
    return simulation.calculate("is_ssi_eligible", f"{YEAR}-01").values, resources, weight


@pytest.mark.filterwarnings("ignore")
def test_policyengine_computes_ssi_eligibility(path, tmp_path):
    pytest.importorskip("policyengine_us", reason="policyengine-us is not installed")
    made, own = households(path, m=2), read_units(path)
    worth = ([1500.0, 0, 0, 2500.0, 2500.0, 0], [2500.0, 0, 0, 2500.0, 3500.0, 0])
    for i in range(2):
        made.values["liquid"][i].to_native().iloc[:] = worth[i]

    def make(i):
        return of_tax_units(records(made, i, own, {"liquid": "head"}, names={"liquid": "bank_account_assets"}),
                            head=["bank_account_assets"])  # fmt: skip

    write(of_tax_units(own), tmp_path / "plain.h5", YEAR)
    write_all(made, tmp_path / "out", YEAR, make)
    plain, resources, weight = ssi(tmp_path / "plain.h5")
    # without assets whoever is 65 or older: 70, 80, the couple of 67 and 66, and the parent of 75 who is a dependant
    assert plain.nonzero()[0].tolist() == [0, 8, 10, 11, 12]
    assert not resources.any()
    assert weight.tolist() == [205.0] + [197.0] * 4 + [301.0] * 5 + [150.0] * 3 + [250.0]
    # $2,000 alone, $3,000 as a couple; the head has what the household has, the parent nothing
    expected = {1: [0, 8, 11, 12], 2: [8]}
    estimates = []
    for i in (1, 2):
        eligible, resources, weight = ssi(tmp_path / "out" / f"implicate_{i}.h5")
        assert eligible.nonzero()[0].tolist() == expected[i]
        assert resources[[0, 10, 11]].tolist() == [worth[i - 1][0], worth[i - 1][3], worth[i - 1][4]]
        estimates.append([weight[eligible].sum()])
    pooled = pool(np.array(estimates), np.array([[100.0], [100.0]]), names=["eligible"])
    assert pooled.estimate[0] == pytest.approx(np.mean(estimates))
    assert pooled.std_error[0] > 10.0  # more than within implicates
