"""``microimpute demo``: a run on the samples that come with the package."""

from __future__ import annotations

import click

from microimpute.commands.running import carry_out, run_options
from microimpute.commands.shared import plain_errors

__all__ = ["demo_command"]


@click.command("demo")
@click.option("--out", default="out/demo", show_default=True, help="New directory for the results.")
@run_options
def demo_command(out: str, m: int | None, seed: int | None, workers: int | None) -> None:
    """Impute SCF wealth to CPS households on the samples that come with the package."""
    with plain_errors():
        from microimpute.recipe import Recipe, stock

        carry_out(Recipe.read(stock("scf_to_cps")), out, m, seed, workers)
