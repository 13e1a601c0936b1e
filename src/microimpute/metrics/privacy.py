"""Audits of privacy: how many draws are copies of donors, and whether draws betray who the donors are.

Every drawn record counts once whatever its weight: disclosure is about records, not about whom they stand for.
Where records are compared, they are all predictors and targets on `Scale`'s comparable scales, and a receiver's
own row is never compared with its own draw, whose predictors it shares. Audits of distance presume that donors
and receivers come from one population, as halves of a survey do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from microimpute.metrics.base import Audit, FloatArray, Scale, Scored

__all__ = ["ClosestRecord", "CopyRate", "DonorReuse", "MembershipInference"]

IntArray = npt.NDArray[np.int64]

_ROWS = 2_000  # records that are looked at one by one
_AMONG = 20_000  # records that they are compared with at most
_CHUNK = 200
_95 = 1.959964  # normal quantile of a 95% interval


def _bundles(values: FloatArray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(values) + 0.0]  # + 0.0 makes −0 equal 0


class CopyRate(Audit):
    """Share of drawn bundles that equal some donor's whole bundle in every target.

    Bundles that many donors share (no wealth at all) count too. Hot decks are at 1 by construction.

    Source: the "replicated uniques" of Raab, Nowok & Dibben (2024), Practical privacy metrics for synthetic data,
    for all bundles instead of unique ones.
    """

    name = "copy_rate"
    summary = "Share of drawn bundles that are exactly some donor's"

    def measure(self, scored: Scored) -> Mapping[str, float]:
        """Return the share as ``"share"``."""
        donors = set(_bundles(scored.donor_y.values))
        return {"share": float(np.mean([b in donors for draw in scored.draws for b in _bundles(draw)]))}


class DonorReuse(Audit):
    """How often one draw set uses a donor, among donors that it copies: mean over donors and draws, and maximum.

    A bundle that c donors share and a draw set uses u times uses min(c, u) donors, evenly: mean = Σ u / Σ min(c, u)
    in each draw set, averaged over those with copies; max = max ⌈u / c⌉.

    Source: the donor usage of hot decks, Andridge & Little (2010), Int. Stat. Rev. 78(1).
    """

    name = "donor_reuse"
    summary = "Uses per donor within one draw set, among donors that are copied"

    def measure(self, scored: Scored) -> Mapping[str, float]:
        """Return ``"mean"`` and ``"max"``; nothing without copies."""
        holders = Counter(_bundles(scored.donor_y.values))
        means, most = [], 0
        for draw in scored.draws:
            uses = {b: u for b, u in Counter(_bundles(draw)).items() if b in holders}
            if uses:
                means.append(sum(uses.values()) / sum(min(holders[b], u) for b, u in uses.items()))
                most = max(most, *(-(-u // holders[b]) for b, u in uses.items()))
        return {"mean": float(np.mean(means)), "max": float(most)} if means else {}


class ClosestRecord(Audit):
    """Share of draws whose nearest donor is nearer than their nearest hold-out record; .5 is no memorising.

    Hold-out records are the receivers' true rows, which no method saw. Equally many donors and hold-out records,
    at most 20,000, and 2,000 draws are sampled with `Scored.seed`; equal distances count half.

    Source: Platzer & Reutterer (2021), Holdout-based empirical assessment of mixed-type synthetic data, Front. Big
    Data 4.
    """

    name = "closest_record"
    summary = "Share of draws nearer to a donor than to a hold-out record (.5: no memorising)"

    def measure(self, scored: Scored) -> Mapping[str, float]:
        """Return the share as ``"share"``; nothing with fewer than two receivers or no donors."""
        if len(scored.weight) < 2 or not len(scored.donor_y):
            return {}
        rng = np.random.default_rng([scored.seed, 4])
        at, draw = _sample(rng, len(scored.weight), _ROWS), rng.integers(0, scored.m, _ROWS)
        draws = _records(scored, scored.X.values[at], scored.draws[draw[: len(at)], at])
        count = min(len(scored.donor_y), len(scored.weight) - 1, _AMONG)
        held = _sample(rng, len(scored.weight), count + 1)  # one more: of most draws' own rows, one drops out
        chosen = _sample(rng, len(scored.donor_y), count)
        truth = _records(scored, scored.X.values[held], scored.truth.values[held])
        donors = _records(scored, scored.donor_x.values[chosen], scored.donor_y.values[chosen])
        far = _nearest(draws, truth, at[:, None], held)
        near = _nearest(draws, donors)
        return {"share": float(np.mean((near < far) + 0.5 * (near == far)))}


class MembershipInference(Audit):
    """AUC, with a 95% interval, of telling donors from hold-out records by nearness to drawn records; .5 is none.

    The attacker knows whole records and calls those donors that lie nearest to a drawn one (draw 1). AUC = P(a
    donor is nearer than a hold-out record) + ½ P(equally near), over 2,000 of each, sampled with `Scored.seed`;
    interval AUC ± 1.96 SE cut to [0, 1], SE of DeLong et al. (1988), Biometrics 44(3).

    Source: the distance attack of Chen, Yu, Zhang & Fritz (2020), GAN-Leaks, CCS.
    """

    name = "membership_auc"
    summary = "Area under the curve of an attacker who tells donors from hold-out records (.5: cannot)"

    def measure(self, scored: Scored) -> Mapping[str, float]:
        """Return ``"auc"``, ``"low"`` and ``"high"``; nothing with fewer than two donors or three receivers."""
        if len(scored.weight) < 3 or len(scored.donor_y) < 2:
            return {}
        rng = np.random.default_rng([scored.seed, 5])
        held, chosen = (_sample(rng, rows, _ROWS) for rows in (len(scored.weight), len(scored.donor_y)))
        drawn = _sample(rng, len(scored.weight), _AMONG)
        draws = _records(scored, scored.X.values[drawn], scored.draws[0, drawn])
        truth = _records(scored, scored.X.values[held], scored.truth.values[held])
        donors = _records(scored, scored.donor_x.values[chosen], scored.donor_y.values[chosen])
        area, error = _delong(_nearest(donors, draws), _nearest(truth, draws, held[:, None], drawn))
        return {"auc": area, "low": max(area - _95 * error, 0.0), "high": min(area + _95 * error, 1.0)}


def _sample(rng: np.random.Generator, rows: int, count: int) -> IntArray:
    """At most `count` of the rows, without replacement."""
    return np.asarray(rng.permutation(rows)[:count], dtype=np.int64)


def _records(scored: Scored, x: FloatArray, y: FloatArray) -> FloatArray:
    return np.hstack([Scale.of(scored.donor_x, scored.donor_weight)(x), scored.scale(y)])


def _nearest(at: FloatArray, among: FloatArray, own: IntArray | None = None, of: IntArray | None = None) -> FloatArray:
    """Distance to the nearest record, leaving out those whose row `of` is the record's own row."""
    size = (among**2).sum(axis=1)
    found = np.empty(len(at), dtype=np.int64)
    for start in range(0, len(at), _CHUNK):
        part = slice(start, start + _CHUNK)
        gap = size - 2 * (at[part] @ among.T)
        if own is not None:
            gap[own[part] == of] = np.inf
        found[part] = gap.argmin(axis=1)
    return np.asarray(np.sqrt(((at - among[found]) ** 2).sum(axis=1)))  # exact: copies are at distance 0


def _delong(donors: FloatArray, truth: FloatArray) -> tuple[float, float]:
    """P(donor's distance < truth's) + ½ P(equal), and its standard error."""

    def larger(values: FloatArray, among: FloatArray) -> FloatArray:
        order = np.sort(among)
        below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
        return np.asarray(1 - below / (2 * len(among)))

    of_donors, of_truth = larger(donors, truth), 1 - larger(truth, donors)
    error = np.sqrt(of_donors.var(ddof=1) / len(donors) + of_truth.var(ddof=1) / len(truth))
    return float(of_donors.mean()), float(error)
