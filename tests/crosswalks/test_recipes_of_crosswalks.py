"""Stock recipes name crosswalks, surveys and columns that exist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asec_made import tables, write_csv
from ce_made import write_release

from microimpute import runner
from microimpute.concepts.scf import FOOD
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.errors import RecipeError
from microimpute.recipe import Recipe, stock
from microimpute.rules import derivation_order, parse_all
from microimpute.surveys.base import connector


@pytest.mark.parametrize("name", ["cex_to_cps_full", "scf_to_cps_full", "scf_to_cps", "scf_to_cps_asec"])
def test_recipe_fits_its_crosswalk(name: str) -> None:
    recipe = Recipe.read(stock(name))
    assert recipe.fusion.crosswalk is not None
    walk = crosswalk(recipe.fusion.crosswalk)
    assert (recipe.donor.survey, recipe.receiver.survey) == (walk.donor, walk.receiver)
    assert recipe.fusion.dollars is not None
    for part in (recipe.donor, recipe.receiver):
        assert set(part.options) <= set(connector(part.survey).options)
    totals = {identity.total for identity in derivation_order(parse_all(walk.rules))}
    assert recipe.report.headline in {*walk.targets, *totals}
    assert set(recipe.report.by) <= set(walk.predictors)


def test_a_crosswalk_needs_a_dollar_year() -> None:
    recipe = Recipe.read(stock("scf_to_cps"))
    with pytest.raises(RecipeError, match="needs a year whose prices money is brought to"):
        runner.run(replace(recipe, fusion=replace(recipe.fusion, dollars=None)))


def filled(family: pd.DataFrame) -> pd.DataFrame:
    """Give the made-up family file what it leaves blank and the crosswalk reads."""
    rng = np.random.default_rng(len(family))
    rows = len(family)
    asked = {"FAM_TYPE": (1, 10), "PERSLT18": (0, 4), "HISP_REF": (1, 3), "CUTENURE": (1, 5), "VEHQ": (0, 3)}
    return family.assign(**{name: rng.integers(*ends, rows) for name, ends in asked.items()})


def test_two_donors_onto_a_native_asec_from_files_made_up_in_the_genuine_layouts(tmp_path: Path) -> None:
    """Nothing is said of the data, which are made up: that the recipe runs, from files to a report."""
    quarters = ("211x", "212", "213", "214", "221")
    write_release(tmp_path / "intrvw21.zip", changes={f"fmli{q}": filled for q in quarters})
    sample = pd.read_parquet(bundled("scf_2019_sample.parquet"))
    food = np.random.default_rng(1).gamma(2, 1_500, (len(sample), len(FOOD))).round()
    sample.assign(**dict(zip(FOOD, food.T, strict=True))).to_parquet(tmp_path / "SCFP2019.parquet")
    said = (
        stock("wealth_and_spending_to_cps_asec")
        .read_text(encoding="utf-8")
        .replace('name = "', 'method = "hotdeck"\nname = "')
    )
    files = {"SCFP2019.zip": "SCFP2019.parquet", "intrvw19.zip": "intrvw21.zip"}
    files["asecpub20csv.zip"] = str(write_csv(tables(20), tmp_path).relative_to(tmp_path))
    for theirs, ours in files.items():
        said = said.replace(f"data/{theirs}", ours)
    (tmp_path / "recipe.toml").write_text(said.replace("m = 5", "m = 2"), encoding="utf-8")
    drawn = runner.run(tmp_path / "recipe.toml").imputations
    assert {"NETWORTH", *FOOD, "food_home", "total"} <= set(drawn.columns)
    (pair,) = drawn.manifest["pairs"]
    assert pair["bridged_by"] == ["mortgage", "vehicle", "food_spending"]
