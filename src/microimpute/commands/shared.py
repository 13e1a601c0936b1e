"""What all commands share: exit codes, errors in plain words, progress, lists in one option."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from microimpute.errors import MicroImputeError

__all__ = ["BAD_INPUT", "DIFFERENT", "pair", "plain_errors", "progress", "split"]

#: Exit code when what the user gave can't be used.
BAD_INPUT = 2
#: Exit code when a verification finds a difference.
DIFFERENT = 1


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the project's errors into one message and exit code 2."""
    try:
        yield
    except MicroImputeError as error:
        click.echo(f"Error: {error.problem}.\n       {error.remedy}", err=True)
        sys.exit(BAD_INPUT)


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """Show a bar on a terminal and plain lines elsewhere."""
    start = time.monotonic()
    if not sys.stderr.isatty():
        yield lambda step, share: click.echo(f"[{time.monotonic() - start:6.1f} s] {step}", err=True)
        return
    from tqdm import tqdm

    with tqdm(total=100, bar_format="{percentage:3.0f}% |{bar:30}| {desc} ({elapsed})", leave=False) as bar:

        def show(step: str, share: float) -> None:
            bar.set_description_str(step)
            bar.n = round(100 * share)
            bar.refresh()

        yield show


def split(names: str) -> list[str]:
    """Take names apart that stand in one option, separated by commas."""
    return [n.strip() for n in names.split(",") if n.strip()]


def pair(text: str, option: str, form: str) -> tuple[str, str]:
    """Take apart what an option gives as NAME=VALUE.

    Raises
    ------
    MicroImputeError
        If there is no equals sign; says how the option is written.
    """
    left, equals, right = text.rpartition("=")
    if not equals:
        raise MicroImputeError(f"--{option} {text!r} is not understood", f"Write {form}.")
    return left, right
