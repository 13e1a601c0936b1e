"""Quantile regression forests: against another implementation, and that weights, rules and options do as they say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute, method
from microimpute.encoding import scores
from microimpute.errors import MethodError
from microimpute.forests.leaves import LeafForest, Tree
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Kind, Table, Variable
from microimpute.methods.base import Method
from microimpute.testing import example_donor, example_fusion, example_receiver
from microimpute.ties import Ties

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def table(*columns, kind=Kind.CONTINUOUS, ties=None):
    variables = tuple(Variable(f"c{i}", kind) for i in range(len(columns)))
    return Table(variables, np.column_stack(columns).astype(float), ties or Ties())


def random(rows, seed=0):
    return RowRandom(seed, 1, np.arange(rows, dtype=np.uint64))


def fit(X, Y, weight=None, **settings):
    weight = np.ones(len(X)) if weight is None else weight
    return method("qrf", settings).fit(X, Y, weight, generator(0, 1, "fit"))


@pytest.fixture(scope="module")
def world():
    """Donors whose target's spread depends on the first of three predictors, and places to look at."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1500, 3))
    y = np.exp(8 + x[:, 0] + (0.3 + 0.3 * (x[:, 1] > 0)) * rng.normal(size=1500))
    return table(*x.T), table(y), rng.uniform(-0.9, 0.9, (40, 3))


def quantile_forest(X, Y, **settings):
    """The other implementation, which splits on the same scores and returns amounts: quantiles go with ranks."""
    module = pytest.importorskip("quantile_forest")
    settings = {"n_estimators": 100, "min_samples_leaf": 20, "max_features": 0.5, "max_samples_leaf": None} | settings
    model = module.RandomForestQuantileRegressor(**settings)
    return model.fit(X.values, scores(Y, np.ones(len(Y)))[:, 0])


def own(forest, X, Y):
    """A QRF whose trees are those of the other implementation, which must be grown without a bootstrap."""
    fitted = fit(X, Y, trees=1)
    link = fitted.chain.links[0]
    trees = [
        Tree(
            t.tree_.children_left.astype(np.int32),
            t.tree_.children_right.astype(np.int32),
            np.maximum(t.tree_.feature, 0).astype(np.int32),
            t.tree_.threshold.astype(np.float64),
            t.apply(X.values[link.donors]).astype(np.int32),
        )
        for t in forest.estimators_
    ]
    link = replace(link, forest=LeafForest.build(trees, np.ones(len(X))))
    fitted.chain = replace(fitted.chain, links=(link,))
    return fitted


def ranks(fitted, Y, new):
    """Share of many draws that do not exceed values, shape (places, levels), for values of that shape."""
    many = np.repeat(new, 4000, axis=0)
    drawn = fitted.draw(table(*many.T), random(len(many)))[:, 0].reshape(len(new), 4000)
    drawn = np.searchsorted(np.sort(Y.values[:, 0]), drawn, side="left")
    return lambda place: (drawn[:, :, None] <= place[:, None, :]).mean(axis=1)


def places(forest, Y, new):
    """The other implementation's quantiles, as places in the order of the donors' values.

    `weighted_leaves` gives donors Meinshausen's weights: each tree's leaf counts as one, whatever its size.
    """
    how = {"weighted_quantile": True, "weighted_leaves": True, "interpolation": "lower"}
    got = forest.predict(new, quantiles=list(LEVELS), aggregate_leaves_first=True, **how)
    known = np.sort(scores(Y, np.ones(len(Y)))[:, 0])
    return np.searchsorted(known, got - 1e-9)


