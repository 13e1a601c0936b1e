"""Fetching from a publisher that breaks off, sends pages, other files and nothing: whole files or none."""

import builtins
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("pooch", reason="pooch is not installed (pip install 'microimpute[fetch]')")

from publisher import CONTENT, CUT, NEWER, SHA256, Publisher

from microimpute.cli import main
from microimpute.errors import FetchError, MissingExtraError, OutputError
from microimpute.fetching import cache, fetch, known
from microimpute.fetching.addresses import published


@pytest.fixture(scope="module")
def server() -> Iterator[Publisher]:
    running = Publisher()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def publisher(server, monkeypatch) -> Publisher:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.asked.clear()
    return server


def get(publisher, folder, name, **options):
    return fetch("scf", 2019, address=f"{publisher.root}/files/{name}", folder=folder, pause=0.0, **options)


def kept(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_a_file_comes_once_and_its_hash_is_remembered(publisher, tmp_path):
    told = []
    path = get(publisher, tmp_path, "good.zip", progress=lambda step, share: told.append(share))
    assert path == tmp_path / "scf" / "2019" / "good.zip"
    assert path.read_bytes() == CONTENT
    assert json.loads(path.with_name("good.zip.json").read_text())["sha256"] == SHA256
    assert get(publisher, tmp_path, "good.zip", offline=True) == path
    assert get(publisher, tmp_path, "good.zip", sha256=f"sha256:{SHA256.upper()}") == path
    assert len(publisher.asked) == 1
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert publisher.asked[0][2].startswith("microimpute/")


def test_a_connection_that_breaks_is_taken_up_where_it_ended(publisher, tmp_path):
    assert get(publisher, tmp_path, "breaks.zip", sha256=SHA256).read_bytes() == CONTENT
    ranges = [wanted for _, wanted, _ in publisher.asked]
    assert ranges[0] is None
    assert ranges[1:] == [f"bytes={CUT}-", f"bytes={2 * CUT}-", f"bytes={3 * CUT}-"]
    assert kept(tmp_path) == ["breaks.zip", "breaks.zip.json"]


def test_what_came_is_kept_for_the_next_call_but_never_as_the_file(publisher, tmp_path):
    with pytest.raises(FetchError, match=f"could not be fetched.*{CUT:,} bytes are kept"):
        get(publisher, tmp_path, "stuck.zip")
    assert kept(tmp_path) == [".stuck.zip.mark", ".stuck.zip.partial"]
    assert publisher.times("stuck.zip") == 5
    # the same file at its name, from a server that works again
    folder = tmp_path / "scf" / "2019"
    for end in ("partial", "mark"):
        (folder / f".stuck.zip.{end}").rename(folder / f".good.zip.{end}")
    mark = folder / ".good.zip.mark"
    mark.write_text(mark.read_text().replace("stuck", "good"))
    assert get(publisher, tmp_path, "good.zip").read_bytes() == CONTENT
    assert publisher.asked[-1][1] == f"bytes={CUT}-"


def test_a_whole_partial_is_taken_as_it_is(publisher, tmp_path):
    folder = tmp_path / "scf" / "2019"
    folder.mkdir(parents=True)
    (folder / ".good.zip.partial").write_bytes(CONTENT)
    (folder / ".good.zip.mark").write_text(json.dumps({"url": f"{publisher.root}/files/good.zip", "mark": '"v1"'}))
    assert get(publisher, tmp_path, "good.zip").read_bytes() == CONTENT
    assert [r for _, r, _ in publisher.asked] == [f"bytes={len(CONTENT)}-"]


def test_without_ranges_it_starts_over(publisher, tmp_path):
    assert get(publisher, tmp_path, "norange.zip").read_bytes() == CONTENT
    assert [r for _, r, _ in publisher.asked] == [None, None]


def test_halves_of_two_versions_are_never_put_together(publisher, tmp_path):
    assert get(publisher, tmp_path, "changes.zip").read_bytes() == NEWER
    assert [r for _, r, _ in publisher.asked] == [None, f"bytes={CUT}-"]


def test_a_range_that_nobody_asked_for_is_thrown_away(publisher, tmp_path):
    assert get(publisher, tmp_path, "elsewhere.zip").read_bytes() == CONTENT
    assert [r for _, r, _ in publisher.asked] == [None, f"bytes={CUT}-", None]


def test_a_busy_server_is_asked_again(publisher, tmp_path):
    assert get(publisher, tmp_path, "busy.zip").read_bytes() == CONTENT
    assert publisher.times("busy.zip") == 3


def test_packed_on_the_way(publisher, tmp_path):
    assert get(publisher, tmp_path, "packed.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "told", "requests"),
    [
        ("page.zip", "sends a web page, not a file", 1),
        ("page.csv", "sends a web page, not a file", 1),
        ("damaged.zip", "sends no zip file, or a damaged one", 1),
        ("text.zip", "sends no zip file, or a damaged one", 1),
        ("gone.zip", r"is not there \(the server answers 404\).*--address", 1),
        ("refused.zip", r"is refused to us \(the server answers 403\).*--contact", 1),
        ("never.zip", "could not be fetched", 5),
    ],
)
def test_nothing_is_left_of_what_is_no_file(publisher, tmp_path, name, told, requests):
    with pytest.raises(FetchError, match=told):
        get(publisher, tmp_path, name)
    assert kept(tmp_path) == ([".never.zip.mark"] if name == "never.zip" and kept(tmp_path) else [])
    assert publisher.times(name) == requests


def test_who_asks_may_be_said(publisher, tmp_path):
    assert get(publisher, tmp_path, "refused.zip", contact="me@example.org").read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing(publisher, tmp_path):
    with pytest.raises(FetchError, match=rf"another file than expected: its sha256 is not {'0' * 64}"):
        get(publisher, tmp_path, "good.zip", sha256="0" * 64)
    assert kept(tmp_path) == []
    with pytest.raises(FetchError, match="Give 64 hexadecimal digits"):
        get(publisher, tmp_path, "good.zip", sha256="abc")


def test_a_file_that_changed_in_the_cache_is_refused(publisher, tmp_path):
    path = get(publisher, tmp_path, "good.zip")
    path.write_bytes(NEWER)
    with pytest.raises(FetchError, match=f"has the sha256 .*, not {SHA256}"):
        get(publisher, tmp_path, "good.zip")
    path.with_name("good.zip.json").unlink()  # put there by hand: taken as it is, unless a hash is asked for
    assert get(publisher, tmp_path, "good.zip") == path
    with pytest.raises(FetchError, match="has the sha256"):
        get(publisher, tmp_path, "good.zip", sha256=SHA256)


def test_offline_opens_no_connection(publisher, tmp_path):
    with pytest.raises(FetchError, match=r"scf/2019/good\.zip is not in .*put .*good\.zip there yourself"):
        get(publisher, tmp_path, "good.zip", offline=True)
    assert publisher.asked == []


def test_the_proxy_of_the_environment(publisher, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", publisher.root)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    path = fetch("scf", 2019, address="http://publisher.invalid/files/good.zip", folder=tmp_path, pause=0)
    assert path.read_bytes() == CONTENT
    assert publisher.asked[0][0] == "http://publisher.invalid/files/good.zip"


def test_the_folder_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROIMPUTE_DATA", str(tmp_path))
    assert cache() == tmp_path
    monkeypatch.delenv("MICROIMPUTE_DATA")
    assert cache().name == "microimpute"


def test_a_folder_that_can_not_be_made(publisher, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"can't be written.*MICROIMPUTE_DATA"):
        get(publisher, tmp_path / "file", "good.zip")


def test_without_pooch(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pooch":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'microimpute\[fetch\]'"):
        fetch("scf", 2022, folder=tmp_path)


def test_addresses():
    assert published("scf", 2022).address == "https://www.federalreserve.gov/econres/files/scfp2022s.zip"
    assert published("scf", 1995, "replicates").address == "https://www.federalreserve.gov/econres/files/scf95rw1s.zip"
    assert published("cex", 2023).address == "https://www.bls.gov/cex/pumd/data/csv/intrvw23.zip"
    assert published("cex_diary", 2009).address == "https://www.bls.gov/cex/pumd/data/comma/diary09.zip"
    census = published("cps_asec", 2019)
    assert census.address.endswith("/cps/datasets/2019/march/asecpub19csv.zip")
    assert census.name == "cps_asec/2019/asecpub19csv.zip"
    assert len({p.name for p in known()}) == len(known())
    assert {p.basis for p in known()} == {"seen", "pattern"}
    assert all(p.address.startswith("https://") for p in known())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sfc", 2022), r"no address is known for survey 'sfc'.*'scf'"),
        (("scf", 2021), r"no address is known for scf summary of 2021.*2016, 2019, 2022"),
        (("scf", 2022, "sumary"), r"has no part 'sumary'.*'summary'"),
    ],
)
def test_unknown_files(words, told):
    with pytest.raises(FetchError, match=told):
        published(*words)


