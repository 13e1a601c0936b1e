"""The report's account of how a method that chooses among others chose."""

from collections.abc import Mapping
from typing import Any

import pytest

from microimpute import impute
from microimpute.methods.base import method
from microimpute.report import render, summarise
from microimpute.report.choices import choices


def row(name: str, note: str, **families: float) -> dict[str, Any]:
    values = list(families.values())
    mean = sum(values) / len(values) if values else None
    return {"method": name, "families": families, "mean": mean, "worst": None, "note": note}


TABLE = [
    row("srmi", "chosen", joint=0.5, tails=0.1),
    row("forest", "vetoed: worse than ignoring the predictors in tails", joint=0.9, tails=-0.3),
    row("slow", "not tried: takes about 90 s, the budget holds less"),
]
CHOICE = {
    "chosen": {"srmi": 1.0},
    "donor_households": 5000,
    "households": 2000,
    "folds": 3,
    "draws": 10,
    "candidates": TABLE,
    "mixture": {"shares": {"srmi": 0.6, "forest": 0.4}, "against": "srmi", "gain": 0.001, "standard_error": 0.004},
}


def manifest(*learnt: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": {"learnt": list(learnt)}}


def test_nothing_where_nothing_was_chosen():
    assert choices({"method": {}}) == []
    assert choices(manifest({"blocks": 3}, {})) == []


def test_implicates_that_agree_are_one_entry():
    (found,) = choices(manifest({"choice": CHOICE}, {"choice": dict(CHOICE)}))
    assert found["implicates"] == "all implicates"
    assert found["families"] == ["joint", "tails"]
    assert [r["name"] for r in found["rows"] if r["chosen"]] == ["srmi"]
    assert found["rows"][2]["skills"] == [None, None]
    assert found["chosen"] == "Drawn by “srmi”."
    assert "2,000 of 5,000 donor households" in found["compared"]
    assert found["mixture"].endswith("did not learn from; it is not used.")


def test_implicates_that_differ_stand_apart():
    other = {
        **CHOICE,
        "chosen": {"srmi": 0.6, "forest": 0.4},
        "candidates": [*TABLE, row("mixture", "chosen", joint=1)],
    }
    first, second = choices(manifest({"choice": CHOICE}, {"choice": other}, {"choice": CHOICE}))
    assert first["implicates"] == "implicate 1, 3"
    assert second["implicates"] == "implicate 2"
    assert "“srmi” (60.0%), “forest” (40.0%)" in second["chosen"]
    assert [r["name"] for r in second["rows"] if r["chosen"]] == ["mixture"]
    assert not second["mixture"].endswith("not used.")


@pytest.fixture(scope="module")
def page(maker, donor, receiver):
    _, fusion = maker(donor, receiver)
    chosen = method("auto", {"candidates": ["srmi", "hotdeck"], "draws": 2})
    imputations = impute(fusion, method=chosen, m=2, seed=1)
    return imputations, render(summarise(imputations, fusion, title="A run"))


def test_the_table_is_on_the_page(page):
    imputations, text = page
    assert "How the method was chosen" in text
    for candidate in imputations.manifest["method"]["learnt"][0]["choice"]["candidates"]:
        assert f'<span class="name">{candidate["method"]}</span>' in text
        assert f"{candidate['mean']:+.2f}" in text


def test_the_section_is_left_out_where_nothing_was_chosen(made):
    assert "How the method was chosen" not in render(summarise(*made, title="A run"))
