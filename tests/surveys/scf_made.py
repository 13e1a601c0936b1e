"""Small files in the forms of the SCF's full public data set and of its replicate weights, made up."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from microimpute.data import bundled
from microimpute.readers.fixed_width import Field, read_layout

HOUSEHOLDS = 12


def layout() -> dict[str, Field]:
    return read_layout(bundled("scf_full_2019_layout.csv.gz"))["implicate"]


def full(columns: list[str], seed: int = 1) -> pd.DataFrame:
    """Make five implicates of each household: amounts, some of them the codes 0 and -1; weights are five-fold."""
    rng = np.random.default_rng(seed)
    household = np.repeat(np.arange(1, HOUSEHOLDS + 1), 5)
    frame = pd.DataFrame({"YY1": household, "Y1": household * 10 + np.tile(np.arange(1, 6), HOUSEHOLDS)}).astype(float)
    weight = np.repeat(rng.integers(1_000_000, 2_000_000, HOUSEHOLDS), 5) / 100.0
    made = {c: rng.choice([0, -1, 5, 1], size=len(frame)) * rng.integers(1, 99_999, len(frame)) for c in columns}
    made = {c: np.where(v < 0, -1, v).astype(float) for c, v in made.items()}
    return pd.concat([frame, pd.DataFrame({**made, "X42001": weight})], axis=1)


def write_dta(frame: pd.DataFrame, folder: Path, name: str = "p19i6.dta") -> Path:
    frame.to_stata(folder / name, write_index=False, version=118)
    return folder / name


def zipped(path: Path, name: str) -> Path:
    with zipfile.ZipFile(path.with_name(name), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    return path.with_name(name)


def write_fixed(frame: pd.DataFrame, folder: Path, name: str = "p19i6.txt") -> Path:
    """Write all 5,333 columns at their genuine places, those that are not in the frame as 0."""
    fields = layout()
    length = max(f.start + f.width - 1 for f in fields.values())
    empty = bytearray(b" " * length)
    for f in fields.values():
        empty[f.start - 1 : f.start + f.width - 1] = f"{0:{f.width}.{f.decimals}f}".encode()
    with (folder / name).open("wb") as handle:
        for row in frame.to_dict("records"):
            line = bytearray(empty)
            for column, value in row.items():
                f = fields[str(column)]
                line[f.start - 1 : f.start + f.width - 1] = f"{value:{f.width}.{f.decimals}f}".encode()
            assert len(line) == length
            handle.write(bytes(line) + b"\n")
    return folder / name


def replicates(household: np.ndarray, weight: np.ndarray, seed: int = 2) -> pd.DataFrame:
    """Make a bootstrap's weights and multiplicities in implicate 1, gaps where a household was not selected.

    Parameters
    ----------
    household, weight
        Number of each household and its weight, shape (households,); each replicate sums to the weights' total.
    """
    rng = np.random.default_rng(seed)
    count = len(household)
    times = np.stack([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(999)], axis=1).astype(
        float
    )
    times[times == 0] = np.nan
    many = np.where(np.isnan(times), np.nan, weight[:, None])
    many *= weight.sum() / np.nansum(many * times, axis=0)
    frame = pd.DataFrame(many, columns=[f"wt1b{i}" for i in range(1, 1000)])
    frame = pd.concat([frame, pd.DataFrame(times, columns=[f"mm{i}" for i in range(1, 1000)])], axis=1)
    keys = pd.DataFrame({"yy1": household.astype(float), "y1": household * 10.0 + 1})
    return pd.concat([keys, frame], axis=1)
