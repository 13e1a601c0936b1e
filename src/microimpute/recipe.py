"""Recipes: one TOML file that says everything a run needs."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from microimpute.errors import RecipeError, closest
from microimpute.recipe_of_totals import CalibratePart, calibrate_parts
from microimpute.recipe_values import known_keys, typed, without_none
from microimpute.surveys.base import connectors

__all__ = [
    "FusionPart",
    "ImputePart",
    "Recipe",
    "ReportPart",
    "SurveyPart",
    "part",
    "stock",
    "survey_part",
]


@dataclass(frozen=True)
class SurveyPart:
    """``[donor]`` or ``[receiver]``: which survey, from which file.

    Attributes
    ----------
    survey
        Name of a connector; ``table`` for any Parquet, CSV or Stata file.
    path
        The file, absolute, or relative to the recipe's folder.
    bundled
        Name of a bundled sample, instead of a path.
    options
        What else the connector's `read` takes; those that name files, absolute or as `path` is.
    """

    survey: str = "table"
    path: str | None = None
    bundled: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FusionPart:
    """``[fusion]``: what is imputed from what; see `microimpute.Fusion`.

    Attributes
    ----------
    crosswalk
        Name of the crosswalk that makes predictors comparable; None to take columns as they are.
    dollars
        Year whose prices the crosswalk brings predictors to.
    targets, predictors, rules
        As in `Fusion`; None takes the crosswalk's.
    kinds
        Declared kinds.
    more_targets
        Targets beside the crosswalk's.
    """

    crosswalk: str | None = None
    dollars: int | None = None
    targets: tuple[str, ...] | None = None
    predictors: tuple[str, ...] | None = None
    rules: tuple[str, ...] | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    more_targets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ImputePart:
    """``[impute]``: how; see `microimpute.impute`."""

    method: str = "forest"
    settings: Mapping[str, Any] = field(default_factory=dict)
    m: int = 5
    seed: int = 0
    draws: int = 1


@dataclass(frozen=True)
class ReportPart:
    """``[report]``: what the report shows first.

    Attributes
    ----------
    headline
        The imputed column whose percentiles lead.
    by
        Up to two predictors by which it is broken down.
    """

    headline: str | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """Everything that a run needs."""

    donor: SurveyPart
    receiver: SurveyPart
    title: str = "Imputation"
    fusion: FusionPart = FusionPart()
    impute: ImputePart = ImputePart()
    report: ReportPart = ReportPart()
    calibrate: tuple[CalibratePart, ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a TOML file; relative paths in it are taken from its own folder.

        Raises
        ------
        RecipeError
            If it is missing, not TOML, or says something unknown.
        """
        file = Path(path)
        if not file.is_file():
            raise RecipeError(f"there is no recipe {file}", "Check the path.")
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{file.name} is not valid TOML: {error}", "Mend that line.") from None
        return cls.from_dict(content, file.parent)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], folder: Path) -> Recipe:
        """Make a recipe from plain values.

        Raises
        ------
        RecipeError
            If a key is unknown, missing, or of the wrong type.
        """
        known_keys(content, ("title", "donor", "receiver", "fusion", "impute", "report", "calibrate"), "the recipe")
        for side in ("donor", "receiver"):
            if side not in content:
                raise RecipeError(f"the recipe has no [{side}]", "Say which survey and file it is.")
        return cls(
            donor=survey_part(content["donor"], "donor", folder),
            receiver=survey_part(content["receiver"], "receiver", folder),
            title=typed(content.get("title", cls.title), str, "title"),
            fusion=part(FusionPart, content.get("fusion", {}), "fusion"),
            impute=part(ImputePart, content.get("impute", {}), "impute"),
            report=part(ReportPart, content.get("report", {}), "report"),
            calibrate=calibrate_parts(content),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `from_dict` makes the same recipe."""
        plain: dict[str, Any] = without_none(asdict(self))
        for side in ("donor", "receiver"):
            plain[side] |= plain[side].pop("options")
        return plain


def stock(name: str) -> Path:
    """Find a recipe that comes with the package.

    Raises
    ------
    RecipeError
        If there is no such recipe.
    """
    package = Path(__file__).parent
    folders = (package / "recipes", package.parents[1] / "recipes")  # installed; in a source checkout
    for folder in folders:
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    found = {p.stem for folder in folders for p in folder.glob("*.toml")}
    raise RecipeError(f"there is no stock recipe {name!r}", closest(name, found))


_TYPES: dict[str, type] = {
    "crosswalk": str,
    "method": str,
    "headline": str,
    "dollars": int,
    "m": int,
    "draws": int,
    "seed": int,
}
_LISTS = ("targets", "more_targets", "predictors", "rules", "by")


def part(cls: type[Any], content: Any, where: str) -> Any:
    """Read one table of a recipe into its dataclass."""
    known_keys(content, tuple(cls.__dataclass_fields__), f"[{where}]")
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{key} in [{where}]"
        if key in _LISTS:
            values[key] = tuple(typed(v, str, name) for v in typed(value, list, name))
        elif key in _TYPES:
            values[key] = typed(value, _TYPES[key], name)
        else:
            values[key] = dict(typed(value, Mapping, name))
    for column, kind in values.get("kinds", {}).items():
        typed(kind, str, f"the kind of {column!r} in [{where}]")
    return cls(**values)


def survey_part(content: Any, side: str, folder: Path) -> SurveyPart:
    """Read which survey a table names, and from which file."""
    if not isinstance(content, Mapping):
        raise RecipeError(f"[{side}] is {content!r}", "Make it a table of keys and values.")
    rest = dict(content)
    name = typed(rest.pop("survey", "table"), str, f"survey in [{side}]")
    path, bundled = rest.pop("path", None), rest.pop("bundled", None)
    if (path is None) == (bundled is None):
        raise RecipeError(f"[{side}] names {'no file' if path is None else 'two files'}", "Give path or bundled.")
    reader = connectors().get(name)  # reading the survey refuses a name that is none
    if reader is not None:
        named = {option: value for option, value in rest.items() if reader.names_file(option, value)}
        rest |= {option: _from_folder(value, folder, f"{option} in [{side}]") for option, value in named.items()}
    if path is None:
        return SurveyPart(name, None, typed(bundled, str, f"bundled in [{side}]"), rest)
    return SurveyPart(name, _from_folder(path, folder, f"path in [{side}]"), None, rest)


def _from_folder(path: Any, folder: Path, where: str) -> str:
    """Return where a file is that a recipe in that folder names."""
    try:
        file = Path(typed(path, str, where)).expanduser()
    except RuntimeError:
        raise RecipeError(f"{where} is {path!r}, but there is no such user", "Write the path out.") from None
    return os.path.normpath(folder.absolute() / file)
