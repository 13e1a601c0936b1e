"""mitools: one CSV file per implicate, and the R that makes an `imputationList` of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from microimpute.export.base import Format
from microimpute.export.content import Content
from microimpute.export.csvfile import R_NAMING, arrow_types, r_factors, r_labels, r_name, r_reader, read, write_blocks

__all__ = ["Mitools"]

_SCRIPT = """\
# Makes `implicates`, an imputationList of {m} implicates and {rows} rows. Run it beside its data:
#   source("{script}", chdir = TRUE)
#   summary(mitools::MIcombine(with(implicates, lm(y ~ x))))
{weighted}read_implicate <- function(file) {{
  one <- {reader}
{factors}
  one
}}
implicates <- mitools::imputationList(lapply(sprintf("implicate_%d.csv", 1:{m}), read_implicate))
"""

_WEIGHTED = """\
# With the survey's weights (package survey):
#   design <- survey::svydesign(ids = ~1, weights = implicates$imputations[[1]][[{weight}]], data = implicates)
#   summary(mitools::MIcombine(with(design, survey::svyglm(y ~ x))))
"""


class Mitools(Format):
    """A list of data frames, as mitools and survey take it (Lumley)."""

    name = "mitools"
    program = "R (mitools)"
    summary = "Directory with one CSV per implicate and an R script that makes an imputationList"
    suffix = ""
    naming = R_NAMING

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the files and the script."""
        for i in range(1, content.m + 1):
            write_blocks(content, names, self._file(path, i), [i], lambda _: {})
        lines = [*r_factors(content.columns, names, "one"), *r_labels(content.columns, names, "one")]
        weight = _WEIGHTED.format(weight=r_name(names[content.weight])) if content.weight else ""
        text = _SCRIPT.format(
            m=content.m,
            rows=content.rows,
            script="read.R",
            weighted=weight,
            reader=r_reader(content, (), "file"),
            factors="\n".join(f"  {line}" for line in lines),
        )
        (path / "read.R").write_text(text, encoding="utf-8")
        return ()

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        types = arrow_types(said)
        for i in range(1, said["m"] + 1):
            table = read(self._file(path, i), types)
            yield {name: table[name].combine_chunks() for name in table.column_names}

    @staticmethod
    def _file(path: Path, implicate: int) -> Path:
        return path / f"implicate_{implicate}.csv"
