"""Quantile regression forests: each target from its own forest, given the predictors and the targets before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block, plan
from microimpute.errors import MethodError
from microimpute.forests.chain import Chain, Features, IntArray
from microimpute.forests.links import Growth, Link
from microimpute.forests.pareto import Tail, fit_tail, largest_held
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table
from microimpute.methods.base import FloatArray, Method
from microimpute.transforms import Inputs

__all__ = ["QRF"]

#: Donors that a leaf should hold, where they are many.
LEAF = 10
#: Rows whose quantiles are worked out at once: as many times trees times donors in a leaf are held in memory.
ROWS = 500


class QRF(Method):
    """Exact draws from quantile regression forests, one target after the other.

    A draw sends the row down one random tree and takes a donor from its leaf in proportion to weight: an exact
    draw from the forest's weighted conditional distribution, classes included, with no grid of quantiles and no
    most likely class. Where weights differ by themselves, the first target, which reads nothing but the predictors,
    is drawn by their odds, which mends a bias of ratio estimates (`microimpute.forests.leaves.LeafForest.debiased`).
    A target that another requires is drawn before it, and what it lets be zero is zero.
    Targets that other edit rules tie to each other come from one donor, and have neither interpolation nor tail.

    Parameters
    ----------
    trees
        Trees per target and implicate. Each draw uses one: more trees smooth each row's distribution, and 50
        scored no better than 20 by more than the seeds differ.
    leaf
        Least number of donors that a leaf should hold, more where weights differ much (by their design effect): of few
        donors, resampled, the heavy ones count too little, so that means come back wrong where weights go with targets.
        Default: ten; of fewer than 500 donors a fiftieth, at least three, since ten are no neighbours then.
    features
        Share of the features tried at each split.
    share
        Size of each tree's bootstrap resample relative to the number of donors (see `microimpute.forests.trees.MOST`
        for its bound); all donors stand in the leaves.
    interpolation
        Draw amounts between the donors' values: uniformly from the drawn donor's value to that of the next
        donor below or above it in the leaf (either with probability one half), unless that has another sign.
        Zeros stay zero, and so do the shares of either sign; counts and classes are not interpolated.
    tail
        Draw amounts above a threshold from a generalised Pareto distribution fitted to the donors there, at the
        drawn donor's place in it: the largest donor's amount is no bound, its mean is the donors', so that totals
        stay, and what explains large amounts among donors explains them among draws. The threshold and what it
        takes to have a tail: see `microimpute.forests.pareto.fit_tail`; without it the donors' amounts stay. Not for
        counts, losses, or amounts heaped at round numbers.
    marginal
        Also grow, for `quantiles`, a forest per target on the predictors alone.
    """

    name = "qrf"
    summary = "Each target from a quantile regression forest, given the predictors and the targets before it."
    reference = "Meinshausen (2006), Quantile regression forests, JMLR 7."
    advice = (
        "For one or a few targets whose conditional quantiles matter; what is published as quantile-forest "
        "imputation, with weights and draws done right. For many targets `forest` costs less."
    )
    joint = True
    proper = False
    coverage = (
        "Implicates carry the donors' sampling error, and intervals of means, medians and shares hold; with 1,000 "
        "donors those of slopes of heavy-tailed amounts held the truth 87 to 90 times in 100 (with 5,000 donors 96)."
    )
    uses_weights = True
    cost = 0.05

    def __init__(
        self,
        trees: int = 20,
        leaf: int | None = None,
        features: float = 0.5,
        share: float = 1.0,
        interpolation: bool = False,
        tail: bool = False,
        marginal: bool = False,
    ) -> None:
        self._growth = Growth("qrf", trees, LEAF if leaf is None else leaf, features, share, sized=leaf is None)
        for name, value in (("interpolation", interpolation), ("tail", tail), ("marginal", marginal)):
            if not isinstance(value, bool):
                raise MethodError(f"qrf's {name} is {value!r}", "Give true or false.")
        self.trees = trees
        self.leaf = leaf
        self.features = features
        self.share = share
        self.interpolation = interpolation
        self.tail = tail
        self.marginal = marginal

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Grow each target's forest on the predictors and the targets before it."""
        self.predictors, self.targets = X.variables, Y.variables
        self.chain = Chain.grow(X, Y, plan(Y, 1), weight, rng, self._growth, by_value=True)
        self.tails: dict[int, Tail] = {}
        for number, link in enumerate(self.chain.links):
            if self.tail and self._is_amount(link):
                values = Y.values[link.donors, link.block.targets[0]]
                found = fit_tail(values, weight[link.donors], largest_held(Y.variables[link.block.targets[0]]))
                self.tails |= {} if found is None else {number: found}
        self.marginals: list[Chain] = []
        for target, variable in enumerate(Y.variables if self.marginal else ()):
            alone = Table((variable,), Y.values[:, [target]])
            self.marginals.append(Chain.grow(X, alone, [Block((0,))], weight, rng, self._growth, by_value=True))
        return self

    def _is_amount(self, link: Link) -> bool:
        """Whether a link may have other values than the donors'."""
        target, *others = link.block.targets
        return not others and self.targets[target].kind in (Kind.CONTINUOUS, Kind.SEMICONTINUOUS)

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw target by target, shape (rows, targets)."""
        return self.chain.draw(X, rng, self._take if self.interpolation or self.tails else None)

    def _take(
        self, number: int, link: Link, inputs: Features, rows: IntArray, rng: RowRandom, read: Inputs
    ) -> FloatArray:
        """Take values from the rows' leaves, moved within them, and into the tail, as the settings say."""
        if link.forest is None or not self._is_amount(link):
            return self.chain.take(number, link, inputs, rows, rng, read)
        which, within = rng.uniform(f"tree {number}")[rows], rng.uniform(f"donor {number}")[rows]
        between = rng.uniform(f"between {number}")[rows]
        forest, values = link.forest, self.chain.bundles[link.donors, link.block.targets[0]]
        leaf = forest.route(inputs, rows, which)
        place = forest.place(leaf, within)
        donor = forest.order[place].astype(np.int64)
        out = np.array(values[donor])
        if self.interpolation:
            step = np.where(between < 0.5, -1, 1)
            # donors stand in the order of their values in each leaf
            other = values[forest.order[np.clip(place + step, forest.start[leaf], forest.end[leaf] - 1)]]
            way = np.where(between < 0.5, 2 * between, 2 * between - 1)
            out = np.where(np.sign(other) == np.sign(out), out + way * (other - out), out)
        if number in self.tails:
            tail = self.tails[number]
            above = donor - (len(values) - tail.count)  # donors stand in the order of their values here, too
            out[above >= 0] = tail.amount(above[above >= 0], between[above >= 0])
        return out[:, None]

    def quantiles(self, X: Table, q: npt.ArrayLike) -> FloatArray:
        """Work out quantiles of each target's weighted conditional distribution given the predictors alone.

        With one target that is the forest that draws use; with several, the later ones' forests read the
        targets before them, so that others are needed, which `fit` grows if `marginal` is set. Quantiles are
        donors' amounts (the least that at least a share q of the distribution does not exceed), whatever
        `interpolation` and `tail` say; of unordered classes there are none, NaN.

        Parameters
        ----------
        X
            Predictors.
        q
            Shares in [0, 1], shape (levels,) or one.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, targets, levels)

        Raises
        ------
        MethodError
            If there are several targets and `marginal` is not set, or a share is out of range.
        """
        levels = np.atleast_1d(np.asarray(q, dtype=np.float64))
        if levels.ndim != 1 or not ((levels >= 0) & (levels <= 1)).all():
            raise MethodError(f"q is {q!r}", "Give shares from 0 to 1.")
        chains = self.marginals or [self.chain]
        if len(chains) != len(self.targets):
            raise MethodError("qrf has no quantiles of several targets", "Set marginal to true, or fit one target.")
        out = np.full((len(X), len(self.targets), len(levels)), np.nan)
        for target, (variable, chain) in enumerate(zip(self.targets, chains, strict=True)):
            if variable.kind is not Kind.CATEGORICAL:
                inputs = chain.inputs(X)
                for start in range(0, len(X), ROWS):
                    rows = np.arange(start, min(start + ROWS, len(X)))
                    out[rows, target] = _quantiles(chain, inputs, rows, levels)
        return out

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what the chain and the marginal forests learnt, and the tails."""
        arrays = self.chain.state()
        for target, chain in enumerate(self.marginals):
            arrays |= chain.state(f"marginal.{target}.")
        for number, tail in self.tails.items():
            arrays |= {f"{number}.tail": tail.law, f"{number}.above": tail.share}
        return arrays

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take the arrays back, after checking every index in them, and the order that neighbours rely on."""
        self.chain = Chain.from_state(arrays, self.predictors, self.targets)
        self.marginals = [
            Chain.from_state(arrays, self.predictors, (variable,), f"marginal.{target}.")
            for target, variable in enumerate(self.targets if self.marginal else ())
        ]
        self.tails = {}
        for number, link in enumerate(self.chain.links):
            if f"{number}.tail" in arrays:
                found = Tail(arrays[f"{number}.tail"], arrays[f"{number}.above"])
                if not (self._is_amount(link) and found.is_sound(len(link.donors))):
                    raise MethodError("the saved tail does not fit its donors", "Save the model again.")
                self.tails[number] = found
        for chain in (self.chain, *self.marginals):
            for link in chain.links:
                values = chain.bundles[link.donors, link.block.targets[0]]
                if len(link.block.targets) == 1 and (np.diff(values) < 0).any():
                    raise MethodError("the saved forest's donors are out of order", "Save the model again.")
        return self


def _quantiles(chain: Chain, inputs: Features, rows: IntArray, levels: FloatArray) -> FloatArray:
    link = chain.links[0]
    if link.forest is None:  # no donor has weight: nothing but zeros is drawn
        return np.zeros((len(rows), len(levels)))
    row, donor, share = link.forest.shares(inputs, rows)
    order = np.lexsort((donor, row))  # donors stand in the order of their values
    running = np.concatenate([[0.0], np.cumsum(share[order])])
    ends = np.searchsorted(row[order], np.arange(len(rows) + 1))
    low, high = running[ends[:-1], None], running[ends[1:], None]
    # rounding apart: a share that is just reached is reached
    place = np.searchsorted(running[1:], low + levels * (high - low) - 1e-9)
    chosen = donor[order][np.clip(place, ends[:-1, None], ends[1:, None] - 1)]
    return np.asarray(chain.bundles[link.donors[chosen], link.block.targets[0]])
