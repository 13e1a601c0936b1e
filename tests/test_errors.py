"""Errors travel between processes whole."""

import pickle

import pytest

from microimpute import errors


@pytest.mark.parametrize(
    "error",
    [errors.SurveyError("column 'a' is missing", "Name another."), errors.MissingExtraError("torch", "x", "pip y")],
)
def test_errors_survive_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.problem, again.remedy, str(again)) == (error.problem, error.remedy, str(error))