def test_with_the_same_trees_quantiles_are_those_of_quantile_forest(world):
    """The same donor's amount, but where the conventions at a step differ: then nothing but that step apart."""
    X, Y, new = world
    forest = quantile_forest(X, Y, bootstrap=False, random_state=0)
    fitted = own(forest, X, Y)
    got = np.searchsorted(np.sort(Y.values[:, 0]), fitted.quantiles(table(*new.T), LEVELS)[:, 0])
    theirs = places(forest, Y, new)
    assert (got == theirs).mean() > 0.9
    row, donor, share = fitted.chain.links[0].forest.shares(fitted.chain.inputs(table(*new.T)), np.arange(len(new)))
    each = np.zeros((len(new), len(X)))
    np.add.at(each, (row, donor), share)
    reached = np.take_along_axis(each.cumsum(axis=1), theirs, axis=1)
    assert (np.abs(reached - LEVELS) <= each.max(axis=1)[:, None]).all()


def test_draws_have_the_distribution_that_quantile_forest_predicts_from_the_same_trees(world):
    """Shares of 4,000 draws: Monte Carlo error, above a share that is reached in steps of about .01."""
    X, Y, new = world
    forest = quantile_forest(X, Y, bootstrap=False, random_state=0)
    share = ranks(own(forest, X, Y), Y, new)
    theirs = places(forest, Y, new)
    error = np.sqrt(LEVELS * (1 - LEVELS) / 4000)
    reached = (share(theirs) > LEVELS - 4.5 * error) & (share(theirs - 1) < LEVELS + 4.5 * error)
    assert reached.mean() > 0.97
    assert (np.abs((share(theirs) + share(theirs - 1)) / 2 - LEVELS).mean(axis=0) < 0.012).all()


def test_own_trees_give_the_distribution_of_quantile_forest(world):
    """No further from it than it is from itself with another seed, and Monte Carlo error; on average the same."""
    X, Y, new = world
    one, other = (quantile_forest(X, Y, bootstrap=False, random_state=s) for s in (0, 1))
    between = ranks(own(other, X, Y), Y, new)(places(one, Y, new)) - LEVELS
    fitted = fit(X, Y, trees=100, leaf=20, features=0.5, share=1.0)
    mine = ranks(fitted, Y, new)(places(one, Y, new)) - LEVELS
    assert np.sqrt((mine**2).mean()) < 2.5 * np.sqrt((between**2).mean())
    assert np.abs(mine.mean(axis=0)).max() < 0.02


def test_quantiles_are_those_of_many_draws_with_weights(world):
    X, Y, new = world
    weight = np.random.default_rng(3).exponential(size=len(X))
    fitted = fit(X, Y, weight)
    got = np.searchsorted(np.sort(Y.values[:, 0]), fitted.quantiles(table(*new.T), LEVELS)[:, 0])
    error = np.sqrt(LEVELS * (1 - LEVELS) / 4000)
    share = ranks(fitted, Y, new)
    assert (share(got) > LEVELS - 4.5 * error).all()
    assert (share(got - 1) < LEVELS + 4.5 * error).all()


def test_quantiles_of_several_targets_need_marginal_forests():
    donor = example_donor(400)
    fusion = example_fusion(donor, example_receiver(30), Method)
    training = fusion.training(1)
    chained = method("qrf").fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    with pytest.raises(MethodError, match="several targets"):
        chained.quantiles(fusion.receivers, 0.5)
    with pytest.raises(MethodError, match="q is"):
        chained.quantiles(fusion.receivers, [0.5, 1.5])
    fitted = method("qrf", {"marginal": True}).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    got = fitted.quantiles(fusion.receivers, [0.1, 0.5, 1])
    assert got.shape == (30, len(fusion.targets), 3)
    classes = [fusion.variables[t].kind is Kind.CATEGORICAL for t in fusion.targets]
    assert np.array_equal(np.isnan(got).all(axis=(0, 2)), classes)
    assert (np.diff(got[:, ~np.array(classes)]) >= 0).all()
    rng = RowRandom(0, 1, fusion.receiver_keys)
    assert np.array_equal(fitted.draw(fusion.receivers, rng), chained.draw(fusion.receivers, rng))


