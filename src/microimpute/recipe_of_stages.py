"""Recipes of several donors: a TOML file with one ``[[stage]]`` per donor.

::

    [receiver]
    survey = "cps_tax_units"
    path = "cps.csv.gz"

    [[stage]]
    name = "wealth"
    donor = {survey = "scf", path = "SCFP2019.zip"}
    fusion = {crosswalk = "scf_to_cps_tax_units", dollars = 2019}

    [[stage]]
    name = "spending"
    donor = {survey = "cex", path = "fmli.csv.gz", unit = "consumer unit", dollars = 2014}
    fusion = {crosswalk = "cex_to_cps_tax_units", dollars = 2019}
    bridges = ["liquid_assets"]

    [[link]]
    first = "NETWORTH"
    second = "total"
    rho = {prior = "uniform", low = 0.0, high = 0.4}

    [[edit]]
    rule = "total <= 3 total_income + LIQ"
    repair = "redraw"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from microimpute.errors import RecipeError
from microimpute.recipe import FusionPart, ImputePart, Recipe, SurveyPart, part, survey_part
from microimpute.recipe_of_totals import CalibratePart, calibrate_parts
from microimpute.recipe_values import known_keys, tables, typed, without_none

__all__ = ["CrossPart", "EditPart", "LinkPart", "StagePart", "StagedRecipe", "moved", "read_recipe"]


@dataclass(frozen=True)
class StagePart:
    """``[[stage]]``: one donor; see `microimpute.stages.Stage`.

    Attributes
    ----------
    name
        What reports call it.
    donor, fusion
        As in a recipe of one donor.
    bridges
        Names of the crosswalk's bridges that are used.
    method, settings
        As in ``[impute]``.
    trim
        Share of trimming of donors that are like no receiver.
    """

    name: str
    donor: SurveyPart
    fusion: FusionPart = field(default_factory=FusionPart)
    bridges: tuple[str, ...] = ()
    method: str = "forest"
    settings: Mapping[str, Any] = field(default_factory=dict)
    trim: float | None = None


@dataclass(frozen=True)
class LinkPart:
    """``[[link]]``: what is believed of the rank correlation of two columns; see `microimpute.stages.Link`."""

    first: str
    second: str
    rho: Any


@dataclass(frozen=True)
class EditPart:
    """``[[edit]]``: a rule across stages and its repair; see `microimpute.stages.Edit`."""

    rule: str
    repair: str = "redraw"
    limit: int = 20


@dataclass(frozen=True)
class CrossPart:
    """``[report]``: which two imputed amounts are crossed; default: those of the first link.

    Attributes
    ----------
    by
        The amount whose tenths make the groups: net worth, say.
    of
        The amount that is shown in them: total spending, say.
    """

    by: str | None = None
    of: str | None = None


@dataclass(frozen=True)
class StagedRecipe:
    """Everything that a run of several donors needs."""

    receiver: SurveyPart
    stages: tuple[StagePart, ...]
    title: str = "Imputation from several donors"
    links: tuple[LinkPart, ...] = ()
    edits: tuple[EditPart, ...] = ()
    impute: ImputePart = field(default_factory=ImputePart)
    report: CrossPart = CrossPart()
    calibrate: tuple[CalibratePart, ...] = ()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], folder: Path) -> StagedRecipe:
        """Make a recipe from plain values.

        Raises
        ------
        RecipeError
            If a key is unknown, missing, or of the wrong type.
        """
        known_keys(
            content, ("title", "receiver", "stage", "link", "edit", "impute", "report", "calibrate"), "the recipe"
        )
        if "receiver" not in content:
            raise RecipeError("the recipe has no [receiver]", "Say which survey and file it is.")
        said = content.get("impute", {})
        known_keys(said, ("m", "seed", "draws"), "[impute] of a recipe with stages")
        stages = tuple(_stage(s, i, folder) for i, s in enumerate(tables(content, "stage"), 1))
        _check_names([stage.name for stage in stages])
        return cls(
            receiver=survey_part(content["receiver"], "receiver", folder),
            stages=stages,
            title=typed(content.get("title", cls.title), str, "title"),
            links=tuple(_plain(LinkPart, s, f"link {i}") for i, s in enumerate(tables(content, "link"), 1)),
            edits=tuple(_plain(EditPart, s, f"edit {i}") for i, s in enumerate(tables(content, "edit"), 1)),
            impute=part(ImputePart, said, "impute"),
            report=_plain(CrossPart, content.get("report", {}), "report"),
            calibrate=calibrate_parts(content),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `from_dict` makes the same recipe."""
        plain: dict[str, Any] = without_none(asdict(self))
        plain["receiver"] |= plain["receiver"].pop("options")
        for stage in plain["stages"]:
            stage["donor"] |= stage["donor"].pop("options")
        plain["impute"] = {key: plain["impute"][key] for key in ("m", "seed", "draws")}
        return {{"stages": "stage", "links": "link", "edits": "edit"}.get(key, key): v for key, v in plain.items()}


