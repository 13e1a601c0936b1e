"""Runs recipes of several donors: from their files to one output directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from microimpute import manifest, storage
from microimpute.crosswalks.base import crosswalk as crosswalk_named
from microimpute.errors import RecipeError, closest
from microimpute.fusion import Fusion
from microimpute.implicates import Progress
from microimpute.imputations import Imputations
from microimpute.methods.base import method as method_named
from microimpute.recipe import SurveyPart
from microimpute.recipe_of_stages import StagedRecipe, StagePart
from microimpute.rules import derivation_order, parse_all
from microimpute.runner.calibrating import Asked, calibrated, check_calibrations
from microimpute.runner.files import REPORT, fusion_parts, harmonised, input_facts, read_survey, refuse_missing
from microimpute.stages import Bridge, Edit, Fused, Link, Stage, fuse
from microimpute.stages.declared import declared_bridges
from microimpute.stages.span import class_of, observed_columns
from microimpute.survey import Survey, replace_survey

__all__ = ["StagedResult", "run_several", "run_stages", "stage_of"]


@dataclass(frozen=True)
class StagedResult:
    """What a run of several donors made.

    Attributes
    ----------
    imputations
        The receiver with all columns.
    fused
        Stage by stage.
    """

    imputations: Imputations
    fused: Fused


def run_several(
    known: StagedRecipe,
    out: str | Path | None,
    *,
    workers: int | None,
    progress: Progress | None,
    before: Callable[[Fusion], None] | None = None,
) -> StagedResult:
    """Run a recipe of several donors; see `microimpute.run`."""
    if out is not None:
        storage.refuse_occupied(Path(out))
        _refuse_single(known)
    if progress:
        progress("reading the surveys", 0.0)
    refuse_missing(_sides(known))
    receiver = read_survey(known.receiver, "receiver")
    stages = [stage_of(part, known, receiver) for part in known.stages]
    return run_stages(known, receiver, stages, out, workers=workers, progress=progress, before=before)


def run_stages(
    known: StagedRecipe,
    receiver: Survey,
    stages: Sequence[Stage],
    out: str | Path | None,
    *,
    workers: int | None,
    progress: Progress | None,
    before: Callable[[Fusion], None] | None = None,
) -> StagedResult:
    """Do what a recipe asks for with surveys that have been read; its stages may have been changed since."""
    tell = progress or (lambda step, share: None)
    edits = [Edit(edit.rule, edit.repair, edit.limit) for edit in known.edits]
    tell("checking", 0.1)
    crossed = _check_report(known, stages)
    asked = check_calibrations(known.calibrate, receiver, _planned(stages, receiver) if known.calibrate else [])
    fused = fuse(
        receiver,
        stages,
        links=[Link(link.first, link.second, link.rho) for link in known.links],
        edits=edits,
        m=known.impute.m,
        draws=known.impute.draws,
        seed=known.impute.seed,
        workers=workers,
        progress=lambda step, share: tell(step, 0.15 + 0.5 * share),
        before=before,
    )
    done = _told(known, _calibrated(fused, asked, observed_columns(edits, stages, receiver)))
    if out is not None:
        _write(known, done, crossed, Path(out), tell)
    tell("done", 1.0)
    return done


def _refuse_single(known: StagedRecipe) -> None:
    """Check before the long part what the report's intervals need."""
    if known.impute.m < 2:
        raise RecipeError(
            f"a recipe of several donors is run with m = {known.impute.m}, and its report pools over implicates",
            "Say m = 2 or more.",
        )


def _told(known: StagedRecipe, fused: Fused) -> StagedResult:
    """Add recipe, inputs and versions to what `fuse` said of a run."""
    drawn = fused.imputations
    full = {
        "recipe": known.to_dict(),
        "inputs": input_facts(_sides(known)),
        "versions": manifest.versions(),
        **drawn.manifest,
    }
    imputations = Imputations(drawn.receiver, drawn.columns, drawn.values, full)
    return StagedResult(imputations, Fused(imputations, fused.stages, fused.fusions))


def _planned(stages: Sequence[Stage], receiver: Survey) -> list[Fusion]:
    """Return what each stage will give; what its bridges carry makes no difference to that."""
    return [
        Fusion(
            stage.donor,
            receiver if stage.receiver is None else stage.receiver,
            targets=stage.targets,
            predictors=stage.predictors,
            rules=stage.rules,
            kinds=stage.kinds,
        )
        for stage in stages
    ]


def _calibrated(fused: Fused, asked: Asked, observed: Mapping[str, Any]) -> Fused:
    """Meet published totals, and let each stage's own account have the new weights and values.

    `observed` is what rules across stages speak of: for as long as it takes, the receiver has it, so that they can be
    looked at again.
    """
    if not asked:
        return fused
    drawn = fused.imputations
    views = {c: v for c, v in observed.items() if c not in drawn.receiver.columns}
    whole = calibrated(replace(drawn, receiver=drawn.receiver.with_columns(views)) if views else drawn, asked)
    if views:
        whole = replace(whole, receiver=replace_survey(whole.receiver, frame=whole.receiver.frame.drop(*views)))
    stages = {}
    for name, one in fused.stages.items():
        receiver, column = one.receiver, whole.receiver.weight
        if column is not None and column != receiver.weight:
            receiver = replace_survey(receiver.with_columns({column: whole.receiver.weights()}), weight=column)
        values = {c: whole.values[c] for c in one.columns}
        told = {**one.manifest, "calibration": whole.manifest["calibration"]}
        stages[name] = Imputations(receiver, one.columns, values, told)
    return Fused(whole, stages, fused.fusions)


