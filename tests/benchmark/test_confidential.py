"""A mock restricted run on held-out SCF households: nothing goes in that should not, nothing comes out that must not."""

import json
import socket
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from click.testing import CliRunner

from microimpute.benchmark import confidential, journal
from microimpute.benchmark.cell import draw_all, question
from microimpute.benchmark.confidential import FIGURES, freeze, run_confidential, without_network
from microimpute.benchmark.disclosure import LEAST, round_count, round_figure
from microimpute.benchmark.own_task import OwnTask
from microimpute.benchmark.suite import Cell, Contender
from microimpute.cli import main
from microimpute.errors import BenchmarkError
from microimpute.methods import shuffle
from microimpute.metrics.base import Figure, metrics
from microimpute.metrics.indistinguishability import ClassifierTwoSample
from microimpute.tasks.base import task

SHUFFLE = (Contender("again", "shuffle"),)
#: Few targets, so that a run takes a second or two.
TARGETS = ("LIQ", "HOUSES", "VEHIC", "CCBAL")

TASK = """
title = "Held-out households"
donor = "donor.parquet"
truth = "truth.parquet"
weight = "WGT"
keys = ["YY1"]
targets = {targets}
predictors = {predictors}
groups = ["couple"]
[kinds]
{kinds}
[[figure]]
name = "asset test"
target = "LIQ"
threshold = 2000
[[figure]]
name = "nobody"
target = "LIQ"
threshold = -1
"""


@pytest.fixture(scope="session")
def held_out():
    """Donors, receivers with their truth, and kinds of columns."""
    problem = task("scf_sample").problem(0, "split", None)
    fusion = problem.fusion
    names = list(fusion.targets)
    truth = fusion.receiver.frame.to_pandas()
    for position, name in enumerate(names):
        truth[name] = problem.truth[:, position]
    return fusion.donor.frame.to_pandas(), truth, fusion


@pytest.fixture
def brisk(monkeypatch):
    """Leave out what takes long: classifiers, ten times each."""
    monkeypatch.setattr(confidential, "FIGURES", ("crps", "energy_score", "share_nonzero"))


@pytest.fixture(scope="session")
def put(held_out):
    """Write the task into a folder and return its file."""

    def write(folder, receivers=None, **changes):
        donor, truth, fusion = held_out
        targets = list(TARGETS)
        chosen = truth.iloc[:receivers]
        kept = [c for c in truth.columns if c not in fusion.targets] + targets
        donor[kept].to_parquet(folder / "donor.parquet")
        chosen[kept].assign(**changes).to_parquet(folder / "truth.parquet")
        kinds = {t: fusion.variables[t].kind.value for t in targets}
        said = {"targets": targets, "predictors": [p for p in fusion.predictors if p in kept][:4]}
        lines = "\n".join(f'{name} = "{kind}"' for name, kind in kinds.items())
        file = folder / "task.toml"
        file.write_text(TASK.format(kinds=lines, **{k: json.dumps(v) for k, v in said.items()}), encoding="utf-8")
        return file

    return write


@pytest.fixture(scope="session")
def place(put, tmp_path_factory):
    folder = tmp_path_factory.mktemp("restricted")
    return put(folder)


@pytest.fixture(scope="session")
def frozen(tmp_path_factory):
    file = tmp_path_factory.mktemp("frozen") / "methods.json"
    freeze(SHUFFLE, file)
    return file


@pytest.fixture(scope="session")
def written(place, tmp_path_factory):
    """The run from the command line, both steps; one method beside the null."""
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:  # what classifiers find is not asked here: two fits of one, not 15
        patch.setattr(ClassifierTwoSample.__init__, "__defaults__", (2, 0))
        return _both_steps(place, folder)


