"""The default: targets in blocks from the leaves of weighted trees, each block given the ones before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.blocks import Block, plan
from microimpute.errors import MethodError
from microimpute.forests.chain import Chain
from microimpute.forests.links import Growth, whole_numbers
from microimpute.forests.pareto import Tail, fit_tail, largest_held
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable
from microimpute.methods.base import FloatArray, Method

__all__ = ["Forest"]


class Forest(Method):
    """Draws of blocks of targets from the leaves of regression trees.

    Totals that identities derive from the targets (net worth, say) lead: they are drawn first, together from
    one donor, all blocks are conditioned on them, and then they are dropped, to be derived from the parts.
    Without this lead the parts of a long chain are too independent, and the totals too even. Donors of the first
    block are taken from leaves by the odds of their weights where these differ by themselves, since a leaf's mean is a
    ratio estimate, and biased where the rich have small weights (`microimpute.forests.leaves.LeafForest.debiased`);
    later blocks, which read what was drawn from the same donors, by weight.

    Parameters
    ----------
    trees
        Trees per block and implicate.
    leaf
        Least number of donors that a leaf should hold, more where weights differ much (by their design effect); with
        `tuned`, where the search begins.
    features
        Share of the features tried at each split.
    share
        Share of the donors that each tree is grown on.
    block
        Targets per block. Each block is one donor's bundle, conditioned on the blocks before it in the order
        of the targets. Parts of one total share a block if they are no more than fit; targets that edit rules
        tie to each other share one whatever its size.
    cuts
        Random cuts of each amount that each tree separates besides scores, so that splits also find where only
        spread or shape changes with the predictors; see `trees.grow`.
    predict
        Whether trees also read what ridge regressions predict of the block's targets, for donors from other
        households: a smooth effect then takes one split, not many. No prediction is drawn.
    tuned
        Whether each block's leaves may hold a half to 32 times as many donors as `leaf`, as donors held out say.
    adjust
        Whether amounts move along a regression from the leaf donor to the receiver, for targets of which donors
        held out are predicted better so; zeros and signs stay the donor's, the donors' weighted margin comes
        back when the whole chain draws for the donors, and amounts below the `tail` are ones that donors have. Not
        for targets that rules bind to one donor, nor with fewer than 50 effective donors of a sign. Needs `tuned`.
    tail
        Draw amounts above a threshold from a generalised Pareto distribution fitted to the donors there, at the
        drawn donor's place in it, so that the largest donor is no bound; its mean is the donors', so that totals stay.
        Only where donors are too few to tell far quantiles themselves; see `pareto.fit_tail`. Not for counts, losses,
        amounts heaped at round numbers, or targets that rules bind to one donor.
    """

    name = "forest"
    summary = "Targets in chained blocks, each from one donor in the leaves of weighted trees."
    reference = "Meinshausen (2006); Ćevid et al. (2022); Nowok et al. (2016); Abadie & Imbens (2011) for the lines."
    advice = (
        "The default: for any mix of kinds, from a few hundred donors on. With fewer donors, or where effects "
        "are smooth and strong, compare `srmi`."
    )
    joint = True
    proper = True
    uses_weights = True
    cost = 0.02

    def __init__(
        self,
        trees: int = 20,
        leaf: int = 10,
        features: float = 0.5,
        share: float = 0.5,
        block: int = 4,
        cuts: int = 2,
        adjust: bool = True,
        tuned: bool = True,
        predict: bool = True,
        tail: bool = True,
    ) -> None:
        self._growth = Growth("forest", trees, leaf, features, share, cuts, adjust, tuned, predict)
        whole_numbers("forest", block=block)
        if not isinstance(cuts, int) or isinstance(cuts, bool) or cuts < 0:
            raise MethodError(f"forest's cuts is {cuts!r}", "Give a whole number of at least 0.")
        for name, value in (("predict", predict), ("tuned", tuned), ("adjust", adjust), ("tail", tail)):
            if not isinstance(value, bool):
                raise MethodError(f"forest's {name} is {value!r}", "Give true or false.")
        self.trees = trees
        self.leaf = leaf
        self.features = features
        self.share = share
        self.block = block
        self.cuts = cuts
        self.adjust = adjust
        self.tuned = tuned
        self.predict = predict
        self.tail = tail

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Grow each block's trees on the predictors and the blocks before it."""
        self.predictors, self.targets = X.variables, Y.variables
        self.guides = 0 if Y.totals is None else Y.totals.shape[1]
        Y = _led_by_totals(Y)
        self.chain = Chain.grow(X, Y, plan(Y, self.block), weight, rng, self._growth)
        self.tails = self._fit_tails(Y, weight) if self.tail else {}
        return self

    def _fit_tails(self, Y: Table, weight: FloatArray) -> dict[int, tuple[Tail, FloatArray]]:
        """Fit the tail of each amount that no rule binds to others; returns it with the donors' amounts, rising."""
        bound = {t for group in Y.ties.together for t in group}
        found = {}
        for column, variable in enumerate(Y.variables):
            if column in bound or variable.kind not in (Kind.CONTINUOUS, Kind.SEMICONTINUOUS):
                continue
            rows = np.flatnonzero(weight > 0)
            rows = rows[np.argsort(Y.values[rows, column], kind="stable")]
            values = Y.values[rows, column]
            tail = fit_tail(values, weight[rows], largest_held(variable))
            if tail is not None:
                found[column] = (tail, values)
        return found

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw block by block, each from one donor, shape (rows, targets)."""
        out = self.chain.draw(X, rng)
        for column, (tail, donors) in self.tails.items():
            out[:, column] = tail.beyond(out[:, column], donors, rng.uniform(f"tail {column}"))
        return out[:, self.guides :]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What is drawn together, in order."""
        return tuple(link.block for link in self.chain.links)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the donors' bundles, the rules' ties, and each block's donors and trees."""
        arrays = self.chain.state() | {"guides": np.array([self.guides])}
        for column, (tail, donors) in self.tails.items():
            arrays |= {f"tail.{column}": tail.law, f"tail.{column}.above": tail.share, f"tail.{column}.donors": donors}
        return arrays

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take the arrays back, after checking every index in them."""
        self.guides = max(0, int(arrays["guides"][0]))
        # the guiding totals are drawn too, and dropped again
        self.chain = Chain.from_state(arrays, self.predictors, (*_guides(self.guides), *self.targets))
        self.tails = {}
        for column in range(self.guides + len(self.targets)):
            if f"tail.{column}" in arrays:
                tail = Tail(arrays[f"tail.{column}"], arrays[f"tail.{column}.above"])
                donors = arrays[f"tail.{column}.donors"]
                if not tail.is_sound(len(donors)) or (np.diff(donors) < 0).any():
                    raise MethodError("the saved tail does not fit its donors", "Save the model again.")
                self.tails[column] = (tail, donors)
        return self


def _guides(count: int) -> tuple[Variable, ...]:
    return tuple(Variable(f"total {number}", Kind.CONTINUOUS) for number in range(count))


def _led_by_totals(Y: Table) -> Table:
    """Put the totals before the targets, tied to one donor, so that all else is conditioned on them."""
    if Y.totals is None:
        return Y
    count = Y.totals.shape[1]
    guided = Y.ties.moved(count)
    return Table(
        (*_guides(count), *Y.variables),
        np.hstack([Y.totals, Y.values]),
        replace(guided, together=(tuple(range(count)), *guided.together)),
    )
