"""Files that a survey's options name: from the recipe's folder, in the manifest, and verified like the data."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from microimpute.cli import main
from microimpute.errors import OutputError, RecipeError, SurveyError
from microimpute.recipe import Recipe
from microimpute.recipe_of_stages import read_recipe
from microimpute.runner import run, verify
from microimpute.surveys.base import connector, connectors
from microimpute.testing import example_donor, example_receiver

FOLDER = Path("/data/recipes")
FILES = [(name, o) for name, c in connectors().items() for o in c.options if c.names_file(o, "x.csv")]
RECIPE = """
[donor]
path = "donor.parquet"
description = "of_donor.toml"
[receiver]
path = "receiver.csv"
keys = ["id"]
[fusion]
targets = ["wealth"]
predictors = ["income"]
[impute]
m = 2
method = "hotdeck"
"""
SEVERAL = """
[receiver]
path = "receiver.csv"
keys = ["id"]
[[stage]]
name = "first"
donor = {path = "donor.parquet", description = "of_donor.toml"}
fusion = {targets = ["wealth"], predictors = ["income"]}
method = "hotdeck"
[[stage]]
name = "second"
donor = {path = "donor.parquet", description = "sub/other.toml"}
fusion = {targets = ["debt"], predictors = ["income"]}
method = "hotdeck"
[impute]
m = 2
"""
DESCRIPTION = 'weight = "weight"\nkeys = ["id"]\nsource = "{}"\n'


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Give a folder with two recipes and their files, and stand in another that has files of the same names."""
    folder, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (folder / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    example_donor(200).to_parquet(folder / "donor.parquet")
    example_receiver(60).to_csv(folder / "receiver.csv", index=False)
    (folder / "of_donor.toml").write_text(DESCRIPTION.format("right"))
    (folder / "sub" / "other.toml").write_text(DESCRIPTION.format("other"))
    (folder / "one.toml").write_text(RECIPE)
    (folder / "several.toml").write_text(SEVERAL)
    (elsewhere / "of_donor.toml").write_text(DESCRIPTION.format("wrong"))
    monkeypatch.chdir(elsewhere)
    return folder


def test_these_options_name_files():
    assert set(FILES) == {
        ("cex", "grouping"), ("cex", "months_from"), ("cex_diary", "grouping"), ("cps_asec", "layout"),
        ("cps_asec", "replicates"), ("ipums_cps", "ddi"), ("scf", "replicates"), ("scf_full", "layout"),
        ("scf_full", "replicates"), ("table", "description"),
    }  # fmt: skip


@pytest.mark.parametrize(("survey", "option"), FILES)
def test_they_are_taken_from_the_recipes_own_folder(survey, option):
    def said(value):
        donor = {"survey": survey, "path": "d.csv", option: value, "unit": "x.csv"}
        return dict(Recipe.from_dict({"donor": donor, "receiver": {"path": "r.csv"}}, FOLDER).donor.options)

    assert said("../more/x.csv") == {option: "/data/more/x.csv", "unit": "x.csv"}
    assert said("/full/x.csv") == {option: "/full/x.csv", "unit": "x.csv"}
    assert connector(survey).files(Path("d.csv"), said("/full/x.csv")) == {option: Path("/full/x.csv")}


def test_names_of_shipped_descriptions_stay_names():
    donor = {"path": "d.csv", "description": "sipp_1991", "replicates": ["r1"]}
    made = Recipe.from_dict({"donor": donor, "receiver": {"path": "r.csv"}}, FOLDER).donor
    assert made.options == {"description": "sipp_1991", "replicates": ["r1"]}
    assert connector("table").files(Path("d.csv"), made.options)["description"].is_file()


def test_a_codebook_beside_the_extract_is_a_file_that_is_read():
    assert connector("ipums_cps").files(Path("a/cps_01.dat.gz"), {}) == {"ddi": Path("a/cps_01.xml")}


def test_of_a_codebook_that_nobody_named_the_connector_speaks(place):
    (place / "x.dat").write_text("1\n")
    (place / "ipums.toml").write_text(RECIPE.replace('"donor.parquet"', '"x.dat"\nsurvey = "ipums_cps"').replace('description = "of_donor.toml"', ""))  # fmt: skip
    with pytest.raises(SurveyError, match="codebook"):
        run(place / "ipums.toml")


def test_the_file_beside_the_recipe_is_read_whatever_the_current_directory(place):
    done = run(place / "one.toml", place / "out")
    assert done.imputations.manifest["donor"]["source"] == "right"
    inputs = json.loads((place / "out" / "manifest.json").read_text())["inputs"]
    assert set(inputs) == {"donor", "donor/description", "receiver"}
    assert all(line.same for line in verify(place / "out"))


def test_verify_sees_that_one_changed_even_where_no_number_does(place):
    run(place / "one.toml", place / "out")
    with (place / "of_donor.toml").open("a") as file:
        file.write("# nothing\n")
    assert {line.what for line in verify(place / "out") if not line.same} == {"input donor/description"}
    told = CliRunner().invoke(main, ["verify", str(place / "out")])
    assert told.exit_code == 1
    assert "input donor/description            DIFFERS" in told.output


def test_verify_takes_one_from_where_it_is_now(place):
    run(place / "one.toml", place / "out")
    (place / "of_donor.toml").rename(place / "moved.toml")
    with pytest.raises(
        RecipeError, match=r"description of 'donor' is .*of_donor.toml, .*--input donor/description=FILE"
    ):
        verify(place / "out")
    assert all(line.same for line in verify(place / "out", inputs={"donor/description": place / "moved.toml"}))
    told = CliRunner().invoke(main, ["verify", str(place / "out"), "--input", f"donor/description={place}/moved.toml"])
    assert told.exit_code == 0, told.output
    with pytest.raises(
        OutputError, match=r"the run has no input 'donor/layout'\. Name one of donor, donor/description"
    ):
        verify(place / "out", inputs={"donor/layout": place / "moved.toml"})
    told = CliRunner().invoke(main, ["verify", str(place / "out"), "--input", "moved.toml"])
    assert (told.exit_code, told.output) == (2, "Error: --input 'moved.toml' is not understood.\n       Write INPUT=FILE.\n")  # fmt: skip


def test_recipes_of_stages_do_the_same(place):
    run(place / "several.toml", place / "out")
    inputs = json.loads((place / "out" / "manifest.json").read_text())["inputs"]
    assert set(inputs) == {"receiver", "first", "first/description", "second", "second/description"}
    with (place / "sub" / "other.toml").open("a") as file:
        file.write("# nothing\n")
    assert {line.what for line in verify(place / "out") if not line.same} == {"input second/description"}


@pytest.mark.parametrize("name", ["one", "several"])
def test_a_missing_file_is_said_before_anything_is_read(place, name):
    for file in ("of_donor.toml", "donor.parquet", "receiver.csv"):
        (place / file).unlink()
    told = CliRunner().invoke(main, ["run", str(place / f"{name}.toml"), "--out", str(place / "out")])
    assert told.exit_code == 2
    assert f"is {place}/of_donor.toml, and nothing is there.\n" in told.output
    assert "its own folder, not from the current directory, where of_donor.toml is" in told.output
    assert not (place / "out").exists()


def test_a_description_beside_the_data_is_still_found_and_hashed(place):
    (place / "data").mkdir()
    for file in ("of_donor.toml", "donor.parquet"):
        (place / file).rename(place / "data" / file)
    recipe = read_recipe(place / "one.toml").to_dict()
    recipe["donor"]["path"] = str(place / "data" / "donor.parquet")
    done = run(Recipe.from_dict(recipe, place))
    assert done.imputations.manifest["donor"]["source"] == "right"
    assert "donor/description" in done.imputations.manifest["inputs"]
