"""Any table: a Parquet, CSV or Stata file whose design is said by hand, or by a short TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from microimpute.frames import as_frame
from microimpute.readers.description import Description, described, find, is_shipped
from microimpute.survey import Survey, replace_survey
from microimpute.surveys.base import Connector

__all__ = ["TableFile"]


class TableFile(Connector):
    """Reads a table as it is; nothing is renamed or checked, and only what a description says is recoded."""

    name: ClassVar[str] = "table"
    title: ClassVar[str] = "Any table (Parquet, CSV or Stata file)"
    publisher: ClassVar[str] = "yourself"
    variables: ClassVar[Mapping[str, str]] = {}
    options: ClassVar[Mapping[str, str]] = {
        "description": "TOML file that says all this and more (docs/surveys.md), or the name of one that is shipped",
        "weight": "column of survey weights; default: every row counts alike",
        "keys": "columns that together name a unit",
        "implicate": "column that numbers the file's own implicates",
        "household": "columns that name the household of a row; default: keys",
        "replicates": "replicate weight columns",
        "replicate_rule": "how they make a variance: a rule, or a survey's name such as cps asec",
        "kinds": "column → kind, where it is not to be inferred",
        "dollars": "year whose prices the money is in",
        "unit": "what a row is, in a word",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "description": (str, Path),
        **dict.fromkeys(("weight", "implicate", "replicate_rule", "unit"), (str,)),
        **dict.fromkeys(("keys", "household", "replicates"), (str, list, tuple)),
        "kinds": (Mapping,),
        "dollars": (int, np.integer),
    }

    @classmethod
    def names_file(cls, option: str, value: Any) -> bool:
        """Whether an option's value is the path of a file; a description that comes with the package is none."""
        return super().names_file(option, value) and not is_shipped(str(value))

    def files(self, path: Path, options: Mapping[str, Any]) -> dict[str, Path]:
        """Return the description, wherever it was found."""
        said = options.get("description")
        return {} if said is None else {"description": find(said, path)}

    def read(self, path: Path, **options: Any) -> Survey:
        """Read a table.

        Parameters
        ----------
        path
            A Parquet, CSV (also gzipped) or Stata file.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the file can't be read, an option does not exist or is of another type, or a named column is not there.
        """
        self.check(options)
        table, source = as_frame(Path(path)), f"file {Path(path).name}"
        said = {name: value for name, value in options.items() if name != "description"}
        if options.get("description") is None:
            return Survey(table, source=source, **said)
        survey = described(table, Description.read(find(options["description"], Path(path))), source)
        kinds = {**survey.kinds, **(said.pop("kinds", None) or {})}
        return replace_survey(survey, kinds=kinds, **said)
