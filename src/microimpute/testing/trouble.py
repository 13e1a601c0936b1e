"""Trouble: with bad or odd data every method gives sensible draws, or the project's error.

Sensible draws are finite and whole where counts are, of levels that donors have, never negative where no donor is
and never out of all proportion; and where the receivers are like the donors, shares among draws are near the
donors' weighted shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from microimpute.errors import MethodError
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Kind
from microimpute.methods.base import FloatArray, Method
from microimpute.survey import Survey
from microimpute.testing.examples import (
    BOUND,
    TARGETS,
    Check,
    example_donor,
    example_fusion,
    example_receiver,
    impute,
    made,
    refused,
    standard_error,
)

__all__ = [
    "a_category_with_one_donor",
    "all_missing_target",
    "degenerate_targets",
    "extreme_weights",
    "few_donors",
    "gaps_in_predictors",
    "infinite_and_missing_values",
    "more_targets_than_donors",
    "receivers_far_from_donors",
    "same_predictor_for_all_donors",
    "two_hundred_levels",
]

#: How many times the donors' largest amount a draw may be: a fitted tail goes beyond it, nothing blows up.
BEYOND = 1_000.0
#: By how much a share may differ from the donors' for reasons other than chance: smoothing, say.
SLACK = 0.02


def degenerate_targets(method: type[Method]) -> None:
    """Check that constant, all-zero and single-level targets come back as they are."""
    donor = example_donor(60).assign(same=7.0, nothing=0.0, one_level="a")
    fusion = example_fusion(donor, example_receiver(40), method, targets=("same", "nothing", "one_level"))
    done = impute(fusion, method=made(method), m=1).complete()
    for target in fusion.targets:
        assert set(done[target]) == set(donor[target]), f"{target} has other values than the donors"


def few_donors(method: type[Method]) -> None:
    """Check that one donor, and fewer than fifty, still give draws."""
    for donors in (1, 3, 30):
        donor = example_donor(donors)
        done = _tried(example_fusion(donor, example_receiver(20), method), method)
        if done is not None:
            _sensible(done, donor)


def a_category_with_one_donor(method: type[Method]) -> None:
    """Check that levels that one donor has, of targets and of a predictor, neither fail nor spread."""
    donor, receiver = example_donor(200), example_receiver(300)
    donor["region_of_work"] = donor["region_of_work"].where(donor.index != 5, "island")
    donor["health"] = donor["health"].cat.add_categories("dire").where(donor.index != 6, "dire")
    donor["region"] = donor["region"].where(donor.index != 7, "island")
    receiver["region"] = receiver["region"].where(receiver.index >= 60, "island")
    fusion = example_fusion(donor, receiver, method)
    done = _tried(fusion, method, m=2)
    if done is None:
        return
    _sensible(done, donor)
    alike = slice(60, None)
    _near(method, done, donor, "region_of_work", lambda values: values == "island", alike)
    _near(method, done, donor, "health", lambda values: values == "dire", alike)


def more_targets_than_donors(method: type[Method]) -> None:
    """Check 18 targets of all kinds from 15 donors."""
    donor = example_donor(15)
    names: list[str] = []
    for number in range(3):
        again = example_donor(15, seed=number)
        for target in TARGETS:
            names.append(f"{target}{number}")
            donor[names[-1]] = again[target]
    kinds = {name: Kind.ORDINAL if name.startswith("health") else Kind.COUNT for name in names if name[0] in "ht"}
    done = _tried(_fusion(donor, example_receiver(20), names, method, kinds=kinds), method)
    if done is not None:
        _sensible(done, donor)


def two_hundred_levels(method: type[Method]) -> None:
    """Check a target and a predictor of 200 levels each, some common and most rare."""
    donor, receiver = example_donor(600), example_receiver(600)
    rng = np.random.default_rng(3)
    levels = np.array([f"level {number:03}" for number in range(200)])
    chance = (1.0 + np.arange(200)[::-1]) ** -1.2
    for name, frame in (("job", donor), ("town", donor), ("town", receiver)):
        frame[name] = rng.choice(levels, len(frame), p=chance / chance.sum())
        frame.loc[:199, name] = levels  # each level at least once
        frame[name] = rng.permutation(frame[name].to_numpy())
    targets = ("wealth", "owner", "job")
    fusion = _fusion(donor, receiver, targets, method, predictors=("income", "town"))
    done = _tried(fusion, method, m=2)
    if done is None:
        return
    _sensible(done, donor)
    _near(method, done, donor, "wealth", lambda values: values != 0)
    _near(method, done, donor, "job", lambda values: values == "level 199")
    _near(method, done, donor, "job", lambda values: values < "level 100")


def same_predictor_for_all_donors(method: type[Method]) -> None:
    """Check predictors that no two donors differ in, but receivers do."""
    donor, receiver = example_donor(300).assign(income=20_000.0), example_receiver(300)
    donor["region"] = "north"
    done = _tried(example_fusion(donor, receiver, method), method)
    if done is None:
        return
    _sensible(done, donor)
    _near(method, done, donor, "wealth", lambda values: values != 0)
    _near(method, done, donor, "owner", lambda values: values)


def receivers_far_from_donors(method: type[Method]) -> None:
    """Check that receivers far outside the donors' range are counted, and given what donors could have."""
    donor, receiver = example_donor(200), example_receiver(200)
    receiver["income"] = receiver["income"].mask(receiver.index < 50, 1e12)
    receiver["income"] = receiver["income"].mask(receiver.index >= 150, -1e9)
    receiver["age"] = receiver["age"].mask(receiver.index < 100, 30_000)
    receiver["region"] = receiver["region"].mask(receiver.index < 20, "moon")
    fusion = example_fusion(donor, receiver, method)
    for name, least in (("income", 100), ("age", 100), ("region", 20)):
        told = [n.count for n in fusion.notes if n.text.startswith(f"{name} ") and n.warning]
        assert told, f"no warning counts the receivers whose {name} no donor is near"
        assert least <= told[0] <= least + 20, f"{told[0]} receivers are counted as far in {name}, not {least}"
    done = _tried(fusion, method, m=2)
    if done is not None:
        _sensible(done, donor)


