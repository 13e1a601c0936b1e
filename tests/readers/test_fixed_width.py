"""Fixed-width fields: implied decimals, blanks, signs, lines of different lengths; layouts that can't be."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from microimpute.data import bundled
from microimpute.errors import SurveyError
from microimpute.readers.fixed_width import Field, Lines, parse_numbers, read_layout


def parse(texts: list[str], decimals: int = 0) -> tuple[list[float], str | None]:
    characters = np.array([list(t.encode()) for t in texts], dtype=np.uint8)
    values, odd = parse_numbers(characters, decimals)
    return values.tolist(), odd


def test_numbers_as_they_are_written() -> None:
    values, odd = parse(["00012", "   12", "-0012", "  -12", "12   ", "1.250", "99999"])
    assert odd is None
    assert values == [12, 12, -12, -12, 12, 1.25, 99999]


def test_implied_decimals_give_way_to_a_written_point() -> None:
    values, _ = parse(["0123456", "   1.25", "-000150", "-1.5   "], decimals=2)
    assert values == [1234.56, 1.25, -1.5, -1.5]


def test_blanks_are_missing() -> None:
    values, odd = parse(["    ", "  . ", "0000"])
    assert odd is None
    assert np.isnan(values[:2]).all()
    assert values[2] == 0


@pytest.mark.parametrize("text", ["12a4", "1 23", "--12", "nan ", "inf "])
def test_text_is_named(text: str) -> None:
    assert parse(["0001", text])[1] == text


def test_fifteen_digits_are_exact_and_more_are_read_too() -> None:
    assert parse(["999999999999999"])[0] == [999_999_999_999_999]
    assert parse(["20160307262801000324"])[0] == [float("20160307262801000324")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_of_different_lengths(end: bytes) -> None:
    lines = Lines(end.join([b"1abc0042", b"", b"2x", b"1def17"]), "made.dat")
    assert lines.lengths.tolist() == [8, 2, 6]
    assert bytes(lines.first()) == b"121"
    field = {"N": Field("N", 5, 4)}
    got = lines.numbers(field, ["N"], np.array([0, 1, 2]), "made")["N"]
    assert got[[0, 2]].tolist() == [42, 17]
    assert np.isnan(got[1])


def test_errors_name_the_place() -> None:
    lines = Lines(b"1abc\n", "made.dat")
    with pytest.raises(SurveyError, match=r"made column 'N' \(characters 2 to 4\) holds 'abc'"):
        lines.numbers({"N": Field("N", 2, 3)}, ["N"], np.array([0]), "made")
    with pytest.raises(SurveyError, match="the layout has no made column 'M'"):
        lines.numbers({"N": Field("N", 2, 3)}, ["M"], np.array([0]), "made")
    with pytest.raises(SurveyError, match="is empty"):
        Lines(b"\n\n", "made.dat")
    with pytest.raises(SurveyError, match="web page"):
        Lines(b"<!DOCTYPE html>\n", "made.dat")


def test_genuine_layouts_don_t_overlap_in_what_is_read() -> None:
    for year in (2014, 2015):
        layout = read_layout(bundled(f"cps_asec_{year}_layout.csv"))
        assert set(layout) == {"household", "family", "person"}
        assert layout["person"]["MARSUPWT"] == Field("MARSUPWT", 155, 8, 2)
        for fields in layout.values():
            taken = sorted((f.start, f.start + f.width) for f in fields.values())
            clashes = [(a, b) for a, b in itertools.pairwise(taken) if a[1] > b[0]]
            assert not clashes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("record,name,start\nperson,A,1\n", "is no layout table"),
        ("record,name,start,width,decimals\nperson,A,one,2,0\n", "line 2: a place is no whole number"),
        ("record,name,start,width,decimals\nperson,A,0,2,0\n", "Count characters from 1"),
    ],
)
def test_layouts_that_can_t_be(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "layout.csv"
    path.write_text(text)
    with pytest.raises(SurveyError, match=message):
        read_layout(path)
