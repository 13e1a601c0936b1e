"""A saved folder brings the receiver's whole design back, whatever it is; an old one says what it never knew."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute import Imputations, Survey, impute, impute_missing
from microimpute.errors import SurveyError
from microimpute.frames import as_frame
from microimpute.survey import Check
from microimpute.testing import example_donor, example_receiver

PARTS = [part for part in Survey.__dataclass_fields__ if part != "frame"]
#: What manifests told of a receiver before they told its whole design.
BEFORE = ("source", "rows", "unit", "weight", "sum_of_weights", "keys", "dollars", "checks")
ROWS = 6
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


def design(survey):
    return {part: getattr(survey, part) for part in PARTS}


@st.composite
def surveys(draw):
    """Receivers with every part of a design, or some."""
    columns = draw(
        st.lists(names.filter(lambda n: n not in ("target", "implicate")), min_size=5, max_size=9, unique=True)
    )
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({c: rng.integers(1, 9, ROWS).astype(float) for c in columns})
    frame[columns[0]] = 1.0
    some = st.lists(st.sampled_from(columns), unique=True, max_size=3)
    kinds = st.sampled_from(["continuous", "semicontinuous", "count", "ordinal"])
    figure = st.floats(-1e12, 1e12, allow_nan=False)
    checks = st.builds(Check, names, figure, figure, st.floats(0, 1), names)
    return Survey(
        frame,
        weight=draw(st.none() | st.sampled_from(columns)),
        keys=draw(some),
        implicate=draw(st.none() | st.just(columns[0])),
        household=draw(some),
        replicates=draw(some),
        replicate_rule=draw(st.sampled_from(["", "brr", "bootstrap", "cps asec"])),
        kinds=draw(st.dictionaries(st.sampled_from(columns), kinds)),
        dollars=draw(st.none() | st.integers(1900, 2100)),
        unit=draw(names),
        source=draw(st.just("") | names),
        labels=draw(st.dictionaries(names, names, max_size=3)),
        checks=draw(st.lists(checks, max_size=2)),
        notes=draw(st.lists(names, max_size=2)),
    )


@settings(max_examples=60, deadline=None)
@given(surveys())
def test_any_design_comes_back(survey):
    values = tuple(as_frame(pd.DataFrame({"target": np.arange(ROWS) + 0.5 * i}))["target"] for i in range(2))
    made = Imputations(survey, ("target",), {"target": values}, {"m": 2})
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "out")
        back = Imputations.load(Path(folder) / "out")
    assert design(back.receiver) == design(survey)
    assert back.receiver.native.to_numpy(float).tolist() == survey.native.to_numpy(float).tolist()
    assert np.array_equal(back.numbers("target"), made.numbers("target"))


def receiver(frame):
    many = {f"r{i}": frame["weight"] * (1 + 0.1 * (-1) ** i) for i in range(4)}
    return Survey(
        frame.assign(**many),
        weight="weight",
        keys="id",
        household="region",
        replicates=list(many),
        replicate_rule="brr",
        kinds={"age": "count"},
        labels={"age": "age in years"},
        dollars=2022,
        unit="person",
        source="made up",
        checks=[Check("mean age", 40.0, 41.0, 0.05, "nowhere")],
        notes=["Two rows were left out."],
    )


def test_a_run_pools_by_its_replicates_after_loading(tmp_path):
    made = impute(example_donor(80), receiver(example_receiver(40)), targets=["wealth"], m=2)
    made.save(tmp_path / "out")
    back = Imputations.load(tmp_path / "out")
    assert design(back.receiver) == design(made.receiver)
    assert back.receiver.checks[0].passed
    from microimpute.variance import mean

    ours, theirs = made.pool(mean, "wealth"), back.pool(mean, "wealth")
    assert theirs.std_error.tolist() == ours.std_error.tolist()
    assert list(tmp_path.rglob("*.pkl")) == []


def test_filled_gaps_and_polars_keep_the_design_too(tmp_path):
    frame = example_receiver(60).assign(gap=lambda d: d["income"].where(d.index % 3 > 0))
    survey = receiver(frame)
    polars = Survey(pl.from_pandas(survey.native), **design(survey))
    impute_missing(polars, targets=["gap"], predictors={"gap": ["age"]}, m=2).save(tmp_path / "out")
    back = Imputations.load(tmp_path / "out")
    assert design(back.receiver) == design(survey)
    assert back.receiver.native["gap"].isna().sum() == 20


def old(folder):
    """Make a folder look as it did before."""
    file = folder / "manifest.json"
    said = json.loads(file.read_text())
    said["receiver"] = {part: said["receiver"][part] for part in BEFORE}
    for check in said["receiver"]["checks"]:
        del check["tolerance"]
    file.write_text(json.dumps(said))


def test_an_old_folder_loads_and_says_what_is_not_known(tmp_path):
    made = impute(example_donor(80), receiver(example_receiver(40)), targets=["wealth"], m=2)
    made.save(tmp_path / "out")
    old(tmp_path / "out")
    back = Imputations.load(tmp_path / "out")
    assert back.receiver.weight == "weight"
    assert back.receiver.keys == ("id",)
    assert back.receiver.replicates == ()
    assert [c.passed for c in back.receiver.checks] == [True]
    assert len(back.receiver.notes) == 1
    for part in ("household", "replicates", "replicate_rule", "kinds", "labels"):
        assert part in back.receiver.notes[0]
    back.save(tmp_path / "again")  # the note goes with it, and nothing more is said
    assert Imputations.load(tmp_path / "again").receiver.notes == back.receiver.notes


def test_a_design_column_that_is_gone_is_named(tmp_path):
    made = impute(example_donor(80), receiver(example_receiver(40)), targets=["wealth"], m=2)
    made.save(tmp_path / "out")
    file = tmp_path / "out" / "manifest.json"
    file.write_text(file.read_text().replace('"r3"', '"r9"'))
    with pytest.raises(SurveyError, match="replicates column 'r9' is not in the table"):
        Imputations.load(tmp_path / "out")
