"""The rounder: every rule and boundary."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from microimpute.benchmark.disclosure import LEAST, round_count, round_figure

finite = st.floats(allow_nan=False, allow_infinity=False)
#: Numbers whose rounding is a float again.
ordinary = finite.filter(lambda v: abs(v) < 1e308)
counts = st.integers(0, 10**12)


@pytest.mark.parametrize("count", [0, 1, 14])
def test_below_15_is_only_said_to_be_so(count):
    assert round_count(count) == "<15"


@pytest.mark.parametrize(
    ("count", "rounded"),
    [
        # 15–99 to 10, halves to even
        *[(15, 20), (16, 20), (24, 20), (25, 20), (26, 30), (35, 40), (45, 40), (94, 90), (95, 100), (99, 100)],
        # 100–999 to 50
        *[(100, 100), (124, 100), (125, 100), (126, 150), (175, 200), (974, 950), (975, 1000), (999, 1000)],
        # 1,000–9,999 to 100
        *[(1000, 1000), (1049, 1000), (1050, 1000), (1051, 1100), (1150, 1200), (9949, 9900), (9950, 10000)],
        *[(9999, 10000)],
        # 10,000–99,999 to 500
        *[(10000, 10000), (10250, 10000), (10251, 10500), (10750, 11000), (99749, 99500), (99750, 100000)],
        *[(99999, 100000)],
        # 100,000–999,999 to 1,000
        *[(100000, 100000), (100500, 100000), (100501, 101000), (101500, 102000), (999499, 999000)],
        *[(999500, 1000000), (999999, 1000000)],
        # a million and more to 4 significant digits
        *[(1000000, 1000000), (1000500, 1000000), (1000501, 1001000), (1001500, 1002000), (1234567, 1235000)],
        *[(9999500, 10000000), (123456789, 123500000), (7_900_000_000, 7_900_000_000)],
    ],
)
def test_counts_from_15_on_are_rounded_in_growing_steps(count, rounded):
    assert round_count(count) == rounded
    assert type(round_count(count)) is int


@pytest.mark.parametrize("count", [-1, -15, -1000])
def test_a_negative_count_is_an_error(count):
    with pytest.raises(ValueError, match=f"a count can't be {count}"):
        round_count(count)


@given(counts, counts)
@example(99, 100)
@example(999, 1000)
@example(9_999, 10_000)
@example(99_999, 100_000)
@example(999_999, 1_000_000)
def test_counts_keep_their_order(a, b):
    small, large = sorted((a, b))
    one, two = (0 if round_count(c) == "<15" else round_count(c) for c in (small, large))
    assert one <= two


@given(counts)
def test_rounding_a_count_again_changes_nothing(count):
    once = round_count(count)
    if once != "<15":
        assert once >= LEAST
        assert round_count(once) == once


@given(st.integers(LEAST, 10**12))
def test_counts_are_off_by_half_a_step_at_most(count):
    steps = [(100, 10), (1000, 50), (10**4, 100), (10**5, 500), (10**6, 1000)]
    step = next((s for below, s in steps if count < below), 10 ** (len(str(count)) - 4))
    assert abs(round_count(count) - count) <= step / 2
    assert round_count(count) % step == 0


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        *[(0.0, 0.0), (-0.0, 0.0), (1.0, 1.0), (1234.0, 1234.0), (0.12344, 0.1234), (0.12346, 0.1235)],
        # halves to even, by what is written: 0.12345 is a little more than that in binary, 1.0005 a little less
        *[(0.12345, 0.1234), (0.12355, 0.1236), (1.0005, 1.0), (1.0015, 1.002), (2.6755, 2.676), (2.6745, 2.674)],
        *[(12345.0, 12340.0), (12355.0, 12360.0), (123456789.0, 123500000.0)],
        # what grows by a digit
        *[(0.99995, 1.0), (9.9995, 10.0), (99995.0, 100000.0), (0.99994, 0.9999)],
        *[(-0.12345, -0.1234), (-12355.0, -12360.0), (-99.995, -100.0)],
        # tiny and huge
        *[(1.23456e-300, 1.235e-300), (5e-324, 5e-324), (1.23456e300, 1.235e300), (1e22, 1e22)],
        *[(14.0, 14.0), (3, 3.0), (True, 1.0)],
    ],
)
def test_other_figures_keep_4_significant_digits_halves_to_even(value, rounded):
    assert round_figure(value) == rounded
    assert math.copysign(1, round_figure(value)) == math.copysign(1, rounded)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.7976931348623157e308])
def test_what_is_no_number_is_said_to_be_none(value):
    """The largest number would round to infinity."""
    assert round_figure(value) is None


def significant(value):
    """Digits of a number as JSON writes it, without zeros before and after."""
    return len(Decimal(json.dumps(value)).normalize().as_tuple().digits)


@given(finite)
def test_what_is_written_has_at_most_4_digits(value):
    rounded = round_figure(value)
    assert rounded is None or significant(rounded) <= 4


@given(ordinary)
def test_rounding_again_changes_nothing(value):
    once = round_figure(value)
    assert round_figure(once) == once


@given(ordinary, ordinary)
def test_figures_keep_their_order(a, b):
    small, large = sorted((a, b))
    assert round_figure(small) <= round_figure(large)


@given(ordinary.filter(bool))
def test_figures_are_off_by_half_a_unit_of_the_4th_digit_at_most(value):
    exact = Decimal(repr(value))
    unit = Decimal(1).scaleb(exact.adjusted() - 3)
    assert abs(Decimal(repr(round_figure(value))) - exact) <= unit / 2


@given(ordinary)
def test_a_sign_only_turns(value):
    assert round_figure(-value) == -round_figure(value)


def test_the_planted_fault_a_fifth_digit_is_seen():
    assert significant(0.12345) == 5
