"""Which receivers of a stage have no comparable donors, by group; and donors like no receiver, left out if asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.dependence.overlap import NEAREST, Overlap, Trimmed, overlap, trim
from microimpute.encoding import feature_count, features
from microimpute.errors import FusionError
from microimpute.fusion import Fusion
from microimpute.keyed import RowRandom
from microimpute.kinds import Table, Variable
from microimpute.stages.groups import amount_groups
from microimpute.survey import Survey, replace_survey
from microimpute.weighted import quantile

__all__ = ["StageOverlap", "check_trim", "measure", "without"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Most receivers whose overlap is measured.
SAMPLE = 10_000
#: Groups of equal weight that an amount makes, and most levels of a class that are counted.
QUARTERS, LEVELS = 4, 12


@dataclass(frozen=True)
class StageOverlap:
    """How donors of a stage cover its receivers.

    Attributes
    ----------
    fusion
        Of implicate 1.
    rows
        Receivers that were looked at, shape (rows,).
    found
        What came out; None where there are too few donors to say.
    trimmed
        Donors that were left out before; None if that was not asked.
    """

    fusion: Fusion
    rows: IntArray
    found: Overlap | None
    trimmed: Trimmed | None = None

    def plain(self) -> dict[str, Any]:
        """Return plain values for a manifest: counts are of the receivers looked at, shares of their weight."""
        out: dict[str, Any] = {"rows": len(self.rows), "of": len(self.fusion.receivers), "trimmed": None}
        if self.trimmed is not None:
            out["trimmed"] = {"rows": self.trimmed.rows, "share": _figure(self.trimmed.share)}
        if self.found is None:
            return out | {"measured": False}
        effective = quantile(self.found.effective, 0.5, self.found.receiver_weight)
        everybody = {k: _figure(v) for k, v in self.found.counts()["all"].items()}
        return out | {
            "measured": True,
            "auc": _figure(self.found.auc),
            "effective": _figure(float(effective)),
            "all": everybody,
            "groups": [g for j, v in enumerate(self.fusion.receivers.variables) for g in self._groups(v, j)],
        }

    def _groups(self, variable: Variable, place: int) -> list[dict[str, Any]]:
        assert self.found is not None  # plain has looked
        values = self.fusion.receivers.values[self.rows, place]
        code, names = _named(variable, values, self.found.receiver_weight)
        if len(names) > LEVELS:
            return []
        counts = self.found.counts(code)
        return [
            {"predictor": variable.name, "group": names[k], **{n: _figure(v) for n, v in counts[str(k)].items()}}
            for k in range(len(names))
        ]


def measure(fusion: Fusion, seed: int, trimmed: Trimmed | None = None) -> StageOverlap:
    """Measure how well the donors of implicate 1 cover up to `SAMPLE` receivers, chosen at random by their keys."""
    keys = fusion.receiver_keys
    chosen = RowRandom(seed, 1, keys).uniform("sample of overlap") < SAMPLE / len(keys)
    rows = np.flatnonzero(chosen)
    training = fusion.training(1)
    if len(training.X) <= NEAREST or not len(rows) or not fusion.receiver.weights()[rows].sum() > 0:
        return StageOverlap(fusion, rows, None, trimmed)
    counts = [feature_count(v) for v in training.X.variables]
    found = overlap(
        _numbers(training.X),
        _numbers(fusion.receivers.take(rows)),
        training.households,
        keys[rows],
        donor_weight=training.weight,
        receiver_weight=fusion.receiver.weights()[rows],
        importance=np.repeat([1.0 / c for c in counts], counts),  # a class counts as much as an amount
        seed=seed,
    )
    return StageOverlap(fusion, rows, found, trimmed)


def check_trim(share: object, stage: str) -> None:
    """Refuse a share of trimming that can't be; names the stage.

    Raises
    ------
    FusionError
    """
    if share is None:
        return
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share < 0.5:
        raise FusionError(f"trim of stage {stage!r} is {share!r}", "Give a share from 0 to below 0.5, such as 0.01.")


def without(fusion: Fusion, share: float, stage: str, seed: int) -> tuple[Survey, Trimmed]:
    """Leave out donors' households that are like no receiver, see `dependence.overlap.trim`; receivers all stay.

    Raises
    ------
    FusionError
        If there are too few donors to say, or hardly one would be left; names the stage.
    """
    found = measure(fusion, seed).found
    if found is None:
        raise FusionError(
            f"donors of stage {stage!r} can't be trimmed: there are no more than {NEAREST}", "Leave trim out."
        )
    try:
        chosen = trim(found, share)
    except FusionError as error:
        raise FusionError(f"stage {stage!r}: {error.problem}", error.remedy) from None
    donor = fusion.donor
    keep = np.isin(donor.household_keys(), fusion.training(1).households[~chosen.keep], invert=True)
    weight = donor.weights()
    left_out = Trimmed(keep, int((~keep).sum()), float(weight[~keep].sum() / weight.sum()))
    return replace_survey(donor, frame=donor.frame.filter(keep.tolist())), left_out


def _numbers(table: Table) -> FloatArray:
    return np.hstack([features(v, c) for v, c in zip(table.variables, table.values.T, strict=True)]).astype(np.float64)


def _named(variable: Variable, values: FloatArray, weight: FloatArray) -> tuple[IntArray, list[str]]:
    """Return each row's group, 0, 1, …, and how the groups are called: levels, or quarters of an amount."""
    if variable.kind.is_class:
        codes, code = np.unique(values.astype(np.int64), return_inverse=True)
        return code.astype(np.int64), ["no donor's" if c < 0 else str(variable.levels[c]) for c in codes]
    return amount_groups(values, weight, QUARTERS)


def _figure(value: float) -> float:
    return value if isinstance(value, int) else round(float(value), 4)
