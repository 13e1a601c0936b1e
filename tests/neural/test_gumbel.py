"""Classes drawn by the Gumbel trick: their chances are those of the logits, and gradients pass."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.neural.gumbel import classes, through  # noqa: E402

COUNTS = (3, 0, 1, 2)
LOGITS = torch.tensor([[0.0, 1.0, -2.0, 5.0, 3.0, 3.5]])
ROWS = 20_000


def chances():
    return torch.cat([part.softmax(dim=1) for part in torch.split(LOGITS, list(COUNTS), dim=1)], dim=1)[0].numpy()


def test_classes_come_by_their_chances():
    drawn = classes(LOGITS.repeat(ROWS, 1), COUNTS, torch.Generator().manual_seed(0)).numpy()
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert (drawn[:, :3].sum(axis=1) == 1).all()
    assert (drawn[:, 3] == 1).all()
    assert (drawn[:, 4:].sum(axis=1) == 1).all()
    bound = 4 * np.sqrt(chances() * (1 - chances()) / ROWS) + 1e-9
    assert (np.abs(drawn.mean(axis=0) - chances()) < bound).all()
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 4])[0, 1]) < 4 / np.sqrt(ROWS)


def test_gradients_pass_through_zeros_and_ones():
    logits = LOGITS.repeat(ROWS, 1).requires_grad_()
    drawn = through(logits, COUNTS, 0.5, torch.Generator().manual_seed(1))
    values = drawn.detach().numpy().round(6)
    assert set(np.unique(values)) == {0.0, 1.0}
    bound = 4 * np.sqrt(chances() * (1 - chances()) / ROWS) + 1e-6
    assert (np.abs(values.mean(axis=0) - chances()) < bound).all()
    drawn[:, 0].sum().backward()
    assert (logits.grad[:, 0] >= 0).all()  # a larger logit makes the class likelier, the others less so
    assert float(logits.grad[:, 0].sum()) > 0.05 * ROWS
    assert float(logits.grad[:, 1:3].sum()) == pytest.approx(-float(logits.grad[:, 0].sum()), rel=1e-3)
    assert float(logits.grad[:, 3:].abs().sum()) == 0
