"""The command line: what a new user types and reads."""

import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from microimpute.cli import main
from microimpute.methods.base import methods
from microimpute.testing import example_donor


def say(*words):
    return CliRunner().invoke(main, words)


def test_methods_lists_the_registry():
    told = say("methods")
    assert told.exit_code == 0
    assert all(name in told.output for name in methods())


def test_methods_says_kinds_and_extras(monkeypatch):
    lines = {line.split()[0]: line for line in say("methods").output.splitlines() if line}
    assert "all but categorical" in lines["copula"]
    monkeypatch.setattr(methods()["hotdeck"], "requires", ("numpy", "no-such-package"))
    lines = {line.split()[0]: line for line in say("methods").output.splitlines() if line}
    assert lines["hotdeck"].endswith("numpy (installed), no-such-package (not installed)")
    assert "! no-such-package is not installed. Run: pip install no-such-package" in say("methods", "hotdeck").output


def test_one_method_in_full():
    told = say("methods", "hotdeck")
    cls = methods()["hotdeck"]
    assert told.exit_code == 0
    flat = " ".join(told.output.split())
    for words in (cls.summary, cls.advice, cls.reference, "Cells are the combinations of all predictors"):
        assert words in flat
    for setting in cls.setting_names():
        assert f"  {setting} = " in told.output
    assert "kinds       all\n" in told.output
    assert "It has none." in say("methods", "shuffle").output


def test_a_method_that_is_not_there_is_told_with_the_closest():
    told = say("methods", "hotdek")
    assert told.exit_code == 2
    assert "there is no method 'hotdek'" in told.stderr
    assert "Did you mean 'hotdeck'?" in told.stderr


def test_listing_methods_does_not_load_what_only_fitting_needs():
    code = (
        "import sys; from microimpute import say; say.methods(); say.method('forest')\n"
        "print([m for m in ('torch', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_surveys():
    told = say("surveys")
    assert told.exit_code == 0
    assert all(name in told.output for name in ("scf", "cps_tax_units", "table", "scf_to_cps_tax_units"))


def test_inspect(tmp_path):
    frame = example_donor(50)
    frame.to_parquet(tmp_path / "d.parquet")
    told = say("inspect", str(tmp_path / "d.parquet"))
    assert told.exit_code == 0, told.output
    assert "50 rows" in told.output
    lines = {line.split()[0]: line for line in told.output.splitlines() if line}
    assert "semicontinuous" in lines["wealth"]
    assert "categorical" in lines["region"]
    assert "binary" in lines["owner"]
    assert say("inspect", str(tmp_path / "none.csv")).exit_code == 2


@pytest.mark.parametrize(
    "command", [[], ["demo"], ["run"], ["impute"], ["verify"], ["methods"], ["surveys"], ["inspect"]]
)
def test_help(command):
    told = say(*command, "--help")
    assert told.exit_code == 0
    assert "Usage" in told.output


def test_help_does_not_load_the_heavy_libraries():
    code = "import sys, microimpute.cli; print([m for m in ('numpy', 'pandas', 'sklearn') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_demo_prints_what_was_done(tmp_path):
    start = time.monotonic()
    told = say("demo", "--out", str(tmp_path / "demo"), "--m", "2")
    assert told.exit_code == 0, told.output
    for words in ("1,200 households", "Predictors in both surveys", "NETWORTH", "report.html"):
        assert words in told.output
    assert time.monotonic() - start < 120  # a hang is a failure; the speed itself is measured in benchmarks/


def test_plain_lines_where_there_is_no_terminal(tmp_path):
    told = say("demo", "--out", str(tmp_path / "demo"), "--m", "1")
    assert "s] reading the surveys" in told.output
    assert "\r" not in told.output


def test_version():
    assert "0.1.0" in say("--version").output
