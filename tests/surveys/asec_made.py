"""Small CPS ASEC files in both releases' forms, made up: columns, codes and widths are the genuine ones."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from microimpute.data import bundled

INCOMES = (
    "WSAL_VAL",
    "SEMP_VAL",
    "FRSE_VAL",
    "INT_VAL",
    "DIV_VAL",
    "RNT_VAL",
    "SS_VAL",
    "SSI_VAL",
    "PAW_VAL",
    "UC_VAL",
    "VET_VAL",
)

#: Households: members as (relationship A_EXPRRP, age, sex, family, spouse's line, partner's line, parent's line).
#: 1 couple with a child; 2 single; 3 unmarried couple, the partner with a child of her own; 4 lone parent with a
#: grown son and a roomer of 17.
HOUSEHOLDS = [
    [(1, 45, 1, 1, 2, -1, 0), (4, 43, 2, 1, 1, -1, 0), (5, 10, 1, 1, 0, -1, 1)],
    [(2, 70, 2, 1, 0, -1, 0)],
    [(2, 30, 2, 1, 0, 2, 0), (13, 28, 1, 2, 0, 1, 0), (12, 5, 2, 2, 0, -1, 2)],
    [(1, 55, 2, 1, 0, -1, 0), (5, 25, 1, 1, 0, -1, 1), (14, 17, 1, 2, 0, -1, 0)],
]


def tables(copies: int = 50, seed: int = 1, year: int = 2023) -> dict[str, pd.DataFrame]:
    """Make household, family and person records; weights in hundredths; one household in ten was not interviewed."""
    rng = np.random.default_rng(seed)
    households: list[dict[str, Any]] = []
    families: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    for number in range(1, 4 * copies + 1):
        members = HOUSEHOLDS[(number - 1) % 4]
        weight = int(rng.integers(50_000, 300_000))
        rows = [_person(rng, number, line, m, weight, year) for line, m in enumerate(members, 1)]
        total = sum(r["PTOTVAL"] for r in rows)
        tenure = 1 + number % 3
        households.append(
            {
                "H_SEQ": number,
                "H_YEAR": year,
                "H_HHTYPE": 1,
                "H_NUMPER": len(rows),
                "H_TENURE": tenure,
                "GESTFIPS": 1 + number % 50,
                "GEREG": 1 + number % 4,
                "HTOTVAL": total,
                "HSUP_WGT": weight,
                "HPROP_VAL": 200_000 * (tenure == 1),
                "HPRES_MORT": int(tenure == 1),
                "HFDVAL": 1200 * (number % 4 == 0),
                "I_PROPVAL": int(number % 6 == 0),
                "THPROP_VAL": 0,
            }
        )
        for family in sorted({m[3] for m in members}):
            mine = [r for r in rows if r["PF_SEQ"] == family]
            families.append(
                {
                    "FH_SEQ": number,
                    "FFPOS": family,
                    "FPERSONS": len(mine),
                    "FTYPE": 1 if family == 1 else 5,
                    "FKIND": 1,
                    "FTOTVAL": sum(r["PTOTVAL"] for r in mine),
                    "FSUP_WGT": mine[0]["MARSUPWT"],
                    "POVLL": 5,
                }
            )
        persons += rows
    out = range(4 * copies + 1, 4 * copies + 1 + copies // 5)
    households += [dict.fromkeys(households[0], 0) | {"H_SEQ": n, "H_YEAR": year, "H_HHTYPE": 2} for n in out]
    return {"household": pd.DataFrame(households), "family": pd.DataFrame(families), "person": pd.DataFrame(persons)}


def _person(
    rng: np.random.Generator, number: int, line: int, member: tuple[int, ...], weight: int, year: int
) -> dict[str, Any]:
    relationship, age, sex, family, spouse, partner, parent = member
    adult = age >= 15
    money = {c: int(rng.integers(1, 40_000)) if adult and rng.uniform() < 0.4 else 0 for c in INCOMES}
    money["SEMP_VAL"] *= int(rng.choice([1, -1])) if money["SEMP_VAL"] < 9999 else 1
    for column in ("SS_VAL", "SSI_VAL", "PAW_VAL", "UC_VAL", "VET_VAL", "INT_VAL", "RNT_VAL"):
        money[column] = min(money[column], 9_999)
    pension = int(rng.integers(1, 9_999)) if age >= 65 else 0
    young = 500 if adult and age < 58 else 0
    extra = (
        {"RTM_VAL": pension}
        if year < 2019
        else {"PNSN_VAL": pension // 2, "DST_VAL1": pension - pension // 2, "DST_VAL1_YNG": young}
    )
    earnings = money["WSAL_VAL"] + money["SEMP_VAL"] + money["FRSE_VAL"]
    parents = {"PELNMOM": parent or -1, "PELNDAD": -1} if year < 2020 else {"PEPAR1": parent or -1, "PEPAR2": -1}
    units = (
        {}
        if year < 2019
        else {
            "TAX_ID": number * 100 + (1 if line == 1 or relationship in (4, 5) else line),
            "SPM_ID": number * 1000 + (1 if relationship != 14 else 2),
            "SPM_HEAD": int(line == 1 or relationship == 14),
            "SPM_WEIGHT": weight,
            "SPM_TOTVAL": 1000,
            "SPM_RESOURCES": 900,
            "SPM_POOR": 0,
        }
    )
    return {
        "PH_SEQ": number,
        "PPPOS": 40 + line,
        "A_LINENO": line,
        "PF_SEQ": family,
        "A_EXPRRP": relationship,
        "A_AGE": age,
        "A_SEX": sex,
        "A_MARITL": 1 if spouse else 7,
        "A_SPOUSE": spouse,
        "PECOHAB": partner,
        "A_PARENT": parent,
        **parents,
        "A_FAMREL": int(line == 1 or relationship in (13, 14)),
        "A_HGA": 43 if adult else 0,
        "PRDTRACE": 1 + number % 4,
        "PEHSPNON": 1 + number % 2,
        "MARSUPWT": weight if line <= 2 else weight + 777,
        "DEP_STAT": int(parent > 0 and age < 18),
        "PTOTVAL": sum(money.values()) + pension,
        "PEARNVAL": earnings,
        **money,
        **extra,
        "I_ERNVAL": int(rng.integers(0, 2)) if adult else 0,
        "TCWSVAL": 0,
        **units,
    }


def write_csv(made: Mapping[str, pd.DataFrame], folder: Path, year: int = 2023, inner: str = "") -> Path:
    """Write the CSV release as the zip that the Census Bureau publishes."""
    path = folder / f"asecpub{year % 100}csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for record, stem in (("household", "hhpub"), ("family", "ffpub"), ("person", "pppub")):
            archive.writestr(f"{inner}{stem}{year % 100}.csv", made[record].to_csv(index=False))
    return path


def fixed_lines(made: Mapping[str, pd.DataFrame], year: int) -> list[bytes]:
    """Return the hierarchical file's lines, each field where the genuine layout has it, others filled with zeros."""
    with bundled(f"cps_asec_{year}_layout.csv").open(newline="", encoding="utf-8") as handle:
        layout = list(csv.DictReader(handle))
    length = max(int(f["start"]) + int(f["width"]) - 1 for f in layout)
    lines: dict[int, list[tuple[int, bytes]]] = {}
    for digit, (record, key) in enumerate((("household", "H_SEQ"), ("family", "FH_SEQ"), ("person", "PH_SEQ")), 1):
        fields = [f for f in layout if f["record"] == record]
        for row in made[record].to_dict("records"):
            line = bytearray(b" " * length)
            for f in fields:
                start, width = int(f["start"]) - 1, int(f["width"])
                text = f"{int(row.get(f['name'].upper(), 0)):0{width}d}".encode()
                assert len(text) == width, (f["name"], text)
                line[start : start + width] = text
            line[0:1] = str(digit).encode()
            lines.setdefault(row[key], []).append((digit, bytes(line)))
    return [line for number in sorted(lines) for _, line in sorted(lines[number], key=lambda pair: pair[0])]


