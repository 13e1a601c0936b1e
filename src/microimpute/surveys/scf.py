"""The Survey of Consumer Finances: the Federal Reserve's summary extract of public data."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from microimpute.data import bundled
from microimpute.errors import SurveyError, first_line
from microimpute.frames import UNREADABLE, Frame, read_file, refuse_html
from microimpute.kinds import Kind
from microimpute.prices import price_factor
from microimpute.readers.scf_replicates import attach
from microimpute.readers.scf_waves import IMPLICATES, wave
from microimpute.rules import parse_all
from microimpute.survey import Check, Survey
from microimpute.surveys.base import Connector
from microimpute.weighted import quantile

__all__ = ["IDENTITIES", "SCF", "income_inflation"]

FloatArray = npt.NDArray[np.float64]

#: Accounting identities of the extract; all hold on every row of 2019 (LIQ up to a dollar).
IDENTITIES = (
    "MMA = MMDA + MMMF",
    "LIQ = CHECKING + SAVING + MMA + CALL + PREPAID",
    "NMMF = STMUTF + TFBMUTF + GBMUTF + OBMUTF + COMUTF + OMUTF",
    "BOND = NOTXBND + MORTBND + GOVTBND + OBND",
    "RETQLIQ = IRAKH + THRIFT + FUTPEN + CURRPEN",
    "OTHMA = ANNUIT + TRUSTS",
    "FIN = LIQ + CDS + NMMF + STOCKS + BOND + RETQLIQ + SAVBND + CASHLI + OTHMA + OTHFIN",
    "BUS = ACTBUS + NONACTBUS",
    "NFIN = VEHIC + HOUSES + ORESRE + NNRESRE + BUS + OTHNFIN",
    "ASSET = FIN + NFIN",
    "MRTHEL = HELOC + NH_MORT",
    "HOMEEQ = HOUSES - MRTHEL",
    "INSTALL = VEH_INST + EDN_INST + OTH_INST",
    "DEBT = MRTHEL + RESDBT + OTHLOC + CCBAL + INSTALL + ODEBT",
    "NETWORTH = ASSET - DEBT",
)

#: Without these a file is not the summary extract.
REQUIRED = ("YY1", "Y1", "WGT", "AGE", "INCOME", "ASSET", "DEBT", "NETWORTH")

#: Households in millions, March of the survey year: what the SCF's weights are meant to add up to.
HOUSEHOLDS = {
    **{1989: 92.83, 1992: 95.67, 1995: 98.99, 1998: 102.53, 2001: 108.21, 2004: 112.00},
    **{2007: 116.01, 2010: 117.54, 2013: 122.46, 2016: 125.82, 2019: 128.58, 2022: 131.20},
}
CENSUS = "Census Bureau, Historical Households Tables, HH-1"

#: (wave, dollars of which year) → published median net worth in dollars.
MEDIAN_NET_WORTH = {
    (2007, 2010): 126_400,
    (2010, 2010): 77_300,
    (2013, 2013): 81_200,
    (2016, 2016): 97_300,
    (2019, 2019): 121_700,
    (2019, 2022): 141_100,
    (2022, 2022): 192_900,
}
BULLETIN = "Federal Reserve, Changes in U.S. Family Finances, the issue on that wave"
TOLERANCE = 0.01
#: The Census Bureau has revised its counts since some of the waves (2001 by 1.6%).
TOLERANCE_HOUSEHOLDS = 0.025

#: What the Federal Reserve multiplied 2018 incomes by to bring them to 2019 dollars (CPI-U-RS 376.5 / 369.8):
#: incomes divided by it are whole dollars again.
_INFLATION_2019 = 3765 / 3698


def income_inflation(year: int) -> float:
    """Return what incomes of the extract were multiplied by to be in survey-year dollars.

    Incomes are of the calendar year before the survey. The number for 2019 is exact; for other waves the
    change of the CPI-U from the income year to the survey year stands in for the Federal Reserve's CPI-U-RS
    (the two differ by less than 0.2% in any wave).

    Parameters
    ----------
    year
        Survey year.

    Returns
    -------
    float
    """
    return _INFLATION_2019 if year == 2019 else price_factor(year - 1, year)


def _variables() -> list[dict[str, str]]:
    with bundled("scf_variables.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


class SCF(Connector):
    """Reads ``SCFP<year>`` as zip (of csv or dta), csv, dta or Parquet, in upper or lower case.

    The household (strictly: the primary economic unit) stands once in each of five implicates. Wealth is of
    the interview, incomes are of the calendar year before in survey-year dollars (see `income_inflation`).
    """

    name: ClassVar[str] = "scf"
    title: ClassVar[str] = "Survey of Consumer Finances, summary extract of public data"
    publisher: ClassVar[str] = "https://www.federalreserve.gov/econres/scfindex.htm"
    variables: ClassVar[Mapping[str, str]] = {v["name"]: v["label"] for v in _variables()}
    options: ClassVar[Mapping[str, str]] = {
        "year": "survey year; default: found in the file's name",
        "dollars": "year whose prices the money is in; default: found from the published median net worth",
        "replicates": "file of the 999 replicate weights (p19_rw1.dta or its zip)",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        **dict.fromkeys(("year", "dollars"), (int, np.integer)),
        "replicates": (str, Path),
    }
    #: Kinds of the columns whose kind is certain.
    kinds: ClassVar[Mapping[str, Kind]] = {v["name"]: Kind(v["kind"]) for v in _variables() if v["kind"]}

    def read(self, path: Path, **options: Any) -> Survey:
        """Read one wave.

        Parameters
        ----------
        path
            The file as published.
        **options
            ``year``, ``dollars`` and ``replicates``, see `options`.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page or another file; if households lack implicates; if the
            dollar year can't be told from the data and is not given.
        """
        self.check(options)
        path = Path(path)
        year = wave(path, options.get("year"))
        data = _load(path)
        data.columns = [str(c).upper() for c in data.columns]
        if "XX1" in data and "YY1" not in data:  # the names of 1989
            data = data.rename(columns={"XX1": "YY1", "X1": "Y1"})
        _refuse_other_files(path, data)
        _refuse_gaps(path, data)
        _add_design(path, data, year)
        frame = nw.from_native(data, eager_only=True)
        weight = data["WGT"].to_numpy(np.float64)
        median = float(quantile(data["NETWORTH"].to_numpy(np.float64), 0.5, weight))
        dollars = _dollars(path, year, median, options.get("dollars"))
        frame, replicates, said = _add_replicates(frame, weight, options.get("replicates"))
        return Survey(
            frame,
            weight="WGT",
            keys=("YY1",),
            implicate="IMPLICATE",
            replicates=replicates,
            replicate_rule="scf" if replicates else "",
            kinds={c: k for c, k in self.kinds.items() if c in data},
            dollars=dollars,
            unit="household",
            source=f"{self.title}, {year}, Board of Governors of the Federal Reserve System ({path.name})",
            labels={c: label for c, label in self.variables.items() if c in data},
            checks=_checks(year, dollars, float(weight.sum()), median),
            notes=[*_notes(data, year, dollars), *said],
        )


def _load(path: Path) -> pd.DataFrame:
    if not path.name.lower().endswith(".zip"):
        native = read_file(path).to_native()
        return _arrow_types(native) if path.name.lower().endswith(".dta") else native
    if not path.is_file():
        raise SurveyError(f"there is no file {path}", "Check the path.")
    refuse_html(path)
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [n for n in archive.namelist() if n.lower().endswith((".csv", ".dta"))]
            if len(inside) != 1:
                raise SurveyError(
                    f"{path.name} holds {len(inside)} csv or dta files, not one",
                    "Get the summary extract, SCFP<year>.zip, or unpack it and give the file.",
                )
            with archive.open(inside[0]) as handle:
                return _member(inside[0], handle.read())
    except (zipfile.BadZipFile, zlib.error, *UNREADABLE) as error:
        raise SurveyError(
            f"{path.name} can't be unpacked: {first_line(error)}", "Get it again; it may be cut off."
        ) from None


def _member(name: str, content: bytes) -> pd.DataFrame:
    if name.lower().endswith(".dta"):
        return _arrow_types(pd.read_stata(io.BytesIO(content)))
    table: pd.DataFrame = arrow_csv.read_csv(pa.py_buffer(content)).to_pandas(types_mapper=pd.ArrowDtype)
    return table


def _arrow_types(frame: pd.DataFrame) -> pd.DataFrame:
    table: pd.DataFrame = pa.Table.from_pandas(frame, preserve_index=False).to_pandas(types_mapper=pd.ArrowDtype)
    return table


def _refuse_other_files(path: Path, data: pd.DataFrame) -> None:
    missing = [c for c in REQUIRED if c not in data]
    if missing:
        raise SurveyError(
            f"{path.name} is not the summary extract: it has no column {', '.join(missing)}",
            "Get the summary extract public data (SCFP<year>), not the full public data set or the weights.",
        )


def _refuse_gaps(path: Path, data: pd.DataFrame) -> None:
    for column in REQUIRED:
        if not pd.api.types.is_numeric_dtype(data[column]) or bool(data[column].isna().any()):
            raise SurveyError(
                f"{path.name}: column {column} holds gaps or something else than numbers",
                "Get the file again; in the published one this column is complete.",
            )


def _add_design(path: Path, data: pd.DataFrame, year: int) -> None:
    for key in ("YY1", "Y1"):  # Stata files hold them as doubles
        data[key] = data[key].astype("int64[pyarrow]")
    number = data["Y1"].to_numpy(np.int64) - 10 * data["YY1"].to_numpy(np.int64)
    household = data["YY1"].to_numpy(np.int64)
    pairs = np.unique(np.stack([household, number]), axis=1)
    _, count = np.unique(pairs[0], return_counts=True)
    odd = int(np.sum(count != IMPLICATES))
    if odd or number.min(initial=1) < 1 or number.max(initial=1) > IMPLICATES or len(data) != pairs.shape[1]:
        raise SurveyError(
            f"{path.name}: {odd:,} of {len(count):,} households don't have implicates 1 to 5, once each",
            "Get the file again; it may be cut off, or rows were left out or doubled.",
        )
    data["IMPLICATE"] = pd.Series(number, index=data.index).astype("int64[pyarrow]")
    data["YEAR"] = pd.Series(year, index=data.index).astype("int64[pyarrow]")


def _add_replicates(frame: Frame, weight: FloatArray, path: Any) -> tuple[Frame, tuple[str, ...], list[str]]:
    if path is None:
        return frame, (), []
    many, said = attach(Path(path), frame["YY1"].to_numpy().astype(np.int64), weight)
    joined = nw.concat([frame, nw.from_native(many, eager_only=True)], how="horizontal")
    return joined, tuple(many.columns), said


def _dollars(path: Path, year: int, median: float, given: int | None) -> int:
    if given is not None:
        return int(given)
    fits = [d for (wave, d), m in MEDIAN_NET_WORTH.items() if wave == year and abs(median / m - 1) <= TOLERANCE]
    if len(fits) == 1:
        return fits[0]
    known = ", ".join(f"{m:,} in {d} dollars" for (wave, d), m in MEDIAN_NET_WORTH.items() if wave == year)
    raise SurveyError(
        f"{path.name}: can't tell which year's dollars the money is in; its median net worth is "
        f"{median:,.0f}, published is {known or 'nothing that is known here'}",
        "Give dollars=: the newest survey year at the time of download (old waves are re-issued in it).",
    )


def _checks(year: int, dollars: int, households: float, median: float) -> list[Check]:
    checks = [Check("households, millions", HOUSEHOLDS[year], households / 1e6, TOLERANCE_HOUSEHOLDS, CENSUS)]
    if (year, dollars) in MEDIAN_NET_WORTH:
        published = float(MEDIAN_NET_WORTH[year, dollars])
        checks.append(Check(f"median net worth, {dollars} dollars", published, median, TOLERANCE, BULLETIN))
    return checks


def _notes(data: pd.DataFrame, year: int, dollars: int) -> list[str]:
    notes = [f"{len(data):,} rows: {len(data) // IMPLICATES:,} households × {IMPLICATES} implicates"]
    if len(data) // IMPLICATES < 3000:  # the smallest wave, 1989, has 3,143
        notes.append(f"a sample of {len(data) // IMPLICATES:,} households, not the published file")
    if (year, dollars) not in MEDIAN_NET_WORTH:
        notes.append(f"no published median net worth of {year} in {dollars} dollars is known; it was not checked")
    holds = [r for r in parse_all(IDENTITIES) if all(c in data for c in r.columns)]
    for rule in holds:
        broken = int(rule.broken({c: data[c].to_numpy(np.float64) for c in rule.columns}).sum())
        if broken:
            notes.append(f"{broken:,} rows break the identity {rule}")
    left = len(IDENTITIES) - len(holds)
    notes.append(f"{len(holds)} accounting identities checked" + (f", {left} not: columns missing" if left else ""))
    gaps = {c: int(n) for c, n in data.isna().sum().items() if n}
    notes += [f"{n:,} values of {c} are missing in the file" for c, n in gaps.items()]
    return notes
