"""Donors who keep a condition: the nearest ones by weight, farther ones only where the nearest don't keep it."""

import numpy as np
import pytest

from microimpute.kinds import Kind, Table, Variable
from microimpute.matching.eligible import Eligible

DONORS = 700


def amount(name, values):
    return Variable(name, Kind.CONTINUOUS), values


def table(**columns):
    made = [amount(name, values) for name, values in columns.items()]
    return Table(tuple(v for v, _ in made), np.column_stack([c for _, c in made]).astype(float))


@pytest.fixture(scope="module")
def people():
    """Donors with two predictors of which the first says nearly everything, and 400 receivers."""
    rng = np.random.default_rng(3)
    x, other = rng.normal(size=(2, DONORS))
    donors = table(x=x, other=other)
    bundles = table(y=x + 0.1 * rng.normal(size=DONORS), z=rng.gamma(2, 1, DONORS))
    weight = rng.gamma(1, 1, DONORS)
    weight[::50] = 0.0
    receivers = table(x=rng.normal(size=400), other=rng.normal(size=400))
    return donors, bundles, weight, receivers, rng.uniform(size=400)


def ready(people):
    return Eligible(*people, np.random.default_rng(0))


def bound(made, cap):
    """The condition that z is below a cap of each receiver's own."""
    return lambda row, donor: made.bundles[donor, 1] <= cap[row]


def test_agrees_with_all_distances_computed_and_sorted(people):
    """The reference looks at every donor, sorts, restricts and draws, receiver by receiver."""
    _, bundles, weight, receivers, within = people
    made = ready(people)
    cap = np.random.default_rng(1).choice([0.02, 0.1, 0.5, 3.0, -1.0], 400)
    donor, step = made.draw(np.arange(400), bound(made, cap))
    able = np.flatnonzero(weight > 0)
    there = made.space.of(people[0].values)
    for i, here in enumerate(made.space.of(receivers.values)):
        near = able[np.argsort(np.abs(there[able] - here).sum(axis=1))]
        for count in made.steps:
            looked = near[:count] if count < len(able) else made.pool.order  # all stand in an order of their own
            kept = looked[bundles.values[looked, 1] <= cap[i]]
            if len(kept) >= 5 or count == len(able):
                break
        assert made.steps[step[i]] == count
        share = np.cumsum(weight[kept])
        assert donor[i] == (kept[np.searchsorted(share, within[i] * share[-1])] if len(kept) else -1)
    assert set(step) == {0, 1, 2, 3}  # 14, 56, 224 and all: each has been gone to
    assert (donor[cap < 0] == -1).all()


def test_a_row_gets_the_same_donor_whoever_else_is_drawn_for(people):
    made = ready(people)
    cap = np.full(400, 0.3)
    together, _ = made.draw(np.arange(400), bound(made, cap))
    for rows in (np.array([17]), np.arange(399, 200, -3)):
        assert np.array_equal(made.draw(rows, bound(made, cap))[0], together[rows])


def test_donors_at_one_place_are_drawn_in_proportion_to_weight():
    """All predictors alike: every eligible donor is as near as the last neighbour, and weight alone decides."""
    rng = np.random.default_rng(5)
    weight = rng.gamma(1, 1, 200)
    rows = 20_000
    donors, receivers = (table(x=np.repeat(1.0, n)) for n in (200, rows))
    made = Eligible(donors, table(y=rng.normal(size=200)), weight, receivers, rng.uniform(size=rows), rng)
    odd = np.arange(200) % 2 == 1
    donor, step = made.draw(np.arange(rows), lambda row, d: odd[d])
    assert (step == 0).all()
    expected = np.where(odd, weight, 0.0) / weight[odd].sum()
    found = np.bincount(donor, minlength=200) / rows
    assert (found[~odd] == 0).all()
    error = np.sqrt(expected[odd] * (1 - expected[odd]) / rows)
    assert (np.abs(found[odd] - expected[odd]) < 4.5 * error).all()  # 100 donors: by chance 7 times in 10,000


def test_too_few_donors_to_be_chosen_among_are_all_looked_at():
    donors, bundles = table(x=np.arange(3.0)), table(y=np.arange(3.0))
    made = Eligible(donors, bundles, np.ones(3), table(x=np.zeros(2)), np.array([0.1, 0.9]), np.random.default_rng(0))
    assert made.steps == (3,)
    donor, _ = made.draw(np.arange(2), lambda row, d: d >= row + 1)
    assert donor.tolist() == [1, 2]
    assert made.draw(np.arange(0), lambda row, d: d >= 0)[0].shape == (0,)


def test_donors_as_near_as_the_last_neighbour_are_drawn_as_well():
    """Two donors at each of 200 places, eight asked for: the eighth stands two places off, and two more on the other side."""
    rng, rows = np.random.default_rng(6), 20_000
    place = np.repeat(np.arange(200.0), 2)
    within = rng.uniform(size=rows)
    made = Eligible(table(x=place), table(y=place), np.ones(400), table(x=np.full(rows, 100.0)), within, rng)
    assert made.steps[0] == 8
    donor, _ = made.draw(np.arange(rows), lambda row, d: d >= 0)
    found = np.bincount(place[donor].astype(int), minlength=200)[98:103] / rows
    assert found.sum() == 1
    assert (np.abs(found - 0.2) < 4 * np.sqrt(0.16 / rows)).all()
