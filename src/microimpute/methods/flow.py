"""Conditional flow matching of amounts, given a skeleton drawn class by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

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

__all__ = ["Flow"]


class Flow(Neural, Method):
    """Which targets are zero first, class by class; then all amounts at once, by a flow from noise.

    The skeleton, each target's class (for amounts: zero, loss or gain), is drawn target after target by a masked
    net (`neural.autoregressive`). Given the predictors and the skeleton, amounts' normal scores z₁ come from
    noise z₀ along dz/dt = v(z, t), where the net v learns to be the mean of z₁ − z₀ given where the straight
    line between them is at t (Lipman et al. 2023; Liu et al. 2023). The equation is solved by the midpoint
    rule. Scores in a regime are normal already, so v begins as what it is for normal scores that depend on
    nothing, the net learns only how they depend on predictors and each other, and few steps do.

    Both nets stop learning by held-out donors' households; what is kept is a running mean of their weights.

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
        Steps of the midpoint rule in a draw, each of two calls of the net.
    device
        "cpu", "cuda", or "auto": a GPU if there is one.
    """

    name = "flow"
    summary = "Zeros and classes one by one from a net, then all amounts at once by flow matching."
    reference = "Lipman, Chen, Ben-Hamu, Nickel & Le (2023), ICLR; Germain et al. (2015), ICML."
    advice = (
        "With thousands of donors and many amounts that depend on each other smoothly. Not with a few hundred donors, "
        "nor where rules tie targets to one donor."
    )
    quick: ClassVar[Mapping[str, Any]] = {"steps": 200, "width": 64, "solver_steps": 2}
    brief: ClassVar[Mapping[str, Any]] = {"steps": 60}  # enough for a few looks at donors held out

    def __init__(
        self,
        steps: int = 3000,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.2,
        class_dropout: float = 0.5,
        lack: float = 0.2,
        solver_steps: int = 6,
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

        from microimpute.neural.autoregressive import Autoregressive
        from microimpute.neural.field import Field

        half = max(self.width // 2, 1)
        return nn.ModuleDict(
            {
                "skeleton": Autoregressive(sizes, half, self.depth, self.class_dropout, random),
                "velocity": Field(sizes, self.width, self.depth, self.dropout, random),
            }
        )

    def learn(self, net: nn.Module, rows: Rows, held: Rows | None, random: torch.Generator) -> Report:
        """Train one after the other; see `neural.engine.Idea`."""
        from microimpute.neural.nets import normal, uniform
        from microimpute.neural.training import Plan, Report, train

        skeleton, velocity = _parts(net)
        report = Report(0, 0, 0.0)
        if max(rows.codec.counts) > 1:
            report += train(
                skeleton, skeleton.loss, rows, held, Plan(self.steps, average=0.99, every=25, patience=16), random
            )

        def loss(batch: Batch, random: torch.Generator) -> Tensor:
            noise = normal(tuple(batch.scores.shape), random)
            time = uniform((len(batch), 1), random)
            at = (1 - time) * noise + time * batch.scores
            found = _alone(at, time) + velocity(at, time, batch.x, batch.skeleton, batch.scored)
            squares: Tensor = ((found - batch.scores + noise) * batch.scored).square().mean(dim=1)
            return squares

        if rows.codec.scored:
            report += train(velocity, loss, rows, held, Plan(self.steps, average=0.995, every=25, patience=16), random)
        return report

    def generate(self, net: nn.Module, run: Run, x: Columns, pick: Pick, noise: Noise) -> Columns:
        """Draw the skeleton, then solve for the scores; see `neural.engine.Idea`."""
        skeleton, velocity = _parts(net)
        skeleton.pick(run, x, pick)
        codec = pick.codec
        start = noise.normal("noise", len(codec.scored))
        return run(self._solver(velocity), start, x, codec.onehot(pick.classes), codec.has_score(pick.classes))

    def _solver(self, velocity: nn.Module) -> Callable[..., Tensor]:
        size = 1 / self.solver_steps

        def solve(z: Tensor, *given: Tensor) -> Tensor:
            for step in range(self.solver_steps):
                begin, middle = (z.new_full((len(z), 1), (step + part) * size) for part in (0.0, 0.5))
                half = z + size / 2 * (_alone(z, begin) + velocity(z, begin, *given))
                z = z + size * (_alone(half, middle) + velocity(half, middle, *given))
            return z

        return solve


def _alone(z: Tensor, time: Tensor) -> Tensor:
    """Return the velocity of scores that are normal and depend on nothing: what is left is for the net."""
    return (2 * time - 1) / ((1 - time) ** 2 + time**2) * z


def _parts(net: nn.Module) -> tuple[Any, Any]:
    return net.skeleton, net.velocity
