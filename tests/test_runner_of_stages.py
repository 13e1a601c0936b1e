"""Recipes of several donors: one file in, one directory out, verified, with what is assumed on the page."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from microimpute import Imputations
from microimpute.cli import main
from microimpute.errors import RecipeError
from microimpute.recipe_of_stages import StagedRecipe, read_recipe
from microimpute.report.crossing import shares
from microimpute.runner import run, verify
from microimpute.weighted import groups_of

RECIPE = """
title = "Made up"

[receiver]
path = "receiver.csv"

[[stage]]
name = "wealth"
donor = {path = "scf.csv"}
fusion = {targets = ["house", "cash", "worth"], predictors = ["x"], rules = ["worth = house + cash"]}

[[stage]]
name = "spending"
donor = {path = "cex.csv"}
fusion = {targets = ["spent"], predictors = ["x"]}
method = "hotdeck"
trim = 0.05

[[link]]
first = "worth"
second = "spent"
rho = {prior = "uniform", low = 0.2, high = 0.6}

[[edit]]
rule = "spent <= worth + 3 income"
repair = "adjust"

[[edit]]
rule = "spent <= 2 worth + 6 income"
repair = "donor"

[impute]
m = 4
seed = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("several")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 300))
    house, cash = rng.gamma(1, 100, (2, 300)) * np.exp(x[0])
    pd.DataFrame({"x": x[0], "house": house, "cash": cash}).assign(worth=house + cash).to_csv(place / "scf.csv")
    pd.DataFrame({"x": x[1], "spent": rng.gamma(2, 50, 300) * np.exp(x[1] / 2)}).to_csv(place / "cex.csv")
    receiver = pd.DataFrame({"id": np.arange(300), "x": x[2], "income": np.full(300, 20.0)})
    receiver.to_csv(place / "receiver.csv", index=False)
    (place / "recipe.toml").write_text(RECIPE)
    return place


@pytest.fixture(scope="module")
def done(folder):
    run(folder / "recipe.toml", folder / "out")
    return folder / "out"


def test_one_directory_holds_everything(done):
    names = {p.name for p in done.iterdir()}
    assert names == {
        "completed.parquet", "imputations.parquet", "manifest.json",
        "report.html", "report_spending.html", "report_wealth.html",
    }  # fmt: skip
    made = Imputations.load(done)
    assert made.columns == ("house", "cash", "worth", "spent")
    assert made.m == 4
    manifest = json.loads((done / "manifest.json").read_text())
    assert set(manifest["inputs"]) == {"receiver", "wealth", "spending"}
    assert manifest["pairs"][0]["linked"]
    assert manifest["edits"][0]["after"] == 0
    assert manifest["edits"][0]["before"] > manifest["edits"][0]["adjusted"] > 0
    served = manifest["edits"][1]
    assert served["before"] == served["from_donors"] == sum(served["looked_at"].values()) > 0
    assert served["after"] == 0


def test_the_page_says_what_is_not_known(done):
    page = (done / "report.html").read_text()
    assert "What these data cannot tell" in page
    assert "wealth and spending: a rank correlation given the predictors, from outside these data" in page
    assert "spent &lt;= worth + 3 income" in page
    assert re.search(r"<p>spent &lt;= 2 worth \+ 6 income: the bundle of a donor of spending who keeps it", page)
    assert re.search(r"by weight among the nearest \d+ for \d+ rows, \d+ for \d+ row", page)
    assert "worth and spent together" in page
    assert len(re.findall(r"<td>[^<]+<small>", page)) == 16  # quarters by quarters
    assert "exchanged with worth and spent" in page
    assert re.search(r"% of the receivers’ weight is flagged", page)
    assert re.search(r"<p>\d+ donor rows that are like no receiver, \d.*% of the donors’ weight, were left out", page)
    assert len(re.findall(r"<tr><th>\d+</th>", page)) == 10
    assert "<strong>wealth</strong>: 2 variables drawn" in page
    assert "<strong>spending</strong>: 1 variable drawn" in page
    assert "Method &#39;hotdeck&#39; is not proper." in page  # it speaks against the interval


def test_one_stage_is_no_recipe_of_several(folder):
    plain = read_recipe(folder / "recipe.toml").to_dict()
    with pytest.raises(RecipeError, match="the recipe has 1 "):
        StagedRecipe.from_dict(plain | {"stage": plain["stage"][:1]}, folder)


def test_each_fusion_is_shown_before_it_is_drawn_from(folder):
    seen = []

    def look(fusion):
        seen.append(fusion.targets)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder / "recipe.toml", before=look)
    assert seen == [("house", "cash"), ("spent",)]


def test_one_implicate_is_refused_before_anything_is_drawn(folder, tmp_path):
    told = CliRunner().invoke(main, ["run", str(folder / "recipe.toml"), "--m", "1", "--out", str(tmp_path / "out")])
    assert told.exit_code == 2
    problem = "a recipe of several donors is run with m = 1, and its report pools over implicates"
    assert told.output == f"Error: {problem}.\n       Say m = 2 or more.\n"
    assert not (tmp_path / "out").exists()


def test_it_can_be_done_again(done):
    assert all(line.same for line in verify(done))


def test_the_recipe_is_kept_whole(folder):
    read = read_recipe(folder / "recipe.toml")
    assert isinstance(read, StagedRecipe)
    assert StagedRecipe.from_dict(json.loads(json.dumps(read.to_dict())), folder) == read


