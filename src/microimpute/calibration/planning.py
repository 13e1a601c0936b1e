"""What can be checked of a calibration before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from microimpute.calibration.adjusting import check_adjustable
from microimpute.calibration.aggregates import Aggregate, Line, Side, no_total, read_all
from microimpute.calibration.distances import Distance
from microimpute.calibration.distances import distance as distance_named
from microimpute.calibration.reweighting import new_weight, reweight
from microimpute.errors import CalibrationError, closest
from microimpute.fusion import Fusion
from microimpute.kinds import Variable
from microimpute.rules import Identity
from microimpute.survey import Survey, replace_survey

__all__ = ["HOW", "Plan", "read_how"]

#: What can be moved.
HOW = ("weights", "values")


def read_how(how: str, distance: str, bounds: tuple[float, float] | None, name: str | None) -> Distance:
    """Check what is asked for, whatever the data.

    Raises
    ------
    CalibrationError
        Names what is not known, or does not go together.
    """
    if how not in HOW:
        raise CalibrationError(f"how is {how!r}", "Choose 'weights' or 'values'.")
    if how == "values" and name is not None:
        raise CalibrationError("a name was given for a weight, but values are adjusted", "Leave name out.")
    return distance_named(distance, bounds)


class Plan:
    """A receiver and what it is going to be given.

    Parameters
    ----------
    receiver
        As it is before the draw.
    fusions
        What it will be given, one per donor.

    Attributes
    ----------
    receiver
        With the weights that calibrations checked so far will give it; where those wait for the draws, a stand-in.
    """

    def __init__(self, receiver: Survey, fusions: Sequence[Fusion]) -> None:
        self.receiver = receiver
        self._drawn: dict[str, Variable | None] = {}
        self._identities: list[Identity] = []
        for fusion in fusions:
            self._drawn |= {t: fusion.variables[t] for t in fusion.targets} | dict.fromkeys(fusion.derived)
            self._identities += fusion.identities

    def levels(self, column: str) -> Callable[[str], Any]:
        """Return what makes a value of a column of its text, as a file says it: a number, a boolean, or itself."""
        if column in self._drawn:
            variable = self._drawn[column]
            known = variable.levels if variable is not None and variable.kind.is_class else (0.0,)
        elif column in self.receiver.columns:
            known = tuple(self.receiver.frame[column].drop_nulls().head(1).to_list())
        else:
            return str  # checks say that it is not there
        return _reader(column, known)

    def check(
        self,
        targets: Mapping[str, float] | Iterable[Aggregate],
        *,
        how: str = "weights",
        distance: str = "raking",
        bounds: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        """Check a calibration; the next one is checked as if this one was done.

        Parameters
        ----------
        targets, how, distance, bounds, name
            As `microimpute.calibration.calibrate` takes.

        Raises
        ------
        CalibrationError
            If it can't be done whatever is drawn. Totals that speak of imputed columns may still turn out to be out
            of reach.
        """
        chosen = read_how(how, distance, bounds, name)
        lines, side = read_all(targets), Side.planned(self.receiver, self._drawn)
        for of in lines:
            self._check_columns(side, of)
        if how == "weights":
            self.receiver = self._reweighted(side, lines, chosen, name)
            return
        kinds = {c: str(v.kind.value) for c, v in self._drawn.items() if v is not None}
        check_adjustable(side, lines, self._identities, kinds)

    def _check_columns(self, side: Side, of: Sequence[Line]) -> None:
        """Check that an aggregate's columns and groups are there."""
        aggregate = of[0].aggregate
        for role, columns in (("target", [aggregate.of] if aggregate.of else []), ("group", aggregate.groups)):
            for column in columns:
                if column not in side.columns:
                    raise CalibrationError(f"{role} column {column!r} is not there", closest(column, side.columns))
        if aggregate.of in self._drawn:
            variable = self._drawn[str(aggregate.of)]
            if variable is not None and not all(isinstance(v, bool | int | float) for v in variable.levels):
                raise no_total(str(aggregate.of), "text")
        elif aggregate.of is not None:
            side.numbers(aggregate.of, 0)
        if not set(aggregate.groups) & set(self._drawn):
            side.codes(of, 0)
            return
        for at, column in enumerate(aggregate.groups):
            self._check_groups(column, of, at)

    def _check_groups(self, column: str, of: Sequence[Line], at: int) -> None:
        variable = self._drawn.get(column)
        if variable is None or not variable.kind.is_class:
            return
        for line in of:
            if line.group[at] not in variable.levels:
                known = ", ".join(map(str, variable.levels[:20]))
                raise CalibrationError(f"{line}: no donor is in that group", f"{column} has: {known}.")

    def _reweighted(self, side: Side, lines: Sequence[Sequence[Line]], chosen: Distance, name: str | None) -> Survey:
        """Return the receiver with its next weight, calibrated to those totals that speak of observed columns alone."""
        column = new_weight(side, name)
        observed = [of for of in lines if not {of[0].aggregate.of, *of[0].aggregate.groups} & set(self._drawn)]
        bare = replace_survey(self.receiver, replicates=[])
        if observed:
            return reweight(Side.planned(bare, self._drawn), observed, chosen, column).survey
        return replace_survey(bare.with_columns({column: bare.weights()}), weight=column)


def _reader(column: str, known: Sequence[Any]) -> Callable[[str], Any]:
    read: Callable[[str], Any]
    if known and all(isinstance(v, bool) for v in known):
        read, what = {"true": True, "false": False}.__getitem__, "true or false"
    elif known and all(isinstance(v, int | float) for v in known):
        read, what = _number, "a number"
    else:
        return str

    def value(text: str) -> Any:
        try:
            return read(text)
        except (KeyError, ValueError):
            raise CalibrationError(f"group {text!r} of {column!r} is not {what}", f"{column} has only such.") from None

    return value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
