"""``microimpute leaderboard``: the pages of a benchmark, made of its journals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from microimpute.commands.shared import plain_errors

if TYPE_CHECKING:
    from microimpute.benchmark.scores import Scores

__all__ = ["leaderboard_command", "write_pages"]


@click.command("leaderboard")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--title", default="Benchmark", show_default=True, help="Title of the pages.")
@click.option("--out", default="out/benchmark", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def leaderboard_command(results: tuple[Path, ...], title: str, out: Path) -> None:
    """Make the pages again from RESULTS, one or more journals (results.jsonl, or gzipped).

    Of two records of one cell the later counts, in the order of the journals.
    """
    with plain_errors():
        from microimpute.benchmark.journal import read
        from microimpute.benchmark.runner import make_folder
        from microimpute.benchmark.scores import Scores

        scores = Scores.of(read(*results))
        make_folder(out)
        write_pages(scores, title, out)


def write_pages(scores: Scores, title: str, out: Path) -> int:
    """Write both pages, print the Markdown's opening, return the number of failed cells."""
    from microimpute.benchmark.leaderboard import summarise
    from microimpute.benchmark.markdown import markdown
    from microimpute.benchmark.page import page

    summary = summarise(scores, title)
    text = markdown(summary)
    (out / "leaderboard.md").write_text(text, encoding="utf-8")
    (out / "leaderboard.html").write_text(page(summary), encoding="utf-8")
    click.echo(text.split("\n## ")[0])
    for name in ("leaderboard.md", "leaderboard.html"):
        click.echo(f"  {out / name}")
    for trouble in summary["troubles"]:
        click.echo(f"  ! {trouble}", err=True)
    for left in summary["left_out"]:
        click.echo(f"  ! not run: {left}", err=True)
    return len(scores.failed)
