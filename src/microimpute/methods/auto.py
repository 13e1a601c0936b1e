"""The method of those installed that draws best for donor households held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError, closest
from microimpute.held_out import Donors, Fit, HeldOut
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Table
from microimpute.methods.base import FloatArray, Method, method, methods
from microimpute.mixture import MIXTURE, mix, which
from microimpute.selection import Judge, Verdict, choose

__all__ = ["Auto"]

#: With fewer donor households than this, held-out draws tell methods apart by luck alone.
LEAST = 50
#: Seconds that the metrics take per 1,000 rows and target, beside `Method.cost`.
SCORING = 0.05
#: What a candidate must be: auto promises it of whatever it chooses.
NEEDED = ("valid", "candidate", "joint", "uses_weights", "uses_predictors")

Row = dict[str, Any]


@dataclass(frozen=True)
class _Choice:
    """Method → its share of the rows, and what there is to say of how it was chosen."""

    parts: Mapping[str, float]
    said: Mapping[str, Any]


class Auto(Method):
    """Cross-validates methods over donor households and draws from the best, or from a mixture.

    Donor households, `households` of them at most, are divided into folds; each candidate learns from the other
    folds as it would for an implicate, and draws for the fold held out. The draws are scored with the benchmark's
    metrics (energy score, CRPS, tails, shares of zeros, classifier tests …) and placed between a weighted shuffle
    of donors and the truth, as `microimpute.skill` says; where the truth's own score is not known, the best
    candidate stands for it. The candidate of the highest mean skill over families of metrics wins; one that is
    clearly worse than the shuffle in some family (below `microimpute.selection.FAILED`) is out as long as another
    is so in none, and so is one that breaks edit rules or draws what no donor could have. The winner then learns
    from all donors.

    Each row may also be drawn from one of up to three of the best candidates, with probabilities that minimise the
    energy score of held-out donors: a whole bundle comes from one method. Such a mixture is taken only if, on folds
    that its probabilities have not seen, its energy score is lower than that of each of its parts by more than two
    standard errors (over households), and its mean skill is higher than the winner's.

    The choice depends on the donors and the settings alone: on no clock, on no seed, and not on the implicate. So
    all implicates of a run come from one method, unless the donor has implicates of its own and they disagree; the
    spread between implicates holds the sampling error as the chosen method carries it, but not the doubt about the
    choice. Copies that `fresh` makes share what was found, so m implicates cost one cross-validation. What was found
    goes out through `learnt`.

    Parameters
    ----------
    candidates
        Names of methods; None stands for all installed ones that draw jointly, use weights and
        predictors, can draw the targets' kinds and have the packages that they need.
    budget
        Seconds that the cross-validation may take on one core by the methods' declared `cost`, which the clock has
        no part in, so that every machine makes the same choice: candidates are tried from the cheapest on while the
        estimates add up to no more. None is no limit.
    households
        Most donor households that take part in the comparison, chosen at random. The choice is the best for this
        many donors.
    folds, draws
        Folds, and joint draws per row held out.
    mixture
        Whether mixtures are considered.
    division
        Number of the division of households into folds, and of all else that is random in the comparison: another
        one shows how far the choice hangs on it.
    """

    name = "auto"
    summary = "The installed method, or mixture, that draws best for donor households held out."
    reference = "Arlot & Celisse (2010) on cross-validation; Yao, Vehtari, Simpson & Gelman (2018) on mixtures."
    advice = (
        "When you can wait some cross-validations and have a few hundred donor households at least; its table says "
        "what was chosen and why. With fewer donors, or where the method must be fixed in advance, name one."
    )
    joint = True
    proper = None
    coverage = (
        "It has what its choice has, `hotdeck` and `rank` included; the doubt about the choice is in no implicate."
    )
    resampled = False  # it resamples itself, for those of its choice that need it
    uses_weights = True
    candidate = False
    quick = {"households": 60, "folds": 2, "draws": 2, "budget": 0.1}  # noqa: RUF012 (declared ClassVar)

    def __init__(
        self,
        candidates: Sequence[str] | None = None,
        budget: float | None = 60.0,
        households: int = 2_000,
        folds: int = 3,
        draws: int = 10,
        mixture: bool = True,
        division: int = 0,
    ) -> None:
        _check(households=(households, LEAST), folds=(folds, 2), draws=(draws, 2), division=(division, 0))
        if budget is not None and (not isinstance(budget, int | float) or isinstance(budget, bool) or not budget > 0):
            raise MethodError(f"auto's budget is {budget!r}", "Give seconds above 0, or None for no limit.")
        if not isinstance(mixture, bool):
            raise MethodError(f"auto's mixture is {mixture!r}", "Give true or false.")
        self.candidates = None if candidates is None else _named(candidates)
        self.budget = budget
        self.households = households
        self.folds = folds
        self.draws = draws
        self.mixture = mixture
        self.division = division
        self._found: dict[str, _Choice] = {}

    def fresh(self) -> Self:
        """Return an unfitted copy that shares what this one found out about the same donors."""
        copy = super().fresh()
        copy._found = self._found
        return copy

    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Choose, if these donors are new, and let what was chosen learn from all of them."""
        self.predictors, self.targets = X.variables, Y.variables
        donors = Donors.of(X, Y, weight)
        key = _fingerprint(donors)
        if key not in self._found:
            self._found[key] = self._choose(donors)
        self.choice = self._found[key]
        again = donors.resampled(rng)
        self.parts = [_learn(method(name), donors, again, rng) for name in self.choice.parts]
        return self

    def _choose(self, donors: Donors) -> _Choice:
        able, table = self._able(donors.Y)
        count = len(np.unique(donors.households))
        about: Row = {"donor_households": count, "households": 0, "folds": self.folds, "draws": self.draws}
        if len(able) == 1 or count < LEAST:
            why = "the only candidate" if len(able) == 1 else f"the cheapest; {LEAST} households are needed to compare"
            rows = [_row(name, note=f"chosen: {why}" if name == able[0] else "not compared") for name in able]
            return _Choice({able[0]: 1.0}, about | {"candidates": rows + table, "mixture": None})
        held_out = HeldOut.divide(donors, self.households, self.folds, self.draws, self.division)
        about["households"] = len(np.unique(held_out.donors.households))
        tried, late = self._affordable(able, held_out)
        judge, draws, failed = Judge(held_out), {}, []
        for name in tried:
            try:
                drawn = held_out.draw(_fit(name))
                refused = judge.hear(name, drawn)
            # any candidate's fault is a row of the table, not the end
            except Exception as error:  # noqa: BLE001
                refused = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
            if refused is None:
                draws[name] = drawn
            else:
                failed.append(_row(name, note=refused))
        if not draws:
            raise MethodError(f"none of auto's candidates works: {failed[0]['note']}", "Name a method yourself.")
        return self._decide(held_out, judge, draws, failed + late + table, about)

    def _decide(
        self, held_out: HeldOut, judge: Judge, draws: Mapping[str, FloatArray], rest: list[Row], about: Row
    ) -> _Choice:
        verdicts = judge.verdicts()
        chosen, reasons = choose(verdicts)
        parts, mixing = {chosen: 1.0}, None
        if self.mixture:
            weights, mixing = mix(held_out, judge, draws, verdicts, chosen)
            verdicts = judge.verdicts()
            best, why = choose(verdicts)
            if best == MIXTURE:
                parts, chosen, reasons = weights, best, why
            elif MIXTURE in verdicts:
                reasons[MIXTURE] = why[MIXTURE]
        rows = [_row(name, verdict, reasons.get(name, "chosen")) for name, verdict in verdicts.items()]
        rows.sort(key=lambda row: (row["method"] != chosen, -np.inf if row["mean"] is None else -row["mean"]))
        return _Choice(parts, about | {"candidates": rows + rest, "mixture": mixing})

    def _able(self, Y: Table) -> tuple[list[str], list[Row]]:
        """List candidates from the cheapest on, and say why others are left out."""
        known = methods()
        names = [n for n, c in known.items() if _promises(c)] if self.candidates is None else self.candidates
        able, out = [], []
        for name in sorted(names, key=lambda n: (known[n].cost, n)):
            cannot = [v.name for v in Y.variables if v.kind not in known[name].kinds]
            lacking = known[name].missing()
            if cannot:
                out.append(_row(name, note=f"can't draw {', '.join(cannot)}"))
            elif lacking:
                out.append(_row(name, note=f"needs {', '.join(lacking)}, which is not installed"))
            else:
                able.append(name)
        if not able:
            told = "; ".join(f"{row['method']} {row['note']}" for row in out) or "there is none"
            raise MethodError(f"auto has no candidate that can draw these targets: {told}", "Name other candidates.")
        return able, out

    def _affordable(self, able: Sequence[str], held_out: HeldOut) -> tuple[list[str], list[Row]]:
        """Divide candidates into those that the budget holds and those that it does not."""
        size = len(held_out.donors) / 1000 * len(held_out.donors.Y.variables)
        tried, late, spent = [], [], 0.0
        for name in able:
            seconds = size * (self.folds * methods()[name].cost + SCORING)
            if self.budget is not None and spent + seconds > self.budget:
                late.append(_row(name, note=f"not tried: takes about {seconds:,.0f} s, the budget holds less"))
            else:
                spent += seconds
                tried.append(name)
        if not tried:
            need = size * (self.folds * methods()[able[0]].cost + SCORING)
            raise MethodError(
                f"auto's budget of {self.budget:g} s holds no candidate: {able[0]!r} alone takes about {need:.2g} s",
                "Raise budget, or lower households.",
            )
        return tried, late

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw each row from the method chosen, or from one of the mixture's by its share, shape (rows, targets)."""
        if len(self.parts) == 1:
            return self.parts[0].draw(X, rng)
        chosen = which(np.array(list(self.choice.parts.values())), rng)
        out = np.empty((len(X), len(self.targets)))
        for number, part in enumerate(self.parts):
            rows = np.flatnonzero(chosen == number)
            if len(rows):
                out[rows] = part.draw(X.take(rows), rng.take(rows))
        return out

    def learnt(self) -> dict[str, Any]:
        """Say what was chosen, and the skill of every candidate by family."""
        return {"choice": {"chosen": dict(self.choice.parts), **self.choice.said}}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the states of what was chosen, each under its number, and their names and settings as JSON."""
        made = [{"name": part.name, "settings": part.settings} for part in self.parts]
        text = json.dumps({"parts": dict(self.choice.parts), "said": dict(self.choice.said), "made": made})
        arrays: dict[str, npt.NDArray[Any]] = {"choice": np.frombuffer(text.encode(), dtype=np.uint8)}
        for number, part in enumerate(self.parts):
            arrays |= {f"{number}.{name}": values for name, values in part.state().items()}
        return arrays

    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take them back; each method chosen checks its own."""
        try:
            told = json.loads(arrays["choice"].astype(np.uint8).tobytes())
            self.choice = _Choice({str(n): float(p) for n, p in told["parts"].items()}, dict(told["said"]))
            self.parts = [method(str(one["name"]), dict(one["settings"])) for one in told["made"]]
        except (ValueError, TypeError, AttributeError) as error:
            raise MethodError(f"the saved choice is damaged: {error}", "Save the model again.") from None
        shares = np.array(list(self.choice.parts.values()))
        sound = [p.name for p in self.parts] == list(self.choice.parts) and all(_promises(type(p)) for p in self.parts)
        if not sound or not len(shares) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
            raise MethodError("the saved choice does not fit its parts", "Save the model again.")
        for number, part in enumerate(self.parts):
            part.predictors, part.targets = self.predictors, self.targets
            own = f"{number}."
            part.set_state({name.removeprefix(own): a for name, a in arrays.items() if name.startswith(own)})
        return self


