"""Bad input on the command line: one message that names the column, exit code 2, no traceback, nothing written."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from microimpute.cli import main
from microimpute.data import bundled
from microimpute.testing import example_donor, example_receiver

ROWS = 60


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example_donor(ROWS).drop(columns="health").to_csv("donor.csv", index=False)
    example_receiver(30).to_csv("receiver.csv", index=False)
    return tmp_path


def impute(place: Path, *more: str, **changed: str):
    said = {"--donor": "donor.csv", "--receiver": "receiver.csv", "--targets": "wealth", "--weight": "weight"}
    said |= {f"--{k}": v for k, v in changed.items()}
    said["--out"] = str(place / "results")
    return CliRunner().invoke(main, ["impute", *[w for pair in said.items() for w in pair], *more])


def refused(result, place: Path, *named: str) -> str:
    """Check everything that a refusal must be, and return what it says."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    message = result.output[result.output.index("Error:") :]
    assert message.count("Error:") == 1
    assert len(message.strip().splitlines()) == 2, message  # the problem, and the remedy
    for name in named:
        assert name in message, message
    left = {p.name for p in place.iterdir()}
    assert "results" not in left
    assert not [name for name in left if "partial" in name]
    return message


def change(file: str, **columns):
    pd.read_csv(file).assign(**columns).to_csv(file, index=False)


def test_sound_input_is_accepted(place):
    result = impute(place)
    assert result.exit_code == 0, result.output
    assert {p.name for p in (place / "results").iterdir()} == {
        "completed.parquet",
        "imputations.parquet",
        "manifest.json",
        "report.html",
    }


def test_misspelt_target(place):
    refused(impute(place, targets="wealht"), place, "'wealht'", "Did you mean 'wealth'?")


def test_misspelt_predictor(place):
    refused(impute(place, predictors="incme"), place, "'incme'", "Did you mean 'income'?")


@pytest.mark.parametrize("side", ["donor", "receiver"])
def test_predictor_absent_from_one_side(place, side):
    pd.read_csv(f"{side}.csv").drop(columns="age").to_csv(f"{side}.csv", index=False)
    refused(impute(place, predictors="income,age"), place, "'age'", f"not in the {side}")


def test_target_already_in_the_receiver(place):
    change("receiver.csv", wealth=1.0)
    refused(impute(place), place, "'wealth'", "in the receiver already", "never altered")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (lambda w: np.where(np.arange(len(w)) == 3, -1.0, w), "negative in 1 of"),
        (lambda w: 0.0, "sums to zero"),
        (lambda w: np.where(np.arange(len(w)) < 2, np.nan, w), "missing in 2 of"),
        (lambda w: np.where(np.arange(len(w)) == 0, np.inf, w), "infinite in 1 of"),
        (lambda w: "heavy", "must be numbers"),
    ],
    ids=["negative", "zero-sum", "missing", "infinite", "text"],
)
@pytest.mark.parametrize("side", ["donor", "receiver"])
def test_bad_weights(place, side, values, said):
    change(f"{side}.csv", weight=lambda f: values(f["weight"]))
    refused(impute(place), place, "'weight'", side, said.replace("must be numbers", "must be numbers"))


def test_absent_weight(place):
    refused(impute(place, weight="wieght"), place, "'wieght'", "Did you mean 'weight'?")


def test_missing_target_values(place):
    change("donor.csv", wealth=lambda f: f["wealth"].where(f.index != 4))
    refused(impute(place), place, "'wealth'", f"missing in 1 of {ROWS} donor rows")


def test_infinite_values(place):
    change("donor.csv", wealth=lambda f: f["wealth"].where(f.index != 4, np.inf))
    refused(impute(place), place, "'wealth'", "infinite in 1 of")
    change("donor.csv", wealth=1.5, income=lambda f: f["income"].where(f.index != 4, -np.inf))
    refused(impute(place), place, "'income'", "infinite in 1 donor rows")


