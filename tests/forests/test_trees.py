"""Leaf draws: the right leaf, in proportion to weight, and safe to load."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from microimpute.errors import MethodError
from microimpute.forests.leaves import LeafForest
from microimpute.forests.trees import grow


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=2000))[:, None]
    weight = rng.exponential(size=2000)
    return (
        X,
        y,
        weight,
        grow(X, y, weight, np.random.default_rng(1), trees=8, leaf=10, features=0.5, share=1.0),
    )


def test_routing_agrees_with_scikit_learn(world):
    X, y, weight, _ = world
    from microimpute.forests import trees

    one = trees._grow_one(X, y, weight, 3, 10, 0.0, 1.0)
    model = DecisionTreeRegressor(min_samples_leaf=10, max_features=1.0, random_state=3)
    model.fit(X, y, sample_weight=weight)
    new = np.random.default_rng(2).normal(size=(500, 4)).astype(np.float32)
    forest = LeafForest.build([one], weight)
    assert np.array_equal(forest.route(new, np.arange(500), np.zeros(500)), model.apply(new))


def test_draws_come_from_the_rows_leaf_in_proportion_to_weight(world):
    X, _, weight, forest = world
    draws = 20_000
    row = np.zeros(draws, dtype=int)
    rng = np.random.default_rng(3)
    first_tree = np.full(draws, 1e-9)
    got = forest.draw(X, row, first_tree, rng.random(draws))
    leaf = forest.route(X, row[:1], first_tree[:1])[0]
    members = forest.order[forest.start[leaf] : forest.end[leaf]]
    assert 0 in members  # every donor stands in the leaf that it falls into
    share = weight[members] / weight[members].sum()
    counts = np.array([(got == m).sum() for m in members])
    assert counts.sum() == draws
    z = (counts / draws - share) / np.sqrt(share * (1 - share) / draws)
    assert np.abs(z).max() < 4.5


def test_every_tree_holds_every_donor(world):
    *_, forest = world
    for start in range(0, len(forest.order), 2000):
        assert np.array_equal(np.sort(forest.order[start : start + 2000]), np.arange(2000))


def test_donors_without_weight_are_never_drawn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)).astype(np.float32)
    weight = np.where(np.arange(400) % 2, 1.0, 0.0)
    forest = grow(X, X[:, :1].astype(float), weight, rng, trees=5, leaf=5, features=1.0, share=1.0)
    got = forest.draw(X, np.arange(400), rng.random(400), rng.random(400))
    assert (got % 2 == 1).all()


def test_weighted_mean_comes_back(world):
    """On the donors themselves, weighted, the forest's own conditional means average to the weighted mean."""
    X, y, weight, forest = world
    rng = np.random.default_rng(5)
    got = np.mean(
        [
            np.average(y[forest.draw(X, np.arange(2000), rng.random(2000), rng.random(2000)), 0], weights=weight)
            for _ in range(50)
        ]
    )
    mean = np.average(y[:, 0], weights=weight)
    error = np.sqrt(np.sum(weight**2 * (y[:, 0] - mean) ** 2)) / weight.sum() / np.sqrt(50)
    assert abs(got - mean) < 4 * error


@pytest.mark.parametrize(
    ("name", "value"),
    [("left", 10**6), ("feature", 99), ("order", 10**6), ("end", 10**6), ("roots", -1), ("left", 0)],
)
def test_damaged_files_are_refused(world, name, value):
    *_, forest = world
    arrays = {k: v.copy() for k, v in forest.state("f.").items()}
    assert LeafForest.from_state(arrays, "f.", 2000, 4) is not None
    target = arrays[f"f.{name}"]
    target[int(np.flatnonzero(forest.left >= 0)[0]) if name in ("left", "feature") else -1] = value
    with pytest.raises(MethodError, match="outside itself"):
        LeafForest.from_state(arrays, "f.", 2000, 4)


def test_missing_and_short_arrays_are_refused(world):
    *_, forest = world
    arrays = forest.state("")
    with pytest.raises(MethodError, match="lacks"):
        LeafForest.from_state({k: v for k, v in arrays.items() if k != "left"}, "", 2000, 4)
    with pytest.raises(MethodError, match="outside itself"):
        LeafForest.from_state(arrays | {"right": arrays["right"][:-1]}, "", 2000, 4)


def test_cut_back_trees_have_larger_leaves_with_the_same_donors():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, 3)).astype(np.float32)
    forest = grow(x, x[:, :1] ** 2, np.ones(1000), rng, trees=4, leaf=5, features=1.0, share=1.0)
    coarse = forest.coarser(60)
    rows = np.arange(1000)
    for tree in range(4):
        which = np.full(1000, (tree + 0.5) / 4)
        fine, wide = forest.route(x, rows, which), coarse.route(x, rows, which)
        _, count = np.unique(wide, return_counts=True)
        assert count.min() >= 60
        for leaf in np.unique(fine):  # a fine leaf lies within one wide leaf
            assert len(np.unique(wide[fine == leaf])) == 1
        sizes = coarse.end[wide] - coarse.start[wide]
        assert np.array_equal(sizes, np.bincount(wide)[wide])  # donors are these rows: each leaf holds its own
    assert np.array_equal(np.unique(coarse.order[coarse.start[wide[0]] : coarse.end[wide[0]]]), rows[wide == wide[0]])


def test_cuts_find_where_only_the_spread_changes():
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, (4000, 4)).astype(np.float32)
    y = rng.normal(size=4000) * np.where(x[:, 0] > 0, 3.0, 1.0)
    ranked = (np.argsort(np.argsort(y)) + 0.5)[:, None] / len(y)

    def ratio(**more):
        forest = grow(
            x, y[:, None], np.ones(4000), np.random.default_rng(5),
            trees=20, leaf=200, features=1.0, share=1.0, **more,
        )  # fmt: skip
        drawn = y[forest.draw(x, np.arange(4000), rng.random(4000), rng.random(4000))]
        return drawn[x[:, 0] > 0].std() / drawn[x[:, 0] <= 0].std()

    assert ratio(ranked=ranked, cuts=2) > 2.5  # truth 3
    assert ratio() < 2.5  # without cuts, splits hardly see it