def _check(**settings: tuple[object, int]) -> None:
    for name, (value, least) in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise MethodError(f"auto's {name} is {value!r}", f"Give a whole number of at least {least}.")


def _named(candidates: Sequence[str]) -> list[str]:
    known = methods()
    if isinstance(candidates, str) or not candidates or len(set(candidates)) < len(candidates):
        raise MethodError(f"auto's candidates are {candidates!r}", "Give a list of different names of methods.")
    for name in candidates:
        if name not in known:
            raise MethodError(f"auto's candidate {name!r} is no method", closest(str(name), known))
        if not _promises(known[name]):
            lacks = ", ".join(fact for fact in NEEDED if not getattr(known[name], fact))
            able = ", ".join(n for n, c in known.items() if _promises(c))
            raise MethodError(f"auto's candidate {name!r} declares that it is not {lacks}", f"Choose among {able}.")
    return list(candidates)


def _promises(cls: type[Method]) -> bool:
    return all(getattr(cls, fact) for fact in NEEDED)


def _fingerprint(donors: Donors) -> str:
    """Hash all that the choice depends on beside the settings."""
    digest = hashlib.sha256()
    for part in (donors.X.values, donors.Y.values, donors.weight, donors.households):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(repr((donors.X.variables, donors.Y.variables, donors.Y.ties)).encode())
    return digest.hexdigest()


def _learn(chosen: Method, donors: Donors, again: Donors, rng: np.random.Generator) -> Method:
    """Fit to the donors, resampled if the method wants them so."""
    return chosen.fit(donors.X, donors.Y, (again if chosen.resampled else donors).weight, rng)


def _fit(name: str) -> Fit:
    """Make what `HeldOut.draw` asks for; all candidates get the same resample of a fold's donors."""

    def fit(donors: Donors, rng: np.random.Generator) -> Any:
        again = donors.resampled(generator(len(donors), 0, "held-out resample"))
        return _learn(method(name), donors, again, rng).draw

    return fit


def _row(name: str, verdict: Verdict | None = None, note: str = "") -> Row:
    if verdict is None:
        return {"method": name, "families": {}, "mean": None, "worst": None, "note": note}
    return {
        "method": name,
        "families": dict(verdict.families),
        "mean": verdict.mean,
        "worst": verdict.worst,
        "note": note,
    }
