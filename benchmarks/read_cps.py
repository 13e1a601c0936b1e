"""Time and memory of reading an ASEC-sized CPS release, generated in a temporary folder, and the SCF's zip if at hand.

    python benchmarks/read_cps.py [--persons 150000] [--columns 800] [--scf SCFP2019.zip]

Each reading runs in a process of its own, so that its peak memory is its own, interpreter and libraries included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

READ = """
import json, resource, sys, time
from pathlib import Path
from microimpute.surveys.base import connector
name, path, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
connected = connector(name)
start = time.perf_counter()
survey = connected.read(path, **options)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
found = {"rows": len(survey), "columns": len(survey.columns), "seconds": round(seconds, 2), "peak_mb": round(peak)}
print(json.dumps(found))
"""


def person_columns(persons: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Households of three: a couple and a child."""
    household = np.arange(persons) // 3 + 1
    line = np.arange(persons) % 3 + 1
    adult = line < 3
    from microimpute.readers.asec_files import asec_variables

    wanted = [v["name"] for v in asec_variables() if v["record"] == "person"]
    columns = {
        c: np.where(adult & (rng.uniform(size=persons) < 0.3), rng.integers(0, 99_999, persons), 0) for c in wanted
    }
    columns |= {"PH_SEQ": household, "A_LINENO": line, "PPPOS": 40 + line, "PF_SEQ": np.ones(persons, int)}
    columns |= {
        "A_EXPRRP": np.choose(line - 1, [1, 4, 5]),
        "A_SPOUSE": np.choose(line - 1, [2, 1, 0]),
        "A_AGE": np.choose(line - 1, [45, 43, 10]),
    }
    columns |= {
        "A_SEX": 1 + line % 2,
        "PECOHAB": np.full(persons, -1),
        "MARSUPWT": rng.integers(50_000, 300_000, persons),
    }
    columns |= {"TAX_ID": household * 100, "SPM_ID": household * 1000, "SPM_WEIGHT": columns["MARSUPWT"]}
    return columns


def write_release(folder: Path, persons: int, columns: int) -> Path:
    rng = np.random.default_rng(1)
    person = person_columns(persons, rng)
    for i in range(columns - len(person)):
        person[f"FILLER{i}"] = rng.integers(0, 1000, persons) if i % 4 == 0 else np.zeros(persons, int)
    count = (persons + 2) // 3
    members = np.bincount(person["PH_SEQ"] - 1, minlength=count)
    weight = rng.integers(50_000, 300_000, count)
    number = np.arange(1, count + 1)
    one = np.ones(count, int)
    household = {
        "H_SEQ": number,
        "H_YEAR": one * 2023,
        "H_HHTYPE": one,
        "H_NUMPER": members,
        "H_TENURE": one,
        "GESTFIPS": one,
    }
    household |= {"HTOTVAL": np.bincount(person["PH_SEQ"] - 1, person["PTOTVAL"]).astype(int), "HSUP_WGT": weight}
    family = {
        "FH_SEQ": number,
        "FFPOS": one,
        "FPERSONS": members,
        "FTYPE": one,
        "FKIND": one,
        "FTOTVAL": household["HTOTVAL"],
        "FSUP_WGT": weight,
    }
    for stem, table in (("hhpub", household), ("ffpub", family), ("pppub", person)):
        csv.write_csv(pa.table(table), folder / f"{stem}23.csv")
    return folder


def read(name: str, path: Path, **options: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", READ, name, str(path), json.dumps(options)], capture_output=True, text=True, check=True
    )
    got: dict[str, float] = json.loads(done.stdout)
    return got


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--persons", type=int, default=150_000)
    parser.add_argument("--columns", type=int, default=800)
    parser.add_argument("--scf", type=Path)
    chosen = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = write_release(Path(name), chosen.persons, chosen.columns)
        size = (folder / "pppub23.csv").stat().st_size / 2**20
        print(f"pppub23.csv: {chosen.persons:,} × {chosen.columns}, {size:.0f} MB")
        for unit in ("person", "household"):
            rows[f"cps_asec, {unit} rows, folder"] = read("cps_asec", folder, unit=unit)
        packed = folder / "asecpub23csv.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for stem in ("hhpub", "ffpub", "pppub"):
                archive.write(folder / f"{stem}23.csv", f"{stem}23.csv")
        rows["cps_asec, household rows, zip"] = read("cps_asec", packed, unit="household")
    if chosen.scf:
        rows["scf, summary extract, zip"] = read("scf", chosen.scf)
    print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
