"""Donors sampled by what is imputed: leaves of a few light, rich donors must not be taken for many people."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Survey, impute
from microimpute.blocks import Block
from microimpute.forests import links, trees
from microimpute.forests.chain import Chain
from microimpute.forests.leaves import LeafForest
from microimpute.kinds import Kind, Table, Variable


def population(rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return pd.DataFrame(x, columns=list("abc")).assign(
        y=np.exp(8 + 1.3 * x[:, 0] + 0.5 * x[:, 1] + rng.normal(size=rows))
    )


def median_ratio(method):
    """Median drawn over the receivers' own; about 2,500 donors, drawn with chances that grow with the target."""
    rng = np.random.default_rng(0)
    everyone = population(200_000, 1)
    chance = 0.2 + everyone["y"] / everyone["y"].median()
    chance = np.minimum(1, chance * 2500 / chance.sum())
    drawn = rng.random(len(everyone)) < chance
    donor = everyone[drawn].assign(w=1 / chance[drawn])
    receiver = population(20_000, 2)
    got = impute(Survey(donor, weight="w"), receiver[list("abc")], targets=["y"], method=method, m=2).numbers("y")
    return np.median(got) / receiver["y"].median()


@pytest.mark.parametrize(("method", "most"), [("forest", 1.15), ("qrf", 1.18)])
def test_medians_come_back(method, most, monkeypatch):
    """The donors' own weighted median has a standard error of 5%; leaves of ten donors are 25% too rich by weight."""
    assert 0.9 < median_ratio(method) < most
    monkeypatch.setattr(LeafForest, "debiased", lambda forest: forest)
    monkeypatch.setattr(trees, "LIGHT", 0.0)
    monkeypatch.setattr(links, "LEAVES", 10**6)
    assert median_ratio(method) > most


def lightest_leaf():
    """Share of the weight in the lightest leaf: half of the donors are rich and a hundred times lighter."""
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(2000, 1)).astype(np.float32)
    weight = np.where(x[:, 0] > 0.5, 0.01, 1.0)
    settings = {"trees": 5, "leaf": 10, "features": 1.0, "share": 1.0}
    forest = trees.grow(x, np.exp(8 * x).astype(np.float64), weight, rng, **settings)
    held = [weight[forest.order[a:b]].sum() for a, b in zip(forest.start, forest.end, strict=True) if b > a]
    return min(held) / weight.sum()


def test_no_leaf_stands_for_hardly_anyone(monkeypatch):
    """Ten average donors have 1/200 of the weight, of which a leaf needs .7 in the resample that its tree is grown on.

    Leaves hold all donors, so that the lightest has .63 of it; with a least weight of .3 it has .26.
    """
    assert lightest_leaf() > 0.5 * 10 / 2000
    monkeypatch.setattr(trees, "LIGHT", 0.0)
    assert lightest_leaf() < 0.03 * 10 / 2000


def test_leaves_stay_as_they_are_where_weights_are_even():
    rng = np.random.default_rng(3)
    assert links._evened(10, np.ones(1000)) == 10
    assert links._evened(10, rng.exponential(size=20_000)) == pytest.approx(10, abs=1)  # the bootstrap's own
    assert links._evened(10, rng.exponential(size=20_000) * np.repeat([1.0, 9.0], 10_000)) > 14
    assert links._evened(10, np.r_[1000.0, np.ones(999)]) == 50  # never fewer than twenty leaves by number
    assert links._evened(100, np.ones(50)) == 100


def test_odds_are_for_weights_that_differ_by_themselves():
    """A resample alone makes weights uneven by chance, and odds would add to that for nothing."""
    rng = np.random.default_rng(5)
    resamples = [rng.exponential(size=1000) for _ in range(200)]
    assert np.mean([links.uneven(w) for w in resamples]) < 0.01
    assert not links.uneven(np.ones(1000))
    light = np.repeat([1.0, 0.2], 500)  # design effect 1.44, as the SCF's households have
    assert np.mean([links.uneven(w * light) for w in resamples]) > 0.99


def chances(link, weight):
    """What each donor is drawn in proportion to, and the leaf's odds and weights, in the order of the leaves."""
    forest = link.forest
    got, own = np.diff(forest.cumulative), weight[link.donors][forest.order]
    first = np.sort(forest.start[forest.left < 0])
    size = np.diff(np.append(first, len(own)))
    whole = np.repeat(np.add.reduceat(own, first), size)
    odds = own / (whole - own)
    return got, own, odds * whole / np.repeat(np.add.reduceat(odds, first), size)


@pytest.mark.parametrize("differ", [True, False])
def test_only_what_reads_predictors_alone_is_drawn_by_odds_and_only_where_weights_differ(differ):
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(800, 2)), rng.normal(size=(800, 2))
    weight = rng.exponential(size=800) * (np.repeat([1.0, 9.0], 400) if differ else 1.0)
    X = Table(tuple(Variable(n, Kind.CONTINUOUS) for n in "ab"), x)
    Y = Table(tuple(Variable(n, Kind.CONTINUOUS) for n in "cd"), y + x)
    growth = links.Growth("forest", trees=3, leaf=10, features=1.0, share=0.5)
    chain = Chain.grow(X, Y, [Block((0,)), Block((1,))], weight, rng, growth)
    got, own, odds = chances(chain.links[0], weight)
    assert got == pytest.approx(odds if differ else own, rel=1e-6, abs=1e-9)
    assert not np.allclose(odds, own, rtol=0.01)
    got, own, _ = chances(chain.links[1], weight)
    assert got == pytest.approx(own, rel=1e-6, abs=1e-9)
