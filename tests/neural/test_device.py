"""Where nets run: rows do not depend on each other to the last bit, threads are put back, devices are checked."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from microimpute.errors import MethodError  # noqa: E402
from microimpute.neural.device import BLOCK, blockwise, choose, one_thread  # noqa: E402
from microimpute.neural.nets import Residual, normal  # noqa: E402

CPU = torch.device("cpu")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("width", [3, 61, 128])
def test_a_rows_output_does_not_depend_on_the_others(width):
    random = seeded(14)
    net = Residual(width, 7, 128, 3, 0.1, random).eval()
    x = normal((3 * BLOCK - 5, width), random).numpy()
    whole = blockwise(net, CPU, x)
    for row in (0, 1, 200, 255, 256, 700, len(x) - 1):
        assert np.array_equal(blockwise(net, CPU, x[row : row + 1]), whole[row : row + 1])
    part = slice(37, 37 + BLOCK + 11)
    assert np.array_equal(blockwise(net, CPU, x[part]), whole[part])
    assert blockwise(net, CPU, x[:0]).shape == (0, 7)


def test_one_thread_inside_and_all_after():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            with one_thread():
                assert torch.get_num_threads() == 1
            with pytest.raises(RuntimeError), one_thread():
                raise RuntimeError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_devices():
    assert choose("cpu").type == "cpu"
    assert choose("auto").type in ("cpu", "cuda")
    with pytest.raises(MethodError, match="no device 'abacus'"):
        choose("abacus")
