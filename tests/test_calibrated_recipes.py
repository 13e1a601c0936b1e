"""Recipes with published totals: met, told before and after, verified, and nothing written when they can't be."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute import Imputations, Survey
from microimpute.calibration import Aggregate, calibrate
from microimpute.cli import main
from microimpute.errors import CalibrationError, MicroImputeError
from microimpute.recipe import Recipe
from microimpute.recipe_of_stages import StagedRecipe, read_recipe
from microimpute.rules import TOLERANCE
from microimpute.runner import run, verify
from microimpute.runner.several import _calibrated
from microimpute.stages import Edit, Stage, fuse
from microimpute.stages.span import observed_columns
from microimpute.survey import replace_survey

ONE = """
[donor]
path = "donor.csv"
weight = "w"
[receiver]
path = "receiver.csv"
weight = "w"
keys = ["id"]
[fusion]
targets = ["house", "cash", "debt", "kind"]
predictors = ["x", "sex"]
rules = ["worth = house + cash - debt", "house >= 0"]
[impute]
method = "hotdeck"
m = 3
"""
SEVERAL = """
[receiver]
path = "receiver.csv"
weight = "w"
keys = ["id"]
[[stage]]
name = "wealth"
donor = {path = "donor.csv", weight = "w"}
fusion = {targets = ["house", "cash"], predictors = ["x"], rules = ["assets = house + cash"]}
method = "hotdeck"
[[stage]]
name = "spending"
donor = {path = "spent.csv", weight = "w"}
fusion = {targets = ["spent"], predictors = ["x"]}
method = "hotdeck"
[[edit]]
rule = "spent <= assets + 3 income"
repair = "adjust"
[impute]
m = 3
"""
WEIGHTS = """
[[calibrate]]
distance = "logit"
bounds = [0.2, 4]
[[calibrate.targets]]
total = {f = 200e3, m = 260e3}
by = "sex"
source = "a census"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("totals")
    rng = np.random.default_rng(3)

    def people(rows):
        x = rng.normal(size=rows)
        frame = pd.DataFrame({"id": np.arange(rows), "x": x, "sex": rng.choice(["f", "m"], rows)})
        return frame.assign(w=rng.gamma(4, 250, rows), income=50.0, region=rng.integers(1, 3, rows))

    donor = people(500)
    house, cash, debt = rng.gamma(1, 100, (3, 500)) * np.exp(donor["x"].to_numpy())
    donor = donor.assign(house=house, cash=cash, debt=debt, kind=rng.choice(["own", "rent"], 500))
    donor.drop(columns=["id", "income"]).to_csv(folder / "donor.csv", index=False)
    spent = people(400)
    spent.assign(spent=rng.gamma(2, 50, 400)).drop(columns=["id", "income"]).to_csv(folder / "spent.csv", index=False)
    people(450).to_csv(folder / "receiver.csv", index=False)
    return folder


def written(place, name, text):
    (place / f"{name}.toml").write_text(text)
    return place / f"{name}.toml"


def totals(done, column, rows=slice(None)):
    return done.numbers(column)[:, rows] @ done.receiver.weights()[rows]


def test_weights_then_values_of_one_donor(place):
    values = '[[calibrate]]\nhow = "values"\ntargets = {worth = 6e7, debt = 5e7}\n'
    run(written(place, "both", ONE + WEIGHTS + values), place / "both")
    done = Imputations.load(place / "both")
    received = pd.read_csv(place / "receiver.csv")
    completed = pd.read_parquet(place / "both" / "completed.parquet")
    pd.testing.assert_frame_equal(
        completed[list(received.columns)], received, check_dtype=False, check_exact=False, rtol=1e-15, atol=0
    )
    assert done.receiver.weight == "w_calibrated"
    weight, sex = completed["w_calibrated"], completed["sex"]
    assert [weight[sex == s].sum() for s in "fm"] == pytest.approx([200e3, 260e3], rel=1e-9)
    np.testing.assert_allclose(totals(done, "worth"), 6e7, rtol=1e-9)
    np.testing.assert_allclose(totals(done, "debt"), 5e7, rtol=1e-9)
    worth = done.numbers("house") + done.numbers("cash") - done.numbers("debt")
    np.testing.assert_array_equal(done.numbers("worth"), worth)
    assert all(line.same for line in verify(place / "both"))


