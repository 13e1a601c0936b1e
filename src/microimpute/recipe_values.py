"""What readers of all parts of recipes share: plain values, and what is refused of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microimpute.errors import RecipeError, closest

__all__ = ["known_keys", "tables", "typed", "without_none"]


def known_keys(content: Any, names: tuple[str, ...], where: str) -> None:
    """Refuse what is no table, or has a key that is not among the names."""
    if not isinstance(content, Mapping):
        raise RecipeError(f"{where} is {content!r}", "Make it a table of keys and values.")
    for key in content:
        if key not in names:
            raise RecipeError(f"{where} has an unknown key {key!r}", closest(key, names))


def tables(content: Mapping[str, Any], key: str) -> list[Any]:
    """Return the tables of one name, ``[[key]]``; none where there is none."""
    return list(typed(content.get(key, []), list, f"[[{key}]]"))


def typed(value: Any, kind: type, where: str) -> Any:
    """Refuse a value of another type."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RecipeError(f"{where} is {value!r}", f"Give a value of type {kind.__name__}.")
    return value


def without_none(value: Any) -> Any:
    """Leave out what is None, and make tuples lists."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    return [without_none(v) for v in value] if isinstance(value, tuple) else value
