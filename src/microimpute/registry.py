"""Finds methods, connectors and crosswalks by name: one file each in their folder, or an entry point."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from microimpute.errors import MicroImputeError, closest

__all__ = ["collect", "find"]


class Named(Protocol):
    """Anything with a class-level name."""

    name: str


T = TypeVar("T")


@cache
def collect(folder: str, base: type[T]) -> Mapping[str, type[T]]:
    """List all concrete subclasses of `base` in one of the package's folders and in its entry points.

    Parameters
    ----------
    folder
        ``"methods"``, ``"surveys"`` or ``"crosswalks"``; third parties register under the entry-point
        group ``microimpute.<folder>``.
    base
        The class that each must extend.

    Returns
    -------
    mapping
        name → class, sorted by name.
    """
    package = importlib.import_module(f"microimpute.{folder}")
    classes: list[type[T]] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        classes += [c for c in vars(loaded).values() if _is_own(c, base, loaded.__name__)]
    for point in entry_points(group=f"microimpute.{folder}"):
        classes.append(point.load())
    return dict(sorted((_name(c), c) for c in classes))


def _is_own(candidate: Any, base: type, module: str) -> bool:
    return (
        inspect.isclass(candidate)
        and issubclass(candidate, base)
        and not inspect.isabstract(candidate)
        and candidate.__module__ == module
        and candidate is not base
    )


def _name(cls: Any) -> str:
    return str(cls.name)


def find(folder: str, base: type[T], name: str, error: type[MicroImputeError]) -> type[T]:
    """Return the class of that name.

    Raises
    ------
    MicroImputeError
        Of the given class, if there is none; says which there are.
    """
    known: Mapping[str, type[T]] = collect(folder, base)  # type: ignore[arg-type]  # mypy: generic in a cache
    if name not in known:
        raise error(f"there is no {folder[:-1]} {name!r}", closest(name, known))
    return known[name]
