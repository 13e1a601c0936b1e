"""Stata's files, byte by byte: there is no Stata here, so the format's own documentation is the judge."""

import struct
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from made import LABELS, imputations, of, receiver

from microimpute import Imputations
from microimpute.errors import OutputError
from microimpute.export import stata

#: Seconds from 1960 to the moment that tests write at.
MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
UPDATE = (64 * 365 + 16 + 31 + 29 + 31 + 30 + 5) * 86400 + 7 * 3600 + 8 * 60 + 9


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(stata, "now", lambda: MOMENT)


def written(tmp_path, made=None, name="stata"):
    (made or imputations()).export(tmp_path / "out.dta", name)
    return (tmp_path / "out.dta").read_bytes()


def between(data, tag):
    return data.split(f"<{tag}>".encode(), 1)[1].split(f"</{tag}>".encode(), 1)[0]


def characteristic(name, text):
    """The layout of one characteristic in format 118, written out by hand."""
    body = b"_dta" + bytes(125) + name + bytes(129 - len(name)) + text + b"\0"
    return b"<ch>" + struct.pack("<I", 258 + len(text) + 1) + body + b"</ch>"


@pytest.mark.parametrize("name", ["stata", "stata-mlong"])
def test_characteristics_byte_by_byte(name, tmp_path):
    style = [(b"_mi_style", b"flong")] if name == "stata" else [(b"_mi_style", b"mlong")]
    marginal = [] if name == "stata" else [(b"_mi_n", b"12")]
    wanted = [
        (b"_mi_marker", b"_mi_ds_1"),
        *style,
        (b"_mi_M", b"3"),
        (b"_mi_N", b"12"),
        *marginal,
        (b"_mi_ivars", b"wealth children renter region health"),
        (b"_mi_pvars", b"total"),
        (b"_mi_rvars", b"id weight age income owner comment class born"),
        (b"_mi_update", str(UPDATE).encode()),
    ]
    assert between(written(tmp_path, name=name), "characteristics") == b"".join(characteristic(*w) for w in wanted)


def test_the_map_points_at_every_part(tmp_path):
    data = written(tmp_path)
    places = struct.unpack("<14Q", between(data, "map"))
    tags = [
        *("stata_dta", "map", "variable_types", "varnames", "sortlist", "formats", "value_label_names"),
        *("variable_labels", "characteristics", "data", "strls", "value_labels", "/stata_dta"),
    ]
    for place, tag in zip(places, tags, strict=False):
        assert data[place:].startswith(f"<{tag}>".encode()), tag
    assert places[13] == len(data)
    assert between(data, "release") == b"118"


def test_rows_are_as_mi_wants_them(tmp_path):
    made = imputations()
    written(tmp_path, made)
    frame = pd.read_stata(tmp_path / "out.dta", convert_categoricals=False, convert_dates=False, convert_missing=True)
    assert list(frame.columns) == ["_mi_m", "_mi_id", *receiver().columns, *made.columns, "_mi_miss"]
    assert frame["_mi_m"].tolist() == np.repeat(range(4), 12).tolist()
    assert frame["_mi_id"].tolist() == list(range(1, 13)) * 4
    original, later = frame[frame["_mi_m"] == 0], frame[frame["_mi_m"] > 0]
    for column in made.columns:  # only `.` is imputable; .a to .z are not
        assert [str(v) for v in original[column]] == ["."] * 12
        assert not any(isinstance(v, pd.io.stata.StataMissingValue) for v in later[column])
    assert original["_mi_miss"].tolist() == [1] * 12
    assert [str(v) for v in later["_mi_miss"]] == ["."] * 36
    assert {str(v) for v in original["age"] if isinstance(v, pd.io.stata.StataMissingValue)} == {"."}
    for i in range(1, 4):
        assert later.loc[later["_mi_m"] == i, "wealth"].tolist() == made.numbers("wealth")[i - 1].tolist()


