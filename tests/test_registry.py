"""The registry: one file is enough to be found, and what is not there is named."""

import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import microimpute.methods
from microimpute import impute, registry
from microimpute.crosswalks.base import Crosswalk
from microimpute.errors import MethodError, MicroImputeError, RecipeError
from microimpute.methods.base import Method, method, methods
from microimpute.methods.shuffle import Shuffle
from microimpute.surveys.base import Connector
from microimpute.testing import example_donor, example_receiver

FOLDERS = {"methods": Method, "surveys": Connector, "crosswalks": Crosswalk}

MINE = '''
"""One method, and what is none: abstract, from another module, or no method at all."""
from abc import abstractmethod
from microimpute.methods.base import Method
from microimpute.methods.shuffle import Shuffle

class Half(Method):
    name = "half"

class Mine(Shuffle):
    name = "mine"

class Borrowed(Shuffle):
    name = "borrowed"
    __module__ = "elsewhere"

class Unrelated:
    name = "unrelated"
'''


class Theirs(Shuffle):
    name = "theirs"


class Shadow(Shuffle):
    """Has its parent's name."""


class Incomplete(Method):
    name = "incomplete"


class Nameless(Theirs):
    name = None


@pytest.fixture
def fresh():
    """Forget what was found, before and after."""
    registry.collect.cache_clear()
    yield
    registry.collect.cache_clear()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_found(folder):
    found = registry.collect(folder, FOLDERS[folder])
    package = Path(importlib.import_module(f"microimpute.{folder}").__file__).parent
    files = {p.stem for p in package.glob("*.py")} - {"__init__", "base"}
    assert {c.__module__.rpartition(".")[2] for c in found.values()} == files
    assert list(found) == sorted(found)
    for name, cls in found.items():
        assert issubclass(cls, FOLDERS[folder])
        assert cls.name == name
        assert registry.find(folder, FOLDERS[folder], name, RecipeError) is cls


def test_what_is_not_there():
    with pytest.raises(RecipeError, match=r"^there is no method 'frost'\. Did you mean 'forest'\?$"):
        registry.find("methods", Method, "frost", RecipeError)
    with pytest.raises(
        MethodError, match=r"There is: copula, forest, hotdeck, mean, median, regression, shuffle, srmi\."
    ):
        method("xyz")
    with pytest.raises(RecipeError, match=r"there is no survey 'tabel'\. Did you mean 'table'\?"):
        registry.find("surveys", Connector, "tabel", RecipeError)


def test_a_new_file_is_a_new_method(tmp_path, monkeypatch, fresh):
    (tmp_path / "mine.py").write_text(MINE)
    before = set(methods())
    registry.collect.cache_clear()
    monkeypatch.setattr(microimpute.methods, "__path__", [*microimpute.methods.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "microimpute.methods.mine", raising=False)
    try:
        assert set(methods()) - before == {"mine"}
        assert methods()["shuffle"] is Shuffle
    finally:
        sys.modules.pop("microimpute.methods.mine", None)
        vars(microimpute.methods).pop("mine", None)


def test_third_parties_register_by_entry_point(monkeypatch, fresh):
    groups = []

    def installed(*, group):
        groups.append(group)
        return [EntryPoint("theirs", f"{__name__}:Theirs", group)] if group == "microimpute.methods" else []

    monkeypatch.setattr(registry, "entry_points", installed)
    assert methods()["theirs"] is Theirs
    assert list(methods()) == [
        "copula",
        "forest",
        "hotdeck",
        "mean",
        "median",
        "regression",
        "shuffle",
        "srmi",
        "theirs",
    ]
    assert "theirs" not in registry.collect("surveys", Connector)
    assert set(groups) == {"microimpute.methods", "microimpute.surveys"}
    drawn = impute(example_donor(20), example_receiver(5), targets=["wealth"], method="theirs", m=1, workers=1)
    assert drawn.manifest["method"]["name"] == "theirs"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f"{__name__}:Shadow", rf"microimpute.methods.shuffle.Shuffle and {__name__}.Shadow have one name, 'shuffle'"),
        (
            f"{__name__}:Incomplete",
            rf"entry point 'bad' of 'microimpute.methods' \({__name__}:Incomplete\) is no compl",
        ),
        (f"{__name__}:Nameless", "entry point 'bad' .* has no name"),
        ("pathlib:Path", "entry point 'bad' .* is no complete subclass of Method"),
        ("os:sep", "entry point 'bad' .* is no complete subclass of Method"),
        ("pathlib:Nothing", "entry point 'bad' .* fails to load: AttributeError: "),
        ("no_such_package:Method", "entry point 'bad' .* fails to load: ModuleNotFoundError: No module"),
    ],
)
def test_entry_points_that_can_not_be_used_are_named(value, said, monkeypatch, fresh):
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("bad", value, group)])
    with pytest.raises(MicroImputeError, match=said):
        methods()