def test_weighted_mean_of_the_donors_comes_back():
    """Through a chain of two, on the donors themselves; each is off by what drawing adds, averaged over 40."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 2))
    y = x[:, 0] + rng.normal(size=3000)
    z = y + rng.normal(size=3000)
    weight = np.where(y > 0, 0.2, 1.0) * rng.uniform(0.5, 1.5, 3000)
    X, Y = table(*x.T), table(y, z)
    fitted = fit(X, Y, weight)
    drawn = np.mean([fitted.draw(X, random(3000, seed)) for seed in range(40)], axis=0)
    for target in range(2):
        got, mean = (np.average(v[:, target], weights=weight) for v in (drawn, Y.values))
        error = np.sqrt(np.sum((weight * (Y.values[:, target] - mean)) ** 2)) / weight.sum()
        assert abs(got - mean) < 1.0 * error
        assert abs(mean - Y.values[:, target].mean()) > 8 * error  # and ignoring weights would be seen


def amounts(rows, seed=0):
    """A mass at zero, losses, a heavy tail; known by x."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, rows)
    size = 1000 * rng.random(rows) ** (-1 / (1.5 + x))
    sign = rng.choice([0.0, 1.0, -1.0], rows, p=[0.4, 0.5, 0.1])
    return table(x), table(sign * size, kind=Kind.SEMICONTINUOUS)


@pytest.mark.parametrize(
    "options", [{}, {"interpolation": True}, {"tail": True}, {"interpolation": True, "tail": True}]
)
def test_zeros_signs_and_the_body_are_the_same_with_every_option(options):
    X, Y = amounts(4000)
    fitted = fit(X, Y, **options)
    drawn = np.concatenate([fitted.draw(X, random(4000, s))[:, 0] for s in range(10)])
    y = Y.values[:, 0]
    for share in (lambda v: v == 0, lambda v: v < 0, lambda v: v > np.median(y[y > 0])):
        assert abs(share(drawn).mean() - share(y).mean()) < 0.01
    assert abs(np.median(drawn[drawn > 0]) / np.median(y[y > 0]) - 1) < 0.03
    assert not ((np.abs(drawn) < np.abs(y[y != 0]).min()) & (drawn != 0)).any()
    between = ~np.isin(drawn, y) & (drawn <= np.quantile(y, 0.97))
    assert (between.mean() > 0.4) == options.get("interpolation", False)
    assert (drawn.max() > y.max()) == options.get("tail", False)
    assert drawn.min() >= y.min()


def test_interpolation_stays_in_the_leaf_and_keeps_the_mean():
    """All draws of one leaf: between its donors' values, uniform between two, with their mean."""
    y = np.array([1.0, 2.0, 4.0, 8.0])
    X = table(np.zeros(4))
    fitted = fit(X, table(y), trees=1, leaf=4, interpolation=True)
    drawn = fitted.draw(table(np.zeros(200_000)), random(200_000))[:, 0]
    assert (drawn.min(), drawn.max()) == (1.0, 8.0)
    assert abs(drawn.mean() - y.mean()) < 4 * drawn.std() / np.sqrt(200_000)
    for low, high in ((1, 2), (2, 4), (4, 8)):
        inside = drawn[(drawn > low) & (drawn < high)]
        assert abs(len(inside) / 200_000 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 200_000)
        assert abs(inside.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * len(inside))


def test_interpolation_does_not_reach_into_another_leaf():
    x = np.repeat([0.0, 1.0], 50)
    y = np.arange(100.0) + 1000 * x
    fitted = fit(table(x), table(y), trees=3, leaf=20, interpolation=True)
    drawn = fitted.draw(table(np.repeat([0, 1], 5000)), random(10_000))[:, 0]
    assert drawn[:5000].max() <= 49
    assert drawn[5000:].min() >= 1050


def test_counts_and_classes_are_never_moved():
    donor = example_donor(600)
    fusion = example_fusion(donor, example_receiver(600), Method)
    training = fusion.training(1)
    fitted = fit(training.X, training.Y, interpolation=True, tail=True)
    drawn = fitted.draw(fusion.receivers, RowRandom(0, 1, fusion.receiver_keys))
    for target in ("trips", "owner", "region_of_work", "health"):
        at = fusion.targets.index(target)
        assert set(drawn[:, at]) <= set(training.Y.values[:, at])


