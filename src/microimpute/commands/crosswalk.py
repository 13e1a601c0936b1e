"""``microimpute crosswalk``: how two surveys' concepts become one predictor, and how far their margins are apart."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from microimpute.commands.shared import plain_errors

if TYPE_CHECKING:
    from microimpute.crosswalks.base import Crosswalk
    from microimpute.fusion import Fusion
    from microimpute.margins import Margin
    from microimpute.survey import Survey

__all__ = ["AMBER", "GREEN", "crosswalk_command", "light"]

#: Standardised differences of means (absolute) below which a predictor is green, and amber; from there on it is red.
#: Those of distances and gaps in shares missing are `microimpute.margins.CLOSE` and `APART`.
GREEN, AMBER = 0.10, 0.25
_WIDTH = 110


@click.command("crosswalk")
@click.argument("donor", required=False)
@click.argument("receiver", required=False)
@click.option("--donor", "donor_file", type=click.Path(path_type=Path), help="Donor's file: compare margins.")
@click.option("--receiver", "receiver_file", type=click.Path(path_type=Path), help="Receiver's file.")
@click.option("--dollars", type=int, help="Year whose prices money is brought to; needed where the surveys' differ.")
@click.option("--donor-option", multiple=True, metavar="NAME=VALUE", help="For the donor's connector: year=2019, say.")
@click.option("--receiver-option", multiple=True, metavar="NAME=VALUE", help="For the receiver's connector.")
def crosswalk_command(
    donor: str | None,
    receiver: str | None,
    donor_file: Path | None,
    receiver_file: Path | None,
    dollars: int | None,
    donor_option: tuple[str, ...],
    receiver_option: tuple[str, ...],
) -> None:
    """Show the crosswalk from DONOR to RECEIVER (connectors' names), or list all.

    With both files, the weighted margins of each predictor are compared: green, amber or red.
    """
    with plain_errors():
        from microimpute.crosswalks.base import crosswalk
        from microimpute.errors import SurveyError

        if donor is None:
            click.echo(_listed())
            return
        if receiver is None and "_to_" not in donor:
            raise SurveyError(f"which receiver {donor!r} goes to is not said", "Name donor and receiver, or neither.")
        walk = crosswalk(donor if receiver is None else f"{donor}_to_{receiver}")
        if (donor_file is None) != (receiver_file is None):
            raise SurveyError("one file alone has nothing to be compared with", "Give --donor and --receiver.")
        if donor_file is None or receiver_file is None:
            click.echo(_described(walk))
            return
        sides = _read(walk.donor, donor_file, donor_option), _read(walk.receiver, receiver_file, receiver_option)
        click.echo(_compared(walk, *sides, dollars))


def light(margin: Margin) -> str:
    """Return ``green``, ``amber`` or ``red``, by the worst of distance, gap in shares missing, difference of means."""
    apart = abs(margin.difference or 0.0)
    by_means = 0 if apart < GREEN else 1 if apart < AMBER else 2
    by_distance = ("close", "apart", "far").index(margin.verdict)
    return ("green", "amber", "red")[max(by_means, by_distance)]


def _listed() -> str:
    from microimpute.crosswalks.base import crosswalks

    lines = [
        f"{name}\n"
        + fill(", ".join(c.name for c in w.concepts), _WIDTH, initial_indent="    ", subsequent_indent="    ")
        for name, w in crosswalks().items()
    ]
    return "\n".join([*lines, "", "One of them: microimpute crosswalk DONOR RECEIVER [--donor FILE --receiver FILE]"])


def _described(walk: Crosswalk) -> str:
    lines = [f"{walk.name}: from {walk.donor} to {walk.receiver}", ""]
    for c in walk.concepts:
        lines += [f"{c.name} ({c.kind.value}{', money in one year’s prices' if c.money else ''})"]
        lines += _said(("donor", c.donor), ("receiver", c.receiver), ("caveat", c.caveat))
    lines += ["Targets unless others are named:", fill(", ".join(walk.targets), _WIDTH), "", "Rules among them:"]
    lines += [fill(rule, _WIDTH, initial_indent="  ", subsequent_indent="    ") for rule in walk.rules]
    if walk.bridges:
        lines += ["", "Bridges, from imputed values of another donor:"]
    for b in walk.bridges:
        lines += [f"{b.name} ({b.kind.value}), from {b.of}: {', '.join(b.earlier)}"]
        lines += _said(("donor", b.donor), (b.of, b.other), ("caveat", b.caveat))
    lines += ["", "Remarks:", *_remarks(walk)]
    return "\n".join(lines)


def _said(*pairs: tuple[str, str]) -> list[str]:
    return [
        fill(text, _WIDTH, initial_indent=f"  {name:9} ", subsequent_indent=" " * 12) for name, text in pairs if text
    ]


def _remarks(walk: Crosswalk) -> list[str]:
    return [fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ") for text in walk.remarks]


def _read(name: str, file: Path, given: tuple[str, ...]) -> Survey:
    from microimpute.surveys.base import connector

    return connector(name).read(file, **dict(_option(text) for text in given))


def _option(text: str) -> tuple[str, Any]:
    from microimpute.errors import SurveyError

    name, equals, value = text.partition("=")
    if not equals:
        raise SurveyError(f"option {text!r} is not understood", "Write NAME=VALUE.")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.isdecimal() else value


def _compared(walk: Crosswalk, donor: Survey, receiver: Survey, dollars: int | None) -> str:
    from microimpute.errors import SurveyError
    from microimpute.fusion import Fusion
    from microimpute.margins import APART, CLOSE, format_margins, margins

    if dollars is None:
        if donor.dollars != receiver.dollars or donor.dollars is None:
            raise SurveyError(
                f"the donor is in dollars of {donor.dollars or 'several years'}, the receiver in dollars of "
                f"{receiver.dollars or 'several years'}",
                "Say --dollars, the year whose prices money is brought to.",
            )
        dollars = donor.dollars
    targets, rules = walk.defaults(donor)
    ours, theirs = walk.harmonise(donor, receiver, dollars)
    fusion = Fusion(ours, theirs, targets=targets, predictors=walk.predictors, rules=rules)
    found = margins(fusion)
    heads = [f"{walk.name}, money in {dollars} dollars", *_sources(fusion), "", format_margins(found), ""]
    lines = [f"{click.style(f'{light(m):6}', fg=_COLOURS[light(m)])} {m.name}" for m in found]
    said = [n for new, old in ((ours, donor), (theirs, receiver)) for n in new.notes[len(old.notes) :]]
    warned = [remark for remark in walk.remarks if remark.startswith("WARNING")]
    return "\n".join(
        [
            *heads,
            *lines,
            "",
            f"green: distance and gap in shares missing below {CLOSE}, difference of means below {GREEN} standard "
            f"deviations; amber: below {APART} and {AMBER}; red: from there on.",
            "",
            *(fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ") for text in (*warned, *said)),
        ]
    )


_COLOURS = {"green": "green", "amber": "yellow", "red": "red"}


def _sources(fusion: Fusion) -> list[str]:
    pairs = (("donor", fusion.donor), ("receiver", fusion.receiver))
    return [f"{side:9} {s.source}: {len(s):,} rows, weights sum to {s.weights().sum():,.0f}" for side, s in pairs]
