"""A factory of scored runs from arrays, which all tests of metrics share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from microimpute.kinds import Kind, Table, Variable
from microimpute.metrics.base import Scored


def table(values: Any, kinds: tuple[Kind, ...] | None = None, letter: str = "y") -> Table:
    """A table of columns y0, y1 …, amounts unless said otherwise; classes get the levels that occur."""
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    chosen = kinds or (Kind.CONTINUOUS,) * array.shape[1]
    columns = []
    for j, kind in enumerate(chosen):
        levels = tuple(range(int(array[:, j].max(initial=0)) + 1)) if kind.is_class else ()
        columns.append(Variable(f"{letter}{j}", kind, levels))
    return Table(tuple(columns), array)


def make(
    truth: Any,
    draws: Any,
    X: Any = None,
    *,
    kinds: tuple[Kind, ...] | None = None,
    x_kinds: tuple[Kind, ...] | None = None,
    weight: Any = None,
    draw_weight: Any = None,
    donor_x: Any = None,
    donor_y: Any = None,
    donor_weight: Any = None,
    **more: Any,
) -> Scored:
    """A `Scored` from arrays; draws (m, n, k), or (m, n) for one target. Donors are the truth unless given."""
    y = table(truth, kinds)
    n, k = y.values.shape
    drawn = np.asarray(draws, dtype=float).reshape(-1, n, k)
    m = len(drawn)
    x = table(np.zeros((n, 0)) if X is None else X, x_kinds, "x")
    donors = y.values if donor_y is None else np.asarray(donor_y, dtype=float).reshape(-1, k)
    donor_rows = Table(y.variables, donors)
    if donor_x is None:
        donor_x = x.values if len(donors) == n else np.zeros((len(donors), x.values.shape[1]))
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
    return Scored(
        X=x,
        truth=y,
        draws=drawn,
        weight=w,
        donor_x=Table(x.variables, np.asarray(donor_x, dtype=float).reshape(len(donors), -1)),
        donor_y=donor_rows,
        donor_weight=np.ones(len(donors)) if donor_weight is None else np.asarray(donor_weight, dtype=float),
        draw_weight=np.tile(w, (m, 1)) if draw_weight is None else np.asarray(draw_weight, dtype=float),
        **{"fits": np.arange(m), **more},
    )


@pytest.fixture(scope="session")
def scored() -> Callable[..., Scored]:
    """`scored(truth, draws, X, …)`: see `make`."""
    return make
