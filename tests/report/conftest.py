"""A small run that the report's tests share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Imputations, Survey, impute

RULES = ["ASSET = CASH + HOUSE", "NETWORTH = ASSET - DEBT", "CASH >= 0"]


def people(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows),
            "income": np.round(np.exp(rng.normal(10.5, 1, rows))),
            "region": rng.choice(["north", "south", "west"], rows),
            "w": rng.uniform(0.5, 2.0, rows),
        }
    )


def wealth(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = len(frame)
    house = np.where(rng.random(rows) < 0.6, np.round(np.exp(rng.normal(12, 0.5, rows))), 0.0)
    return frame.assign(
        CASH=np.round(frame["income"] * rng.random(rows)),
        HOUSE=house,
        DEBT=np.where(rng.random(rows) < 0.5, np.round(np.exp(rng.normal(10, 2, rows))), 0.0),
        CARD=rng.choice(["no", "yes"], rows),
    )


def make(
    donor: pd.DataFrame, receiver: pd.DataFrame, *, m: int = 3, weighted: bool = True, **parts: Any
) -> tuple[Imputations, Fusion]:
    parts = {"targets": ["CASH", "HOUSE", "DEBT", "CARD"], "predictors": ["age", "income", "region"]} | parts
    fusion = Fusion(
        Survey(donor, weight="w", dollars=2019, source="the donor", labels={"HOUSE": "main home"}),
        Survey(receiver, weight="w" if weighted else None, dollars=2019, source="the receiver"),
        **parts,
    )
    return impute(fusion, method="hotdeck", m=m, seed=1), fusion


@pytest.fixture(scope="session")
def maker() -> Callable[..., tuple[Imputations, Fusion]]:
    return make


@pytest.fixture(scope="session")
def donor() -> pd.DataFrame:
    return wealth(people(600, 1), 2)


@pytest.fixture(scope="session")
def receiver() -> pd.DataFrame:
    return people(300, 3)


@pytest.fixture(scope="session")
def made(donor: pd.DataFrame, receiver: pd.DataFrame) -> tuple[Imputations, Fusion]:
    return make(donor, receiver, rules=RULES)