def _both_steps(place, folder):
    methods, out = folder / "methods.json", folder / "result.json"
    told = CliRunner().invoke(main, ["benchmark", "quick", "--methods", "hotdeck", "--freeze", str(methods)])
    assert told.exit_code == 0, told.output
    assert told.output == f"Frozen: hotdeck in {methods}.\n"
    told = CliRunner().invoke(main, ["benchmark", str(place), "--confidential", str(methods), "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert told.output == f"Written to {out}. {confidential.RULES}\n"
    assert sorted(p.name for p in folder.iterdir()) == ["methods.json", "result.json"]
    return json.loads(out.read_text(encoding="utf-8"))


def numbers(found):
    if isinstance(found, dict):
        return [n for part in found.values() for n in numbers(part)]
    assert not isinstance(found, list)
    return [found] if isinstance(found, int | float) else []


def test_the_file_says_nothing_but_the_fixed_figures(written, held_out):
    assert set(written) == {"rules", "task", "data", "versions", "donors", "receivers", "methods"}
    assert set(written["methods"]) == {"null", "hotdeck"}
    for said in written["methods"].values():
        assert set(said) == {"gates", "figures", "shares below thresholds"}
        assert set(said["gates"]) == {"missing", "support", "edits"}
        assert set(said["figures"]) <= set(FIGURES)
        assert {"crps", "energy_score", "c2st", "share_nonzero", "eligibility", "coverage"} <= set(said["figures"])
        for figure in said["figures"].values():
            assert set(figure) == {"value", "standard error"}
            assert figure["value"] is not None
            assert figure["standard error"] >= 0
        shares = said["shares below thresholds"]
        assert set(shares) == {"asset test, all", "asset test, couple 0", "asset test, couple 1"}
        assert all(set(s) == {"true", "standard error", "imputed"} for s in shares.values())


def test_no_order_statistic_is_among_the_figures():
    """Neither the extremes of a tail nor quantiles; nor anything the metrics' registry does not know."""
    assert set(FIGURES) <= set(metrics())
    said = " ".join(f"{name} {metrics()[name].summary}".lower() for name in FIGURES)
    for word in ("quantile", "top", "p90", "median", "hill", "tail", "max", "min"):
        assert word not in said.replace("discrimin", ""), word


def test_every_number_is_rounded(written, held_out):
    donor, truth, _ = held_out
    assert written["donors"] == round_count(len(donor))
    assert written["receivers"] == round_count(len(truth))
    found = numbers(written["methods"])
    assert len(found) > 40
    for number in found:
        assert len(Decimal(repr(float(number))).normalize().as_tuple().digits) <= 4, number
        assert round_figure(number) == number


def test_the_true_shares_are_what_pandas_says(written, held_out):
    truth = held_out[1]
    for name, rows in (("all", truth), ("couple 1", truth[truth["couple"] == truth["couple"].max()])):
        share = np.average(rows["LIQ"] < 2000, weights=rows["WGT"])
        assert written["methods"]["null"]["shares below thresholds"][f"asset test, {name}"]["true"] == round_figure(
            share
        )


def test_the_same_run_gives_the_same_file(brisk, place, frozen, tmp_path):
    one, two = (run_confidential(place, frozen, tmp_path / n, draws=2, fits=1) for n in ("one.json", "two.json"))
    assert one == two
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.fixture(scope="module")
def scored(place):
    problem = OwnTask(place).problem(0, "split", None)
    drawn, fits = draw_all(problem.fusion, Cell("task", "split", 0, Contender("null", "shuffle"), 4, 2))
    return question(problem, drawn, fits, 0)


def with_share(scored, yes, groups=None):
    """The same with so many rows below the threshold of one figure, "few"."""
    values = scored.truth.values.copy()
    values[:, 0] = 10.0
    values[yes, 0] = 1.0
    truth = replace(scored.truth, values=values)
    return replace(scored, truth=truth, figures=(Figure("few", truth.names[0], 5.0),), groups=groups or {})


@pytest.mark.parametrize(("rows", "said"), [(LEAST - 1, False), (LEAST, True)])
def test_a_share_of_fewer_than_15_rows_is_not_said_on_either_side(scored, rows, said):
    n = len(scored.weight)
    for yes in (np.arange(rows), np.arange(rows, n)):
        few = with_share(scored, yes)
        assert list(confidential._shares(few)) == (["few, all"] if said else [])
        assert confidential._hidden("eligibility", few) == (frozenset() if said else {"few"})


def test_a_group_too_small_takes_its_whole_grouping_along(scored):
    """Or it would be the difference of all and the other groups."""
    half = np.arange(len(scored.weight)) % 2
    third = np.arange(len(scored.weight)) % 3
    yes = np.concatenate([np.flatnonzero(half == 0)[:40], np.flatnonzero(half == 1)[: LEAST - 1]])
    found = confidential._shares(with_share(scored, yes, {"half": half}))
    assert list(found) == ["few, all"]
    yes = np.arange(90)
    found = confidential._shares(with_share(scored, yes, {"half": half, "third": third}))
    assert list(found) == ["few, all", "few, half 0", "few, half 1", "few, third 0", "few, third 1", "few, third 2"]


def test_shares_of_targets_that_few_rows_have_do_not_enter_a_mean(scored):
    name = scored.truth.names[0]
    for rows, hidden in ((LEAST - 1, {name}), (LEAST, set())):
        values = scored.truth.values.copy()
        values[:, 0] = 0.0
        values[:rows, 0] = 7.0
        few = replace(scored, truth=replace(scored.truth, values=values))
        assert confidential._hidden("share_nonzero", few) & {name} == hidden
        keys = metrics()["share_nonzero"]().score(few)
        assert name in keys
        mean = confidential._mean("share_nonzero", few, confidential._hidden("share_nonzero", few))
        told = [v for k, v in keys.items() if k not in confidential._hidden("share_nonzero", few)]
        assert mean == (pytest.approx(np.mean(told)) if told else None)
    assert confidential._hidden("crps", scored) == frozenset()


def test_few_receivers_give_no_figures(brisk, put, frozen, tmp_path):
    result = run_confidential(put(tmp_path, receivers=149), frozen, tmp_path / "out.json", draws=2, fits=1)
    assert result["receivers"] == 150
    assert all(said["figures"] == {} for said in result["methods"].values())
    few = tmp_path / "few"
    few.mkdir()
    result = run_confidential(put(few, receivers=12), frozen, few / "out.json", draws=2, fits=1)
    assert result["receivers"] == "<15"
    assert all(said["shares below thresholds"] == {} for said in result["methods"].values())


def test_standard_errors_agree_with_a_bootstrap(brisk, scored):
    """Of means over rows, whose bootstrap is simple: the draws stay, receivers are drawn again."""
    found = confidential._figures(scored)
    rng = np.random.default_rng(0)
    n = len(scored.weight)
    for name in ("crps", "share_nonzero", "energy_score"):
        hidden = confidential._hidden(name, scored)
        again = [confidential._mean(name, scored.take(rng.integers(n, size=n)), hidden) for _ in range(60)]
        error = found[name]["standard error"]
        assert 0.4 < error / np.std(again) < 2.2, name  # ten groups: a standard error has an error of a quarter


def test_shares_have_the_standard_error_of_a_weighted_mean(scored):
    found = confidential._shares(scored)["asset test, all"]
    below = scored.amount("LIQ")[0] < 2000
    rng = np.random.default_rng(0)
    chosen = (rng.integers(len(below), size=len(below)) for _ in range(400))
    again = [np.average(below[c], weights=scored.weight[c]) for c in chosen]
    assert found["standard error"] == pytest.approx(np.std(again), rel=0.15)


class _Refused:
    """Runs that must fail and leave nothing behind."""

    def __init__(self, place, folder):
        self.place, self.out = place, folder / "result.json"

    def __call__(self, frozen, error=BenchmarkError, match="."):
        before = sorted(self.out.parent.iterdir())
        with pytest.raises(error, match=match) as told:
            run_confidential(self.place, frozen, self.out, draws=2, fits=1)
        assert sorted(self.out.parent.iterdir()) == before
        return told.value


@pytest.fixture
def refused(brisk, place, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return _Refused(place, folder)


def test_other_code_than_was_frozen_is_refused(frozen, refused, tmp_path, monkeypatch):
    said = json.loads(frozen.read_text(encoding="utf-8"))
    assert said["code"] == journal.versions()["code"]
    assert said["methods"] == [{"label": "again", "method": "shuffle", "settings": {}}]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(said | {"code": "0123456789abcdef"}), encoding="utf-8")
    refused(changed, match="was frozen from code 0123456789abcdef, installed is " + said["code"])
    monkeypatch.setattr(confidential, "versions", lambda: {"code": "another"})
    refused(frozen, match=f"was frozen from code {said['code']}, installed is another")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"code": "x"}', '{"code": "x", "methods": [{"label": "a"}]}'])
def test_what_is_not_a_list_of_frozen_methods_is_refused(text, refused, tmp_path):
    file = tmp_path / "frozen.json"
    file.write_text(text, encoding="utf-8")
    refused(file, match="is not a list of frozen methods: .* Make one with --freeze")
    refused(tmp_path / "missing.json", match="is not a list of frozen methods")


def connect():
    with socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))


