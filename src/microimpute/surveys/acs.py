"""The American Community Survey, as excerpts of 20 areas (NIST Diverse Communities, national)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.readers.shipped import read_described
from microimpute.survey import Check, Survey, replace_survey
from microimpute.surveys.base import Connector

__all__ = ["ACS"]

#: Year → persons in the excerpt; of 2018 no published number was found.
PERSONS = {2019: 27_253}
_NIST = "NIST, SDNist evaluation reports on national2019 (Collaborative Research Cycle, March 2023)"
_NEEDED = ("PUMA", "AGEP", "SEX", "MSP", "HISP", "RAC1P", "NOC", "NPF", "HOUSING_TYPE", "OWN_RENT", "EDU", "PINCP")
#: Made here ← the survey's question (1 yes, 2 no; N for who is not asked: under five years).
DIFFICULTIES = {
    "difficulty_hearing": ("DEAR", "deaf or has serious difficulty hearing"),
    "difficulty_seeing": ("DEYE", "blind or has serious difficulty seeing"),
    "difficulty_remembering": ("DREM", "has serious difficulty concentrating, remembering or deciding"),
    "difficulty_walking": ("DPHY", "has serious difficulty walking or climbing stairs"),
}
_YOUNG = 5


class ACS(Connector):
    """Reads ``acs_national2018.csv`` or ``acs_national2019.csv``: persons of 20 areas, without a household number.

    The Census Bureau's own public-use files are not read; `table` with a description of one's own does that.
    """

    name: ClassVar[str] = "acs"
    title: ClassVar[str] = "American Community Survey, excerpt for 20 areas (NIST Diverse Communities, national)"
    publisher: ClassVar[str] = "https://github.com/usnistgov/SDNist"
    variables: ClassVar[Mapping[str, str]] = {
        **{"PUMA": "area", "AGEP": "age", "SEX": "1 male, 2 female", "MSP": "marital status", "EDU": "education"},
        **{"HISP": "Hispanic origin", "RAC1P": "race", "NOC": "own children in the household"},
        **{"NPF": "persons in the family", "OWN_RENT": "1 owner, 2 renter", "PINCP": "income of a person, dollars"},
        "DENSITY": "persons per square mile of the area",
        **{name: f"1 if a person {text}; nobody under five is asked: 0" for name, (_, text) in DIFFICULTIES.items()},
    }
    options: ClassVar[Mapping[str, str]] = {
        "year": "survey year; default: found in the file's name",
        "group_quarters": "whether people in group quarters are kept; default false",
    }
    types: ClassVar[Mapping[str, tuple[type, ...]]] = {"year": (int, np.integer)}

    def read(self, path: Path, **options: Any) -> Survey:
        """Read an excerpt.

        Parameters
        ----------
        path
            ``acs_national2019.csv``, say.
        **options
            See `options`.

        Raises
        ------
        SurveyError
            If the file is missing, cut off, a web page, another table, or its year is not known.
        """
        self.check(options)
        if options.get("group_quarters") not in (None, True, False):
            raise SurveyError(f"option 'group_quarters' is {options['group_quarters']!r}", "Say true or false.")
        path = Path(path)
        codes = [code for code, _ in DIFFICULTIES.values()]
        what = "an ACS excerpt of NIST's Diverse Communities"
        survey = read_described(path, "acs_nist", (*_NEEDED, *codes, "PWGTP"), what)
        year = _year(path, options.get("year"))
        notes = [
            "persons of 20 areas (PUMA): weights add up to the people of those areas, not to the nation",
            "no household number: persons of one household can't be put together; donors are resampled by person",
        ]
        checks = [Check("persons in the excerpt", PERSONS[year], len(survey), 0.0, _NIST)] if year in PERSONS else []
        survey = _difficulties(survey, notes)
        if not options.get("group_quarters"):
            housed = survey.numbers("HOUSING_TYPE") == 1
            notes.append(f"{int((~housed).sum()):,} persons in group quarters left out")
            survey = replace_survey(survey, frame=survey.frame.filter(housed.tolist()))
        return replace_survey(
            survey,
            keys=("person",),
            household=("person",),
            dollars=year,
            source=f"{self.title}, {year} ({path.name})",
            checks=checks,
            notes=(*survey.notes, *notes),
        )


def _year(path: Path, said: int | None) -> int:
    found = re.search(r"(20\d\d)", path.name)
    if said is None:
        if found is None:
            raise SurveyError(f"the year of {path.name} is not in its name", "Say year=2019, for example.")
        return int(found[1])
    if found and int(found[1]) != said:
        raise SurveyError(f"{path.name} is of {found[1]} by its name, not of {said}", "Give the other file, or year.")
    return int(said)


def _difficulties(survey: Survey, notes: list[str]) -> Survey:
    age = survey.numbers("AGEP")
    made = {"person": np.arange(1, len(survey) + 1)}
    for name, (code, _) in DIFFICULTIES.items():
        answer = survey.numbers(code)
        lost = int((np.isnan(answer) & (age >= _YOUNG)).sum())
        if lost:
            raise SurveyError(
                f"column {code} holds {lost:,} gaps of persons of five years or more", "Get the file again."
            )
        made[name] = (answer == 1).astype(np.int64)
    notes.append(f"{int((age < _YOUNG).sum()):,} children under five are not asked of two difficulties: taken for none")
    kinds = {**survey.kinds, **dict.fromkeys(DIFFICULTIES, Kind.BINARY)}
    labels = {**survey.labels, **{name: ACS.variables[name] for name in DIFFICULTIES}}
    return replace_survey(survey.with_columns(made), kinds=kinds, labels=labels)