def read_recipe(path: str | Path) -> Recipe | StagedRecipe:
    """Read a TOML file, of one donor or of several.

    Raises
    ------
    RecipeError
        If it is missing, not TOML, or says something unknown.
    """
    file = Path(path)
    try:
        staged = file.is_file() and "stage" in (content := tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        staged = False  # the other reader says what is wrong
    return StagedRecipe.from_dict(content, file.parent) if staged else Recipe.read(file)


def moved(recipe: Recipe | StagedRecipe, donors: Sequence[str], receiver: str | None) -> Recipe | StagedRecipe:
    """Return a recipe that takes files from other places.

    Parameters
    ----------
    recipe
        Of one donor, or of several.
    donors
        The donor's file; or ``STAGE=FILE``, for some of several.
    receiver
        The receiver's file; None leaves it.

    Raises
    ------
    RecipeError
        If there is no such stage, or several files are given for one donor.
    """

    def at(part: SurveyPart, path: str) -> SurveyPart:
        return replace(part, path=str(Path(path).absolute()), bundled=None)

    if receiver is not None:
        recipe = replace(recipe, receiver=at(recipe.receiver, receiver))
    if isinstance(recipe, Recipe):
        if len(donors) > 1:
            raise RecipeError(f"{len(donors)} donor files are given for one donor", "Give one.")
        return replace(recipe, donor=at(recipe.donor, donors[0])) if donors else recipe
    stages = {stage.name: stage for stage in recipe.stages}
    for text in donors:
        name, _, path = text.partition("=")
        if not path or name not in stages:
            raise RecipeError(f"--donor {text!r} names no stage", f"Write STAGE=FILE, with {' or '.join(stages)}.")
        stages[name] = replace(stages[name], donor=at(stages[name].donor, path))
    return replace(recipe, stages=tuple(stages.values()))


def _check_names(names: Sequence[str]) -> None:
    """Check that stages have names that files, inputs and ``--donor`` can be called by."""
    if len(names) < 2:
        raise RecipeError(
            f"the recipe has {len(names)} [[stage]]", "Give two or more; for one donor write [donor] and [fusion]."
        )
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two stages are called {name!r}", "Give each a name of its own.")
        if name in ("donor", "receiver") or not re.fullmatch(r"\w[\w .-]*", name):
            raise RecipeError(
                f"a stage is called {name!r}",
                "Use letters, digits, spaces and -_., since a report is named after it; not donor or receiver.",
            )


def _stage(content: Any, number: int, folder: Path) -> StagePart:
    where = f"stage {number}"
    known_keys(content, tuple(StagePart.__dataclass_fields__), where)
    for key in ("name", "donor"):
        if key not in content:
            raise RecipeError(f"{where} has no {key}", "Name the stage, and say which survey and file it is from.")
    bridges = typed(content.get("bridges", []), list, f"bridges of {where}")
    return StagePart(
        name=typed(content["name"], str, f"name of {where}"),
        donor=survey_part(content["donor"], f"donor of {where}", folder),
        fusion=part(FusionPart, content.get("fusion", {}), f"fusion of {where}"),
        bridges=tuple(typed(b, str, f"bridges of {where}") for b in bridges),
        method=typed(content.get("method", "forest"), str, f"method of {where}"),
        settings=dict(typed(content.get("settings", {}), Mapping, f"settings of {where}")),
        trim=_share(content["trim"], f"trim of {where}") if "trim" in content else None,
    )


def _share(given: Any, where: str) -> float:
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise RecipeError(f"{where} is {given!r}", "Give a share from 0 to below 0.5, such as 0.01.")
    return float(given)


_KINDS: dict[str, type] = {"first": str, "second": str, "rule": str, "repair": str, "limit": int, "by": str, "of": str}


def _plain(cls: type[Any], content: Any, where: str) -> Any:
    known_keys(content, tuple(cls.__dataclass_fields__), f"[[{where}]]")
    for key, found in cls.__dataclass_fields__.items():
        if key not in content and found.default is not None and not isinstance(found.default, str | int):
            raise RecipeError(f"[[{where}]] has no {key}", "Say what it is.")
    return cls(**{k: typed(v, _KINDS[k], f"{k} of {where}") if k in _KINDS else v for k, v in content.items()})
