"""Run the Python blocks of a page, and put what each prints into the text block that follows it.

python scripts/run_page.py docs/pooling.md
"""

import contextlib
import io
import re
import sys
from pathlib import Path

PYTHON, TEXT = re.compile(r"```python\n(.*?)```", re.S), re.compile(r"```text\n.*?```", re.S)


def run(page: str) -> str:
    """Return a page with what its blocks print; blocks share their names."""
    shared: dict[str, object] = {}
    out, begin = [], 0
    blocks = list(PYTHON.finditer(page))
    for number, block in enumerate(blocks, 1):
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(compile(block.group(1), f"block {number}", "exec"), shared)
        out.append(page[begin : block.end()])
        until = blocks[number].start() if number < len(blocks) else len(page)
        rest = page[block.end() : until]
        if told.getvalue():
            text = f"```text\n{told.getvalue().rstrip()}\n```"
            rest, count = TEXT.subn(lambda _, text=text: text, rest, count=1)
            if not count:
                raise SystemExit(f"block {number} prints, and no text block follows it")
        out.append(rest)
        begin = until
    return "".join([*out, page[begin:]])


if __name__ == "__main__":
    for name in map(Path, sys.argv[1:]):
        name.write_text(run(name.read_text(encoding="utf-8")), encoding="utf-8")
