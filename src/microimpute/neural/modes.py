"""Mode-specific normalisation: an amount as one of several modes and a place within it. Needs torch."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr
from torch import Tensor, nn

from microimpute.neural.codec import Codec
from microimpute.neural.gumbel import classes
from microimpute.neural.rows import Batch
from microimpute.transforms import Scale

__all__ = ["MOST", "Modes"]

FloatArray = npt.NDArray[np.float64]

#: Most modes of an amount, and the least weight of one that counts, as in CTGAN.
MOST, LEAST = 10, 0.005
#: Evenly spaced quantiles that stand for the donors' weighted distribution when modes are looked for.
SAMPLE = 400
#: Normal scores at which an amount's way to the mixture's scale is kept.
GRID = np.linspace(-4.0, 4.0, 257)
#: Places within a mode are in so many of its spreads.
SPREADS = 4.0
#: Added to shares before their logarithm is taken.
TINY = 1e-30
#: Least rise of the mixture's scale from one score of the grid to the next, so that heaps have a way back.
RISE = 1e-4
#: Steps of the grid that a score may lie beyond its neighbours.
BEYOND = 64.0


class Modes(nn.Module):
    """A Gaussian mixture per amount (Xu et al. 2019, section 4.2), and the ways from normal scores to it and back.

    A variational mixture of at most `MOST` modes is fitted to each regime of an amount (losses and gains are
    apart already), on the scale asinh(amount / median). An amount is then a mode that it may be of, drawn in
    proportion to chances, and its distance from that mode's centre in `SPREADS` spreads. What a net draws goes
    back to a normal score, and from there, like all scores, through the calibration and the donors' weighted
    quantile function: margins, tails and heaps are the donors', whatever the mixture is like.

    Parameters
    ----------
    scores
        Number of scored targets.
    """

    knots: Tensor
    centre: Tensor
    spread: Tensor
    share: Tensor

    def __init__(self, scores: int) -> None:
        super().__init__()
        self.counts = (MOST,) * scores
        self.register_buffer("knots", torch.from_numpy(GRID).float().repeat(scores, 2, 1))
        self.register_buffer("centre", torch.zeros(scores, 2, MOST))
        self.register_buffer("spread", torch.ones(scores, 2, MOST))
        self.register_buffer("share", torch.full((scores, 2, MOST), 1.0 / MOST))

    def fit(self, codec: Codec) -> None:
        """Look for the modes of all amounts."""
        for column, target in enumerate(codec.scored):
            for regime, scale in enumerate(codec.parts[target].regimes):
                knots, sample = _straightened(scale)
                found = (knots, *_mixture(sample))
                for own, values in zip((self.knots, self.centre, self.spread, self.share), found, strict=True):
                    own[column, regime] = torch.from_numpy(values).float()

    def encode(self, batch: Batch, codec: Codec, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turn donors' scores into places, shape (rows, scored targets), and modes as zeros and ones, side by side.

        Both are zero where there is no score.
        """
        regime = _regimes(codec, batch.skeleton)
        centre, spread = _of(self.centre, regime), _of(self.spread, regime)
        at = self._there(batch.scores, regime)[..., None]
        log = (_of(self.share, regime) + TINY).log() - spread.log() - ((at - centre) / spread).square() / 2
        chosen = classes(log.flatten(1), self.counts, random).reshape(log.shape)
        place = ((at - centre) / (SPREADS * spread) * chosen).sum(dim=2)
        return place * batch.scored, (chosen * batch.scored[..., None]).flatten(1)

    def possible(self, logits: Tensor, codec: Codec, skeleton: Tensor) -> Tensor:
        """Rule out the modes that an amount's regime does not have; logits of all modes, side by side."""
        absent = _of(self.share, _regimes(codec, skeleton)) == 0
        return logits.masked_fill(absent.flatten(1), -1e9)

    def pick(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Draw modes as zeros and ones with one number in [0, 1) per scored target."""
        total = logits.reshape(len(logits), -1, MOST).softmax(dim=2).cumsum(dim=2)
        below = (uniform * total[..., -1])[..., None] > total[..., :-1]
        return nn.functional.one_hot(below.sum(dim=2), MOST).flatten(1).to(logits.dtype)

    def decode(self, place: Tensor, chosen: Tensor, codec: Codec, skeleton: Tensor) -> Tensor:
        """Return the normal scores of places and modes, shape (rows, scored targets)."""
        regime = _regimes(codec, skeleton)
        centre, spread = _of(self.centre, regime), _of(self.spread, regime)
        own = chosen.reshape(centre.shape)
        return self._back((own * (centre + SPREADS * spread * place[..., None])).sum(dim=2), regime)

    def _there(self, scores: Tensor, regime: Tensor) -> Tensor:
        where = ((scores - float(GRID[0])) / float(GRID[1] - GRID[0])).clamp(0, len(GRID) - 1)
        below = where.floor().clamp(max=len(GRID) - 2)
        knots, place = _of(self.knots, regime), below.long()[..., None]
        low, high = knots.gather(2, place)[..., 0], knots.gather(2, place + 1)[..., 0]
        return low + (where - below) * (high - low)

    def _back(self, values: Tensor, regime: Tensor) -> Tensor:
        """Undo `_there`; beyond the grid the last slope goes on, so that order is kept."""
        knots = _of(self.knots, regime)
        place = torch.searchsorted(knots, values[..., None].contiguous()).clamp(1, len(GRID) - 1)
        low, high = knots.gather(2, place - 1)[..., 0], knots.gather(2, place)[..., 0]
        part = ((values - low) / (high - low)).clamp(-BEYOND, BEYOND)
        return float(GRID[0]) + float(GRID[1] - GRID[0]) * (place[..., 0] - 1 + part)


def _of(values: Tensor, regime: Tensor) -> Tensor:
    """Take each row's regime's values, shape (rows, scored targets, …)."""
    return values[torch.arange(len(values), device=values.device), regime]


def _regimes(codec: Codec, skeleton: Tensor) -> Tensor:
    """Say in which regime amounts are, 0 or 1, shape (rows, scored targets); 0 where there is none."""
    out = torch.zeros(len(skeleton), len(codec.scored), dtype=torch.int64, device=skeleton.device)
    for column, target in enumerate(codec.scored):
        if len(codec.parts[target].regimes) == 2:
            out[:, column] = (skeleton[:, codec.columns[target].stop - 1] > 0.5).long()
    return out


def _straightened(scale: Scale) -> tuple[FloatArray, FloatArray]:
    """Put an amount on the mixture's scale: at the grid of scores, and at evenly spaced shares of the weight."""
    unit = abs(float(scale.amounts(np.zeros(1))[0])) or float(np.abs(scale.values).max()) or 1.0
    levels = (np.arange(SAMPLE) + 0.5) / SAMPLE
    sample = np.arcsinh(scale.amounts(np.zeros(SAMPLE), levels) / unit)
    centre, spread = float(sample.mean()), float(sample.std()) or 1.0
    middle = scale.upper - np.diff(scale.upper, prepend=0.0) / 2  # between donors' amounts the way is a line
    knots = (np.interp(ndtr(GRID), middle, np.arcsinh(scale.values / unit)) - centre) / spread
    return knots + RISE * np.arange(len(GRID)), (sample - centre) / spread


def _mixture(sample: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit the mixture: centres, spreads and shares, shape (MOST,) each; a mode that does not count has share 0."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    centre, spread, share = np.zeros(MOST), np.ones(MOST), np.zeros(MOST)
    most = min(MOST, len(np.unique(sample)))
    model = BayesianGaussianMixture(n_components=most, weight_concentration_prior=0.001, reg_covar=1e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # whatever the mixture, the way back is its inverse
        model.fit(sample[:, None])
    centre[:most], spread[:most] = model.means_[:, 0], np.sqrt(model.covariances_[:, 0, 0])
    share[:most] = np.where(model.weights_ > LEAST, model.weights_, 0.0)
    return centre, spread, share / share.sum()