def test_classes_are_drawn_not_the_likeliest_taken():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 4000)
    Y = table(rng.random(4000) < 0.1 + 0.2 * x, kind=Kind.BINARY)
    drawn = fit(table(x), Y).draw(table(np.linspace(0, 1, 10_000)), random(10_000))[:, 0]
    for part, share in ((drawn[:5000], 0.15), (drawn[5000:], 0.25)):
        error = np.sqrt(share * (1 - share) * (1 / 2000 + 1 / 5000))
        assert abs(part.mean() - share) < 4 * error


def test_tail_brings_high_quantiles_nearer_to_the_truth():
    """Root mean square error of log of the .999 quantile of a Pareto with index 1.5, over samples of 1,000 donors."""
    truth = 0.001 ** (-1 / 1.5)
    errors = {False: [], True: []}
    for seed in range(40):
        y = np.random.default_rng(seed).random(1000) ** (-1 / 1.5)
        X = table(np.zeros(1000))
        for tail, found in errors.items():
            fitted = fit(X, table(y), trees=1, leaf=1000, tail=tail)
            drawn = fitted.draw(table(np.zeros(50_000)), random(50_000, seed))[:, 0]
            found.append(np.log(np.quantile(drawn, 0.999) / truth))
    size = {tail: np.sqrt(np.mean(np.square(e))) for tail, e in errors.items()}
    assert size[True] < 0.85 * size[False]


