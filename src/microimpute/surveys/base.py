"""What a connector is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from microimpute import registry
from microimpute.errors import SurveyError, closest
from microimpute.survey import Survey

__all__ = ["Connector", "connector", "connectors"]


class Connector(ABC):
    """Reads one survey's files as they are published.

    A connector keeps the survey's own variable names and units, checks what it read against published
    figures (`Survey.checks`) and counts what it changed or left out (`Survey.notes`).
    """

    #: Name in recipes and on the command line.
    name: ClassVar[str]
    #: The survey's full name.
    title: ClassVar[str]
    #: Where the files are published.
    publisher: ClassVar[str]
    #: Column → meaning, with unit.
    variables: ClassVar[Mapping[str, str]]
    #: Keyword arguments of `read` beyond the path → what each means.
    options: ClassVar[Mapping[str, str]] = {}
    #: Option → types of its values, for `check`; an option of which one is Path names a file.
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {}

    @abstractmethod
    def read(self, path: Path, **options: Any) -> Survey:
        """Read a file.

        Raises
        ------
        SurveyError
            If the file is missing, truncated, a web page, or not this survey's.
        """

    @classmethod
    def names_file(cls, option: str, value: Any) -> bool:
        """Whether an option's value is the path of a file, which recipes take from their own folder."""
        return Path in cls.types.get(option, ()) and isinstance(value, str | Path)

    def files(self, path: Path, options: Mapping[str, Any]) -> dict[str, Path]:
        """Return what `read` reads besides `path`: option → file, or folder, whether it is there or not."""
        return {option: Path(value) for option, value in options.items() if self.names_file(option, value)}

    def check(self, options: Mapping[str, Any]) -> None:
        """Check that options exist and are of their types; None stands for the default.

        Raises
        ------
        SurveyError
            Names the option, and what was meant or is wanted.
        """
        for name, value in options.items():
            if name not in self.options:
                raise SurveyError(f"the {self.name} connector has no option {name!r}", closest(name, self.options))
            types = self.types.get(name)
            if types and value is not None and (isinstance(value, bool) or not isinstance(value, types)):
                wanted = " or ".join(t.__name__.lower() for t in types)
                raise SurveyError(
                    f"option {name!r} of the {self.name} connector is {value!r}",
                    f"Give a value of type {wanted}: {self.options[name]}.",
                )


def connectors() -> Mapping[str, type[Connector]]:
    """List all connectors by name."""
    return registry.collect("surveys", Connector)


def connector(name: str) -> Connector:
    """Return the connector of that name.

    Raises
    ------
    SurveyError
        If there is none.
    """
    return registry.find("surveys", Connector, name, SurveyError)()  # type: ignore[type-abstract]
