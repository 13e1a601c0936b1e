"""The leaderboard in a real browser: nothing is fetched, nothing complains, nothing scrolls sideways."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from markupsafe import escape

from microimpute.benchmark.compare import against, default_method, leaders
from microimpute.benchmark.leaderboard import summarise
from microimpute.benchmark.page import page
from microimpute.benchmark.ranking import rank
from microimpute.benchmark.scores import Scores
from microimpute.metrics.base import audits, metrics

METHODS = {"forest": 0.3, "quantile_forest": 0.5, "hotdeck": 0.8, "shuffle": 1.0, "broken": None}
#: As many as a full suite has, with a name as long as any.
MANY = {f"method_{n}": n / 25 for n in range(18)} | {"quantile_regression": 0.3, default_method(): 0.2}
LABEL = "<script>alert(1)</script>"


def records(labels):
    rng = np.random.default_rng(0)
    kinds = {"y": "semicontinuous", "z": "categorical"}
    for task in ("scf_sample", "wealth_simulator"):
        for seed in (0, 1):
            for label, level in ({"null": 1.0, "oracle": 0.0} | labels).items():
                values = (
                    {}
                    if level is None
                    else {m: {"y": max(0.0, level + 0.1 * rng.normal()), "": level} for m in metrics()}
                )
                yield {
                    **{"track": "B", "task": task, "arm": "split", "seed": seed, "label": label, "kinds": kinds},
                    **{"values": values, "rows": {}, "seconds": 1.5, "peak_mb": 300, "code": "c0de"},
                    "audits": {name: {"share": 0.5} for name in audits()} if values else {},
                    "status": "ok" if values else "failed",
                    "reason": "" if values else "ValueError: no_way_to_break_this_" + "x" * 150,
                }


def made(labels=METHODS):
    return page(summarise(Scores.of(records(labels), {"recs": "needs a data folder"}), "A benchmark"))


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    """What the bootstrap finds is not asked here: 100 resamples write the same words as 1,000."""
    with pytest.MonkeyPatch.context() as patch:
        for function in (rank, against, leaders):
            patch.setattr(function, "__defaults__", (100, 0))
        yield


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "crowded.html"
    path.write_text(made(MANY), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def html():
    return made()


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "leaderboard.html"
    path.write_text(html, encoding="utf-8")
    return path


def test_the_same_summary_gives_the_same_bytes(html):
    assert made() == html


def test_every_method_family_and_task_stands_on_the_page(html):
    for word in (*METHODS, "conditional", "tails", "scf_sample", "wealth_simulator", "no_way_to_break_this_"):
        assert word in html
    for name, cls in metrics().items():
        assert name in html
        assert str(escape(cls.summary)) in html
    assert html.count("<svg") == 6


def test_the_statements_about_the_default_stand_on_the_page(crowded):
    found = crowded.read_text(encoding="utf-8")
    assert f"The default, {default_method()}, against each method" in found
    assert found.count("<th>P(better)</th>") == 2  # all tracks, and the one there is
    assert f"There is no task on which a family&#39;s skill of {default_method()} is negative." in found
    assert "not surely worse" in found


def test_without_the_default_it_is_said(html):
    assert "against each method" not in html.replace(f"The default, {default_method()}, against", "")
    without = made({"hotdeck": 0.5, "rank": 0.6})
    assert "against each method" not in without
    assert f"{default_method()}, the default, did not run." in without


def test_labels_are_text_and_never_markup():
    found = made({LABEL: 0.5, "hotdeck": 0.8})
    assert "<script" not in found
    assert "&lt;script&gt;" in found


def test_a_method_without_any_skill_is_left_blank():
    """Null and oracle are alike: dots and cells stay empty."""
    same = [r | {"values": {"gini": {"y": 0.1}}} for r in records({"hotdeck": 0.5})]
    found = page(summarise(Scores.of(same), "x"))
    assert ">nan" not in found.lower()
    assert "None" not in found.replace("None.", "")


def test_figures_are_well_formed_and_show_all_methods(html):
    part = html[html.index("<svg") : html.index("</svg>") + 6]
    text = " ".join(ET.fromstring(part).itertext())
    assert all(method in text for method in METHODS)


SCROLLING = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_opens_quietly_and_does_not_scroll_sideways(opened, file, width):
    tab, told = opened(file, width)
    assert told == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("h1").inner_text() == "A benchmark"
    assert tab.locator("figure svg").count() == 6
    for figure in tab.locator("figure svg").all():
        assert figure.bounding_box()["height"] > 80


@pytest.mark.browser
def test_at_1280_no_table_scrolls_either(opened, file):
    tab, _ = opened(file, 1280)
    assert tab.evaluate(SCROLLING) == 0


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_twenty_methods_fit_too(opened, crowded, width):
    """On a telephone the first column stays in sight and leaves most of the room to what scrolls."""
    tab, told = opened(crowded, width)
    assert told == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        assert tab.evaluate(SCROLLING) == 0
    first = tab.locator(".scroll tbody th:first-child").first.bounding_box()
    assert 50 < first["width"] < 0.4 * width
    assert first["height"] < 60


@pytest.mark.browser
def test_the_figures_words_are_not_cut_off(opened, file):
    """All words of a figure lie within it."""
    tab, _ = opened(file, 1280)
    outside = """[...document.querySelectorAll('figure svg')].flatMap(svg => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(t => {
            const box = t.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
        }).map(t => t.textContent);
    })"""
    assert tab.evaluate(outside) == []


@pytest.mark.browser
def test_a_planted_fault_is_seen(opened, file, tmp_path):
    bad = tmp_path / "bad.html"
    fault = '<img src="missing.png"><div style="width: 2000px">wide</div><div class="scroll"><div style="width: 3000px">x</div></div>'
    bad.write_text(file.read_text(encoding="utf-8").replace("</body>", fault + "</body>"), encoding="utf-8")
    tab, told = opened(bad, 1280)
    assert told != []
    assert tab.evaluate("document.documentElement.scrollWidth") > 1280
    assert tab.evaluate(SCROLLING) == 1
