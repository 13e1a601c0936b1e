"""What is exported comes back as it was: every value, type, label and the receiver's design."""

import datetime
import math
import string
import tempfile
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import assert_same, imputations, of, path, receiver

from microimpute import Fusion, Imputations, Survey, impute
from microimpute.export.base import formats
from microimpute.testing import example_donor, example_receiver

FRAMES = {
    "pandas": lambda f: f,
    "polars": pl.from_pandas,
    "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
}


@pytest.fixture(params=sorted(formats()))
def name(request):
    if request.param == "spss":
        pytest.importorskip("pyreadstat", reason="pyreadstat is not installed")
    return request.param


@pytest.mark.parametrize("library", FRAMES)
def test_awkward_values_come_back(name, library, tmp_path):
    made = imputations(frame=FRAMES[library](receiver()))
    assert not made.export(path(tmp_path, name), name)
    assert_same(Imputations.load(path(tmp_path, name)), made)


def test_a_run_comes_back(name, tmp_path):
    donor, frame = example_donor(200), example_receiver(40)
    fusion = Fusion(
        Survey(donor, weight="weight", keys="id", labels={"wealth": "net worth"}),
        Survey(frame, weight="weight", keys="id", labels={"age": "age in years"}, dollars=2019, unit="household"),
        targets=["wealth", "trips", "owner", "region_of_work", "health"],
        predictors=["income", "age"],
    )
    made = impute(fusion, method="hotdeck", m=2)
    made.export(path(tmp_path, name), name)
    back = Imputations.load(path(tmp_path, name))
    assert_same(back, made)
    assert (back.numbers("wealth") == made.numbers("wealth")).all()


def test_an_export_is_exported_again(tmp_path):
    """From one format to the next through all of them, and nothing is lost on the way."""
    made = imputations()
    made.export(path(tmp_path, "mice", "first"), "mice")
    last = path(tmp_path, "mice", "first")
    for number, kind in enumerate(k for k in formats() if k not in ("spss", "parquet")):
        Imputations.load(last).export(tmp_path / f"{number}{formats()[kind].suffix}", kind)
        last = tmp_path / f"{number}{formats()[kind].suffix}"
    assert_same(Imputations.load(last), made)


def test_no_rows(name, tmp_path):
    made = imputations(n=0)
    made.export(path(tmp_path, name), name)
    assert_same(Imputations.load(path(tmp_path, name)), made)


def test_an_odd_index_does_not_matter(name, tmp_path):
    made = imputations(frame=receiver().set_index(pd.Index(range(5, 89, 7))))
    made.export(path(tmp_path, name), name)
    assert_same(Imputations.load(path(tmp_path, name)), made)


FLOATS = st.floats(-1e300, 1e300) | st.sampled_from([math.nan, 0.1, 5e-324, -0.0])
WORDS = st.text(st.sampled_from(string.ascii_letters + string.digits + " ,;'\"\\/%$`#éß日😀\t"), max_size=8)
#: SPSS pads text with blanks, so text that ends in one is refused there; tests of that stand elsewhere.
TIDY = WORDS.map(lambda t: t.strip(" \t"))


def columns(n):
    many = {"min_size": n, "max_size": n}
    return st.fixed_dictionaries(
        {
            "float": st.lists(FLOATS, **many),
            "int": st.lists(st.none() | st.integers(-(2**53), 2**53), **many).map(lambda v: pd.array(v, dtype="Int64")),
            "small": st.lists(st.integers(-128, 127), **many).map(lambda v: pd.array(v, dtype="int8")),
            "bool": st.lists(st.booleans(), **many),
            "maybe": st.lists(st.none() | st.booleans(), **many).map(lambda v: pd.array(v, dtype="boolean")),
            "text": st.lists(st.none() | TIDY, **many).map(lambda v: pd.Series(v, dtype=object)),
            "class": st.lists(st.none() | st.sampled_from(["b", "a", "ü x"]), **many).map(
                lambda v: pd.Categorical(v, categories=["b", "ü x", "unused", "a"])
            ),
            "coded": st.lists(st.none() | st.sampled_from([3, -1, 10]), **many).map(
                lambda v: pd.Categorical(v, categories=[10, 3, -1, 0], ordered=True)
            ),
            "day": st.lists(st.none() | st.dates(datetime.date(1600, 1, 1), datetime.date(2200, 1, 1)), **many).map(
                lambda v: pd.array(v, dtype=pd.ArrowDtype(pa.date32()))
            ),
            "moment": st.lists(
                st.none() | st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)), **many
            ).map(lambda v: pd.array(v, dtype=pd.ArrowDtype(pa.timestamp("us")))),
        }
    )


def targets(n):
    many = {"min_size": n, "max_size": n}
    return st.fixed_dictionaries(
        {
            "amount": st.lists(FLOATS.filter(lambda x: not math.isnan(x)), **many),
            "count": st.lists(st.integers(-(2**53), 2**53), **many),
            "flag": st.lists(st.booleans(), **many),
            "words": st.lists(TIDY, **many),
            "level": st.lists(st.sampled_from(["b", "a"]), **many).map(
                lambda v: pd.Categorical(v, categories=["b", "a", "never"], ordered=True)
            ),
        }
    )


@st.composite
def any_imputations(draw):
    n = draw(st.integers(1, 6))
    frame = pd.DataFrame(draw(columns(n)))
    blocks = [pd.DataFrame(draw(targets(n))) for _ in range(draw(st.integers(1, 3)))]
    return of(frame, blocks, derived=(), weight=None, keys=(), labels={"float": "a number"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(any_imputations())
def test_any_values_come_back(name, made):
    with tempfile.TemporaryDirectory() as folder:
        made.export(path(Path(folder), name), name)
        assert_same(Imputations.load(path(Path(folder), name)), made)


def test_dates_before_stata_s_first_day_come_back(name, tmp_path):
    """In two bytes a day of 1880 fits Stata's count from 1960, and not pandas' from 1970."""
    days = pd.Series([datetime.date(2000, 1, 1), datetime.date(1880, 1, 1)], dtype="date32[pyarrow]")
    made = of(
        pd.DataFrame({"day": days}), [pd.DataFrame({"amount": [0.0, 1.0]})], derived=(), weight=None, keys=(), labels={}
    )
    made.export(path(tmp_path, name), name)
    assert_same(Imputations.load(path(tmp_path, name)), made)


@pytest.mark.parametrize("kind", sorted(set(formats()) - {"sas", "spss"}))
def test_line_breaks_and_blanks_in_text_come_back(kind, tmp_path):
    frame = receiver().assign(note=["a\nb", "\r\n", "a\rb", '"\n"', " ", "a ", "\n", None, "", "x", "\t", "a\\nb"])
    made = imputations(frame=frame)
    made.export(path(tmp_path, kind), kind)
    assert_same(Imputations.load(path(tmp_path, kind)), made)


def test_line_breaks_in_spss(tmp_path):
    pytest.importorskip("pyreadstat", reason="pyreadstat is not installed")
    made = imputations(frame=receiver().assign(note=["a\nb", " a", "\n", "x\r\ny", None, ""] * 2))
    made.export(tmp_path / "x.sav", "spss")
    assert_same(Imputations.load(tmp_path / "x.sav"), made)


def test_missing_text_only_and_empty_text_only(tmp_path):
    """A program that can't tell them apart still gives both back."""
    made = imputations(frame=receiver().assign(none=[None] * 12, empty=[""] * 12, first=["", *["a"] * 11]))
    made.export(tmp_path / "x.dta", "stata")
    assert_same(Imputations.load(tmp_path / "x.dta"), made)
