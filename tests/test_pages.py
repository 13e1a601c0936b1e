"""Pages whose Python blocks a reader will copy: they run, and print what the page says, up to digits."""

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


@pytest.mark.parametrize("page", ["pooling.md"])
def test_a_page_runs_and_prints_what_it_says(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = RUN(text)
    assert shape(again) == shape(text)
    slope = re.compile(r"^worth +(0\.\d+)", re.M)
    ours, theirs = (float(slope.search(t).group(1)) for t in (again, text))
    assert ours == pytest.approx(theirs, abs=0.0005)  # a third of its standard error; on one machine the same bytes


def test_a_block_that_prints_needs_a_text_block():
    with pytest.raises(SystemExit, match="block 1 prints"):
        RUN("```python\nprint(1)\n```\n")
    assert RUN("```python\nprint(2)\n```\n\n```text\n1\n```\n").endswith("```text\n2\n```\n")
