"""``microimpute benchmark``: methods scored on a suite of tasks."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from microimpute.commands.leaderboard import write_pages
from microimpute.commands.shared import DIFFERENT, plain_errors, progress, split

__all__ = ["benchmark_command"]


@click.command("benchmark")
@click.argument("suite", default="quick")
@click.option("--methods", "methods_", help="Methods instead of the suite's, separated by commas.")
@click.option("--tasks", "tasks_", help="Tasks instead of the suite's: names or TOML files, separated by commas.")
@click.option("--seeds", type=click.IntRange(1), help="Instances of each task.")
@click.option("--first-seed", type=click.IntRange(0), help="Seed of the first instance; 0 unless given.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder below which tasks find their files by name.")
@click.option("--out", default="out/benchmark", show_default=True, type=click.Path(path_type=Path), help="Folder.")
@click.option("--workers", type=click.IntRange(1), help="Processes; all cores unless given.")
@click.option("--freeze", type=click.Path(path_type=Path), help="Only write the methods, frozen, to this file.")
@click.option("--confidential", type=click.Path(path_type=Path), help="SUITE is a task file; use these frozen methods.")
def benchmark_command(
    suite: str,
    methods_: str | None,
    tasks_: str | None,
    seeds: int | None,
    first_seed: int | None,
    data: Path | None,
    out: Path,
    workers: int | None,
    freeze: Path | None,
    confidential: Path | None,
) -> None:
    """Score methods on a SUITE of tasks (quick, full, or a TOML file); run again to resume."""
    with plain_errors():
        from microimpute.benchmark import confidential as restricted
        from microimpute.benchmark.runner import run_suite
        from microimpute.benchmark.suite import Suite

        if confidential is not None:
            restricted.run_confidential(Path(suite), confidential, out)
            click.echo(f"Written to {out}. {restricted.RULES}")
            return
        chosen = Suite.read(suite).changed(split(methods_ or ""), split(tasks_ or ""), seeds, first_seed)
        if freeze is not None:
            restricted.freeze(chosen.contenders, freeze)
            click.echo(f"Frozen: {', '.join(c.label for c in chosen.contenders)} in {freeze}.")
            return
        with progress() as tell:
            scores = run_suite(chosen, data=data, out=out, workers=workers, progress=tell)
        failed = write_pages(scores, chosen.title, out)
    if failed:
        sys.exit(DIFFERENT)
