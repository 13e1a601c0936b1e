"""Statistical matching against a fully synthetic donor file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block, plan
from microimpute.forests.chain import Chain
from microimpute.forests.links import Growth, whole_numbers
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.methods.base import FloatArray, Method

__all__ = ["SyntheticMatch"]

#: What the first variable is drawn given.
NOTHING = (Variable("nothing", Kind.CONTINUOUS),)


class SyntheticMatch(Method):
    """Synthesises whole donor records, and gives each receiver a synthetic record that is like it.

    This is what is left when the donor's own records may not be used, and the alternative to fusion that the field
    discusses. First, from the donor alone, a file of synthetic records is made by sequential trees, as synthpop
    does: the first predictor is drawn in proportion to weight, each other predictor and then each target from a
    donor in the leaves of trees on all the variables before it, one variable at a time, so that a record is made of
    as many donors as it has variables. Then the receivers are matched with the synthetic records: each gets the
    targets of one that falls into the same leaf of trees grown on the synthetic file.

    What links targets to predictors passes through two models instead of one; what that loses is for the benchmark to
    show. Each implicate has a synthetic file of its own, from donors resampled, so that the spread between
    implicates carries the sampling error of the donor and of the file. Edit rules hold: a target is drawn only where
    what it requires is there, and targets that other rules tie come from one donor.

    To get the synthetic records themselves, see `microimpute.synthesis.synthesise`.

    Parameters
    ----------
    trees
        Trees per variable, and of the matching.
    leaf
        Least number of records that a leaf should hold. synthpop's default is 5; with 10, wealth and its
        simulator came back better.
    rows
        Synthetic records; default: as many as donors.
    """

    name = "synthetic"
    summary = "Targets of synthetic records, made by sequential trees and matched to the receivers: shows what is lost."
    reference = "Reiter (2005), J. Off. Stat. 21; Nowok, Raab & Dibben (2016), synthpop, J. Stat. Softw. 74."
    advice = (
        "When receivers may be given only targets of synthetic records, as under disclosure rules. Otherwise fuse "
        "directly: the detour through a synthetic file costs accuracy."
    )
    joint = True
    proper = None
    uses_weights = True
    candidate = False
    cost = 0.1

    def __init__(self, trees: int = 10, leaf: int = 10, rows: int | None = None) -> None:
        self._growth = Growth("synthetic", trees, leaf, 1.0, 1.0)
        if rows is not None:
            whole_numbers("synthetic", rows=rows)
        self.trees = trees
        self.leaf = leaf
        self.rows = rows

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Make the synthetic file, and grow the trees that match receivers with it."""
        self.predictors, self.targets = X.variables, Y.variables
        records = self._records(X, Y, weight, rng)
        count = len(X.variables)
        synthetic_x = Table(X.variables, records[:, :count])
        synthetic_y = Table(Y.variables, records[:, count:], Y.ties)
        whole_bundle = (Block(tuple(range(len(Y.variables)))),)
        self.matched = Chain.grow(synthetic_x, synthetic_y, whole_bundle, np.ones(len(records)), rng, self._growth)
        return self

    def _records(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw synthetic records variable by variable, shape (rows, predictors and targets)."""
        both = np.hstack([X.values, Y.values])
        whole = Table((*X.variables, *Y.variables), both, Y.ties.moved(len(X.variables)))
        chain = Chain.grow(_nothing(len(X)), whole, plan(whole, 1), weight, rng, self._growth)
        rows = self.rows or len(X)
        keys = np.arange(rows, dtype=np.uint64)
        return chain.draw(_nothing(rows), RowRandom(int(rng.integers(2**31)), 1, keys))

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw a synthetic record for each row, shape (rows, targets)."""
        return self.matched.draw(X, rng)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the synthetic records' targets and the trees that match; no donor's record."""
        return self.matched.state()

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back, after checking every index."""
        self.matched = Chain.from_state(arrays, self.predictors, self.targets)
        return self


def _nothing(rows: int) -> Table:
    return Table(NOTHING, np.zeros((rows, 1)))
