"""impute, the main verb: what was asked is checked, then drawn implicate by implicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microimpute.errors import FusionError, MethodError
from microimpute.fusion import Fusion
from microimpute.implicates import Progress, collect, draw_all
from microimpute.imputations import Imputations
from microimpute.kinds import Kind
from microimpute.methods.base import Method
from microimpute.methods.base import method as method_named
from microimpute.rules import Rule
from microimpute.survey import Survey

__all__ = ["check_method", "check_settings", "check_whole", "impute"]


def impute(
    fusion: Any,
    receiver: Any = None,
    *,
    targets: Sequence[str] | None = None,
    predictors: Sequence[str] | None = None,
    weight: str | None = None,
    rules: Sequence[Rule | str] = (),
    kinds: Mapping[str, Kind | str] | None = None,
    method: str | Method = "forest",
    m: int = 5,
    draws: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Imputations:
    """Draw the targets for every row of the receiver, m times.

    Parameters
    ----------
    fusion
        A `Fusion`; or the donor, as a `Survey`, frame or path, with `receiver` and `targets`.
    receiver
        The receiver, when a donor is given.
    targets, predictors, rules, kinds
        As in `Fusion`, when a donor is given.
    weight
        Column of weights in the donor, and in the receiver if it has it, when frames are given.
    method
        Name of a method, or one made with settings of its own.
    m
        Number of implicates.
    draws
        How many of them are drawn from each model learnt, m being a multiple. With two or more the implicates come in
        nests, implicates 1 to `draws` the first, and `Imputations.pool` can tell what donors' sampling error does from
        what chance does: its intervals are then as wide as they have to be, not wider.
    seed
        Same seed, same draws: whatever the workers, the order of the rows, or the chunks.
    workers
        Threads; default: all cores.
    progress
        Called with a step's name and the share done.

    Returns
    -------
    Imputations

    Raises
    ------
    FusionError, SurveyError, MethodError
        Each names the column and the remedy.

    Notes
    -----
    Implicate i (nest i, if `draws` is more than one) is fitted to its own Bayesian bootstrap of the donor's
    households, or with a replicate weight of the donor where it has those of a bootstrap, on the donor's own
    implicate i where it has several (a method that draws its parameters from a posterior gets the donors as they
    are, see `Method.resampled`), so that the spread between implicates carries the donor's sampling and imputation
    error (Rubin 1987, ch. 4; Schenker & Rubin 1986).
    """
    ready = _fusion(fusion, receiver, targets, predictors, weight, rules, kinds)
    chosen = method_named(method) if isinstance(method, str) else method
    check_settings(m, draws, seed, workers)
    check_method(ready, chosen)
    drawn = draw_all(lambda implicate: ready, chosen, m=m, draws=draws, seed=seed, workers=workers, progress=progress)
    return collect(ready, chosen, drawn)


def _fusion(
    fusion: Any,
    receiver: Any,
    targets: Sequence[str] | None,
    predictors: Sequence[str] | None,
    weight: str | None,
    given: Sequence[Rule | str],
    kinds: Mapping[str, Kind | str] | None,
) -> Fusion:
    if isinstance(fusion, Fusion):
        if receiver is not None or targets or predictors or weight or given or kinds:
            raise FusionError(
                "a Fusion was given together with its parts",
                "Give either a Fusion, or donor, receiver and targets.",
            )
        return fusion
    if receiver is None or targets is None:
        raise FusionError("receiver or targets is missing", "Call impute(donor, receiver, targets=[...]).")
    donor = fusion if isinstance(fusion, Survey) else Survey(fusion, weight=weight)
    if not isinstance(receiver, Survey):
        bare = Survey(receiver)
        has_weight = weight is not None and weight in bare.columns
        receiver = Survey(bare.frame, weight=weight if has_weight else None)
    return Fusion(donor, receiver, targets=targets, predictors=predictors, rules=given, kinds=kinds)


def check_settings(m: int, draws: int, seed: int, workers: int | None) -> None:
    """Refuse numbers that can't be; names the setting.

    Raises
    ------
    MethodError
    """
    check_whole("m", m, 1)
    check_whole("draws", draws, 1)
    if m % draws:
        raise MethodError(
            f"m is {m}, no multiple of draws, {draws}", f"Give m={draws * max(2, round(m / draws))}, say."
        )
    check_whole("seed", seed, 0)
    check_whole("workers", 1 if workers is None else workers, 1)


def check_method(fusion: Fusion, method: Method) -> None:
    """Refuse a method that does not draw, or can't draw a target of this kind.

    Raises
    ------
    MethodError
        Names method and target.
    """
    if not method.valid:
        raise MethodError(
            f"a {method.name} is no draw: files of them have too little spread, too few zeros and no uncertainty",
            f"Choose a method that draws; {method.name!r} is for the benchmark, as what looks good by mean error.",
        )
    for target in fusion.targets:
        kind = fusion.variables[target].kind
        if kind not in method.kinds:
            raise MethodError(f"method {method.name!r} can't draw {target!r}, which is {kind.value}", "Choose another.")


def check_whole(name: str, value: object, least: int) -> None:
    """Refuse a setting that is no whole number, or too small.

    Raises
    ------
    MethodError
        Names the setting.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise MethodError(f"{name} is {value!r}", f"Give a whole number of at least {least}.")