def extreme_weights(method: type[Method]) -> None:
    """Check that a donor with half of the weight has half of the draws, where receivers are like the donors."""
    donor = example_donor(300)
    donor["wealth"] = donor["wealth"].clip(-1e6, 1e6)
    donor["owner"] = donor.index == 0
    donor.loc[0, "wealth"] = 4e6
    donor.loc[0, "weight"] = donor.loc[1:, "weight"].sum()
    like = np.random.default_rng(4).choice(300, 400, p=donor["weight"] / donor["weight"].sum())
    receiver = example_receiver(400)
    for name in ("income", "age", "region"):
        receiver[name] = donor[name].to_numpy()[like]
    fusion = example_fusion(donor, receiver, method, targets=("wealth", "owner"))
    training, chosen, drawn = fusion.training(1), made(method), []
    for number in (1, 2, 3):  # not `impute`, whose bootstrap would give this donor another weight each time
        fitted = chosen.fresh().fit(training.X, training.Y, training.weight, generator(0, number, "fit"))
        drawn.append(fitted.draw(fusion.receivers, RowRandom(0, number, fusion.receiver_keys)))
    for name, values in zip(fusion.targets, np.moveaxis(np.array(drawn), 2, 0), strict=True):
        assert np.isfinite(values).all(), f"{name} is not finite"
        share = float((values > (2e6 if name == "wealth" else 0.5)).mean())
        if method.valid and method.uses_weights:
            assert abs(share - 0.5) < 0.15, f"the donor with half of the weight has {share:.2f} of the draws of {name}"


def gaps_in_predictors(method: type[Method]) -> None:
    """Check that missing predictors are counted, and their rows get sensible draws."""
    donor, receiver = example_donor(300), example_receiver(300)
    for frame in (donor, receiver):
        frame["income"] = frame["income"].mask(frame.index % 3 == 0)
        frame["region"] = frame["region"].mask(frame.index % 5 == 0, None)
    receiver["age"] = receiver["age"].mask(receiver.index < 10)  # no donor's is missing
    fusion = example_fusion(donor, receiver, method)
    for name, count in (("income", 200), ("region", 120), ("age", 10)):
        told = [n.count for n in fusion.notes if n.text.startswith(f"{name} is missing")]
        assert told == [count], f"{count} gaps in {name} are counted as {told}"
    done = _tried(fusion, method, m=2)
    if done is None:
        return
    _sensible(done, donor)
    _near(method, done, donor, "wealth", lambda values: values != 0)
    _near(method, done, donor, "owner", lambda values: values)


