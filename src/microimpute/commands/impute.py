"""``microimpute impute``: columns of one file to another, without a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from microimpute.commands.running import carry_out, run_options
from microimpute.commands.shared import pair, plain_errors, split

__all__ = ["impute_command"]


@click.command("impute")
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
@run_options
def impute_command(out: str, m: int | None, seed: int | None, workers: int | None, **said: Any) -> None:
    """Impute columns of one file to another."""
    with plain_errors():
        from microimpute.recipe import Recipe

        carry_out(Recipe.from_dict(_two_files(**said), Path.cwd()), out, m, seed, workers)


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
            side["keys"] = split(names)
    fusion: dict[str, Any] = {"targets": split(targets), "rules": list(rule)}
    fusion["kinds"] = dict(pair(k, "kind", "COLUMN=KIND") for k in kind)
    if predictors:
        fusion["predictors"] = split(predictors)
    title = f"{Path(donor).name} onto {Path(receiver).name}"
    return {"title": title, "donor": ours, "receiver": theirs, "fusion": fusion, "impute": {"method": method}}


def _has_column(path: str, column: str) -> bool:
    from microimpute.frames import as_frame

    return column in as_frame(path).columns
