"""Where nets run, in one thread and blocks of one size, so that draws repeat bit for bit. Needs torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from microimpute.errors import MethodError

__all__ = ["BLOCK", "blockwise", "choose", "one_thread"]

Columns = npt.NDArray[np.float32]

#: Rows that go through a net at a time. The last bits of a matrix product depend on its shape, so it is always
#: this many: the last block is filled up with zeros.
BLOCK = 256


def choose(device: str) -> torch.device:
    """Return the device of a name; "auto" is the first GPU if there is one, else the CPU.

    Raises
    ------
    MethodError
        If this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise MethodError(f"there is no device {device!r} here", 'Give "cpu" or "auto".') from None
    return found


_lock = threading.Lock()
_inside = 0
_before = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread in this Python thread; the number is put back when the last has left.

    torch keeps the number per thread and, for threads to come, per process; drawing runs in several threads.
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_before)


def blockwise(run: Callable[..., Any], device: torch.device, *columns: Columns) -> Columns:
    """Apply a function of tensors to rows, block by block.

    Parameters
    ----------
    run
        Takes a float32 tensor of shape (`BLOCK`, …) for each of `columns`, returns one of shape (`BLOCK`, …); a row
        of what it returns depends on that row alone.
    device
        Where it runs.
    columns
        float32 arrays, shape (rows, …).

    Returns
    -------
    numpy.ndarray of float32, shape (rows, …)
    """
    rows = len(columns[0])
    out = []
    with torch.no_grad(), one_thread():
        for start in range(0, max(rows, 1), BLOCK):
            block = [_filled(c[start : start + BLOCK]) for c in columns]
            done = run(*(torch.from_numpy(b).to(device) for b in block))
            out.append(done.cpu().numpy())
    return np.concatenate(out)[:rows]


def _filled(block: Columns) -> Columns:
    whole = np.zeros((BLOCK, *block.shape[1:]), dtype=np.float32)
    whole[: len(block)] = block
    return whole