@pytest.mark.parametrize("address", ["ftp://x/y.zip", "file:///etc/passwd", "y.zip"])
def test_other_addresses(address):
    with pytest.raises(FetchError, match="is no web address"):
        published("scf", 2022, address=address)


def test_names_stay_inside_the_folder():
    assert published("scf", 2022, address="https://x/a/..").name == "scf/2022/file"
    with pytest.raises(FetchError, match="is no name"):
        published("../x", 2022, address="https://x/a.zip")


def test_the_command(publisher, tmp_path):
    run = CliRunner().invoke
    words = ["fetch", "scf", "2022", "--folder", str(tmp_path), "--address", f"{publisher.root}/good.zip"]
    got = run(main, words)
    assert got.exit_code == 0, got.output
    assert Path(got.stdout.strip()).read_bytes() == CONTENT
    assert "good.zip: 0.3 of 0.3 MB" in got.stderr
    assert run(main, [*words, "--offline"]).stdout == got.stdout
    listed = run(main, ["fetch"])
    assert "scf summary: summary extract, Stata" in listed.output
    assert "1989* " in listed.output
    bad = run(main, ["fetch", "scf", "2021"])
    assert bad.exit_code == 2
    assert "Error: no address is known for scf summary of 2021" in bad.stderr
    assert run(main, ["fetch", "nix"]).exit_code == 2
