"""Small tables with the columns of the extracts of SIPP (R package hdm) and ACS (NIST), made up."""

from __future__ import annotations

import numpy as np
import pandas as pd


def sipp_rows(count: int, seed: int = 1) -> pd.DataFrame:
    """Households of 25 to 64 with amounts that keep the extract's identities."""
    rng = np.random.default_rng(seed)
    marr = rng.integers(0, 2, count)
    hval = rng.integers(1, 200, count) * 1000 * rng.integers(0, 2, count)
    frame = pd.DataFrame(
        {
            "ira": rng.integers(0, 2, count) * 5_000,
            "a401": rng.integers(0, 2, count) * 7_000,
            "hval": hval,
            "hmort": hval // 2,
            "hequity": hval - hval // 2,
            "nifa": rng.integers(0, 20_000, count),
            "age": rng.integers(25, 65, count),
            "inc": rng.integers(-2_000, 90_000, count),
            "fsize": rng.integers(1, 6, count) + marr,
            "educ": rng.integers(1, 19, count),
            "db": rng.integers(0, 2, count),
            "marr": marr,
            "male": rng.integers(0, 2, count),
            "twoearn": marr * rng.integers(0, 2, count),
            "e401": 1,
            "p401": 1,
            "pira": 1,
            "hown": (hval > 0).astype(int),
        }
    )
    frame["net_nifa"] = frame["nifa"] - rng.integers(0, 2, count) * 3_000
    frame["tfa"], frame["net_tfa"] = (frame[c] + frame["ira"] + frame["a401"] for c in ("nifa", "net_nifa"))
    frame["tw"] = frame["net_tfa"] + frame["hequity"] + rng.integers(0, 9_000, count)
    return frame


def acs_rows(count: int, seed: int = 1) -> pd.DataFrame:
    """Persons with N for who is not asked, some of them in group quarters."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 96, count)
    quarters = rng.random(count) < 0.1

    def text(values: np.ndarray, asked: np.ndarray) -> list[str]:
        return [str(v) if a else "N" for v, a in zip(values.tolist(), asked.tolist(), strict=True)]

    return pd.DataFrame(
        {
            "PUMA": rng.choice(["24-01004", "06-08507"], count),
            "AGEP": age,
            "SEX": rng.integers(1, 3, count),
            "MSP": text(rng.integers(1, 7, count), age >= 15),
            "HISP": rng.choice([0, 1, 4], count, p=[0.8, 0.1, 0.1]),
            "RAC1P": rng.integers(1, 10, count),
            "NOC": text(rng.integers(0, 5, count), ~quarters),
            "NPF": text(rng.integers(2, 7, count), ~quarters & (rng.random(count) < 0.7)),
            "HOUSING_TYPE": np.where(quarters, 3, 1),
            "OWN_RENT": np.where(quarters, 0, rng.integers(1, 3, count)),
            "DENSITY": 4187.9,
            "INDP": "N",
            "INDP_CAT": "N",
            "EDU": text(rng.integers(1, 13, count), age >= 3),
            "PINCP": text(rng.integers(-100, 1_000, count) * 100, age >= 15),
            "PINCP_DECILE": text(rng.integers(0, 10, count), age >= 15),
            "POVPIP": text(rng.integers(0, 502, count), ~quarters),
            "DVET": "N",
            "DREM": text(rng.integers(1, 3, count), age >= 5),
            "DPHY": text(rng.integers(1, 3, count), age >= 5),
            "DEYE": rng.integers(1, 3, count),
            "DEAR": rng.integers(1, 3, count),
            "PWGTP": rng.integers(1, 300, count),
            "WGTP": rng.integers(0, 300, count),
        }
    )
