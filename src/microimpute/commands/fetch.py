"""``microimpute fetch``: get a survey's files from their publisher."""

from __future__ import annotations

from pathlib import Path

import click

from microimpute.commands.shared import plain_errors, progress

__all__ = ["fetch_command"]


@click.command("fetch")
@click.argument("survey", required=False)
@click.argument("year", type=int, required=False)
@click.option("--part", help="Which of the survey's files; without SURVEY all are listed.")
@click.option("--address", help="Another address than the listed one.")
@click.option("--sha256", help="Hash that the file must have.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where to keep it. Default: $MICROIMPUTE_DATA, else a cache."
)
@click.option("--offline", is_flag=True, help="Open no connection: say where the file is, or fail.")
@click.option("--contact", default="", help="Your e-mail address, for publishers that want one (bls.gov).")
def fetch_command(
    survey: str | None,
    year: int | None,
    part: str | None,
    address: str | None,
    sha256: str | None,
    folder: Path | None,
    offline: bool,
    contact: str,
) -> None:
    """Fetch a SURVEY's file of a YEAR from its publisher, unless it is here; print where it is.

    A connection that broke is taken up where it ended. Proxies are taken from the environment.
    """
    with plain_errors():
        from microimpute.fetching import fetch

        if survey is None or year is None:
            click.echo(_listed(survey))
            return
        with progress() as tell:
            path = fetch(
                survey,
                year,
                part,
                address=address,
                sha256=sha256,
                folder=folder,
                offline=offline,
                contact=contact,
                progress=tell,
            )
        click.echo(path)


def _listed(survey: str | None) -> str:
    from microimpute.errors import FetchError, closest
    from microimpute.fetching import known

    rows: dict[tuple[str, str, str], list[str]] = {}
    for one in known():
        mark = "" if one.basis == "seen" else "*"
        rows.setdefault((one.survey, one.part, one.note), []).append(f"{one.year}{mark}")
    if survey is not None and survey not in {s for s, _, _ in rows}:
        names = {s for s, _, _ in rows}
        raise FetchError(f"no address is known for survey {survey!r}", closest(survey, names))
    lines = [
        f"{name} {part}: {note}\n    {' '.join(years)}"
        for (name, part, note), years in rows.items()
        if survey in (None, name)
    ]
    return "\n".join(
        [*lines, "", "* The address follows the publisher's pattern; nobody has reported to have used it."]
    )
