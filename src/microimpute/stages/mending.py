"""Repairs one stage's draws where they break rules that span stages, and keeps the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from microimpute.checks import Note
from microimpute.errors import FusionError
from microimpute.matching.eligible import Eligible
from microimpute.rules import AtMost, Rule
from microimpute.stages.edits import Edit

__all__ = ["Account", "Mender"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Columns = Mapping[str, FloatArray]
#: (rows that need another draw, attempt 1, 2, …) → new draws, shape (len(rows), targets).
Redraw = Callable[[IntArray, int], FloatArray]

#: Fewest receivers of whom none keeps a rule that stop a run; fewer may be bad luck, and are named in a note.
HOPELESS = 10


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
    from_donors
        Rows that were given the bundle of a donor who keeps the rule.
    looked_at
        How many of the nearest donors, ``"all"`` at the end, had to be looked at → of how many of these rows.
    without_donor
        Rows with whose values no donor keeps the rule.
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
    from_donors: int = 0
    looked_at: dict[str, int] = field(default_factory=dict)
    without_donor: int = 0

    def served(self, donor: IntArray, step: IntArray, donors: Eligible) -> None:
        """Count rows that broke the rule by the donor that they were given, as `Eligible.draw` returns it."""
        self.from_donors += int((donor >= 0).sum())
        self.without_donor += int((donor < 0).sum())
        for number, count in enumerate(donors.steps):
            if rows := int((step[donor >= 0] == number).sum()):
                name = "all" if count == len(donors) else str(count)
                self.looked_at[name] = self.looked_at.get(name, 0) + rows

    def plain(self) -> dict[str, Any]:
        """Return plain values for a manifest."""
        steps = sorted(self.looked_at.items(), key=lambda step: (step[0] == "all", len(step[0]), step[0]))
        return vars(self) | {"looked_at": dict(steps)}


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
        Rules that could not be kept for a few receivers by drawing again.
    without
        Rule, with those to be kept beside it → receivers whom no donor's bundle helps, in one implicate at least.
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
    without: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accounts = [Account(str(e.rule), e.repair, self.stage) for e in self.edits]

    def told(self) -> list[Note]:
        """Return the notes, those of all implicates about receivers without a donor as one per rule."""
        lacking = [
            Note(
                f"no donor of stage {self.stage!r} keeps {said}, for {len(rows):,} "
                f"{'receivers' if len(rows) > 1 else 'receiver'} ({self._first(sorted(rows))}) in one implicate at "
                "least. What was drawn stands.",
                len(rows),
                True,
            )
            for said, rows in self.without.items()
        ]
        return [*dict.fromkeys(self.notes), *lacking]

    def mend(self, block: FloatArray, known: Columns, redraw: Redraw, donors: Callable[[], Eligible]) -> None:
        """Repair one implicate in place.

        Parameters
        ----------
        block
            This stage's draws, shape (rows, targets).
        known
            Everything else that rules speak of, each of shape (rows,): observed columns, earlier stages.
        redraw
            Draws again, see `Redraw`.
        donors
            Makes this implicate's donors ready; asked only if there is a row to serve.

        Raises
        ------
        FusionError
            If a rule holds for none of the rows that broke it, `HOPELESS` or more, however often they are drawn or
            whichever donor is taken: names rule and receivers. Of fewer rows a note says so.
        """
        if not self.edits:
            return
        for edit, account in zip(self.edits, self.accounts, strict=True):
            account.before += int(edit.broken(self._all(block, known)).sum())
        self._redraw(block, known, redraw)
        self._take(block, known, donors)
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
            draws = f"none of {edit.limit} draws of stage {self.stage!r}"
            said = self._impossible(draws, edit, [e for e, _ in chosen], rows)
            self.notes.append(Note(f"{said}: impossible there, or bad luck. The first draw stands.", len(rows), True))

    def _impossible(self, draws: str, edit: Edit, together: Sequence[Edit], rows: IntArray) -> str:
        """Say that a rule holds for none of the rows that broke it; stop the run if they are too many for bad luck."""
        who = f"any of the {len(rows):,} receivers that break it" if len(rows) > 1 else "the one that breaks it"
        said = f"{draws} keeps {_beside(edit, together)}, for {who} ({self._first(rows.tolist())})"
        if len(rows) >= HOPELESS:
            raise FusionError(
                said, "See whether rules contradict each other or an observed value; or repair by 'adjust' or 'count'."
            )
        return said

    def _first(self, rows: Sequence[int]) -> str:
        return ", ".join(self.names(r) for r in rows[:3]) + (", …" if len(rows) > 3 else "")

    def _take(self, block: FloatArray, known: Columns, donors: Callable[[], Eligible]) -> None:
        """Give rows that still break a rule the bundle of a donor who keeps it, and those that drawing again kept."""
        chosen = [(e, a) for e, a in zip(self.edits, self.accounts, strict=True) if e.repair == "donor"]
        columns = self._all(block, known) if chosen else {}
        broke = [e.broken(columns) for e, _ in chosen]
        rows = np.flatnonzero(np.any(broke, axis=0)) if chosen else np.zeros(0, dtype=np.int64)
        if not len(rows):
            return
        ready = donors()
        kept = [e for e in self.edits if e.repair in ("donor", "redraw")]
        theirs = self.derive(dict(zip(self.targets, ready.bundles.T, strict=True)))

        def keeps(row: IntArray, donor: IntArray) -> Flags:
            pairs = {c: theirs[c][donor] if c in theirs else known[c][row] for e in kept for c in e.columns}
            return np.asarray(~np.any([e.broken(pairs) for e in kept], axis=0))

        donor, step = ready.draw(rows, keeps)
        block[rows[donor >= 0]] = ready.bundles[donor[donor >= 0]]
        for (edit, account), was in zip(chosen, broke, strict=True):
            own = was[rows]
            account.served(donor[own], step[own], ready)
            lacking = rows[own & (donor < 0)]
            if len(lacking) and len(lacking) == own.sum():
                self._impossible(f"none of the {len(ready):,} donors of stage {self.stage!r}", edit, kept, lacking)
            if len(lacking):
                self.without.setdefault(_beside(edit, kept), set()).update(lacking.tolist())

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


def _beside(edit: Edit, together: Sequence[Edit]) -> str:
    """Write a rule, and those that are to be kept at once with it."""
    others = [str(e.rule) for e in together if e is not edit]
    return repr(str(edit.rule)) + (f" beside {' and '.join(others)}" if others else "")
