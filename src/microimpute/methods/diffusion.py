"""Denoising diffusion: classes masked and found again, then amounts out of noise, given the predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from microimpute.methods.base import Method
from microimpute.neural.method import Neural
from microimpute.neural.settings import check_device, share, whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from microimpute.neural.calibration import Pick
    from microimpute.neural.engine import Columns, Noise, Run, Sizes
    from microimpute.neural.rows import Batch, Rows
    from microimpute.neural.training import Report

__all__ = ["Diffusion"]


class Diffusion(Neural, Method):
    """Masked diffusion of the skeleton, then Gaussian diffusion of the amounts given it.

    The skeleton is each target's class; for amounts zero, loss or gain, so that the mass at zero is a class and
    no number. While learning, a random part of a donor's classes is masked, and a net finds them from the others
    and the predictors (absorbing diffusion: Austin et al. 2021, as in TabDiff; weights as in Hoogeboom et al.
    2022). Drawing begins with all masked and uncovers a target at a time.

    Amounts' normal scores are mixed with noise, cos(φ) · score + sin(φ) · noise with an angle φ between 0 and a
    right one, and a second net learns v = cos(φ) · noise − sin(φ) · score (Salimans & Ho 2022). A draw goes
    from noise back to φ = 0 by the deterministic sampler of DDIM (Song et al. 2021), in few steps.

    Unlike TabDDPM, which mixes both kinds of noise in one pass, the amounts wait for the skeleton: they exist
    only where it says so.

    Parameters
    ----------
    steps
        Most minibatches that each net learns from.
    width, depth
        Numbers per hidden layer of the net of amounts, half as many for the net of classes; and hidden layers.
    dropout, class_dropout
        Share of hidden numbers set to zero while learning, in the net of amounts and in that of classes. The
        latter needs much: it knows a few thousand donors by heart after some hundred steps. The former would
        weaken correlations with as much.
    lack
        Share of rows in minibatches that may lack some predictors, so that a receiver whose predictor is missing,
        or of a class that no donor has, is drawn as donors are of whom it is not known (as classifier-free
        guidance does with conditions; Ho & Salimans 2022).
    solver_steps
        Steps from noise to amounts, each a call of the net.
    device
        "cpu", "cuda", or "auto": a GPU if there is one.
    """

    name = "diffusion"
    summary = "Classes unmasked one by one, then all amounts at once by denoising, given the predictors."
    reference = "Kotelnikov, Baranchuk, Rubachev & Babenko (2023), ICML (TabDDPM); Shi et al. (2025), ICLR (TabDiff)."
    advice = (
        "For comparison with the literature on tabular diffusion, or with many thousands of donors; flow has the "
        "same uses and draws faster. Not with a few hundred donors."
    )
    quick: ClassVar[Mapping[str, Any]] = {"steps": 200, "width": 64, "solver_steps": 3}
    brief: ClassVar[Mapping[str, Any]] = {"steps": 60}  # enough for a few looks at donors held out

    def __init__(
        self,
        steps: int = 3000,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.2,
        class_dropout: float = 0.5,
        lack: float = 0.2,
        solver_steps: int = 16,
        device: str = "auto",
    ) -> None:
        whole(self.name, steps=steps, width=width, depth=depth, solver_steps=solver_steps)
        share(self.name, dropout=dropout, class_dropout=class_dropout, lack=lack)
        check_device(self.name, device)
        self.steps = steps
        self.width = width
        self.depth = depth
        self.dropout = dropout
        self.class_dropout = class_dropout
        self.lack = lack
        self.solver_steps = solver_steps
        self.device = device

    def net(self, sizes: Sizes, random: torch.Generator) -> nn.Module:
        """Make both nets."""
        from torch import nn

        from microimpute.neural.field import Field
        from microimpute.neural.nets import Residual

        half = max(self.width // 2, 1)
        seen = sizes.predictors + sizes.skeleton + len(sizes.classes)
        return nn.ModuleDict(
            {
                "unmask": Residual(seen, sizes.skeleton, half, self.depth, self.class_dropout, random),
                "denoise": Field(sizes, self.width, self.depth, self.dropout, random),
            }
        )

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train one after the other; see `neural.engine.Idea`."""
        import torch

        from microimpute.neural.nets import log_softmaxes, normal, uniform
        from microimpute.neural.training import Plan, Report, train

        unmask, denoise = _parts(net)
        codec = rows.codec
        owner = torch.from_numpy(codec.owner).to(rows.device)

        def masked_loss(batch: Batch, random: torch.Generator) -> Tensor:
            rank = uniform((len(batch), len(codec.parts)), random).argsort(dim=1).argsort(dim=1)
            known = (uniform((len(batch), 1), random) * len(codec.parts)).floor()  # from none to all but one
            hidden = (rank >= known).float()
            logs = log_softmaxes(unmask(_seen(batch.x, batch.skeleton, hidden, owner)), codec.counts)
            lost = -(logs * batch.skeleton * hidden[:, owner]).sum(dim=1)
            return lost * len(codec.parts) / hidden.sum(dim=1)

        def noise_loss(batch: Batch, random: torch.Generator) -> Tensor:
            noise, time = normal(tuple(batch.scores.shape), random), uniform((len(batch), 1), random)
            angle = time * np.pi / 2
            at = angle.cos() * batch.scores + angle.sin() * noise
            goal = angle.cos() * noise - angle.sin() * batch.scores
            found = denoise(at, time, batch.x, batch.skeleton, batch.scored)
            squares: Tensor = ((found - goal) * batch.scored).square().mean(dim=1)
            return squares

        report = Report(0, 0, 0.0)
        if max(codec.counts) > 1:
            report += train(
                unmask, masked_loss, rows, held, Plan(self.steps, average=0.99, every=25, patience=16), random
            )
        if codec.scored:
            report += train(
                denoise, noise_loss, rows, held, Plan(self.steps, average=0.995, every=25, patience=16), random
            )
        return report

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Uncover the skeleton, then denoise the scores; see `neural.engine.Idea`."""
        import torch

        unmask, denoise = _parts(net)
        codec = pick.codec
        owner = torch.from_numpy(codec.owner)
        hidden = np.ones((len(x), len(codec.parts)), dtype=np.float32)
        for block in codec.blocks:
            target = block.targets[0]
            logits = run(
                lambda x, known, hidden: unmask(_seen(x, known, hidden, owner)), x, codec.onehot(pick.classes), hidden
            )
            pick(target, logits[:, codec.columns[target]])
            hidden[:, target] = 0.0
        start = noise.normal("noise", len(codec.scored))
        return run(self._solver(denoise), start, x, codec.onehot(pick.classes), codec.has_score(pick.classes))

    def _solver(self, denoise: nn.Module) -> Callable[..., Tensor]:
        step = np.pi / 2 / self.solver_steps

        def solve(z: Tensor, *given: Tensor) -> Tensor:
            for left in range(self.solver_steps, 0, -1):
                time = z.new_full((len(z), 1), left / self.solver_steps)
                z = np.cos(step) * z - np.sin(step) * denoise(z, time, *given)
            return z

        return solve


def _seen(x: Tensor, skeleton: Tensor, hidden: Tensor, owner: Tensor) -> Tensor:
    """Put predictors, the classes that are not masked, and what is masked, side by side."""
    import torch

    return torch.cat([x, skeleton * (1 - hidden[:, owner.to(x.device)]), hidden], dim=1)


def _parts(net: nn.Module) -> tuple[Any, Any]:
    return net.unmask, net.denoise
