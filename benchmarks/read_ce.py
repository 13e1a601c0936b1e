"""How long the Interview's release takes at genuine size: five quarters, 4,900 interviews and 600,000 lines each.

    python benchmarks/read_ce.py [--lines 600000] [--spending ucc] [--members]

The release is made up in the genuine layout of 2024 (805 columns of the family files, all filled), zipped, read in a
process of its own, and deleted. Prints seconds, and the peak memory of the reading process (Linux alone knows it).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READ = """
import json, sys, time
from pathlib import Path
from microimpute.surveys.cex import CEX
def peak():  # of this process alone: getrusage counts what the parent had, too
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
before = peak()
start, used = time.perf_counter(), time.process_time()
more = {"members": True, "incomes": True} if sys.argv[3] == "more" else {}
survey = CEX().read(Path(sys.argv[1]), spending=sys.argv[2], **more)
seconds, used = time.perf_counter() - start, time.process_time() - used
told = [n for n in survey.notes if "lines of expenditure" in n or "(ITBI)" in n or "(MEMI)" in n]
print(json.dumps({"seconds": seconds, "used": used, "rows": len(survey), "columns": len(survey.columns), "told": told,
                  "before_mb": before, "peak_mb": peak()}))
"""


def main() -> None:
    """Make, read, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=600_000, help="lines of expenditure a quarter")
    parser.add_argument("--per-month", type=int, default=1_632, help="interviews a month, a multiple of 4")
    parser.add_argument("--spending", choices=("ucc", "summary"), default="ucc")
    parser.add_argument("--members", action="store_true", help="with members and incomes by UCC")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "surveys"))
    from ce_made import write_release

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "intrvw21.zip"
        start = time.perf_counter()
        write_release(path, per_month=given.per_month, per_quarter=given.lines, filled=True, with_members=given.members)
        print(f"made in {time.perf_counter() - start:.1f} s, {path.stat().st_size / 1e6:.0f} MB zipped")
        command = [sys.executable, "-c", READ, str(path), given.spending, "more" if given.members else "plain"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(
        f"read in {found['seconds']:.2f} s ({found['used']:.2f} s of processor): {found['rows']:,} rows × "
        f"{found['columns']} columns; {found['told']}"
    )
    print(f"peak memory {found['peak_mb']:,.0f} MB ({found['before_mb']:,.0f} MB with the package loaded)")


if __name__ == "__main__":
    main()
