"""Members of consumer units (MEMI of the Interview): counts, incomes, the reference person, spouse or partner.

Codes are those of the Bureau of Labor Statistics' dictionary: CU_CODE 0 unmarried partner, 1 reference person, 2
spouse; EARNER 1 earns. The dictionary's formulas for the family file (FSALARYX = SUM(SALARYX, SALARYBX) …) are compared
with the members, and what disagrees is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.readers.ce_files import Release, read_columns

__all__ = ["MEMBERS", "MEMBERS_MONEY", "UNMATCHED_SHARE", "read_members"]

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]

#: Largest share of members' NEWIDs without a family, of interviews without members, and of interviews without exactly
#: one reference person.
UNMATCHED_SHARE = 0.01
_PARTNER, _REFERENCE, _SPOUSE = 0, 1, 2
#: Means of five implicates are rounded to whole dollars in one place and not in another.
_CLOSE = 1.0

_WHO = {
    "age": (Kind.CONTINUOUS, "age, years", "AGE"),
    "sex": (Kind.BINARY, "sex: 1 male, 2 female", "SEX"),
    "education": (
        Kind.ORDINAL,
        "education: 1 none, 2 grades 1-8, 3 grades 9-12 without degree, 4 high school, 5 some college, 6 associate's, "
        "7 bachelor's, 8 master's and above",
        "EDUCA",
    ),
    "race": (Kind.CATEGORICAL, "race, codes as REF_RACE", "MEMBRACE"),
    "hispanic": (Kind.BINARY, "Hispanic: 1 yes, 2 no", "HORIGIN"),
    "wages": (Kind.SEMICONTINUOUS, "wages and salary of the last 12 months, dollars, imputed", "SALARYXM"),
}
#: Kinds of the spouse's or partner's columns, which are 0 where there is none.
_OF_NONE = {Kind.CONTINUOUS: Kind.SEMICONTINUOUS, Kind.BINARY: Kind.CATEGORICAL}
#: Amount of a unit → members' columns that are added up, blanks counting as nothing (the last two end in 2013Q1).
_SUMS: Mapping[str, tuple[str, ...]] = {
    "members_wages": ("SALARYXM",),
    "members_wages_collected": ("SALARYX", "SALARYBX"),
    "members_self_employment": ("SEMPFRMM", "NONFARMM", "FARMINCM"),
    "members_social_security": ("SOCRRXM",),
    "members_ssi": ("SSIXM",),
}
#: Column made here → kind, meaning.
MEMBERS: Mapping[str, tuple[Kind, str]] = {
    "members": (Kind.COUNT, "members of the consumer unit in the members' file"),
    "members_under_18": (Kind.COUNT, "members below 18"),
    "members_18_to_64": (Kind.COUNT, "members of 18 to 64"),
    "members_65_over": (Kind.COUNT, "members of 65 and over"),
    "members_earning": (Kind.COUNT, "members who earn (EARNER = 1)"),
    "members_wages": (Kind.SEMICONTINUOUS, "members' wages and salaries added up, dollars a year, imputed"),
    "members_wages_collected": (
        Kind.SEMICONTINUOUS,
        "the same as collected: amounts, or medians of brackets; what was not answered counts as 0",
    ),
    "members_self_employment": (Kind.SEMICONTINUOUS, "members' self-employment income, dollars a year, imputed"),
    "members_social_security": (Kind.SEMICONTINUOUS, "members' Social Security and railroad retirement, imputed"),
    "members_ssi": (Kind.SEMICONTINUOUS, "members' Supplemental Security Income, dollars a year, imputed"),
    **{f"reference_{n}": (k, f"reference person's {label}") for n, (k, label, _) in _WHO.items()},
    "spouse": (Kind.BINARY, "1 if the reference person's spouse is a member"),
    "partner": (Kind.BINARY, "1 if the reference person's unmarried partner is a member, and no spouse"),
    "couple": (Kind.BINARY, "1 if spouse or partner is a member"),
    **{f"spouse_{n}": (_OF_NONE.get(k, k), f"spouse's or partner's {t}; 0 if none") for n, (k, t, _) in _WHO.items()},
}
MEMBERS_MONEY = tuple(c for c in (*_SUMS, "reference_wages", "spouse_wages"))

_REQUIRED = ("NEWID", "CU_CODE", "AGE", "SEX", "EARNER", "SALARYXM", "SOCRRXM")
_OPTIONAL = tuple(
    dict.fromkeys(c for c in (*(v[2] for v in _WHO.values()), *sum(_SUMS.values(), ())) if c not in _REQUIRED)
)
#: What the dictionary says is the same: column made here → variable of the family file.
_SAME: Mapping[str, str] = {
    "members": "FAM_SIZE",
    "members_under_18": "PERSLT18",
    "members_65_over": "PERSOT64",
    "members_earning": "NO_EARNR",
    "reference_age": "AGE_REF",
    "reference_sex": "SEX_REF",
    "members_wages": "FSALARYM",
    "members_wages_collected": "FSALARYX",
    "members_self_employment": "FSMPFRXM",
    "members_social_security": "FRRETIRM",
    "members_ssi": "FSSIXM",
}


def read_members(
    release: Release, quarters: Sequence[tuple[int, int]], families: pd.DataFrame
) -> tuple[Columns, list[str]]:
    """Read the members of all interviews, and compare them with the family file.

    Parameters
    ----------
    release
        An open release.
    quarters
        Year and quarter of each file.
    families
        Rows of the family files, NEWID each once.

    Returns
    -------
    columns : dict
        Name → values, shape (rows of families,); NaN where an interview has no members.
    notes : list of str
        What was left out or disagrees, with counts.

    Raises
    ------
    SurveyError
        If a file is missing, cut off or lacks a column; if more than `UNMATCHED_SHARE` of the members' interviews stand
        in no family file, of interviews have no member, or don't have exactly one reference person.
    """
    tables = [read_columns(release, ("memi", *q), _REQUIRED, _OPTIONAL) for q in quarters]
    table = pa.concat_tables(tables, promote_options="default")
    person = {c: table[c].to_numpy().astype(np.float64) for c in table.column_names if c != "NEWID"}
    newid = families["NEWID"].to_numpy(np.int64)
    row, notes = _rows(table["NEWID"].to_numpy(), newid, release)
    person = {c: v[row >= 0] for c, v in person.items()}
    row = row[row >= 0]
    columns = _sums(person, row, len(newid))
    columns |= _persons(person, row, len(newid), release, notes)
    empty = columns["members"] == 0
    columns = {c: np.where(empty, np.nan, v) for c, v in columns.items()}
    if gaps := int(np.isnan(person["AGE"]).sum()):
        notes.append(f"{gaps:,} members without an age are in none of the counts by age")
    return columns, [f"{len(table):,} members (MEMI)", *notes, *_compared(columns, families)]


def _rows(member: npt.NDArray[np.int64], newid: npt.NDArray[np.int64], release: Release) -> tuple[Any, list[str]]:
    """Return the family row of each member, -1 where there is none."""
    order = np.argsort(newid, kind="stable")
    at = np.minimum(np.searchsorted(newid[order], member), len(newid) - 1)
    row = np.where(newid[order][at] == member, order[at], -1)
    theirs, lost = np.unique(member), np.unique(member[row < 0])
    without = len(newid) - len(np.unique(row[row >= 0]))
    if len(lost) > UNMATCHED_SHARE * len(theirs):
        raise SurveyError(
            f"{len(lost):,} of {len(theirs):,} interviews (NEWID) in the members' files of {release.path.name} stand "
            "in no family file",
            "Check that both are of one release, and that no family file is cut off.",
        )
    if without > UNMATCHED_SHARE * len(newid):
        raise SurveyError(
            f"{without:,} of {len(newid):,} interviews (NEWID) in {release.path.name} have nobody in the members' "
            "files",
            "Check that both are of one release, and that no members' file is cut off.",
        )
    notes = []
    if len(lost):
        notes.append(f"{len(lost):,} NEWIDs of the members' files stand in no family file; their members were left out")
    if without:
        notes.append(f"{without:,} interviews have no members: what is made from them is missing")
    return row, notes


def _sums(person: Columns, row: npt.NDArray[np.int64], count: int) -> Columns:
    def total(values: npt.NDArray[Any]) -> FloatArray:
        return np.bincount(row, np.nan_to_num(np.asarray(values, dtype=np.float64)), count).astype(np.float64)

    age = person["AGE"]
    made = {
        "members": total(np.ones(len(row))),
        "members_under_18": total(age < 18),
        "members_18_to_64": total((age >= 18) & (age < 65)),
        "members_65_over": total(age >= 65),
        "members_earning": total(person["EARNER"] == 1),
    }
    for name, parts in _SUMS.items():
        there = [total(person[p]) for p in parts if p in person]
        if there:
            made[name] = np.sum(there, axis=0)
    return made


def _persons(person: Columns, row: npt.NDArray[np.int64], count: int, release: Release, notes: list[str]) -> Columns:
    """Return the reference person's and the spouse's or partner's characteristics."""
    code = person["CU_CODE"]
    references = np.bincount(row[code == _REFERENCE], minlength=count)
    some = np.bincount(row, minlength=count) > 0
    odd = int((some & (references != 1)).sum())
    if odd > UNMATCHED_SHARE * max(int(some.sum()), 1):
        raise SurveyError(
            f"{odd:,} of {int(some.sum()):,} interviews in the members' files of {release.path.name} don't have "
            "exactly one reference person (CU_CODE 1)",
            "Get the release again; column CU_CODE may be shifted.",
        )
    if odd:
        notes.append(f"{odd:,} interviews without exactly one reference person: the first counts, or it is missing")
    head, spouse, partner = (_first(row, code == c, count) for c in (_REFERENCE, _SPOUSE, _PARTNER))
    other = np.where(spouse >= 0, spouse, partner)
    made = {
        "spouse": (spouse >= 0).astype(np.float64),
        "partner": ((partner >= 0) & (spouse < 0)).astype(np.float64),
        "couple": (other >= 0).astype(np.float64),
    }
    for name, (_, _, source) in _WHO.items():
        if source in person:
            values = np.nan_to_num(person[source]) if name == "wages" else person[source]
            made[f"reference_{name}"] = np.where(head >= 0, values[head], np.nan)
            made[f"spouse_{name}"] = np.where(other >= 0, values[other], 0.0)
    return made


def _first(row: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.int64]:
    """Return each interview's first member of those chosen, -1 where there is none."""
    out = np.full(count, -1, dtype=np.int64)
    places = np.flatnonzero(chosen)[::-1]
    out[row[places]] = places  # of several, the first is written last
    return out


def _compared(columns: Columns, families: pd.DataFrame) -> list[str]:
    """Say of each identity of the dictionary in how many interviews it holds."""
    said = []
    for name, variable in _SAME.items():
        if name not in columns or variable not in families:
            continue
        theirs = families[variable].to_numpy(np.float64, na_value=np.nan)
        known = np.isfinite(theirs) & np.isfinite(columns[name])
        if not known.any():
            continue
        apart = int((np.abs(theirs - columns[name])[known] > _CLOSE * (name in MEMBERS_MONEY)).sum())
        said.append(f"{name} = {variable} in {int(known.sum()) - apart:,} of {int(known.sum()):,}")
    return [f"members against the family file, interviews where both are known: {'; '.join(said)}"] if said else []
