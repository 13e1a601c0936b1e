"""Recipes from files to an output directory: identical bytes, honest manifest, verification."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from microimpute.cli import main
from microimpute.data import bundled
from microimpute.errors import RecipeError
from microimpute.recipe import FusionPart, Recipe, stock
from microimpute.runner import run, verify
from microimpute.runner.files import fusion_parts
from microimpute.surveys.base import connector
from microimpute.testing import example_donor, example_receiver

RECIPE = """
title = "An example"
[donor]
path = "donor.parquet"
weight = "weight"
keys = ["id"]
[receiver]
path = "receiver.csv"
weight = "weight"
keys = ["id"]
[fusion]
targets = ["net", "wealth", "debt", "owner"]
predictors = ["income", "age", "region"]
rules = ["net = wealth - debt", "debt requires wealth"]
kinds = { age = "count" }
[impute]
m = 3
settings = { trees = 5 }
[report]
headline = "net"
by = ["income", "age"]
"""


@pytest.fixture
def place(tmp_path):
    donor = example_donor(200)
    donor.assign(net=donor["wealth"] - donor["debt"]).to_parquet(tmp_path / "donor.parquet")
    example_receiver(80).to_csv(tmp_path / "receiver.csv", index=False)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_workers_do_not_change_a_byte_of_any_file(place):
    run(place / "recipe.toml", place / "one", workers=1)
    run(place / "recipe.toml", place / "three", workers=3)
    one, three = contents(place / "one"), contents(place / "three")
    assert list(one) == ["completed.parquet", "imputations.parquet", "manifest.json", "report.html"]
    assert one == three


def test_the_manifest_says_what_was_done(place):
    run(place / "recipe.toml", place / "out")
    manifest = json.loads((place / "out" / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["m"] == 3
    assert manifest["method"]["settings"]["trees"] == 5
    assert manifest["rules"] == [
        {"rule": "net = wealth - debt", "broken_draws": 0},
        {"rule": "debt requires wealth", "broken_draws": 0},
    ]
    assert {v["name"]: v["kind"] for v in manifest["predictors"]}["age"] == "count"
    assert manifest["inputs"]["donor"]["file"] == "donor.parquet"
    assert len(manifest["inputs"]["receiver"]["sha256"]) == 64
    assert set(manifest["outputs"]) == {"imputations.parquet", "completed.parquet", "report.html"}
    assert "numpy" in manifest["versions"]


def test_observed_columns_are_bit_for_bit(place):
    run(place / "recipe.toml", place / "out")
    completed = pq.read_table(place / "out" / "completed.parquet").to_pandas()
    received = arrow_csv.read_csv(place / "receiver.csv").to_pandas()
    pd.testing.assert_frame_equal(completed[list(received.columns)], received, check_dtype=False, check_exact=True)
    long = pq.read_table(place / "out" / "imputations.parquet").to_pandas()
    assert list(long.columns) == ["implicate", "id", "wealth", "debt", "owner", "net"]
    first = long[long["implicate"] == 1].reset_index(drop=True)
    assert (first["wealth"] == completed["wealth"]).all()


def test_recipes_survive_the_round_trip():
    recipe = Recipe.read(stock("scf_to_cps"))
    assert Recipe.from_dict(recipe.to_dict(), Path.cwd()) == recipe


def test_verify(place):
    run(place / "recipe.toml", place / "out")
    assert all(line.same for line in verify(place / "out"))
    told = CliRunner().invoke(main, ["verify", str(place / "out")])
    assert told.exit_code == 0, told.output
    assert "Reproduced" in told.output


def test_verify_finds_changed_inputs_and_outputs(place):
    run(place / "recipe.toml", place / "out")
    with (place / "out" / "report.html").open("a") as report:
        report.write("<!-- changed -->")
    donor = pd.read_parquet(place / "donor.parquet")
    donor.assign(weight=donor["weight"] * (1 + donor["id"] % 2)).to_parquet(place / "donor.parquet")
    differing = {line.what for line in verify(place / "out") if not line.same}
    assert {"input donor", "report.html as it lies there", "imputations.parquet made again"} <= differing
    assert "input receiver" not in differing
    told = CliRunner().invoke(main, ["verify", str(place / "out")])
    assert told.exit_code == 1
    assert "Not reproduced" in told.output


def test_verify_finds_inputs_that_moved(place):
    run(place / "recipe.toml", place / "out")
    (place / "donor.parquet").rename(place / "moved.parquet")
    lines = verify(place / "out", inputs={"donor": place / "moved.parquet"})
    outputs = [line for line in lines if line.what.endswith("parquet made again")]
    assert all(line.same for line in outputs)


def test_the_command_line_overrides_the_recipe(place):
    said = ["run", str(place / "recipe.toml"), "--out", str(place / "out"), "--m", "2", "--seed", "9"]
    told = CliRunner().invoke(main, said)
    assert told.exit_code == 0, told.output
    manifest = json.loads((place / "out" / "manifest.json").read_text())
    assert (manifest["m"], manifest["seed"]) == (2, 9)
    assert manifest["recipe"]["impute"]["seed"] == 9


def test_crosswalks_want_their_own_surveys(place):
    text = RECIPE.replace("[fusion]", '[fusion]\ncrosswalk = "scf_to_cps_tax_units"')
    (place / "recipe.toml").write_text(text)
    with pytest.raises(RecipeError, match="wants a donor read by 'scf'"):
        run(place / "recipe.toml")


def test_the_stock_recipe_runs_on_the_samples(tmp_path):
    done = run(stock("scf_to_cps"), tmp_path / "out")
    imputations = done.imputations
    assert imputations.m == 5
    net = imputations.numbers("NETWORTH")
    assert (net == imputations.numbers("ASSET") - imputations.numbers("DEBT")).all()
    houses, mortgage = imputations.numbers("HOUSES"), imputations.numbers("NH_MORT")
    assert not ((mortgage != 0) & (houses == 0)).any()
    assert len(imputations.receiver) == 6000
    assert all(rule["broken_draws"] == 0 for rule in imputations.manifest["rules"])


def test_the_stock_recipe_uses_fewer_targets_when_told(tmp_path):
    text = (
        stock("scf_to_cps")
        .read_text()
        .replace("dollars = 2019", 'dollars = 2019\ntargets = ["HOUSES", "NH_MORT", "HELOC"]')
    )
    (tmp_path / "few.toml").write_text(text.replace("NETWORTH", "HOMEEQ"))
    done = run(tmp_path / "few.toml")
    assert set(done.imputations.columns) == {"HOUSES", "NH_MORT", "HELOC", "MRTHEL", "HOMEEQ"}


def test_more_targets_come_beside_those_of_a_crosswalk():
    """The samples' SCF has no food; any column of the donor will do."""
    donor = connector("scf").read(bundled("scf_2019_sample.parquet"))
    own = fusion_parts(FusionPart(crosswalk="scf_to_cps_tax_units"), donor, "[fusion]")
    more = fusion_parts(
        FusionPart(crosswalk="scf_to_cps_tax_units", more_targets=("RENT", "INCOME")), donor, "[fusion]"
    )
    assert more["targets"] == (*own["targets"], "RENT", "INCOME")
    assert {k: v for k, v in more.items() if k != "targets"} == {k: v for k, v in own.items() if k != "targets"}


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (FusionPart(targets=("a",), more_targets=("b",)), "more_targets beside targets"),
        (FusionPart(more_targets=("b",)), "more_targets and no crosswalk"),
        (FusionPart(crosswalk="scf_to_cps_tax_units", targets=("a",), more_targets=("b",)), "beside targets"),
    ],
)
def test_more_targets_without_a_crosswalk_to_come_beside_are_refused(said, what):
    donor = connector("scf").read(bundled("scf_2019_sample.parquet"))
    with pytest.raises(RecipeError, match=rf"\[fusion\] has {what}|has more_targets {what}") as caught:
        fusion_parts(said, donor, "[fusion]")
    assert "name all in targets" in caught.value.remedy