def test_tail_follows_the_predictors():
    """Where donors' large amounts are, there are the draws': ten times as large on one side."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 8000)
    y = rng.random(8000) ** (-1 / 2) * np.where(x == 1, 10.0, 1.0)
    fitted = fit(table(x), table(y), tail=True)
    drawn = fitted.draw(table(np.repeat([0, 1], 20_000)), random(40_000))[:, 0]
    high = [np.quantile(v, 0.99) for v in (drawn[:20_000], drawn[20_000:])]
    assert high[1] / high[0] == pytest.approx(10, rel=0.3)


def test_tail_stops_at_what_the_column_holds():
    donor = example_donor(3000)
    heavy = np.random.default_rng(0).random(3000) ** (-1 / 1.2)
    donor["wealth"] = (heavy / heavy.max() * (2**31 - 1)).astype("int32")
    fusion = example_fusion(donor, example_receiver(20_000), Method, targets=("wealth",))
    got = impute(fusion, method=method("qrf", {"tail": True}), m=2).complete()
    assert got["wealth"].dtype == np.dtype("int32")
    assert got["wealth"].max() == 2**31 - 1
    assert got["wealth"].min() >= donor["wealth"].min()


OPTIONS = ({}, {"interpolation": True, "tail": True})


@pytest.mark.parametrize("options", OPTIONS)
def test_requirements_hold_in_every_draw(options):
    donor = example_donor(1500)
    fusion = Fusion(
        Survey(donor, weight="weight", keys="id"),
        Survey(example_receiver(4000), keys="id"),
        targets=["debt", "trips", "wealth"],
        rules=["debt requires wealth", "debt >= 0"],
        predictors=["income", "age", "region"],
    )
    got = impute(fusion, method=method("qrf", options), m=2)
    assert sum(r["broken_draws"] for r in got.manifest["rules"]) == 0
    debt = got.numbers("debt")
    expected = np.average(donor["debt"] > 0, weights=donor["weight"])
    assert abs((debt > 0).mean() - expected) < 0.05


@pytest.mark.parametrize("options", OPTIONS)
def test_targets_that_rules_tie_come_from_one_donor_and_the_others_do_not(options):
    rng = np.random.default_rng(0)
    Y = table(*rng.normal(size=(3, 500)) ** 2, ties=Ties(together=((0, 2),)))
    fitted = fit(table(rng.normal(size=500)), Y, **options)
    assert [link.block.targets for link in fitted.chain.links] == [(0, 2), (1,)]
    drawn = fitted.draw(table(rng.normal(size=1000)), random(1000))
    donors = {(a, c): b for a, b, c in Y.values}
    assert all((a, c) in donors for a, _, c in drawn)
    assert np.mean([donors[a, c] == b for a, b, c in drawn]) < 0.2


def test_chained_targets_keep_their_correlation():
    rng = np.random.default_rng(1)
    a = rng.normal(size=4000)
    donor = pd.DataFrame({"x": rng.normal(size=4000), "a": a, "b": 0.8 * a + 0.6 * rng.normal(size=4000)})
    got = impute(donor, donor[["x"]], targets=["a", "b"], method="qrf", m=1)
    assert np.corrcoef(got.numbers("a")[0], got.numbers("b")[0])[0, 1] == pytest.approx(0.8, abs=0.05)


@pytest.fixture(scope="module")
def saved():
    X, Y = amounts(3000)
    Y = table(Y.values[:, 0], np.abs(Y.values[:, 0]), kind=Kind.SEMICONTINUOUS)
    return X, fit(X, Y, interpolation=True, tail=True, marginal=True)


def test_all_options_survive_a_file(saved, tmp_path):
    X, fitted = saved
    fitted.save(tmp_path / "model")
    again = Method.load(tmp_path / "model")
    assert np.array_equal(again.draw(X, random(3000)), fitted.draw(X, random(3000)))
    assert np.array_equal(again.quantiles(X, LEVELS), fitted.quantiles(X, LEVELS))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("0.donors", lambda a: a[::-1].copy(), "out of order"),
        ("0.donors", lambda a: a + 10**6, "outside its donors"),
        ("marginal.1.0.donors", lambda a: a[::-1].copy(), "out of order"),
        ("marginal.1.0.order", lambda a: a + 10**6, "outside itself"),
        ("0.tail", lambda a: np.array([1.0, 0.5, -1.0, 9.0]), "tail"),
        ("0.above", lambda a: np.linspace(0, 1, 10**4), "tail"),
        ("0.targets", lambda a: a + 1, "do not match"),
    ],
)
def test_damaged_files_are_refused(saved, name, change, message):
    _, fitted = saved
    arrays = fitted.state()
    with pytest.raises(MethodError, match=message):
        _again(fitted).set_state(arrays | {name: change(arrays[name])})


def _again(fitted):
    fresh = fitted.fresh()
    fresh.predictors, fresh.targets = fitted.predictors, fitted.targets
    return fresh


@pytest.mark.parametrize(
    "bad",
    [
        {"trees": 0},
        {"leaf": 1.5},
        {"features": 0},
        {"share": 2},
        {"interpolation": 1},
        {"tail": "yes"},
        {"marginal": None},
    ],
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("qrf", bad)


def slope_of_draws(rows, **settings):
    """Slope on x of draws for 4,000 places, over ten donor samples; truly 1."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(10):
        x = rng.normal(size=rows)
        fitted = fit(table(x), table(x + 0.5 * rng.normal(size=rows)), **settings)
        new = rng.normal(size=4000)
        found.append(np.polyfit(new, fitted.draw(table(new), random(4000))[:, 0], 1)[0])
    return np.mean(found), np.std(found, ddof=1) / np.sqrt(10)


def test_few_donors_have_small_leaves_so_that_slopes_are_not_flattened():
    ours, error = slope_of_draws(150)
    ten, _ = slope_of_draws(150, leaf=10)
    assert ours > 0.95 - 2 * error
    assert ours - ten > 0.03
    rng = np.random.default_rng(9)
    for rows, leaf in ((40, 3), (300, 6), (500, 10), (900, 10)):  # a fiftieth, three at least and ten at most
        X, Y = table(rng.normal(size=rows)), table(rng.normal(size=rows))
        drawn = [fit(X, Y, **said).draw(X, random(rows)) for said in ({}, {"leaf": leaf})]
        assert np.array_equal(*drawn)
