"""``microimpute export``: imputations for another program."""

from __future__ import annotations

import click

from microimpute.commands.shared import plain_errors

__all__ = ["export_command"]


@click.command("export")
@click.argument("folder", required=False)
@click.option("--format", "format_", help="Format; without it, all are listed.")
@click.option("--out", help="New file, or new directory, for the other program.")
def export_command(folder: str | None, format_: str | None, out: str | None) -> None:
    """Write the imputations in FOLDER (or a file that was exported) for another program."""
    with plain_errors():
        from microimpute import say
        from microimpute.imputations import Imputations

        if folder is None or format_ is None or out is None:
            click.echo(say.formats())
            return
        for note in Imputations.load(folder).export(out, format_):
            click.echo(f"  ! {note}", err=True)
        click.echo(f"Written to {out}.")
