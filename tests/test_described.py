"""What a method says of itself is read from where it says it."""

import importlib.metadata

import pytest

from microimpute import described
from microimpute.described import Description, extra, is_installed, sections
from microimpute.kinds import Kind
from microimpute.methods.base import methods
from microimpute.methods.shuffle import Shuffle


class Parent(Shuffle):
    """Something older.

    Parameters
    ----------
    old
        What was there before.
    left, right
        Two that are told together.
    """

    def __init__(self, old=3, left=None, right=True):
        self.old, self.left, self.right = old, left, right


class Child(Parent):
    """The first line.

    A second paragraph
    of two lines.

    Parameters
    ----------
    new : str
        First paragraph.

        - a point
    old
        Told again.

    Attributes
    ----------
    hidden
        Nobody's business.

    Notes
    -----
    Worth knowing.
    """

    name = "child"
    kinds = frozenset(Kind) - {Kind.ORDINAL}
    requires = ("no-such-package",)

    def __init__(self, new, old=(1, "a"), left=None, right=True, silent=0.5):
        super().__init__(old, left, right)
        self.new, self.silent = new, silent


class Heir(Parent):
    """Has its parent's constructor."""


def test_idea_settings_and_notes():
    found = Description.of(Child)
    assert found.idea == "The first line.\n\nA second paragraph\nof two lines."
    assert dict(found.notes) == {"Notes": "Worth knowing."}
    told = {s.name: (s.default, s.text) for s in found.settings}
    assert told == {
        "new": ("required", "First paragraph.\n\n- a point"),
        "old": ('[1, "a"]', "Told again."),
        "left": ("none", "Two that are told together."),
        "right": ("true", "Two that are told together."),
        "silent": ("0.5", ""),
    }


def test_inherited_settings_are_settings_and_are_kept():
    assert Heir.setting_names() == ("old", "left", "right")
    assert next(s.text for s in Description.of(Heir).settings) == "What was there before."
    assert Heir(old=7).fresh().old == 7
    assert Shuffle.setting_names() == ()


def test_facts_are_the_class_s_own():
    facts = {fact.name: fact.answer for fact in Description.of(Child).facts}
    assert facts["kinds"] == "all but ordinal"
    assert facts["needs"] == "no-such-package"
    assert (facts["draws"], facts["predictors"]) == ("yes", "no")


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        (frozenset(Kind), "all"),
        (frozenset(Kind) - {Kind.BINARY, Kind.COUNT}, "all but count, binary"),
        (frozenset({Kind.COUNT, Kind.CONTINUOUS}), "continuous, count"),
    ],
)
def test_kinds_in_few_words(drawn, told):
    assert described.kinds(drawn) == told


def test_a_docstring_without_sections_or_without_words():
    assert sections("One line.") == {"": "One line."}
    assert sections(None) == {"": ""}
    assert sections("A rule of dashes\n\n---\n\nis no heading.")[""].endswith("is no heading.")


def test_which_extra_installs_a_package(monkeypatch):
    lines = ["numpy>=2.0", "torchvision>=1; extra == 'pictures'", "Torch<3,>=2.2 ; extra == 'neural'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    assert extra("torch") == "neural"
    assert extra("numpy") is None  # always there
    assert extra("keras") is None
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    assert extra("torch") is None


def test_whether_a_package_is_there():
    assert is_installed("numpy")
    assert not is_installed("no-such-package")


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_setting_of_every_method_is_described(name):
    found = Description.of(methods()[name])
    assert found.idea
    assert [s.name for s in found.settings if not s.text] == []