def write_fixed(made: Mapping[str, pd.DataFrame], folder: Path, year: int, ending: str = ".dat") -> Path:
    path = folder / f"asec{year}_pubuse{ending}"
    content = b"\n".join(fixed_lines(made, year)) + b"\n"
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    return path


def replicates(made: Mapping[str, pd.DataFrame], seed: int = 2) -> pd.DataFrame:
    """Make 160 replicate weights around the full weight, which stands first."""
    person = made["person"]
    full = person["MARSUPWT"].to_numpy() / 100.0
    factor = np.random.default_rng(seed).choice([0.3, 1.0, 1.7], size=(len(person), 160))
    many = np.column_stack([full, full[:, None] * factor])
    frame = pd.DataFrame(many, columns=[f"PWWGT{i}" for i in range(161)])
    return frame.assign(H_SEQ=person["PH_SEQ"].to_numpy(), PPPOS=person["PPPOS"].to_numpy())


def write_replicates(weights: pd.DataFrame, folder: Path, name: str = "CPS_ASEC_ASCII_REPWGT_2023.dat") -> Path:
    """Write them as published: 9 characters with four implied decimals each, then H_SEQ and PPPOS."""
    path = folder / name
    columns = [f"PWWGT{i}" for i in range(161)]
    whole = np.rint(weights[columns].to_numpy() * 10_000).astype(np.int64)
    keys = weights[["H_SEQ", "PPPOS"]].to_numpy().astype(int)
    rows = ["".join(f"{v:09d}" for v in row) + f"{h:05d}{p:02d}" for row, (h, p) in zip(whole, keys, strict=True)]
    assert {len(r) for r in rows} == {1456}
    path.write_text("\n".join(rows) + "\n")
    return path
