"""The adversarial network: the distribution drawn, what hidden numbers carry, settings, files."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from neural_laws import draws_from_few, follows_the_hurdle, refuses_damage

from microimpute import impute, method
from microimpute.errors import MethodError

SMALL = {"steps": 400, "width": 64}


@pytest.mark.parametrize("normalisation", ["scores", "modes"])
def test_conditional_distribution_is_that_of_the_truth(normalisation):
    follows_the_hurdle(method("ctgan", {"steps": 800, "normalisation": normalisation}))


def bound(n, seed):
    """Two zeros that come together, and two amounts that do, whatever the predictor says."""
    rng = np.random.default_rng(seed)
    both, size = rng.random(n) < 0.5, rng.normal(size=n)
    frame = {"x": rng.normal(size=n)}
    for name in ("a", "b"):
        own = np.where(rng.random(n) < 0.9, both, ~both)
        frame[name] = np.where(own, np.exp(7 + size + 0.3 * rng.normal(size=n)), 0.0)
    return pd.DataFrame(frame)


def test_hidden_numbers_carry_what_binds_targets():
    donor = bound(3000, 1)
    chosen = method("ctgan", {"steps": 600})
    done = impute(donor, bound(4000, 2)[["x"]], targets=["a", "b"], method=chosen, m=1)
    a, b = done.numbers("a"), done.numbers("b")
    assert np.mean((a > 0) == (b > 0)) > 0.68  # .82; .5 if they were independent
    some = (a > 0) & (b > 0)
    assert np.corrcoef(np.log(a[some]), np.log(b[some]))[0, 1] > 0.65  # .92; 0 if they were independent


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"width": 1.5},
        {"depth": True},
        {"hidden": 0},
        {"pack": 0},
        {"critic_steps": 0},
        {"penalty": 0},
        {"dropout": 1.0},
        {"normalisation": "log"},
        {"device": 3},
    ],
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("ctgan", bad)


def test_learning_is_told_and_damaged_files_are_refused():
    refuses_damage("ctgan", {"steps": 50, "width": 8})


@pytest.mark.parametrize("n", [2, 12, 45])
def test_fewer_than_fifty_donors(n):
    draws_from_few(n, method("ctgan", SMALL))
