"""Runs recipes: from two files to an output directory, and verifies such a directory later."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from microimpute import manifest, storage
from microimpute import rules as edit_rules
from microimpute.crosswalks.base import crosswalk as crosswalk_named
from microimpute.data import bundled
from microimpute.drawing import impute
from microimpute.errors import OutputError, RecipeError, closest
from microimpute.fusion import Fusion
from microimpute.implicates import Progress
from microimpute.imputations import Imputations
from microimpute.methods.base import method as method_named
from microimpute.recipe import Recipe, SurveyPart
from microimpute.survey import Survey
from microimpute.surveys.base import connector

__all__ = ["REPORT", "Difference", "Result", "read_surveys", "run", "verify"]

REPORT = "report.html"


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


@dataclass(frozen=True)
class Difference:
    """One line of a verification: a file or package, what the manifest says, and what is found now."""

    what: str
    recorded: str
    found: str

    @property
    def same(self) -> bool:
        """Whether the two agree."""
        return self.recorded == self.found


def run(
    recipe: Recipe | str | Path,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    before: Callable[[Fusion], None] | None = None,
) -> Result:
    """Run a recipe.

    Parameters
    ----------
    recipe
        A `Recipe`, or the path of a TOML file.
    out
        New directory for ``imputations.parquet``, ``completed.parquet``, ``manifest.json`` and
        ``report.html``; None writes nothing. It appears whole at the end or not at all.
    workers
        Threads; results do not depend on it.
    progress
        Called with a step's name and the share done.
    before
        Called with the checked `Fusion` before anything is drawn.

    Returns
    -------
    Result

    Raises
    ------
    MicroImputeError
        Names the file or column and the remedy.
    """
    known = recipe if isinstance(recipe, Recipe) else Recipe.read(recipe)
    if out is not None:
        storage.refuse_occupied(Path(out))
    tell = progress or (lambda step, share: None)
    tell("reading the surveys", 0.0)
    donor, receiver = read_surveys(known)
    tell("checking", 0.1)
    fusion = make_fusion(known, donor, receiver)
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
    full = complete_manifest(known, drawn)
    imputations = Imputations(drawn.receiver, drawn.columns, drawn.values, full)
    if out is not None:
        _write(known, imputations, fusion, Path(out), tell)
    tell("done", 1.0)
    return Result(imputations, fusion)


def read_surveys(recipe: Recipe) -> tuple[Survey, Survey]:
    """Read both surveys and, if the recipe names a crosswalk, make their predictors comparable."""
    donor, receiver = (_read(part, side) for part, side in ((recipe.donor, "donor"), (recipe.receiver, "receiver")))
    if recipe.fusion.crosswalk is None:
        if recipe.fusion.dollars is not None:
            raise RecipeError("dollars in [fusion] needs a crosswalk", "Name one, or leave dollars out.")
        return donor, receiver
    walk = crosswalk_named(recipe.fusion.crosswalk)
    for side, wanted, got in (
        ("donor", walk.donor, recipe.donor.survey), ("receiver", walk.receiver, recipe.receiver.survey)
    ):  # fmt: skip
        if wanted != got:
            raise RecipeError(f"crosswalk {walk.name!r} wants a {side} read by {wanted!r}, not {got!r}", "Change one.")
    if recipe.fusion.dollars is None:
        raise RecipeError(
            f"crosswalk {walk.name!r} needs a year whose prices money is brought to",
            "Write dollars = 2019, say, in [fusion].",
        )
    return walk.harmonise(donor, receiver, recipe.fusion.dollars)


def _path(part: SurveyPart) -> Path:
    return bundled(part.bundled) if part.bundled is not None else Path(part.path or "")


def _read(part: SurveyPart, side: str) -> Survey:
    reader = connector(part.survey)
    for option in part.options:
        if option not in reader.options:
            raise RecipeError(f"[{side}] has an unknown key {option!r}", closest(option, reader.options))
    return reader.read(_path(part), **part.options)


def make_fusion(recipe: Recipe, donor: Survey, receiver: Survey) -> Fusion:
    """Check that what the recipe asks for can be done; the crosswalk says what the recipe leaves open."""
    said = recipe.fusion
    targets, predictors, rules = said.targets, said.predictors, said.rules
    if said.crosswalk is not None:
        walk = crosswalk_named(said.crosswalk)
        usual, walk_rules = walk.defaults(donor)
        targets = targets if targets is not None else usual
        predictors = predictors if predictors is not None else tuple(c.name for c in walk.concepts)
        rules = rules if rules is not None else tuple(map(str, edit_rules.applicable(walk_rules, targets)))
    if targets is None:
        raise RecipeError("the recipe names no targets", "List them in [fusion].")
    return Fusion(donor, receiver, targets=targets, predictors=predictors, rules=rules or (), kinds=said.kinds)


def complete_manifest(recipe: Recipe, imputations: Imputations) -> dict[str, Any]:
    """Add recipe, inputs and versions to what `impute` said of a run."""
    inputs = {
        side: manifest.file_facts(_path(part))
        for side, part in (("donor", recipe.donor), ("receiver", recipe.receiver))
    }
    return {
        "recipe": recipe.to_dict(), "inputs": inputs, "versions": manifest.versions(), **imputations.manifest
    }  # fmt: skip


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


def verify(
    folder: str | Path,
    *,
    inputs: Mapping[str, str | Path] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Difference]:
    """Run a manifest again and compare hashes.

    Parameters
    ----------
    folder
        An output directory of `run`.
    inputs
        Where donor and receiver files are now, if they have moved: ``{"donor": path}``.
    workers, progress
        As in `run`.

    Returns
    -------
    list of Difference
        Inputs, package versions and outputs, each recorded and found.

    Raises
    ------
    OutputError
        If the directory was not written by a recipe.
    """
    recorded = manifest.read(Path(folder))
    if "recipe" not in recorded or "outputs" not in recorded:
        raise OutputError(f"{folder} was not written by a recipe", "Only runs of recipes can be verified.")
    plain = recorded["recipe"]
    for side, path in (inputs or {}).items():
        plain[side] = {k: v for k, v in plain[side].items() if k != "bundled"} | {"path": str(Path(path).absolute())}
    recipe = Recipe.from_dict(plain, Path(folder))
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "again"
        run(recipe, again, workers=workers, progress=progress)
        found = manifest.read(again)
    lines = [
        Difference(f"input {side}", facts["sha256"], found["inputs"][side]["sha256"])
        for side, facts in recorded["inputs"].items()
    ]
    lines += [Difference(f"version of {p}", v, found["versions"].get(p, "")) for p, v in recorded["versions"].items()]
    for name, digest in recorded["outputs"].items():
        kept = Path(folder) / name
        lines.append(
            Difference(f"{name} as it lies there", digest, manifest.sha256(kept) if kept.is_file() else "gone")
        )
        lines.append(Difference(f"{name} made again", digest, found["outputs"][name]))
    return lines
