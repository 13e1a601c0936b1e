"""run: a recipe of one donor or of several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from microimpute.fusion import Fusion
from microimpute.implicates import Progress
from microimpute.recipe import Recipe
from microimpute.recipe_of_stages import StagedRecipe, read_recipe
from microimpute.runner.one import Result, run_one
from microimpute.runner.several import StagedResult, run_several

__all__ = ["run"]


def run(
    recipe: Recipe | StagedRecipe | str | Path,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    before: Callable[[Fusion], None] | None = None,
) -> Result | StagedResult:
    """Run a recipe.

    Parameters
    ----------
    recipe
        A `Recipe` or `StagedRecipe`, or the path of a TOML file.
    out
        New directory for ``imputations.parquet``, ``completed.parquet``, ``manifest.json`` and ``report.html`` (with
        several donors one more report each); None writes nothing. It appears whole at the end or not at all.
    workers
        Threads; results do not depend on it.
    progress
        Called with a step's name and the share done.
    before
        Called with each checked `Fusion` before anything is drawn from it.

    Returns
    -------
    Result, or StagedResult where the recipe has several donors

    Raises
    ------
    MicroImputeError
        Names the file or column and the remedy.
    """
    known = read_recipe(recipe) if isinstance(recipe, str | Path) else recipe
    if isinstance(known, StagedRecipe):
        return run_several(known, out, workers=workers, progress=progress, before=before)
    return run_one(known, out, workers=workers, progress=progress, before=before)
