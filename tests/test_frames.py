"""Frames and files: any library's frame as it is, any common format without loss, and nothing else."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.errors import SurveyError
from microimpute.frames import READABLE, aligned, as_frame, make_series

BIG = 2**53 + 1  # the first whole number that float64 can't hold
FRAME = pd.DataFrame(
    {
        "whole": pd.array([1, None, BIG], dtype="Int64"),
        "pay": [0.1, -2.5e10, None],
        "place": ["Zürich", None, "07"],
        "owner": [True, False, True],
    }
)
WRITE = {
    "a.csv": lambda path: FRAME.to_csv(path, index=False),
    "A.CSV.GZ": lambda path: FRAME.to_csv(path, index=False, compression="gzip"),
    "A.CSV": lambda path: FRAME.to_csv(path, index=False),
    "a.csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "a.b.parquet": lambda path: FRAME.to_parquet(path),
    "A.Parquet": lambda path: pl.from_pandas(FRAME).write_parquet(path),
}


FRAMES = {"pandas": FRAME, "polars": pl.from_pandas(FRAME), "arrow": pa.Table.from_pandas(FRAME)}


def plain(series):
    return series.to_arrow().to_pylist()


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frames_are_taken_as_they_are(frame):
    taken = as_frame(frame)
    assert taken.to_native() is frame
    assert taken.columns == list(FRAME.columns)


@pytest.mark.parametrize("name", WRITE)
def test_files_keep_values_types_and_gaps(name, tmp_path):
    WRITE[name](tmp_path / name)
    for source in (tmp_path / name, str(tmp_path / name)):
        frame = as_frame(source)
        assert [str(t) for t in frame.schema.values()] == ["Int64", "Float64", "String", "Boolean"]
        assert plain(frame["whole"]) == [1, None, BIG]
        assert plain(frame["pay"]) == [0.1, -2.5e10, None]
        assert plain(frame["place"]) == ["Zürich", None, "07"]
        assert plain(frame["owner"]) == [True, False, True]


def test_an_index_with_a_name_is_a_column_of_parquet_and_others_are_none(tmp_path):
    plain_index, filtered = FRAME[["pay", "place"]], FRAME[["pay", "place"]].iloc[[2, 0, 1]]
    named = FRAME[["pay", "whole", "place"]].set_index(["whole", "place"])
    for n, (frame, columns) in enumerate(
        [(plain_index, {"pay", "place"}), (filtered, {"pay", "place"}), (named, {"pay", "place", "whole"})]
    ):
        frame.to_parquet(tmp_path / f"{n}.parquet")
        back = as_frame(tmp_path / f"{n}.parquet")
        assert set(back.columns) == columns
        assert back.to_native().index.tolist() == [0, 1, 2]
        assert plain(back["place"]) == pa.array(frame.reset_index()["place"]).to_pylist()


def test_stata_files_keep_numbers_text_and_value_labels(tmp_path):
    labelled = pd.Categorical(["no", "yes", "no"], ["no", "yes"], ordered=True)
    frame = pd.DataFrame({"n": np.array([1, 2, 3], "int32"), "x": [0.5, np.nan, 2], "t": ["a", "b", "c"]})
    frame.assign(rent=labelled).to_stata(tmp_path / "a.dta", write_index=False)
    back = as_frame(tmp_path / "a.dta")
    assert back["n"].dtype.is_integer()
    wanted = {"n": [1, 2, 3], "x": [0.5, None, 2], "t": ["a", "b", "c"], "rent": ["no", "yes", "no"]}
    assert {c: plain(back[c]) for c in back.columns} == wanted


whole = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(whole, st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=8))
def test_numbers_come_back_exactly(tmp_path_factory, rows):
    place = tmp_path_factory.mktemp("numbers")
    table = pa.table({"i": pa.array([r[0] for r in rows], pa.int64()), "f": [r[1] for r in rows]})
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    frame.to_csv(place / "a.csv", index=False)
    frame.to_parquet(place / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        back = as_frame(place / name)
        assert plain(back["i"]) == table["i"].to_pylist()
        assert plain(back["f"]) == table["f"].to_pylist()


@pytest.mark.parametrize("name", ["a.feather", "a.arrow", "a.xlsx", "csv", "a.csv.zip"])
def test_other_formats_are_refused_with_those_that_are_known(name, tmp_path):
    FRAME.to_feather(tmp_path / name)
    with pytest.raises(SurveyError) as caught:
        as_frame(tmp_path / name)
    assert f"{name} has an ending that is not known" in caught.value.problem
    assert all(ending in caught.value.remedy for ending in READABLE)


@pytest.mark.parametrize("ending", READABLE)
@pytest.mark.parametrize(
    "start",
    [
        b"<!DOCTYPE html>",
        b"\n  <HTML lang='en'>",
        b"<?xml version='1.0'?>",
        b"\xef\xbb\xbf<html>",
        b"<!-- a -->\n<html>",
    ],
)
@pytest.mark.parametrize("packed", [bytes, gzip.compress, lambda page: page.decode().encode("utf-16")])
def test_web_pages_under_a_data_files_name(start, ending, packed, tmp_path):
    (tmp_path / f"a{ending}").write_bytes(packed(start + b"<body>a,b\n1,2\n</body></html>"))
    with pytest.raises(SurveyError, match=r"is a web page, not a data file.*Download the file itself"):
        as_frame(tmp_path / f"a{ending}")


def test_a_table_that_speaks_of_html_is_no_web_page(tmp_path):
    (tmp_path / "a.csv").write_text("page,n\n<!doctype html>,1\n<html>,2\n")
    assert as_frame(tmp_path / "a.csv")["n"].to_list() == [1, 2]


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("ending", [".csv.gz", ".parquet", ".dta"])
def test_files_that_are_cut_off(ending, share, tmp_path):
    path, numbers = tmp_path / f"a{ending}", pd.DataFrame({"x": np.random.default_rng(0).random(2000)})
    {".csv.gz": numbers.to_csv, ".parquet": numbers.to_parquet, ".dta": numbers.to_stata}[ending](path)
    full = path.read_bytes()
    path.write_bytes(full[: int(len(full) * share)])
    with pytest.raises(SurveyError, match=rf"a{ending} can't be read: .+it may be cut off"):
        as_frame(path)


@pytest.mark.parametrize(
    ("text", "where"), [("n,place\n1,Zürich\n", "column 'place'"), ("n,plaça\n1,b\n", "its header")]
)
def test_text_that_is_not_utf_8(text, where, tmp_path):
    (tmp_path / "a.csv").write_text(text, encoding="latin-1")
    with pytest.raises(SurveyError, match=rf"a.csv is not UTF-8: {where} can't be read as text\. Convert it.*iconv"):
        as_frame(tmp_path / "a.csv")


def test_files_with_nothing_or_the_wrong_thing_inside(tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "zipped.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    for name in ("empty.csv", "zipped.csv", "text.parquet", "ragged.csv"):
        with pytest.raises(SurveyError, match=f"{name} can't be read"):
            as_frame(tmp_path / name)
    for missing in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(SurveyError, match=f"there is no file {missing}"):
            as_frame(missing)


TWICE = pd.DataFrame([[1, 2]], columns=["a", "a"])
DOUBLED = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])


@pytest.mark.parametrize("thing", [{"a": [1]}, [1], np.ones((2, 2)), None])
def test_what_is_not_a_table(thing):
    with pytest.raises(SurveyError, match=f"{type(thing).__name__} is not a table") as caught:
        as_frame(thing)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (TWICE, r"column name 'a' stands for several columns\. Rename or drop all but one"),
        (DOUBLED, r"column name 'a' stands for several columns\. Rename or drop all but one"),
        (pl.LazyFrame({"a": [1]}), r"LazyFrame is not a table yet\. Have it computed first: frame\.collect\(\)"),
        (pd.Series([1]), "a single column was given"),
        (pl.Series([1]), "a single column was given"),
    ],
)
def test_what_is_nearly_a_table_is_refused_with_its_own_remedy(thing, said):
    with pytest.raises(SurveyError, match=said):
        as_frame(thing)


@pytest.mark.parametrize("columns", [[0, 1], ["a", 1], [("a", "b"), ("a", "c")]])
def test_column_names_that_are_no_text(columns):
    with pytest.raises(SurveyError, match=r"column name .+ is no text\. Rename the columns"):
        as_frame(pd.DataFrame([[1, 2]], columns=columns))


def test_new_columns_meet_rows_by_position():
    for frame in (FRAME.set_index(pd.Index([2, 0, 0])), FRAMES["polars"], FRAMES["arrow"]):
        table = as_frame(frame)
        column = aligned(make_series("new", [5, 6, 7], None, table.implementation), table)
        assert table.with_columns(column)["new"].to_list() == [5, 6, 7]
        if isinstance(frame, pd.DataFrame):
            assert column.to_native().index.equals(frame.index)
