"""Receivers without comparable donors are flagged and counted; donors can be trimmed, receivers never."""

import numpy as np
import pytest

from microimpute.dependence.overlap import FEWEST, NEAREST, overlap, trim
from microimpute.errors import FusionError


def keys(rows, start=0):
    return np.arange(start, start + rows, dtype=np.uint64)


@pytest.fixture(scope="module")
def sides():
    rng = np.random.default_rng(1)
    donor = np.column_stack([rng.normal(size=3_000), rng.integers(0, 2, 3_000), rng.normal(size=3_000)])
    receiver = np.column_stack([rng.normal(size=2_000), rng.integers(0, 2, 2_000), rng.normal(size=2_000)])
    return donor, receiver


def test_same_population_overlaps(sides):
    found = overlap(*sides, keys(3_000), keys(2_000))
    assert found.auc == pytest.approx(0.5, abs=0.03)
    assert found.unlike.mean() == pytest.approx(0.01, abs=0.012)
    assert found.far.mean() == pytest.approx(0.01, abs=0.012)
    assert np.median(found.distance) == pytest.approx(1, abs=0.05)
    assert np.median(found.effective) == NEAREST
    assert found.counts()["all"]["flagged"] == found.flagged.sum()


def test_receivers_beyond_donors_are_flagged_and_counted_by_group(sides):
    donor, receiver = sides[0], sides[1].copy()
    outside = np.arange(2_000) < 200
    receiver[outside, 0] += 6
    weight = np.where(outside, 3.0, 1.0)
    found = overlap(donor, receiver, keys(3_000), keys(2_000), receiver_weight=weight)
    assert found.flagged[outside].mean() > 0.97
    assert found.flagged[~outside].mean() < 0.05
    assert found.unlike[outside].mean() > 0.9
    assert (found.effective[outside] < FEWEST).mean() > 0.8
    counts = found.counts(np.where(outside, "moved", "same"))
    assert counts["moved"]["flagged"] == found.flagged[outside].sum()
    assert counts["moved"]["rows"] == 200
    assert found.counts()["all"]["share"] == pytest.approx(weight[found.flagged].sum() / weight.sum())
    assert len(found.receiver_propensity) == 2_000


def test_predictors_that_do_not_matter_make_nobody_far(sides):
    donor, receiver = sides[0], sides[1].copy()
    receiver[:, 2] += 6
    assert overlap(donor, receiver, keys(3_000), keys(2_000)).far.mean() > 0.9
    assert overlap(donor, receiver, keys(3_000), keys(2_000), importance=[1, 1, 0]).far.mean() < 0.03


def test_heavy_donors_leave_few_effective_ones(sides):
    weight = np.full(3_000, 1e-3)
    weight[::10] = 1.0
    found = overlap(*sides, keys(3_000), keys(2_000), donor_weight=weight)
    assert np.median(found.effective) < 6


def test_weights_count_in_the_propensity():
    """Donors oversample one class tenfold; by weight the two files are alike."""
    rng = np.random.default_rng(2)
    donor = rng.choice(2, 4_000, p=[1 / 11, 10 / 11]).astype(float)[:, None]
    receiver = rng.integers(0, 2, 3_000).astype(float)[:, None]
    weight = np.where(donor[:, 0] == 1, 1.0, 10.0)
    assert overlap(donor, receiver, keys(4_000), keys(3_000)).auc > 0.6
    by_weight = overlap(donor, receiver, keys(4_000), keys(3_000), donor_weight=weight)
    assert by_weight.auc == pytest.approx(0.5, abs=0.03)
    assert np.abs(by_weight.receiver_propensity - 0.5).max() < 0.1


def test_receivers_weights_count_in_the_propensity_and_in_what_is_made_of_it():
    """Half of both files are of class 1, which stands for a tenth of the receivers' population."""
    rng = np.random.default_rng(3)
    donor, receiver = (rng.permutation(np.repeat([0.0, 1.0], rows // 2))[:, None] for rows in (4_000, 3_000))
    weight = np.where(receiver[:, 0] == 1, 1.0, 9.0)
    found = overlap(donor, receiver, keys(4_000), keys(3_000), receiver_weight=weight)
    for one, chance in ((1, 0.5 / (0.5 + 0.1)), (0, 0.5 / (0.5 + 0.9))):
        assert found.donor_propensity[donor[:, 0] == one].mean() == pytest.approx(chance, abs=0.02)
        assert found.receiver_propensity[receiver[:, 0] == one].mean() == pytest.approx(chance, abs=0.02)
    # class 1 above class 0, and half of the pairs within a class (classes differ by fold, hardly)
    assert found.auc == pytest.approx(0.5 * 0.9 + (0.5 * 0.1 + 0.5 * 0.9) / 2, abs=0.03)
    assert trim(found, 0.2).share == pytest.approx(0.5, abs=0.02)  # nine tenths of the receivers are unlike class 1


def test_donors_like_no_receiver_are_trimmed(sides):
    donor = sides[0].copy()
    donor[:300, 0] += 6
    weight = np.r_[np.full(300, 2.0), np.full(2_700, 1.0)]
    found = overlap(donor, sides[1], keys(3_000), keys(2_000), donor_weight=weight)
    trimmed = trim(found)
    assert (~trimmed.keep[:300]).mean() > 0.95
    assert (~trimmed.keep[300:]).mean() < 0.05
    assert trimmed.rows == (~trimmed.keep).sum()
    assert trimmed.share == pytest.approx(weight[~trimmed.keep].sum() / weight.sum())
    apart = overlap(sides[0] + 50, sides[1], keys(3_000), keys(2_000))
    assert apart.auc == pytest.approx(1, abs=0.001)
    with pytest.raises(FusionError, match="hardly overlap"):
        trim(apart)


def test_rows_order_does_not_matter(sides):
    donor, receiver = sides[0].copy(), sides[1]
    donor[::7, 2] = np.nan
    p, q = np.random.default_rng(3).permutation(3_000), np.random.default_rng(4).permutation(2_000)
    found = overlap(donor, receiver, keys(3_000), keys(2_000))
    turned = overlap(donor[p], receiver[q], keys(3_000)[p], keys(2_000)[q])
    np.testing.assert_array_equal(turned.receiver_propensity, found.receiver_propensity[q])
    np.testing.assert_array_equal(turned.flagged, found.flagged[q])
    np.testing.assert_allclose(turned.distance, found.distance[q])


def test_households_stay_in_one_part():
    """Two copies of each row: judged by its twin, a household would look like its own file."""
    rng = np.random.default_rng(5)
    donor, receiver = rng.normal(size=(2, 500, 6))
    twice = np.repeat(np.arange(500), 2)
    found = overlap(donor[twice], receiver[twice], keys(500)[twice], keys(500)[twice])
    apart = overlap(donor[twice], receiver[twice], keys(1_000), keys(1_000))
    assert found.auc == pytest.approx(0.5, abs=0.06)
    assert apart.auc > found.auc + 0.1


def test_bad_input(sides):
    with pytest.raises(FusionError, match="3 predictors and receivers 2"):
        overlap(sides[0], sides[1][:, :2], keys(3_000), keys(2_000))
    with pytest.raises(FusionError, match="only 30 donors"):
        overlap(sides[0][:30], sides[1], keys(30), keys(2_000))
    with pytest.raises(FusionError, match=r"0 to below 0\.5"):
        trim(overlap(*sides, keys(3_000), keys(2_000)), 0.5)