def test_the_command_line_runs_it(folder, done):
    got = CliRunner().invoke(
        main, ["run", str(folder / "recipe.toml"), "--out", str(folder / "again"), "--donor", f"wealth={folder / 'scf.csv'}"]
    )  # fmt: skip
    assert got.exit_code == 0, got.output
    assert "What these data cannot tell" in got.output
    assert re.search(
        r"rank correlation of worth and spent: 0.\d\d as drawn; any from -?0.\d\d to 0.\d\d agrees", got.output
    )
    assert "Stage wealth" in got.output
    assert re.search(r"  - spending: \d+\.\d% of their weight; the report says who", got.output)
    assert re.search(r"\n\nNotes [^\n]*\n  - Stage spending left out \d+ donor rows like no receiver", got.output)
    assert re.search(
        r"\n\nRules, over all implicates:\n  - spent <= worth \+ 3 income: \d+ rows broke it, 0 still", got.output
    )
    assert re.search(r"still do \(donor\)\. Donors who keep it were found among the nearest \d+ for \d+", got.output)
    assert (folder / "again" / "imputations.parquet").read_bytes() == (done / "imputations.parquet").read_bytes()
    bad = CliRunner().invoke(
        main, ["run", str(folder / "recipe.toml"), "--donor", "scf.csv", "--out", str(folder / "no")]
    )
    assert bad.exit_code == 2
    assert "names no stage" in bad.output
    assert not (folder / "no").exists()


def test_gaps_in_rules_are_told(folder, tmp_path):
    receiver = pd.read_csv(folder / "receiver.csv")
    receiver.loc[:4, "income"] = np.nan
    receiver.to_csv(tmp_path / "receiver.csv", index=False)
    said = [
        "run",
        str(folder / "recipe.toml"),
        "--receiver",
        str(tmp_path / "receiver.csv"),
        "--out",
        str(tmp_path / "out"),
    ]
    got = CliRunner().invoke(main, said)
    assert got.exit_code == 0, got.output
    assert re.search(r"  ! .*income.* 5 ", got.output)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "wealth"\n', "", "stage 1 has no name"),
        ("trim = 0.05", 'trim = "some"', "trim of stage 2 is 'some'"),
        ("rho = {", "ro = {", "unknown key 'ro'"),
        ('second = "spent"\n', "", "link 1.* has no second"),
        ('method = "hotdeck"', 'methode = "hotdeck"', "unknown key 'methode'"),
        ('[receiver]\npath = "receiver.csv"', "", r"no \[receiver\]"),
        ('name = "spending"', 'name = "wealth"', "two stages are called 'wealth'"),
        ('name = "spending"', 'name = "of/all"', "a stage is called 'of/all'"),
        ('name = "spending"', 'name = "receiver"', "a stage is called 'receiver'"),
        ("[impute]", '[report]\nof = "spend"\n[impute]', "of of .report. is 'spend', which no stage gives"),
        ("[impute]", '[report]\nby = "spent"\n[impute]', "both of stage 'spending'"),
        (
            'predictors = ["x"]}\nmethod',
            'predictors = ["x"]}\nbridges = ["liquid"]\nmethod',
            "bridges without a crosswalk",
        ),
    ],
)
def test_recipes_that_say_something_unknown(folder, tmp_path, old, new, message):
    assert old in RECIPE
    (tmp_path / "recipe.toml").write_text(RECIPE.replace(old, new))
    for name in ("scf.csv", "cex.csv", "receiver.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(RecipeError, match=message):
        run(tmp_path / "recipe.toml", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("key", "stage"), [("by", "wealth"), ("of", "spending")])
def test_a_class_on_the_page_is_refused_before_anything_is_drawn(folder, tmp_path, key, stage):
    for name in ("scf.csv", "cex.csv"):
        donor = pd.read_csv(folder / name)
        donor.assign(**{f"kind_{name[:3]}": np.where(donor["x"] > 0, "a", "b")}).to_csv(tmp_path / name, index=False)
    (tmp_path / "receiver.csv").write_bytes((folder / "receiver.csv").read_bytes())
    text = RECIPE.replace('["house", "cash", "worth"]', '["house", "cash", "worth", "kind_scf"]')
    text = text.replace('["spent"]', '["spent", "kind_cex"]')
    column = "kind_scf" if key == "by" else "kind_cex"
    (tmp_path / "recipe.toml").write_text(text + f'[report]\n{key} = "{column}"\n')
    seen = []
    with pytest.raises(RecipeError, match=rf"{key} of .report. is '{column}', a class.*that stage '{stage}' gives"):
        run(tmp_path / "recipe.toml", before=seen.append)
    assert not seen


def test_tenths_have_equal_weight_and_shares_add_up():
    rng = np.random.default_rng(1)
    y, z, w = rng.normal(size=5000), rng.gamma(1, 1, 5000), rng.gamma(2, 1, 5000)
    group = groups_of(y, w, 10)
    np.testing.assert_allclose(np.bincount(group, w) / w.sum(), 0.1, atol=0.002)
    assert (np.diff([y[group == k].mean() for k in range(10)]) > 0).all()
    ties = groups_of(np.r_[np.zeros(600), 1 + np.arange(400.0)], np.ones(1000), 10)
    assert len(set(ties[:600])) == 1  # rows of one value stay together
    share, variance = shares(pd.DataFrame({"y": y, "z": z, "w": w}), "w", "y", "z")
    assert share.sum() == pytest.approx(1)
    held = w * z / np.sum(w * z)
    linear = [np.sum((held * ((group == k) - share[k])) ** 2) for k in range(10)]
    np.testing.assert_allclose(variance, linear)
    draws = []
    for _ in range(300):  # the variance is that of resampled rows
        at = rng.integers(5000, size=5000)
        cut = np.bincount(group[at], (w * z)[at], 10)
        draws.append(cut / cut.sum())
    np.testing.assert_allclose(np.sqrt(variance), np.std(draws, axis=0), rtol=0.2)
