"""The command line. Heavy imports stand inside the commands, so that help is instant."""

from __future__ import annotations

import click

from microimpute.commands.benchmark import benchmark_command
from microimpute.commands.crosswalk import crosswalk_command
from microimpute.commands.demo import demo_command
from microimpute.commands.export import export_command
from microimpute.commands.fetch import fetch_command
from microimpute.commands.impute import impute_command
from microimpute.commands.inspect import inspect_command
from microimpute.commands.leaderboard import leaderboard_command
from microimpute.commands.listing import methods_command, surveys_command
from microimpute.commands.run import run_command
from microimpute.commands.verify import verify_command

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="microimpute")
def main() -> None:
    """Give a receiver survey the variables that only a donor survey has."""


for command in (
    benchmark_command,
    crosswalk_command,
    demo_command,
    export_command,
    fetch_command,
    impute_command,
    inspect_command,
    leaderboard_command,
    methods_command,
    surveys_command,
    run_command,
    verify_command,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
