"""Donor resamples from replicate weights: which donors are drawn, how means vary, what is said and refused."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute
from microimpute.errors import FusionError, PoolingError
from microimpute.variance import bootstrap_replicates, mean


def donors(rows=300, count=40, clusters=None, rule="bootstrap"):
    """A target that is its row's number, and bootstrap replicates."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "y": np.arange(rows, dtype=float), "w": rng.uniform(1, 3, rows)})
    many = bootstrap_replicates(frame["w"], clusters=clusters, count=count).replicates
    names = [f"r{i + 1}" for i in range(count)]
    frame = frame.join(pd.DataFrame(many, columns=names))
    return Survey(frame, weight="w", replicates=names, replicate_rule=rule)


RECEIVER = pd.DataFrame({"x": np.zeros(4000)})


def test_an_implicate_uses_the_donors_of_one_replicate():
    donor = donors()
    got = impute(donor, RECEIVER, targets=["y"], method="shuffle", m=40)
    many = donor.replicated().replicates
    used = []
    for values in got.numbers("y"):
        drawn = np.bincount(values.astype(int), minlength=300)
        fitting = [r for r in range(40) if not drawn[many[:, r] == 0].any()]
        assert len(fitting) == 1
        share = many[:, fitting[0]] / many[:, fitting[0]].sum()
        assert (drawn - 4000 * share) @ ((drawn - 4000 * share) / np.maximum(4000 * share, 1e-9)) < 260  # 190 − 1 cells
        used += fitting
    assert sorted(used) == list(range(40))  # each once
    assert got.manifest["resampling"] == "replicate weights"
    assert any("replicate weights of the donor (40" in note["text"] for note in got.manifest["notes"])


def test_clusters_that_only_replicates_know_count():
    """Means of implicates vary as means of the replicates do, three times as much as without the clusters."""
    clusters = np.repeat(np.arange(30), 10)
    donor = donors(count=60, clusters=clusters)
    got = impute(donor, RECEIVER, targets=["y"], method="shuffle", m=60).numbers("y").mean(axis=1)
    truth = float(donor.replicated().estimate(mean, np.arange(300.0)).covariance)
    draws = 300**2 / 12 / 4000
    assert np.var(got, ddof=1) == pytest.approx(truth + draws, rel=0.15)  # the same 60 resamples, so only draws differ
    plain = Survey(donor.native[["x", "y", "w"]], weight="w")
    alone = impute(plain, RECEIVER, targets=["y"], method="shuffle", m=60)
    assert np.var(alone.numbers("y").mean(axis=1), ddof=1) < 0.5 * truth
    assert alone.manifest["resampling"] == "Bayesian bootstrap"


@pytest.mark.parametrize(
    ("rule", "said"),
    [("successive difference", "is a resample by itself"), ("jackknife", "by itself"), ("", "nobody said")],
)
def test_replicates_that_are_no_resamples_are_not_used_and_it_is_said(rule, said):
    got = impute(donors(rule=rule), RECEIVER[:10], targets=["y"], method="shuffle", m=1)
    assert got.manifest["resampling"] == "Bayesian bootstrap"
    assert any(said in note["text"] for note in got.manifest["notes"])


def test_a_method_that_draws_parameters_gets_donors_as_they_are():
    assert impute(donors(), RECEIVER[:10], targets=["y"], method="srmi", m=1).manifest["resampling"] == "parameters"


def test_bad_replicates_are_refused():
    frame = donors().native
    for change, said in (
        ({"r7": 0.0}, "'r7' is zero throughout"),
        ({"r7": -frame["r7"]}, "'r7' has negative numbers"),
    ):
        with pytest.raises(FusionError, match=said):
            Fusion(
                Survey(frame.assign(**change), weight="w", replicates=["r6", "r7"], replicate_rule="bootstrap"),
                RECEIVER,
                targets=["y"],
                predictors=["x"],
            )
    with pytest.raises(PoolingError, match="'scf' has 999"):
        Fusion(
            Survey(frame, weight="w", replicates=["r6", "r7"], replicate_rule="scf"),
            RECEIVER,
            targets=["y"],
            predictors=["x"],
        )
