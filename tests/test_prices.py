"""Consumer prices against figures known elsewhere."""

from __future__ import annotations

import pytest

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.prices import cpi_u, price_factor


@pytest.mark.parametrize(
    ("year", "index"), [(1989, 124.0), (2000, 172.2), (2014, 236.736), (2019, 255.657), (2024, 313.689)]
)
def test_index_is_the_bureaus(year: int, index: float) -> None:
    assert cpi_u(year) == index


def test_factor_of_2018_to_2019_is_near_the_federal_reserves() -> None:
    assert price_factor(2018, 2019) == pytest.approx(1.01812, abs=5e-6)
    assert price_factor(2018, 2019) == pytest.approx(3765 / 3698, abs=5e-6)


def test_there_and_back_is_one() -> None:
    assert price_factor(1995, 2022) * price_factor(2022, 1995) == pytest.approx(1.0)
    assert price_factor(2019, 2019) == 1.0


@pytest.mark.parametrize("year", [1987, 2031])
def test_year_without_index_is_refused(year: int) -> None:
    with pytest.raises(SurveyError, match=f"no consumer price index for the year {year}.*from 1988 to 2024"):
        price_factor(year, 2019)


def test_prices_rise_in_every_year_but_2009() -> None:
    assert [y for y in range(1989, 2025) if cpi_u(y) < cpi_u(y - 1)] == [2009]


def test_unknown_bundled_file_is_refused() -> None:
    with pytest.raises(SurveyError, match=r"scf_2019_sample\.parquet"):
        bundled("scf_2019.parquet")
