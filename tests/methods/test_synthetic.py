"""synthetic: targets come from synthetic records, which carry the donors' distribution but are none of them."""

import numpy as np
import pytest

from microimpute import Fusion, Survey, impute
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom, generator
from microimpute.methods.forest import Forest
from microimpute.methods.synthetic import SyntheticMatch
from microimpute.testing import example_donor, example_receiver

TARGETS = ["wealth", "debt", "trips", "owner"]
RULES = ["debt requires wealth", "net = wealth - debt"]


def fusion(donor, receiver):
    return Fusion(
        Survey(donor, weight="weight", keys="id", kinds={"trips": "count"}),
        Survey(receiver, weight="weight", keys="id"),
        targets=TARGETS,
        predictors=["income", "age", "region"],
        rules=RULES,
    )


@pytest.fixture(scope="module")
def donor():
    """Donors whose weights go with a target: the rich are oversampled tenfold."""
    frame = example_donor(3000)
    rich = frame["wealth"] > frame["wealth"].quantile(0.8)
    return frame.assign(weight=np.where(rich, 0.1, 1.0))


@pytest.fixture(scope="module")
def drawn(donor):
    receiver = example_receiver(3000).assign(weight=donor["weight"])
    receiver[["income", "age", "region"]] = donor[["income", "age", "region"]]
    return impute(fusion(donor, receiver), method="synthetic", m=5, seed=1)


def bound(values, weight):
    """Four standard errors of a weighted mean: of the resample, the synthetic file and the draws together."""
    mean = np.average(values, weights=weight)
    return 4 * np.sqrt(3 * np.sum(weight**2 * (values - mean) ** 2)) / weight.sum()


@pytest.mark.parametrize(
    ("column", "of"),
    [
        ("wealth", lambda v: v == 0),
        ("wealth", lambda v: v > 30_000),
        ("debt", lambda v: v > 0),
        ("trips", lambda v: v),
        ("owner", lambda v: v),
    ],
)
def test_weighted_margins_come_back(donor, drawn, column, of):
    weight = donor["weight"].to_numpy()
    truth = of(donor[column].to_numpy().astype(float)).astype(float)
    got = np.mean([np.average(of(v), weights=weight) for v in drawn.numbers(column)])
    assert got == pytest.approx(np.average(truth, weights=weight), abs=bound(truth, weight))


def test_targets_follow_predictors_and_each_other_but_less_than_when_fused(donor, drawn):
    age, income = donor["age"].to_numpy(), np.log(donor["income"].to_numpy())

    def linked(made):
        trips = np.mean([np.corrcoef(age, v)[0, 1] for v in made.numbers("trips")])
        return trips, np.mean([np.corrcoef(income, v != 0)[0, 1] for v in made.numbers("wealth")])

    fused = linked(impute(fusion(donor, donor[["id", "income", "age", "region", "weight"]]), method="forest", m=2))
    mine = linked(drawn)
    error = np.sqrt(2 / len(donor))  # of the difference of two correlations, at most
    assert all(0.5 * f < s < f + 2 * error for s, f in zip(mine, fused, strict=True))
    both = np.corrcoef(drawn.numbers("wealth")[0] > 0, drawn.numbers("owner")[0])[0, 1]
    truth = np.corrcoef(donor["wealth"] > 0, donor["owner"])[0, 1]
    assert both == pytest.approx(truth, abs=0.1)


def test_rules_hold_and_records_are_new(donor, drawn):
    assert [rule["broken_draws"] for rule in drawn.manifest["rules"]] == [0, 0]
    donors = {tuple(row) for row in donor[["wealth", "debt", "trips"]].to_numpy()}
    got = np.column_stack([drawn.numbers(c)[0] for c in ("wealth", "debt", "trips")])
    rich = got[got[:, 1] > 0]  # with two amounts, a record that is a donor's is copied, not met by chance
    assert np.mean([tuple(row) in donors for row in rich]) < 0.05


def test_the_model_holds_no_donor(donor):
    training = fusion(donor, example_receiver(10)).training(1)
    made = SyntheticMatch(rows=500).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    whole = {tuple(row) for row in training.Y.values if row[1] > 0}
    kept = [tuple(row) for row in made.state()["bundles"] if row[1] > 0]
    assert made.state()["bundles"].shape == (500, 4)
    assert np.mean([row in whole for row in kept]) < 0.05
    direct = Forest().fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    assert all(row in whole for row in map(tuple, direct.state()["bundles"][:, -4:]) if row[1] > 0)  # the contrast


def test_each_implicate_has_a_file_of_its_own(donor):
    """With trees of one leaf, all that differs between files is which donors were drawn."""
    training = fusion(donor, example_receiver(10)).training(1)
    one, two = (
        SyntheticMatch(trees=1, leaf=10**6)
        .fit(training.X, training.Y, training.weight, generator(0, i, "fit"))
        .state()["bundles"][:, 0]
        for i in (1, 2)
    )
    assert abs(np.corrcoef(one != 0, two != 0)[0, 1]) < 4 / np.sqrt(len(one))


def test_more_records_than_donors(donor):
    few = donor.head(100)
    training = fusion(few, example_receiver(50)).training(1)
    made = SyntheticMatch(rows=2000).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    X = fusion(few, example_receiver(50)).receivers
    assert made.draw(X, RowRandom(0, 1, np.arange(50, dtype=np.uint64))).shape == (50, 4)
    assert made.state()["bundles"].shape == (2000, 4)
    weight = few["weight"].to_numpy()
    share = np.average(few["wealth"] == 0, weights=weight)
    error = 4 * np.sqrt(share * (1 - share) * (1 / 2000 + np.sum(weight**2) / weight.sum() ** 2))
    assert np.mean(made.state()["bundles"][:, 0] == 0) == pytest.approx(share, abs=error)


@pytest.mark.parametrize("settings", [{"trees": 0}, {"leaf": 1.5}, {"rows": 0}, {"rows": "many"}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(MethodError, match=next(iter(settings))):
        SyntheticMatch(**settings)
