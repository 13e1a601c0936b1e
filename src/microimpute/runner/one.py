"""Runs recipes of one donor: from two files to an output directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from microimpute import manifest, storage
from microimpute.crosswalks.base import crosswalk as crosswalk_named
from microimpute.drawing import impute
from microimpute.fusion import Fusion
from microimpute.implicates import Progress
from microimpute.imputations import Imputations
from microimpute.methods.base import method as method_named
from microimpute.recipe import Recipe, SurveyPart
from microimpute.runner.calibrating import calibrated, check_calibrations
from microimpute.runner.files import REPORT, fusion_parts, harmonised, input_facts, read_survey, refuse_missing
from microimpute.survey import Survey

__all__ = ["Result", "read_surveys", "run_one"]


@dataclass(frozen=True)
class Result:
    """What a run made.

    Attributes
    ----------
    imputations
        The implicates.
    fusion
        What they were drawn from.
    """

    imputations: Imputations
    fusion: Fusion


def run_one(
    known: Recipe,
    out: str | Path | None,
    *,
    workers: int | None,
    progress: Progress | None,
    before: Callable[[Fusion], None] | None,
) -> Result:
    """Run a recipe of one donor; see `microimpute.run`."""
    if out is not None:
        storage.refuse_occupied(Path(out))
    tell = progress or (lambda step, share: None)
    tell("reading the surveys", 0.0)
    donor, receiver = read_surveys(known)
    tell("checking", 0.1)
    fusion = make_fusion(known, donor, receiver)
    asked = check_calibrations(known.calibrate, fusion.receiver, [fusion])
    if before:
        before(fusion)
    chosen = method_named(known.impute.method, known.impute.settings)
    drawn = impute(
        fusion,
        method=chosen,
        m=known.impute.m,
        draws=known.impute.draws,
        seed=known.impute.seed,
        workers=workers,
        progress=lambda step, share: tell(step, 0.15 + 0.5 * share),
    )
    imputations = calibrated(drawn, asked)
    imputations = replace(imputations, manifest=complete_manifest(known, imputations))
    if out is not None:
        _write(known, imputations, fusion, Path(out), tell)
    tell("done", 1.0)
    return Result(imputations, fusion)


def read_surveys(recipe: Recipe) -> tuple[Survey, Survey]:
    """Read both surveys and, if the recipe names a crosswalk, make their predictors comparable."""
    sides = _sides(recipe)
    refuse_missing(sides)
    donor, receiver = (read_survey(part, side) for side, part in sides.items())
    return harmonised(donor, receiver, recipe.fusion, (recipe.donor, recipe.receiver))


def make_fusion(recipe: Recipe, donor: Survey, receiver: Survey) -> Fusion:
    """Check that what the recipe asks for can be done; the crosswalk says what the recipe leaves open."""
    return Fusion(donor, receiver, **fusion_parts(recipe.fusion, donor, "[fusion]"))


def complete_manifest(recipe: Recipe, imputations: Imputations) -> dict[str, Any]:
    """Add recipe, inputs and versions to what `impute` said of a run."""
    inputs = input_facts(_sides(recipe))
    return {
        "recipe": recipe.to_dict(), "inputs": inputs, "versions": manifest.versions(), **imputations.manifest
    }  # fmt: skip


def _sides(recipe: Recipe) -> dict[str, SurveyPart]:
    return {"donor": recipe.donor, "receiver": recipe.receiver}


def _write(recipe: Recipe, imputations: Imputations, fusion: Fusion, out: Path, tell: Progress) -> None:
    with storage.new_directory(out) as scratch:
        tell("writing", 0.65)
        storage.write_tables(imputations, scratch)
        tell("making the report", 0.75)
        (scratch / REPORT).write_text(_report(recipe, imputations, fusion), encoding="utf-8")
        names = (storage.IMPUTATIONS, storage.COMPLETED, REPORT)
        outputs = {name: manifest.sha256(scratch / name) for name in names}
        manifest.write(scratch, {**imputations.manifest, "outputs": outputs})


def _report(recipe: Recipe, imputations: Imputations, fusion: Fusion) -> str:
    from microimpute.report.render import render
    from microimpute.report.summarise import summarise

    concepts: list[dict[str, Any]] = []
    remarks: tuple[str, ...] = ()
    if recipe.fusion.crosswalk is not None:
        walk = crosswalk_named(recipe.fusion.crosswalk)
        remarks = walk.remarks
        concepts = [
            {k: v for k, v in asdict(c).items() if k in ("name", "donor", "receiver", "caveat", "money")}
            for c in walk.concepts
            if c.name in fusion.predictors
        ]
    summary = summarise(
        imputations,
        fusion,
        title=recipe.title,
        by=recipe.report.by,
        headline=recipe.report.headline,
        concepts=concepts,
        remarks=remarks,
    )
    return render(summary)
