"""Example donors and receivers with known dependence, and what all checks use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from microimpute import drawing
from microimpute.errors import MicroImputeError
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.kinds import Kind
from microimpute.methods.base import FloatArray, Method
from microimpute.survey import Survey

__all__ = [
    "BOUND",
    "TARGETS",
    "Check",
    "example_donor",
    "example_fusion",
    "example_receiver",
    "impute",
    "made",
    "refused",
    "standard_error",
]

Check = Callable[[type[Method]], None]

#: Bound of statistical checks, in standard errors: a sound method fails about once in 10,000 seeds.
BOUND = 4.0

TARGETS = ("wealth", "debt", "trips", "owner", "region_of_work", "health")
KINDS = {"trips": Kind.COUNT, "health": Kind.ORDINAL}


def example_donor(rows: int, seed: int = 0) -> pd.DataFrame:
    """Make donors with every kind of target and known dependence on the predictors.

    Parameters
    ----------
    rows
        Number of donors.
    seed
        Seed of the example.

    Returns
    -------
    pandas.DataFrame
        Predictors ``income``, ``age``, ``region``; targets ``wealth`` (a mass at zero, losses, a heavy tail),
        ``debt`` (only with positive wealth), ``trips`` (count), ``owner`` (binary), ``region_of_work``
        (categorical, text) and ``health`` (ordinal); ``weight`` and ``id``.
    """
    frame = example_receiver(rows, seed)
    rng = np.random.default_rng([seed, 2])
    income = frame["income"].to_numpy()
    some = rng.random(rows) < 1 / (1 + np.exp(-(np.log(income) - 10)))
    size = np.exp(0.8 * np.log(income) + rng.normal(size=rows))
    frame["wealth"] = np.where(some, np.where(rng.random(rows) < 0.1, -0.3 * size, size), 0.0)
    frame["debt"] = np.where((frame["wealth"] > 0) & (rng.random(rows) < 0.6), 0.5 * size, 0.0)
    frame["trips"] = rng.poisson(frame["age"].to_numpy() / 20)
    frame["owner"] = rng.random(rows) < np.where(frame["wealth"] > 0, 0.8, 0.2)
    moves = rng.random(rows) < 0.2
    frame["region_of_work"] = np.where(moves, "centre", frame["region"])
    levels = ["poor", "fair", "good"]
    health = np.clip(2 - frame["age"].to_numpy() // 35 + rng.integers(-1, 2, rows), 0, 2).astype(int)
    frame["health"] = pd.Categorical([levels[h] for h in health], categories=levels, ordered=True)
    return frame


def example_receiver(rows: int, seed: int = 1) -> pd.DataFrame:
    """Make receivers: the predictors, weight and id of `example_donor`."""
    rng = np.random.default_rng([seed, 1])
    return pd.DataFrame(
        {
            "id": np.arange(rows) + 1000,
            "income": np.exp(rng.normal(10, 1, rows)),
            "age": rng.integers(18, 90, rows),
            "region": rng.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2]),
            "weight": rng.uniform(0.5, 3.0, rows),
        }
    )


def example_fusion(
    donor: pd.DataFrame,
    receiver: pd.DataFrame,
    method: type[Method],
    *,
    targets: tuple[str, ...] = TARGETS,
    weight: str | None = "weight",
) -> Fusion:
    """Put the examples together, with those targets whose kind the method can draw."""
    fusion = Fusion(
        Survey(donor, weight=weight, keys="id"),
        Survey(receiver, weight=weight, keys="id"),
        targets=targets,
        predictors=["income", "age", "region"],
        kinds={k: v for k, v in KINDS.items() if k in targets},
    )
    can = [t for t in targets if fusion.variables[t].kind in method.kinds]
    if len(can) == len(targets):
        return fusion
    return example_fusion(donor, receiver, method, targets=tuple(can), weight=weight)


def impute(fusion: Fusion, *, method: Method, **options: Any) -> Imputations:
    """Impute, past the refusal of methods that are no draws, which the checks have to see the values of."""
    if not method.valid:
        method.valid = True  # type: ignore[misc]  # of this object alone
    return drawing.impute(fusion, method=method, **options)


def made(method: type[Method], *, brief: bool = False) -> Method:
    """Make the method with its quick settings, and its brief ones for what does not depend on how much is learnt."""
    return method(**{**method.quick, **(method.brief if brief else {})})


def refused(action: Callable[[], object], named: str) -> None:
    """Check that something raises the project's error, which names what is wrong and has a remedy."""
    message = None
    try:
        action()
    except MicroImputeError as error:
        message, remedy = str(error), error.remedy
    assert message is not None, f"{named} was accepted"
    assert named in message, f"the error does not name {named}: {message}"
    assert remedy, "the error has no remedy"


def standard_error(values: FloatArray, weight: FloatArray) -> float:
    """Return a weighted mean's standard error, resampling and drawing together (three times the variance)."""
    mean = np.average(values, weights=weight)
    return float(np.sqrt(3 * np.sum(weight**2 * (values - mean) ** 2)) / weight.sum())