def test_it_is_what_the_python_functions_do(place):
    values = '[[calibrate]]\nhow = "values"\ntargets = {worth = 6e7}\n'
    plain = run(written(place, "plain", ONE)).imputations
    made = run(written(place, "same", ONE + WEIGHTS + values)).imputations
    census = Aggregate(None, {"f": 200e3, "m": 260e3}, by="sex", source="a census")
    once = calibrate(plain, [census], distance="logit", bounds=(0.2, 4)).result
    twice = calibrate(once, {"worth": 6e7}, how="values").result
    for column in twice.columns:
        assert [s.to_list() for s in made.values[column]] == [s.to_list() for s in twice.values[column]]
    np.testing.assert_array_equal(made.receiver.weights(), twice.receiver.weights())
    assert made.manifest["calibration"] == twice.manifest["calibration"]


def test_before_and_after_are_told_everywhere(place):
    told = CliRunner().invoke(main, ["run", str(written(place, "told", ONE + WEIGHTS)), "--out", str(place / "told")])
    assert told.exit_code == 0, told.output
    manifest = json.loads((place / "told" / "manifest.json").read_text())
    row = manifest["calibration"][0]["totals"][0]
    received = pd.read_csv(place / "receiver.csv")
    before = received["w"][received["sex"] == "f"].sum()
    assert row["before"] == pytest.approx([before] * 3)
    assert (row["target"], row["source"]) == (200e3, "a census")
    assert manifest["receiver"]["weight"] == "w_calibrated"
    facts = manifest["calibration"][0]
    factors = f"factors from {facts['least_factor']:.3g} to {facts['largest_factor']:.3g}"
    assert (
        f"Published totals, met by weights with {factors}; before and after are means over implicates:" in told.output
    )
    assert (
        f"the number of units where sex = f               200,000  {before:>20,.0f}               200,000"
        in told.output
    )
    page = (place / "told" / "report.html").read_text()
    assert "Calibrated weights" in page
    assert "Weights were then moved so as to meet 2 published totals: all that follows is after that" in page
    assert f"<td>200,000</td><td>{before:,.0f}</td><td>200,000</td>" in page
    assert "a census" in page
    assert "receiver w_calibrated, sum 460,000" in page


def test_several_donors(place):
    values = '[[calibrate]]\nhow = "values"\ntargets = [{of = "assets", by = "region", total = {1 = 4e7, 2 = 5e7}}, {of = "spent", total = 9e7}]\n'  # fmt: skip
    run(written(place, "several", SEVERAL + WEIGHTS + values), place / "several")
    done, manifest = Imputations.load(place / "several"), json.loads((place / "several" / "manifest.json").read_text())
    region = pd.read_csv(place / "receiver.csv")["region"].to_numpy()
    for r, wanted in ((1, 4e7), (2, 5e7)):
        np.testing.assert_allclose(totals(done, "assets", region == r), wanted, rtol=1e-9)
    np.testing.assert_allclose(totals(done, "spent"), 9e7, rtol=1e-9)
    np.testing.assert_array_equal(done.numbers("assets"), done.numbers("house") + done.numbers("cash"))
    broken = int((done.numbers("spent") > done.numbers("assets") + 150 + TOLERANCE).sum())
    assert broken > 0
    assert manifest["edits"][0]["after"] == 0
    note = f"'spent <= assets + 3 income' is broken by {broken:,} rows over all implicates after the adjustment, by 0 before."
    assert note in manifest["calibration"][1]["notes"]
    assert {"text": note, "count": 0, "warning": True} in manifest["notes"]
    for page in ("report.html", "report_wealth.html", "report_spending.html"):
        assert "the total of spent" in (place / "several" / page).read_text()
    assert all(line.same for line in verify(place / "several"))


def test_stages_reports_have_the_new_values_and_weights(place):
    values = '[[calibrate]]\nhow = "values"\ntargets = {spent = 9e7}\n'
    done = run(written(place, "stages", SEVERAL + WEIGHTS + values))
    own = done.fused.stages["spending"]
    np.testing.assert_allclose(totals(own, "spent"), 9e7, rtol=1e-9)
    np.testing.assert_array_equal(own.receiver.weights(), done.imputations.receiver.weights())


