"""``microimpute inspect``: the columns of a file, and the first draft of its description."""

from __future__ import annotations

from pathlib import Path

import click

from microimpute.commands.shared import plain_errors

__all__ = ["inspect_command"]


@click.command("inspect")
@click.argument("file")
@click.option("--survey", default="table", show_default=True, help="Connector to read it with.")
@click.option("--description", help="TOML file that describes it, or the name of one that is shipped.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the first draft of a description to this file.")
def inspect_command(file: str, survey: str, description: str | None, write: Path | None) -> None:
    """Show the columns of FILE: type, kind as it would be inferred, zeros, gaps, range."""
    with plain_errors():
        from microimpute import say
        from microimpute.readers.drafting import draft
        from microimpute.storage import refuse_files
        from microimpute.surveys.base import connector

        options = {} if description is None else {"description": description}
        read = connector(survey).read(Path(file), **options)
        if write is not None:
            refuse_files(write)
            write.write_text(draft(read.frame, read.source), encoding="utf-8")
            click.echo(f"Written to {write}. Check every line with 'guess', then read the file with it:")
            click.echo(f"  microimpute inspect {file} --description {write}")
            return
        click.echo(say.inspect(read))
