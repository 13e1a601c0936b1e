"""Bad input to exports: one clear error, and nothing is left behind."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from made import assert_same, imputations, path, receiver

from microimpute import Imputations, impute
from microimpute.cli import main
from microimpute.errors import MissingExtraError, OutputError
from microimpute.export import base, mice
from microimpute.export.base import Format, formats, load
from microimpute.testing import example_donor, example_receiver


@pytest.fixture(params=sorted(formats()))
def name(request):
    if request.param == "spss":
        pytest.importorskip("pyreadstat", reason="pyreadstat is not installed")
    return request.param


def test_an_unknown_format_says_the_nearest(tmp_path):
    with pytest.raises(OutputError, match=r"no export format 'stat'\. Did you mean 'stata'\?"):
        imputations().export(tmp_path / "x.dta", "stat")
    with pytest.raises(OutputError, match=r"no export format 'excel'\. There is: mice, mitools, parquet, sas"):
        imputations().export(tmp_path / "x.xls", "excel")


def test_the_wrong_ending(tmp_path):
    with pytest.raises(OutputError, match=r"x\.csv does not end in \.dta\. Name it x\.dta\."):
        imputations().export(tmp_path / "x.csv", "stata")


def test_nothing_is_overwritten(name, tmp_path):
    """Neither the file itself nor any that belongs to it."""
    made = imputations()
    first = path(tmp_path / "first", name)
    made.export(first, name)
    for number, left in enumerate(sorted(first.parent.iterdir())):
        there = tmp_path / str(number) / left.name
        there.parent.mkdir()
        there.write_text("precious")
        with pytest.raises(OutputError, match=rf"{left.name} is there already|{left.name} is not empty"):
            made.export(path(there.parent, name), name)
        assert [p.read_text() for p in there.parent.iterdir()] == ["precious"]


def test_a_failure_leaves_nothing(name, tmp_path, monkeypatch):
    def fail(self, said, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats()[name], "write_account", fail)
    with pytest.raises(OutputError, match="can't be written: No space left on device"):
        imputations().export(path(tmp_path / "deep" / "er", name), name)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() or p.name.startswith(".")]


def test_a_failure_while_files_take_their_places(tmp_path, monkeypatch):
    real = type(tmp_path).rename

    def rename(self, target):
        if self.name == "x.csv":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", rename)
    with pytest.raises(OutputError, match="No space left on device"):
        imputations().export(tmp_path / "x.csv", "mice")
    assert not list(tmp_path.iterdir())


def test_columns_that_no_program_holds(name, tmp_path):
    """Lists and mixtures; Parquet holds lists."""
    lists = receiver().assign(odd=[[1, 2]] * 12)
    if name == "parquet":
        imputations(frame=lists).export(path(tmp_path, name), name)
        assert_same(Imputations.load(path(tmp_path, name)), imputations(frame=lists))
    else:
        with pytest.raises(OutputError, match=r"column 'odd' holds list.* which other programs do not hold\. Convert"):
            imputations(frame=lists).export(path(tmp_path, name), name)
    mixed = receiver().assign(odd=[1, "a"] * 6)
    with pytest.raises(OutputError, match="column 'odd' can't be exported"):
        imputations(frame=mixed).export(path(tmp_path, name, "mixed"), name)


def test_a_file_that_is_none_of_ours(name, tmp_path):
    target = path(tmp_path, name)
    with pytest.raises(OutputError, match="there is no file"):
        load(target)
    if not formats()[name].suffix:
        target.mkdir()
        (target / "implicate_1.csv").write_text("a\n1\n")
    else:
        receiver().to_csv(target)
    for read in (lambda: load(target), lambda: load(target, name), lambda: Imputations.load(target)):
        with pytest.raises(OutputError, match=r"not written by microimpute|is no export in the format|has no manifest"):
            read()


def test_a_directory_that_has_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"has no manifest\.json"):
        Imputations.load(".")
    impute(example_donor(50), example_receiver(5), targets=["wealth"], method="hotdeck", m=3).save("saved")
    monkeypatch.chdir("saved")
    assert Imputations.load(".").m == 3


def test_a_file_of_another_content_beside_our_account(name, tmp_path):
    if name in ("parquet", "mitools"):
        pytest.skip("the account is within")
    target = path(tmp_path, name)
    imputations().export(target, name)
    target.write_bytes(b"no such data\n1,2\n")
    with pytest.raises(OutputError, match=r"can't be read|is no SPSS file|differ in implicates"):
        Imputations.load(target)


def test_rows_that_are_gone(tmp_path):
    imputations().export(tmp_path / "x.csv", "mice")
    lines = (tmp_path / "x.csv").read_text().splitlines(keepends=True)
    (tmp_path / "x.csv").write_text("".join(lines[:-3]))
    with pytest.raises(OutputError, match="differ in implicates or rows"):
        Imputations.load(tmp_path / "x.csv")


def test_an_account_of_another_layout_or_damaged(tmp_path):
    imputations().export(tmp_path / "x.csv", "mice")
    file = tmp_path / "x.csv.json"
    for text in (json.dumps(json.loads(file.read_text()) | {"microimpute": 99}), "{", "[]", "\xff"):
        file.write_text(text, encoding="latin-1")
        with pytest.raises(OutputError, match="was not written by microimpute, or the account"):
            Imputations.load(tmp_path / "x.csv")


def test_the_wrong_format_for_a_file_of_ours(tmp_path):
    imputations().export(tmp_path / "x.csv", "mice")
    with pytest.raises(OutputError, match="is no export in the format 'sas'"):
        load(tmp_path / "x.csv", "sas")


def test_spss_without_its_package(tmp_path):
    code = "import sys; sys.modules['pyreadstat'] = None\nfrom made import imputations\n"
    code += "try:\n    imputations().export('x.sav', 'spss')\nexcept Exception as error:\n    print(error)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    wanted = "SPSS's format needs the package 'pyreadstat', which is not installed."
    assert done.stdout.strip() == f"{wanted} Run: pip install 'microimpute[export]'", done.stderr
    assert issubclass(MissingExtraError, Exception)
    assert not list(tmp_path.iterdir())


def test_text_that_spss_would_change(tmp_path):
    pytest.importorskip("pyreadstat", reason="pyreadstat is not installed")
    with pytest.raises(OutputError, match="'note' has text that ends in blanks, which SPSS drops"):
        imputations(frame=receiver().assign(note="a ")).export(tmp_path / "x.sav", "spss")
    with pytest.raises(OutputError, match="'note' has a text of 32,768 bytes"):
        imputations(frame=receiver().assign(note="a" * 32_768)).export(tmp_path / "x.sav", "spss")
    notes = imputations(frame=receiver().assign(note=pd.Categorical(["é" * 61] * 12))).export(
        tmp_path / "x.sav", "spss"
    )
    assert notes == ("Levels of 'note' are cut to 120 bytes each.",)
    assert Imputations.load(tmp_path / "x.sav").receiver.frame["note"].to_list() == ["é" * 61] * 12


def test_text_that_sas_would_not_read(tmp_path):
    with pytest.raises(OutputError, match="'note' has text with line breaks"):
        imputations(frame=receiver().assign(note="a\nb")).export(tmp_path / "x.csv", "sas")


def test_numbers_of_more_digits_than_a_double_holds(name, tmp_path):
    """Files of text keep them; the others say so."""
    frame = receiver().assign(long=np.arange(12) + 2**60 + 1)
    if name in ("mice", "mitools", "parquet"):
        imputations(frame=frame).export(path(tmp_path, name), name)
        assert_same(Imputations.load(path(tmp_path, name)), imputations(frame=frame))
        return
    with pytest.raises(OutputError, match=f"'long' has numbers of more digits than {formats()[name].program} holds"):
        imputations(frame=frame).export(path(tmp_path, name), name)


def test_every_format_says_what_it_is():
    for name, kind in formats().items():
        assert kind.name == name
        assert kind.program
        assert len(kind.summary.split()) > 5
        assert kind.__doc__
        assert issubclass(kind, Format)


def test_a_third_party_s_format_is_found(monkeypatch, tmp_path):
    class Mine(mice.Mice):
        name = "mine"
        suffix = ".txt"

    monkeypatch.setattr(base.registry, "collect", lambda folder, kind: {"mine": Mine})
    imputations().export(tmp_path / "x.txt", "mine")
    assert_same(Imputations.load(tmp_path / "x.txt"), imputations())


def test_on_the_command_line(tmp_path):
    made = imputations()
    made.export(tmp_path / "x.csv", "mice")
    run = CliRunner().invoke
    listed = run(main, ["export"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in formats())
    told = run(main, ["export", str(tmp_path / "x.csv"), "--format", "stata", "--out", str(tmp_path / "x.dta")])
    assert told.exit_code == 0, told.output
    assert f"Written to {tmp_path / 'x.dta'}." in told.output
    assert_same(Imputations.load(tmp_path / "x.dta"), made)
    wrong = run(main, ["export", str(tmp_path / "x.csv"), "--format", "stata", "--out", str(tmp_path / "x.dta")])
    assert wrong.exit_code == 2
    assert "is there already" in wrong.output
