"""Blocks: which targets are drawn together, and in which order, so that edit rules hold by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microimpute.errors import MethodError
from microimpute.kinds import Table

__all__ = ["Block", "plan", "singly"]

FloatArray = npt.NDArray[np.float64]
Requirements = tuple[tuple[int, tuple[int, ...]], ...]
Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Block:
    """Targets that are drawn together.

    Attributes
    ----------
    targets
        Positions; all taken from one donor.
    conditions
        For each edit rule on these targets, the positions of which one must be non-zero; where none is, all
        targets of the block are zero, and nothing is drawn.
    """

    targets: tuple[int, ...]
    conditions: Groups = ()

    def applies(self, Y: FloatArray) -> npt.NDArray[np.bool_]:
        """Say for which rows there is something to draw, shape (rows,)."""
        met = np.ones(len(Y), dtype=bool)
        for any_of in self.conditions:
            met &= np.any(Y[:, any_of] != 0, axis=1)
        return met


def plan(Y: Table, size: int) -> tuple[Block, ...]:
    """Divide targets into blocks of a size, in their order, so that edit rules hold by construction.

    With blocks of one target, what a target requires is drawn before it, and it is drawn only where that is
    there. In larger blocks, and where requirements go in a circle, such targets come from one donor; so do
    the parts of a total, if they are no more than the size: drawn in different blocks, the last of them would
    have to make up for what the others missed of the total, and its share would drift.

    Parameters
    ----------
    Y
        The targets with their ties.
    size
        Targets per block, where ties do not ask for more.

    Returns
    -------
    tuple of Block
        Each target in one of them; what a block is conditioned on comes before it.
    """
    requires = Y.ties.requires
    tied = list(Y.ties.together)
    if size > 1:
        tied += [(target, *any_of) for target, any_of in requires]
        tied += [family for family in Y.ties.families if len(family) <= size]
    group = list(range(len(Y.variables)))
    while True:
        for members in tied:
            named = {group[t] for t in members}
            group = [min(named) if g in named else g for g in group]
        before = {(group[c], group[t]) for t, any_of in requires for c in any_of if group[c] != group[t]}
        circle = _circle(before)
        if not circle:
            break
        tied.append(tuple(t for t, g in enumerate(group) if g in circle))
    return _packed(_ordered(group, before), requires, size)


def singly(Y: Table, method: str) -> tuple[Block, ...]:
    """Plan blocks of one target each, for methods that have no whole donor to take several targets from.

    Raises
    ------
    MethodError
        If rules about totals, or requirements in a circle, bind targets to one donor; names them.
    """
    blocks = plan(Y, 1)
    for block in blocks:
        if len(block.targets) > 1:
            names = ", ".join(Y.names[t] for t in block.targets)
            raise MethodError(
                f"rules bind {names} to one donor, but {method!r} draws targets one by one",
                "Choose a method that takes whole donors (forest, hotdeck), or drop the rule.",
            )
    return blocks


def _circle(before: set[tuple[int, int]]) -> set[int]:
    """Find groups that wait for each other: what is left when all that can go first has gone."""
    left = set(before)
    while True:
        blocked = {after for _, after in left}
        free = {pair for pair in left if pair[0] not in blocked}
        if not free:
            return {g for pair in left for g in pair}
        left -= free


def _ordered(group: list[int], before: set[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Put groups in the order of their first members, later where they must wait."""
    waiting = list(dict.fromkeys(group))
    out: list[tuple[int, ...]] = []
    while waiting:
        ready = next(g for g in waiting if not any(first in waiting for first, then in before if then == g))
        waiting.remove(ready)
        out.append(tuple(t for t, g in enumerate(group) if g == ready))
    return out


def _packed(units: list[tuple[int, ...]], requires: Requirements, size: int) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for unit in units:
        outside = tuple(any_of for t, any_of in requires if t in unit and not set(any_of) <= set(unit))
        last = blocks[-1].targets if blocks else ()
        if last and not outside and not blocks[-1].conditions and len(last) + len(unit) <= size:
            blocks[-1] = Block(last + unit)
        else:
            blocks.append(Block(unit, outside))
    return tuple(blocks)
