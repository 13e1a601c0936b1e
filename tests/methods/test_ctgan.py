"""The adversarial network: the distribution drawn, what hidden numbers carry, settings, files."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from neural_laws import draws_from_few, follows_the_hurdle, hidden_numbers_bind, refuses_damage

from microimpute import method
from microimpute.errors import MethodError

SMALL = {"steps": 400, "width": 64}


@pytest.mark.parametrize("settings", [{"steps": 500, "width": 64}, {"steps": 800, "normalisation": "modes"}])
def test_conditional_distribution_is_that_of_the_truth(settings):
    follows_the_hurdle(method("ctgan", settings))


def test_hidden_numbers_carry_what_binds_targets():
    hidden_numbers_bind(method("ctgan", {"steps": 600}))


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
    draws_from_few(n, method("ctgan", SMALL | {"steps": 60}))
