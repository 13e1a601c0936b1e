"""Suites: stock ones, TOML files, and what is refused."""

import pytest
from own_files import suite, write_task

from microimpute.benchmark.runner import run_suite
from microimpute.benchmark.suite import STOCK, Cell, Contender, Suite
from microimpute.errors import BenchmarkError, MethodError
from microimpute.methods.base import methods
from microimpute.tasks.base import task, tasks

TASKS = 'tasks = ["scf_sample"]\n'
FOREST = '[[method]]\nname = "forest"\n'


def read(tmp_path, text: str) -> Suite:
    (tmp_path / "mine.toml").write_text(text)
    return Suite.read(tmp_path / "mine.toml")


def test_stock_suites():
    assert set(STOCK) == {"quick", "full"}
    quick = Suite.read("quick")
    assert quick.tasks == ("scf_sample", "wealth_simulator")
    assert {cell.arm for cell in quick.cells()} == {"split"}
    assert all(not task(name).files for name in quick.tasks)  # runs without any download
    full = Suite.read("full")
    assert set(full.tasks) == set(tasks()) - {"scf_sample"}
    able = {name for name, cls in methods().items() if not cls.missing()}
    assert {c.method for c in full.contenders} == able - {"shuffle"}
    assert full.title == "Full suite" or able < set(methods())


def test_the_full_suite_says_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(methods()["engression"], "missing", classmethod(lambda cls: ("torch",)))
    full = Suite.read("full")
    assert "engression (needs torch)" in full.title
    assert "engression" not in {c.method for c in full.contenders}


def test_cells_stand_instance_by_instance_with_the_anchors_first():
    two = Suite("two", ("wealth_simulator", "drf_1"), (Contender("few", "forest", {"trees": 3}),), seeds=2)
    told = [(c.task, c.arm, c.seed, c.contender.label) for c in two.cells()]
    places = [
        ("wealth_simulator", "split", 0),
        ("wealth_simulator", "split", 1),
        ("wealth_simulator", "selected", 0),
        ("wealth_simulator", "selected", 1),
        ("drf_1", "split", 0),
        ("drf_1", "split", 1),
    ]
    assert told == [(*place, label) for place in places for label in ("null", "oracle", "few")]
    assert two.cells()[2] == Cell("wealth_simulator", "split", 0, two.contenders[0], 20, 5)


