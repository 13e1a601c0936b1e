"""mice: one long table with `.imp` and `.id`, and the R that makes a `mids` object of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from microimpute.export.base import Format
from microimpute.export.columns import Form
from microimpute.export.content import Content
from microimpute.export.csvfile import (
    R_NAMING,
    arrow_types,
    r_factors,
    r_labels,
    r_levels,
    r_name,
    r_reader,
    read_blocks,
    write_blocks,
)

__all__ = ["Mice"]

_SCRIPT = """\
# Makes `imputed`, a mids object of {m} implicates and {rows} rows. Run it beside its data:
#   source("{script}", chdir = TRUE)
#   summary(mice::pool(with(imputed, lm(y ~ x))))
long <- {reader}
{lines}
where <- is.na(long[long$.imp == 0, -(1:2), drop = FALSE])
where[, !colnames(where) %in% c({imputed})] <- FALSE  # other gaps stay gaps
imputed <- mice::as.mids(long, where = where, .imp = ".imp", .id = ".id")
"""

#: Imputed classes are text until then: as.mids can't start from a factor that is missing in all rows.
_CLASSES = """\
to_factor <- function(mids, name, ...) {{
  mids$data[[name]] <- factor(mids$data[[name]], ...)
  mids$imp[[name]][] <- lapply(mids$imp[[name]], factor, ...)
  mids
}}
{lines}
"""


class Mice(Format):
    """The long table of mice (van Buuren & Groothuis-Oudshoorn 2011, J. Stat. Softw. 45).

    `.imp` 0 is the receiver with what was imputed missing, 1 … m are the implicates, each with the same rows in the
    same order, which `.id` numbers from 1.
    """

    name = "mice"
    program = "R (mice)"
    summary = "Long CSV with .imp 0 … m and .id, and an R script that makes a mids object"
    suffix = ".csv"
    naming = R_NAMING

    def write(self, content: Content, names: Mapping[str, str], path: Path) -> Sequence[str]:
        """Write the table and the script."""
        ids = pa.array(np.arange(1, content.rows + 1), pa.int32())

        def index(i: int) -> dict[str, pa.Array]:
            return {".imp": pa.array(np.full(content.rows, i), pa.int32()), ".id": ids}

        write_blocks(content, names, path, range(content.m + 1), index)
        script = path.with_suffix(".R")
        own = [c for c in content.columns if c.own]
        new = [c for c in content.columns if not c.own]
        text = _SCRIPT.format(
            m=content.m,
            rows=content.rows,
            script=script.name,
            reader=r_reader(content, (".imp", ".id"), r_name(path.name)),
            lines="\n".join(r_factors(own, names, "long")),
            imputed=", ".join(r_name(names[c.name]) for c in new),
        )
        classes = [(r_name(names[c.name]), r_levels(c)) for c in new if c.form is Form.CLASS]
        if classes:
            lines = [f"imputed <- to_factor(imputed, {name}, {levels})" for name, levels in classes]
            text += _CLASSES.format(lines="\n".join(lines))
        text += "".join(f"{line}\n" for line in r_labels(content.columns, names, "imputed$data"))
        script.write_text(text, encoding="utf-8")
        return ()

    def blocks(self, path: Path, said: Mapping[str, Any]) -> Iterator[Mapping[str, pa.Array]]:
        """Yield implicates 1 … m."""
        return read_blocks(path, said, arrow_types(said), first=1)
