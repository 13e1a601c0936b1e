import json
import re

import matplotlib as mpl
import numpy as np
import pytest

from microimpute.report import render, summarise
from microimpute.report.words import amount, percent, signed


@pytest.fixture(scope="module")
def page(made):
    return render(summarise(*made, title="A run", remarks=["Units differ."]))


def test_same_bytes_also_from_json_and_whatever_the_plot_settings(made, page):
    summary = summarise(*made, title="A run", remarks=["Units differ."])
    with mpl.rc_context({"axes.facecolor": "black", "svg.hashsalt": "other", "font.size": 20}):
        assert render(json.loads(json.dumps(summary))) == page


def test_needs_nothing_from_outside(page):
    assert not re.search(r"<script|<link rel=\"style|@import|<img|src=", page)
    links = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert links <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not addresses


def test_names_of_parts_are_unique_and_references_meet(page):
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'xlink:href="#([^"]+)"', page)) <= set(names)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(names)


def test_numbers_of_the_summary_are_on_the_page(made, page):
    summary = summarise(*made, title="A run")
    for line in summary["headline"]["rows"][:8]:
        assert amount(line["donor"], True) in page
        assert amount(line["imputed"], True) in page
    assert "Units differ." in page
    assert all(sentence.replace("'", "&#39;") in page for sentence in summary["story"])


def test_three_figures_with_axes_in_dollars(page):
    assert page.count("<svg") == 3
    assert re.search(r">\$100k</text>", page)


def test_only_a_logarithmic_scale_is_called_one(made, page):
    """Amounts below a thousand are drawn on a plain axis."""
    said = "The scale is linear near zero and logarithmic beyond"
    assert said in page
    small = summarise(*made, title="A run")
    curve = small["headline"]["curve"]
    for name, line in curve.items():
        curve[name] = [v / 1e7 for v in line]
    assert max(abs(v) for line in curve.values() for v in line) < 1000
    text = render(small)
    assert said not in text
    assert not re.search(r">\$100k</text>", re.search(r'<figure>.*?"headline-.*?</figure>', text, re.DOTALL)[0])


def test_warnings_stand_before_everything_else(maker, donor, receiver):
    gappy = receiver.assign(income=receiver["income"].where(receiver.index > 20))
    text = render(summarise(*maker(donor, gappy), title="A run"))
    assert 0 < text.index("never missing among donors") < text.index("What was done")


def test_markup_in_names_shows_as_text(maker, donor, receiver):
    bad, worse = "<b>x", '"><script>alert(1)</script>$a_b$'
    frame = donor.rename(columns={"HOUSE": bad, "income": worse})
    imputations, fusion = maker(
        frame, receiver.rename(columns={"income": worse}), targets=["CASH", bad], predictors=["age", worse]
    )
    text = render(summarise(imputations, fusion, title="<i>title", headline=bad, by=[worse]))
    assert "<b>x" not in text
    assert "<script" not in text
    assert "<i>title" not in text
    assert "&lt;b&gt;x" in text


def test_names_in_other_scripts_draw_without_warnings(maker, donor, receiver):
    frame = donor.rename(columns={"HOUSE": "住宅"})
    text = render(summarise(*maker(frame, receiver, targets=["住宅"]), title="资产"))
    assert "住宅" in text


@pytest.mark.parametrize("m", [1, 2])
def test_edges_render_without_warnings(maker, donor, receiver, m):
    frame = donor.assign(CASH=0.0, HOUSE=7.0)
    for parts in (
        {"targets": ["CARD"]},
        {"targets": ["CASH"]},
        {"targets": ["CASH", "HOUSE", "CARD"], "rules": ["T = CASH - HOUSE"]},
        {"targets": ["DEBT"], "predictors": ["region"]},
    ):
        for rows in (1, 2, 300):
            some = receiver.head(rows)
            text = render(summarise(*maker(frame, some, m=m, weighted=rows > 1, **parts), title="edge"))
            assert ("there is one implicate only" in text) == (m == 1 and parts["targets"] != ["CARD"])


def test_forty_targets(maker, donor, receiver):
    rng = np.random.default_rng(0)
    columns = {f"T{i}": rng.normal(0, 10 ** (i % 8), len(donor)) for i in range(40)}
    imputations, fusion = maker(donor.assign(**columns), receiver, m=2, targets=list(columns))
    text = render(summarise(imputations, fusion, title="many"))
    assert all(f">{name}<" in text for name in columns)
    assert "32 smaller targets are not shown" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "$0"),
        (121_760, "$121,800"),
        (-3204.4, "−$3,204"),
        (-0.2, "$0"),
        (1_254_000, "$1.25M"),
    ],
)
def test_dollars(value, text):
    assert amount(value, True) == text


def test_shares_and_differences():
    assert [percent(v) for v in (None, 0, 1e-5, 0.1234, 0.99999, 1)] == [
        "–",
        "0%",
        "<0.1%",
        "12.3%",
        ">99.9%",
        "100%",
    ]
    assert [signed(v) for v in (None, 0.001, 0.034, -0.1)] == ["–", "0.00", "+0.03", "−0.10"]