def test_bounds_of_what_only_a_stages_view_has_are_looked_at_too(place):
    """As crosswalks make it: a rule speaks of a predictor that the receiver's own file does not have."""
    base = Survey(pd.read_csv(place / "receiver.csv").drop(columns="income"), weight="w", keys="id")
    view = replace_survey(base, frame=base.with_columns({"means": np.full(len(base), 50.0)}).frame)
    donor = Survey(pd.read_csv(place / "donor.csv"), weight="w")
    spent = Survey(pd.read_csv(place / "spent.csv"), weight="w")
    stages = [
        Stage("wealth", donor, ["cash"], ["x"], method="hotdeck"),
        Stage("spending", spent, ["spent"], ["x"], receiver=view, method="hotdeck"),
    ]
    edits = [Edit("spent <= cash + 3 means", "adjust")]
    fused = fuse(base, stages, edits=edits, m=2)
    asked = [({"spent": 9e7}, {"how": "values"})]
    done = _calibrated(fused, asked, observed_columns(edits, stages, base)).imputations
    assert done.receiver.columns == base.columns
    broken = int((done.numbers("spent") > done.numbers("cash") + 150 + TOLERANCE).sum())
    assert broken > 0
    assert f"broken by {broken:,} rows" in done.manifest["calibration"][0]["notes"][0]
    alone = calibrate(fused.imputations, {"spent": 9e7}, how="values")
    assert alone.notes[-1] == (
        "'spent <= cash + 3 means' was not looked at again after the adjustment: means is not in the receiver."
    )


def test_what_a_later_calibration_undoes_is_said(place):
    text = ONE + "[[calibrate]]\ntargets = {debt = 5e7}\n" + '[[calibrate]]\nhow = "values"\ntargets = {debt = 4e7}\n'
    told = CliRunner().invoke(main, ["run", str(written(place, "undone", text)), "--out", str(place / "undone")])
    said = "the total of debt is 40,000,000 in the end, not 50,000,000: a later calibration moved it again."
    assert told.output.count(said) == 1
    manifest = json.loads((place / "undone" / "manifest.json").read_text())
    assert {"text": said, "count": 0, "warning": True} in manifest["notes"]
    assert manifest["calibration"][1]["notes"] == []
    assert said in (place / "undone" / "report.html").read_text()