def test_a_file_says_everything(tmp_path):
    text = """
title = "Mine"
tasks = ["scf_sample", "wealth_simulator"]
arms = ["selected"]
seeds = 3
first_seed = 7
draws = 8
fits = 4
limit = 30
[[method]]
name = "forest"
[[method]]
name = "forest"
label = "small forest"
trees = 3
"""
    mine = read(tmp_path, text)
    contenders = (Contender("forest", "forest"), Contender("small forest", "forest", {"trees": 3}))
    assert mine == Suite("Mine", ("scf_sample", "wealth_simulator"), contenders, 3, 8, 4, ("selected",), 30, 7)
    assert {cell.seed for cell in mine.cells()} == {7, 8, 9}
    assert read(tmp_path, TASKS + FOREST).title == "mine"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (TASKS + "seds = 3\n" + FOREST, ("mine.toml", "'seds'", "Did you mean 'seeds'?")),
        (FOREST, ("mine.toml", "no tasks")),
        ("tasks = []\n" + FOREST, ("mine.toml", "no tasks")),
        (TASKS, ("mine.toml", "no method")),
        ("tasks = ", ("mine.toml", "TOML")),
        ('tasks = "scf_sample"\n' + FOREST, ("mine.toml", "tasks is 'scf_sample'", "list")),
        ("tasks = 3\n" + FOREST, ("mine.toml", "tasks is 3")),
        ('tasks = ["scf_smple"]\n' + FOREST, ("'scf_smple'", "Did you mean 'scf_sample'?")),
        ('tasks = ["nowhere.toml"]\n' + FOREST, ("nowhere.toml", "can't be read")),
        ('tasks = ["scf_sample", "scf_sample"]\n' + FOREST, ("'scf_sample'", "twice")),
        (TASKS + 'method = "forest"', ("mine.toml", "'forest'", "[[method]]")),
        (TASKS + 'method = ["forest"]', ("mine.toml", "'forest'", "[[method]]")),
        (TASKS + '[method]\nname = "forest"', ("mine.toml", "[[method]]")),
        (TASKS + '[[method]]\nlabel = "a"', ("mine.toml", "no name", "forest")),
        (TASKS + "[[method]]\nname = 3", ("mine.toml", "3")),
        (TASKS + FOREST + "label = 3", ("mine.toml", "3")),
        (TASKS + FOREST + FOREST, ("'forest'", "label")),
        (TASKS + FOREST + 'label = "null"', ("'null'", "label")),
        (TASKS + FOREST + 'label = "oracle"', ("'oracle'", "label")),
        (TASKS + 'arms = ["splt"]\n' + FOREST, ("'splt'", "Did you mean 'split'?")),
        (TASKS + 'arms = "split"\n' + FOREST, ("mine.toml", "arms is 'split'", "list")),
        (TASKS + "arms = []\n" + FOREST, ("mine.toml", "arms is []")),
        ('tasks = ["drf_1"]\narms = ["selected"]\n' + FOREST, ("none of the tasks", "'selected'", "split")),
        (TASKS + 'seeds = "5"\n' + FOREST, ("seeds is '5'",)),
        (TASKS + "seeds = true\n" + FOREST, ("seeds is True",)),
        (TASKS + "seeds = 0\n" + FOREST, ("seeds is 0", "at least 1")),
        (TASKS + "first_seed = -1\n" + FOREST, ("first_seed is -1", "at least 0")),
        (TASKS + "draws = 1\nfits = 1\n" + FOREST, ("draws is 1", "at least 2")),
        (TASKS + "draws = 7\n" + FOREST, ("7 draws", "5 fits")),
        (TASKS + "limit = -1\n" + FOREST, ("limit is -1",)),
        (TASKS + "limit = nan\n" + FOREST, ("limit is nan",)),
        (TASKS + 'limit = "long"\n' + FOREST, ("limit is 'long'",)),
        (TASKS + "title = 3\n" + FOREST, ("mine.toml", "title is 3")),
    ],
)
def test_bad_files(tmp_path, text, named):
    with pytest.raises(BenchmarkError) as caught:
        read(tmp_path, text)
    for name in named:
        assert name in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[[method]]\nname = "frost"', ("'frost'", "Did you mean 'forest'?")),
        (FOREST + "tres = 3", ("'forest'", "'tres'", "Did you mean 'trees'?")),
        (FOREST + 'trees = "many"', ("forest", "trees", "'many'")),
    ],
)
def test_bad_methods(tmp_path, text, named):
    with pytest.raises(MethodError) as caught:
        read(tmp_path, TASKS + text)
    for name in named:
        assert name in str(caught.value)


def test_settings_that_the_journal_could_not_hold(monkeypatch):
    monkeypatch.setattr("microimpute.benchmark.suite.method", lambda name, settings: None)  # one that takes anything
    for odd in (float("nan"), {1, 2}):
        with pytest.raises(BenchmarkError, match="settings of 'a' can't be written down"):
            Suite("x", ("scf_sample",), (Contender("a", "forest", {"leaf": odd}),))


def test_names_that_are_no_suite(tmp_path):
    with pytest.raises(BenchmarkError, match=r"'quik'.*Did you mean 'quick'\?.*TOML"):
        Suite.read("quik")
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    with pytest.raises(BenchmarkError, match=r"latin\.toml"):
        Suite.read(tmp_path / "latin.toml")


def test_nothing_named():
    with pytest.raises(BenchmarkError, match="no task is named"):
        Suite("x", (), (Contender("forest", "forest"),))
    with pytest.raises(BenchmarkError, match="no method is named"):
        Suite("x", ("scf_sample",), ())


def test_changed():
    few = Suite("x", ("scf_sample",), (Contender("few", "forest", {"trees": 3}),), draws=8, fits=4, limit=9)
    other = few.changed(["few", "hotdeck"], ["wealth_simulator"], 2)
    assert other.contenders == (few.contenders[0], Contender("hotdeck", "hotdeck"))
    assert (other.tasks, other.seeds, other.draws, other.limit) == (("wealth_simulator",), 2, 8, 9)
    assert few.changed() == few
    with pytest.raises(MethodError, match="'frost'"):
        few.changed(["frost"])
    with pytest.raises(BenchmarkError, match="'scf'"):
        few.changed(tasks=["scf"])


def test_a_task_without_the_arm_is_left_out_and_said(tmp_path):
    own = str(write_task(tmp_path))
    chosen = suite(own, "wealth_simulator", arms=("selected",))
    assert {cell.task for cell in chosen.cells()} == {"wealth_simulator"}
    lacking = chosen.changed(tasks=["scf_halves", own])  # the one has the arm and no file, the other has no such arm
    with pytest.raises(BenchmarkError, match="no task can run") as caught:
        run_suite(lacking, workers=1)
    assert f"task {own!r} has no arm 'selected'" in str(caught.value)
    assert "'scf_halves'" in str(caught.value)
