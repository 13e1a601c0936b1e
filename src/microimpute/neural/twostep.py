"""Bundles in two steps from hidden numbers: all classes at once, then all amounts given the classes. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from microimpute.neural.calibration import Pick
from microimpute.neural.codec import Codec
from microimpute.neural.energy import Energy
from microimpute.neural.engine import Columns, Noise, Run, Sizes
from microimpute.neural.gumbel import classes
from microimpute.neural.modes import MOST, Modes
from microimpute.neural.nets import Residual, normal
from microimpute.neural.rows import Batch, bundle
from microimpute.neural.training import Loss

__all__ = ["TwoStep", "energy_of_draws"]

#: Least and largest logarithm of a noise scale: a net that learns donors by heart makes it ever smaller.
SCALES = (-4.0, 1.0)


class TwoStep(nn.Module):
    """A net for the classes and a net for the amounts, both told the predictors and the same hidden numbers.

    Given the predictors, classes depend on each other through the hidden numbers alone; amounts depend on each
    other through these and the classes.

    Parameters
    ----------
    sizes
        Columns.
    hidden
        Number of hidden numbers.
    noisy
        Whether the second net returns the scale of a noise for each amount, too.
    moded
        Whether amounts are modes and places in them, see `modes.Modes`; else normal scores.
    width, depth, dropout, random
        As in `nets.Residual`, of both nets.

    Attributes
    ----------
    modes
        The modes, to be fitted first; None if amounts are normal scores.
    known
        Numbers that `encode` returns per row, and the predictors.
    hidden
        Number of hidden numbers.
    """

    def __init__(
        self,
        sizes: Sizes,
        hidden: int,
        noisy: bool,
        moded: bool,
        width: int,
        depth: int,
        dropout: float,
        random: torch.Generator,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.noisy = noisy
        self._scores = sizes.scores
        inputs, each = sizes.predictors + hidden, noisy + (2 * MOST if moded else 1)
        self.known = sizes.predictors + sizes.skeleton + sizes.scores * (1 + MOST * moded)
        self.first = Residual(inputs, sizes.skeleton, width, depth, dropout, random)
        self.second = Residual(inputs + sizes.skeleton, each * sizes.scores, width, depth, dropout, random)
        self.modes = Modes(sizes.scores) if moded else None

    def logits(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return logits of the classes, shape (rows, classes of all targets)."""
        out: Tensor = self.first(torch.cat([x, hidden], dim=1))
        return out

    def amounts(self, x: Tensor, hidden: Tensor, skeleton: Tensor, codec: Codec) -> tuple[Tensor, Tensor, Tensor]:
        """Return amounts' places, logarithms of noise scales, and logits of modes, given classes.

        Shapes (rows, scored targets) each, but (rows, modes of all scored targets) for logits, and for places,
        one per mode, where there are modes (see `placed`); what there is none of has no columns.
        """
        out = self.second(torch.cat([x, hidden, skeleton], dim=1))
        log, rest = out[:, : self._scores * self.noisy].clamp(*SCALES), out[:, self._scores * self.noisy :]
        if self.modes is None:
            return rest, log, rest[:, :0]
        half = rest.shape[1] // 2
        return rest[:, :half], log, self.modes.possible(rest[:, half:], codec, skeleton)

    def placed(self, places: Tensor, chosen: Tensor) -> Tensor:
        """Take each chosen mode's place, shape (rows, scored targets); places themselves if there are no modes."""
        if self.modes is None:
            return places
        return (places * chosen).reshape(len(places), self._scores, -1).sum(dim=2)

    def encode(self, batch: Batch, codec: Codec, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return donors' places and modes, as `Modes.encode` does; scores and nothing where there are no modes."""
        if self.modes is None:
            return batch.scores, batch.scores.new_zeros(len(batch), 0)
        return self.modes.encode(batch, codec, random)

    def draw(self, codec: Codec, x: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw bundles while learning, as `rows.bundle` returns them; no gradient passes the classes."""
        hidden = normal((len(x), self.hidden), random)
        drawn = classes(self.logits(x, hidden), codec.counts, random)
        skeleton, _ = bundle(codec, drawn, x.new_zeros(len(x), self._scores))
        noise = normal((len(x), self._scores * self.noisy), random)
        chance = normal((len(x), self._scores if self.modes is not None else 0), random)
        return bundle(codec, skeleton, self._finished(codec, x, hidden, skeleton, noise, chance))

    def generate(self, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw hidden numbers, then classes, then amounts; see `engine.Idea`."""
        codec, z = pick.codec, noise.normal("hidden", self.hidden)
        pick.all(run(self.logits, x, z))
        rest = noise.normal("noise", self._scores * self.noisy)
        chance = noise.normal("mode", self._scores if self.modes is not None else 0)
        return run(lambda *columns: self._finished(codec, *columns), x, z, codec.onehot(pick.classes), rest, chance)

    def _finished(
        self, codec: Codec, x: Tensor, hidden: Tensor, skeleton: Tensor, noise: Tensor, chance: Tensor
    ) -> Tensor:
        """Return scores, shape (rows, scored targets)."""
        places, log, logits = self.amounts(x, hidden, skeleton, codec)
        chosen = logits if self.modes is None else self.modes.pick(logits, torch.special.ndtr(chance))
        place = self.placed(places, chosen)
        if self.noisy:
            place = place + log.exp() * noise
        return place if self.modes is None else self.modes.decode(place, chosen, codec, skeleton)


def energy_of_draws(net: TwoStep, codec: Codec) -> Loss:
    """Return what held-out donors are looked at by: the energy score of two bundles drawn for each."""
    energy = Energy(codec)

    def look(batch: Batch, random: torch.Generator) -> Tensor:
        return energy(batch.skeleton, batch.scores, *net.draw(codec, batch.x.repeat(2, 1), random))

    return look
