"""The command line. Heavy imports stand inside the commands, so that help is instant."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microimpute.commands.crosswalk import crosswalk_command
from microimpute.commands.fetch import fetch_command
from microimpute.commands.inspect import inspect_command
from microimpute.commands.shared import DIFFERENT
from microimpute.commands.shared import plain_errors as _plain_errors
from microimpute.commands.shared import progress as _progress

if TYPE_CHECKING:
    from microimpute.benchmark.scores import Scores
    from microimpute.recipe import Recipe
    from microimpute.recipe_of_stages import StagedRecipe

__all__ = ["main"]


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="microimpute")
def main() -> None:
    """Give a receiver survey the variables that only a donor survey has."""


@main.command()
@click.option("--out", default="out/demo", show_default=True, help="New directory for the results.")
@_shared
def demo(out: str, m: int | None, seed: int | None, workers: int | None) -> None:
    """Impute SCF wealth to CPS households on the samples that come with the package."""
    with _plain_errors():
        from microimpute.recipe import Recipe, stock

        _run(Recipe.read(stock("scf_to_cps")), out, m, seed, workers)


@main.command("run")
@click.argument("recipe")
@click.option("--out", help="New directory for the results. Default: out/<name of the recipe>.")
@click.option("--donor", multiple=True, help="Donor file, instead of the recipe's; STAGE=FILE where there are several.")
@click.option("--receiver", help="Receiver file, instead of the recipe's.")
@_shared
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
    with _plain_errors():
        from microimpute.recipe_of_stages import moved, read_recipe

        read = moved(read_recipe(recipe), donor, receiver)
        _run(read, out or f"out/{Path(recipe).stem}", m, seed, workers)


@main.command("impute")
@click.option("--donor", required=True, help="Parquet, CSV or Stata file that has the targets.")
@click.option("--receiver", required=True, help="Parquet, CSV or Stata file that gets them.")
@click.option("--targets", required=True, help="Columns to impute, separated by commas.")
@click.option("--out", required=True, help="New directory for the results.")
@click.option("--weight", help="Weight column of the donor; of the receiver too, unless --receiver-weight.")
@click.option("--receiver-weight", help="Weight column of the receiver.")
@click.option("--predictors", help="Columns to condition on, separated by commas. Default: all common columns.")
@click.option("--key", help="Key column(s) of the receiver, separated by commas.")
@click.option("--donor-key", help="Key column(s) of the donor, separated by commas.")
@click.option("--kind", multiple=True, metavar="COLUMN=KIND", help="Declared kind, such as children=count.")
@click.option("--rule", multiple=True, help="Edit rule, such as 'mortgage requires house' or 'a = b - c'.")
@click.option("--method", default="forest", show_default=True, help="See: microimpute methods.")
@_shared
def impute_command(out: str, m: int | None, seed: int | None, workers: int | None, **said: Any) -> None:
    """Impute columns of one file to another."""
    with _plain_errors():
        from microimpute.recipe import Recipe

        _run(Recipe.from_dict(_two_files(**said), Path.cwd()), out, m, seed, workers)


def _two_files(
    donor: str,
    receiver: str,
    targets: str,
    weight: str | None,
    receiver_weight: str | None,
    predictors: str | None,
    key: str | None,
    donor_key: str | None,
    kind: tuple[str, ...],
    rule: tuple[str, ...],
    method: str,
) -> dict[str, Any]:
    """Write what was said on the command line as a recipe."""
    ours: dict[str, Any] = {"path": donor}
    theirs: dict[str, Any] = {"path": receiver}
    if weight:
        ours["weight"] = weight
    if receiver_weight:
        theirs["weight"] = receiver_weight
    elif weight and _has_column(receiver, weight):
        theirs["weight"] = weight
    for side, names in ((ours, donor_key), (theirs, key)):
        if names:
            side["keys"] = _split(names)
    fusion: dict[str, Any] = {"targets": _split(targets), "rules": list(rule)}
    fusion["kinds"] = dict(_pair(k, "kind", "COLUMN=KIND") for k in kind)
    if predictors:
        fusion["predictors"] = _split(predictors)
    title = f"{Path(donor).name} onto {Path(receiver).name}"
    return {"title": title, "donor": ours, "receiver": theirs, "fusion": fusion, "impute": {"method": method}}


def _has_column(path: str, column: str) -> bool:
    from microimpute.frames import as_frame

    return column in as_frame(path).columns


def _split(names: str) -> list[str]:
    return [n.strip() for n in names.split(",") if n.strip()]


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    from microimpute.errors import MicroImputeError

    left, equals, right = text.rpartition("=")
    if not equals:
        raise MicroImputeError(f"--{option} {text!r} is not understood", f"Write {form}.")
    return left, right


def _run(recipe: Recipe | StagedRecipe, out: str, m: int | None, seed: int | None, workers: int | None) -> None:
    """Run a recipe with what the command line changes in it, and say what came out."""
    from dataclasses import replace

    from microimpute import runner, say

    changes: dict[str, Any] = {k: v for k, v in (("m", m), ("seed", seed)) if v is not None}
    recipe = replace(recipe, impute=replace(recipe.impute, **changes))
    start = time.monotonic()
    with _progress() as progress:
        result = runner.run(recipe, out, workers=workers, progress=progress)
    if isinstance(result, runner.StagedResult):
        click.echo(say.stages(result))
    else:
        click.echo(say.result(result))
    click.echo(f"Written in {time.monotonic() - start:.1f} s to {out}:")
    for name in sorted(p.name for p in Path(out).iterdir()):
        click.echo(f"  {out}/{name}")


@main.command()
@click.argument("folder")
@click.option("--donor", multiple=True, help="Where the donor file is now, if it has moved; STAGE=FILE if several.")
@click.option("--receiver", help="Where the receiver file is now, if it has moved.")
@click.option(
    "--input", "inputs", multiple=True, metavar="INPUT=FILE", help="Any input of the manifest, where it is now."
)
@click.option("--workers", type=click.IntRange(1), help="Threads.")
def verify(
    folder: str, donor: tuple[str, ...], receiver: str | None, inputs: tuple[str, ...], workers: int | None
) -> None:
    """Run the manifest in FOLDER again and compare the hashes."""
    with _plain_errors():
        from microimpute import runner

        moved: dict[str, str] = {}
        for text in donor:
            stage, equals, path = text.partition("=")
            moved |= {stage: path} if equals else {"donor": text}
        moved |= dict(_pair(text, "input", "INPUT=FILE") for text in inputs)
        moved |= {"receiver": receiver} if receiver else {}
        with _progress() as progress:
            lines = runner.verify(folder, inputs=moved, workers=workers, progress=progress)
        for line in lines:
            told = "same" if line.same else f"DIFFERS: recorded {line.recorded}, now {line.found}"
            click.echo(f"{line.what:34} {told}")
        outputs = [line for line in lines if not line.what.startswith("version")]
        if not all(line.same for line in outputs):
            click.echo("Not reproduced.")
            sys.exit(DIFFERENT)
        click.echo("Reproduced: every file has the recorded hash.")


@main.command("export")
@click.argument("folder", required=False)
@click.option("--format", "format_", help="Format; without it, all are listed.")
@click.option("--out", help="New file, or new directory, for the other program.")
def export_command(folder: str | None, format_: str | None, out: str | None) -> None:
    """Write the imputations in FOLDER (or a file that was exported) for another program."""
    with _plain_errors():
        from microimpute import say
        from microimpute.imputations import Imputations

        if folder is None or format_ is None or out is None:
            click.echo(say.formats())
            return
        for note in Imputations.load(folder).export(out, format_):
            click.echo(f"  ! {note}", err=True)
        click.echo(f"Written to {out}.")


@main.command("benchmark")
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
    with _plain_errors():
        from microimpute.benchmark import confidential as restricted
        from microimpute.benchmark.runner import run_suite
        from microimpute.benchmark.suite import Suite

        if confidential is not None:
            restricted.run_confidential(Path(suite), confidential, out)
            click.echo(f"Written to {out}. {restricted.RULES}")
            return
        chosen = Suite.read(suite).changed(_split(methods_ or ""), _split(tasks_ or ""), seeds, first_seed)
        if freeze is not None:
            restricted.freeze(chosen.contenders, freeze)
            click.echo(f"Frozen: {', '.join(c.label for c in chosen.contenders)} in {freeze}.")
            return
        with _progress() as progress:
            scores = run_suite(chosen, data=data, out=out, workers=workers, progress=progress)
        failed = _leaderboard(scores, chosen.title, out)
    if failed:
        sys.exit(DIFFERENT)


@main.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--title", default="Benchmark", show_default=True, help="Title of the pages.")
@click.option("--out", default="out/benchmark", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def leaderboard(results: tuple[Path, ...], title: str, out: Path) -> None:
    """Make the pages again from RESULTS, one or more journals (results.jsonl, or gzipped).

    Of two records of one cell the later counts, in the order of the journals.
    """
    with _plain_errors():
        from microimpute.benchmark.journal import read
        from microimpute.benchmark.runner import make_folder
        from microimpute.benchmark.scores import Scores

        scores = Scores.of(read(*results))
        make_folder(out)
        _leaderboard(scores, title, out)


def _leaderboard(scores: Scores, title: str, out: Path) -> int:
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


@main.command()
@click.argument("name", required=False)
def methods(name: str | None) -> None:
    """List the methods and their facts, or show all about the one called NAME."""
    with _plain_errors():
        from microimpute import say

        click.echo(say.methods() if name is None else say.method(name))


@main.command()
def surveys() -> None:
    """List the surveys that can be read, and the crosswalks between them."""
    from microimpute import say

    click.echo(say.surveys())


# Commands with a file of their own; each is a line here.
main.add_command(crosswalk_command)
main.add_command(fetch_command)
main.add_command(inspect_command)


if __name__ == "__main__":
    main()
