"""UCCs: the published groupings, the table made from them, and files that are no grouping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microimpute.errors import SurveyError
from microimpute.readers.ce_columns import SUMMARY
from microimpute.readers.ce_spending import INTERVIEW
from microimpute.readers.ucc import CATEGORIES, NOT_SPENDING, UNKNOWN, Item, category_of, read_grouping, ucc_table

NAMES = list(CATEGORIES)
YEARS = (2013, 2014, 2015, 2019, 2021, 2022)
STUBS = [f"CE-HG-{kind}-{year}.txt" for kind in ("Inter", "Integ") for year in YEARS]
HEAD = "1  1  Average annual expenditures                                    TOTALEXP  G  1  EXPEND  \n"
LINE = "1  2    Reading                                                      READING   G  1  EXPEND  \n"
ITEM = "1  3      Books, digital books, or book                              590230    I  1  EXPEND  \n"


def category(ucc: int) -> str:
    code = ucc_table().code[ucc]
    return NAMES[code] if code >= 0 else {NOT_SPENDING: "no spending", UNKNOWN: "unknown"}[int(code)]


@pytest.fixture(scope="module")
def stubs(shared: Path) -> Path:
    return shared / "data" / "layouts" / "ce_hg_stubs"


@pytest.mark.parametrize("name", STUBS)
def test_every_year_agrees_with_the_table(name: str, stubs: Path) -> None:
    items = read_grouping(stubs / name)
    spending = {item.ucc: item for item in items if item.spending}
    assert len(spending) == sum(item.spending for item in items)
    assert len(spending) > 400
    for ucc, item in spending.items():
        if (ucc, name[-8:-4]) != (5520, "2013"):  # student loan interest stood under miscellaneous at first
            assert category(ucc) == category_of(item), (ucc, item)
    for item in items:
        gift = bool(item.parents) and item.parents[0].startswith("Gifts")  # keep what was spending in earlier years
        if item.ucc not in spending and not gift and name.startswith("CE-HG-Inter"):
            assert category(item.ucc) == "no spending", item


@pytest.mark.parametrize(
    ("ucc", "expected"),
    [
        (790240, "food_home"),
        (790410, "food_away"),
        (790430, "food_away"),
        (260112, "electricity"),
        (260211, "natural_gas"),
        (340210, "childcare"),
        (670310, "childcare"),
        (340906, "household_operations"),
        (220211, "housing_owned"),
        (210110, "housing_rented"),
        (210310, "housing_other"),
        (540000, "drugs"),
        (800940, "insurance_pensions"),
        (580901, "health_insurance"),
        (450116, "no spending"),
        (260110, "electricity"),
        (9000, "no spending"),
        (670320, "unknown"),
        (123456, "unknown"),
    ],
)
def test_known_codes(ucc: int, expected: str) -> None:
    assert category(ucc) == expected


def test_factors_of_what_is_asked_once_a_year() -> None:
    assert ucc_table().factor[[5420, 5520, 5620, 710110, 790240]].tolist() == [4.0, 4.0, 4.0, 4.0, 1.0]


def test_both_ways_of_reading_have_the_same_categories() -> None:
    assert tuple(SUMMARY) == INTERVIEW
    assert set(NAMES) - set(INTERVIEW) == {"housekeeping"}


def test_the_table_can_not_be_changed_by_a_user() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ucc_table().code[0] = 1


def test_a_grouping_goes_before_the_table() -> None:
    books = Item(670320, "Day care", ("Average annual expenditures", "Education"), "I", 4, "EXPEND")
    gift = Item(670320, "Day care", ("Gifts",), "I", 1, "ADDENDA")
    table = ucc_table().with_grouping([books, gift])
    assert NAMES[table.code[670320]] == "education"
    assert table.factor[670320] == 4.0
    assert ucc_table().code[670320] == UNKNOWN
    assert np.array_equal(np.flatnonzero(table.code != ucc_table().code), [670320])


def test_titles_go_on_in_the_next_line(tmp_path: Path) -> None:
    (tmp_path / "stub.txt").write_text(HEAD + LINE + ITEM + "2           subscriptions\n")
    (item,) = read_grouping(tmp_path / "stub.txt")
    assert (item.ucc, item.title) == (590230, "Books, digital books, or book subscriptions")
    assert item.parents == ("Average annual expenditures", "Reading")


def test_a_group_that_nobody_knows() -> None:
    odd = Item(123456, "Moon flights", ("Average annual expenditures", "Space"), "I", 1, "EXPEND")
    with pytest.raises(
        SurveyError, match="UCC 123456, 'Moon flights', stands below Average annual expenditures / Space"
    ):
        category_of(odd)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "1  3  something cut o", "line 2 of stub.txt is no line of a hierarchical grouping"),
        ("<html><body>not here</body></html>", "web page"),
        ("2  nothing\n", "holds no UCC below"),
        (None, "there is no file"),
    ],
)
def test_files_that_are_none(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "stub.txt").write_text(content)
    with pytest.raises(SurveyError, match=message):
        read_grouping(tmp_path / "stub.txt")
