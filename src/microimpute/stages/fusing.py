"""fuse: several donors one after the other, each implicate carrying its own earlier draws forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.dependence.overlap import Trimmed
from microimpute.drawing import check_method, check_settings
from microimpute.errors import FusionError
from microimpute.fusion import Fusion
from microimpute.implicates import After, Again, Progress, draw_all
from microimpute.keyed import generator
from microimpute.methods.base import method as method_named
from microimpute.rules import Rule
from microimpute.stages.drawn import StageDrawn, with_totals
from microimpute.stages.edits import Edit
from microimpute.stages.joining import Fused, joined
from microimpute.stages.links import Link, Linker, check_links
from microimpute.stages.mending import Mender
from microimpute.stages.overlap import check_trim, measure, without
from microimpute.stages.span import (
    check_classes,
    eligible_donors,
    last_edits,
    make_mender,
    observed_columns,
    without_gaps,
)
from microimpute.stages.stage import Stage, as_survey, check_order
from microimpute.survey import Survey

__all__ = ["fuse"]

FloatArray = npt.NDArray[np.float64]


def fuse(
    receiver: Any,
    stages: Sequence[Stage],
    *,
    links: Sequence[Link] = (),
    edits: Sequence[Edit | Rule | str] = (),
    m: int = 5,
    draws: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    before: Callable[[Fusion], None] | None = None,
) -> Fused:
    """Draw the targets of several donors for every row of one receiver, m times.

    Parameters
    ----------
    receiver
        `Survey`, or anything that `Survey` takes.
    stages
        In the order in which they are drawn. Implicate i of a stage with bridges is drawn given implicate i of the
        stages before.
    links
        What is believed of the dependence between columns of different stages, see `Link`.
    edits
        Rules across stages and the receiver's own columns, with their repair, see `Edit`; a rule alone is redrawn.
    m, draws, seed, workers, progress
        As in `microimpute.impute`. The first stage draws what `impute` would; every other has random numbers of its
        own.
    before
        Called with each stage's checked `Fusion` (with bridges, that of implicate 1) before anything is drawn from it.

    Returns
    -------
    Fused

    Raises
    ------
    FusionError, SurveyError, MethodError
        Each names stage or column, and the remedy.

    Notes
    -----
    Without a bridge or a link, targets of two donors are independent given the predictors, whatever is true: that is an
    assumption, and the manifest says so for every pair of stages. Bundles are exchanged by links before rules are
    looked at; a bundle that is drawn again then has its place in that order by chance.
    """
    check_settings(m, draws, seed, workers)
    base = as_survey(receiver)
    check_order(stages, base)
    check_links(links, stages)
    for stage in stages:
        check_trim(stage.trim, stage.name)
    asked = [edit if isinstance(edit, Edit) else Edit(edit) for edit in edits]
    check_classes({repr(str(e.rule)): e.columns for e in asked}, stages)
    check_classes({f"the link of {k.first!r} and {k.second!r}": (k.first, k.second) for k in links}, stages)
    observed, gaps = without_gaps(observed_columns(asked, stages, base))
    done: list[StageDrawn] = []
    for number, stage in enumerate(stages):
        own_seed = stage_seed(seed, number)
        fusion_of, trimmed = _trimmed_fusions(stage, base, done, own_seed)
        first = fusion_of(1)
        chosen = method_named(stage.method) if isinstance(stage.method, str) else stage.method
        check_method(first, chosen)
        if before:
            before(first)
        own_links = [link for link in links if link.second in stage.gives()]
        bridges = tuple(bridge.name for bridge in stage.bridges)
        linker = Linker(own_links, first, bridges, own_seed, draws, base.weights())
        mender = make_mender(last_edits(asked, stages, number), stage.name, first, base)
        drawn = draw_all(
            fusion_of, chosen, m=m, draws=draws, seed=own_seed, workers=workers,
            progress=_told(progress, stage.name, number, len(stages)),
            after=_after(first, list(done), observed, linker, mender),
        )  # fmt: skip
        done.append(StageDrawn(stage, chosen, first, drawn, linker, mender, measure(first, own_seed, trimmed)))
    return joined(base, done, gaps)


def _trimmed_fusions(
    stage: Stage, base: Survey, done: Sequence[StageDrawn], seed: int
) -> tuple[Callable[[int], Fusion], Trimmed | None]:
    """Return what `_fusions` does, without donors that are like no receiver if the stage asks for it."""
    fusion_of = _fusions(stage, base, done)
    if stage.trim is None:
        return fusion_of, None
    donor, trimmed = without(fusion_of(1), stage.trim, stage.name, seed)
    return _fusions(replace(stage, donor=donor), base, done), trimmed


def _after(
    fusion: Fusion, done: Sequence[StageDrawn], observed: dict[str, FloatArray], linker: Linker, mender: Mender
) -> After | None:
    """Return what happens to a stage's draws: bundles are exchanged by links, then rules are seen to."""
    if not (linker.links or mender.edits):
        return None

    def after(implicate: int, block: FloatArray, own: Fusion, again: Again) -> None:
        earlier: dict[str, FloatArray] = {}
        for one in done:
            earlier |= one.columns(implicate)
        if linker.links:
            drawn = with_totals(fusion, dict(zip(fusion.targets, block.T, strict=True)))
            linker.exchange(implicate, block, earlier, drawn[linker.links[0].second])
        nest = (implicate - 1) // linker.draws + 1
        donors = partial(eligible_donors, own, implicate, nest, linker.seed)
        mender.mend(block, observed | earlier, again, donors)

    return after


def stage_seed(seed: int, number: int) -> int:
    """Return a stage's own seed: two stages must not share random numbers, or what they draw would move together."""
    return seed if number == 0 else int(generator(seed, number, "stage").integers(2**62))


def _told(progress: Progress | None, name: str, number: int, count: int) -> Progress | None:
    if progress is None:
        return None
    tell = progress
    return lambda step, share: tell(f"{name}: {step}", (number + share) / count)


def _fusions(stage: Stage, base: Survey, done: Sequence[StageDrawn]) -> Callable[[int], Fusion]:
    """Return implicate → fusion: one for all where there is no bridge, else with that implicate's bridges."""
    seen = base if stage.receiver is None else as_survey(stage.receiver)
    if taken := next((c for c in stage.gives() if c in base.columns), None):
        raise FusionError(
            f"stage {stage.name!r} gives {taken!r}, which the receiver has already",
            "Leave it out: observed values are never overwritten.",
        )
    if len(seen) != len(base) or (not np.array_equal(seen.row_keys(), base.row_keys()) and base.keys):
        raise FusionError(
            f"stage {stage.name!r} sees other receivers than the {len(base):,} that are fused",
            "Make its receiver from the same survey: same rows, same keys, same order.",
        )
    given: dict[str, Any] = {"targets": stage.targets, "rules": stage.rules, "kinds": stage.kinds}
    if not stage.bridges:
        whole = Fusion(stage.donor, seen, predictors=stage.predictors, **given)
        return lambda implicate: whole
    if stage.predictors is None:
        raise FusionError(
            f"stage {stage.name!r} has bridges but names no predictors", "Name the predictors that both surveys have."
        )
    predictors = [*stage.predictors, *(b.name for b in stage.bridges)]
    donor = as_survey(stage.donor)

    def one(implicate: int) -> Fusion:
        known: dict[str, npt.NDArray[Any]] = {}
        for earlier in done:
            known |= earlier.values(implicate)
        made = {bridge.name: bridge.values(known) for bridge in stage.bridges}
        return Fusion(donor, seen.with_columns(made), predictors=predictors, **given)

    return one
