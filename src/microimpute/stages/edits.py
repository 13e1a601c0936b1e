"""Rules that span stages: who breaks them, and what is drawn again or adjusted so that they hold.

Observed values of the receiver are never changed: where one conflicts with a rule, what was imputed gives way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.checks import Note
from microimpute.errors import FusionError, closest
from microimpute.rules import AtMost, NonNegative, Requires, Rule, parse

__all__ = ["REPAIRS", "Account", "Edit", "Mender"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Columns = Mapping[str, FloatArray]
#: (rows that need another draw, attempt 1, 2, …) → new draws, shape (len(rows), targets).
Redraw = Callable[[IntArray, int], FloatArray]

#: Fewest receivers of whom none keeps a rule that stop a run; fewer may be bad luck, and are named in a note.
HOPELESS = 10
#: What can be done about a broken rule.
REPAIRS = ("redraw", "adjust", "count")


@dataclass(frozen=True)
class Edit:
    """A rule across stages, and its repair.

    Attributes
    ----------
    rule
        ``"A requires B or C"``, ``"A <= 2 B + C"`` or ``"A >= 0"``, of columns that are imputed or the receiver's own;
        or an object.
    repair
        ``"redraw"`` draws the whole bundle of the last stage concerned again, up to `limit` times: what stays is a draw
        from its distribution given that the rule holds. ``"adjust"`` moves the column that the rule speaks of to the
        nearest value that is allowed: zero, or the bound (parts of a total in proportion), never below zero; the last
        stage concerned has to give it. ``"count"`` changes nothing.
    limit
        Draws tried for a row; of several rules that it breaks the largest.
    """

    rule: Rule | str
    repair: str = "redraw"
    limit: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", parse(self.rule) if isinstance(self.rule, str) else self.rule)
        if self.repair not in REPAIRS:
            raise FusionError(f"{str(self.rule)!r} is to be repaired by {self.repair!r}", closest(self.repair, REPAIRS))
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise FusionError(f"the limit of {str(self.rule)!r} is {self.limit!r}", "Give a whole number from 1 on.")
        if self.repair == "adjust" and not isinstance(self.rule, Requires | NonNegative | AtMost):
            raise FusionError(f"{str(self.rule)!r} can't be adjusted to", "Redraw, or count what breaks it.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the rule speaks of."""
        assert isinstance(self.rule, Rule)  # __post_init__ has read it
        return self.rule.columns

    def broken(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Say for each row whether it breaks the rule, shape (rows,)."""
        assert isinstance(self.rule, Rule)  # __post_init__ has read it
        return self.rule.broken(columns)


@dataclass
class Account:
    """Rows that broke a rule, over all implicates.

    Attributes
    ----------
    rule, repair, stage
        What was asked, and whose bundle gives way.
    before, after
        Rows that broke it as drawn, and that still do.
    drawn_again, adjusted
        Bundles drawn again, and rows moved.
    followed
        Values of the same bundles moved after them, so that the stage's own rules hold: a mortgage whose home is gone.
    """

    rule: str
    repair: str
    stage: str
    before: int = 0
    after: int = 0
    drawn_again: int = 0
    adjusted: int = 0
    followed: int = 0

    def plain(self) -> dict[str, Any]:
        """Return plain values for a manifest."""
        return dict(vars(self))


@dataclass
class Mender:
    """Repairs one stage's draws, implicate by implicate.

    Parameters
    ----------
    edits
        The rules whose last imputed column this stage gives.
    stage
        Its name.
    targets
        Its targets, in the order of the draws' columns.
    derive
        Targets by name → with the totals that identities derive.
    parts
        Derived total → targets that are added up in it.
    names
        Row number → how an error calls that receiver.
    own
        The stage's own rules that can be adjusted to: what adjusting breaks of them is moved after.

    Attributes
    ----------
    accounts
        One per rule.
    notes
        Rules that could not be kept for a few receivers.
    """

    edits: Sequence[Edit]
    stage: str
    targets: tuple[str, ...]
    derive: Callable[[dict[str, FloatArray]], dict[str, FloatArray]]
    parts: Mapping[str, tuple[str, ...]]
    names: Callable[[int], str]
    own: Sequence[Rule] = ()
    accounts: list[Account] = field(init=False)
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accounts = [Account(str(e.rule), e.repair, self.stage) for e in self.edits]

    def mend(self, block: FloatArray, known: Columns, redraw: Redraw) -> None:
        """Repair one implicate in place.

        Parameters
        ----------
        block
            This stage's draws, shape (rows, targets).
        known
            Everything else that rules speak of, each of shape (rows,): observed columns, earlier stages.
        redraw
            Draws again, see `Redraw`.

        Raises
        ------
        FusionError
            If a rule holds for none of the rows that broke it, `HOPELESS` or more, however often they are drawn: names
            rule and receivers. Of fewer rows a note says so: they may have been unlucky.
        """
        if not self.edits:
            return
        for edit, account in zip(self.edits, self.accounts, strict=True):
            account.before += int(edit.broken(self._all(block, known)).sum())
        self._redraw(block, known, redraw)
        for edit, account in zip(self.edits, self.accounts, strict=True):
            if edit.repair == "adjust":
                moved = self._adjust(edit.rule, block, known)
                account.adjusted += len(moved)
                account.followed += self._follow(moved, block, known)
        columns = self._all(block, known)
        for edit, account in zip(self.edits, self.accounts, strict=True):
            account.after += int(edit.broken(columns).sum())

    def _all(self, block: FloatArray, known: Columns, rows: IntArray | None = None) -> dict[str, FloatArray]:
        """Return all columns, of some rows."""
        at = slice(None) if rows is None else rows
        own = dict(zip(self.targets, block[at].T, strict=True))
        return {name: values[at] for name, values in known.items()} | self.derive(own)

    def _redraw(self, block: FloatArray, known: Columns, redraw: Redraw) -> None:
        """Draw rows again until every rule that is to be kept so holds at once, or the limit is reached."""
        chosen = [(e, a) for e, a in zip(self.edits, self.accounts, strict=True) if e.repair == "redraw"]
        if not chosen:
            return
        begun = {id(e): e.broken(self._all(block, known)) for e, _ in chosen}
        allowed = np.max([np.where(begun[id(e)], e.limit, 0) for e, _ in chosen], axis=0)
        rows = np.flatnonzero(allowed)
        for attempt in range(1, max(e.limit for e, _ in chosen) + 1):
            rows = rows[allowed[rows] >= attempt]
            if not len(rows):
                break
            new = redraw(rows, attempt)
            columns = self._all(new, {n: v[rows] for n, v in known.items()})
            held = ~np.any([e.broken(columns) for e, _ in chosen], axis=0)
            block[rows[held]] = new[held]
            chosen[0][1].drawn_again += len(rows)
            rows = rows[~held]
        self._refuse_impossible(chosen, begun, block, known)

    def _refuse_impossible(
        self,
        chosen: Sequence[tuple[Edit, Account]],
        begun: Mapping[int, npt.NDArray[np.bool_]],
        block: FloatArray,
        known: Columns,
    ) -> None:
        columns = self._all(block, known)
        for edit, _ in chosen:
            was, still = begun[id(edit)], edit.broken(columns)
            if not was.any() or not still[was].all():
                continue
            rows = np.flatnonzero(was)
            first = ", ".join(self.names(int(r)) for r in rows[:3]) + (", …" if len(rows) > 3 else "")
            others = [str(e.rule) for e, _ in chosen if e is not edit]
            beside = f" beside {' and '.join(others)}" if others else ""
            who = f"any of the {len(rows):,} receivers that break it" if len(rows) > 1 else "the one that breaks it"
            rule = f"none of {edit.limit} draws of stage {self.stage!r} keeps {str(edit.rule)!r}{beside}"
            said = f"{rule}, for {who} ({first})"
            if len(rows) >= HOPELESS:
                remedy = (
                    "See whether rules contradict each other or an observed value; or repair by 'adjust' or 'count'."
                )
                raise FusionError(said, remedy)
            self.notes.append(Note(f"{said}: impossible there, or bad luck. The first draw stands.", len(rows), True))

    def _follow(self, rows: IntArray, block: FloatArray, known: Columns) -> int:
        """Adjust moved rows to the stage's own rules, as one that moves may break another; returns values moved."""
        part, beside = block[rows], {n: v[rows] for n, v in known.items()}
        count = 0
        for _ in self.own:
            moved = sum(len(self._adjust(rule, part, beside)) for rule in self.own)
            count += moved
            if not moved:
                break
        block[rows] = part
        return count

    def _adjust(self, rule: Rule | str, block: FloatArray, known: Columns) -> IntArray:
        """Move one column to the nearest value that the rule allows; returns the rows that were moved."""
        assert isinstance(rule, Rule)  # Edit has read it
        columns = self._all(block, known)
        rows = np.flatnonzero(rule.broken(columns))
        name = rule.columns[0]
        parts = [self.targets.index(t) for t in self.parts.get(name, (name,))]
        if isinstance(rule, AtMost):
            rows = rows[columns[name][rows] > 0]  # nothing is moved below zero: what lies there stands, and is counted
            bound = np.maximum(rule.bound({n: v[rows] for n, v in columns.items()}), 0.0)
            factor = bound / columns[name][rows]
        else:
            factor = np.zeros(len(rows))
        block[np.ix_(rows, np.array(parts))] *= factor[:, None]
        return rows
