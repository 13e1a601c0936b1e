"""Finds methods, connectors and crosswalks by name: one file each in their folder, or an entry point."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar

from microimpute.errors import MicroImputeError, closest, first_line

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
        ``"methods"``, ``"surveys"``, ``"crosswalks"`` or ``"export"``; third parties register under the entry-point
        group ``microimpute.<folder>``.
    base
        The class that each must extend.

    Returns
    -------
    mapping
        name → class, sorted by name.

    Raises
    ------
    MicroImputeError
        If an entry point can't be used, or two classes have one name; names it, or both.
    """
    package = importlib.import_module(f"microimpute.{folder}")
    classes: list[type[T]] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        classes += [c for c in vars(loaded).values() if _is_own(c, base, loaded.__name__)]
    for point in entry_points(group=f"microimpute.{folder}"):
        classes.append(_load(point, base))
    named: dict[str, type[T]] = {}
    for cls in classes:
        other = named.setdefault(_name(cls), cls)
        if other is not cls:
            both = " and ".join(f"{c.__module__}.{c.__qualname__}" for c in (other, cls))
            raise MicroImputeError(f"{both} have one name, {_name(cls)!r}", "Give one of them a name of its own.")
    return dict(sorted(named.items()))


def _load(point: EntryPoint, base: type[T]) -> type[T]:
    where = f"entry point {point.name!r} of {point.group!r} ({point.value})"
    remedy = "Mend or uninstall the package that declares it."
    try:
        loaded = point.load()
    # another's code: importing it may raise anything
    except Exception as error:
        raise MicroImputeError(f"{where} fails to load: {type(error).__name__}: {first_line(error)}", remedy) from error
    if not (inspect.isclass(loaded) and issubclass(loaded, base)) or inspect.isabstract(loaded):
        raise MicroImputeError(f"{where} is no complete subclass of {base.__name__}", remedy)
    if not isinstance(getattr(loaded, "name", None), str):
        raise MicroImputeError(f"{where} has no name", remedy)
    return loaded


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
