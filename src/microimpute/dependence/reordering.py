"""Reorder one donor's bundles among receivers alike, so that they depend on another donor's as ρ says.

Two donors give two draws that are independent given the predictors. Bundles are exchanged between receivers of one
neighbourhood until the conditional ranks of two leading columns have the rank correlation that is asked. Nothing is
drawn anew and no bundle is cut, so what each donor says of its own variables stays: the bundles of a neighbourhood are
the same before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from microimpute.dependence.arrays import FloatArray, IntArray, as_keys, as_matrix, as_numbers, as_weight
from microimpute.dependence.conditional import (
    TINY,
    Latent,
    in_key_order,
    latent,
    leaves,
    normal_score,
    rank_correlation,
    ranks_within,
)
from microimpute.errors import FusionError
from microimpute.keyed import RowRandom

__all__ = ["Reordered", "neighbourhoods", "reorder"]

#: Share of a neighbourhood's targets that stands for the columns of the bundle that do not lead, beside the leads.
OTHERS = 1.0
#: Largest rank correlation that draws are taken to have where it is measured.
MOST_DRAWN = 0.95


@dataclass(frozen=True)
class Reordered:
    """Who gets whose bundle, and what came of it.

    Attributes
    ----------
    source
        For each receiver the row whose bundle it gets, shape (rows,): new bundles are ``bundles[source]``.
    neighbourhood
        Number of each receiver's neighbourhood, shape (rows,).
    asked, before, reached
        Rank correlation of the conditional ranks, by weight, with each lead: asked, as the bundles were drawn, and
        afterwards, shape (leads,).
    explained_before, explained_after
        Squared correlation of the lead's normal score with what the predictors say of it, before and after: what
        exchanging bundles among receivers who are not quite alike costs.
    moved
        Share of the receivers' weight with another bundle than before.
    """

    source: IntArray
    neighbourhood: IntArray
    asked: FloatArray
    before: FloatArray
    reached: FloatArray
    explained_before: float
    explained_after: float
    moved: float

    @property
    def shift(self) -> FloatArray:
        """Reached less asked, shape (leads,): what the width of the neighbourhoods changes."""
        return self.reached - self.asked

    @property
    def sizes(self) -> IntArray:
        """Receivers in each neighbourhood."""
        return np.bincount(self.neighbourhood)

    def plain(self) -> dict[str, object]:
        """Return the account without the rows, in plain values."""
        sizes = self.sizes
        return {
            "asked": self.asked.tolist(),
            "before": self.before.tolist(),
            "reached": self.reached.tolist(),
            "explained_before": self.explained_before,
            "explained_after": self.explained_after,
            "moved": self.moved,
            "neighbourhoods": len(sizes),
            "median_size": float(np.median(sizes)),
        }


def reorder(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    z: npt.ArrayLike,
    rho: float | npt.ArrayLike,
    keys: npt.ArrayLike,
    *,
    seed: int = 0,
    implicate: int = 1,
    weight: npt.ArrayLike | None = None,
    others: npt.ArrayLike | None = None,
    drawn_with: float | npt.ArrayLike | None = 0.0,
    size: int = 100,
) -> Reordered:
    """Reorder one donor's bundles so that their lead has the rank correlation ρ with another donor's, given X.

    Parameters
    ----------
    x
        The receivers' predictors as numbers, shape (rows, k); NaN is a missing value. Classes without an order as
        one column per level.
    y
        The leading column of what was drawn from the other donor, shape (rows,), or of several donors, (rows, leads).
    z
        The leading column of the bundles that are reordered, shape (rows,).
    rho
        The rank correlation given X that is asked, one per lead.
    keys
        A key per receiver, all different: with the seed they decide everything, whatever the order of the rows.
    seed, implicate
        Of the run and of this implicate.
    weight
        Receivers' weights. They count in ranks, regressions and what is measured; bundles are exchanged one for one.
    others
        The bundle's other columns, shape (rows, columns): neighbourhoods are alike in them, too.
    drawn_with
        The rank correlation given X that the draws have already, one per lead: 0 for donors that know nothing of each
        other; None to measure it, where bridge variables carry some of it (at most .95 counts). With ρ equal to it
        nothing moves.
    size
        Receivers in a neighbourhood, about; most have up to twice as many. Small ones keep what predictors say of the
        bundle's other columns, but come less close to ρ (with 50 about 5% less of it, with 100 some 3%), as who is
        there sets a limit to what exchanging can do; with fewer than 10,000 receivers choose 50.

    Returns
    -------
    Reordered

    Raises
    ------
    FusionError
        If a ρ is impossible, by itself or beside the dependence of the leads on each other.

    Notes
    -----
    1. Every lead becomes a normal variable behind its values, s = m(x) + σ(x) e (see `conditional.latent`); ties, such
       as a mass at zero, are broken at random within what the value takes up.
    2. Neighbourhoods are the leaves of a regression tree for all columns of the bundle and the leads, grown on the
       predictors and the m(x) of other receivers (see `conditional.leaves`).
    3. Within a neighbourhood the e become normal scores of their ranks, g. With r = 2 sin(π ρ / 6), the correlation of
       normal scores whose ranks correlate as ρ, R that of the leads' g, and r₀ that the draws were made with::

           g* = g_Y′ R⁻¹ r + sqrt(1 − r′R⁻¹r) · (g_Z − g_Y′ R⁻¹ r₀) / sqrt(1 − r₀′R⁻¹r₀)

    4. The neighbourhood's residuals e_Z are dealt out in the order of g*. That gives each receiver a wanted value
       m(x) + σ(x) e, and bundles are dealt out in the order of the wanted values. So a receiver whose predictors
       promise more keeps getting more, even where a neighbourhood is wide.

    Where a column has a mass at zero, ρ is that of the normal variables behind the values, as
    `estimation.estimate_rho` estimates it: ranks with ties would show less.

    Sources: Rubin, D. B. (1986). Statistical matching using file concatenation with adjusted weights and multiple
    imputations. Journal of Business & Economic Statistics 4, 87–94 (a partial correlation that is assumed, and varied);
    Iman, R. L. and Conover, W. J. (1982). A distribution-free approach to inducing rank correlation among input
    variables. Communications in Statistics B 11, 311–334 (reordering by normal scores).
    """
    z_all = as_numbers(z, "the lead of the bundles")
    rows = len(z_all)
    y_all = np.asarray(y, dtype=np.float64)
    y_all = as_matrix(y_all, rows, "the leads")
    leads_count = y_all.shape[1]
    asked = _per_lead(rho, leads_count)
    given = 0.0 if drawn_with is None else drawn_with
    begun = _per_lead(given if np.ndim(given) else np.full(leads_count, given), leads_count)
    if not isinstance(size, int) or isinstance(size, bool) or size < 2:
        raise FusionError(f"size is {size!r}", "Give a whole number of at least 2.")
    own = as_keys(keys, rows, "keys")
    order = in_key_order(own)
    by_weight = as_weight(weight, rows, "the receivers' weight")[order]
    random = RowRandom(seed, implicate, own[order])
    x_all = as_matrix(x, rows, "the predictors")[order]
    named = [(y_all[order, j], f"lead {j + 1}") for j in range(leads_count)]
    leads = [latent(as_numbers(column, name), x_all, random, name, by_weight) for column, name in named]
    bundle = latent(z_all[order], x_all, random, "bundle", by_weight)
    rest = None if others is None else as_matrix(others, rows, "the other columns")[order]
    group = neighbourhoods(x_all, [*leads, bundle], rest, size, random)
    if drawn_with is None:
        begun = np.clip(_correlations(leads, bundle, by_weight), -MOST_DRAWN, MOST_DRAWN)
    source = _exchange(leads, bundle, group, asked, begun, random)
    return _account(order, source, group, leads, bundle, by_weight, asked)


def _per_lead(given: float | npt.ArrayLike, leads: int) -> FloatArray:
    out = np.atleast_1d(np.asarray(given, dtype=np.float64))
    if out.shape != (leads,):
        raise FusionError(f"{out.size} rank correlations are given for {leads} leads", "Give one per lead.")
    if not (np.abs(out) < 1).all():
        raise FusionError(f"a rank correlation of {out[~(np.abs(out) < 1)][0]:g} is asked", "Choose between -1 and 1.")
    return out


def neighbourhoods(
    x: FloatArray, targets: list[Latent], others: FloatArray | None, size: int, random: RowRandom
) -> IntArray:
    """Group receivers that are alike in all columns of the bundle; each that leads counts as much as all others."""
    columns = [t.score / np.std(t.score) for t in targets]
    if others is not None:
        rows = np.arange(len(x))
        tie = random.uniform("ties of other columns")
        scores = [normal_score(ranks_within(c, np.zeros_like(rows), tie)[0]) for c in others.T if np.ptp(c) > 0]
        columns += [s * np.sqrt(OTHERS / len(scores)) for s in scores]
    known = np.column_stack([x, *(t.centre for t in targets)])
    return leaves(known, np.column_stack(columns), size, random)


def _exchange(
    leads: list[Latent],
    bundle: Latent,
    group: IntArray,
    asked: FloatArray,
    begun: FloatArray,
    random: RowRandom,
) -> IntArray:
    """Return for each row, in the order of keys, the row whose bundle it gets (step 3 and 4 of the notes)."""
    tie = random.uniform("ties of the exchange")
    g_y = np.column_stack([normal_score(ranks_within(lead.residual, group, tie)[0]) for lead in leads])
    rank_z, by_residual = ranks_within(bundle.residual, group, tie)
    within = np.corrcoef(g_y, rowvar=False).reshape(g_y.shape[1], -1) if g_y.shape[1] > 1 else np.eye(1)
    slope, left = _regression(within, asked, "asked")
    slope_begun, left_begun = _regression(within, begun, "that the draws were made with")
    own = (normal_score(rank_z) - g_y @ slope_begun) / left_begun
    wanted_score = g_y @ slope + left * own
    _, by_wanted = ranks_within(wanted_score, group, tie)
    residual = np.empty(len(tie))
    residual[by_wanted] = bundle.residual[by_residual]
    _, by_value = ranks_within(bundle.centre + bundle.spread * residual, group, tie)
    _, by_bundle = ranks_within(bundle.score, group, tie)
    source = np.empty(len(tie), dtype=np.int64)
    source[by_value] = by_bundle
    return source


def _regression(within: FloatArray, rho: FloatArray, what: str) -> tuple[FloatArray, float]:
    """Return slopes on the leads' normal scores, and the standard deviation that is left."""
    r = 2 * np.sin(np.pi * rho / 6)
    slope = np.linalg.solve(within, r)
    explained = float(r @ slope)
    if explained >= 1.0:
        factor = 1 / np.sqrt(explained)
        raise FusionError(
            f"the rank correlations {', '.join(f'{v:g}' for v in rho)} {what} can't hold together, given those of the "
            "leads with each other",
            f"Multiply them by less than {factor:.3f}.",
        )
    return slope, float(np.sqrt(1.0 - explained))


