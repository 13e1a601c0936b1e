"""Recipes: what is unknown is named, what is left out has its default, and nothing is lost on the way."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.errors import RecipeError
from microimpute.recipe import FusionPart, ImputePart, Recipe, ReportPart, SurveyPart, stock

FOLDER = Path("/data/recipes")
SIDES = {"donor": {"path": "d.csv"}, "receiver": {"path": "r.csv"}}


def make(**more):
    return Recipe.from_dict(SIDES | more, FOLDER)


def test_defaults():
    assert make() == Recipe(
        donor=SurveyPart("table", "/data/recipes/d.csv", None, {}),
        receiver=SurveyPart("table", "/data/recipes/r.csv", None, {}),
        title="Imputation",
        fusion=FusionPart(crosswalk=None, dollars=None, targets=None, predictors=None, rules=None, kinds={}),
        impute=ImputePart(method="forest", settings={}, m=5, seed=0),
        report=ReportPart(headline=None, by=()),
    )


def test_everything_said_arrives():
    fusion = {"crosswalk": "c", "dollars": 2019, "targets": ["y"], "predictors": ["x"], "rules": ["y >= 0"]}
    impute = {"method": "hotdeck", "settings": {"k": 3}, "m": 2, "seed": 9}
    donor = {"survey": "scf", "bundled": "s.parquet", "year": 2019}
    made = make(donor=donor, fusion=fusion | {"kinds": {"x": "count"}}, impute=impute, report={"by": ["x"], "headline": "y"}, title="T")  # fmt: skip
    assert made.donor == SurveyPart("scf", None, "s.parquet", {"year": 2019})
    assert made.fusion == FusionPart("c", 2019, ("y",), ("x",), ("y >= 0",), {"x": "count"})
    assert made.impute == ImputePart("hotdeck", {"k": 3}, 2, 9)
    assert (made.report, made.title) == (ReportPart("y", ("x",)), "T")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"titel": "a"}, r"the recipe has an unknown key 'titel'\. Did you mean 'title'\?"),
        ({"fusion": {"target": []}}, r"\[fusion\] has an unknown key 'target'\. Did you mean 'targets'\?"),
        ({"impute": {"Method": "a"}}, r"\[impute\] has an unknown key 'Method'\. Did you mean 'method'\?"),
        ({"report": {"headlin": "a"}}, r"\[report\] has an unknown key 'headlin'\. Did you mean 'headline'\?"),
        ({"report": {"xyzzy": 1}}, r"unknown key 'xyzzy'\. There is: by, headline\."),
    ],
)
def test_unknown_keys_are_named_with_what_was_meant(said, message):
    with pytest.raises(RecipeError, match=message):
        make(**said)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"title": 3}, "title is 3. Give a value of type str"),
        ({"fusion": ["y"]}, r"\[fusion\] is \['y'\]. Make it a table"),
        ({"fusion": {"targets": "y"}}, r"targets in \[fusion\] is 'y'. Give a value of type list"),
        ({"fusion": {"predictors": ["x", 1]}}, r"predictors in \[fusion\] is 1. Give a value of type str"),
        ({"fusion": {"dollars": "2019"}}, r"dollars in \[fusion\] is '2019'. Give a value of type int"),
        ({"fusion": {"kinds": ["x"]}}, r"kinds in \[fusion\] is \['x'\]"),
        ({"impute": {"m": True}}, r"m in \[impute\] is True. Give a value of type int"),
        ({"impute": {"seed": 1.0}}, r"seed in \[impute\] is 1.0. Give a value of type int"),
        ({"donor": "d.csv"}, r"\[donor\] is 'd.csv'. Make it a table"),
        ({"fusion": {"kinds": {"x": 3}}}, r"the kind of 'x' in \[fusion\] is 3. Give a value of type str"),
        ({"donor": {"path": 3}}, r"path in \[donor\] is 3"),
        (
            {"donor": {"path": "~no such user/x.csv"}},
            r"path in \[donor\] is '~no such user/x.csv', but there is no such",
        ),
        ({"donor": {"bundled": 3}}, r"bundled in \[donor\] is 3. Give a value of type str"),
        ({"donor": {"path": "d.csv", "survey": 1}}, r"survey in \[donor\] is 1"),
        ({"receiver": {"survey": "scf"}}, r"\[receiver\] names no file. Give path or bundled"),
        ({"receiver": {"path": "a", "bundled": "b"}}, r"\[receiver\] names two files"),
    ],
)
def test_wrong_values_are_named_with_their_place(said, message):
    with pytest.raises(RecipeError, match=message):
        make(**said)


@pytest.mark.parametrize("side", ["donor", "receiver"])
def test_both_sides_must_be_there(side):
    with pytest.raises(RecipeError, match=rf"the recipe has no \[{side}\]"):
        Recipe.from_dict({k: v for k, v in SIDES.items() if k != side}, FOLDER)


def test_paths_are_taken_from_the_recipes_own_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    text = '[donor]\npath = "../data/d.csv"\n[receiver]\npath = "{}"'
    (tmp_path / "here" / "r.toml").write_text(text.format("/absolute/r.csv"))
    (tmp_path / "here" / "home.toml").write_text(text.format("~/r.csv"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    made = Recipe.read("here/r.toml")
    assert made.donor.path == str(tmp_path / "data" / "d.csv")
    assert made.receiver.path == "/absolute/r.csv"
    assert Recipe.read(Path("here/home.toml")).receiver.path == "/home/me/r.csv"


def test_files_that_are_not_recipes(tmp_path):
    with pytest.raises(RecipeError, match="there is no recipe"):
        Recipe.read(tmp_path)
    (tmp_path / "r.toml").write_bytes("[donor]\n# é".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"r\.toml is not valid TOML"):
        Recipe.read(tmp_path / "r.toml")


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
values = st.one_of(st.integers(0, 10**6), st.booleans(), words, st.lists(words, max_size=3))
sides = st.builds(
    lambda options, name, file: options | {"survey": name} | file,
    st.dictionaries(words.filter(lambda k: k not in ("survey", "path", "bundled")), values, max_size=3),
    words,
    st.builds(lambda kind, name: {kind: f"f{name}"}, st.sampled_from(["path", "bundled"]), words),
)
texts, numbers = st.lists(words, max_size=3), st.integers(0, 10**6)
contents = st.fixed_dictionaries(
    {"donor": sides, "receiver": sides},
    optional={
        "title": words,
        "fusion": st.fixed_dictionaries({}, optional={"crosswalk": words, "dollars": numbers, "targets": texts, "more_targets": texts, "predictors": texts, "rules": texts, "kinds": st.dictionaries(words, words, max_size=2)}),
        "impute": st.fixed_dictionaries({}, optional={"method": words, "settings": st.dictionaries(words, values, max_size=2), "m": numbers, "seed": numbers}),
        "report": st.fixed_dictionaries({}, optional={"headline": words, "by": texts}),
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(contents)
def test_round_trip_through_json_from_any_folder(content):
    recipe = Recipe.from_dict(content, FOLDER)
    plain = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(plain, Path("/elsewhere")) == recipe


def test_stock_recipes_are_there_and_read():
    for name in ("scf_to_cps", "scf_to_cps_full"):
        assert Recipe.read(stock(name)).fusion.crosswalk == "scf_to_cps_tax_units"
    with pytest.raises(RecipeError, match=r"no stock recipe 'scf_to_csp'\. Did you mean 'scf_to_cps'\?"):
        stock("scf_to_csp")
