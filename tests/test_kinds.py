"""Kinds: inferred from what is certain, never quietly classes; codes and values go back and forth."""

import re

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microimpute.errors import FusionError
from microimpute.kinds import Kind, decode, describe, encode


def column(values, name="x", **how):
    return nw.from_native(pd.Series(values, name=name, **how), series_only=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False, True], Kind.BINARY),
        (["a", "b", "a"], Kind.CATEGORICAL),
        (pd.Categorical(["lo", "hi"], ["lo", "hi"], ordered=True), Kind.ORDINAL),
        (pd.Categorical(["lo", "hi"]), Kind.CATEGORICAL),
        ([1.5, 2.5, 3.0], Kind.CONTINUOUS),
        ([0.0, 0.0, 3.0], Kind.SEMICONTINUOUS),
        ([0.0, -5.0, 3.0], Kind.SEMICONTINUOUS),
        ([1, 2, 1, 2], Kind.CONTINUOUS),  # few whole numbers are numbers all the same
        ([0, 1, 1, 0], Kind.SEMICONTINUOUS),
    ],
)
def test_inferred(values, kind):
    variable = describe(column(values))
    assert variable.kind is kind
    assert variable.reason != "declared"


def test_whole_numbers_become_classes_only_when_declared():
    assert describe(column([1, 2, 3])).levels == ()
    assert describe(column([3, 1, 2]), "categorical").levels == (1, 2, 3)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (["a", "b"], "continuous", "declared continuous but holds"),
        ([1, 2, 3], "binary", "3 levels"),
        ([1, 2, 3], "money", "no kind"),
        ([1, "a"], None, "mixture of int, str"),
        ([1, "a"], "categorical", "mixture of int, str"),
        ([[1], [2]], None, "list"),
        (pd.to_datetime(["2020-01-01"]), None, "neither numbers nor classes"),
    ],
)
def test_refused(values, kind, said):
    with pytest.raises(FusionError, match=r"'x'.*" + said):
        describe(column(values), kind)


@pytest.mark.parametrize("backend", [nw.Implementation.PANDAS, nw.Implementation.POLARS, nw.Implementation.PYARROW])
@given(data=st.data())
def test_round_trip(backend, data):
    values = data.draw(
        st.one_of(
            st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
            st.lists(st.integers(-(2**53), 2**53), min_size=1),
            st.lists(st.booleans(), min_size=1),
            st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1),
        )
    )
    series = column(values)
    variable = describe(series)
    back = decode(encode(series, variable), variable, backend)
    assert back.to_list() == series.to_list()
    assert back.name == "x"


@pytest.mark.parametrize("ordered", [True, False])
def test_categories_keep_unused_levels_and_order(ordered):
    series = column(pd.Categorical(["b", "a"], ["c", "b", "a"], ordered=ordered))
    variable = describe(series)
    back = decode(encode(series, variable), variable, nw.Implementation.PANDAS).to_native()
    assert back.tolist() == ["b", "a"]
    assert back.cat.ordered == ordered
    if ordered:
        assert list(back.cat.categories) == ["c", "b", "a"]


def test_unknown_levels_and_gaps():
    variable = describe(column(["a", "b"]))
    assert encode(column(["b", None, "z"]), variable).tolist()[0::2] == [1.0, -1.0]
    assert np.isnan(encode(column(["b", None]), variable)[1])
    numeric = describe(column([3, 5]), "categorical")
    assert encode(column([5.0, np.nan, 4.0]), numeric).tolist()[0::2] == [1.0, -1.0]


def test_nan_is_missing_and_no_level():
    series = nw.from_native(pl.Series("x", [2.0, float("nan"), 1.0]), series_only=True)
    variable = describe(series, "categorical")
    assert variable.levels == (1.0, 2.0)
    assert encode(series, variable).tolist()[0::2] == [1.0, 0.0]


def test_whole_numbers_beyond_float_are_refused():
    series = nw.from_native(pl.Series("x", [2**60 + 1]), series_only=True)
    with pytest.raises(FusionError, match=r"2\*\*53"):
        encode(series, describe(series))


def test_small_integers_keep_their_type():
    series = nw.from_native(pl.Series("x", [1, 2, 3], dtype=pl.Int8), series_only=True)
    variable = describe(series)
    assert decode(encode(series, variable), variable, nw.Implementation.POLARS).dtype == nw.Int8


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.arrays.SparseArray([0, 0, 1]), "Sparse[int64, 0]"),
        (np.array([1j, 2j, 3j]), "complex128"),
        (pd.period_range("2020", periods=3, freq="M"), "period[M]"),
    ],
)
@pytest.mark.parametrize("kind", [None, "continuous"])
def test_a_type_that_is_not_known_is_called_by_its_librarys_name(values, said, kind):
    series = nw.from_native(pd.Series(values, name="x"), series_only=True)
    with pytest.raises(FusionError, match=re.escape(f"holds {said}")) as caught:
        describe(series, kind)
    assert "'x'" in str(caught.value)
