"""Consumer prices: what a dollar of one year is in dollars of another.

Source: US Bureau of Labor Statistics, Consumer Price Index for All Urban Consumers (CPI-U), US city average,
all items, not seasonally adjusted, annual averages, series CUUR0000SA0, 1982-84 = 100.
"""

from __future__ import annotations

import csv
from functools import lru_cache

from microimpute.data import bundled
from microimpute.errors import SurveyError

__all__ = ["SERIES", "cpi_u", "price_factor"]

#: Name of the series at the Bureau of Labor Statistics.
SERIES = "CUUR0000SA0"


@lru_cache(maxsize=1)
def _index() -> dict[int, float]:
    with bundled("cpi_u.csv").open(newline="", encoding="utf-8") as handle:
        return {int(row["year"]): float(row["cpi_u"]) for row in csv.DictReader(handle)}


def cpi_u(year: int) -> float:
    """Return the annual average of the CPI-U.

    Parameters
    ----------
    year
        Calendar year.

    Returns
    -------
    float
        Index, 1982-84 = 100.

    Raises
    ------
    SurveyError
        If the table does not have the year.
    """
    index = _index()
    if year not in index:
        raise SurveyError(
            f"there is no consumer price index for the year {year}",
            f"Choose a year from {min(index)} to {max(index)}.",
        )
    return index[year]


def price_factor(from_year: int, to_year: int) -> float:
    """Return what turns dollars of one year into dollars of another.

    Parameters
    ----------
    from_year, to_year
        Calendar years.

    Returns
    -------
    float
        Multiply an amount in dollars of `from_year` by it.

    Raises
    ------
    SurveyError
        If the table does not have one of the years.
    """
    return cpi_u(to_year) / cpi_u(from_year)
