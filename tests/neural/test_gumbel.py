"""Classes drawn by the Gumbel trick: their chances are those of the logits, and gradients pass."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.neural.gumbel import classes, relaxed  # noqa: E402

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


def test_shares_near_zero_and_one_let_gradients_pass():
    logits = LOGITS.repeat(ROWS, 1).requires_grad_()
    drawn = relaxed(logits, COUNTS, 0.2, torch.Generator().manual_seed(1))
    largest = drawn[:, :3].max(dim=1)
    assert float((largest.values > 0.95).float().mean()) > 0.7
    counts = np.bincount(largest.indices.numpy(), minlength=3) / ROWS
    assert (np.abs(counts - chances()[:3]) < 4 * np.sqrt(chances()[:3] / ROWS)).all()
    drawn[:, 0].sum().backward()
    assert float(logits.grad[:, 0].abs().sum()) > 0
    assert float(logits.grad[:, 3:].abs().sum()) == 0
