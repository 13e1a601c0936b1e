"""The report in a real browser: nothing is fetched, nothing complains, nothing scrolls sideways."""

import shutil

import pytest

from microimpute.report import render, summarise

pytestmark = pytest.mark.browser

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the path")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    long = "A remark about_a_variable_with_a_name_that_does_not_end_" + "x" * 120
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(summarise(*made, title="A run", remarks=[long])), encoding="utf-8")
    return path


def opened(browser, path, width):
    """Open a page and collect everything that it complains of or asks for."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    told = []
    page.on("console", lambda message: told.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on("request", lambda request: told.append(f"request: {request.url}"))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    return page, [line for line in told if line != f"request: {path.as_uri()}" and "request: data:" not in line]


@pytest.mark.parametrize("width", [1280, 400])
def test_opens_quietly_and_does_not_scroll_sideways(browser, file, width):
    page, told = opened(browser, file, width)
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").inner_text() == "A run"
    assert page.locator("figure svg").count() == 3
    assert page.locator("figure svg").first.bounding_box()["height"] > 100


def test_at_1280_no_table_scrolls_either(browser, file):
    page, _ = opened(browser, file, 1280)
    script = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(script) == 0


def test_a_planted_fault_is_seen(browser, file, tmp_path):
    bad = tmp_path / "bad.html"
    fault = '<img src="missing.png"><div style="width: 2000px">wide</div></main>'
    bad.write_text(file.read_text(encoding="utf-8").replace("</main>", fault), encoding="utf-8")
    page, told = opened(browser, bad, 1280)
    assert told != []
    assert page.evaluate("document.documentElement.scrollWidth") > 1280
