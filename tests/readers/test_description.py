"""Descriptions of tables: read, refused, drafted; two that are shipped, on their files."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from microimpute.cli import main
from microimpute.errors import FusionError, SurveyError
from microimpute.readers.description import Description, described
from microimpute.readers.drafting import draft
from microimpute.recipe import Recipe
from microimpute.runner.one import read_surveys
from microimpute.surveys.base import connector

ROWS = 200
RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(
    {
        "SERIAL": np.arange(ROWS) + 5,
        "ASECWT": RNG.integers(1000, 9000, ROWS),
        "INCTOT": np.where(
            np.arange(ROWS) % 10 == 0, 99999999, RNG.integers(0, 80_000, ROWS) * (RNG.random(ROWS) < 0.8)
        ),
        "SEX": RNG.integers(1, 3, ROWS),
        "NCHILD": RNG.integers(0, 5, ROWS),
        "STATE": RNG.choice(["AL", "NY"], ROWS),
        "SCHOOL": RNG.choice(["N", "1", "2", "3"], ROWS),
        "RATE": RNG.random(ROWS),
    }
)
TOML = """
source = "a made survey"
unit = "person"
weight = "ASECWT"
keys = ["SERIAL"]
dollars = 2019
missing = ["N"]

[columns]
INCTOT = { label = "income", kind = "semicontinuous", missing = [99999999] }
ASECWT = { factor = 0.01 }
SCHOOL = { kind = "ordinal" }
"""


def write(folder, text=TOML, frame=FRAME):
    frame.to_csv(folder / "made.csv", index=False)
    (folder / "made.toml").write_text(text, encoding="utf-8")
    return folder / "made.csv"


def test_a_described_table(tmp_path):
    path = write(tmp_path)
    survey = connector("table").read(path, description=str(tmp_path / "made.toml"))
    assert (survey.source, survey.unit, survey.keys, survey.dollars) == ("a made survey", "person", ("SERIAL",), 2019)
    np.testing.assert_allclose(survey.weights(), FRAME.ASECWT * 0.01)
    income, lost = survey.numbers("INCTOT"), FRAME.INCTOT == 99999999
    assert np.isnan(income[lost]).all()
    np.testing.assert_array_equal(income[~lost], FRAME.INCTOT[~lost])
    assert "20 values of INCTOT are codes for no answer, and missing now" in survey.notes
    assert "ASECWT was multiplied by 0.01" in survey.notes
    assert survey.frame["SCHOOL"].dtype.is_numeric()
    assert survey.frame["SCHOOL"].null_count() == (FRAME.SCHOOL == "N").sum()
    assert survey.labels["INCTOT"] == "income"
    assert survey.frame["STATE"].to_list() == FRAME.STATE.to_list()


def test_options_go_before_the_description(tmp_path):
    path = write(tmp_path)
    survey = connector("table").read(path, description="made.toml", dollars=2022, kinds={"SEX": "binary"})
    assert survey.dollars == 2022
    assert dict(survey.kinds) == {"INCTOT": "semicontinuous", "SCHOOL": "ordinal", "SEX": "binary"}


def test_in_a_recipe(tmp_path):
    path = write(tmp_path)
    side = {"path": str(path), "description": "made.toml"}
    recipe = Recipe.from_dict({"donor": side, "receiver": side, "fusion": {"targets": ["INCTOT"]}}, tmp_path)
    assert read_surveys(recipe)[0].weight == "ASECWT"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wieght = 'ASECWT'", r"made\.toml has an unknown key 'wieght'.*'weight'"),
        ("weight = 5", r"made\.toml: weight is 5.*type str"),
        ("dollars = true", "dollars is True"),
        ("keys = 'SERIAL'", "keys is 'SERIAL'"),
        ("weight = 'ASECWTT'", "weight column 'ASECWTT' is not in the table.*'ASECWT'"),
        ("[columns.INCTO]\nlabel = 'x'", "described column 'INCTO' is not in the table.*'INCTOT'"),
        ("[columns.INCTOT]\nlable = 'x'", r"columns\.INCTOT, has an unknown key 'lable'.*'label'"),
        ("[columns.INCTOT]\nfactor = 'x'", "factor of 'INCTOT' is 'x'"),
        ("weight = ", "is not valid TOML"),
    ],
)
def test_bad_descriptions(tmp_path, text, told):
    with pytest.raises(SurveyError, match=told):
        connector("table").read(write(tmp_path, text), description="made.toml")


def test_a_kind_that_is_none_and_no_file(tmp_path):
    path = write(tmp_path, "[columns.INCTOT]\nkind = 'mony'")
    with pytest.raises(FusionError, match="declared 'mony', which is no kind"):
        connector("table").read(path, description="made.toml")
    with pytest.raises(SurveyError, match=r"there is no description none\.toml"):
        connector("table").read(path, description="none.toml")


def test_a_draft_says_what_it_guesses_and_reads_the_file(tmp_path):
    path = write(tmp_path)
    out = tmp_path / "draft.toml"
    done = CliRunner().invoke(main, ["inspect", str(path), "--write", str(out)])
    assert done.exit_code == 0, done.output
    text = out.read_text(encoding="utf-8")
    said = {block.split('"')[1]: block for block in text.split("[columns.")[1:]}
    assert 'weight = "ASECWT"  # guess' in text
    assert 'keys = ["SERIAL"]  # guess' in text
    assert "missing = [99999999]  # guess" in said["INCTOT"]
    assert 'kind = "semicontinuous"  # guess: money, ' in said["INCTOT"]
    assert 'kind = "binary"  # guess' in said["SEX"]
    assert 'kind = "count"  # guess' in said["NCHILD"]
    assert 'kind = "categorical"  # guess' in said["STATE"]
    assert 'missing = ["N"]  # guess' in said["SCHOOL"]
    assert "kind" not in said["RATE"]
    survey = described(connector("table").read(path).frame, Description.read(out), "x")
    assert np.isnan(survey.numbers("INCTOT")).sum() == 20
    again = CliRunner().invoke(main, ["inspect", str(path), "--write", str(out)])
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    shown = CliRunner().invoke(main, ["inspect", str(path), "--description", str(out)])
    assert "semicontinuous" in shown.output


def test_incomes_that_are_nines_themselves_are_no_codes():
    from microimpute.frames import as_frame

    top = pd.DataFrame({"income": [9000, 9998, 9999, 8000, 7000]})
    assert "missing" not in draft(as_frame(top), "x")
    code = pd.DataFrame({"income": [9000, 99999, 99998, 8000, 7000]})
    assert "missing = [99999, 99998]" in draft(as_frame(code), "x")


def test_shipped_descriptions_on_their_files(shared):
    sipp = connector("table").read(shared / "data" / "sipp_1991" / "pension.csv.gz", description="sipp_1991")
    assert len(sipp) == 9915
    assert sipp.numbers("tw").mean() == pytest.approx(63_817, rel=1e-4)  # as the extract's users report
    assert np.median(sipp.numbers("tw")) == pytest.approx(25_100, rel=1e-3)
    assert set(np.unique(sipp.numbers("marr"))) == {0, 1}
    for year, rows in ((2018, 27_111), (2019, 27_253)):
        acs = connector("table").read(shared / "data" / "acs_nist" / f"acs_national{year}.csv", description="acs_nist")
        assert len(acs) == rows
        assert acs.weight == "PWGTP"
        children = acs.numbers("AGEP") < 15
        np.testing.assert_array_equal(np.isnan(acs.numbers("PINCP")), children)  # who is not asked is missing
        assert any("values of PINCP are codes for no answer" in n for n in acs.notes)
