"""Bridges from the SCF to the Consumer Expenditure Interview: what of wealth the CE sees as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.concepts.bridge import DeclaredBridge
from microimpute.concepts.ce import homeowner
from microimpute.concepts.scf import FOOD
from microimpute.concepts.values import flag
from microimpute.kinds import Kind
from microimpute.survey import Survey

__all__ = ["BRIDGES"]

FloatArray = npt.NDArray[np.float64]


def _mortgage(survey: Survey) -> npt.NDArray[Any]:
    tenure = survey.numbers("CUTENURE")
    return flag(tenure == 1, tenure)


def _vehicle(survey: Survey) -> npt.NDArray[Any]:
    count = survey.numbers("VEHQ")
    return flag(count > 0, count)


def _food(survey: Survey) -> FloatArray:
    """Return a year's spending on food; the records of rpms have it as a whole."""
    if "food" in survey.columns:
        return survey.numbers("food")
    return survey.numbers("food_home") + survey.numbers("food_away")


def _asked_last(column: str) -> Any:
    """Return what was asked in the last interview, of all."""
    return lambda survey: survey.numbers(column)


def _owners_alone(column: str) -> Any:
    """Return an amount that only those have who own or owe: none, where the other questions were answered."""

    def formula(survey: Survey) -> FloatArray:
        values = survey.numbers(column)
        asked = ~np.isnan(survey.numbers("LIQUIDX")) | ~np.isnan(survey.numbers("IRAX"))
        return np.where(np.isnan(values) & asked, 0.0, values)

    return formula


def _sum(*columns: str) -> Any:
    def formula(given: Mapping[str, FloatArray]) -> FloatArray:
        return np.asarray(np.sum([given[c] for c in columns], axis=0))

    return formula


def _flag(test: Any) -> Any:
    return lambda given: np.asarray(test(given)).astype(np.int64)


_RANK = "by weighted rank within the survey: "
BRIDGES = (
    DeclaredBridge(
        "food_spending",
        "scf",
        FOOD,
        Kind.CONTINUOUS,
        _RANK + "food, or food at home and away, where a release has these, a year",
        _RANK + "FOODHOME + FOODAWAY + FOODDELV, food at home, away and delivered",
        "The SCF asks for a usual week, the CE for what was bought in the months that it saw; means of a year are "
        "8,172 and 7,737 (dollars of 2019 and 2014). A usual amount is steadier, so the order agrees in part. "
        'The SCF\'s food is no default target: more_targets = ["FOODHOME", "FOODAWAY", "FOODDELV"].',
        _food,
        _sum(*FOOD),
        ranked=True,
    ),
    DeclaredBridge(
        "owner",
        "scf",
        ("HOUSES",),
        Kind.BINARY,
        "1 if the home is owned (CUTENURE 1 to 3)",
        "1 if HOUSES, the primary residence, is above 0",
        "63.3% own in the CE records of 2013 to 2016, 64.9% in the SCF of 2019.",
        homeowner,
        _flag(lambda g: g["HOUSES"] > 0),
    ),
    DeclaredBridge(
        "mortgage",
        "scf",
        ("NH_MORT",),
        Kind.BINARY,
        "1 if the home is owned with a mortgage (CUTENURE 1)",
        "1 if NH_MORT, mortgages of the primary residence, is above 0",
        "36.7% in the CE, 40.0% in the SCF; an owner whose mortgage was not reported (CUTENURE 3) counts as none.",
        _mortgage,
        _flag(lambda g: g["NH_MORT"] > 0),
    ),
    DeclaredBridge(
        "vehicle",
        "scf",
        ("VEHIC",),
        Kind.BINARY,
        "1 if a vehicle is owned (VEHQ above 0)",
        "1 if VEHIC is above 0",
        "85.8% in the CE, 85.4% in the SCF.",
        _vehicle,
        _flag(lambda g: g["VEHIC"] > 0),
    ),
    DeclaredBridge(
        "liquid_assets",
        "scf",
        ("LIQ", "CDS"),
        Kind.CONTINUOUS,
        _RANK + "LIQUIDX, checking, savings, money market accounts and certificates of deposit",
        _RANK + "LIQ + CDS",
        "Known in the last interview alone, for 36% of the records. 72% have any in the CE, 98% in the SCF, means are "
        "18,500 against 48,700: the order is comparable, the level is not.",
        _asked_last("LIQUIDX"),
        _sum("LIQ", "CDS"),
        ranked=True,
    ),
    DeclaredBridge(
        "retirement_accounts",
        "scf",
        ("RETQLIQ",),
        Kind.CONTINUOUS,
        _RANK + "IRAX, 401(k), IRA and other retirement accounts",
        _RANK + "RETQLIQ",
        "Known in the last interview alone. 41% have any in the CE, 50% in the SCF; the SCF counts account-type "
        "pensions of present and former jobs that CE respondents may leave out.",
        _asked_last("IRAX"),
        _sum("RETQLIQ"),
        ranked=True,
    ),
    DeclaredBridge(
        "stocks_funds_bonds",
        "scf",
        ("STOCKS", "NMMF", "BOND"),
        Kind.CONTINUOUS,
        _RANK + "STOCKX, stocks, bonds and mutual funds held directly",
        _RANK + "STOCKS + NMMF + BOND",
        "STOCKX is of owners alone: none is taken where other assets were answered, so a refusal counts as none. 9% "
        "have any in the CE, 21% in the SCF.",
        _owners_alone("STOCKX"),
        _sum("STOCKS", "NMMF", "BOND"),
        ranked=True,
    ),
    DeclaredBridge(
        "student_loans",
        "scf",
        ("EDN_INST",),
        Kind.CONTINUOUS,
        _RANK + "STUDNTX, owed on student loans",
        _RANK + "EDN_INST",
        "STUDNTX is of debtors alone: none is taken where assets were answered. 14% owe in the CE, 21% in the SCF.",
        _owners_alone("STUDNTX"),
        _sum("EDN_INST"),
        ranked=True,
    ),
)
