"""Universal classification codes (UCC) of the Consumer Expenditure Surveys, and the categories made of them.

The Bureau of Labor Statistics publishes for each year how its tables are put together from six-digit UCCs: the
hierarchical grouping files ("stub parameter files") of the Interview, the Diary and both integrated. `read_grouping`
reads one; `ucc_table` is the table that travels with the package, made from the groupings of 2013 to 2022 by
``scripts/make_ucc_table.py``. In it every UCC of spending belongs to one of `CATEGORIES`, whatever the year, so that
parts add up to total spending exactly.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.frames import refuse_html

__all__ = [
    "CATEGORIES",
    "DIARY_ONLY",
    "NOT_SPENDING",
    "UNKNOWN",
    "Item",
    "UccTable",
    "category_of",
    "read_grouping",
    "ucc_table",
]

#: Category → what it holds. Total expenditures, as published, are their sum.
CATEGORIES: Mapping[str, str] = {
    "food_home": "food at home",
    "food_away": "food away from home",
    "alcohol": "alcoholic beverages, at home and away",
    "housing_owned": "owned dwellings: mortgage interest (no principal), property taxes, maintenance, insurance",
    "housing_rented": "rented dwellings: rent, rent as pay, maintenance",
    "housing_other": "other lodging: vacation homes, lodging on trips, housing at school",
    "natural_gas": "natural gas",
    "electricity": "electricity",
    "other_fuels": "fuel oil, bottled gas, coal, wood and other fuels",
    "telephone": "telephone services",
    "water": "water, sewerage, trash collection and other public services",
    "household_operations": "household operations except child care",
    "housekeeping": "housekeeping supplies (asked in the Diary alone)",
    "furnishings": "household furnishings and equipment",
    "apparel": "apparel and services",
    "vehicle_purchases": "vehicle purchases, net outlay",
    "gasoline": "gasoline, other fuels and motor oil",
    "vehicle_other": "vehicle finance charges, maintenance, insurance, rental, licences",
    "public_transport": "public and other transportation",
    "health_insurance": "health insurance",
    "medical_services": "medical services",
    "drugs": "drugs (in the Interview prescription drugs alone)",
    "medical_supplies": "medical supplies",
    "entertainment": "entertainment",
    "personal_care": "personal care products and services",
    "reading": "reading",
    "education": "education",
    "childcare": "babysitting, child care, day care centres, nurseries and preschools",
    "tobacco": "tobacco products and smoking supplies",
    "miscellaneous": "miscellaneous",
    "cash_contributions": "cash contributions",
    "insurance_pensions": "life and other personal insurance, pensions and Social Security",
}
#: Categories on which the Interview has no question.
DIARY_ONLY = ("housekeeping",)
#: Codes beside those of the categories (their places in `CATEGORIES`): known but no spending, and unknown.
NOT_SPENDING = -1
UNKNOWN = -2

#: Title of a group in the groupings → category of what stands below it.
_GROUPS = {
    "food at home": "food_home",
    "food away from home": "food_away",
    "alcoholic beverages": "alcohol",
    "owned dwellings": "housing_owned",
    "rented dwellings": "housing_rented",
    "other lodging": "housing_other",
    "natural gas": "natural_gas",
    "electricity": "electricity",
    "fuel oil and other fuels": "other_fuels",
    "telephone services": "telephone",
    "water and other public services": "water",
    "household operations": "household_operations",
    "housekeeping supplies": "housekeeping",
    "household furnishings and equipment": "furnishings",
    "apparel and services": "apparel",
    "vehicle purchases (net outlay)": "vehicle_purchases",
    "gasoline and motor oil": "gasoline",
    "gasoline, other fuels, and motor oil": "gasoline",
    "other vehicle expenses": "vehicle_other",
    "public transportation": "public_transport",
    "public and other transportation": "public_transport",
    "health insurance": "health_insurance",
    "medical services": "medical_services",
    "drugs": "drugs",
    "prescription drugs": "drugs",
    "medical supplies": "medical_supplies",
    "entertainment": "entertainment",
    "personal care products and services": "personal_care",
    "reading": "reading",
    "education": "education",
    "tobacco products and smoking supplies": "tobacco",
    "miscellaneous": "miscellaneous",
    "cash contributions": "cash_contributions",
    "personal insurance and pensions": "insurance_pensions",
}
_CHILDCARE = frozenset({340210, 340211, 340212, 670310})
_TOTAL = "average annual expenditures"
_SECTIONS = ("FOOD", "EXPEND")

#: Line type, level, title, code, (2013 and 2014: one more sign,) source or group, factor, section.
_LINE = re.compile(r"^1\s+(\d)\s+(\S.*?)\s+([A-Z0-9]{3,8})\s+(?:[-A-Z]\s+)?([A-Z])\s+(-?\d)\s+([A-Z]+)\s*$")


@dataclass(frozen=True)
class Item:
    """One line of a grouping that holds a UCC.

    Attributes
    ----------
    ucc
        The code.
    title
        What it is.
    parents
        Titles of the groups above it, outermost first.
    source
        ``"I"`` or ``"D"``: the survey that the published tables take it from.
    factor
        What makes a quarter's amount of it: 4 where the question is asked once a year.
    section
        ``"FOOD"``, ``"EXPEND"`` (spending), ``"INCOME"``, ``"ASSETS"``, ``"ADDENDA"``, ``"CUCHARS"``.
    """

    ucc: int
    title: str
    parents: tuple[str, ...]
    source: str
    factor: int
    section: str

    @property
    def spending(self) -> bool:
        """Whether it is a part of total expenditures."""
        return self.section in _SECTIONS and bool(self.parents) and self.parents[0].lower() == _TOTAL


def read_grouping(path: Path) -> list[Item]:
    """Read a hierarchical grouping file of the Bureau of Labor Statistics.

    Parameters
    ----------
    path
        A file such as ``CE-HG-Inter-2022.txt``.

    Returns
    -------
    list of Item
        In the file's order; a UCC stands in it more than once (as spending and, again, as a gift in the addenda).

    Raises
    ------
    SurveyError
        If there is no such file, or a line of it is no line of a grouping.
    """
    if not path.is_file():
        raise SurveyError(f"there is no file {path}", "Check the path.")
    refuse_html(path)
    items: list[Item] = []
    above: dict[int, str] = {}
    lines = path.read_text(encoding="latin-1").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("1"):  # 2: the title goes on; *: a comment
            continue
        match = _LINE.match(line)
        if match is None:
            raise SurveyError(
                f"line {number} of {path.name} is no line of a hierarchical grouping: {line.strip()[:60]!r}",
                "Give the file as the Bureau of Labor Statistics publishes it, CE-HG-Inter-<year>.txt.",
            )
        level, title, code, source, factor, section = match.groups()
        if _continued(lines, number):
            title = f"{title} {lines[number][1:].strip()}"
        above = {k: v for k, v in above.items() if k < int(level)}
        if code.isdigit() and len(code) == 6:
            parents = tuple(above[k] for k in sorted(above))
            items.append(Item(int(code), title, parents, source, int(factor), section))
        above[int(level)] = title
    if not any(item.spending for item in items):
        raise SurveyError(
            f"{path.name} holds no UCC below {_TOTAL!r}", "Give the grouping of the Interview, the Diary or both."
        )
    return items


def _continued(lines: Sequence[str], number: int) -> bool:
    return number < len(lines) and lines[number].startswith("2")


def category_of(item: Item) -> str:
    """Return the category of a line of a grouping, "" where it is no spending.

    Raises
    ------
    SurveyError
        If it is spending and none of the groups above it is known; names the item.
    """
    if not item.spending:
        return ""
    if item.ucc in _CHILDCARE:
        return "childcare"
    for title in (item.title, *reversed(item.parents)):
        if title.lower() in _GROUPS:
            return _GROUPS[title.lower()]
    raise SurveyError(
        f"UCC {item.ucc:06d}, {item.title!r}, stands below {' / '.join(item.parents)}, which no category covers",
        "Report it: the Bureau of Labor Statistics has named a group anew.",
    )


@dataclass(frozen=True)
class UccTable:
    """What is known of each UCC, by lookup arrays over the six-digit codes.

    Attributes
    ----------
    code
        int16, shape (1,000,000): place of the category in `CATEGORIES`, `NOT_SPENDING` or `UNKNOWN`.
    factor
        float64, same shape: what makes a quarter's amount; 1 nearly everywhere.
    """

    code: npt.NDArray[np.int16]
    factor: npt.NDArray[np.float64]

    def with_grouping(self, items: Sequence[Item]) -> UccTable:
        """Return a table in which the lines of a grouping go before what was known.

        Raises
        ------
        SurveyError
            If a group is not known, see `category_of`.
        """
        code, factor = self.code.copy(), self.factor.copy()
        names = list(CATEGORIES)
        for item in sorted(items, key=lambda i: i.spending):  # spending last: gifts repeat it in the addenda
            category = category_of(item)
            code[item.ucc] = names.index(category) if category else NOT_SPENDING
            factor[item.ucc] = abs(item.factor)
        return UccTable(code, factor)


@lru_cache(maxsize=1)
def ucc_table() -> UccTable:
    """Return the table that travels with the package."""
    code = np.full(1_000_000, UNKNOWN, np.int16)
    factor = np.ones(1_000_000)
    names = list(CATEGORIES)
    with bundled("ce_ucc.csv").open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            ucc = int(row["ucc"])
            code[ucc] = names.index(row["category"]) if row["category"] else NOT_SPENDING
            factor[ucc] = float(row["factor"])
    code.setflags(write=False)
    factor.setflags(write=False)
    return UccTable(code, factor)
