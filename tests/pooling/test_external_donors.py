"""Reiter's (2008) rule for donors who are not among the rows analysed: arithmetic, calibration, use through `impute`."""

import warnings

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, implicates, impute, pool
from microimpute.errors import MethodError, PoolingError
from microimpute.recipe import Recipe


def test_the_arithmetic():
    q = np.array([[1.0, 3.0], [4.0, 6.0], [7.0, 9.0]])
    got = pool(q, np.full((3, 2), 5.0), rule="external donors")
    # nest means 2, 5, 8: B = 9; W = 2 in every nest; T = 5 - 2 + (4/3) 9 - 2/2 = 14
    assert got.estimate[0] == 5
    assert got.t[0] == pytest.approx(14)
    assert got.df[0] == 3  # Reiter's would be 2.6
    assert pool(q, np.full((3, 2), 50.0), rule="external donors").df[0] == pytest.approx(
        1 / ((12 / 59) ** 2 / 2 + (3 / 59) ** 2 / 3)
    )
    assert got.extras["w"][0] == pytest.approx(2)
    assert not got.fallback[0]


def test_a_variance_that_is_not_positive_is_replaced_and_said():
    q = np.array([[0.0, 10.0], [1.0, 9.0], [2.0, 9.0]])  # W far above Ū
    got = pool(q, np.full((3, 2), 0.1), rule="external donors", names=["mean"])
    b = np.var([5.0, 5.0, 5.5], ddof=1)
    assert got.fallback[0]
    assert got.t[0] == pytest.approx(4 / 3 * b)
    assert got.df[0] == 2
    assert any("mean" in note and "Reiter" in note for note in got.notes)


def test_intervals_stay_finite_where_the_difference_is_small():
    q = np.array([[0.0, 3.0], [1.0, 2.0], [2.0, 2.5]])
    w = np.mean([4.5, 0.5, 0.125])
    b = np.var([1.5, 1.5, 2.25], ddof=1)
    ubar = 1.5 * w - 4 / 3 * b + 1e-6  # T is a millionth
    got = pool(q, np.full((3, 2), ubar), rule="external donors")
    assert got.t[0] == pytest.approx(1e-6)
    assert got.df[0] == 3
    assert got.high[0] - got.low[0] < 0.01
    assert not got.fallback[0]


@pytest.mark.parametrize(("rule", "low", "high"), [("external donors", 0.93, 0.97), ("rubin", 0.975, 1.0)])
def test_intervals_cover_where_donors_are_not_analysed(rule, low, high):
    """A mean imputed from donors as many as the receivers: normal residuals, donors' mean from its posterior."""
    rng = np.random.default_rng(5)
    m, draws, n, repetitions = 20, 2, 100, 2000
    covered = []
    for _ in range(repetitions):
        explained = rng.normal(scale=1 / np.sqrt(n))  # receivers' own sampling error of what predictors explain
        learnt = rng.normal(scale=1 / np.sqrt(n)) + rng.normal(scale=1 / np.sqrt(n), size=(m, 1))
        q = explained + learnt + rng.normal(scale=1 / np.sqrt(n), size=(m, draws))
        q = q if rule == "external donors" else q[:, 0]
        got = pool(q, np.full(q.shape, 2 / n), rule=rule)
        covered.append(bool(got.low[0] <= 0 <= got.high[0]))
    assert low < np.mean(covered) < high  # standard error .5 points


@pytest.fixture(scope="module")
def fusion():
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=400), rng.normal(size=300)
    donor = pd.DataFrame({"x": x, "y": x + rng.normal(size=400)})
    return Fusion(Survey(donor), Survey(pd.DataFrame({"x": z})), targets=["y"])


def mean(frame):
    return frame["y"].mean(), frame["y"].var() / len(frame)


def test_nests_share_what_was_learnt(fusion, monkeypatch):
    learnt, fit = [], implicates.fit

    def counted(fusion, method, number, seed):
        learnt.append(number)
        return fit(fusion, method, number, seed)

    monkeypatch.setattr(implicates, "fit", counted)
    nested = impute(fusion, method="hotdeck", m=6, draws=2, seed=1)
    assert (nested.m, nested.draws) == (6, 2)
    assert learnt == [1, 2, 3]
    drawn = nested.numbers("y")
    assert len(np.unique(drawn.round(12), axis=0)) == 6  # draws of one nest differ
    alone = impute(fusion, method="hotdeck", m=3, seed=1).numbers("y")
    assert np.array_equal(drawn[0], alone[0])  # the first draw is what it is without nests


def test_the_rule_goes_with_the_draws(fusion, tmp_path):
    nested = impute(fusion, method="regression", m=10, draws=2)
    got = nested.pool(mean)
    assert (got.rule, got.m, got.draws) == ("external donors", 5, 2)
    assert "5 nests of 2" in got.notes[-1]
    assert nested.pool(mean, rule="nested").rule == "nested"
    assert impute(fusion, method="regression").pool(mean).rule == "rubin"
    with pytest.raises(PoolingError, match=r"nests of 2 draws.*'rubin'"):
        nested.pool(mean, rule="rubin")
    nested.save(tmp_path / "kept")
    assert type(nested).load(tmp_path / "kept").draws == 2


def test_another_program_is_warned(fusion, tmp_path):
    notes = impute(fusion, method="regression", m=4, draws=2).export(tmp_path / "out.csv", "sas")
    assert any("external donors" in note for note in notes)


def test_m_is_a_multiple_of_draws(fusion):
    with pytest.raises(MethodError, match="m is 5, no multiple of draws, 2"):
        impute(fusion, m=5, draws=2)
    with pytest.raises(MethodError, match="draws is 0"):
        impute(fusion, m=5, draws=0)


def test_standard_errors_are_those_that_samples_have():
    """Donors and receivers as many: Rubin's standard error is a third too wide, Reiter's is not."""
    estimates, nested, rubin = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(60):
            rng = np.random.default_rng([7, number])
            x, z = rng.normal(size=300), rng.normal(size=300)
            donor = pd.DataFrame({"x": x, "y": x + rng.normal(size=300)})
            drawn = impute(
                Fusion(Survey(donor), Survey(pd.DataFrame({"x": z})), targets=["y"]),
                method="regression", m=20, draws=2, seed=number, workers=1,
            )  # fmt: skip
            got = drawn.pool(mean, workers=1)
            q, u = (np.array(part) for part in zip(*drawn.apply(mean, workers=1), strict=True))
            estimates.append(got.estimate[0])
            nested.append(got.t[0])
            rubin.append(pool(q[::2], u[::2]).t[0])
    true = np.std(estimates, ddof=1)  # standard error 9%
    assert np.sqrt(np.mean(nested)) / true == pytest.approx(1, abs=0.2)
    assert np.sqrt(np.mean(rubin) / np.mean(nested)) > 1.2


def test_a_recipe_says_how_many_draws(tmp_path):
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) % 7})
    frame.to_csv(tmp_path / "donor.csv", index=False)
    frame[["x"]].to_csv(tmp_path / "receiver.csv", index=False)
    file = tmp_path / "recipe.toml"
    file.write_text(
        '[donor]\npath = "donor.csv"\n[receiver]\npath = "receiver.csv"\n'
        '[fusion]\ntargets = ["y"]\n[impute]\nm = 4\ndraws = 2\n'
    )
    assert Recipe.read(file).impute.draws == 2
