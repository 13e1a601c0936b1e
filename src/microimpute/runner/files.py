"""What runs of every recipe share: reading surveys, and where their files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microimpute import manifest
from microimpute import rules as edit_rules
from microimpute.crosswalks.base import crosswalk as crosswalk_named
from microimpute.data import bundled
from microimpute.errors import RecipeError, closest
from microimpute.recipe import FusionPart, SurveyPart
from microimpute.survey import Survey
from microimpute.surveys.base import connector

__all__ = ["REPORT", "fusion_parts", "harmonised", "input_facts", "path_of", "read_survey", "refuse_missing"]

#: Name of the report in an output directory.
REPORT = "report.html"


def path_of(part: SurveyPart) -> Path:
    """Return where a survey's file is."""
    return bundled(part.bundled) if part.bundled is not None else Path(part.path or "")


def input_facts(parts: Mapping[str, SurveyPart]) -> dict[str, Any]:
    """Return names, sizes and hashes of all files that are read.

    Parameters
    ----------
    parts
        ``"donor"``, ``"receiver"`` or a stage's name → its survey.

    Returns
    -------
    dict
        Under the same names, and under ``"donor/replicates"`` and so on what options name.
    """
    facts: dict[str, Any] = {}
    for side, part in parts.items():
        facts[side] = manifest.file_facts(path_of(part))
        facts |= {f"{side}/{option}": manifest.file_facts(file) for option, file in _besides(part).items()}
    return facts


def refuse_missing(parts: Mapping[str, SurveyPart]) -> None:
    """Check before anything is read that the files which options name are there.

    Raises
    ------
    RecipeError
        Names the option, and where its file was looked for.
    """
    for side, part in parts.items():
        for option, file in _besides(part).items():
            if option in part.options and not file.exists():  # of what a connector looks for itself it says more
                remedy = "Paths in a recipe are taken from its own folder"
                if Path(file.name).exists():
                    remedy += f", not from the current directory, where {file.name} is"
                raise RecipeError(
                    f"{option} of {side!r} is {file}, and nothing is there",
                    f"{remedy}. Mend it; to verify a run say --input {side}/{option}=FILE.",
                )


def _besides(part: SurveyPart) -> dict[str, Path]:
    return connector(part.survey).files(path_of(part), part.options)


def read_survey(part: SurveyPart, where: str) -> Survey:
    """Read a survey with its connector.

    Raises
    ------
    RecipeError
        If the connector has no such option; `where` says which table of the recipe has it.
    """
    reader = connector(part.survey)
    for option in part.options:
        if option not in reader.options:
            raise RecipeError(f"[{where}] has an unknown key {option!r}", closest(option, reader.options))
    return reader.read(path_of(part), **part.options)


def fusion_parts(said: FusionPart, donor: Survey, where: str) -> dict[str, Any]:
    """Return targets, predictors, rules and kinds of a fusion; the crosswalk says what the recipe leaves open.

    Raises
    ------
    RecipeError
        If nobody names targets, or more of them without a crosswalk whose targets they come beside.
    """
    targets, predictors, rules = said.targets, said.predictors, said.rules
    if said.more_targets is not None and (said.crosswalk is None or targets is not None):
        raise RecipeError(
            f"{where} has more_targets " + ("beside targets" if targets is not None else "and no crosswalk"),
            "They are added to a crosswalk's own targets; otherwise name all in targets.",
        )
    if said.crosswalk is not None:
        walk = crosswalk_named(said.crosswalk)
        usual, known_rules = walk.defaults(donor)
        targets = targets if targets is not None else (*usual, *(said.more_targets or ()))
        predictors = predictors if predictors is not None else tuple(c.name for c in walk.concepts)
        rules = rules if rules is not None else tuple(map(str, edit_rules.applicable(known_rules, targets)))
    if targets is None:
        raise RecipeError(f"{where} names no targets", "List them there.")
    return {"targets": targets, "predictors": predictors, "rules": rules or (), "kinds": said.kinds}


def harmonised(
    donor: Survey, receiver: Survey, said: FusionPart, sides: tuple[SurveyPart, SurveyPart]
) -> tuple[Survey, Survey]:
    """Make predictors comparable, if a crosswalk is named; `sides` say by which connectors the surveys were read.

    Raises
    ------
    RecipeError
        If dollars are named without a crosswalk, or the crosswalk is for other surveys.
    """
    if said.crosswalk is None:
        if said.dollars is not None:
            raise RecipeError("dollars in [fusion] needs a crosswalk", "Name one, or leave dollars out.")
        return donor, receiver
    walk = crosswalk_named(said.crosswalk)
    for side, wanted, got in (("donor", walk.donor, sides[0]), ("receiver", walk.receiver, sides[1])):
        if wanted != got.survey:
            raise RecipeError(
                f"crosswalk {walk.name!r} wants a {side} read by {wanted!r}, not {got.survey!r}", "Change one."
            )
    if said.dollars is None:
        raise RecipeError(
            f"crosswalk {walk.name!r} needs a year whose prices money is brought to",
            "Write dollars = 2019, say, in [fusion].",
        )
    return walk.harmonise(donor, receiver, said.dollars)
