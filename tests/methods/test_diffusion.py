"""Diffusion: the distribution drawn given predictors, what binds targets, few donors, settings, files."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from neural_laws import binds_targets, draws_from_few, follows_the_hurdle, refuses_damage

from microimpute import method
from microimpute.errors import MethodError

SMALL = {"steps": 1000, "width": 128}


def test_conditional_distribution_is_that_of_the_truth():
    follows_the_hurdle(method("diffusion", SMALL))


def test_targets_keep_what_binds_them():
    binds_targets(method("diffusion", SMALL), slack=0.08)


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"width": 1.5},
        {"depth": True},
        {"solver_steps": 0},
        {"dropout": -0.1},
        {"class_dropout": 1},
        {"lack": "some"},
        {"device": ""},
    ],
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("diffusion", bad)


def test_learning_is_told_and_damaged_files_are_refused():
    refuses_damage("diffusion", {"steps": 50, "width": 8})


@pytest.mark.parametrize("n", [2, 12, 45])
def test_fewer_than_fifty_donors(n):
    draws_from_few(n, method("diffusion", SMALL | {"steps": 60}))
