"""``microimpute run``: from a recipe to an enhanced file and a report."""

from __future__ import annotations

from pathlib import Path

import click

from microimpute.commands.running import carry_out, run_options
from microimpute.commands.shared import plain_errors

__all__ = ["run_command"]


@click.command("run")
@click.argument("recipe")
@click.option("--out", help="New directory for the results. Default: out/<name of the recipe>.")
@click.option("--donor", multiple=True, help="Donor file, instead of the recipe's; STAGE=FILE where there are several.")
@click.option("--receiver", help="Receiver file, instead of the recipe's.")
@run_options
def run_command(
    recipe: str,
    out: str | None,
    donor: tuple[str, ...],
    receiver: str | None,
    m: int | None,
    seed: int | None,
    workers: int | None,
) -> None:
    """Run a RECIPE (a TOML file): from two survey files to an enhanced file and a report."""
    with plain_errors():
        from microimpute.recipe_of_stages import moved, read_recipe

        read = moved(read_recipe(recipe), donor, receiver)
        carry_out(read, out or f"out/{Path(recipe).stem}", m, seed, workers)
