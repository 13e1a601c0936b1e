"""Bundles are exchanged within neighbourhoods only, and depend on the other donor's as asked."""

import numpy as np
import pytest
from populations_made import Two, share_of_top

from microimpute.dependence.conditional import latent, leaves, normal_score, rank_correlation
from microimpute.dependence.estimation import estimate_rho
from microimpute.dependence.priors import Grid, Normal, Point, Uniform, prior
from microimpute.dependence.reordering import reorder
from microimpute.errors import FusionError
from microimpute.keyed import RowRandom, hash_columns

ROWS = 6_000


def figures(two, z):
    ranks = [np.argsort(np.argsort(v)) / two.rows for v in (two.y, z)]
    return np.array([rank_correlation(*ranks, two.weight), share_of_top(two.y, z, two.weight)])


@pytest.mark.parametrize("zeros", [0.0, 0.4])
@pytest.mark.parametrize("rho", [-0.5, 0.3, 0.8])
def test_truth_is_recovered_and_independence_is_far_off(rho, zeros):
    """Two standard errors of a correlation of 6,000 rows with these weights (1,600 of equal ones … 4,700) is .03."""
    two = Two(ROWS, rho, 1, zeros)
    out = reorder(two.x, two.y, two.z, rho, two.keys, weight=two.weight, seed=3)
    truth, got, apart = (figures(two, z) for z in (two.true_z, two.z[out.source], two.z))
    assert np.abs(got - truth).max() < 0.03
    assert np.sign(rho) * (truth - apart).min() > 0 if rho > 0 else (truth - apart).max() < 0
    assert np.abs(truth - apart)[0] > 0.3 * abs(rho)
    assert abs(out.shift[0]) < 0.05
    assert abs(out.before[0]) < 0.04


def test_bundles_of_a_neighbourhood_stay_the_same():
    two = Two(ROWS, 0.5, 2, 0.4)
    out = reorder(two.x, two.y, two.z, 0.5, two.keys, seed=1)
    assert np.array_equal(np.sort(out.source), np.arange(ROWS))
    assert np.array_equal(out.neighbourhood[out.source], out.neighbourhood)
    assert out.moved > 0.9
    assert 20 < np.median(out.sizes) < 250


def test_what_predictors_say_of_the_bundle_stays():
    """Regressions of the reordered bundle on X are those of the drawn one: whether X leads the tree or not."""
    two = Two(ROWS, 0.8, 3)
    side = np.column_stack([two.x[:, 2] + 0.5 * np.random.default_rng(0).normal(size=ROWS), two.z])
    out = reorder(two.x, two.y, two.z, 0.8, two.keys, others=side, seed=1, size=50)
    design = np.column_stack([np.ones(ROWS), two.x])
    before, after = (np.linalg.lstsq(design, np.log(z), rcond=None)[0] for z in (two.z, two.z[out.source]))
    np.testing.assert_allclose(after, before, atol=0.04)
    assert out.explained_after == pytest.approx(out.explained_before, abs=0.02)
    kept = [np.corrcoef(two.x[:, 2], side[rows, 0])[0, 1] for rows in (slice(None), out.source)]
    assert kept[1] > 0.85 * kept[0]
    alone = reorder(two.x, two.y, two.z, 0.8, two.keys, seed=1, size=50)
    assert np.corrcoef(two.x[:, 2], side[alone.source, 0])[0, 1] < kept[1] - 0.05


def test_rho_as_drawn_moves_nothing():
    two = Two(2_000, 0.4, 4, 0.4)
    out = reorder(two.x, two.y, two.z, 0.0, two.keys)
    assert np.array_equal(out.source, np.arange(2_000))
    again = reorder(two.x, two.y, two.true_z, 0.4, two.keys, drawn_with=0.4)
    assert np.array_equal(again.source, np.arange(2_000))
    two = Two(ROWS, 0.4, 4)
    more = reorder(two.x, two.y, two.true_z, 0.7, two.keys, drawn_with=0.4)
    assert more.reached[0] == pytest.approx(0.7, abs=0.05)
    assert reorder(two.x, two.y, two.true_z, 0.7, two.keys).reached[0] > 0.78  # what is there counts twice


def test_what_draws_have_already_can_be_measured():
    """The same as to reorder once for what was there before, and again with that."""
    two = Two(2_000, 0.4, 4, 0.4)
    before = reorder(two.x, two.y, two.true_z, 0.0, two.keys).before
    assert before[0] > 0.2
    said = reorder(two.x, two.y, two.true_z, 0.6, two.keys, drawn_with=before)
    measured = reorder(two.x, two.y, two.true_z, 0.6, two.keys, drawn_with=None)
    np.testing.assert_array_equal(measured.source, said.source)
    assert (measured.source != reorder(two.x, two.y, two.true_z, 0.6, two.keys).source).mean() > 0.1


