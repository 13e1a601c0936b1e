"""Ties: rules by position."""

from microimpute.rules import derivation_order, parse_all
from microimpute.ties import Ties, ties

RULES = parse_all(
    [
        "debt = mortgage + car + card",
        "home = house - mortgage",
        "net = asset - debt",
        "asset = house + cash",
        "mortgage requires house",
        "card >= 0",
        "net >= 0",
        "boat requires harbour",
    ]
)
TARGETS = ("house", "mortgage", "car", "card", "cash")


def test_requirements_by_position():
    assert ties(RULES, TARGETS).requires == ((1, (0,)),)


def test_edits_of_totals_tie_all_their_parts():
    assert ties(RULES, TARGETS).together == ((0, 1, 2, 3, 4),)


def test_families_go_down_to_the_targets_smallest_first():
    assert ties(RULES, TARGETS).families == ((0, 1), (0, 4), (1, 2, 3), (0, 1, 2, 3, 4))


def test_sums_go_down_to_the_targets_in_the_order_of_derivation():
    names = [i.total for i in derivation_order(RULES)]
    sums = dict(zip(names, ties(RULES, TARGETS).sums, strict=True))
    assert sums["debt"] == ((1, 1), (2, 1), (3, 1))
    assert sums["home"] == ((0, 1), (1, -1))
    assert sums["asset"] == ((0, 1), (4, 1))
    assert sums["net"] == ((0, 1), (1, -1), (2, -1), (3, -1), (4, 1))


def test_moving_makes_room_in_front():
    moved = Ties(((1, (0, 2)),), ((0, 1),), ((0, 2),), (((0, 1), (2, -1)),)).moved(3)
    assert moved == Ties(((4, (3, 5)),), ((3, 4),), ((3, 5),), (((3, 1), (5, -1)),))
