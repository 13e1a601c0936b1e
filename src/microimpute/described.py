"""What a method says of itself: its idea and settings from its docstring, its facts from its class."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microimpute.kinds import Kind
from microimpute.methods.base import Method

__all__ = ["Description", "Fact", "Setting", "extra", "is_installed", "sections"]


@dataclass(frozen=True)
class Setting:
    """One keyword argument of a method's constructor.

    Attributes
    ----------
    name
        As in a recipe.
    default
        As it would stand in a recipe; ``"none"`` where nothing is given, ``"required"`` where something must be.
    text
        What the docstring says of it, lines as they stand; empty if it says nothing.
    """

    name: str
    default: str
    text: str


@dataclass(frozen=True)
class Fact:
    """One declared fact.

    Attributes
    ----------
    name
        One word, as heads of tables have it.
    answer
        ``"yes"``, ``"no"``, ``"not shown"``, or a list.
    meaning
        What yes means.
    """

    name: str
    answer: str
    meaning: str


#: Facts that are true or false: name, attribute of the class, what true means.
_FACTS = (
    ("draws", "valid", "It makes draws. What does not is for comparison only, and `impute` refuses it."),
    ("joint", "joint", "The targets of a row are drawn together, so that what binds them is kept."),
    (
        "proper",
        "proper",
        "Implicates carry the donor's sampling error, and in a study (docs/coverage.md) pooled intervals held the "
        "truth as they should, with bias below 5%. Not shown: they carry it, and no study says more.",
    ),
    ("weights", "uses_weights", "Donor weights shape the draws."),
    ("predictors", "uses_predictors", "It looks at the predictors."),
    (
        "resampled",
        "resampled",
        "Each implicate learns from its own Bayesian bootstrap of the donors; methods that draw their parameters "
        "from a posterior do without.",
    ),
)


@dataclass(frozen=True)
class Description:
    """All that a page about a method shows, but for results.

    Attributes
    ----------
    name, summary, reference, advice, coverage
        As declared.
    idea
        The docstring's text before its sections.
    settings
        In the order of the constructor.
    notes
        Other sections of the docstring: heading → text.
    facts
        See `Fact`.
    requires
        Optional packages that it needs.
    """

    name: str
    summary: str
    reference: str
    advice: str
    coverage: str
    idea: str
    settings: tuple[Setting, ...]
    notes: Mapping[str, str]
    facts: tuple[Fact, ...]
    requires: tuple[str, ...]

    @classmethod
    def of(cls, method: type[Method]) -> Description:
        """Read a method's class."""
        own = sections(method.__doc__)
        texts: dict[str, str] = {}
        for parent in reversed(method.__mro__):  # settings that are inherited are described where they are made
            texts |= _entries(sections(parent.__doc__).get("Parameters", ""))
        made = inspect.signature(method).parameters
        settings = tuple(Setting(n, _default(made[n]), texts.get(n, "")) for n in method.setting_names())
        facts = tuple(Fact(name, _yes(getattr(method, attribute)), text) for name, attribute, text in _FACTS)
        facts += (Fact("kinds", kinds(method.kinds), "Kinds of targets that it can draw."),)
        facts += (Fact("needs", ", ".join(method.requires) or "nothing", "Packages beyond the package's own."),)
        return cls(
            name=method.name,
            summary=method.summary,
            reference=method.reference,
            advice=method.advice,
            coverage=method.coverage,
            idea=own[""],
            settings=settings,
            notes={title: text for title, text in own.items() if title not in ("", "Parameters", "Attributes")},
            facts=facts,
            requires=tuple(method.requires),
        )


def kinds(drawn: frozenset[Kind]) -> str:
    """Say which kinds in few words: all, all but some, or which."""
    missing = [k.value for k in Kind if k not in drawn]
    if not missing:
        return "all"
    if len(missing) < len(Kind) / 2:
        return f"all but {', '.join(missing)}"
    return ", ".join(k.value for k in Kind if k in drawn)


def sections(docstring: str | None) -> dict[str, str]:
    """Divide a numpydoc docstring by its headings.

    The grammar needed is small (a heading is a line with as many dashes below it as it has letters), and the parser
    of numpydoc itself comes with Sphinx, which is too much for a command that prints one page.

    Returns
    -------
    dict
        Heading → text; what stands before the first heading has an empty one.
    """
    lines = inspect.cleandoc(docstring or "").split("\n")
    found: dict[str, list[str]] = {"": []}
    title = ""
    for place, line in enumerate(lines):
        below = lines[place + 1] if place + 1 < len(lines) else ""
        if line and below == "-" * len(line):
            title = line
            found[title] = []
        elif not (title and line == "-" * len(title) and not found[title]):
            found[title].append(line)
    return {title: "\n".join(text).strip("\n") for title, text in found.items()}


def _entries(text: str) -> dict[str, str]:
    """Read a section of named entries: names at the margin, what is said of them indented below."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in text.split("\n"):
        if line and not line[0].isspace():
            names = [n.strip() for n in re.split(r"\s:", line)[0].split(",")]
            found |= {name: [] for name in names}
        else:
            for name in names:
                found[name].append(line)
    return {name: inspect.cleandoc("\n" + "\n".join(lines)) for name, lines in found.items()}


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return "none" if parameter.default is None else _plain(parameter.default)


def _plain(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:  # a third party's setting may be anything
        return repr(value)


def _yes(value: bool | None) -> str:
    return "not shown" if value is None else "yes" if value else "no"


def is_installed(package: str) -> bool:
    """Whether an optional package is there; it is not imported."""
    return importlib.util.find_spec(package.replace("-", "_")) is not None


def extra(package: str) -> str | None:
    """Return the extra of MicroImpute that installs a package, if one does."""
    wanted = re.compile(rf"{re.escape(package)}(?![\w.-])[^;]*;\s*extra\s*==\s*[\"']([\w.-]+)[\"']", re.IGNORECASE)
    try:
        lines = importlib.metadata.requires("microimpute") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return None
    return next((found[1] for line in lines if (found := wanted.match(line))), None)
