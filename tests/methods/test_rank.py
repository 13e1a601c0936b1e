"""The rank hot deck: which predictor it ranks by, and that ranks are what counts."""

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, method
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable


def donors(rows=2000):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.lognormal(sigma=2, size=(rows, 3)), columns=["a", "b", "c"])
    return frame.assign(y=np.log(frame["b"]) + 0.3 * rng.normal(size=rows))


def table(frame, names):
    return Table(tuple(Variable(n, Kind.CONTINUOUS) for n in names), frame[names].to_numpy())


def test_it_ranks_by_what_says_most_about_the_targets():
    frame = donors()
    fit = method("rank").fit(
        table(frame, ["a", "b", "c"]), table(frame, ["y"]), np.ones(2000), np.random.default_rng(0)
    )
    assert fit.column == 1
    got = impute(frame, frame[["a", "b", "c"]], targets=["y"], method="rank", m=1).numbers("y")[0]
    assert np.corrcoef(got, frame["y"])[0, 1] > 0.9
    other = impute(frame, frame[["a", "b", "c"]], targets=["y"], method=method("rank", {"on": "a"}), m=1)
    drawn_again = 1 / 100  # each receiver is one of its own hundred neighbours
    assert abs(np.corrcoef(other.numbers("y")[0], frame["y"])[0, 1]) < drawn_again + 4 / np.sqrt(2000)


def test_only_order_counts():
    frame = donors()
    stretched = frame.assign(b=frame["b"] ** 3)
    chosen = method("rank", {"on": "b"})
    plain = impute(frame, frame[["a", "b", "c"]], targets=["y"], method=chosen, m=1).numbers("y")
    bent = impute(stretched.assign(id=1), stretched[["a", "b", "c"]], targets=["y"], method=chosen, m=1).numbers("y")
    assert abs(np.corrcoef(plain[0], bent[0])[0, 1]) > 0.8  # other keys, other random numbers, same neighbours


def test_ranks_are_weighted():
    """By weight the donors at 0 and 1 are close and the one at 2 is far; by number all are equally apart."""
    frame = pd.DataFrame({"b": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0, 3.0], "w": [1.0, 1.0, 10.0, 1.0]})
    fit = method("rank", {"neighbours": 2}).fit(
        table(frame, ["b"]), table(frame, ["y"]), frame["w"].to_numpy(), np.random.default_rng(0)
    )
    asked = Table((Variable("b", Kind.CONTINUOUS),), np.ones((200, 1)))
    assert set(fit.draw(asked, RowRandom(0, 1, np.arange(200, dtype=np.uint64)))[:, 0]) == {0.0, 1.0}


def test_a_predictor_that_cannot_be_ranked_by_is_refused():
    frame = donors(50).assign(c=list("uv") * 25)
    with pytest.raises(MethodError, match="'c'"):
        impute(frame, frame[["b", "c"]], targets=["y"], method=method("rank", {"on": "c"}), m=1)
    with pytest.raises(MethodError, match="no amount"):
        impute(frame[["c", "y"]], frame[["c"]], targets=["y"], method="rank", m=1)
    with pytest.raises(MethodError, match="neighbours"):
        method("rank", {"neighbours": 0})
