"""Predictors as nets see them: unknown and missing ones are told, and can be taken away while learning."""

from dataclasses import replace

import numpy as np
import pytest

from microimpute import Fusion
from microimpute.errors import MethodError
from microimpute.neural.inputs import Encoder
from microimpute.testing import example_donor, example_receiver


def fusion(missing=5):
    donor, receiver = example_donor(300), example_receiver(40)
    receiver["income"] = receiver["income"].where(receiver.index >= missing)
    receiver.loc[receiver.index[-3:], "region"] = "elsewhere"
    return Fusion(donor, receiver, targets=["wealth"], predictors=["income", "age", "region"])


def test_what_receivers_lack_is_told():
    made = fusion()
    training = made.training(1)
    assert training.X.names == ("income", "income missing", "age", "region")
    encoder = Encoder.fit(training.X, training.weight, marked=True)
    assert not encoder.lacking(training.X).any()
    lacking = encoder.lacking(made.receivers)
    expected = np.zeros((40, 4), dtype=bool)
    expected[:5, :2] = expected[-3:, 3] = True  # no donor's income is missing, so the flag's level is new as well
    assert np.array_equal(lacking, expected)
    columns = encoder.columns(made.receivers)
    assert columns.shape == (40, encoder.width) == (40, len(encoder.owner))
    assert np.array_equal(columns[:, -4:], expected)
    for predictor in range(4):
        own = encoder.owner[:-4] == predictor
        assert (columns[:, :-4][np.ix_(expected[:, predictor], own)] == 0).all()


def test_without_marks_there_are_only_the_columns():
    training = fusion().training(1)
    plain, marked = (Encoder.fit(training.X, training.weight, marked=m) for m in (False, True))
    assert np.array_equal(plain.columns(training.X), marked.columns(training.X)[:, :-4])
    assert (marked.columns(training.X)[:, -4:] == 0).all()


def test_state_comes_back_and_damage_is_refused():
    made = fusion()
    training = made.training(1)
    encoder = Encoder.fit(training.X, training.weight, marked=True)
    again = Encoder.from_state(encoder.state(), training.X.variables)
    assert np.array_equal(again.columns(made.receivers), encoder.columns(made.receivers))
    for damage in ({"flags": np.array([9, 0, 0, 0])}, {"x3.known": np.ones(2)}, {"x0.levels": np.array([4])}):
        with pytest.raises(MethodError):
            Encoder.from_state(encoder.state() | damage, training.X.variables)


def test_predictors_are_taken_away_at_random():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from microimpute.neural.rows import Lack

    training = fusion().training(1)
    encoder = Encoder.fit(training.X, training.weight, marked=True)
    x = torch.from_numpy(encoder.columns(replace(training.X, values=np.tile(training.X.values, (20, 1)))))
    seen = Lack(0.4, encoder.owner)(x, torch.Generator().manual_seed(0))
    gone = seen[:, -4:] == 1
    assert set(seen[:, -4:].unique().tolist()) == {0.0, 1.0}
    lacks = gone.any(dim=1).float().mean()  # .4 of rows, of which one in five takes none: the mean of (1 - u)^4
    assert abs(float(lacks) - 0.4 * 0.8) < 0.02
    assert gone.float().mean(dim=0).sub(0.2).abs().max() < 0.02
    owner = torch.from_numpy(encoder.owner[:-4])
    assert torch.equal(seen[:, :-4], x[:, :-4] * ~gone[:, owner])
