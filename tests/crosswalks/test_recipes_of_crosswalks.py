"""Stock recipes name crosswalks, surveys and columns that exist."""

from __future__ import annotations

from dataclasses import replace

import pytest

from microimpute import runner
from microimpute.crosswalks.base import crosswalk
from microimpute.errors import RecipeError
from microimpute.recipe import Recipe, stock
from microimpute.rules import derivation_order, parse_all
from microimpute.surveys.base import connector


@pytest.mark.parametrize("name", ["cex_to_cps_full", "scf_to_cps_full", "scf_to_cps"])
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