def test_types_are_as_small_as_they_can_be(tmp_path):
    data = written(tmp_path)
    codes = struct.unpack("<17H", between(data, "variable_types"))
    byte, whole, long, double = 65530, 65529, 65528, 65526
    text = max(len(str(t or "").encode()) for t in receiver()["comment"])
    own = [double, double, byte, double, byte, text, byte, whole]
    assert list(codes) == [whole, long, *own, double, whole, byte, byte, byte, double, byte]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([-127, 100], 65530),
        ([-128, 0], 65529),
        ([0, 101], 65529),
        ([-32767, 32740], 65529),
        ([0, 32741], 65528),
        ([-2147483647, 2147483620], 65528),
        ([0, 2147483621], 65526),
        ([0, 2**53], 65526),
    ],
)
def test_no_number_falls_among_stata_s_missing_values(values, code, tmp_path):
    frame = receiver().assign(edge=values * 6)
    made = imputations(frame=frame)
    data = written(tmp_path, made)
    assert struct.unpack("<18H", between(data, "variable_types"))[10] == code
    assert Imputations.load(tmp_path / "out.dta").receiver.frame["edge"].to_list() == values * 6


def test_labels_survive(tmp_path):
    written(tmp_path)
    with pd.io.stata.StataReader(tmp_path / "out.dta") as reader:
        said, levels = reader.variable_labels(), reader.value_labels()
    assert said["age"] == LABELS["age"]
    assert said["weight"] == "final household weight"
    assert said["wealth"] == "net worth of the household"
    assert said["health"] == "imputed by hotdeck"
    assert said["total"] == "total of imputed columns"
    assert levels["health"] == {1: "bad", 2: "fair", 3: "good"}
    assert levels["class"] == {1: "lo", 2: "mid", 3: "hi"}
    assert levels["region"] == {1: "north", 2: "south", 3: "Île-de-France"}
    assert levels["renter"] == {0: "false", 1: "true"}


def test_dates_are_stata_s(tmp_path):
    written(tmp_path)
    plain = pd.read_stata(tmp_path / "out.dta", convert_dates=False, convert_categoricals=False)
    assert plain["born"].iloc[0] == (pd.Timestamp("1950-03-01") - pd.Timestamp("1960-01-01")).days
    assert pd.read_stata(tmp_path / "out.dta", convert_categoricals=False)["born"].iloc[0] == pd.Timestamp("1950-03-01")


def test_names_are_shortened_apart_and_told(tmp_path):
    long = "a_name_of_more_than_thirty_two_characters"
    frame = receiver().assign(**{f"{long}_1": 1, f"{long}_2": 2, "é t": 3, "2nd": 4, "if": 5, "_mi_m": 6, long[:32]: 7})
    notes = imputations(frame=frame).export(tmp_path / "out.dta", "stata")
    names = list(pd.read_stata(tmp_path / "out.dta", convert_categoricals=False).columns)[10:17]
    kept = "a_name_of_more_than_thirty_two_c"
    assert names == [f"{kept[:30]}_1", f"{kept[:30]}_2", "__t", "v2nd", "if_", "_mi_m_", kept]
    assert len(notes) == 6
    assert notes[0] == f"'{long}_1' is called '{kept[:30]}_1' in the file."
    back = Imputations.load(tmp_path / "out.dta")
    assert list(back.receiver.columns) == list(frame.columns)
    assert back.receiver.frame[f"{long}_2"].to_list() == [2] * 12


def test_names_of_what_is_imputed_leave_room_for_stata_s_prefix(tmp_path):
    made = imputations()
    name = "x" * 30
    values = {name: made.values["wealth"]}
    one = Imputations(made.receiver, (name,), values, made.manifest)
    assert one.export(tmp_path / "out.dta", "stata") == (f"{name!r} is called {'x' * 29!r} in the file.",)


def test_names_that_cannot_be_told_apart_are_refused(tmp_path):
    frame = pd.DataFrame({("x" * 32) + str(i): [1] for i in range(1001)})
    with pytest.raises(OutputError, match=r"can't be told from 999 others by a name that Stata takes\. Rename"):
        imputations(n=1, frame=frame, weight=None, keys=()).export(tmp_path / "out.dta", "stata")
    assert not list(tmp_path.iterdir())


def test_text_beyond_stata_s_is_refused(tmp_path):
    for text, problem in (("é" * 1023, "text of 2,046 bytes; Stata's hold 2,045"), ("a\0b", "zero byte")):
        with pytest.raises(OutputError, match=f"'note' has .*{problem}"):
            imputations(frame=receiver().assign(note=text)).export(tmp_path / "out.dta", "stata")
    frame = receiver().assign(note="é" * 1022 + "x")
    imputations(frame=frame).export(tmp_path / "out.dta", "stata")
    assert Imputations.load(tmp_path / "out.dta").receiver.frame["note"].to_list() == ["é" * 1022 + "x"] * 12