def test_missing_predictor_values_are_counted(place):
    change("donor.csv", income=lambda f: f["income"].where(f.index > 4))
    change("receiver.csv", region=lambda f: f["region"].where(f.index > 2))
    result = impute(place)
    assert result.exit_code == 0, result.output
    assert (
        "income is missing in 5 donor and 0 receiver rows; filled with the donor's median and flagged" in result.output
    )
    assert "region is missing in 0 donor and 3 receiver rows; missing counts as a level of its own" in result.output
    assert "! region is never missing among donors" in result.output


def test_no_overlap_in_a_category(place):
    change("receiver.csv", region="elsewhere")
    refused(impute(place), place, "'region'", "no level in common", "Recode")


def test_some_new_levels_are_counted(place):
    change("receiver.csv", region=lambda f: f["region"].where(f.index > 3, "elsewhere"))
    result = impute(place)
    assert result.exit_code == 0, result.output
    assert "! region has a level that no donor has in 4 receiver rows" in result.output


def test_types_differ_between_sides(place):
    change("receiver.csv", age="old")
    refused(impute(place), place, "'age'", "Give both sides the same type")


def test_a_column_of_lists(place):
    donor = pd.read_csv("donor.csv")
    table = pa.Table.from_pandas(donor).append_column("assets", pa.array([[1, 2]] * ROWS))
    pq.write_table(table, "donor.parquet")
    refused(impute(place, donor="donor.parquet", targets="assets"), place, "'assets'", "List")


def test_a_column_of_mixed_types():
    import microimpute

    donor = example_donor(20).assign(mixed=[1, "a"] * 10)
    with pytest.raises(microimpute.MicroImputeError, match=r"'mixed' holds a mixture of int, str.*Convert"):
        microimpute.impute(donor, example_receiver(5), targets=["mixed"])


def test_zero_rows(place):
    pd.read_csv("receiver.csv").head(0).to_csv("receiver.csv", index=False)
    refused(impute(place), place, "receiver has no rows")


