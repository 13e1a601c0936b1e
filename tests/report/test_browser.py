"""The report in a real browser: nothing is fetched, nothing complains, nothing scrolls sideways."""

import pytest

from microimpute.report import render, summarise

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    long = "A remark about_a_variable_with_a_name_that_does_not_end_" + "x" * 120
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(summarise(*made, title="A run", remarks=[long])), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 400])
def test_opens_quietly_and_does_not_scroll_sideways(opened, file, width):
    page, told = opened(file, width)
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").inner_text() == "A run"
    assert page.locator("figure svg").count() == 3
    assert page.locator("figure svg").first.bounding_box()["height"] > 100


def test_at_1280_no_table_scrolls_either(opened, file):
    page, _ = opened(file, 1280)
    script = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(script) == 0


def test_a_planted_fault_is_seen(opened, file, tmp_path):
    bad = tmp_path / "bad.html"
    fault = '<img src="missing.png"><div style="width: 2000px">wide</div></main>'
    bad.write_text(file.read_text(encoding="utf-8").replace("</main>", fault), encoding="utf-8")
    page, told = opened(bad, 1280)
    assert told != []
    assert page.evaluate("document.documentElement.scrollWidth") > 1280