BEFORE = [
    ("targets = {wroth = 1.0}", r"1: target column 'wroth' is not there\. Did you mean 'worth'\?"),
    ("targets = {kind = 1.0}", r"1: target column 'kind' holds text, which has no total\. For numbers of units"),
    ("targets = {sex = 1.0}", r"target column 'sex' holds .*, which has no total"),
    ('targets = [{total = {x = 1}, by = "sex"}]', r"the number of units where sex = x: no row is in that group\. sex has: f, m"),
    ('targets = [{total = {lent = 1}, by = "kind"}]', r"where kind = lent: no donor is in that group\. kind has: own, rent"),
    ('targets = [{total = {x = 1}, by = "region"}]', "group 'x' of 'region' is not a number"),
    ('targets = [{total = {1 = 1}, by = "regino"}]', r"group column 'regino' is not there\. Did you mean 'region'\?"),
    ("targets = {income = 5e9}\nbounds = [0.5, 2]", r"the total of income should be 5e\+09; it is .* Correct the target"),
    ('how = "values"\ntargets = {income = 5e7}', "'income' was observed, not imputed; observed values are never changed"),
    ('how = "values"\ntargets = {worth = 6e7}\nname = "v"', "a name was given for a weight"),
    ('how = "valeus"\ntargets = {worth = 6e7}', r"how is 'valeus'\. Choose"),
    ('distance = "ranking"\ntargets = {worth = 6e7}', "'ranking'"),
    ('distance = "logit"\ntargets = {worth = 6e7}', "the logit distance needs bounds"),
    ('name = "income"\ntargets = {worth = 6e7}', "column 'income' is there already"),
    ('targets = {worth = 6e7}\nname = "v"\n[[calibrate]]\ntargets = {worth = 6e7}\nname = "v"', r"\[\[calibrate\]\] 2: column 'v' is there already"),
    ('how = "values"\ntargets = [{of = "debt", by = "worth", total = {1 = 5}}, {of = "cash", total = 4}]', "'worth', which is adjusted itself"),
    ("targets = []", "there are no targets"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [ONE, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize(("said", "told"), BEFORE, ids=range(len(BEFORE)))
def test_what_can_be_known_before_a_draw_is_said_before_it(place, said, told, kind):
    if kind is SEVERAL:
        kind = kind.replace('["house", "cash"]', '["house", "cash", "debt", "kind"]').replace("assets =", "worth =")
        kind = kind.replace('house + cash"', 'house + cash - debt"').replace("<= assets", "<= worth")

    def no_draw(fusion):
        raise AssertionError("drawn")

    with pytest.raises(CalibrationError, match=told):
        run(written(place, "bad", f"{kind}[[calibrate]]\n{said}\n"), place / "bad", before=no_draw)
    assert not (place / "bad").exists()


READING = [
    ("targets = {worth = '6e7'}", r"worth in targets of \[\[calibrate\]\] 1 is '6e7'\. Give a number"),
    ("target = {worth = 6e7}", r"\[\[calibrate\]\] 1 has an unknown key 'target'\. Did you mean 'targets'"),
    ("how = 'values'", r"\[\[calibrate\]\] 1 has no targets\. Say which totals"),
    ("targets = [{of = 'worth'}]", r"target 1 of \[\[calibrate\]\] 1 has no total"),
    ("targets = [{of = 'worth', totel = 3}]", r"target 1 of \[\[calibrate\]\] 1 has an unknown key 'totel'"),
    ("targets = [{total = {f = 3}}]", "needs by, the column of these groups"),
    ("targets = [{total = {f = 3}, by = ['sex', 'region']}]", r"is by 2 columns\. Write a list"),
    ("targets = [{total = {f = true}, by = 'sex'}]", "group f in total of target 1 .* is True. Give a number"),
    ("targets = [{total = [{group = 1}], by = 'sex'}]", r"entry 1, has no total\. Write"),
    ("targets = {worth = 1}\nbounds = 3", r"bounds of \[\[calibrate\]\] 1 is 3\. Give the least and the largest"),
    ("targets = {worth = 1}\nbounds = [1, 'x']", "is 'x'. Give a number"),
]


@pytest.mark.parametrize("kind", [ONE, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize(("said", "told"), READING, ids=range(len(READING)))
def test_bad_tables_are_named(place, said, told, kind):
    with pytest.raises(MicroImputeError, match=told):
        read_recipe(written(place, "bad", f"{kind}[[calibrate]]\n{said}\n"))


@pytest.mark.parametrize("kind", [ONE, SEVERAL], ids=["one", "several"])
def test_nothing_is_written_when_the_draws_cannot_meet_a_total(place, tmp_path, kind):
    said = '[[calibrate]]\nhow = "values"\nbounds = [0.9, 1.1]\ntargets = {cash = 1e12}\n'
    told = CliRunner().invoke(
        main, ["run", str(written(place, "far", kind + said)), "--out", str(tmp_path / "out" / "x")]
    )
    assert told.exit_code == 2
    assert "Error: [[calibrate]] 1: the total of cash in implicate 1 should be 1e+12; it is" in told.output
    assert "Traceback" not in told.output
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_killed_while_it_writes_leaves_nothing_and_can_be_done_again(place, tmp_path):
    recipe = written(place, "killed", ONE + WEIGHTS)
    code = (
        "import os, signal, sys; from microimpute.runner import run\n"
        "def tell(step, share):\n"
        "    if step == 'making the report': os.kill(os.getpid(), signal.SIGKILL)\n"
        "run(sys.argv[1], sys.argv[2], progress=tell)\n"
    )
    source = str(Path(sys.modules["microimpute"].__file__).parents[1])
    killed = subprocess.run(
        [sys.executable, "-c", code, str(recipe), str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": source}, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    run(recipe, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert all(line.same for line in verify(tmp_path / "out"))


numbers = st.one_of(st.integers(-(10**15), 10**15), st.floats(-1e15, 1e15, allow_nan=False))
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)
one_column = st.fixed_dictionaries(
    {"total": st.dictionaries(words, numbers, max_size=3), "by": words}, optional={"of": words, "source": words}
)
groups = st.lists(st.one_of(words, st.integers(-9, 9), st.booleans()), max_size=3)
listed = st.lists(st.fixed_dictionaries({"group": groups, "total": numbers}), max_size=2)
all_units = st.fixed_dictionaries({"total": st.one_of(numbers, listed)}, optional={"of": words, "by": st.lists(words)})
targets = st.one_of(st.dictionaries(words, numbers, max_size=3), st.lists(st.one_of(one_column, all_units), max_size=3))
calibrations = st.lists(
    st.fixed_dictionaries(
        {"targets": targets},
        optional={"how": words, "distance": words, "name": words, "bounds": st.lists(numbers, min_size=2, max_size=2)},
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(calibrations)
def test_round_trip_through_json(said):
    one = {"donor": {"path": "/d"}, "receiver": {"path": "/r"}, "calibrate": said}
    stages = [{"name": n, "donor": {"path": "/d"}} for n in ("first", "second")]
    for kind, content in (
        (Recipe, one),
        (StagedRecipe, {"receiver": {"path": "/r"}, "stage": stages, "calibrate": said}),
    ):
        recipe = kind.from_dict(content, Path("/"))
        assert len(recipe.calibrate) == len(said)
        assert kind.from_dict(json.loads(json.dumps(recipe.to_dict())), Path("/elsewhere")) == recipe