def test_rows_order_does_not_matter_and_seeds_do():
    two = Two(2_000, 0.4, 5, 0.4)
    out = reorder(two.x, two.y, two.z, 0.4, two.keys, weight=two.weight, seed=1)
    p = np.random.default_rng(9).permutation(2_000)
    turned = reorder(two.x[p], two.y[p], two.z[p], 0.4, two.keys[p], weight=two.weight[p], seed=1)
    assert np.array_equal(two.keys[p][turned.source], two.keys[out.source][p])
    assert turned.reached[0] == pytest.approx(out.reached[0], abs=1e-12)
    for other in ({"seed": 2}, {"implicate": 2, "seed": 1}):
        assert (reorder(two.x, two.y, two.z, 0.4, two.keys, **other).source != out.source).mean() > 0.3


def test_two_leads_at_once():
    two = Two(ROWS, 0.5, 6)
    second = np.exp(0.5 * two.x[:, 0] + np.random.default_rng(1).normal(size=ROWS))
    out = reorder(two.x, np.column_stack([two.y, second]), two.z, [0.5, -0.3], two.keys)
    np.testing.assert_allclose(out.reached, [0.5, -0.3], atol=0.05)
    with pytest.raises(FusionError, match=r"can't hold together.*Multiply them by less than 0\.7"):
        reorder(two.x, np.column_stack([two.y, second]), two.z, [0.9, -0.9], two.keys)


def test_zeros_have_random_ranks_below_all_others():
    two = Two(ROWS, 0.0, 7, 0.4)
    random = RowRandom(1, 1, np.arange(ROWS, dtype=np.uint64))
    got = latent(two.z, two.x, random, "z", np.ones(ROWS))
    assert np.abs(np.quantile(got.rank, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 0.03
    zero = two.z == 0
    assert got.score[zero].max() < got.score[~zero].min()
    assert abs(rank_correlation(got.rank, two.x[:, 0], np.ones(ROWS))) < 0.04
    assert abs(rank_correlation(got.rank[zero], two.x[zero, 0], np.ones(zero.sum()))) < 0.6
    assert np.std(got.rank[zero]) > 0.1


def test_neighbourhoods_are_alike_in_what_matters():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4_000, 3))
    target = 2 * x[:, :1] + rng.normal(size=(4_000, 1))
    group = leaves(x, target, 50, RowRandom(0, 1, np.arange(4_000, dtype=np.uint64)))
    within = [np.mean([np.var(x[group == g, j]) for g in np.unique(group)]) for j in (0, 1)]
    assert within[0] < 0.1
    assert within[1] > 0.7


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rho": 1.0}, "correlation of 1 is asked"),
        ({"rho": [0.1, 0.2]}, "2 rank correlations are given for 1 leads"),
        ({"size": 1}, "size is 1"),
        ({"keys": np.zeros(300, dtype=np.uint64)}, "299 rows have the key of another"),
        ({"z": np.r_[np.nan, np.ones(299)]}, "missing or infinite in 1 of 300"),
        ({"z": np.ones(300)}, "nothing of 'bundle' is left"),
        ({"weight": -np.ones(300)}, "negative"),
    ],
)
def test_bad_input(change, says):
    two = Two(300, 0.1, 8)
    given = {"x": two.x, "y": two.y, "z": two.z, "rho": 0.1, "keys": two.keys} | change
    with pytest.raises(FusionError, match=says):
        reorder(**given)


def test_priors():
    draws = [Uniform(-0.2, 0.6).draw(1, i) for i in range(1, 2_001)]
    assert np.mean(draws) == pytest.approx(0.2, abs=0.02)
    assert (min(draws), max(draws)) == pytest.approx((-0.2, 0.6), abs=0.01)
    cut = np.array([Normal(0.3, 0.2, 0.1, 0.9).draw(1, i) for i in range(1, 2_001)])
    assert cut.min() >= 0.1
    assert np.mean(cut) == pytest.approx(0.357, abs=0.015)  # scipy.stats.truncnorm(-1, 3, .3, .2).mean()
    grid = [Grid((0.0, 0.5), (0.25, 0.75)).draw(1, i) for i in range(1, 1_001)]
    assert np.mean(np.equal(grid, 0.5)) == pytest.approx(0.75, abs=0.05)
    assert Point(0.2).draw(5, 3) == 0.2
    assert Uniform(0, 1e-9).draw(1, 1, "a") != Uniform(0, 1e-9).draw(1, 1, "b")
    for made in (Uniform(-0.2, 0.6), Normal(0.3, 0.2), Grid([0.1, 0.2], [0.5, 0.5]), Point(0.1)):
        assert prior(made.plain()) == made
    for bad in ({"prior": "uniforn", "low": 0, "high": 1}, {"prior": "point", "r": 1}, "x", 1.0, {"low": 1}):
        with pytest.raises(FusionError):
            prior(bad)
    with pytest.raises(FusionError, match="nothing between"):
        Normal(-0.9, 0.01, 0.5, 0.9)


