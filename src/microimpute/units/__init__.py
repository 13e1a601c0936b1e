"""Moving variables between units: households' onto persons or tax units, and members' up to households.

Every move follows a declared rule, sums are kept to the last bit, and what could not be matched is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute.errors import SurveyError, closest
from microimpute.frames import Series, aligned, make_series
from microimpute.kinds import Kind
from microimpute.survey import Survey, replace_survey
from microimpute.units.link import Link
from microimpute.units.rules import Adults, By, Copy, Equal, Head, Rule, read_rule
from microimpute.units.splitting import added, split

__all__ = ["Adults", "By", "Copy", "Equal", "Head", "Link", "Rule", "gather", "spread"]

FloatArray = npt.NDArray[np.float64]
#: Ways up from members to their household.
WAYS = ("sum", "head", "any", "count")


def spread(link: Link, columns: Mapping[str, Rule | str], *, names: Mapping[str, str] | None = None) -> Survey:
    """Give members the variables of their household.

    Parameters
    ----------
    link
        Households and members.
    columns
        Household column → rule: ``"head"``, ``"equal"``, ``"by earnings"``, ``"adults age"``, ``"copy"``, or one of
        `Head`, `Equal`, `By`, `Adults`, `Copy`.
    names
        Household column → name among the members; default: the same.

    Returns
    -------
    Survey
        The members with more columns; `notes` say for each what was done. Amounts that were divided are decimal
        numbers; what was copied keeps its type. Members without household get nothing (missing).

    Raises
    ------
    SurveyError
        If a column is not there, is there already, or can't be divided.

    Notes
    -----
    Members' values add up to exactly the household's, in any order (see `microimpute.units.splitting.split`), but for
    ``"copy"``. A missing value of a household is missing for all its members.
    """
    made: list[Series] = []
    notes = list(link.notes)
    kinds: dict[str, Kind | str] = {}
    for column, given in columns.items():
        link.households.require(column, "household")
        rule = read_rule(given, column)
        name = _free_name(link.members, column, names)
        if isinstance(rule, Copy) or (isinstance(rule, Head) and not _divisible(link.households, column)):
            made.append(_copied(link, column, name, heads_only=isinstance(rule, Head)))
            told = _said_of_copies(link, column, rule)
        else:
            values, told = _divided(link, column, rule)
            made.append(_amounts(values, name, link.members))
        notes += told
        if isinstance(rule, Copy) and column in link.households.kinds:
            kinds[name] = link.households.kinds[column]
    frame = link.members.frame
    frame = frame.with_columns(*(aligned(s, frame) for s in made))
    labels = {_name(c, names): link.households.labels[c] for c in columns if c in link.households.labels}
    survey = link.members
    return replace_survey(
        survey,
        frame=frame,
        kinds={**survey.kinds, **kinds},
        labels={**survey.labels, **labels},
        notes=(*survey.notes, *notes),
    )


def gather(link: Link, columns: Mapping[str, str], *, names: Mapping[str, str] | None = None) -> Survey:
    """Give households what their members have.

    Parameters
    ----------
    link
        Households and members.
    columns
        Member column → ``"sum"`` (in row order), ``"head"`` (the head's value),
        ``"any"`` (true if it is not zero for some member) or ``"count"`` (for how many it is not zero).
    names
        Member column → name among the households; default: the same.

    Returns
    -------
    Survey
        The households with more columns. A sum, or an answer that hangs on it, is missing where a member's value is
        missing; households without members have sum and count 0, any false, and no head's value.

    Raises
    ------
    SurveyError
        If a column is not there, is there already, or holds no numbers where they are wanted.
    """
    made: list[Series] = []
    for column, way in columns.items():
        link.members.require(column, "member")
        if way not in WAYS:
            raise SurveyError(f"the way up for {column!r} is {way!r}", closest(str(way), WAYS))
        name = _free_name(link.households, column, names)
        made.append(_headed(link, column, name) if way == "head" else _reckoned(link, column, name, way))
    frame = link.households.frame
    frame = frame.with_columns(*(aligned(s, frame) for s in made))
    survey = link.households
    return replace_survey(survey, frame=frame, notes=(*survey.notes, *link.notes))


def _name(column: str, names: Mapping[str, str] | None) -> str:
    return (names or {}).get(column, column)


def _free_name(survey: Survey, column: str, names: Mapping[str, str] | None) -> str:
    name = _name(column, names)
    if name in survey.columns:
        raise SurveyError(f"column {name!r} is on both sides already", f"Choose a name: names={{{column!r}: ...}}.")
    return name


def _divisible(survey: Survey, column: str) -> bool:
    dtype, kind = survey.frame[column].dtype, survey.kinds.get(column)
    return dtype.is_numeric() and (kind is None or not (Kind(kind).is_class or Kind(kind) is Kind.COUNT))


def _divided(link: Link, column: str, rule: Rule) -> tuple[FloatArray, list[str]]:
    """Divide an amount by a rule, shape (members,)."""
    if not _divisible(link.households, column):
        what = link.households.kinds.get(column, link.households.frame[column].dtype)
        raise SurveyError(
            f"household column {column!r} is {str(what).lower()} and can't be divided", "Use 'copy' or 'head' for it."
        )
    amount = link.households.numbers(column)
    if np.isinf(amount).any():
        raise SurveyError(f"household column {column!r} is infinite in some rows", "Mend it first.")
    inside = np.flatnonzero(link.household >= 0)
    homes = link.household[inside]
    shares, notes = _shares(link, rule, column)
    shares = shares[inside]
    out = np.full(len(link.household), np.nan)
    out[inside] = split(amount, shares, homes, link.place[inside])
    gaps = int(np.isnan(amount).sum())
    if gaps:
        notes.append(f"{column} is missing for {gaps:,} households, and so for all their members.")
    empty = (link.sizes == 0) & (np.nan_to_num(amount) != 0)
    if empty.any():
        lost = float((link.households.weights() * np.nan_to_num(amount))[empty].sum())
        notes.append(f"{column} of {empty.sum():,} households without members is lost: {lost:,.0f}, weighted.")
    return out, notes


def _shares(link: Link, rule: Rule, column: str) -> tuple[FloatArray, list[str]]:
    """Return members' shares under a rule, with a positive sum in each household."""
    count = len(link.household)
    if isinstance(rule, Head):
        return link.heads().astype(np.float64), []
    if isinstance(rule, Equal):
        return np.ones(count), []
    assert isinstance(rule, By | Adults)
    if isinstance(rule, Adults):
        link.members.require(rule.age, "age")
        shares = (np.nan_to_num(link.members.numbers(rule.age), nan=-1.0) >= rule.at_least).astype(np.float64)
        whose = f"members of {rule.at_least:g} or more years ({rule.age})"
    else:
        link.members.require(rule.column, "share")
        shares = np.maximum(np.nan_to_num(link.members.numbers(rule.column)), 0.0)
        whose = rule.column
    inside = link.household >= 0
    total = added(shares[inside], link.household[inside], len(link.sizes))
    without = (total == 0) & (link.sizes > 0)
    if not without.any():
        return shares, []
    rest = link.heads().astype(np.float64) if rule.otherwise == "head" else np.ones(count)
    theirs = inside & without[np.where(inside, link.household, 0)]
    how = "its head carries it" if rule.otherwise == "head" else "all members have equal parts"
    note = f"{column}: {without.sum():,} of {(link.sizes > 0).sum():,} households have no {whose}; there {how}."
    return np.where(theirs, rest, shares), [note]


def _copied(link: Link, column: str, name: str, *, heads_only: bool) -> Series:
    given = link.heads() if heads_only else link.household >= 0
    series = link.households.frame[column]
    values = series.to_list()
    taken = [values[h] if yes else None for h, yes in zip(link.household.tolist(), given.tolist(), strict=True)]
    return _typed(taken, name, series, link.members)


def _said_of_copies(link: Link, column: str, rule: Rule) -> list[str]:
    if isinstance(rule, Head):
        return [f"{column} is a class or a count: heads have it, other members have none."]
    if not link.households.frame[column].dtype.is_numeric():
        return []
    return [f"{column} is copied to every member: do not add it up over members, it counts once per household."]


def _typed(values: list[Any], name: str, like: Series, survey: Survey) -> Series:
    """Make a column of the type of another; whole numbers and booleans with gaps become what can hold gaps."""
    backend = survey.frame.implementation
    gaps = any(v is None or v != v for v in values)
    if not gaps:
        return make_series(name, values, like.dtype if like.dtype != nw.Object else None, backend)
    if like.dtype.is_numeric() and backend.is_pandas():
        plain = [np.nan if v is None or v != v else float(v) for v in values]
        return make_series(name, plain, nw.Float64, backend)
    plain_values = [None if v is None or v != v else v for v in values]
    boolean = like.dtype == nw.Boolean and backend.is_pandas()
    return make_series(name, plain_values, None if boolean or like.dtype == nw.Object else like.dtype, backend)


def _amounts(values: FloatArray, name: str, survey: Survey) -> Series:
    backend = survey.frame.implementation
    if np.isnan(values).any() and not backend.is_pandas():
        return make_series(name, [None if v != v else v for v in values.tolist()], nw.Float64, backend)
    return make_series(name, values, nw.Float64, backend)


def _headed(link: Link, column: str, name: str) -> Series:
    rows = np.full(len(link.sizes), -1, dtype=np.int64)
    heads = np.flatnonzero(link.heads())
    rows[link.household[heads]] = heads
    series = link.members.frame[column]
    values = series.to_list()
    return _typed([values[r] if r >= 0 else None for r in rows.tolist()], name, series, link.households)


def _reckoned(link: Link, column: str, name: str, way: str) -> Series:
    values = link.members.numbers(column)
    inside = link.household >= 0
    homes, values = link.household[inside], values[inside]
    count = len(link.sizes)
    gaps = np.bincount(homes[np.isnan(values)], minlength=count) > 0
    backend = link.households.frame.implementation
    if way == "sum":
        total = added(np.nan_to_num(values), homes, count)
        return _amounts(np.where(gaps, np.nan, total), name, link.households)
    some = np.bincount(homes[np.nan_to_num(values) != 0], minlength=count)
    if way == "count":
        if not gaps.any():
            return make_series(name, some, nw.Int64, backend)
        return _amounts(np.where(gaps, np.nan, some), name, link.households)
    unknown = gaps & (some == 0)
    if not unknown.any():
        return make_series(name, some > 0, nw.Boolean, backend)
    answers = [None if u else bool(s) for s, u in zip(some > 0, unknown, strict=True)]
    return make_series(name, answers, None if backend.is_pandas() else nw.Boolean, backend)