def test_numbers_beyond_stata_s_are_refused(tmp_path):
    for value, problem in ((2**53 + 1, "more digits than Stata"), (1e308, "more than Stata's"), (np.inf, "infinite")):
        with pytest.raises(OutputError, match=f"'note' .*{problem}"):
            imputations(frame=receiver().assign(note=value)).export(tmp_path / "out.dta", "stata")


def test_levels_beyond_the_writer_s(tmp_path):
    """The receiver's own class goes out as text; one that is imputed can't, and that is said."""
    many = [f"{i:04}" + "x" * 60 for i in range(600)]
    own = receiver(600).assign(job=pd.Categorical(many))
    imputations(n=600, frame=own).export(tmp_path / "out.dta", "stata")
    assert Imputations.load(tmp_path / "out.dta").receiver.frame["job"].to_list() == many
    worse = of(receiver(600), [pd.DataFrame({"job": many})], derived=())
    with pytest.raises(OutputError, match="levels of column 'job' are longer than 32,000 characters"):
        worse.export(tmp_path / "worse.dta", "stata")


def test_a_long_label_is_cut_and_told(tmp_path):
    notes = imputations(labels={"age": "é" * 81}).export(tmp_path / "out.dta", "stata")
    assert notes == ("The label of 'age' is cut to 80 characters.",)
    with pd.io.stata.StataReader(tmp_path / "out.dta") as reader:
        assert reader.variable_labels()["age"] == "é" * 80
    assert Imputations.load(tmp_path / "out.dta").receiver.labels["age"] == "é" * 81


def test_too_many_columns_for_the_list_of_regular_ones(tmp_path):
    frame = pd.DataFrame({f"a_rather_long_name_{i:012}": [1] for i in range(2200)})
    notes = imputations(n=1, frame=frame, weight=None, keys=()).export(tmp_path / "out.dta", "stata")
    assert notes == ("The receiver's own columns are too many for Stata's list and are not registered as regular.",)
    assert b"_mi_rvars" not in (tmp_path / "out.dta").read_bytes()


def test_the_do_file_takes_the_long_way(tmp_path):
    written(tmp_path, imputations(frame=receiver().assign(implicate=1)))
    lines = (tmp_path / "out.do").read_text().splitlines()
    assert 'use "out.dta", clear' in lines
    assert "rename (_mi_m _mi_id) (implicate_ observation)" in lines
    wanted = "imputed(wealth children renter region health) passive(total) clear"
    assert f"mi import flong, m(implicate_) id(observation) {wanted}" in lines


def test_two_exports_are_the_same_bytes(tmp_path):
    one = written(tmp_path)
    (tmp_path / "again").mkdir()
    assert written(tmp_path / "again") == one


def test_characteristics_are_those_of_the_golden_file(shared, tmp_path):
    """R's readers take the golden file; ours has the same characteristics but for the time of the last update."""
    long = pd.read_csv(shared / "golden" / "nhanes_m5_long.csv")
    blocks = [long.loc[long[".imp"] == i, ["bmi", "hyp", "chl"]].reset_index(drop=True) for i in range(1, 6)]
    frame = long.loc[long[".imp"] == 1, ["age"]].reset_index(drop=True)
    ours = between(written(tmp_path, of(frame, blocks, weight=None, keys=(), labels={})), "characteristics")
    golden = between((shared / "golden" / "nhanes_mi_flong.dta").read_bytes(), "characteristics")
    assert ours.replace(characteristic(b"_mi_update", str(UPDATE).encode()), b"") == golden.replace(
        characteristic(b"_mi_update", b"0"), b""
    )
    frame = pd.read_stata(tmp_path / "out.dta")
    theirs = pd.read_stata(shared / "golden" / "nhanes_mi_flong.dta")
    assert list(frame.columns) == list(theirs.columns)
    later = frame["_mi_m"] > 0
    pd.testing.assert_frame_equal(frame[later], theirs[later], check_dtype=False)
