"""What the commands that run a recipe share: options, and saying what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microimpute.commands.shared import progress

if TYPE_CHECKING:
    from microimpute.recipe import Recipe
    from microimpute.recipe_of_stages import StagedRecipe

__all__ = ["carry_out", "run_options"]


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every run has."""
    for option in (
        click.option(
            "--workers", type=click.IntRange(1), help="Threads; all cores unless given. Results are the same."
        ),
        click.option("--seed", type=click.IntRange(0), help="Seed of the run."),
        click.option("--m", type=click.IntRange(1), help="Number of implicates."),
    ):
        command = option(command)
    return command


def carry_out(recipe: Recipe | StagedRecipe, out: str, m: int | None, seed: int | None, workers: int | None) -> None:
    """Run a recipe with what the command line changes in it, and say what came out."""
    from dataclasses import replace

    from microimpute import runner, say

    changes: dict[str, Any] = {k: v for k, v in (("m", m), ("seed", seed)) if v is not None}
    recipe = replace(recipe, impute=replace(recipe.impute, **changes))
    start = time.monotonic()
    with progress() as tell:
        result = runner.run(recipe, out, workers=workers, progress=tell)
    if isinstance(result, runner.StagedResult):
        click.echo(say.stages(result))
    else:
        click.echo(say.result(result))
    click.echo(f"Written in {time.monotonic() - start:.1f} s to {out}:")
    for name in sorted(p.name for p in Path(out).iterdir()):
        click.echo(f"  {out}/{name}")
