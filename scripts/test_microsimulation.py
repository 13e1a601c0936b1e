"""Make environments with Tax-Calculator and PolicyEngine, and run the tests that need them there.

python scripts/test_microsimulation.py [folder]

The two are large, and neither is needed by anything else here, so each has an environment of its own in the folder
(default: .venv-microsimulation). An environment that can't be made is an error, not a skipped test.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Program → what is installed beside this package, and the test. numba, which Tax-Calculator imports, fails beside a
#: coverage older than 7.
PROGRAMS = {
    "taxcalc": (["taxcalc==6.8.0", "coverage>=7"], "tests/export/test_taxcalc.py"),
    "policyengine": (["policyengine-us==2.68.0"], "tests/export/test_policyengine.py"),
}


def main() -> int:
    """Run both; 0 if all tests ran and passed."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".venv-microsimulation"
    failed = 0
    for name, (packages, test) in PROGRAMS.items():
        place = folder / name
        if not (place / "bin" / "python").exists():
            venv.create(place, with_pip=True)
        python = str(place / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "-e", str(ROOT), "pytest", *packages], check=True)
        done = subprocess.run([python, "-m", "pytest", "-rs", test], cwd=ROOT, capture_output=True, text=True)
        print(done.stdout)
        print(done.stderr, file=sys.stderr)
        skipped = "is not installed" in done.stdout
        failed += done.returncode != 0 or skipped
        if skipped:
            print(f"{name} was installed and can't be imported", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
