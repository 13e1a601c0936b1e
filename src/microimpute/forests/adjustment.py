"""Regression adjustment: a leaf donor's amount moves as far as a regression says that receiver and donor differ.

A leaf holds donors that are alike, not equal; what still varies within it with the predictors is lost when a donor's
amount is taken as it is. So amounts are put on their normal scale, a ridge regression of these scores gives each
donor a residual, trees split on residuals, and a draw is the leaf donor's residual added to the receiver's own line:
bias-corrected matching (Abadie & Imbens 2011, Journal of Business & Economic Statistics 29), and what Beaumont, Zhang
& Balding (2002, Genetics 162, eq. 4) do for approximate Bayesian computation. Signs and zeros stay the donor's: each
sign has a regression of its own. Scores go back through the donors' weighted quantile function by their rank among
the scores that the donors would be drawn, given all that the chain draws for them before (what is drawn hangs together
less closely than what is observed), so that the donors' weighted margins come back and no draw leaves their range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from microimpute.encoding import scores
from microimpute.errors import MethodError
from microimpute.kinds import Kind, Table
from microimpute.regressions import glm
from microimpute.transforms import Inputs, Scale, take

__all__ = ["Adjustment", "adjust", "ranks", "separations"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]

#: Fewest effective donors of a sign (Kish 1965), and fewest different amounts among them, for a regression.
FEWEST, DISTINCT = 50, 20
#: An amount with more zeros than this share is adjusted within its signs, else as a whole.
ZEROS = 0.01
#: Points kept of the ranks of draws.
POINTS = 1_001
#: A sign that so small a standard deviation marks makes no column of its own.
RARE = 0.03


@dataclass(frozen=True)
class Adjustment:
    """The regression of one target's amounts of one sign (or of any, where zeros are no mass).

    Attributes
    ----------
    position
        Which of the block's targets.
    members
        bool, shape (donors,): the donors that have such an amount.
    scale
        To scores and back.
    beta
        Coefficients, the constant first.
    rest
        float64, shape (donors,): what the line leaves of each member's score; zero for others.
    scores, ranks
        Scores of draws for the donors, rising, and their weighted ranks.
    """

    position: int
    members: BoolArray
    scale: Scale
    beta: FloatArray
    rest: FloatArray
    scores: FloatArray
    ranks: FloatArray

    @classmethod
    def fit(
        cls, position: int, y: FloatArray, members: BoolArray, design: FloatArray, weight: FloatArray, ridge: float
    ) -> Self:
        """Regress the members' scores on the design, shape (donors, 1 + columns)."""
        scale = Scale.fit(y[members], weight[members], exact=True)
        score = scale.scores(y[members])
        beta, _ = glm.normal(design[members], score, weight[members], ridge, None)
        rest = np.zeros(len(y))
        rest[members] = score - design[members] @ beta
        return cls(position, members, scale, beta, rest, np.zeros(0), np.zeros(0))

    def ranked(self, donors: IntArray, inputs: Inputs, weight: FloatArray) -> Self | None:
        """Return it with the ranks of scores among some draws, or None if no draw has such an amount.

        Parameters
        ----------
        donors
            int64, shape (rows,): the donor drawn for each row.
        inputs, weight
            What regressions read of the rows, and their weights.
        """
        rows = np.flatnonzero(self.members[donors] & (weight > 0))
        if not len(rows):
            return None
        score = self._scores(rows, donors, inputs)
        order = np.argsort(score, kind="stable")
        running = np.cumsum(weight[rows][order])
        rank = (running - weight[rows][order] / 2) / running[-1]
        inner = ndtr(np.linspace(-4.5, 4.5, POINTS))
        kept = np.concatenate([rank[:1], inner[(inner > rank[0]) & (inner < rank[-1])], rank[-1:]])
        return replace(self, scores=np.interp(kept, rank, score[order]), ranks=kept)

    def move(self, values: FloatArray, donors: IntArray, inputs: Inputs) -> FloatArray:
        """Return the values of rows whose donor is a member moved to the rows' own predictors, shape (rows,)."""
        rows = np.flatnonzero(self.members[donors])
        out = values.copy()
        if len(rows):
            out[rows] = self.scale.at_rank(np.interp(self._scores(rows, donors, inputs), self.scores, self.ranks))
        return out

    def _scores(self, rows: IntArray, donors: IntArray, inputs: Inputs) -> FloatArray:
        return self.rest[donors[rows]] + inputs.take(rows).predict(self.beta)

    def state(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return its arrays, each name with a prefix."""
        arrays = {f"{prefix}{name}": getattr(self, name) for name in ("beta", "rest", "scores", "ranks")}
        arrays |= {f"{prefix}position": np.array([self.position]), f"{prefix}members": self.members.astype(np.uint8)}
        return arrays | self.scale.state(f"{prefix}scale.")

    @classmethod
    def from_state(cls, arrays: Arrays, prefix: str, donors: int, targets: int, width: int) -> Self:
        """Rebuild from `state`, checking that it fits its block and its regression's columns.

        Raises
        ------
        MethodError
            If it does not.
        """
        beta, rest, score, ranks = (take(arrays, f"{prefix}{n}", 1) for n in ("beta", "rest", "scores", "ranks"))
        position, members = int(arrays[f"{prefix}position"][0]), arrays[f"{prefix}members"].astype(bool)
        whole = len(beta) == width and len(rest) == len(members) == donors and len(score) == len(ranks) > 0
        if not (whole and 0 <= position < targets):
            raise MethodError("a saved adjustment does not fit its donors", "Save the model again.")
        return cls(position, members, Scale.from_state(arrays, f"{prefix}scale."), beta, rest, score, ranks)


def adjust(
    part: Table, free: Collection[int], design: FloatArray, weight: FloatArray, ridge: float
) -> tuple[Adjustment, ...]:
    """Regress the amounts of a block's targets, each sign by itself where zeros are a mass.

    Parameters
    ----------
    part
        The block's targets, of donors with weight.
    free
        Positions of the targets that may move; those that rules bind to one donor may not.
    design
        float64, shape (donors, 1 + columns): see `transforms.Inputs.dense`.
    weight
        float64, shape (donors,), positive.
    ridge
        See `glm`.
    """
    found: list[Adjustment] = []
    for position, variable in enumerate(part.variables):
        if position not in free or variable.kind not in (Kind.CONTINUOUS, Kind.SEMICONTINUOUS):
            continue
        y = part.values[:, position]
        regimes = [y > 0, y < 0] if np.mean(y == 0) > ZEROS else [np.ones(len(y), dtype=bool)]
        found += [
            Adjustment.fit(position, y, members, design, weight, ridge)
            for members in regimes
            if glm.effective(weight[members]).sum() >= FEWEST and len(np.unique(y[members])) >= DISTINCT
        ]
    return tuple(found)


def separations(part: Table, lines: Sequence[Adjustment], weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Say what trees should separate.

    Parameters
    ----------
    part, weight
        The block's targets, and the donors' weights.
    lines
        Adjustments of some of them.

    Returns
    -------
    tuple of numpy.ndarray
        Scores as `encoding.scores` has them, in which an adjusted target has its residuals and marks of its signs,
        shape (donors, columns); and per amount its weighted ranks, of residuals where it is adjusted, shape
        (donors, amounts), for `trees.grow` to cut.
    """
    columns, ranked = [], []
    for position, variable in enumerate(part.variables):
        y = part.values[:, position]
        own = [line for line in lines if line.position == position]
        if own:
            rest = np.sum([line.rest for line in own], axis=0)
            marks = [np.sign(y) == sign for sign in (-1, 0)] if not own[0].members.all() else []
            columns.append(_standardised([rest, *(m for m in marks if m.std() > RARE)], weight))
        else:
            rest = y
            columns.append(scores(Table((variable,), y[:, None]), weight))
        if not variable.kind.is_class:
            ranked.append(ranks(rest, weight))
    return np.hstack(columns), np.column_stack(ranked) if ranked else np.zeros((len(part), 0))


def _standardised(columns: list[Any], weight: FloatArray) -> FloatArray:
    """Give each column the same weighted variance, one in all."""
    out = np.column_stack(columns).astype(np.float64)
    out -= np.average(out, axis=0, weights=weight)
    variance = np.average(out**2, axis=0, weights=weight) * out.shape[1]
    return np.asarray(out / np.sqrt(np.where(variance > 0, variance, np.inf)))


def ranks(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weighted middle rank of each value, in (0, 1); equal values share theirs."""
    _, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight)
    running = np.cumsum(mass)
    return np.asarray(((running - mass / 2) / running[-1])[place])
