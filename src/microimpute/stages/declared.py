"""Bridges as a crosswalk declares them, made ready for a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.concepts.bridge import DeclaredBridge, as_coarse, weighted_rank
from microimpute.crosswalks.base import Crosswalk
from microimpute.errors import FusionError
from microimpute.stages.stage import Bridge
from microimpute.survey import Survey

__all__ = ["declared_bridges"]

FloatArray = npt.NDArray[np.float64]


def declared_bridges(
    walk: Crosswalk, earlier: str, donor: Survey, receiver: Survey, names: Sequence[str] | None = None
) -> tuple[Bridge, ...]:
    """Return the bridges of a crosswalk from an earlier donor; its own donor gets them by `Crosswalk.with_bridges`.

    Parameters
    ----------
    walk
        Crosswalk of the later donor.
    earlier
        Connector of the earlier donor, "scf" say.
    donor
        The crosswalk's donor as `with_bridges` returns it: the receiver's ranks are as coarse as its.
    receiver
        The receiver, whose weights ranks are made with.
    names
        Bridges to use, as given to `with_bridges`; None takes all.

    Raises
    ------
    FusionError
        If a bridge is of another donor.
    SurveyError
        If there is no bridge of a name.
    """
    weight = receiver.weights()
    made = []
    for bridge in walk.chosen_bridges(names):
        if bridge.of != earlier:
            raise FusionError(
                f"bridge {bridge.name!r} of {walk.name} is made from {bridge.of}, not from {earlier}",
                "Leave it out, or put that donor first.",
            )
        text = f"{bridge.donor}; in {bridge.of}: {bridge.other}. {bridge.caveat}"
        text += " Ranks below those that the donor can tell apart count as its lowest." if bridge.ranked else ""
        made.append(Bridge(bridge.name, bridge.earlier, _formula(bridge, donor, weight), text))
    return tuple(made)


def _formula(
    bridge: DeclaredBridge, donor: Survey, weight: FloatArray
) -> Callable[[Mapping[str, FloatArray]], npt.NDArray[Any]]:
    def ranked(columns: Mapping[str, FloatArray]) -> FloatArray:
        own = weighted_rank(np.asarray(bridge.from_earlier(columns), dtype=np.float64), weight)
        return as_coarse(own, donor.numbers(bridge.name))

    return ranked if bridge.ranked else bridge.from_earlier