def _check_report(known: StagedRecipe, stages: Sequence[Stage]) -> tuple[str, str]:
    """Check before the long part that the report can be made, and return its two columns, of two donors."""
    place = {column: stage.name for stage in stages for column in stage.gives()}
    by, of = known.report.by, known.report.of
    for key, column in (("by", by), ("of", of)):
        if column is not None and column not in place:
            raise RecipeError(f"{key} of [report] is {column!r}, which no stage gives", closest(column, place))
    by, of = _crossed(known, stages)
    ends = (place[by], place[of])
    if ends[0] == ends[1]:
        raise RecipeError(f"by and of in [report] are both of stage {ends[0]!r}", "Name columns of two stages there.")
    for key, column in (("by", by), ("of", of)):
        if any(class_of(stage, column) for stage in stages):
            raise RecipeError(
                f"{key} of [report] is {column!r}, a class",
                f"Write [report] with {key} an amount, or a column of 0 and 1, that stage {place[column]!r} gives.",
            )
    return by, of


def _crossed(known: StagedRecipe, stages: Sequence[Stage]) -> tuple[str, str]:
    """Return the two columns that the page crosses: those named, of the first link, or of the first and last stage."""
    by, of = known.report.by, known.report.of
    if by is None and of is None and known.links:
        return known.links[0].first, known.links[0].second
    return by or _lead(stages[0]), of or _lead(stages[-1])


def _lead(stage: Stage) -> str:
    """Return the column that stands for a stage: its last total, else its first target that can be computed with."""
    totals = [i.total for i in derivation_order(parse_all(stage.rules))]
    amounts = [t for t in stage.targets if class_of(stage, t) is None]
    return totals[-1] if totals else (amounts or list(stage.targets))[0]


def _sides(known: StagedRecipe) -> dict[str, SurveyPart]:
    return {"receiver": known.receiver} | {stage.name: stage.donor for stage in known.stages}


def stage_of(part: StagePart, known: StagedRecipe, receiver: Survey) -> Stage:
    """Read one stage's donor and make it comparable to the receiver, with the bridges that are asked for.

    Raises
    ------
    RecipeError
        If bridges are named without a crosswalk; names the stage.
    """
    where = f"stage {part.name!r}"
    donor, seen = harmonised(read_survey(part.donor, where), receiver, part.fusion, (part.donor, known.receiver))
    bridges: list[Bridge] = []
    if part.bridges:
        if part.fusion.crosswalk is None:
            raise RecipeError(f"{where} names bridges without a crosswalk", "The crosswalk says how they are made.")
        walk = crosswalk_named(part.fusion.crosswalk)
        donor = walk.with_bridges(donor, part.bridges)
        for earlier in dict.fromkeys(bridge.of for bridge in walk.chosen_bridges(part.bridges)):
            own = [b.name for b in walk.chosen_bridges(part.bridges) if b.of == earlier]
            bridges += declared_bridges(walk, earlier, donor, receiver, own)
    return Stage(
        part.name,
        donor,
        receiver=seen,
        bridges=bridges,
        method=method_named(part.method, part.settings),
        trim=part.trim,
        **fusion_parts(part.fusion, donor, where),
    )


def _write(known: StagedRecipe, done: StagedResult, crossed: tuple[str, str], out: Path, tell: Progress) -> None:
    from microimpute.report.crossing import cross, render_cross
    from microimpute.report.render import render
    from microimpute.report.summarise import summarise

    with storage.new_directory(out) as scratch:
        tell("writing", 0.65)
        storage.write_tables(done.imputations, scratch)
        tell("making the reports", 0.75)
        pages = {REPORT: render_cross(cross(done.fused, title=known.title, by=crossed[0], of=crossed[1]))}
        for part in known.stages:
            concepts, remarks = _said(part, done.fused)
            title = f"{known.title}: {part.name}"
            summary = summarise(
                done.fused.stages[part.name],
                done.fused.fusions[part.name],
                title=title,
                concepts=concepts,
                remarks=remarks,
            )
            pages[f"report_{part.name}.html"] = render(summary)
        for name, page in pages.items():
            (scratch / name).write_text(page, encoding="utf-8")
        names = (storage.IMPUTATIONS, storage.COMPLETED, *pages)
        outputs = {name: manifest.sha256(scratch / name) for name in names}
        manifest.write(scratch, {**done.imputations.manifest, "outputs": outputs})


def _said(part: StagePart, fused: Fused) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    if part.fusion.crosswalk is None:
        return [], ()
    walk = crosswalk_named(part.fusion.crosswalk)
    used = [c for c in walk.concepts if c.name in fused.fusions[part.name].predictors]
    concepts = [
        {"name": c.name, "donor": c.donor, "receiver": c.receiver, "caveat": c.caveat, "money": c.money} for c in used
    ]
    return concepts, walk.remarks
