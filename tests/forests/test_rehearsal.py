"""Lines further down a chain: margins come back though what is drawn hangs together less than what is observed."""

import numpy as np

from microimpute.blocks import Block
from microimpute.forests import chain as chains
from microimpute.forests.chain import Chain
from microimpute.forests.links import Growth
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable

ROWS = 3000


def donors():
    """A count that follows x, and an amount that is what the count leaves of x: nearly the same for all."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, ROWS)
    count = np.rint(50 + 20 * x + rng.normal(size=ROWS))
    amount = np.exp(0.5 * (count - 20 * x) + 0.1 * rng.normal(size=ROWS))
    X = Table((Variable("x", Kind.CONTINUOUS),), x[:, None])
    return X, Table((Variable("n", Kind.COUNT), Variable("y", Kind.CONTINUOUS)), np.column_stack([count, amount]))


def grown():
    X, Y = donors()
    growth = Growth("forest", trees=10, leaf=300, features=1.0, share=0.5, adjust=True, tuned=True)
    blocks = [Block((0,)), Block((1,))]
    return X, Y, Chain.grow(X, Y, blocks, np.ones(ROWS), np.random.default_rng(1), growth)


def outer_shares(X, Y, chain):
    """Shares of draws for the donors beyond the donors' fifth and 95th percentiles."""
    drawn = chain.draw(X, RowRandom(5, 1, np.arange(ROWS, dtype=np.uint64)))[:, 1]
    low, high = np.quantile(Y.values[:, 1], [0.05, 0.95])
    return np.array([np.mean(drawn < low), np.mean(drawn > high)])


def test_margins_of_what_is_drawn_late_come_back(monkeypatch):
    X, Y, chain = grown()
    assert len(chain.links[1].lines) == 1
    error = np.sqrt(0.05 * 0.95 / ROWS) * np.sqrt(1 + 1 / chains.TIMES)
    assert np.abs(outer_shares(X, Y, chain) - 0.05).max() < 4 * error
    observed = Chain.draw

    def given_what_is_observed(self, X, rng, take=None):
        """The fault: ranks from scores given the donors' own counts."""
        if take is None:
            return observed(self, X, rng)
        again = np.tile(Y.values, (chains.TIMES, 1))

        def own(number, link, *rest):
            drawn = take(number, link, *rest)
            return again[:, list(link.block.targets)] if number == 0 else drawn

        return observed(self, X, rng, own)

    monkeypatch.setattr(Chain, "draw", given_what_is_observed)
    assert outer_shares(X, Y, grown()[2]).max() > 0.05 + 8 * error


def test_chains_without_lines_are_not_rehearsed(monkeypatch):
    X, Y = donors()
    growth = Growth("forest", trees=5, leaf=300, features=1.0, share=0.5, tuned=True)
    monkeypatch.setattr(Chain, "_rehearsed", None)
    chain = Chain.grow(X, Y, [Block((0,)), Block((1,))], np.ones(ROWS), np.random.default_rng(1), growth)
    assert not chain.links[1].lines
