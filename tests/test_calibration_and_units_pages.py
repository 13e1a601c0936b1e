"""Pages on calibration, fetching and units: they run, and print what they say, up to digits."""

import re
import runpy
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = runpy.run_path(str(ROOT / "scripts" / "run_page.py"))["run"]


def shape(text: str) -> str:
    """A text with every number as #, whatever its width."""
    return re.sub(r"[ -]*-?[\d.,]*\d", " #", text)


@pytest.mark.parametrize("page", ["calibration.md", "fetch.md", "units.md"])
def test_a_page_runs_and_prints_what_it_says(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert len(re.findall("```text", text)) >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = RUN(text)
    assert shape(again) == shape(text)
