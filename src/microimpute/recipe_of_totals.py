"""``[[calibrate]]`` in recipes: published totals that what was imputed is to meet.

::

    [[calibrate]]
    how = "values"
    targets = {NETWORTH = 96e12, DEBT = 13.8e12}

    [[calibrate]]
    how = "weights"
    distance = "logit"
    bounds = [0.3, 3]

    [[calibrate.targets]]                    # without `of`: the number of units
    total = {1 = 24_662_941, 2 = 24_115_067}
    by = "AGECL"
    source = "a census"

    [[calibrate.targets]]
    of = "wages"
    by = ["region", "married"]
    total = [{group = [1, true], total = 3.1e12}, {group = [2, true], total = 2.2e12}]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microimpute.errors import RecipeError
from microimpute.recipe_values import known_keys, tables, typed

__all__ = ["AggregatePart", "CalibratePart", "calibrate_parts"]


@dataclass(frozen=True)
class AggregatePart:
    """One published total, of all or by group; see `microimpute.calibration.Aggregate`.

    Attributes
    ----------
    of, by, source
        As there; no `of` for the number of units.
    total
        A number; or group → number, where one column makes the groups; or a list of ``{group = …, total = …}``,
        where several do.
    """

    total: Any
    of: str | None = None
    by: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class CalibratePart:
    """``[[calibrate]]``: see `microimpute.calibration.calibrate`, which has the same arguments.

    Attributes
    ----------
    targets
        Column → total over all units, or a list of totals.
    how, distance, bounds, name
        As there.
    """

    targets: Mapping[str, float] | tuple[AggregatePart, ...]
    how: str = "weights"
    distance: str = "raking"
    bounds: tuple[float, float] | None = None
    name: str | None = None


def calibrate_parts(content: Mapping[str, Any]) -> tuple[CalibratePart, ...]:
    """Read the calibrations of a recipe, in the order in which they are done.

    Raises
    ------
    RecipeError
        If a key is unknown, missing, or of the wrong type.
    """
    return tuple(_calibrate(said, f"[[calibrate]] {i}") for i, said in enumerate(tables(content, "calibrate"), 1))


def _calibrate(content: Any, where: str) -> CalibratePart:
    known_keys(content, tuple(CalibratePart.__dataclass_fields__), where)
    if "targets" not in content:
        raise RecipeError(f"{where} has no targets", "Say which totals are to be met: targets = {COLUMN = TOTAL}.")
    said = content["targets"]
    targets: Any
    if isinstance(said, Mapping):
        targets = {column: _number(total, f"{column} in targets of {where}") for column, total in said.items()}
    else:
        listed = enumerate(typed(said, list, f"targets of {where}"), 1)
        targets = tuple(_aggregate(one, f"target {i} of {where}") for i, one in listed)
    texts = {k: typed(content[k], str, f"{k} of {where}") for k in ("how", "distance", "name") if k in content}
    return CalibratePart(targets, bounds=_bounds(content.get("bounds"), f"bounds of {where}"), **texts)


def _bounds(said: Any, where: str) -> tuple[float, float] | None:
    if said is None:
        return None
    if not isinstance(said, list) or len(said) != 2:
        raise RecipeError(f"{where} is {said!r}", "Give the least and the largest factor, such as [0.3, 3].")
    return _number(said[0], where), _number(said[1], where)


def _aggregate(content: Any, where: str) -> AggregatePart:
    known_keys(content, tuple(AggregatePart.__dataclass_fields__), where)
    if "total" not in content:
        raise RecipeError(f"{where} has no total", "Give the published number, or one for each group.")
    by = content.get("by", [])
    by = (
        (by,)
        if isinstance(by, str)
        else tuple(typed(c, str, f"by of {where}") for c in typed(by, list, f"by of {where}"))
    )
    texts = {k: typed(content[k], str, f"{k} of {where}") for k in ("of", "source") if k in content}
    return AggregatePart(_total(content["total"], len(by), f"total of {where}"), by=by, **texts)


def _total(said: Any, columns: int, where: str) -> Any:
    if isinstance(said, Mapping):
        if columns != 1:
            needs = "needs by, the column of these groups" if not columns else f"is by {columns} columns"
            remedy = "Name it." if not columns else "Write a list: total = [{group = [1, 2], total = 5e6}]."
            raise RecipeError(f"{where} {needs}", remedy)
        return {group: _number(total, f"group {group} in {where}") for group, total in said.items()}
    if isinstance(said, list):
        return tuple(_grouped(one, f"{where}, entry {i},") for i, one in enumerate(said, 1))
    return _number(said, where)


def _grouped(said: Any, where: str) -> dict[str, Any]:
    known_keys(said, ("group", "total"), where)
    for key in ("group", "total"):
        if key not in said:
            raise RecipeError(f"{where} has no {key}", "Write {group = 1, total = 5e6}, say.")
    group = said["group"]
    for value in group if isinstance(group, list) else [group]:
        if not isinstance(value, str | int | float):
            raise RecipeError(f"group of {where} is {value!r}", "Give a text, a number, or true or false.")
    return {"group": group, "total": _number(said["total"], f"total of {where}")}


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"{where} is {value!r}", "Give a number.")
    return value