def connect_ex():
    with socket.socket() as opened:
        opened.connect_ex(("127.0.0.1", 9))


def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.sendto(b"", ("127.0.0.1", 9))


WAYS = {
    "connect": connect,
    "connect_ex": connect_ex,
    "datagram": datagram,
    "create_connection": lambda: socket.create_connection(("127.0.0.1", 9)),
    "getaddrinfo": lambda: socket.getaddrinfo("localhost", 80),
    "gethostbyname": lambda: socket.gethostbyname("localhost"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_method_that_looks_for_the_network_is_refused(way, frozen, refused, monkeypatch):
    draw = shuffle.Shuffle.draw

    def leak(self, X, rng):
        WAYS[way]()
        return draw(self, X, rng)

    monkeypatch.setattr(shuffle.Shuffle, "draw", leak)
    refused(frozen, match="something tried to use the network in a confidential run")


def test_the_network_is_there_again_afterwards():
    doors = [getattr(where, name) for where, name in confidential.DOORS]
    with without_network():
        inside = [getattr(where, name) for where, name in confidential.DOORS]
    assert not set(map(id, inside)) & set(map(id, doors))
    with pytest.raises(ZeroDivisionError), without_network():
        1 / 0  # noqa: B018
    assert [getattr(where, name) for where, name in confidential.DOORS] == doors
    assert socket.getaddrinfo("127.0.0.1", 80)


def test_what_exists_is_never_written_over(place, frozen, tmp_path, monkeypatch):
    out = tmp_path / "result.json"
    out.write_text("precious", encoding="utf-8")
    for write in (lambda: freeze(SHUFFLE, out), lambda: run_confidential(place, frozen, out)):
        with pytest.raises(BenchmarkError, match=r"exists\. Choose another name"):
            write()
    told = CliRunner().invoke(main, ["benchmark", str(place), "--confidential", str(frozen), "--out", str(out)])
    assert told.exit_code == 2
    assert told.output.startswith(f"Error: {out} exists.\n       Choose another name")
    told = CliRunner().invoke(main, ["benchmark", "quick", "--freeze", str(out)])
    assert told.exit_code == 2
    assert out.read_text(encoding="utf-8") == "precious"


def test_what_comes_into_being_during_the_run_is_not_written_over(place, frozen, tmp_path, monkeypatch):
    out = tmp_path / "result.json"
    monkeypatch.setattr(confidential, "_figures", lambda scored: out.write_text("precious") and {})
    with pytest.raises(BenchmarkError, match=r"exists\. Choose another name"):
        run_confidential(place, frozen, out, draws=2, fits=1)
    assert out.read_text() == "precious"


def test_a_folder_that_is_not_there_is_said_before_the_work(place, frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(confidential, "draw_all", None)
    with pytest.raises(BenchmarkError, match=r"the folder .*nowhere does not exist. Make it, or choose another"):
        run_confidential(place, frozen, tmp_path / "nowhere" / "result.json")
    with pytest.raises(BenchmarkError, match=r"the folder .*nowhere does not exist"):
        freeze(SHUFFLE, tmp_path / "nowhere" / "frozen.json")


def test_nothing_is_left_of_a_run_that_fails(frozen, refused, monkeypatch):
    monkeypatch.setattr(shuffle.Shuffle, "draw", lambda self, X, rng: 1 / 0)
    refused(frozen, ZeroDivisionError)


def test_nothing_is_left_of_a_file_that_could_not_be_written(frozen, refused, monkeypatch):
    opened = type(refused.out).open

    class Full:
        """A text file on a disk with room for 100 characters."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def flush(self):
            self.file.flush()

        def write(self, text):
            self.file.write(text[:100])
            raise OSError(28, "No space left on device")

    def open_full(self, *args, **kwargs):
        file = opened(self, *args, **kwargs)
        return Full(file) if self == refused.out else file

    monkeypatch.setattr(type(refused.out), "open", open_full)
    refused(frozen, OSError, "No space left")


def test_missing_draws_shut_the_gate_and_have_no_figures(brisk, place, frozen, tmp_path, monkeypatch):
    draw = shuffle.Shuffle.draw

    def gappy(self, X, rng):
        out = np.array(draw(self, X, rng))
        out[::4] = np.nan
        return out

    monkeypatch.setattr(shuffle.Shuffle, "draw", gappy)
    result = run_confidential(place, frozen, tmp_path / "result.json", draws=2, fits=1)
    assert set(result["methods"]["again"]) == {"gates"}
    assert result["methods"]["again"]["gates"]["missing"] == pytest.approx(0.25, abs=0.01)


def test_the_truth_never_reaches_a_method(brisk, place, frozen, tmp_path, monkeypatch, held_out):
    """A method that looks through everything it is given finds predictors of receivers and nothing else."""
    seen = []
    draw = shuffle.Shuffle.draw

    def look(self, X, rng):
        seen.append((X.names, X.values.copy()))
        return draw(self, X, rng)

    monkeypatch.setattr(shuffle.Shuffle, "draw", look)
    run_confidential(place, frozen, tmp_path / "result.json", draws=2, fits=1)
    own = OwnTask(place)
    truth = held_out[1]
    assert len(seen) == 4
    for names, values in seen:
        assert list(names) == own.said["predictors"]
        assert not set(names) & set(own.said["targets"])
        for target in own.said["targets"]:
            for column in values.T:
                assert not np.array_equal(np.sort(column), np.sort(truth[target].to_numpy(np.float64)))
    fusion = own.problem(0, "split", None).fusion
    assert not set(fusion.receiver.columns) & set(own.said["targets"])


def test_other_truth_gives_the_same_draws(put, place, tmp_path):
    """The planted fault that no look at X could find: draws that depend on the truth in some other way."""
    changed = put(tmp_path, LIQ=123.0)
    cell = Cell("task", "split", 0, Contender("hotdeck", "hotdeck"), 2, 1)
    one, two = (draw_all(OwnTask(file).problem(0, "split", None).fusion, cell)[0] for file in (place, changed))
    np.testing.assert_array_equal(one, two)
