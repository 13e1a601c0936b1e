"""Imputations: the receiver once, and m implicates of the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import analysis as analysis_module
from microimpute import design, storage
from microimpute import manifest as manifest_file
from microimpute.analysis import Estimates
from microimpute.calibration import Aggregate, calibrate
from microimpute.errors import FusionError, OutputError, PoolingError
from microimpute.export import base as exports
from microimpute.frames import Frame, Series, aligned, make_series
from microimpute.pooling import Pooled
from microimpute.survey import Survey
from microimpute.variance import Replicates

__all__ = ["ROW_NUMBER", "Imputations"]

FloatArray = npt.NDArray[np.float64]

#: Key of a receiver that has no keys of its own, in tables of imputations.
ROW_NUMBER = "receiver_row"


@dataclass(frozen=True)
class Imputations:
    """The receiver once, and m implicates of the targets.

    Attributes
    ----------
    receiver
        The receiver as it came.
    columns
        Names of what was imputed: drawn targets, then derived totals. Those that the receiver has itself have its
        own values wherever it has any (see `microimpute.impute_missing`).
    values
        Target → one narwhals series per implicate, each of shape (receiver rows,).
    manifest
        What was done, as plain values: method, settings, seed, kinds, rules, notes.
    """

    receiver: Survey = field(repr=False)
    columns: tuple[str, ...]
    values: Mapping[str, tuple[Series, ...]] = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def m(self) -> int:
        """Number of implicates."""
        return len(self.values[self.columns[0]])

    @property
    def draws(self) -> int:
        """How many implicates come from each model learnt: the size of a nest, 1 where each is learnt anew."""
        return int(self.manifest.get("draws", 1))

    def __len__(self) -> int:
        return len(self.receiver)

    def complete(self, implicate: int = 1) -> Any:
        """Return the receiver with one implicate's targets beside its own columns.

        Parameters
        ----------
        implicate
            1 … m.

        Returns
        -------
        frame
            Of the library that the receiver came in (pandas if it came as a path); its own columns are the
            very same values.

        Raises
        ------
        FusionError
            If there is no such implicate.
        """
        return self.completed(implicate).to_native()

    def completed(self, implicate: int = 1) -> Frame:
        """Return what `complete` does, wrapped by narwhals."""
        if not 1 <= implicate <= self.m:
            raise FusionError(f"there is no implicate {implicate}", f"Choose one of 1 to {self.m}.")
        new = [aligned(self.values[c][implicate - 1], self.receiver.frame) for c in self.columns]
        return self.receiver.frame.with_columns(*new)

    def numbers(self, column: str) -> FloatArray:
        """Return all implicates of an amount, or the codes of a class, shape (m, receiver rows)."""
        if column not in self.values:
            raise FusionError(f"{column!r} was not imputed", f"Choose one of {', '.join(self.columns)}.")
        return np.stack([s.cast(nw.Float64).to_numpy() for s in self.values[column]])

    def keys(self) -> Frame:
        """Return the receiver's keys, or its row numbers from 0 where it has none."""
        if self.receiver.keys:
            return self.receiver.frame.select(*self.receiver.keys)
        backend = self.receiver.frame.implementation
        number = make_series(ROW_NUMBER, np.arange(len(self)), nw.Int64, backend)
        return number.to_frame()

    def long(self) -> Any:
        """Return implicate number, receiver key and targets, one row per implicate and receiver row."""
        return nw.concat(list(self.blocks())).to_native()

    def blocks(self) -> Iterator[Frame]:
        """Yield the table of `long` implicate by implicate."""
        keys = self.keys()
        backend = keys.implementation
        for i in range(self.m):
            number = make_series("implicate", np.full(len(self), i + 1), nw.Int64, backend)
            new = [aligned(self.values[c][i], keys) for c in self.columns]
            yield keys.with_columns(aligned(number, keys), *new).select("implicate", *keys.columns, *self.columns)

    def apply(
        self,
        analysis: Callable[..., Any],
        of: str | Sequence[str] | None = None,
        *,
        replicates: Replicates | None = None,
        workers: int | None = None,
    ) -> list[Any] | Estimates:
        """Run an analysis on every implicate; the receiver is never copied m times.

        Parameters
        ----------
        analysis
            ``f(frame)`` → whatever it likes, a fitted result say. Or ``f(frame, weight)`` → numbers (one, an array, a
            dict, a series, or a result whose `params` are taken), which is run for the full sample's weight and for
            every replicate. Those of `microimpute.variance` take values of columns instead of a frame: see `of`.
        of
            Column, or columns, whose values the analysis takes instead of the frame: shape (rows,) or (rows, k).
        replicates
            Weight, replicate weights and their rule; default: the receiver's own.
        workers
            Threads; default: all cores.

        Returns
        -------
        list
            One entry per implicate; for an analysis that takes a weight a `variance.Estimate`, with its covariance.

        Raises
        ------
        PoolingError
            If replicates are needed and there are none, or a figure is not a number in some replicate; names it.
        """
        chosen = self._replicates(replicates)
        return analysis_module.each(self.complete, self.m, analysis, of, chosen, workers)

    def pool(
        self,
        analysis: Callable[..., Any],
        of: str | Sequence[str] | None = None,
        *,
        rule: str | None = None,
        replicates: Replicates | None = None,
        workers: int | None = None,
        **options: Any,
    ) -> Pooled:
        """Run an analysis on every implicate, and combine: one table of estimates, standard errors and intervals.

        Parameters
        ----------
        analysis, of, replicates, workers
            As in `apply`. ``f(frame)`` has to return a fitted result with its own covariance, or a pair of estimates
            and variances.
        rule
            Combining rule; see `microimpute.pool`. None takes "external donors" where implicates come in nests
            (``impute(…, draws=2)``), else "rubin". Targets that the donor alone observes are missing data of the
            receiver, but the donors are not among the rows analysed: Rubin's intervals are then wider than they need
            be, by up to a half where donors and receivers are as many, and hardly where receivers are ten times
            as many. The rule for external donors is Reiter's (2008). Rules for synthetic data are refused.
        options
            As `microimpute.pool` takes. Under replicates, `dfcom` is their number less one unless given.

        Returns
        -------
        Pooled
            Its notes say where the sampling variance is from, which rule combined, and what speaks against the
            intervals of the method that drew (see `Method.proper`).

        Examples
        --------
        >>> from microimpute import variance
        >>> imputed.pool(variance.mean, "networth", replicates=replicates)  # doctest: +SKIP
        >>> imputed.pool(lambda d: smf.wls("spending ~ networth", d, weights=d.w).fit())  # doctest: +SKIP
        """
        if rule is not None:
            own = "external donors" if self.draws > 1 else "rubin"
            analysis_module.check_fitting(rule, analysis_module.IMPUTED, "imputed", own)
        results = self.apply(analysis, of, replicates=replicates, workers=workers)
        found = analysis_module.pooled(results, draws=self.draws, rule=rule, **options)
        return replace(found, notes=(*found.notes, *manifest_file.cautions(self.manifest)))

    def _replicates(self, given: Replicates | None) -> Replicates | None:
        if given is None:
            return self.receiver.replicated() if self.receiver.replicates else None
        if len(given.weight) != len(self):
            raise PoolingError(
                f"replicates are for {len(given.weight):,} rows, the receiver has {len(self):,}",
                "Give them for the receiver's rows, in its order.",
            )
        return given

    def calibrated(self, targets: Mapping[str, float] | Iterable[Aggregate], **options: Any) -> Imputations:
        """Return imputations whose weighted totals meet published aggregates, in every implicate.

        Parameters
        ----------
        targets, options
            As `microimpute.calibration.calibrate` takes: ``how="weights"`` or ``"values"``, ``distance``, ``bounds``.

        Returns
        -------
        Imputations
            New ones; ``manifest["calibration"]`` has every total before and after.

        Raises
        ------
        CalibrationError
            If a total can't be met; names it, and the range that it could have.
        """
        made: Imputations = calibrate(self, targets, **options).result
        return made

    def save(self, folder: str | Path) -> None:
        """Write `imputations.parquet`, `completed.parquet` and `manifest.json` into a new directory.

        Where gaps of the receiver's own columns were filled, `receiver.parquet` keeps it as it came.

        Raises
        ------
        OutputError
            If the directory exists and is not empty.
        """
        with storage.new_directory(Path(folder)) as scratch:
            storage.write_tables(self, scratch)
            manifest_file.write(scratch, {**self.manifest, "receiver": manifest_file.describe_survey(self.receiver)})

    def export(self, path: str | Path, format: str) -> tuple[str, ...]:
        """Write a file that another program reads, whole or not at all; `load` reads it back.

        Parameters
        ----------
        path
            A new file with the format's ending, or a new directory.
        format
            ``"stata"``, ``"mice"``, … (see docs/export.md).

        Returns
        -------
        tuple of str
            What differs in the file from the columns as they were, a sentence each.

        Raises
        ------
        OutputError
            If something is there already, or the format can't hold a column; says what to do.
        """
        return exports.export(self, path, format)

    @classmethod
    def load(cls, folder: str | Path) -> Imputations:
        """Read what `save`, `export` or a run of a recipe wrote; frames come as pandas.

        Raises
        ------
        OutputError
            If it is none of these.
        """
        if Path(folder).is_file() or exports.readable(Path(folder)):
            return cls(*exports.load(folder))
        content = manifest_file.read(Path(folder))
        if "receiver" not in content:
            raise OutputError(
                f"{folder} holds {content.get('task', 'something else')}, and no receiver with imputed values",
                "Load synthetic data by microimpute.synthesis.load, which knows their combining rule.",
            )
        said = content["receiver"]
        frame, values, _ = storage.read_tables(Path(folder), said["keys"])
        receiver = design.from_plain(frame, said)
        return cls(receiver, tuple(values), {c: tuple(s) for c, s in values.items()}, content)
