"""``microimpute verify``: a run once more, and whether the same comes out."""

from __future__ import annotations

import sys

import click

from microimpute.commands.shared import DIFFERENT, pair, plain_errors, progress

__all__ = ["verify_command"]


@click.command("verify")
@click.argument("folder")
@click.option("--donor", multiple=True, help="Where the donor file is now, if it has moved; STAGE=FILE if several.")
@click.option("--receiver", help="Where the receiver file is now, if it has moved.")
@click.option(
    "--input", "inputs", multiple=True, metavar="INPUT=FILE", help="Any input of the manifest, where it is now."
)
@click.option("--workers", type=click.IntRange(1), help="Threads.")
def verify_command(
    folder: str, donor: tuple[str, ...], receiver: str | None, inputs: tuple[str, ...], workers: int | None
) -> None:
    """Run the manifest in FOLDER again and compare the hashes."""
    with plain_errors():
        from microimpute import runner

        moved: dict[str, str] = {}
        for text in donor:
            stage, equals, path = text.partition("=")
            moved |= {stage: path} if equals else {"donor": text}
        moved |= dict(pair(text, "input", "INPUT=FILE") for text in inputs)
        moved |= {"receiver": receiver} if receiver else {}
        with progress() as tell:
            lines = runner.verify(folder, inputs=moved, workers=workers, progress=tell)
        for line in lines:
            told = "same" if line.same else f"DIFFERS: recorded {line.recorded}, now {line.found}"
            click.echo(f"{line.what:34} {told}")
        outputs = [line for line in lines if not line.what.startswith("version")]
        if not all(line.same for line in outputs):
            click.echo("Not reproduced.")
            sys.exit(DIFFERENT)
        click.echo("Reproduced: every file has the recorded hash.")
