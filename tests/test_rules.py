"""Rules: text and objects agree, totals follow from parts, breaks are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microimpute.errors import FusionError
from microimpute.rules import (
    Identity,
    NonNegative,
    Requires,
    applicable,
    derivation_order,
    derive,
    parse,
)

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda n: n not in ("or", "requires"))


@given(names, st.dictionaries(names, st.sampled_from([1, -1]), min_size=1, max_size=6))
def test_identity_round_trip(total, parts):
    rule = Identity(total, parts)
    assert parse(str(rule)) == rule


@given(names, st.lists(names, min_size=1, max_size=4))
def test_edit_round_trip(column, any_of):
    assert parse(str(Requires(column, tuple(any_of)))) == Requires(column, tuple(any_of))
    assert parse(str(NonNegative(column))) == NonNegative(column)


@pytest.mark.parametrize("text", ["", "a", "a = ", "a >= 1", "a requires", "a = b * c", "a = b + b", "a b"])
def test_nonsense_is_refused(text):
    with pytest.raises(FusionError, match="rule"):
        parse(text)


def test_breaks_are_found():
    columns = {"a": np.array([3.0, 3.0]), "b": np.array([1.0, 0.0]), "c": np.array([2.0, -9.0])}
    assert parse("a = b + c").broken(columns).tolist() == [False, True]
    assert parse("a requires b").broken(columns).tolist() == [False, True]
    assert parse("a requires b or c").broken(columns).tolist() == [False, False]
    assert parse("c >= 0").broken(columns).tolist() == [False, True]


def test_totals_are_derived_in_order():
    rules = [parse("net = all - debt"), parse("all = house + cash")]
    made = derive(
        derivation_order(rules), {c: np.array([v]) for c, v in (("house", 5.0), ("cash", 2.0), ("debt", 9.0))}
    )
    assert {k: v[0] for k, v in made.items()} == {"all": 7.0, "net": -2.0}


def test_circles_and_double_totals_are_refused():
    with pytest.raises(FusionError, match="through itself"):
        derivation_order([parse("a = b + c"), parse("b = a - c")])
    with pytest.raises(FusionError, match="two identities"):
        derivation_order([parse("a = b + c"), parse("a = d")])


def test_rules_for_some_targets():
    rules = ["net = all - debt", "all = house + cash", "mortgage requires house", "cash >= 0"]
    assert [str(r) for r in applicable(rules, ["house", "cash"])] == ["all = house + cash", "cash >= 0"]
    assert len(applicable(rules, ["house", "cash", "debt", "mortgage"])) == 4
    assert applicable(rules, ["net"]) == ()
