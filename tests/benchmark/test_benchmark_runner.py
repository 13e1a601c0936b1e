"""Running suites: misbehaving methods, workers, kills and resuming, tasks that can't run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from own_files import ODD, QUICK, TASK, same, suite, write_task

import microimpute.benchmark.cell as cell_file
import microimpute.benchmark.suite as suite_file
from microimpute.benchmark.journal import read
from microimpute.benchmark.runner import benchmark, run_suite
from microimpute.benchmark.scores import FLOOR, Scores
from microimpute.cli import main
from microimpute.errors import BenchmarkError
from microimpute.methods.base import method as method_named

TIMED = ["seconds", "peak_mb"]


@pytest.fixture
def quick(monkeypatch):
    """Leave out slow metrics; holds with one worker only."""
    monkeypatch.setattr(cell_file, "metrics", lambda: QUICK)


@pytest.fixture
def odd(quick, monkeypatch):
    """Let methods that misbehave be named; returns the mapping, which a test may change."""
    known = dict(ODD)

    def find(name, settings=None):
        return known[name](**(settings or {})) if name in known else method_named(name, settings)

    for module in (cell_file, suite_file):
        monkeypatch.setattr(module, "method", find)
    return known


def cells(scores: Scores) -> pd.DataFrame:
    return scores.cells.drop(columns=TIMED)


def counted(monkeypatch) -> list:
    """Return a list that each cell joins when it is run."""
    run, ran = cell_file.run_cell, []

    def noted(cell, data, limit):
        ran.append((cell.task, cell.seed, cell.contender.label))
        return run(cell, data, limit)

    monkeypatch.setattr("microimpute.benchmark.runner.run_cell", noted)
    return ran


# A method's faults are its results.


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("raises", "failed", "ValueError: no such donor"),
        ("flat", "failed", "'flat' drew the shape (120,). It must draw (120, 4)."),
        ("gaps", "gate", "draws are missing or infinite"),
        ("unknown", "gate", "support"),
        ("enormous", "failed", "can't be scored"),
    ],
)
def test_a_method_that_misbehaves_is_told_and_others_go_on(odd, tmp_path, name, status, reason):
    told = []
    small = suite(write_task(tmp_path), methods=(name, "hotdeck"))
    scores = run_suite(small, workers=1, out=tmp_path / "out", progress=lambda step, share: told.append((step, share)))
    table = scores.cells.set_index("method")
    assert table.loc[name, "status"] == status
    assert reason in table.loc[name, "reason"]
    assert (table.drop(index=name)["status"] == "ok").all()
    assert list(scores.failed["method"]) == ([name] if status == "failed" else [])
    assert any(name in step and status in step and reason in step for step, _ in told)
    assert told[-1][1] == 1.0
    families = scores.families().droplevel(["task", "arm", "seed"])
    assert families.loc["hotdeck"].gt(FLOOR).any()
    assert families.loc[name].dropna().eq(FLOOR).all()  # nothing that could be scored: the worst in all
    assert Scores.of(read(tmp_path / "out" / "results.jsonl")).frame.equals(scores.frame)


def test_missing_draws_shut_their_gate_by_their_share(odd, tmp_path):
    scores = run_suite(suite(write_task(tmp_path), methods=("gaps",)), workers=1)
    assert scores.cells.set_index("method").loc["gaps", "missing"] == pytest.approx(0.5)


def test_a_limit_of_time_is_a_gate_and_is_judged_anew_when_it_changes(quick, tmp_path, monkeypatch):
    path, out = write_task(tmp_path), tmp_path / "out"
    scores = run_suite(suite(path, limit=1e-9), workers=1, out=out).cells.set_index("method")
    assert scores.loc["hotdeck", "status"] == "gate"
    assert "seconds over" in scores.loc["hotdeck", "reason"]
    ran = counted(monkeypatch)
    again = run_suite(suite(path, limit=1e9), workers=1, out=out).cells.set_index("method")
    assert again.loc["hotdeck", "status"] == "ok"
    assert {label for _, _, label in ran} == {"null", "hotdeck"}
    run_suite(suite(path, limit=1e8), workers=1, out=out)
    assert len(ran) == 2


# The command line.


def invoke(*words) -> object:
    return CliRunner().invoke(main, [str(w) for w in words])


def suite_file_for(path: Path, *methods: str, seeds: int = 1) -> Path:
    named = "".join(f'[[method]]\nname = "{m}"\n' for m in methods)
    text = f'tasks = ["{path}"]\nseeds = {seeds}\ndraws = 4\nfits = 2\n{named}'
    written = path.parent / "suite.toml"
    written.write_text(text)
    return written


def test_a_failed_cell_makes_exit_code_1_and_is_tried_again(odd, tmp_path, monkeypatch):
    named = suite_file_for(write_task(tmp_path), "raises", "hotdeck")
    first = invoke("benchmark", named, "--out", tmp_path / "out", "--workers", 1)
    assert first.exit_code == 1, first.output
    assert "raises" in first.output
    assert "no such donor" in first.output
    assert (tmp_path / "out" / "leaderboard.html").exists()
    odd["raises"] = type("Mended", (ODD["raises"],), {"draw": ODD["raises"].__mro__[1].draw})
    ran = counted(monkeypatch)
    second = invoke("benchmark", named, "--out", tmp_path / "out", "--workers", 1)
    assert second.exit_code == 0, second.output
    assert "3 of 4 cells are in the journal already" in second.output
    assert [label for _, _, label in ran] == ["raises"]
    assert "no such donor" not in second.output
    pages = invoke("leaderboard", tmp_path / "out" / "results.jsonl", "--out", tmp_path / "pages", "--title", "suite")
    assert pages.exit_code == 0, pages.output
    assert "4 cells" in pages.output  # the failed try is not counted beside the good one
    made = [(tmp_path / folder / "leaderboard.md").read_text() for folder in ("out", "pages")]
    assert made[0] == made[1]


def refused(result, *named: str) -> None:
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    message = result.output[result.output.index("Error:") :]
    assert len(message.strip().splitlines()) == 2, message
    for name in named:
        assert name in message


def test_leaderboard_refuses_what_is_no_journal(tmp_path):
    (tmp_path / "results.jsonl").write_text("my diary")
    refused(invoke("leaderboard", tmp_path / "results.jsonl", "--out", tmp_path / "pages"), "results.jsonl")
    refused(invoke("leaderboard", tmp_path / "nothing.jsonl", "--out", tmp_path / "pages"), "nothing.jsonl")
    (tmp_path / "results.jsonl").write_text("")
    refused(invoke("leaderboard", tmp_path / "results.jsonl", "--out", tmp_path / "pages"), "no finished cell")
    assert not (tmp_path / "pages").exists()


def test_benchmark_refuses_names_and_folders_that_are_not_there(tmp_path):
    out = tmp_path / "out"
    refused(invoke("benchmark", "quik", "--out", out), "'quik'", "'quick'")
    refused(invoke("benchmark", "quick", "--methods", "frost", "--out", out), "'frost'", "'forest'")
    refused(invoke("benchmark", "quick", "--tasks", "scf_smple", "--out", out), "'scf_smple'")
    refused(invoke("benchmark", "quick", "--data", tmp_path / "nowhere", "--out", out), "nowhere", "--data")
    refused(invoke("benchmark", "quick", "--tasks", "eusilc_incomes", "--out", out), "'eusilc_incomes'", "--data")
    refused(invoke("benchmark", "quick", "--tasks", "eusilc_incomes", "--data", tmp_path, "--out", out), str(tmp_path))
    assert not out.exists()


def test_folders_that_can_not_be_used(tmp_path):
    (tmp_path / "out").write_text("mine")
    refused(invoke("benchmark", suite_file_for(write_task(tmp_path), "hotdeck"), "--out", tmp_path / "out"), "out")
    assert (tmp_path / "out").read_text() == "mine"
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.jsonl").write_text("my diary")
    refused(invoke("benchmark", tmp_path / "suite.toml", "--out", tmp_path / "results"), "results.jsonl")
    assert (tmp_path / "results" / "results.jsonl").read_text() == "my diary"


def test_tasks_that_can_not_run_are_left_out_and_listed(quick, tmp_path):
    good = write_task(tmp_path / "good")
    lacking = write_task(tmp_path / "lacking", truth=lambda f: f.drop(columns="income"))
    gone = write_task(tmp_path / "gone")
    (tmp_path / "gone" / "donor.parquet").unlink()
    named = suite_file_for(good, "hotdeck")
    chosen = ",".join(map(str, (good, lacking, gone, "eusilc_incomes")))
    said = ("benchmark", named, "--tasks", chosen, "--out", tmp_path / "out", "--workers", 1, "--data", tmp_path)
    result = invoke(*said)
    assert result.exit_code == 0, result.output
    listed = [line for line in result.output.splitlines() if "! not run:" in line]
    assert len(listed) == 3
    for name in ("donor.parquet does not exist", "eusilc", "predictor 'income' is not in the receiver"):
        assert sum(name in line for line in listed) == 1, listed
    assert {r["task"] for r in read(tmp_path / "out" / "results.jsonl")} == {str(good)}


def test_the_remedy_is_the_tasks_own_when_nothing_can_run(quick, tmp_path):
    path = write_task(tmp_path, truth=lambda f: f.drop(columns="wealth"))
    with pytest.raises(BenchmarkError, match="no task can run: task 'own': the truth has no column 'wealth'") as caught:
        run_suite(suite(path), workers=1)
    assert caught.value.remedy == "Mend the task file."


# Resuming.


def test_finished_cells_are_not_run_again(quick, tmp_path, monkeypatch):
    path, out = write_task(tmp_path), tmp_path / "out"
    once = run_suite(suite(path, seeds=2), workers=1, out=out)
    written = (out / "results.jsonl").read_bytes()
    ran = counted(monkeypatch)
    told = []
    again = run_suite(suite(path, seeds=2), workers=1, out=out, progress=lambda step, share: told.append(step))
    assert ran == []
    assert told == ["6 of 6 cells are in the journal already"]
    assert (out / "results.jsonl").read_bytes() == written
    same(again.frame, once.frame)
    same(again.cells, once.cells)
    same(again.audits, once.audits)
    more = run_suite(suite(path, seeds=3, methods=("hotdeck", "shuffle")), workers=1, out=out)
    assert len(ran) == 12 - 6
    assert (out / "results.jsonl").read_bytes().startswith(written)
    whole = run_suite(suite(path, seeds=3, methods=("hotdeck", "shuffle")), workers=1)
    same(more.frame, whole.frame)
    same(cells(more), cells(whole))


def test_changed_data_are_run_again(quick, tmp_path, monkeypatch):
    out = tmp_path / "out"
    before = run_suite(suite(write_task(tmp_path)), workers=1, out=out)
    ran = counted(monkeypatch)
    path = write_task(tmp_path, truth=lambda f: f.assign(wealth=f["wealth"] * 2))
    after = run_suite(suite(path), workers=1, out=out)
    assert len(ran) == 3
    assert not after.frame["value"].equals(before.frame["value"])
    run_suite(suite(write_task(tmp_path)), workers=1, out=out)
    assert len(ran) == 3  # the first data's cells are still there


def test_a_line_that_was_cut_off_is_made_again(quick, tmp_path):
    path, out = write_task(tmp_path), tmp_path / "out"
    once = run_suite(suite(path), workers=1, out=out)
    journal = out / "results.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    told = []
    again = run_suite(suite(path), workers=1, out=out, progress=lambda step, share: told.append(step))
    assert told[0] == "the journal's last line was cut off and is made again"
    assert told[1] == "2 of 3 cells are in the journal already"
    same(again.frame, once.frame)
    assert len(read(journal)) == 3


def test_the_verb(quick, tmp_path):
    scores = benchmark([str(write_task(tmp_path))], ["hotdeck"], 1, workers=1)
    assert scores.methods == ["hotdeck"]
    assert not list(tmp_path.glob("**/results.jsonl"))
    with pytest.raises(BenchmarkError, match="seeds is 0"):
        benchmark(seeds=0)


def test_notes_of_a_task_are_in_its_records(quick, tmp_path):
    path = write_task(tmp_path, TASK.replace('weight = "weight"\n', ""))
    run_suite(suite(path), workers=1, out=tmp_path / "out")
    for record in read(tmp_path / "out" / "results.jsonl"):
        assert record["notes"] == ["No weight is named: every row counts 1."]
        assert record["track"] == "own"
        assert record["rows"] == {"donors": 120, "receivers": 120}


# In other processes, with all metrics.


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Path of a suite on one small task, and its scores from one worker."""
    path = write_task(tmp_path_factory.mktemp("whole"))
    return suite_file_for(path, "forest", seeds=2), run_suite(suite(path, methods=("forest",), seeds=2), workers=1)


