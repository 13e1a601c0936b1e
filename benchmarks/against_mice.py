"""Our draws beside those of R's mice for the same donors and receivers: the tables of docs/peers.md.

    python benchmarks/against_mice.py

What R drew is in tests/golden (made by peers/mice_golden.R); figures and studies are those of
tests/methods/test_against_mice.py, which holds srmi to them.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "methods"))
from test_against_mice import M, compared

PAIRS = (("srmi", "norm", {}), ("pmm", "pmm", {"neighbours": 5, "univariate": True}))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for ours, theirs, settings in PAIRS:
        for study in ("classes", "line"):
            print(f"\n{ours} {settings or ''} beside mice's {theirs}, {study}, {M} implicates each\n")
            print("| figure | ours | mice | Monte Carlo errors apart | spreads apart | ratio of between-variances |")
            print("|---|---|---|---|---|---|")
            for name, row in compared(study, ours, theirs, **settings).iterrows():
                means = f"{row['ours']:.4f} | {row['theirs']:.4f} | {row['errors']:+.2f} | {row['spreads']:+.2f}"
                print(f"| {name} | {means} | {row['ratio']:.2f} |")


if __name__ == "__main__":
    main()
