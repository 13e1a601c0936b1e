"""Incomes by UCC (ITBI of the Interview): a twelfth of the year's income in each month asked about, made annual.

ITBI holds the family file's incomes of the last 12 months once per month, a twelfth each: in the Bureau of Labor
Statistics' sample programs its VALUE stands beside the COST of expenditures, is kept where REFYR is the year, and has
the same weights and months in scope. So the sum over the months in scope times 12 / months is the year's income. The
UCCs are those of "Income before taxes" in the hierarchical groupings of 2013 to 2022, named after what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from microimpute.errors import SurveyError
from microimpute.readers.ce_files import Release, read_columns

__all__ = ["INCOMES", "INCOME_TOTAL", "read_incomes"]

FloatArray = npt.NDArray[np.float64]

INCOME_TOTAL = "income_before_taxes"
#: Column → meaning, its UCCs (those up to 2013Q1 last), and the family file's variable that is the same from 2013Q2.
_SOURCES: Mapping[str, tuple[str, tuple[int, ...], tuple[str, ...]]] = {
    "income_wages": ("wages and salaries", (900000,), ("FSALARYM",)),
    "income_self_employment": ("self-employment income", (900160, 900010, 900020), ("FSMPFRXM",)),
    "income_social_security": ("Social Security and railroad retirement income", (900030,), ("FRRETIRM",)),
    "income_retirement": ("retirement, survivors and disability income", (900170, 900040), ("RETSURVM",)),
    "income_property": (
        "interest, dividends, rents, royalties, estates and trusts",
        (900180, 900190, 900200, 900050, 900060, 900070, 900080),
        ("INTRDVXM", "NETRENTM", "ROYESTXM"),
    ),
    "income_ssi": ("Supplemental Security Income", (900090,), ("FSSIXM",)),
    "income_public_assistance": ("public assistance", (900120,), ("WELFAREM",)),
    "income_food_stamps": ("food stamps (SNAP)", (900150,), ("JFS_AMTM",)),
    "income_other_regular": (
        "unemployment and workers' compensation, veterans' benefits, regular support",
        (900210, 900100, 900110, 900131, 900132),
        ("OTHREGXM",),
    ),
    "income_other": ("other income (without meals and rent as pay)", (900140,), ("OTHRINCM",)),
}
#: Column → meaning; dollars a year. The total is the sum of the others.
INCOMES: Mapping[str, str] = {
    INCOME_TOTAL: "income before taxes by UCC, the sum of its sources",
    **{name: text for name, (text, _, _) in _SOURCES.items()},
}
#: UCC of income before taxes in all, which the sources are compared with; and what between 900000 and 900999 is none.
_IN_ALL = 980000
_NO_INCOME = (900002, 900220)
_CODES = range(900000, 901000)
UNMATCHED_SHARE = 0.01
UNKNOWN_SHARE = 0.01
#: Twelve rounded twelfths of ten sources, and means of implicates rounded to a dollar: dollars within which they agree.
_CLOSE = 12.0
#: Share of interviews in which incomes may differ from the family file's before reading stops.
_MOST = 0.5


def read_incomes(
    release: Release,
    quarters: Sequence[tuple[int, int]],
    families: pd.DataFrame,
    months: npt.NDArray[np.int64],
    year: int | None,
) -> tuple[dict[str, FloatArray], list[str]]:
    """Read incomes by UCC and make them annual.

    Parameters
    ----------
    release
        An open release.
    quarters
        Year and quarter of each file.
    families
        Rows of the family files, NEWID each once.
    months
        Months in scope of each row, shape (rows,); rows without one get NaN.
    year
        Only lines of this reference year count; None takes all.

    Returns
    -------
    columns : dict
        Names of `INCOMES` → dollars a year, shape (rows,); NaN where the family file has income and no line does.
    notes : list of str
        What was left out or disagrees, with counts.

    Raises
    ------
    SurveyError
        If a file is missing, cut off or lacks a column; if more than 1% of lines belong to no family, more than 1% of
        dollars have codes of income that no grouping knows, or half of the incomes are not the family file's.
    """
    newid = families["NEWID"].to_numpy(np.int64)
    tally = _Tally(newid, year)
    for quarter in quarters:
        table = read_columns(release, ("itbi", *quarter), ["NEWID", "UCC", "VALUE", "REFYR"], ["PUBFLAG"])
        wanted = pc.or_(
            pc.and_(pc.greater_equal(table["UCC"], _CODES[0]), pc.less_equal(table["UCC"], _CODES[-1])),
            pc.equal(table["UCC"], _IN_ALL),
        )
        tally.lines += len(table)
        tally.add(table.filter(pc.fill_null(wanted, fill_value=False)))
    tally.refuse(release)
    scope = np.where(months > 0, 12.0 / np.maximum(months, 1), np.nan)
    yearly = tally.sums * scope[:, None]
    columns = {name: yearly[:, i] for i, name in enumerate(_SOURCES)}
    columns = {INCOME_TOTAL: yearly[:, : len(_SOURCES)].sum(axis=1), **columns}
    lacking = ~tally.seen & (months > 0) & (families["FINCBTXM"].to_numpy(np.float64, na_value=np.nan) != 0)
    columns = {name: np.where(lacking, np.nan, values) for name, values in columns.items()}
    there = (months > 0) & ~lacking
    notes = tally.notes(int(lacking.sum()))
    notes += _compared(columns, yearly[:, -1], families, there, release)
    return columns, notes


class _Tally:
    """Adds up lines by interview and source; the last column is income in all."""

    def __init__(self, newid: npt.NDArray[np.int64], year: int | None) -> None:
        self._order = np.argsort(newid, kind="stable")
        self._newid, self._year = newid[self._order], year
        self._place = np.full(len(_CODES), -1)
        for i, (_, uccs, _) in enumerate(_SOURCES.values()):
            self._place[np.asarray(uccs) - _CODES[0]] = i
        self._none = np.asarray(_NO_INCOME) - _CODES[0]
        self._width = len(_SOURCES) + 1
        self.sums = np.zeros((len(newid), self._width))
        self.seen = np.zeros(len(newid), dtype=bool)
        self.lines = self._mine = self._lost = self._gaps = self._unpublished = 0
        self._dollars = 0.0
        self._unknown: dict[int, float] = {}

    def add(self, lines: pa.Table) -> None:
        """Add lines of income."""
        newid, ucc = lines["NEWID"].to_numpy(), lines["UCC"].to_numpy()
        value, when = (lines[c].to_numpy().astype(np.float64) for c in ("VALUE", "REFYR"))
        at = np.minimum(np.searchsorted(self._newid, newid), len(self._newid) - 1)
        matched = self._newid[at] == newid
        self._mine += len(newid)
        self._lost += int((~matched).sum())
        inside = matched if self._year is None else matched & (when == self._year)
        self._gaps += int((inside & np.isnan(value)).sum())
        value = np.nan_to_num(value)
        if "PUBFLAG" in lines.column_names:
            self._unpublished += int((inside & (lines["PUBFLAG"].to_numpy() != 2)).sum())
        whole = ucc == _IN_ALL
        place = np.where(whole, self._width - 1, self._place[np.where(whole, 0, ucc - _CODES[0])])
        none = np.isin(ucc - _CODES[0], self._none)
        self._dollars += float(np.abs(value[inside & ~whole & ~none]).sum())
        for code in np.unique(ucc[inside & (place < 0) & ~none]).tolist():
            amount = float(np.abs(value[inside & (ucc == code)]).sum())
            self._unknown[code] = self._unknown.get(code, 0.0) + amount
        good = inside & (place >= 0)
        row = self._order[at[good]]
        self.seen[row] = True
        cells = np.bincount(row * self._width + place[good], value[good], self.sums.size)
        self.sums += cells.reshape(self.sums.shape)

    def refuse(self, release: Release) -> None:
        """Raise where too many lines belong to nobody, or too many dollars to no source."""
        if self._lost > UNMATCHED_SHARE * self._mine:
            raise SurveyError(
                f"{self._lost:,} of {self._mine:,} lines of income in {release.path.name} "
                f"({self._lost / self._mine:.1%}) have a NEWID that no family file holds",
                "Check that both are of one release, and that no family file is cut off.",
            )
        if sum(self._unknown.values()) > UNKNOWN_SHARE * self._dollars:
            raise SurveyError(
                f"{sum(self._unknown.values()) / self._dollars:.1%} of dollars of income in {release.path.name} have "
                f"UCCs that no grouping of 2013 to 2022 knows: {self._listed()}",
                "Read the release without incomes=; the codes of income may have changed.",
            )

    def _listed(self) -> str:
        return ", ".join(f"{u:06d} ({d:,.0f} dollars)" for u, d in sorted(self._unknown.items()))

    def notes(self, without: int) -> list[str]:
        """Say what was counted and left out."""
        said = [f"{self.lines:,} lines of income and characteristics (ITBI), {self._mine:,} of them of income"]
        if self._lost:
            said.append(f"{self._lost:,} lines of income belong to no interview of the family files: left out")
        if self._gaps:
            said.append(f"{self._gaps:,} lines of income without a value count as 0")
        if self._unpublished:
            said.append(
                f"{self._unpublished:,} lines of income are not marked as published (PUBFLAG 2); they count here"
            )
        if self._unknown:
            said.append(f"incomes left out, for no grouping knows these UCCs: {self._listed()}")
        if without:
            said.append(f"{without:,} interviews with income have no line of it: their incomes by UCC are missing")
        return said


def _compared(
    columns: Mapping[str, FloatArray],
    in_all: FloatArray,
    families: pd.DataFrame,
    there: npt.NDArray[np.bool_],
    release: Release,
) -> list[str]:
    """Compare with income in all, and with the family file's incomes, and say where they differ."""
    said = []
    own = columns[INCOME_TOTAL]
    pairs = {"UCC 980000": in_all} if np.any(in_all[there] != 0) else {}
    pairs |= {"FINCBTXM": families["FINCBTXM"].to_numpy(np.float64, na_value=np.nan)}
    for name, theirs in pairs.items():
        known = there & np.isfinite(theirs)
        apart = int((np.abs(own - theirs)[known] > _CLOSE).sum())
        if name == "FINCBTXM" and apart > _MOST * max(int(known.sum()), 1):
            ratio = float(np.nanmedian(own[known] / np.where(theirs[known] == 0, np.nan, theirs[known])))
            raise SurveyError(
                f"incomes by UCC of {release.path.name} are not the family file's FINCBTXM in {apart:,} of "
                f"{int(known.sum()):,} interviews (median ratio {ratio:.3g})",
                "VALUE may not be a twelfth of the year's income in this release; read it without incomes=.",
            )
        said.append(f"{INCOME_TOTAL} = {name} in {int(known.sum()) - apart:,} of {int(known.sum()):,}")
    for name, (_, _, variables) in _SOURCES.items():
        if not set(variables) <= set(families):
            continue
        theirs = families[list(variables)].to_numpy(np.float64, na_value=np.nan)
        known = there & np.isfinite(theirs).any(axis=1)
        if known.any():
            apart = int((np.abs(columns[name] - np.nansum(theirs, axis=1))[known] > _CLOSE).sum())
            said.append(f"{name} = {' + '.join(variables)} in {int(known.sum()) - apart:,} of {int(known.sum()):,}")
    return [f"incomes by UCC against each other and the family file, within {_CLOSE:g} dollars: {'; '.join(said)}"]