def infinite_and_missing_values(method: type[Method]) -> None:
    """Check that gaps in a target and infinity anywhere are refused, with the column's name."""
    donor, receiver = example_donor(30), example_receiver(10)
    first, first_receiver = donor.index == 0, receiver.index == 0
    for bad in (np.nan, np.inf, -np.inf):
        broken = donor.assign(wealth=donor["wealth"].mask(first, bad))
        refused(lambda broken=broken: example_fusion(broken, receiver, method), "wealth")  # type: ignore[misc]
    for bad in (np.inf, -np.inf):
        broken = donor.assign(income=donor["income"].mask(first, bad))
        refused(lambda broken=broken: example_fusion(broken, receiver, method), "income")  # type: ignore[misc]
        broken = receiver.assign(income=receiver["income"].mask(first_receiver, bad))
        refused(lambda broken=broken: example_fusion(donor, broken, method), "income")  # type: ignore[misc]


def all_missing_target(method: type[Method]) -> None:
    """Check that a target that no donor has is refused with the project's error, which names it."""
    donor = example_donor(50).assign(wealth=np.nan)
    refused(lambda: example_fusion(donor, example_receiver(10), method), "wealth")


def _fusion(
    donor: pd.DataFrame,
    receiver: pd.DataFrame,
    targets: Sequence[str],
    method: type[Method],
    *,
    predictors: Sequence[str] = ("income", "age", "region"),
    kinds: dict[str, Kind] | None = None,
) -> Fusion:
    """Put frames together, with those targets whose kind the method can draw."""
    surveys = Survey(donor, weight="weight", keys="id"), Survey(receiver, weight="weight", keys="id")
    fusion = Fusion(*surveys, targets=targets, predictors=predictors, kinds=kinds)
    can = [t for t in targets if fusion.variables[t].kind in method.kinds]
    return Fusion(*surveys, targets=can, predictors=predictors, kinds=kinds)


def _tried(fusion: Fusion, method: type[Method], m: int = 1) -> Imputations | None:
    """Draw m times from one model; None where the method refuses with the project's error."""
    try:
        return impute(fusion, method=made(method), m=m, draws=m)
    except MethodError as error:
        if not error.remedy:
            raise AssertionError(f"the error has no remedy: {error}") from None
        return None


def _sensible(done: Imputations, donor: pd.DataFrame) -> None:
    """Check that all values are ones that donors could have."""
    for target in done.columns:
        for series in done.values[target]:
            values = pd.Series(series.to_list())
            assert not values.isna().any(), f"{target} has gaps"
            if donor[target].dtype.kind not in "fi":
                assert set(values) <= set(donor[target]), f"{target} has new levels"
                continue
            assert np.isfinite(values).all(), f"{target} is not finite"
            least, size = donor[target].min(), donor[target].abs().max()
            assert least < 0 or (values >= 0).all(), f"{target} is negative, which no donor's is"
            assert (values.abs() <= BEYOND * size).all(), f"{target} reaches {values.abs().max():g}, donors {size:g}"


def _near(
    method: type[Method],
    done: Imputations,
    donor: pd.DataFrame,
    target: str,
    has: Callable[[pd.Series], pd.Series],
    rows: slice = slice(None),
) -> None:
    """Check that as large a share of the draws has something as of the donors, by weight if the method uses it."""
    if target not in done.columns or not method.valid:
        return
    drawn: list[pd.Series] = [has(pd.Series(series.to_list()).iloc[rows]) for series in done.values[target]]
    truth: FloatArray = np.asarray(has(donor[target]), dtype=np.float64)
    weight = donor["weight"].to_numpy() if method.uses_weights else np.ones(len(donor))
    share, expected = float(np.mean(drawn)), float(np.average(truth, weights=weight))
    bound = BOUND * standard_error(truth, weight) + SLACK
    assert abs(share - expected) < bound, f"{target}: {share:.3f} of the draws, {expected:.3f} of the donors"


#: Every check of bad data.
CHECKS: tuple[Check, ...] = (
    degenerate_targets,
    few_donors,
    a_category_with_one_donor,
    more_targets_than_donors,
    two_hundred_levels,
    same_predictor_for_all_donors,
    receivers_far_from_donors,
    extreme_weights,
    gaps_in_predictors,
    infinite_and_missing_values,
    all_missing_target,
)
