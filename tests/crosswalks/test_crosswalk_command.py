"""The command: lists, describes, compares, and refuses different dollars."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from microimpute.cli import main
from microimpute.commands.crosswalk import light
from microimpute.crosswalks.base import crosswalks
from microimpute.data import bundled
from microimpute.kinds import Kind
from microimpute.margins import Margin, Side


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["crosswalk", *arguments])
    assert result.exit_code == code, result.output
    return result.output


FILES = (
    "--donor", str(bundled("scf_2019_sample.parquet")), "--receiver", str(bundled("cps_2013_2015_sample.parquet"))
)  # fmt: skip


def test_all_are_listed() -> None:
    assert all(name in said() for name in crosswalks())


@pytest.mark.parametrize("name", sorted(crosswalks()))
def test_everything_of_one_is_shown(name: str) -> None:
    walk = crosswalks()[name]()
    text = " ".join(said(walk.donor, walk.receiver).split())
    for concept in walk.concepts:
        for part in (concept.name, concept.donor, concept.receiver, concept.caveat):
            assert " ".join(part.split()).replace("-", "") in text.replace("- ", "").replace("-", "")
    assert all(b.caveat[:20] in text for b in walk.bridges)
    assert said(name) == said(walk.donor, walk.receiver)


def test_margins_with_a_traffic_light() -> None:
    text = said("scf", "cps_tax_units", *FILES, "--dollars", "2019")
    assert "money in 2019 dollars" in text
    assert "green  age\n" in text
    assert "green: distance and gap in shares missing below 0.05" in text


def test_different_dollars_are_refused() -> None:
    assert "in dollars of 2019, the receiver in dollars of several years" in said(
        "scf", "cps_tax_units", *FILES, code=2
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scf", "cps"), "there is no"),
        (("scf",), "which receiver 'scf' goes to is not said"),
        (("scf", "cps_tax_units", *FILES[:2]), "one file alone"),
        (("scf", "cps_tax_units", *FILES, "--donor-option", "year"), "Write NAME=VALUE"),
    ],
)
def test_what_cannot_be_shown(arguments: tuple[str, ...], message: str) -> None:
    assert message in said(*arguments, code=2)


@pytest.mark.parametrize(
    ("distance", "difference", "missing", "colour"),
    [
        (0.04, 0.09, 0.0, "green"),
        (0.04, -0.11, 0.0, "amber"),
        (0.04, -0.26, 0.0, "red"),
        (0.06, None, 0.0, "amber"),
        (0.16, 0.0, 0.0, "red"),
        (0.0, 0.0, 0.1, "amber"),
        (None, None, 1.0, "red"),
    ],
)
def test_the_worst_decides(distance: float | None, difference: float | None, missing: float, colour: str) -> None:
    margin = Margin("x", "", Kind.CONTINUOUS, Side(missing, {}), Side(0.0, {}), distance, difference)
    assert light(margin) == colour
