"""Without torch everything but neural methods works, and they say what to install."""

import subprocess
import sys

import pytest

from microimpute.errors import MissingExtraError
from microimpute.methods.base import method, methods

BLOCKED = """
import builtins
own = builtins.__import__
def without_torch(name, *rest, **more):  # None in sys.modules would do, but SciPy looks there
    if name.partition(".")[0] == "torch":
        raise ModuleNotFoundError(name)
    return own(name, *rest, **more)
builtins.__import__ = without_torch
from click.testing import CliRunner
from microimpute.cli import main
result = CliRunner().invoke(main, ["methods"])
assert result.exit_code == 0, result.output
assert "engression" in result.output
import microimpute.benchmark.suite, microimpute.testing
"""


def test_everything_else_works():
    subprocess.run([sys.executable, "-W", "error", "-c", BLOCKED], check=True)


def test_a_missing_package_is_one_clear_error(monkeypatch):
    known = methods()["engression"]
    made = known()
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    assert known.missing() == ("torch",)
    for action in (lambda: method("engression"), made.fresh):
        with pytest.raises(MissingExtraError, match=r"'engression' needs .*'torch'.*pip install 'microimpute\[deep\]'"):
            action()
    assert method("shuffle").name == "shuffle"
