"""Pooling: input that can't be pooled is named, with a way out."""

from types import SimpleNamespace

import numpy as np
import pytest

from microimpute.errors import PoolingError
from microimpute.pooling import (
    RULES,
    d1,
    d2,
    d2_wald,
    d3,
    d3_models,
    how_many_imputations,
    monte_carlo_error,
    pool,
    pooled_r2,
)

Q, U = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
C = np.tile(np.eye(2), (3, 1, 1))


def says(match):
    return pytest.raises(PoolingError, match=match)


@pytest.mark.parametrize("rule", ["rubin", "scf", "partially synthetic", "fully synthetic", "synthpop incomplete"])
def test_one_implicate_has_no_variance_between(rule):
    with says("one implicate, so no variance between implicates"):
        pool(Q[:1], U[:1], rule=rule)


@pytest.mark.parametrize("rule", ["synthpop observed", "synthpop simple", "synthpop proper"])
def test_rules_without_between_pool_one_synthetic_data_set_and_say_so(rule):
    got = pool(Q[:1], U[:1], rule=rule)
    assert np.isfinite(got.std_error).all()
    assert np.isnan(got.b).all()
    assert "no variance between" in repr(got)


def test_one_nest_or_one_draw_per_nest():
    with says("one nest"):
        pool(np.ones((1, 3, 2)), np.ones((1, 3, 2)), rule="nested")
    with says("one draw per nest"):
        pool(np.ones((3, 1, 2)), np.ones((3, 1, 2)), rule="nested")


def test_missing_numbers_are_named():
    hole = Q.copy()
    hole[1, 1] = np.nan
    with says("estimate of 'income' in implicate 2 is nan"):
        pool(hole, U, names=["age", "income"])
    with says("variance of 'age' in implicate 1 is inf"):
        pool(Q, np.full_like(U, np.inf), names=["age", "income"])
    with says("variance of 'q1' in nest 1, draw 2 is nan"):
        pool(np.ones((2, 2, 1)), np.array([1, np.nan, 1, 1]).reshape(2, 2, 1), rule="nested")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: pool(Q), "no variances"),
        (lambda: pool(Q, U[:2]), r"variances have shape \(2, 2\)"),
        (lambda: pool(np.ones((2, 2, 2, 2)), U), "estimates have shape"),
        (lambda: pool([], []), "estimates have shape"),
        (lambda: pool([[1.0], [1.0, 2.0]], U), "not one array of numbers"),
        (lambda: pool(Q, -U), "variance of 'q1' in implicate 1 is negative"),
        (lambda: pool(Q, C + np.triu(np.ones((2, 2)), 1)), "not symmetric"),
        (lambda: pool(Q, U, names=["a", "a"]), "1 different names"),
        (lambda: pool(Q, U, dfcom=0), "not above 0"),
        (lambda: pool(Q, U, dfcom=[1, 2, 3]), "dfcom has shape"),
        (lambda: pool(Q, U, dfcom=np.nan), "not above 0"),
        (lambda: pool(Q, U, rule="rubins"), "Did you mean 'rubin'"),
        (lambda: pool(Q, U, level=95), "level is 95"),
        (lambda: pool(Q, U, size_ratio=0), "size_ratio is 0"),
        (lambda: pool(Q, U).covariance(), "only variances were pooled"),
        (lambda: d1(pool(Q, U)), "only variances were pooled"),
        (lambda: d1(pool(Q, C), ["q3"]), "no pooled parameter 'q3'"),
        (lambda: d1(pool(Q, C), [[1.0]]), "contrasts have shape"),
        (lambda: d1(pool(Q, C, rule="fully synthetic")), "no D1 test under the rule"),
        (lambda: d1(pool(Q, C), dfcom=20, small_sample="no"), "small_sample"),
        (lambda: d2([1.0], 1), "one implicate"),
        (lambda: d2([1.0, -1.0], 1), "statistic of implicate 2 is negative"),
        (lambda: d3([1.0, np.nan], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], 1), "full of implicate 2 is missing"),
        (lambda: monte_carlo_error(pool(Q[:2], U[:2])), "too few"),
        (lambda: pooled_r2([0.1, 1.0], 50), "not in"),
        (lambda: pooled_r2([0.1, 0.2]), "number of rows"),
        (lambda: how_many_imputations(1.5), "do not make a plan"),
        (lambda: how_many_imputations(pool(Q, U, rule="partially synthetic")), "do not make a plan"),
    ],
)
def test_each_says_what_and_what_to_do(make, match):
    with says(match) as caught:
        make()
    assert caught.value.remedy.endswith((".", "?"))


def test_a_singular_covariance_names_the_contrast():
    flat = np.tile(np.ones((2, 2)), (3, 1, 1))
    with says("the contrast 'b' follows from a: the mean covariance within implicates is singular"):
        d1(pool(Q, flat, names=["a", "b"]))
    with says("the contrast 'a - b' has no variance"):
        d1(pool(Q, flat, names=["a", "b"]), [[1, -1]])
    with says("the contrast 'b' follows from a: the covariance of implicate 2 is singular"):
        d2_wald(pool(Q, np.stack([np.eye(2), np.ones((2, 2)), np.eye(2)]), names=["a", "b"]))


def result(**values):
    names = SimpleNamespace(exog_names=list(values))
    return SimpleNamespace(params=np.array(list(values.values())), bse=np.ones(len(values)), model=names)


def test_differing_coefficient_sets():
    results = [result(a=1.0, b=2.0), result(b=2.0, a=1.5), result(a=2.0)]
    got = pool(results)
    np.testing.assert_allclose(got.estimate, [1.5])
    assert dict(got.absent) == {"b": (3,)}
    with says(r"'b' is absent from 1 of 3 implicates \(the first: 3\)"):
        pool(results, align="strict")
    with says("align is"):
        pool(results, align="no")
    with says("absent from 1 of 2"):
        pool([result(a=1.0), result(b=1.0)])
    np.testing.assert_allclose(pool(results[:2]).estimate, [1.25, 2.0])  # matched by name, not by place


def test_results_that_are_not_complete():
    with says("Leave U out"):
        pool([result(a=1.0)] * 2, U)
    with says("neither cov_params"):
        pool([SimpleNamespace(params=[1.0])] * 2)
    with says("not smaller"):
        d3_models([result(a=1.0)] * 2, [result(a=1.0)] * 2)
    with says("different parameters"):
        d3_models([result(a=1.0), result(a=1.0, b=1.0)], [result(a=1.0)] * 2)
    with says("different numbers of draws"):
        pool([[result(a=1.0)], [result(a=1.0)] * 2], rule="nested")


def test_a_joint_test_of_what_is_absent_says_where():
    results = [
        SimpleNamespace(params=np.ones(2) * i, cov_params=lambda: np.eye(2), model=SimpleNamespace(exog_names=n))
        for i, n in enumerate((["a", "b"], ["a", "b"], ["a", "c"]))
    ]
    with says(r"absent from implicates \(3,\)"):
        d1(pool(results), ["b"])


def test_every_rule_says_where_it_is_from():
    assert all(rule.formula and rule.source for rule in RULES.values())
