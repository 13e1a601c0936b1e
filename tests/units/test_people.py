"""Persons of tax units: as many as are counted, of the ages that are counted."""

import numpy as np
import pandas as pd
import pytest

from microimpute import Survey
from microimpute.errors import SurveyError
from microimpute.units.people import people_of_tax_units

COLUMNS = ("XTOT", "MARS", "age_head", "age_spouse", "nu06", "nu13", "nu18", "n1820", "n21", "elderly_dependents")


def made(*rows):
    return Survey(pd.DataFrame(rows, columns=COLUMNS))


def test_heads_spouses_and_dependants():
    people = people_of_tax_units(
        made(
            (4, 2, 45, 40, 1, 2, 2, 0, 2, 0),  # a couple, 0-5 and 6-12
            (1, 1, 70, 0, 0, 0, 0, 0, 1, 0),
            (4, 4, 50, 0, 0, 0, 1, 1, 2, 1),  # a teenager, one of 18-20, an elderly parent
        )
    )
    assert people.unit.tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 2]
    assert people.role.tolist() == [0, 1, 2, 2, 0, 0, 2, 2, 2]
    assert people.age.tolist() == [45, 40, 3, 9, 70, 50, 15, 19, 75]
    assert "0 units count other persons by age" in people.notes[2]
    assert people.give([1.0, 2.0, 3.0], [9.0, 8.0, 7.0]).tolist() == [1, 9, 0, 0, 2, 3, 0, 0, 0]


def test_counts_that_disagree_are_told():
    people = people_of_tax_units(
        made(
            (2, 4, 53, 0, 0, 0, 0, 0, 1, 0),  # nobody by age but the head
            (1, 1, 30, 0, 1, 1, 1, 0, 1, 0),  # a child by age whom XTOT does not count
            (2, 2, 30, 0, 0, 0, 0, 0, 2, 0),  # a spouse of no age
        )
    )
    assert people.age.tolist() == [53, 9, 30, 30, 30]
    assert people.notes[1].startswith("1 spouses without age")
    assert people.notes[2].startswith("2 units count other persons by age than in all; 1 dependants have no age group")


def test_persons_and_groups_add_up_whatever_the_units():
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(300):
        couple, cells = int(rng.integers(2)), rng.integers(0, 3, 5)
        ages = rng.integers(21, 86, 2)
        elderly = int(rng.integers(0, cells[4] + 1))
        young = np.cumsum(cells[:3])
        rows.append((1 + couple + cells.sum(), 1 + couple, ages[0], couple * ages[1], *young, cells[3],
                     cells[4] + 1 + couple, elderly))  # fmt: skip
    survey = made(*rows)
    people = people_of_tax_units(survey)
    frame = survey.frame.to_native()
    assert np.bincount(people.unit).tolist() == frame["XTOT"].tolist()
    for column, low, high in (("nu06", 0, 6), ("nu13", 0, 13), ("nu18", 0, 18), ("n1820", 18, 21), ("n21", 21, 200)):
        inside = (people.age >= low) & (people.age < high)
        assert np.bincount(people.unit, weights=inside).tolist() == frame[column].tolist(), column


def test_fewer_persons_than_head_and_spouse():
    with pytest.raises(SurveyError, match="1 tax units count fewer persons"):
        people_of_tax_units(made((1, 2, 45, 40, 0, 0, 0, 0, 2, 0)))
