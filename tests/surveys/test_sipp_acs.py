"""The extracts of SIPP and ACS: made up in their columns, the genuine ones where they are, and spoilt."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extracts_made import acs_rows, sipp_rows

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.rules import parse_all
from microimpute.surveys.acs import ACS, DIFFICULTIES
from microimpute.surveys.base import connector
from microimpute.surveys.sipp import SIPP


def test_sipp_rows_are_households_of_1991(tmp_path: Path) -> None:
    frame = sipp_rows(50)
    frame.to_csv(tmp_path / "pension.csv", index=False)
    survey = SIPP().read(tmp_path / "pension.csv")
    assert (survey.dollars, survey.unit, survey.weight, survey.keys) == (1991, "household", None, ("household",))
    assert survey.weights().tolist() == [1.0] * 50
    np.testing.assert_array_equal(survey.numbers("debt"), frame["nifa"] - frame["net_nifa"])
    (rule,) = parse_all(["tw = nifa + ira + a401 + hval - hmort - debt + other_wealth"])
    assert not rule.broken({c: survey.numbers(c) for c in rule.columns}).any()
    assert survey.kinds["tw"] is survey.kinds["inc"] is Kind.SEMICONTINUOUS
    assert any("does not say of which year its dollars are" in n for n in survey.notes)
    assert any(n.startswith("50 of the extract's 9,915 households") for n in survey.notes)
    assert SIPP().read(tmp_path / "pension.csv", dollars=1990).dollars == 1990


def test_acs_rows_are_persons_in_housing_units(tmp_path: Path) -> None:
    frame = acs_rows(400)
    frame.to_csv(tmp_path / "acs_national2018.csv", index=False)
    survey = ACS().read(tmp_path / "acs_national2018.csv")
    housed = frame["HOUSING_TYPE"] == 1
    assert 0 < (~housed).sum() < len(frame)
    assert len(survey) == housed.sum()
    assert f"{int((~housed).sum()):,} persons in group quarters left out" in survey.notes
    assert (survey.dollars, survey.weight, survey.unit) == (2018, "PWGTP", "person")
    np.testing.assert_array_equal(survey.numbers("difficulty_walking"), (frame.loc[housed, "DPHY"] == "1").astype(int))
    young = survey.numbers("AGEP") < 5
    assert young.any()
    assert survey.numbers("difficulty_remembering")[young].sum() == 0
    everybody = ACS().read(tmp_path / "acs_national2018.csv", group_quarters=True, year=2018)
    assert len(everybody) == len(frame)
    assert len(np.unique(everybody.numbers("person"))) == len(frame)


@pytest.mark.parametrize(
    ("survey", "name", "content", "options", "message"),
    [
        (SIPP, "pension.csv", "<!DOCTYPE html><html>no</html>", {}, "web page|can't be read"),
        (SIPP, "pension.csv", "a,b\n1,2\n", {}, "is not the SIPP extract of the R package hdm: it has no column tw"),
        (SIPP, "pension.csv.gz", b"\x1f\x8b\x08\x00cut", {}, "can't be read|cut off"),
        (SIPP, "absent.csv", None, {}, "there is no file"),
        (ACS, "acs_national2019.csv", "a,b\n1,2\n", {}, "is not an ACS excerpt .*: it has no column PUMA"),
        (ACS, "acs.csv", None, {"year": "2019"}, "option 'year'"),
        (ACS, "acs.csv", None, {"group_quarters": "yes"}, "option 'group_quarters' is 'yes'"),
        (SIPP, "pension.csv", None, {"dollars": 1.5}, "option 'dollars'"),
    ],
)
def test_bad_input(
    survey: Any, name: str, content: str | bytes | None, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    with pytest.raises(SurveyError, match=message):
        survey().read(path, **options)


def test_the_year_is_in_the_name_or_said(tmp_path: Path) -> None:
    acs_rows(40).to_csv(tmp_path / "acs.csv", index=False)
    with pytest.raises(SurveyError, match=r"the year of acs.csv is not in its name.*year=2019"):
        ACS().read(tmp_path / "acs.csv")
    assert ACS().read(tmp_path / "acs.csv", year=2019).dollars == 2019
    acs_rows(40).to_csv(tmp_path / "acs_national2018.csv", index=False)
    with pytest.raises(SurveyError, match="is of 2018 by its name, not of 2019"):
        ACS().read(tmp_path / "acs_national2018.csv", year=2019)


def test_gaps_of_people_who_are_asked(tmp_path: Path) -> None:
    frame = acs_rows(40)
    frame["DREM"] = "N"
    frame.to_csv(tmp_path / "acs_national2018.csv", index=False)
    with pytest.raises(SurveyError, match=r"column DREM holds \d+ gaps of persons of five years or more"):
        ACS().read(tmp_path / "acs_national2018.csv")


def test_a_truncated_file(tmp_path: Path) -> None:
    whole = gzip.compress(sipp_rows(200).to_csv(index=False).encode())
    (tmp_path / "pension.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SurveyError, match="can't be read"):
        SIPP().read(tmp_path / "pension.csv.gz")


def test_the_genuine_extracts(shared: Path) -> None:
    sipp = connector("sipp").read(shared / "data" / "sipp_1991" / "pension.csv.gz")
    assert all(c.passed for c in sipp.checks)
    assert len(sipp.checks) == 1
    assert sipp.numbers("tw").mean() == pytest.approx(63_817, rel=1e-4)
    assert ((sipp.numbers("hval") > 0) == (sipp.numbers("hown") == 1)).all()
    assert not ((sipp.numbers("twoearn") == 1) & (sipp.numbers("marr") == 0)).sum() > 3
    acs = connector("acs").read(shared / "data" / "acs_nist" / "acs_national2019.csv")
    assert (len(acs), all(c.passed for c in acs.checks), len(acs.checks)) == (25_435, True, 1)
    assert set(acs.numbers("OWN_RENT")) == {1, 2}
    shares = [np.average(acs.numbers(c), weights=acs.weights()) for c in DIFFICULTIES]
    assert all(0.02 < s < 0.08 for s in shares)
