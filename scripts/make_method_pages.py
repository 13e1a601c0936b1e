"""Make docs/methods again, a page for each method, from the code and benchmark results.

python scripts/make_method_pages.py docs/methods benchmarks/results.jsonl.gz
"""

import sys
from pathlib import Path

from microimpute.benchmark.method_pages import write

if __name__ == "__main__":
    folder, *results = map(Path, sys.argv[1:])
    for path in write(folder, *results):
        print(path)
