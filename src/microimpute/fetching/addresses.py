"""Where publishers keep their files.

The addresses are facts, in ``data/addresses.csv``. Their basis is "seen", in the code or documentation of several
public projects, or "pattern": formed as the publisher forms its others. None was opened when the list was made.
Publishers replace files under one address (the Federal Reserve re-issues every wave in new dollars), so the list has no
hashes: what was fetched is remembered by its hash beside it, and a hash can be asked for.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from microimpute.data import bundled
from microimpute.errors import FetchError, closest

__all__ = ["Published", "known", "published"]


@dataclass(frozen=True)
class Published:
    """One file of a publisher.

    Attributes
    ----------
    survey
        Name of the connector that reads it.
    year
        Year of the survey.
    part
        Which of the survey's files.
    address
        Where it is.
    basis
        ``"seen"``, ``"pattern"``, or ``"given"`` for an address that the user gave.
    note
        What it is.
    """

    survey: str
    year: int
    part: str
    address: str
    basis: str
    note: str

    @property
    def name(self) -> str:
        """Its place in the cache."""
        last = urlsplit(self.address).path.rpartition("/")[2]
        return f"{self.survey}/{self.year}/{last if re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._-]*', last) else self.part}"


@lru_cache(maxsize=1)
def known() -> tuple[Published, ...]:
    """List all files whose address is known, by survey, part and year."""
    found = []
    with bundled("addresses.csv").open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            for year in map(int, row["years"].split()):
                address = row["address"].format(year=year, yy=f"{year % 100:02d}")
                found.append(Published(row["survey"], year, row["part"], address, row["basis"], row["note"]))
    return tuple(sorted(found, key=lambda p: (p.survey, p.part, p.year)))


def published(survey: str, year: int, part: str | None = None, address: str | None = None) -> Published:
    """Return one file.

    Parameters
    ----------
    survey, year, part
        Which; default part: the first that the list has for the survey.
    address
        Its address, where the publisher has moved it or it is not in the list.

    Raises
    ------
    FetchError
        If it is not in the list; says what is.
    """
    surveys = list(dict.fromkeys(p.survey for p in known()))
    if address is not None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise FetchError(f"address {address!r} is no web address", "Give one that begins with https://.")
        if not re.fullmatch(r"\w[\w-]*", survey):
            raise FetchError(f"survey {survey!r} is no name", "Give letters, digits and underscores.")
        return Published(survey, year, part or "file", address, "given", "")
    if survey not in surveys:
        raise FetchError(f"no address is known for survey {survey!r}", f"{closest(survey, surveys)} Or give --address.")
    own = [p for p in known() if p.survey == survey]
    parts = list(dict.fromkeys(p.part for p in own))
    wanted = part or _first(survey)
    if wanted not in parts:
        raise FetchError(f"survey {survey!r} has no part {wanted!r}", closest(wanted, parts))
    years = {p.year: p for p in own if p.part == wanted}
    if year not in years:
        raise FetchError(
            f"no address is known for {survey} {wanted} of {year}",
            f"There is: {', '.join(map(str, years))}. Or give --address.",
        )
    return years[year]


def _first(survey: str) -> str:
    with bundled("addresses.csv").open(newline="", encoding="utf-8") as handle:
        return next(row["part"] for row in csv.DictReader(handle) if row["survey"] == survey)
