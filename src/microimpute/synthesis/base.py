"""What synthetic data sets share: they pool by the rule that is theirs, and are written with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw

from microimpute import analysis as analysis_module
from microimpute import manifest as manifest_file
from microimpute import storage
from microimpute.errors import OutputError
from microimpute.pooling import RULES, Pooled
from microimpute.survey import Survey, replace_survey
from microimpute.variance import Replicates

__all__ = ["FITTING", "FORMATS", "SyntheticData"]

#: Kind of synthetic data → the combining rules that are for it.
FITTING = {
    "fully synthetic": ("fully synthetic", "synthpop observed", "synthpop simple", "synthpop proper"),
    "partially synthetic": ("partially synthetic", "synthpop incomplete"),
}
#: Files that a release can be made of.
FORMATS = ("parquet", "csv")


class SyntheticData(ABC):
    """m synthetic data sets that know how they are pooled."""

    #: "fully synthetic" or "partially synthetic".
    kind: str
    #: Name of the combining rule that `pool` uses.
    rule: str
    #: What was done, as plain values.
    manifest: Mapping[str, Any]

    @property
    @abstractmethod
    def m(self) -> int:
        """Number of data sets."""

    @abstractmethod
    def survey(self, number: int = 1) -> Survey:
        """Return a data set with what is known of its design.

        Raises
        ------
        FusionError
            If there is no such data set.
        """

    @property
    @abstractmethod
    def size_ratio(self) -> float:
        """Rows of a data set over rows of the survey."""

    def frame(self, number: int = 1) -> Any:
        """Return a data set, 1 … m: a plain frame, on which nothing says by which rule results from it are pooled.

        Raises
        ------
        FusionError
            If there is no such data set.
        """
        return self.survey(number).native

    @property
    def frames(self) -> list[Any]:
        """All data sets; see `frame`."""
        return [self.frame(number) for number in range(1, self.m + 1)]

    def pool(
        self,
        analysis: Callable[..., Any],
        rule: str | None = None,
        *,
        of: str | Sequence[str] | None = None,
        replicates: Replicates | None = None,
        workers: int | None = None,
        **options: Any,
    ) -> Pooled:
        """Analyse each data set, and combine by the rule for this kind of data.

        Parameters
        ----------
        analysis
            A data set (see `frame`) → estimates and their variances, two arrays of shape (k,), or numbers; or a fitted
            result that `microimpute.pool` takes. Where there are replicate weights, also what takes a weight, as in
            `Imputations.pool`.
        rule
            Another rule for the same kind of data than `rule`: see `FITTING`. Those of synthpop take the survey for a
            simple random sample; the rule for fully synthetic data learns what weights and households do from how the
            data sets differ.
        of, replicates, workers
            As in `Imputations.apply`.
        options
            As `microimpute.pool` takes; ``size_ratio`` is set.

        Returns
        -------
        Pooled

        Raises
        ------
        PoolingError
            If the rule is for other data (Rubin's is for missing values), there is one data set and the rule needs
            several, or results can't be pooled.
        """
        if rule is not None:
            analysis_module.check_fitting(rule, FITTING[self.kind], self.kind, self.rule)
        if replicates is None and (own := self.survey(1)).replicates:
            replicates = own.replicated()
        results = analysis_module.each(self.frame, self.m, analysis, of, replicates, workers)
        said: dict[str, Any] = {"rule": rule or self.rule, "size_ratio": self.size_ratio} | options
        return analysis_module.pooled(results, **said)

    def save(self, folder: str | Path, format: str = "parquet") -> None:
        """Write one file per data set, and `manifest.json` with the rule by which they are pooled.

        `microimpute.synthesis.load` reads them back. There is no mi-set Stata file nor mids object of them: `mi
        estimate` and mice's `pool` combine by Rubin's rule, which is for missing values.

        Parameters
        ----------
        folder
            A new directory.
        format
            "parquet" or "csv".

        Raises
        ------
        OutputError
            If the directory exists and is not empty, or there is no such format.
        """
        if format not in FORMATS:
            raise OutputError(f"synthetic data are not written as {format!r}", f"Choose one of {', '.join(FORMATS)}.")
        files = [f"synthetic-{number}.{format}" for number in range(1, self.m + 1)]
        known = RULES[self.rule]
        said = {
            **self.manifest,
            "task": f"{self.kind} data",
            "kind": self.kind,
            "rule": self.rule,
            "pooling": {"rule": self.rule, "formula": known.formula, "source": known.source},
            "size_ratio": self.size_ratio,
            "files": files,
            "survey": manifest_file.describe_survey(self.survey(1)),
        }
        with storage.new_directory(Path(folder)) as scratch:
            for number, name in enumerate(files, 1):
                _write(self.survey(number), scratch / name)
            manifest_file.write(scratch, said)


def _write(survey: Survey, path: Path) -> None:
    import pyarrow.parquet as pq
    from pyarrow import csv

    frame = survey.frame
    if frame.implementation.is_pandas():
        frame = nw.from_native(frame.to_native().reset_index(drop=True), eager_only=True)
    table = frame.to_arrow().replace_schema_metadata(None)
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
    else:
        csv.write_csv(_plain(table), path)


def _plain(table: Any) -> Any:
    """Give classes their text, which CSV holds."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


def design_of(survey: Survey, frame: Any) -> Survey:
    """Return a survey's design for another table, as far as its columns are there."""
    kept = set(frame.columns)
    return replace_survey(
        survey,
        frame=frame,
        kinds={c: k for c, k in survey.kinds.items() if c in kept},
        labels={c: text for c, text in survey.labels.items() if c in kept},
        checks=(),
    )
