"""Interview releases that are made up but laid out as the genuine files of 2024 are, column by column.

Spending is drawn line by line (MTBI); the summary variables of the family files are added up from the lines, so both
ways of reading must agree.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from microimpute.data import bundled

DATA = Path(__file__).parents[1] / "data"
FMLI, FMLI_LATER, MTBI = (
    (DATA / f"ce_header_{name}.txt").read_text().split() for name in ("fmli241x", "fmli242", "mtbi241x")
)
POPULATION = 133.6e6
#: Category → stem of the family file's summary variable that gets all of it here.
STEMS = {
    **{"food_home": "FDHOME", "food_away": "FDAWAY", "alcohol": "ALCBEV", "housing_owned": "OWNDWE"},
    **{"housing_rented": "RENDWE", "housing_other": "OTHLOD", "natural_gas": "NTLGAS", "electricity": "ELCTRC"},
    **{"other_fuels": "ALLFUL", "telephone": "TELEPH", "water": "WATRPS", "household_operations": "HOUSOP"},
    **{"furnishings": "HOUSEQ", "apparel": "APPAR", "vehicle_purchases": "CARTKU", "gasoline": "GASMO"},
    **{"vehicle_other": "VEHINS", "public_transport": "PUBTRA", "health_insurance": "HLTHIN"},
    **{"medical_services": "MEDSRV", "drugs": "PREDRG", "medical_supplies": "MEDSUP", "entertainment": "ENTERT"},
    **{"personal_care": "PERSCA", "reading": "READ", "education": "EDUCA", "childcare": "BBYDAY"},
    **{"tobacco": "TOBACC", "miscellaneous": "MISCX4", "cash_contributions": "CASHCO", "insurance_pensions": "PERINS"},
}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def uccs() -> pd.DataFrame:
    """The table of UCCs: those of the Interview, and some that are no spending."""
    with bundled("ce_ucc.csv").open(newline="") as handle:
        table = pd.DataFrame(list(csv.DictReader(handle)))
    table = table[table["known_from"].ne("by hand") & table["category"].ne("housekeeping")]
    table["factor"] = table["factor"].astype(float)
    return table.reset_index(drop=True)


def families(year: int, quarter: int, per_month: int, rng: np.random.Generator) -> pd.DataFrame:
    """Design and characteristics of one quarter's interviews; consumer units stay for four quarters."""
    serial = 4 * (year - 2000) + quarter
    rows = [
        (10 * ((cohort * 3 + place) * per_month + i + 100_000) + number, 3 * (quarter - 1) + 1 + place)
        for number in (1, 2, 3, 4)
        for cohort in [serial - number]
        for place in (0, 1, 2)
        for i in range(per_month // 4)
    ]
    n = len(rows)
    weight = rng.lognormal(0.0, 0.4, n)
    frame = pd.DataFrame(rows, columns=["NEWID", "QINTRVMO"]).assign(QINTRVYR=year)
    frame["FINLWT21"] = np.round(weight * POPULATION / weight.sum(), 3)
    for i in range(1, 45):
        half = rng.random(n) < 0.5
        frame[f"WTREP{i:02d}"] = np.where(half, np.round(2 * frame["FINLWT21"], 3), np.nan)
    frame["AGE_REF"] = rng.integers(18, 88, n)
    frame["EDUC_REF"] = rng.choice([10, 11, 12, 13, 14, 15, 16], n)
    frame["SEX_REF"], frame["REF_RACE"] = rng.integers(1, 3, n), rng.integers(1, 7, n)
    frame["FAM_SIZE"], frame["NO_EARNR"] = rng.integers(1, 7, n), rng.integers(0, 4, n)
    frame["CUTENURE"] = rng.choice([1, 2, 4], n)
    frame["REGION"] = np.where(rng.random(n) < 0.05, np.nan, rng.integers(1, 5, n))
    frame["FINCBTXM"] = np.round(rng.lognormal(11.0, 0.8, n))
    for i in range(1, 6):
        frame[f"FINCBTX{i}"] = frame["FINCBTXM"] + np.round(rng.normal(0, 1000, n))
    frame["LIQUIDX"] = np.where(frame["NEWID"] % 10 == 4, rng.integers(0, 50_000, n).astype(float), np.nan)
    return frame


def lines(frame: pd.DataFrame, count: int, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Lines of expenditure of the three months before each interview, and a few of no spending."""
    row = rng.integers(0, len(frame), count)
    back = rng.integers(1, 4, count)
    month = 12 * frame["QINTRVYR"].to_numpy()[row] + frame["QINTRVMO"].to_numpy()[row] - 1 - back
    kind = rng.integers(0, len(table), count)
    return pd.DataFrame(
        {
            "NEWID": frame["NEWID"].to_numpy()[row],
            "SEQNO": 1,
            "EXPNAME": "COST",
            "REF_MO": month % 12 + 1,
            "REF_YR": month // 12,
            "GIFT": 2,
            "UCC": table["ucc"].to_numpy()[kind],
            "COST": np.round(rng.lognormal(3.0, 1.0, count) * np.where(rng.random(count) < 0.02, -1, 1), 2),
            "PUBFLAG": 2,
        }
    )


def summaries(frame: pd.DataFrame, spent: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add the lines up to the family file's variables of the current and of the previous quarter."""
    known = spent.merge(table[["ucc", "category", "factor"]], left_on="UCC", right_on="ucc")
    known = known[known["category"].ne("")].merge(frame[["NEWID", "QINTRVMO", "QINTRVYR"]], on="NEWID")
    now = (known["REF_YR"] == known["QINTRVYR"]) & ((known["REF_MO"] - 1) // 3 == (known["QINTRVMO"] - 1) // 3)
    known = known.assign(
        column=known["category"].map(STEMS) + np.where(now, "CQ", "PQ"), cost=known["COST"] * known["factor"]
    )
    wide = known.pivot_table(index="NEWID", columns="column", values="cost", aggfunc="sum", fill_value=0.0)
    every = [f"{s}{e}" for s in STEMS.values() for e in ("CQ", "PQ")]
    wide = wide.reindex(index=frame["NEWID"], columns=every, fill_value=0.0)
    for e in ("CQ", "PQ"):
        wide[f"TOTEX4{e}"] = wide[[f"{s}{e}" for s in STEMS.values()]].sum(axis=1)
        wide[f"HOUSOP{e}"] += wide[f"BBYDAY{e}"]
    return pd.concat([frame, wide.round(6).reset_index(drop=True)], axis=1)


#: Columns of the members' and incomes' files that are read, by the dictionary's names: their order was not at hand.
MEMI = (
    *("NEWID", "MEMBNO", "CU_CODE", "AGE", "SEX", "EDUCA", "MEMBRACE", "HORIGIN", "MARITAL", "EARNER", "SALARYX"),
    *("SALARYBX", "SALARYXM", "SEMPFRMM", "SOCRRX", "SOCRRXM", "SSIXM"),
)
ITBI = ("NEWID", "REFMO", "REFYR", "UCC", "PUBFLAG", "VALUE")
#: Family file's income → UCC.
SOURCES = {
    **{"FSALARYM": 900000, "FSMPFRXM": 900160, "FRRETIRM": 900030, "RETSURVM": 900170, "INTRDVXM": 900180},
    **{"NETRENTM": 900190, "ROYESTXM": 900200, "FSSIXM": 900090, "WELFAREM": 900120, "JFS_AMTM": 900150},
    **{"OTHREGXM": 900210, "OTHRINCM": 900140},
}


def members(frame: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Members of the interviews, and the families with what the dictionary makes of members and of sources."""
    row = np.repeat(np.arange(len(frame)), frame["FAM_SIZE"])
    number = np.concatenate([np.arange(1, n + 1) for n in frame["FAM_SIZE"]])
    n = len(row)
    age = np.where(number == 1, frame["AGE_REF"].to_numpy()[row], rng.integers(0, 87, n))
    second = np.where(age >= 18, rng.choice([0, 2, 3, 9], n), 3)
    earns = (age >= 14) & (rng.random(n) < 0.6)
    wages = np.where(earns, rng.integers(1, 200_000, n), np.nan)
    how = rng.choice(3, n, p=[0.7, 0.2, 0.1])  # an amount, a bracket, no answer
    people = pd.DataFrame(
        {
            "NEWID": frame["NEWID"].to_numpy()[row],
            "MEMBNO": number,
            "CU_CODE": np.where(number == 1, 1, np.where(number == 2, second, 3)),
            "AGE": age,
            "SEX": np.where(number == 1, frame["SEX_REF"].to_numpy()[row], rng.integers(1, 3, n)),
            "EDUCA": np.where(age >= 14, rng.integers(1, 9, n), np.nan),
            "MEMBRACE": rng.integers(1, 7, n),
            "HORIGIN": rng.integers(1, 3, n),
            "EARNER": np.where(earns, 1, 2),
            "SALARYX": np.where(how == 0, wages, np.nan),
            "SALARYBX": np.where(how == 1, np.round(wages, -3), np.nan),
            "SALARYXM": np.where(how < 2, wages, wages + 0.2),
            "SEMPFRMM": np.where(earns & (rng.random(n) < 0.1), rng.integers(-9_000, 90_000, n), np.nan),
            "SOCRRXM": np.where(age > 64, 12.0 * rng.integers(500, 2_500, n), np.nan),
            "SSIXM": np.where(rng.random(n) < 0.05, 600.0, np.nan),
        }
    )
    of = people.fillna(dict.fromkeys(people, 0)).groupby("NEWID").sum().loc[frame["NEWID"]]
    known = people.assign(young=age < 18, old=age >= 65, earns=earns).groupby("NEWID").sum().loc[frame["NEWID"]]
    made = {"FSALARYM": of["SALARYXM"], "FSALARYX": of["SALARYX"] + of["SALARYBX"], "FRRETIRM": of["SOCRRXM"]}
    made |= {"FSMPFRXM": of["SEMPFRMM"], "FSSIXM": of["SSIXM"]}
    made |= {"PERSLT18": known["young"], "PERSOT64": known["old"], "NO_EARNR": known["earns"]}
    family = frame.assign(**{c: v.to_numpy() for c, v in made.items()})
    for variable in (c for c in SOURCES if c not in made):
        family[variable] = np.where(rng.random(len(frame)) < 0.2, rng.integers(-500, 20_000, len(frame)), 0)
    family["FINCBTXM"] = family[list(SOURCES)].sum(axis=1)
    return people, family


def incomes(family: pd.DataFrame) -> pd.DataFrame:
    """A twelfth of each income, and of income in all and of persons, in each of the three months asked about."""
    codes = {**SOURCES, "FINCBTXM": 980000, "FAM_SIZE": 980010}
    month = 12 * family["QINTRVYR"] + family["QINTRVMO"] - 1
    parts = [
        pd.DataFrame(
            {
                "NEWID": family["NEWID"],
                "REFMO": (month - back) % 12 + 1,
                "REFYR": (month - back) // 12,
                "UCC": f"{ucc:06d}",
                "PUBFLAG": 2,
                "VALUE": np.round(family[variable] / 12, 4),
            }
        )
        for variable, ucc in codes.items()
        for back in (1, 2, 3)
    ]
    lines = pd.concat(parts, ignore_index=True)
    return lines[lines["VALUE"] != 0].reset_index(drop=True)


def as_csv(frame: pd.DataFrame, header: list[str], *, quoted: bool = False, filled: bool = False) -> bytes:
    """Write a frame in a layout: columns that it lacks are blank, or hold some number."""
    rest = pa.array(np.arange(len(frame)) % 997) if filled else pa.nulls(len(frame), pa.string())
    columns = {c: pa.array(frame[c], from_pandas=True) if c in frame else rest for c in header}
    columns |= {str(c): pa.array(frame[c], from_pandas=True) for c in frame if c not in columns}
    table = pa.table(columns)
    if quoted:
        table = pa.table({c: table[c].cast(pa.string()).fill_null(".") for c in table.column_names})
    out = io.BytesIO()
    arrow_csv.write_csv(table, out, arrow_csv.WriteOptions(quoting_style="all_valid" if quoted else "needed"))
    return out.getvalue()


def write_release(
    path: Path,
    year: int = 2021,
    *,
    per_month: int = 16,
    per_quarter: int = 3_000,
    quoted: bool = False,
    changes: Mapping[str, Change] | None = None,
    leave_out: tuple[str, ...] = (),
    later_layout: bool = False,
    filled: bool = False,
    with_members: bool = False,
) -> dict[str, pd.DataFrame]:
    """Write a release as a zip; returns its tables by file name. `changes` spoil or replace tables by file name.

    With members, the files of members and incomes are written, and the families' numbers are made from them.
    """
    rng = np.random.default_rng(year)
    others = np.random.default_rng([year, 2])
    table = uccs()
    tables: dict[str, pd.DataFrame] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for y, q in [(year, 1), (year, 2), (year, 3), (year, 4), (year + 1, 1)]:
            name = f"{y % 100:02d}{q}" + ("x" if (y, q) == (year, 1) else "")
            frame = families(y, q, per_month, rng)
            spent = lines(frame, per_quarter, table, rng)
            layout = FMLI_LATER if later_layout and (y, q) != (year, 1) else FMLI
            more: dict[str, tuple[pd.DataFrame, list[str]]] = {}
            if with_members:
                people, frame = members(frame, others)
                more = {f"memi{name}": (people, list(MEMI)), f"itbi{name}": (incomes(frame), list(ITBI))}
            made = {f"fmli{name}": (summaries(frame, spent, table), layout), f"mtbi{name}": (spent, MTBI), **more}
            for member, (content, header) in made.items():
                if member in leave_out:
                    continue
                change = (changes or {}).get(member)
                tables[member] = change(content) if change else content
                own = [c for c in header if c in tables[member] or c not in content]
                archive.writestr(
                    f"intrvw{year % 100:02d}/{member}.csv", as_csv(tables[member], own, quoted=quoted, filled=filled)
                )
    return tables
