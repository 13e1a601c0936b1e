"""``microimpute methods`` and ``microimpute surveys``: what there is."""

from __future__ import annotations

import click

from microimpute.commands.shared import plain_errors

__all__ = ["methods_command", "surveys_command"]


@click.command("methods")
@click.argument("name", required=False)
def methods_command(name: str | None) -> None:
    """List the methods and their facts, or show all about the one called NAME."""
    with plain_errors():
        from microimpute import say

        click.echo(say.methods() if name is None else say.method(name))


@click.command("surveys")
def surveys_command() -> None:
    """List the surveys that can be read, and the crosswalks between them."""
    from microimpute import say

    click.echo(say.surveys())
