"""What several donors gave, as one set of imputations with one manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.checks import Note
from microimpute.frames import Series, make_series
from microimpute.fusion import Fusion
from microimpute.implicates import collect
from microimpute.imputations import Imputations
from microimpute.stages.drawn import StageDrawn
from microimpute.stages.links import Link, said_prior
from microimpute.stages.uncertainty import uncertainty
from microimpute.survey import Survey

__all__ = ["Fused", "joined"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fused:
    """What several donors gave.

    Attributes
    ----------
    imputations
        The receiver with the columns of all stages.
    stages
        One `Imputations` per stage, by its name: what that donor gave, as `report.summarise` takes it.
    fusions
        One `Fusion` per stage, by its name; with bridges, that of implicate 1.
    """

    imputations: Imputations
    stages: Mapping[str, Imputations]
    fusions: Mapping[str, Fusion]


def joined(base: Survey, done: Sequence[StageDrawn], gaps: Sequence[Note]) -> Fused:
    """Put the columns of all stages beside each other, with one manifest; `gaps` are notes on rules' columns."""
    made = {d.stage.name: collect(d.first, d.method, d.drawn) for d in done}
    backend = base.frame.implementation
    values = {
        c: tuple(s if s.implementation == backend else _in_library(s, backend) for s in series)
        for one in made.values()
        for c, series in one.values.items()
    }
    first = next(iter(made.values())).manifest
    manifest = {
        "m": first["m"],
        "draws": first["draws"],
        "seed": first["seed"],
        "receiver": first["receiver"],
        "stages": [{"name": name, **_stage_facts(d, one)} for d, (name, one) in zip(done, made.items(), strict=True)],
        "pairs": [_pair(a, b, base.weights()) for j, b in enumerate(done) for a in done[:j]],
        "targets": [t for one in made.values() for t in one.manifest["targets"]],
        "derived": [t for one in made.values() for t in one.manifest["derived"]],
        "rules": [r for one in made.values() for r in one.manifest["rules"]],
        "edits": [a.plain() for d in done for a in d.mender.accounts],
        "links": [link for d in done for link in d.linker.plain()],
        "notes": [
            *(asdict(n) for n in [*gaps, *_trimmed(done), *_unlucky(done)]),
            *(n for one in made.values() for n in one.manifest["notes"]),
        ],
    }
    return Fused(Imputations(base, tuple(values), values, manifest), made, {d.stage.name: d.first for d in done})


def _stage_facts(one: StageDrawn, imputations: Imputations) -> dict[str, Any]:
    bridges = [{"name": b.name, "from": list(b.earlier), "caveat": b.caveat} for b in one.stage.bridges]
    return {"bridges": bridges, "overlap": one.overlap.plain(), **imputations.manifest}


def _trimmed(done: Sequence[StageDrawn]) -> list[Note]:
    """Say which stages left out donors."""
    found = [(d.stage.name, d.overlap.trimmed) for d in done if d.overlap.trimmed is not None]
    return [
        Note(
            f"Stage {name} left out {t.rows:,} donor rows like no receiver, {t.share:.1%} of their weight, as asked.",
            t.rows,
        )
        for name, t in found
    ]


def _unlucky(done: Sequence[StageDrawn]) -> list[Note]:
    return [note for d in done for note in d.mender.told()]


def _pair(a: StageDrawn, b: StageDrawn, weight: FloatArray) -> dict[str, Any]:
    """Say what is assumed of how the targets of two stages go together, and what would be possible."""
    bridges = [bridge.name for bridge in b.stage.bridges if set(bridge.earlier) & set(a.stage.gives())]
    linked = [link for link in b.linker.links if link.first in a.stage.gives()]
    given = f"the predictors and {', '.join(bridges)}" if bridges else "the predictors"
    if linked:
        which = "; ".join(f"{k.first} and {k.second}, {said_prior(k)}" for k in linked)
        said = f"a rank correlation given the predictors, from outside these data: {which}"
    else:
        said = f"independent given {given}: assumed, and not testable with these data"
    found = uncertainty(a, b, weight)
    for pair in found["columns"]:
        pair["status"] = _status((pair["first"], pair["second"]), bridges, linked)
    return {
        "stages": [a.stage.name, b.stage.name],
        "bridged_by": bridges,
        "linked": bool(linked),
        "assumed": said,
        "uncertainty": found,
    }


def _status(pair: tuple[str, str], bridges: list[str], linked: list[Link]) -> str:
    """Say of two columns whether their dependence is linked, bridged or assumed away."""
    if pair in {(link.first, link.second) for link in linked}:
        return "linked"
    said = [f"bridged by {', '.join(bridges)}"] if bridges else []
    said += [f"exchanged with {link.first} and {link.second}" for link in linked]
    return "; ".join(said) or "assumed"


def _in_library(series: Series, backend: nw.Implementation) -> Series:
    """Return a column for another frame library, since a stage's receiver may be of another than the receiver."""
    return make_series(series.name, series.to_list(), series.dtype, backend)
