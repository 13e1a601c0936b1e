"""What a connector is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from microimpute import registry
from microimpute.errors import SurveyError
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

    @abstractmethod
    def read(self, path: Path, **options: Any) -> Survey:
        """Read a file.

        Raises
        ------
        SurveyError
            If the file is missing, truncated, a web page, or not this survey's.
        """


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
