"""What all files of the Survey of Consumer Finances share: its waves, and five implicates of each household."""

from __future__ import annotations

import re
from pathlib import Path

from microimpute.errors import SurveyError

__all__ = ["IMPLICATES", "WAVES", "wave"]

WAVES = tuple(range(1989, 2023, 3))
IMPLICATES = 5


def wave(path: Path, year: int | None) -> int:
    """Return the wave that a file is of: the year given, or the one in its name (SCFP2019, scf2019s, p19i6).

    Raises
    ------
    SurveyError
        If neither says it, both do and differ, or there was no survey in that year.
    """
    named = [int(y) for y in re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", path.name)]
    if short := re.match(r"p(\d\d)i\d", path.name.lower()):
        named.append(int(short[1]) + (1900 if int(short[1]) > 80 else 2000))
    if year is None and not named:
        raise SurveyError(f"{path.name} does not say which year it is of", "Give year=, for example year=2019.")
    found = named[0] if year is None else int(year)
    if named and found != named[0]:
        raise SurveyError(f"{path.name} is of {named[0]}, not of {found}", "Give the other year, or the other file.")
    if found not in WAVES:
        raise SurveyError(
            f"there is no Survey of Consumer Finances of {found}", f"Waves are {', '.join(map(str, WAVES))}."
        )
    return found
