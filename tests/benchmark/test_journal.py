"""The journal: whole lines survive anything, and only the same cell is reused."""

import gzip
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.benchmark import journal as journal_file
from microimpute.benchmark.journal import Journal, identity, read
from microimpute.benchmark.suite import Cell, Contender
from microimpute.errors import BenchmarkError

CELL = Cell("scf_sample", "split", 0, Contender("few", "forest", {"trees": 3}), 4, 2)


def record(cell: Cell = CELL, data: str = "d", **more) -> dict:
    rest = {"status": "ok", "reason": "", "values": {"crps": {"debt": 0.25}}, "kinds": {"debt": "count"}, "rows": {}}
    return identity(cell, data) | rest | more


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


def filled(path: Path, number: int = 3) -> list[dict]:
    journal = Journal(path)
    records = [record(replace(CELL, seed=seed)) for seed in range(number)]
    for one in records:
        journal.add(one)
    return records


def test_append_and_read_back(path):
    records = filled(path)
    assert read(path) == records
    again = Journal(path)
    assert not again.cut
    assert [again.find(identity(replace(CELL, seed=s), "d")) for s in range(4)] == [*records, None]
    again.add(record(replace(CELL, seed=9)))
    assert len(read(path)) == 4


def test_a_record_is_on_disk_at_once_and_found(path):
    journal = Journal(path)
    assert journal.find(identity(CELL, "d")) is None
    journal.add(record())
    assert read(path) == [record()]
    assert journal.find(identity(CELL, "d")) == record()


def test_nothing_is_made_before_the_first_record(path):
    Journal(path)
    assert not path.exists()


def test_a_last_line_that_was_cut_off_is_removed_and_said(path):
    records = filled(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert read(path) == records[:2]
    journal = Journal(path)
    assert journal.cut
    assert journal.find(identity(replace(CELL, seed=2), "d")) is None
    journal.add(records[2])
    assert path.read_bytes() == whole


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_cut_leaves_the_lines_before_it(data):
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    reasons = data.draw(st.lists(text, min_size=1, max_size=4))
    records = [record(replace(CELL, seed=s), reason=r, values={r: {r: 0.5}}) for s, r in enumerate(reasons)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        for one in records:
            Journal(path).add(one)
        assert read(path) == records
        whole = path.read_bytes()
        ends = [0, *(i + 1 for i, byte in enumerate(whole) if byte == ord("\n"))]
        assert len(ends) == len(records) + 1
        place = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:place])
        journal = Journal(path)
        kept = sum(end <= place for end in ends) - 1
        assert journal.cut == (place not in ends)
        assert list(journal.records.values()) == records[:kept]
        assert path.read_bytes() == whole[: ends[kept]]
        for one in records[kept:]:
            journal.add(one)
        assert path.read_bytes() == whole


LINE = json.dumps(record())


@pytest.mark.parametrize(
    "content",
    [
        b"my diary",
        b"my diary\n",
        b"two\nlines",
        b"{}\n",
        b"3\n",
        b"[]\n",
        b"\n",
        b"\xff\xfe\n",
        b"PAR1\x00\x01\nPAR1",
        LINE.encode() + b"\nnot mine\n",
        LINE.encode() + b"\nnot mine",
        LINE.replace('"status"', '"state"').encode() + b"\n",
        LINE.replace('"settings"', '"setting"').encode() + b"\n",
    ],
)
def test_another_file_is_refused_by_name_and_left_as_it_is(path, content):
    path.write_bytes(content)
    for opened in (Journal, read):
        with pytest.raises(BenchmarkError, match=r"results\.jsonl is not a benchmark's results"):
            opened(path)
    assert path.read_bytes() == content


