"""The Survey of Consumer Finances: the full public data set, of which the summary extract is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.data import bundled
from microimpute.errors import SurveyError, closest
from microimpute.kinds import Kind
from microimpute.readers.fixed_width import Field, blocks, read_layout
from microimpute.readers.frames_of_numbers import as_numbers
from microimpute.readers.members import only, opened
from microimpute.readers.scf_replicates import attach
from microimpute.readers.scf_waves import IMPLICATES, wave
from microimpute.readers.stata_columns import read_stata_numbers, stata_names
from microimpute.survey import Check, Survey
from microimpute.surveys.base import Connector

__all__ = ["DERIVED", "SCFFull"]

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]

#: The wave whose codebook the formulas were read from, and whose column map travels with the package.
DOCUMENTED = 2019
HOUSEHOLDS_2019 = 128.6
CODEBOOK = "codebook of the 2019 survey, Analysis weights"

#: Balance still owed on a car's loan → its rate of interest, in percent × 100; the first four cars.
_CAR_LOANS = {"X2218": "X2219", "X2318": "X2319", "X2418": "X2419", "X7169": "X7170"}
_CHECKING = ("X3506", "X3510", "X3514", "X3518", "X3522", "X3526", "X3529")
_SAVINGS = ("X3730", "X3736", "X3742", "X3748", "X3754", "X3760", "X3765")

#: Made here → (meaning, columns added up with codes below 0 as nothing). Formulas from the codebook of 2019.
DERIVED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "auto_loan_borrowed": (
        "Amount borrowed originally on the loans of the first four cars, not what is owed",
        ("X2209", "X2309", "X2409", "X7158"),
    ),
    "auto_loan_balance": ("Still owed on the loans of the first four cars", tuple(_CAR_LOANS)),
    "vehicle_loans": (
        "Still owed on all vehicles: four cars, further cars, other vehicles",
        (*_CAR_LOANS, "X2424", "X2519", "X2619", "X2625"),
    ),
    "vehicles": (
        "Value of all vehicles owned",
        ("X8166", "X8167", "X8168", "X8188", "X2422", "X2506", "X2606", "X2623"),
    ),
    "checking_accounts": ("In checking accounts, money market ones included", _CHECKING),
    "savings_accounts": ("In savings and money market accounts, education accounts included", _SAVINGS),
    "call_accounts": ("Cash or call money at brokerages", ("X3930",)),
    "prepaid_cards": ("On prepaid cards", ("X7596",)),
    "liquid": (
        "Checking, savings, money market and call accounts, prepaid cards (LIQ of the extract)",
        (*_CHECKING, *_SAVINGS, "X3930", "X7596"),
    ),
    "certificates_of_deposit": ("Certificates of deposit (CDS of the extract)", ("X3721",)),
    "savings_bonds": ("Savings bonds, face value (SAVBND of the extract)", ("X3902",)),
    "stocks": ("Publicly traded stock held directly (STOCKS of the extract)", ("X3915",)),
    "life_insurance": ("Cash value of life insurance (CASHLI of the extract)", ("X4006",)),
    "home": (
        "Value of home, mobile home and site; farms and ranches (X513, X526) left out",
        ("X604", "X614", "X623", "X716"),
    ),
    "mortgages": ("Still owed on the first three mortgages of the home", ("X805", "X905", "X1005")),
    "home_credit_lines": (
        "Owed on the first three lines of credit, whether secured by the home or not",
        ("X1108", "X1119", "X1130"),
    ),
    "credit_cards": (
        "Balance left on cards after the last payment (CCBAL of the extract)",
        ("X413", "X421", "X427", "X7575"),
    ),
}
#: Incomes of the year before the survey in that year's dollars; losses stay below 0.
INCOMES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "wages": ("Wages and salaries", ("X5702",)),
    "business_income": ("Sole proprietorship, farm, other business, rent, trusts, royalties", ("X5704", "X5714")),
    "interest_dividends": ("Tax-exempt and other interest, dividends", ("X5706", "X5708", "X5710")),
    "capital_gains": ("Capital gains or losses", ("X5712",)),
    "social_security_pensions": (
        "Social Security, pensions, annuities; withdrawals from account-type pensions are not in it",
        ("X5722",),
    ),
    "transfers_other": (
        "Unemployment and workers' compensation, child support, alimony, welfare, other",
        ("X5716", "X5718", "X5720", "X5724"),
    ),
    "total_income": ("Total income as the respondent had it corrected", ("X5729",)),
}
#: Read besides: age, sex, marital status, persons, education and work of the respondent; age of the spouse.
PERSONAL = {
    "X14": "Age of the respondent (reconciled)",
    "X19": "Age of the spouse or partner (reconciled), 0 if none",
    "X8021": "Sex of the respondent: 1 male, 2 female",
    "X8023": "Marital status: 1 married, 2 living with a partner, 3 to 6 neither",
    "X101": "Persons in the household listing, at most 12",
    "X5931": "Education of the respondent, classes",
    "X4106": "Work of the respondent: 1 someone else's, 2 to 4 self-employed",
}
_CODE_LOSS = -9


class SCFFull(Connector):
    """Reads ``p<yy>i6.dta`` (also zipped) and the fixed-width form, the columns that are wanted only.

    Columns in upper case are the survey's, codes and all (-1 nothing, 0 inapplicable or nothing, -9 a loss withheld);
    those in lower case are made here. Amounts are in dollars of the survey year, incomes in dollars of the year before.
    """

    name: ClassVar[str] = "scf_full"
    title: ClassVar[str] = "Survey of Consumer Finances, full public data set"
    publisher: ClassVar[str] = "https://www.federalreserve.gov/econres/scfindex.htm"
    variables: ClassVar[Mapping[str, str]] = {
        "YY1": "Household number",
        "Y1": "Household number times ten, plus the implicate's number",
        "IMPLICATE": "Number of the implicate, 1 to 5 (Y1 - 10 YY1)",
        "WGT": "Weight: X42001 / 5, sums to households over all five implicates",
        **PERSONAL,
        **{c: f"{label}, dollars" for c, (label, _) in DERIVED.items()},
        "auto_loan_interest": "Interest a year on the loans of the first four cars: still owed × annual rate, dollars",
        **{c: f"{label}, dollars of the year before the survey" for c, (label, _) in INCOMES.items()},
    }
    options: ClassVar[Mapping[str, str]] = {
        "year": "survey year; default: found in the file's name",
        "columns": "further columns to keep, such as X3014 and J3014",
        "replicates": "file of the 999 replicate weights (p19_rw1.dta or its zip)",
        "layout": "layout table of the fixed-width form of a wave other than 2019",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "year": (int, np.integer),
        "columns": (str, list, tuple),
        "replicates": (str, Path),
        "layout": (str, Path),
    }

    def read(self, path: Path, **options: Any) -> Survey:
        """Read one wave.

        Parameters
        ----------
        path
            Stata file or fixed-width file, also zipped.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page or another file; if a column does not exist; if households lack
            implicates; if the replicate weights are not this wave's.
        """
        self.check(options)
        path = Path(path)
        year = wave(path, options.get("year"))
        further = options.get("columns") or ()
        further = [c.upper() for c in ([further] if isinstance(further, str) else further)]
        columns = _read(path, year, further, options.get("layout"))
        made, notes = _derive(columns, year)
        kept = {c: columns[c] for c in ("YY1", "Y1", *PERSONAL, *further) if c in columns}
        design = _design(path, columns)
        frame = as_numbers({**kept, **design, **made})
        replicates: tuple[str, ...] = ()
        if options.get("replicates") is not None:
            household = columns["YY1"].astype(np.int64)
            many, said = attach(Path(options["replicates"]), household, design["WGT"])
            frame = pd.concat([frame, many], axis=1)
            replicates, notes = tuple(many.columns), [*notes, *said]
        else:
            notes.append("no replicate weights were given (replicates=), so sampling variances can't be estimated")
        households = len(frame) // IMPLICATES
        return Survey(
            frame,
            weight="WGT",
            keys=("YY1",),
            implicate="IMPLICATE",
            replicates=replicates,
            replicate_rule="scf" if replicates else "",
            kinds=dict.fromkeys(made, Kind.SEMICONTINUOUS),
            dollars=year,
            unit="household",
            source=f"{self.title}, {year}, Board of Governors of the Federal Reserve System ({path.name})",
            labels={c: label for c, label in self.variables.items() if c in frame},
            checks=_checks(year, households, float(design["WGT"].sum())),
            notes=[f"{len(frame):,} rows: {households:,} households × {IMPLICATES} implicates", *notes],
        )


def _wanted() -> list[str]:
    formulas = [c for table in (DERIVED, INCOMES) for _, parts in table.values() for c in parts]
    return list(dict.fromkeys((*PERSONAL, *formulas, *_CAR_LOANS.values())))


def _read(path: Path, year: int, further: Sequence[str], layout: Any) -> Columns:
    file = only(path, r".*\.(dta|txt|dat|asc)(\.gz)?", "the SCF's full public data set (.dta, or fixed width)")
    known: dict[str, Any]
    if file.lower().endswith(".dta"):
        if layout is not None:
            raise SurveyError(f"{path.name} is a Stata file, which has no layout", "Leave layout out.")
        with opened(path, file) as handle:
            known = {c.upper(): c for c in stata_names(handle, path.name)}
    else:
        known = dict(_layout(path, year, layout))
    names = {"YY1": "YY1", "Y1": "Y1"} if "YY1" in known else {"YY1": "XX1", "Y1": "X1"}  # 1989 has X1 and XX1
    missing = [c for c in (*names.values(), "X42001", "X5729") if c not in known]
    if missing:
        raise SurveyError(
            f"{path.name} is not the SCF's full public data set: it has no column {', '.join(missing)}",
            "Get the full public data set (p19i6.dta, scf2019s.zip), not the summary extract or the weights.",
        )
    for column in further:
        if column not in known:
            raise SurveyError(f"{path.name} has no column {column!r}", closest(column, known))
    wanted = [c for c in dict.fromkeys((*names.values(), "X42001", *_wanted(), *further)) if c in known]
    with opened(path, file) as handle:
        if file.lower().endswith(".dta"):
            columns = read_stata_numbers(handle, path.name, [known[c] for c in wanted])
        else:
            columns = _fixed(handle, path.name, known, wanted)
    return {**columns, **{ours: columns[theirs] for ours, theirs in names.items()}}


def _layout(path: Path, year: int, given: Any) -> dict[str, Field]:
    if given is None and year != DOCUMENTED:
        raise SurveyError(
            f"{path.name} is fixed width of {year}, and only the column map of {DOCUMENTED} is here",
            "Give layout=, a CSV with record, name, start, width, decimals; or get the Stata file, which needs none.",
        )
    tables = read_layout(Path(given) if given is not None else bundled("scf_full_2019_layout.csv.gz"))
    return {name: f for fields in tables.values() for name, f in fields.items()}


def _fixed(handle: Any, name: str, fields: Mapping[str, Field], wanted: Sequence[str]) -> Columns:
    length = max(f.start + f.width - 1 for f in fields.values())
    parts: list[Columns] = []
    for lines in blocks(handle, name):
        odd = int(np.sum(lines.lengths != length))
        if odd:
            raise SurveyError(
                f"{name}: {odd:,} lines don't have the {length:,} characters of the column map",
                "The file may be cut off, or of another wave than the map.",
            )
        parts.append(lines.numbers(fields, wanted, np.arange(len(lines)), "SCF"))
    return {c: np.concatenate([p[c] for p in parts]) for c in wanted}


def _design(path: Path, columns: Columns) -> Columns:
    household, key, weight = (columns[c] for c in ("YY1", "Y1", "X42001"))
    number = key - 10 * household
    whole = np.isfinite(weight) & np.isfinite(number) & np.isin(number, np.arange(1, IMPLICATES + 1))
    _, count = np.unique(household[whole], return_counts=True)
    odd = int(np.sum(count != IMPLICATES))
    if odd or not whole.all() or len(np.unique(key)) != len(key):
        raise SurveyError(
            f"{path.name}: {odd:,} of {len(count):,} households don't have implicates 1 to 5, once each, with a weight",
            "Get the file again; it may be cut off, or rows were left out or doubled.",
        )
    return {"IMPLICATE": number, "WGT": weight / IMPLICATES}


def _derive(columns: Columns, year: int) -> tuple[Columns, list[str]]:
    """Add up what the formulas name; a formula is left out where a wave lacks one of its columns."""
    made: Columns = {}
    left = []
    for table, losses in ((DERIVED, False), (INCOMES, True)):
        for name, (_, parts) in table.items():
            if any(c not in columns for c in parts):
                left.append(name)
                continue
            values = [np.nan_to_num(columns[c]) for c in parts]
            made[name] = np.sum([np.where(v == -1, 0.0, v) if losses else np.maximum(v, 0.0) for v in values], axis=0)
    if all(c in columns for pair in _CAR_LOANS.items() for c in pair):
        owed = [np.maximum(np.nan_to_num(columns[b]), 0.0) for b in _CAR_LOANS]
        rate = [np.maximum(np.nan_to_num(columns[r]), 0.0) / 10_000 for r in _CAR_LOANS.values()]
        made["auto_loan_interest"] = np.sum([b * r for b, r in zip(owed, rate, strict=True)], axis=0)
    else:
        left.append("auto_loan_interest")
    notes = [f"not made, for want of columns in this wave: {', '.join(left)}"] if left else []
    if year != DOCUMENTED:
        notes.append(f"formulas are from the codebook of {DOCUMENTED} and were not compared with that of {year}")
    incomes = dict.fromkeys(c for _, parts in INCOMES.values() for c in parts if c in columns)
    hidden = int(np.sum(np.any([columns[c] == _CODE_LOSS for c in incomes], axis=0)))
    notes.append(f"in {hidden:,} rows an income is -9, a loss whose amount is withheld; it counts as -9 dollars")
    notes.append("incomes are in dollars of the year before the survey (the summary extract inflates them)")
    return made, notes


def _checks(year: int, households: int, total: float) -> list[Check]:
    if year != DOCUMENTED or households < 3000:
        return []
    return [Check("households, millions", HOUSEHOLDS_2019, total / 1e6, 0.001, CODEBOOK)]
