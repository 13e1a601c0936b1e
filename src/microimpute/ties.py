"""Ties: what rules say about positions of targets, which is all that a method needs to know of rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from microimpute.rules import Identity, Requires, Rule, derivation_order

__all__ = ["Ties", "ties"]


@dataclass(frozen=True)
class Ties:
    """How targets hang together, by position.

    Attributes
    ----------
    requires
        Edit rules as (position, positions): the first is zero wherever all the others are.
    together
        Groups that other edit rules tie to each other: taken from one donor, they obey.
    families
        Parts of each identity, down to the targets, smallest family first: best drawn together, so that they
        add up to plausible totals.
    sums
        Each total, in the order in which it is derived, as (position, how often it counts) of the targets that
        it comes down to; what is subtracted counts −1.
    """

    requires: tuple[tuple[int, tuple[int, ...]], ...] = ()
    together: tuple[tuple[int, ...], ...] = ()
    families: tuple[tuple[int, ...], ...] = ()
    sums: tuple[tuple[tuple[int, int], ...], ...] = ()

    def moved(self, by: int) -> Ties:
        """Return the same ties when that many targets are put in front."""

        def moved(group: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(position + by for position in group)

        return replace(
            self,
            requires=tuple((position + by, moved(any_of)) for position, any_of in self.requires),
            together=tuple(map(moved, self.together)),
            families=tuple(map(moved, self.families)),
            sums=tuple(tuple((position + by, sign) for position, sign in terms) for terms in self.sums),
        )


def ties(rules: Sequence[Rule], targets: Sequence[str]) -> Ties:
    """Put rules into positions of targets.

    Edit rules about totals tie all the totals' parts together.

    Parameters
    ----------
    rules
        Identities and edit rules; those that speak of anything else than these targets and totals of them are
        left out.
    targets
        Names in order.

    Returns
    -------
    Ties
    """
    parts = {r.total: r.parts for r in rules if isinstance(r, Identity)}
    position = {t: i for i, t in enumerate(targets)}

    def leaves(column: str) -> set[str]:
        return set().union(*(leaves(p) for p in parts[column])) if column in parts else {column}

    def positions(columns: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted({position[leaf] for c in columns for leaf in leaves(c) if leaf in position}))

    edits = [r for r in rules if not isinstance(r, Identity) and set(r.columns) <= {*position, *parts}]
    simple = [r for r in edits if isinstance(r, Requires) and set(r.columns) <= set(position)]
    groups = [positions(r.columns) for r in edits if r not in simple]
    families = sorted((positions([total]) for total in parts), key=len)
    return Ties(
        requires=tuple((position[r.column], tuple(position[c] for c in r.any_of)) for r in simple),
        together=tuple(g for g in groups if len(g) > 1),
        families=tuple(f for f in families if len(f) > 1),
        sums=_sums(rules, position),
    )


def _sums(rules: Sequence[Rule], position: Mapping[str, int]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Write each total as a signed sum of targets; a total of anything else is left out."""
    known = {name: Counter({at: 1}) for name, at in position.items()}
    totals: list[str] = []
    for identity in derivation_order(rules):
        if identity.total not in position and known.keys() >= identity.parts.keys():
            terms: Counter[int] = Counter()
            for part, sign in identity.parts.items():
                for at, times in known[part].items():
                    terms[at] += sign * times
            known[identity.total] = terms
            totals.append(identity.total)
    return tuple(tuple(sorted(known[total].items())) for total in totals)
