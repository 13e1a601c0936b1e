"""A few tax units as in cps.csv.gz, their households, and imputations for these, made by hand."""

import numpy as np
import pandas as pd
from made import of

from microimpute.surveys.cps_tax_units import FAMILY, HOUSEHOLD_ONLY, CPSTaxUnits

#: Columns that are not about money, one row per unit; households are 1 to 5, the third has three units.
ROWS = """FLPDYR h_seq ffpos a_lineno s006 fips DSI MARS XTOT nu06 nu13 nu18 n1820 n21 elderly_dependents age_head age_spouse blind_head blind_spouse
2012 1 1 1 20500 23 0 1 1 0 0 0 0 1 0 70 0 0 0
2012 2 1 1 19700 23 0 2 4 1 2 2 0 2 0 45 40 0 0
2012 3 2 3 30000 6 0 1 1 0 0 0 0 1 0 30 0 0 0
2012 3 1 2 30100 6 0 4 3 0 0 1 0 2 1 50 0 0 0
2012 3 1 1 30000 6 1 1 1 0 0 0 1 0 0 19 0 0 0
2013 1 1 1 15000 36 0 1 1 0 0 0 0 1 0 80 0 1 0
2013 2 1 1 15000 36 0 2 2 0 0 0 0 2 0 67 66 0 0
2014 1 1 1 25000 48 0 1 1 0 0 0 0 1 0 28 0 0 0
"""


def units():
    lines = [line.split() for line in ROWS.splitlines()]
    frame = pd.DataFrame([list(map(int, line)) for line in lines[1:]], columns=lines[0])
    rng = np.random.default_rng(5)
    for column in dict.fromkeys((*FAMILY, *HOUSEHOLD_ONLY, "snap_ben")):
        frame[column] = 0
    married = (frame["MARS"] == 2).to_numpy()
    for wages in ("e00200", "e00900", "e02100"):
        frame[f"{wages}p"] = rng.integers(0, 50_000, len(frame)) if wages == "e00200" else 0
        frame[f"{wages}s"] = np.where(married, rng.integers(0, 50_000, len(frame)), 0) if wages == "e00200" else 0
        frame[wages] = frame[f"{wages}p"] + frame[f"{wages}s"]
    frame["e00300"] = [10, 200, 0, 35, 0, 4000, 12, 0]
    frame["e00600"], frame["e00650"] = [0, 900, 0, 0, 0, 50, 0, 0], [0, 400, 0, 0, 0, 50, 0, 0]
    frame["e02400"] = [12_000, 0, 0, 0, 0, 9000, 22_000, 0]
    frame["e19200"] = [0, 9000, 0, 5000, 0, 0, 0, 0]
    frame["EIC"], frame["RECID"] = 0, np.arange(len(frame))
    return frame


def write_units(folder, frame=None):
    path = folder / "cps.csv.gz"
    (units() if frame is None else frame).to_csv(path, index=False)
    return path


def households(path, m=3):
    """Households of the file, with liquid assets, mortgage interest and cars imputed m times."""
    receiver = CPSTaxUnits().read(path)
    rng = np.random.default_rng(6)
    n = len(receiver)
    blocks = [
        pd.DataFrame(
            {
                "liquid": rng.lognormal(8, 2, n).round(2),
                "interest_paid": rng.integers(0, 9000, n).astype(float),
                "cars": rng.integers(0, 4, n),
            }
        )
        for _ in range(m)
    ]
    return of(receiver.frame.to_native(), blocks, derived=(), weight="household_weight", keys=("FLPDYR", "h_seq"),
              labels={}, unit="household")  # fmt: skip