def test_workers_do_not_change_results(uninterrupted):
    named, one = uninterrupted
    two = run_suite(suite_file.Suite.read(named), workers=2)
    same(two.frame, one.frame)
    same(cells(two), cells(one))
    same(two.audits, one.audits)


def test_a_task_that_fails_in_a_worker_is_left_out(uninterrupted, tmp_path):
    lacking = write_task(tmp_path, truth=lambda f: f.drop(columns="wealth"))
    with pytest.raises(BenchmarkError, match="the truth has no column 'wealth'"):
        run_suite(suite(lacking), workers=2)


def command(named: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "microimpute.cli", "benchmark", str(named), "--out", str(out), *more]


def test_killed_in_the_middle_and_started_again(uninterrupted, tmp_path):
    named, whole = uninterrupted
    journal = tmp_path / "results.jsonl"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    running = subprocess.Popen(command(named, tmp_path, "--workers", "1"), **quiet)
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        assert running.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    kept = journal.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    finished = kept.count(b"\n")
    assert 2 <= finished < 6
    again = subprocess.run(command(named, tmp_path, "--workers", "1"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{finished} of 6 cells are in the journal already" in again.stderr
    assert journal.read_bytes().startswith(kept)  # the same lines, "at" stamps and all
    records = read(journal)
    assert len(records) == 6
    places = {(r["seed"], r["label"]) for r in records}
    assert places == {(seed, label) for seed in (0, 1) for label in ("null", "oracle", "forest")}
    scores = Scores.of(records)
    same(scores.frame, whole.frame)
    same(cells(scores), cells(whole))


PLUGIN = """
from microimpute.methods.shuffle import Shuffle

class Broken(Shuffle):
    name = "broken"

    def fit(self, X, Y, weight, rng):
        raise MemoryError("the donors do not fit")
"""


def test_a_third_partys_method_that_fails(tmp_path):
    site = tmp_path / "site"
    facts = site / "broken_method-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "broken_method.py").write_text(PLUGIN)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-method\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[microimpute.methods]\nbroken = broken_method:Broken\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    named = suite_file_for(write_task(tmp_path), "broken", "hotdeck")
    said = command(named, tmp_path / "out", "--workers", "1")
    result = subprocess.run(said, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "broken" in result.stderr
    assert "MemoryError: the donors do not fit" in result.stderr
    assert "Traceback" not in result.stderr
    records = {r["label"]: r for r in read(tmp_path / "out" / "results.jsonl")}
    status = {label: record["status"] for label, record in records.items()}
    assert status == {"null": "ok", "oracle": "ok", "broken": "failed", "hotdeck": "ok"}
    assert records["broken"]["seconds"] >= 0