def _account(
    order: IntArray,
    source: IntArray,
    group: IntArray,
    leads: list[Latent],
    bundle: Latent,
    weight: FloatArray,
    asked: FloatArray,
) -> Reordered:
    """Measure what came out, and put the rows back as they stood in the file."""
    score = bundle.score
    after = replace(bundle, rank=_rank_at(score[source], bundle))
    before, reached = (_correlations(leads, other, weight) for other in (bundle, after))
    kept = [rank_correlation(bundle.centre, s, weight) for s in (score, score[source])]
    out = np.empty_like(source)
    out[order] = order[source]
    where = np.empty_like(group)
    where[order] = group
    moved = source != np.arange(len(source))
    return Reordered(
        source=out,
        neighbourhood=where,
        asked=asked,
        before=before,
        reached=reached,
        explained_before=kept[0] ** 2,
        explained_after=kept[1] ** 2,
        moved=float(np.average(moved, weights=weight)),
    )


def _correlations(leads: list[Latent], bundle: Latent, weight: FloatArray) -> FloatArray:
    return np.array([rank_correlation(lead.rank, bundle.rank, weight) for lead in leads])


def _rank_at(score: FloatArray, bundle: Latent) -> FloatArray:
    from scipy.special import ndtr

    return np.asarray(np.clip(ndtr((score - bundle.centre) / bundle.spread), TINY, 1 - TINY))
