"""The connector for any table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from microimpute.errors import SurveyError
from microimpute.surveys.base import connector
from microimpute.surveys.table import TableFile

FRAME = pd.DataFrame({"id": [1, 1, 2], "draw": [1, 2, 1], "w": [1.0, 2.0, 3.0], "sex": [1, 2, 1]})


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".dta"])
def test_reads_with_its_design(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{ending}"
    if ending == ".parquet":
        FRAME.to_parquet(path)
    elif ending == ".dta":
        FRAME.to_stata(path, write_index=False)
    else:
        FRAME.to_csv(path, index=False)
    survey = connector("table").read(
        path, weight="w", keys="id", implicate="draw", kinds={"sex": "binary"}, dollars=2019, unit="person"
    )
    assert survey.weights().tolist() == [1.0, 2.0, 3.0]
    assert (survey.keys, survey.household, survey.implicate) == (("id",), ("id",), "draw")
    assert (survey.dollars, survey.unit, survey.source) == (2019, "person", f"file mine{ending}")


def test_without_options(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "mine.csv", index=False)
    assert TableFile().read(tmp_path / "mine.csv").weights().tolist() == [1.0, 1.0, 1.0]


def test_unknown_option_and_column(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(SurveyError, match=r"no option 'weights'.*'weight'"):
        TableFile().read(tmp_path / "mine.csv", weights="w")
    with pytest.raises(SurveyError, match="weight column 'wt' is not in the table"):
        TableFile().read(tmp_path / "mine.csv", weight="wt")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="there is no file"):
        TableFile().read(tmp_path / "none.csv")
