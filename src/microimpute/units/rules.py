"""How a household's value gets to its members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from microimpute.errors import SurveyError, closest

__all__ = ["Adults", "By", "Copy", "Equal", "Head", "Rule", "read_rule"]


@dataclass(frozen=True)
class Rule:
    """Base of all rules."""

    @property
    def splits(self) -> bool:
        """Whether members' values add up to the household's."""
        return True


@dataclass(frozen=True)
class Head(Rule):
    """The head carries it; all others have 0, or nothing where it is a class."""


@dataclass(frozen=True)
class Equal(Rule):
    """All members have equal parts."""


@dataclass(frozen=True)
class By(Rule):
    """Parts in proportion to a column of the members, earnings say; negative and missing ones count as none.

    Parameters
    ----------
    column
        Column of the members.
    otherwise
        What happens in households where it is zero for all: ``"equal"`` parts, or the ``"head"`` carries it. How many
        these are is counted.
    """

    column: str
    otherwise: str = "equal"


@dataclass(frozen=True)
class Adults(Rule):
    """Equal parts for members from an age on.

    Parameters
    ----------
    age
        Column of ages.
    at_least
        From this age on.
    otherwise
        As in `By`, for households without adults.
    """

    age: str
    at_least: float = 18.0
    otherwise: str = "equal"


@dataclass(frozen=True)
class Copy(Rule):
    """Every member has the household's value: for flags, classes and counts of the household.

    Members' sums are then the household's value times its size; to add it up over households, count heads only.
    """

    @property
    def splits(self) -> bool:
        """Copies do not add up."""
        return False


_WORDS: dict[str, Rule] = {"head": Head(), "equal": Equal(), "copy": Copy()}


def read_rule(rule: Any, column: str) -> Rule:
    """Read a rule given as an object, as a word, or as ``"by COLUMN"``, ``"adults COLUMN"``.

    Raises
    ------
    SurveyError
        If it is none; names the column that it is for.
    """
    if isinstance(rule, Rule):
        made = rule
    elif isinstance(rule, str) and rule in _WORDS:
        made = _WORDS[rule]
    else:
        word, _, name = str(rule).partition(" ")
        if not isinstance(rule, str) or word not in ("by", "adults") or not name.strip():
            known = [*_WORDS, "by COLUMN", "adults COLUMN"]
            raise SurveyError(f"the rule for {column!r} is {rule!r}", closest(str(rule), known))
        made = By(name.strip()) if word == "by" else Adults(name.strip())
    if isinstance(made, By | Adults) and made.otherwise not in ("equal", "head"):
        raise SurveyError(f"otherwise is {made.otherwise!r} for {column!r}", "Choose 'equal' or 'head'.")
    return made
