"""Links: how strongly the leading columns of two donors depend on each other, which no data here can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.dependence.priors import prior
from microimpute.dependence.reordering import reorder
from microimpute.encoding import features
from microimpute.errors import FusionError, closest
from microimpute.fusion import Fusion
from microimpute.keyed import Keys
from microimpute.stages.stage import Stage

__all__ = ["Link", "Linker", "check_links", "said_prior", "shared_predictors"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """What is believed of the rank correlation, given the predictors, of two columns from different donors.

    Attributes
    ----------
    first, second
        Column of an earlier and of a later stage: net worth and total spending, say. Whole bundles of the later stage
        are exchanged among receivers alike, led by these columns.
    rho
        A number; or what it may be, as a `dependence.priors.Prior` or plain values such as
        ``{"prior": "uniform", "low": 0.0, "high": 0.5}``. Each implicate (each nest) draws one value, so that pooled
        intervals carry the ignorance.
    """

    first: str
    second: str
    rho: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "rho", prior(self.rho))


@dataclass
class Linker:
    """Exchanges one stage's bundles so that its links hold, implicate by implicate.

    Parameters
    ----------
    links
        Those whose second column this stage gives.
    fusion
        Of the stage; predictors that are bridges are left out, since ρ is meant given what surveys share.
    bridges
        Their names.
    seed, draws
        Of the run.
    weight
        The receivers', shape (rows,).
    """

    links: Sequence[Link]
    fusion: Fusion
    bridges: tuple[str, ...]
    seed: int
    draws: int
    weight: FloatArray
    accounts: list[dict[str, Any]] = field(default_factory=list)

    def exchange(self, implicate: int, block: FloatArray, earlier: dict[str, FloatArray], own: FloatArray) -> None:
        """Exchange bundles of one implicate in place.

        Parameters
        ----------
        implicate
            1 … m.
        block
            The draws, shape (rows, targets).
        earlier
            Columns of earlier stages in this implicate, by name.
        own
            The leading column of this stage, shape (rows,).
        """
        if not self.links:
            return
        nest = (implicate - 1) // self.draws + 1
        asked = [link.rho.draw(self.seed, nest, f"{link.first} {link.second}") for link in self.links]
        leads = np.column_stack([earlier[link.first] for link in self.links])
        x = shared_predictors(self.fusion, self.bridges)
        keys: Keys = self.fusion.receiver_keys
        said: dict[str, Any] = {"seed": self.seed, "implicate": implicate, "weight": self.weight, "others": block}
        begun = None if self.bridges else 0.0  # bridges carry some dependence already: it is measured
        done = reorder(x, leads, own, asked, keys, drawn_with=begun, **said)
        block[:] = block[done.source]
        self.accounts.append({"implicate": implicate, **done.plain()})

    def plain(self) -> list[dict[str, Any]]:
        """Return links with what was asked and reached, in plain values for a manifest."""
        return [
            {
                "first": link.first,
                "second": link.second,
                "prior": link.rho.plain(),
                "said": said_prior(link),
                "asked": [a["asked"][k] for a in self.accounts],
                "before": [a["before"][k] for a in self.accounts],
                "reached": [a["reached"][k] for a in self.accounts],
            }
            for k, link in enumerate(self.links)
        ]


def said_prior(link: Link) -> str:
    """Write a prior as words: ``uniform, low 0.1, high 0.3``."""
    parts = {k: v for k, v in link.rho.plain().items() if v is not None}
    return ", ".join([str(parts.pop("prior")), *(f"{key} {value}" for key, value in parts.items())])


def shared_predictors(fusion: Fusion, bridges: Sequence[str]) -> FloatArray:
    """Return the receivers' predictors that are no bridges as numbers, shape (rows, columns)."""
    table = fusion.receivers
    shared = [(v, c) for v, c in zip(table.variables, table.values.T, strict=True) if v.name not in bridges]
    return np.hstack([features(v, c) for v, c in shared]).astype(np.float64)


def check_links(links: Sequence[Link], stages: Sequence[Stage]) -> None:
    """Check that links go from earlier to later stages, and that a stage is led by one column.

    Raises
    ------
    FusionError
        Names the link and the remedy.
    """
    place = {column: i for i, stage in enumerate(stages) for column in stage.gives()}
    leads: dict[int, str] = {}
    seen: set[tuple[str, str]] = set()
    for link in links:
        said = f"the link of {link.first!r} and {link.second!r}"
        for column in (link.first, link.second):
            if column not in place:
                raise FusionError(f"{said}: no stage gives {column!r}", closest(column, place))
        if place[link.first] >= place[link.second]:
            order = "of one donor, who knows how they go together" if place[link.first] == place[link.second] else ""
            raise FusionError(
                f"{said}: they are {order or 'in the wrong order'}", "Name a column of an earlier stage first."
            )
        if (link.first, link.second) in seen:
            raise FusionError(f"{said} is there twice", "Name it once.")
        seen.add((link.first, link.second))
        lead = leads.setdefault(place[link.second], link.second)
        if lead != link.second:
            raise FusionError(
                f"stage {stages[place[link.second]].name!r} is led by {lead!r} and by {link.second!r}",
                "Whole bundles are exchanged, by one column: choose it.",
            )
