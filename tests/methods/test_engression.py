"""Engression: the distribution drawn given predictors, few donors, settings, files."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from neural_laws import binds_targets, draws_from_few, follows_the_hurdle, refuses_damage

from microimpute import method
from microimpute.errors import MethodError

SMALL = {"steps": 400, "width": 64}


def test_conditional_distribution_is_that_of_the_truth():
    follows_the_hurdle(method("engression", SMALL))


def test_targets_keep_what_binds_them():
    binds_targets(method("engression", {"steps": 1500}), slack=0.08)  # fails with block=4


@pytest.mark.parametrize(
    "bad",
    [{"steps": 0}, {"width": 1.5}, {"noise": True}, {"samples": 1}, {"block": 0}, {"dropout": 1.0}, {"device": 3}],
)
def test_bad_settings(bad):
    with pytest.raises(MethodError, match=next(iter(bad))):
        method("engression", bad)


def test_learning_is_told_and_damaged_files_are_refused():
    refuses_damage("engression", {"steps": 50, "width": 8})


@pytest.mark.parametrize("n", [2, 12, 45])
def test_fewer_than_fifty_donors(n):
    draws_from_few(n, method("engression", SMALL | {"steps": 60}))