def test_missing_and_odd_files(place):
    refused(impute(place, donor="nowhere.csv"), place, "nowhere.csv")
    Path("donor.xyz").write_text("a")
    refused(impute(place, donor="donor.xyz"), place, "donor.xyz", ".parquet")
    Path("page.csv").write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    refused(impute(place, donor="page.csv"), place, "page.csv", "web page")
    whole = bundled("cps_2013_2015_sample.parquet").read_bytes()
    Path("twice.csv").write_text("a,a\n1,2\n")
    refused(impute(place, donor="twice.csv"), place, "column name 'a' stands for several columns")
    Path("empty.dta").write_bytes(b"")
    refused(impute(place, donor="empty.dta"), place, "empty.dta", "can't be read")
    with zipfile.ZipFile("SCFP2019.zip", "w") as archive:
        archive.writestr("SCFP2019.dta", b"")
    refused(run_recipe(place, RECIPE.format(survey="scf", path="SCFP2019.zip")), place, "SCFP2019.zip", "unpacked")
    Path("cut.parquet").write_bytes(whole[: len(whole) // 2])
    refused(impute(place, donor="cut.parquet"), place, "cut.parquet", "can't be read")


def test_rules(place):
    refused(impute(place, "--rule", "wealth ~ debt"), place, "not understood")
    refused(impute(place, "--rule", "wealth requires house"), place, "'house'")
    refused(impute(place, "--rule", "wealth >= 0"), place, "broken by")
    refused(impute(place, "--rule", "income = wealth"), place, "'income'", "in the receiver already")


def test_kinds_and_methods(place):
    refused(impute(place, "--kind", "wealth"), place, "'wealth'", "COLUMN=KIND")
    refused(impute(place, "--kind", "wealth=money"), place, "'money'", "semicontinuous")
    refused(impute(place, "--kind", "wealth=binary"), place, "'wealth'", "levels")
    refused(impute(place, method="frost"), place, "'frost'", "Did you mean 'forest'?")


def test_output_directory_that_is_not_empty(place):
    (place / "results").mkdir()
    (place / "results" / "mine.txt").write_text("keep")
    result = impute(place)
    assert result.exit_code == 2
    assert "results" in result.output
    assert "not empty" in result.output
    assert [p.name for p in (place / "results").iterdir()] == ["mine.txt"]


RECIPE = """
[donor]
survey = "{survey}"
path = "{path}"
[receiver]
path = "receiver.csv"
[fusion]
targets = ["wealth"]
"""


def run_recipe(place: Path, text: str):
    Path("recipe.toml").write_text(text)
    return CliRunner().invoke(main, ["run", "recipe.toml", "--out", str(place / "results")])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[donor", ("recipe.toml", "TOML")),
        ('[donor]\npath = "donor.csv"', ("[receiver]",)),
        (RECIPE.format(survey="table", path="donor.csv") + "\n[imput]\nm = 3", ("'imput'", "Did you mean 'impute'?")),
        (RECIPE.format(survey="table", path="donor.csv") + "\n[impute]\nseeds = 3", ("'seeds'", "'seed'")),
        (RECIPE.format(survey="table", path="donor.csv") + '\n[impute]\nm = "five"', ("m in [impute]", "int")),
        (RECIPE.format(survey="table", path="donor.csv") + "\n[impute]\nm = 0", ("m is 0",)),
        (RECIPE.format(survey="table", path="donor.csv") + "\n[impute.settings]\nleafs = 3", ("'leafs'", "'leaf'")),
        (RECIPE.format(survey="tabel", path="donor.csv"), ("'tabel'", "'table'")),
        (RECIPE.format(survey="table", path="donor.csv").replace("path = \"receiver", "wieght = \"w\"\npath = \"receiver"), ("'wieght'", "'weight'")),
        (RECIPE.format(survey="table", path="~no such user/donor.csv"), ("[donor]", "no such user", "Write the path out")),
        (RECIPE.format(survey="table", path="d").replace('path = "d"', "bundled = 3"), ("bundled in [donor]", "3", "str")),
        (RECIPE.format(survey="table", path='donor.csv"\nkeys = 3 # "'), ("'keys' of the table", "3", "str or list")),
        (RECIPE.format(survey="table", path='donor.csv"\nkeys = [3] # "'), ("keys column 3 is not", "There is: ")),
        (RECIPE.format(survey="table", path='donor.csv"\nkinds = "x" # "'), ("'kinds' of the table", "mapping")),
        (RECIPE.format(survey="table", path='donor.csv"\ndollars = "x" # "'), ("'dollars' of the table", "'x'", "int")),
        (RECIPE.format(survey="scf", path='donor.csv"\nyear = "x" # "'), ("'year' of the scf", "'x'", "int")),
        (RECIPE.format(survey="scf", path="donor.csv"), ("donor.csv",)),
        (RECIPE.format(survey="cps_tax_units", path="donor.csv"), ("donor.csv",)),
    ],
)  # fmt: skip
def test_bad_recipes(place, text, named):
    refused(run_recipe(place, text), place, *named)


def test_missing_recipe(place):
    result = CliRunner().invoke(main, ["run", "nothing.toml", "--out", str(place / "results")])
    refused(result, place, "nothing.toml")


def test_truncated_zip(place):
    inner = pd.read_parquet(bundled("scf_2019_sample.parquet")).to_csv(index=False)
    with zipfile.ZipFile("SCFP2019.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("SCFP2019.csv", inner)
    whole = Path("SCFP2019.zip").read_bytes()
    Path("SCFP2019.zip").write_bytes(whole[: len(whole) // 2])
    refused(run_recipe(place, RECIPE.format(survey="scf", path="SCFP2019.zip")), place, "SCFP2019.zip")


def test_verify_of_something_else(place):
    result = CliRunner().invoke(main, ["verify", str(place)])
    refused(result, place, "manifest.json")
