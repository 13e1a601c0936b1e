"""Output directories appear whole or not at all, even when the run is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from microimpute import impute
from microimpute.errors import OutputError
from microimpute.storage import new_directory, read_tables, write_tables
from microimpute.testing import example_donor, example_receiver


def test_appears_only_when_done(tmp_path):
    target = tmp_path / "deep" / "out"
    with new_directory(target) as scratch:
        (scratch / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert [p.name for p in target.parent.iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path):
    def fail():
        with new_directory(tmp_path / "out") as scratch:
            (scratch / "a").write_text("1")
            raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_occupied_places_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("file", "full"):
        with pytest.raises(OutputError, match="not empty"), new_directory(tmp_path / name):
            pass
    with new_directory(tmp_path / "empty"):
        pass
    assert (tmp_path / "full" / "mine").read_text() == "mine"


KILLED = """
import sys, time
from pathlib import Path
from microimpute.storage import new_directory
with new_directory(Path(sys.argv[1])) as scratch:
    (scratch / "imputations.parquet").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_kill_in_the_middle_leaves_no_output_and_the_next_run_works(tmp_path):
    target = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not target.exists()
    with new_directory(target) as scratch:
        (scratch / "whole").write_text("1")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [p.name for p in target.iterdir()] == ["whole"]


def test_an_interrupt_cleans_up(tmp_path):
    target = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 5
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def tables(folder: Path):
    got = impute(example_donor(60), example_receiver(20), targets=["wealth", "debt"], m=2)
    folder.mkdir()
    write_tables(got, folder)
    return got


def test_tables(tmp_path):
    got = tables(tmp_path / "out")
    long = pq.read_table(tmp_path / "out" / "imputations.parquet")
    assert long.column_names == ["implicate", "receiver_row", "wealth", "debt"]
    assert long["implicate"].to_pylist() == [1] * 20 + [2] * 20
    assert long["wealth"].to_pylist() == got.numbers("wealth").ravel().tolist()
    receiver, values, keys = read_tables(tmp_path / "out")
    assert receiver.columns == list(example_receiver(1).columns)
    assert keys == ["receiver_row"]
    assert len(values["wealth"]) == 2


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    tables(tmp_path / "out")
    short = pq.read_table(tmp_path / "out" / "completed.parquet").slice(0, 7)
    pq.write_table(short, tmp_path / "out" / "completed.parquet")
    with pytest.raises(OutputError, match="differ in rows"):
        read_tables(tmp_path / "out")
    pq.write_table(short.drop_columns(["debt"]), tmp_path / "out" / "completed.parquet")
    with pytest.raises(OutputError, match="belong together"):
        read_tables(tmp_path / "out")
    (tmp_path / "out" / "completed.parquet").unlink()
    with pytest.raises(OutputError, match=r"completed\.parquet"):
        read_tables(tmp_path / "out")