def test_gzipped_journals_are_read(path):
    records = filled(path)
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(packed) == records
    whole = packed.read_bytes()
    damaged = whole[:30] + bytes([whole[30] ^ 255, whole[31] ^ 255]) + whole[32:]
    for content in (whole[: len(whole) // 2], damaged, b"not packed\n", LINE.encode() + b"\n"):
        packed.write_bytes(content)
        with pytest.raises(BenchmarkError, match="is not a benchmark's results"):
            read(packed)


def test_files_that_are_not_there_or_have_nothing(path):
    with pytest.raises(BenchmarkError, match=r"results\.jsonl"):
        read(path)
    with pytest.raises(BenchmarkError, match="is not a benchmark's results"):
        read(path.parent)
    path.write_text("")
    assert not Journal(path).cut
    with pytest.raises(BenchmarkError, match="no finished cell"):
        read(path)


def journals(tmp_path, *of):
    paths = []
    for number, records in enumerate(of):
        paths.append(tmp_path / f"{number}.jsonl.gz")
        lines = "".join(json.dumps(one) + "\n" for one in records)
        paths[-1].write_bytes(gzip.compress(lines.encode()))
    return paths


def of(label, data="d", **more):
    return record(replace(CELL, contender=Contender(label, label)), data, **more)


def test_journals_of_several_methods_are_read_as_one(tmp_path):
    first, second = [of("null"), of("hotdeck")], [of("hotdeck", code="new"), of("srmi")]
    assert read(*journals(tmp_path, first, second)) == [*first, *second]
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(BenchmarkError, match=r"empty\.jsonl has no finished cell"):
        read(*journals(tmp_path, first), empty)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (of("srmi", "e"), "'null' and 'srmi' differ in data (task scf_sample, arm split, seed 0), \"d\" and \"e\""),
        (of("srmi") | {"draws": 8}, "differ in draws (task scf_sample, arm split, seed 0), 4 and 8"),
        (of("srmi") | {"fits": 1}, "differ in fits"),
        (
            of("hotdeck") | {"seed": 1, "settings": {"groups": 3}},
            'differ in settings (label hotdeck), {} and {"groups": 3}',
        ),
        (of("hotdeck") | {"seed": 1, "method": "rank"}, "differ in method (label hotdeck)"),
    ],
    ids=["data", "draws", "fits", "settings", "method"],
)
def test_what_can_not_be_compared_is_refused(tmp_path, other, said):
    paths = journals(tmp_path, [of("null"), of("hotdeck")], [other])
    with pytest.raises(BenchmarkError) as raised:
        read(*paths)
    assert said in str(raised.value)
    assert all(str(path) in str(raised.value) for path in paths)
    assert read(paths[1]) == [other]


def test_a_record_that_a_later_one_replaces_is_no_obstacle(tmp_path):
    """All cells of an instance were run again on new data."""
    old, new = [of("null"), of("hotdeck")], [of("null", "e"), of("hotdeck", "e") | {"settings": {"groups": 3}}]
    assert read(*journals(tmp_path, old, new)) == [*old, *new]


def test_failed_cells_are_tried_again_and_gated_ones_are_not(path):
    journal = Journal(path)
    journal.add(record(status="failed", values={}))
    assert journal.find(identity(CELL, "d")) is None
    assert Journal(path).find(identity(CELL, "d")) is None
    journal.add(record(status="gate"))
    assert Journal(path).find(identity(CELL, "d"))["status"] == "gate"


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, task="other"),
        replace(CELL, arm="selected"),
        replace(CELL, seed=1),
        replace(CELL, draws=8),
        replace(CELL, fits=4),
        replace(CELL, contender=Contender("other", "forest", {"trees": 3})),
        replace(CELL, contender=Contender("few", "hotdeck", {"trees": 3})),
        replace(CELL, contender=Contender("few", "forest", {"trees": 4})),
        replace(CELL, contender=Contender("few", "forest")),
    ],
    ids=["task", "arm", "seed", "draws", "fits", "label", "method", "setting", "no setting"],
)
def test_another_cell_is_not_reused(path, other):
    Journal(path).add(record())
    assert Journal(path).find(identity(CELL, "d")) is not None
    assert Journal(path).find(identity(other, "d")) is None


def test_other_data_or_code_is_not_reused(path, monkeypatch):
    Journal(path).add(record())
    assert Journal(path).find(identity(CELL, "other")) is None
    changed = journal_file.versions() | {"code": "other"}
    monkeypatch.setattr(journal_file, "versions", lambda: changed)
    assert Journal(path).find(identity(CELL, "d")) is None


def test_the_order_of_settings_does_not_matter(path):
    Journal(path).add(record(replace(CELL, contender=Contender("few", "forest", {"trees": 3, "leaf": 5}))))
    other = replace(CELL, contender=Contender("few", "forest", {"leaf": 5, "trees": 3}))
    assert Journal(path).find(identity(other, "d")) is not None


def test_the_code_hash_is_of_what_changes_results(tmp_path, monkeypatch):
    package = tmp_path / "microimpute"
    silent = ("cli.py", "commands/impute.py", "report/words.py", "benchmark/page.py")
    for name in ("__init__.py", "rules.py", *silent, "metrics/tails.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("a = 1\n")
    monkeypatch.setattr("microimpute.benchmark.journal.microimpute.__file__", str(package / "__init__.py"))
    before = journal_file._code()
    for name in silent:
        (package / name).write_text("a = 2\n")
        assert journal_file._code() == before
    for name in ("rules.py", "metrics/tails.py"):
        (package / name).write_text("a = 2\n")
        assert journal_file._code() != before
        before = journal_file._code()