@pytest.mark.parametrize(("rho", "zeros"), [(-0.5, 0.0), (0.0, 0.4), (0.3, 0.0), (0.8, 0.4)])
def test_estimate_is_the_truth(rho, zeros):
    two = Two(4_000, rho, 11, zeros)
    got = estimate_rho(two.x, two.y, two.true_z, two.keys, weight=two.weight, repeats=2)
    assert got.rho == pytest.approx(rho, abs=3 * got.se + 0.01)
    effective = two.weight.sum() ** 2 / (two.weight**2).sum()
    assert got.se == pytest.approx((1 - rho**2) / np.sqrt(effective), rel=0.35)


def test_estimate_counts_households_not_rows():
    two = Two(1_000, 0.3, 12)
    four = np.repeat(np.arange(1_000), 4)
    keys = np.arange(4_000, dtype=np.uint64)
    one = estimate_rho(two.x, two.y, two.true_z, two.keys, repeats=2)
    same = estimate_rho(two.x[four], two.y[four], two.true_z[four], keys, household=four.astype(np.uint64), repeats=2)
    assert same.se == pytest.approx(one.se, rel=0.2)
    assert (same.households, same.rows) == (1_000, 4_000)
    assert same.rho == pytest.approx(one.rho, abs=0.05)
    assert same.prior(2.0).sd == pytest.approx(2 * same.se)
    with pytest.raises(FusionError, match="99 households"):
        estimate_rho(two.x[:99], two.y[:99], two.z[:99], two.keys[:99])


def test_estimate_weighs():
    """Two halves of the population with opposite dependence: the heavy half decides."""
    one, two = Two(2_000, 0.7, 13), Two(2_000, -0.7, 13)
    z = np.r_[one.true_z, two.true_z]
    weight = np.r_[np.full(2_000, 9.0), np.full(2_000, 1.0)]
    x, y = np.concatenate([one.x, two.x]), np.r_[one.y, two.y]
    got = estimate_rho(x, y, z, np.arange(4_000, dtype=np.uint64), weight=weight, repeats=1, resamples=2)
    assert got.rho == pytest.approx(0.56, abs=0.08)


def test_intervals_over_a_prior_with_the_truth_cover():
    """Each of 20 populations draws its ρ from the prior; pooled over implicates the figure's interval covers.

    The receiver is the population, so that all that varies is ρ and the draws: Rubin's B alone. With ρ left at 0 the
    interval is short and misses most of the time.
    """
    rng = np.random.default_rng(5)
    hits = {"prior": 0, "independent": 0}
    for trial in range(20):
        rho = float(rng.uniform(0.0, 0.6))
        x = rng.integers(0, 3, 800).astype(float)
        keys = np.arange(800, dtype=np.uint64)
        e, own = rng.normal(size=(2, 800))
        r = 2 * np.sin(np.pi * rho / 6)
        y, weight = x + e, np.ones(800)
        truth = share_of_top(y, np.exp(0.5 * x + r * e + np.sqrt(1 - r * r) * own), weight)
        for name, believed in (("prior", Uniform(0.0, 0.6)), ("independent", Point(0.0))):
            drawn = []
            for i in range(1, 5):
                fresh = normal_score(RowRandom(trial, i, keys).uniform("fresh"))
                z, asked = np.exp(0.5 * x + fresh), believed.draw(trial, i)
                moved = z[reorder(x, y, z, asked, keys, seed=trial, implicate=i).source] if asked else z
                drawn.append(share_of_top(y, moved, weight))
            half = 3.182 * np.std(drawn, ddof=1) * np.sqrt(1 + 1 / 4)  # t with 3 degrees of freedom
            hits[name] += abs(np.mean(drawn) - truth) < half
    assert hits["prior"] >= 17  # 19 are expected; below 17 with probability .016 if coverage is .95
    assert hits["independent"] <= 12


def test_keys_may_be_numbers_or_texts() -> None:
    """Household numbers as files have them, and what they hash to, give the same."""
    two = Two(1_000, 0.4, 6)
    number = np.arange(1_000)
    hashed = hash_columns([number], 1_000)
    by_number, by_hash = (reorder(two.x, two.y, two.z, 0.4, keys).source for keys in (number, hashed))
    np.testing.assert_array_equal(by_number, by_hash)
    texts = np.array([f"h{i}" for i in number])
    got = estimate_rho(
        two.x, two.y, two.true_z, texts, household=[f"u{i // 2}" for i in number], repeats=1, resamples=9
    )
    assert got.households == 500
    with pytest.raises(FusionError, match="keys has 999 rows where 1,000 belong"):
        reorder(two.x, two.y, two.z, 0.4, number[1:])
    with pytest.raises(FusionError, match=r"keys have the shape \(1000, 1\)"):
        reorder(two.x, two.y, two.z, 0.4, number[:, None])
