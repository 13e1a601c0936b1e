"""How a method that chooses among others chose: the skill of every candidate on donor households held out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microimpute.metrics.base import FAMILIES
from microimpute.report.sides import plain
from microimpute.report.words import count, percent

__all__ = ["choices"]


def choices(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make the manifest's account of the choice plain.

    Parameters
    ----------
    manifest
        Of a run; its ``method.learnt`` has an entry ``choice`` per implicate if the method chose among others.

    Returns
    -------
    list of dict
        One entry for each different choice, with the implicates that made it: ``implicates``, ``chosen`` (a
        sentence), ``compared`` and ``mixture`` (sentences, the latter None), ``families`` and ``rows``. Empty if
        there was nothing to choose.
    """
    learnt = [said.get("choice") for said in manifest["method"].get("learnt", ())]
    made: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for number, choice in enumerate(learnt, start=1):
        if choice is not None:
            made.setdefault(json.dumps(choice, sort_keys=True), (choice, []))[1].append(number)
    return [_choice(choice, numbers, len(learnt)) for choice, numbers in made.values()]


def _choice(choice: Mapping[str, Any], numbers: list[int], m: int) -> dict[str, Any]:
    families = [f for f in FAMILIES if any(f in row["families"] for row in choice["candidates"])]
    taken = "mixture" if len(choice["chosen"]) > 1 else next(iter(choice["chosen"]))
    rows = [
        {
            "name": row["method"],
            "chosen": row["method"] == taken,
            "skills": [plain(row["families"].get(f)) for f in families],
            "mean": plain(row["mean"]),
            "why": row["note"],
        }
        for row in choice["candidates"]
    ]
    which = "all implicates" if len(numbers) == m else f"implicate {', '.join(map(str, numbers))}"
    return {
        "implicates": which,
        "chosen": _chosen(choice["chosen"]),
        "compared": _compared(choice),
        "mixture": _mixture(choice["mixture"], taken == "mixture"),
        "families": families,
        "rows": rows,
    }


def _chosen(shares: Mapping[str, float]) -> str:
    if len(shares) == 1:
        return f"Drawn by “{next(iter(shares))}”."
    parts = ", ".join(f"“{name}” ({percent(share)})" for name, share in shares.items())
    return f"Each row is drawn by one of several methods, at random with these shares: {parts}."


def _compared(choice: Mapping[str, Any]) -> str:
    if not choice["households"]:
        return f"Of {count(choice['donor_households'])} donor households, none were held out to compare methods."
    of = "" if choice["households"] == choice["donor_households"] else f" of {count(choice['donor_households'])}"
    return (
        f"{count(choice['households'])}{of} donor households were divided into {choice['folds']} folds; each candidate "
        f"learnt from the others and drew {choice['draws']} times for each fold."
    )


def _mixture(told: Mapping[str, Any] | None, used: bool) -> str | None:
    if told is None:
        return None
    parts = ", ".join(f"“{name}” ({percent(share)})" for name, share in told["shares"].items())
    if len(told["shares"]) == 1:
        return f"No mixture of methods has a lower energy score than {parts.split(' (')[0]} alone."
    how = "lowers" if told["gain"] > 0 else "raises"
    text = (
        f"The best mixture, {parts}, {how} the energy score of “{told['against']}” by {abs(told['gain']):.3g} "
        f"(standard error {told['standard_error']:.2g}) for households that its shares did not learn from"
    )
    return f"{text}." if used else f"{text}; it is not used."
