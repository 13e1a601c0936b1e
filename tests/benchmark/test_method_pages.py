"""Pages of methods say what the code and the results say, and the committed ones still do."""

import re
from pathlib import Path

import pytest

from microimpute.benchmark import method_pages
from microimpute.benchmark.compare import default_method
from microimpute.benchmark.leaderboard import summarise
from microimpute.benchmark.method_pages import (
    INDEX,
    RESULTS,
    index_said,
    method_said,
    own_methods,
    pages,
    source,
    write,
)
from microimpute.benchmark.scores import Scores
from microimpute.described import Description
from microimpute.methods.base import methods

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "methods"
NAMES = [cls.name for cls in own_methods()]
AGAIN = "the page is not what the code says: run make method-pages"


def code_part(name):
    return (COMMITTED / name).read_text(encoding="utf-8").partition(RESULTS)[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_page_is_what_the_code_says(name):
    described = Description.of(methods()[name])
    found = code_part(f"{name}.md")
    assert found.rstrip() == method_said(described, NAMES).rstrip(), AGAIN
    for words in (
        described.summary.split("`")[0],
        described.reference,
        *(f"| `{s.name}` |" for s in described.settings),
    ):
        assert words in found


def test_the_committed_index_is_what_the_code_says_and_no_page_is_left_over():
    assert code_part(INDEX).rstrip() == index_said([Description.of(c) for c in own_methods()]).rstrip(), AGAIN
    assert {path.name for path in COMMITTED.iterdir()} == {INDEX, *(f"{name}.md" for name in NAMES)}


def test_the_committed_pages_are_made_from_the_committed_results():
    folder = ROOT / "benchmarks"
    results = [*sorted(folder.glob("results*.jsonl.gz")), folder / "nets.jsonl.gz"]
    assert len(results) > 1
    assert f"Results: {source(*results)}." in (COMMITTED / INDEX).read_text(encoding="utf-8"), AGAIN


def test_links_lead_somewhere():
    for path in COMMITTED.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"


#: Errors of null, oracle and methods, in two tasks; `rank` ran on one of them.
LEVELS = {
    "one": {"null": 1.0, "oracle": 0.0, default_method(): 0.4, "hotdeck": 0.2, "rank": 0.7, "median": 0.1, "wide": 0.3},
    "two": {"null": 1.0, "oracle": 0.0, default_method(): 0.5, "hotdeck": 0.6, "median": 2.5, "wide": 0.3},
}


def records():
    for task, levels in LEVELS.items():
        for seed in (0, 1):
            for label, error in levels.items():
                found = {"crps": {"y": error, "z": error}, "share_nonzero": {"y": error}, "energy_score": {"": error}}
                own = {"track": "A", "task": task, "arm": "split", "seed": seed, "label": label, "code": "c0de"}
                own |= {"status": "ok", "reason": "", "rows": {}, "kinds": {"y": "semicontinuous", "z": "count"}}
                own |= {"values": found, "seconds": 2.5 + seed, "peak_mb": 321}
                own |= {"method": "nearest", "settings": {"neighbours": 9}} if label == "wide" else {}
                yield own


@pytest.fixture(scope="module")
def made():
    failed = [
        r | {"status": "failed", "reason": "no luck", "values": {}}
        for r in records()
        if (r["label"], r["task"], r["seed"]) == ("hotdeck", "two", 1)
    ]
    return pages(own_methods(), summarise(Scores.of([*records(), *failed]), "x"), "`r.jsonl` (SHA-256 0…)")


def rows(page, heading):
    part = page.split(heading)[1].split("\n#")[0]
    return [[c.strip() for c in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]


def test_a_method_s_rows_stand_on_its_page_beside_the_best_and_the_default(made):
    page = made["hotdeck.md"]
    name = default_method()
    table = rows(page, RESULTS)
    assert [row[0] for row in table[2:]] == ["hotdeck", "wide, the best mean", f"{name}, the default"]
    mean = ((0.8 * 2) / 2 + (0.4 - 1) / 2) / 2  # one seed of the second task failed
    assert table[2][1].startswith(f"{mean:.3f} [")
    task = rows(page, "### By task")
    assert task[0][2:] == ["hotdeck", "worst family", f"{name} (default)", "best"]
    assert task[2][1:] == ["one, split", "0.800", "0.800 (conditional)", "0.600", "0.800 (hotdeck)"]
    assert task[3][-1] == "0.700 (wide)"
    assert "A cell took 3.0 s (median), 3.5 s at most. Largest peak memory of its process: 321 MB." in page
    assert "- hotdeck on two/split: failed (no luck), 1 cell" in page


def test_kinds_have_places_among_methods_that_draw(made):
    """`median` is better than `rank` where `rank` ran, but has no place to take from it."""
    table = {row[0]: row[1:] for row in rows(made["rank.md"], "### By kind of variable")[2:]}
    assert rows(made["rank.md"], "### By kind of variable")[0] == ["kind", "tasks", "conditional", "zeros"]
    assert table["semicontinuous"] == ["2", "0.300 (3 of 4)", "0.300 (3 of 4)"]
    assert table["count"] == ["2", "0.300 (3 of 4)", ""]
    assert table["ordinal"] == ["0", "", ""]


def test_the_default_has_no_column_beside_itself(made):
    page = made[f"{default_method()}.md"]
    assert rows(page, "### By task")[0] == ["track", "task, arm", default_method(), "worst family", "best"]
    assert "less this one's" not in page


def test_a_method_without_results_says_so(made):
    page = made["srmi.md"].partition(RESULTS)[2]
    assert page.strip() == "`srmi` is not in the committed results, so nothing is known of its skill here."
    assert "its skill is 0 by definition" in made["shuffle.md"]


def test_other_settings_of_a_method_are_named(made):
    assert made["nearest.md"].partition(RESULTS)[2].strip().startswith("`nearest` is not in the committed results")
    named = [r | {"label": "nearest"} if r["label"] == "wide" else r for r in records()]
    page = pages(own_methods(), summarise(Scores.of(named), "x"), "")["nearest.md"]
    assert "Run with `neighbours = 9`, all else as by default." in page
    both = [*records(), *(r | {"label": "nearest", "settings": {}} for r in records() if r["label"] == "wide")]
    page = pages(own_methods(), summarise(Scores.of(both), "x"), "")["nearest.md"]
    assert "Run with" not in page
    assert "With other settings, in [the whole benchmark](../benchmarks.md): wide." in page


def test_the_index_ranks_by_mean_skill_and_keeps_points_and_strangers_apart(made):
    page = made[INDEX].partition(RESULTS)[2]
    ranked = re.findall(r"^(\d+)\. \[`(\w+)`\]\(\w+\.md\): (\S+)", page, re.M)
    assert ranked == [("1", default_method(), "0.550"), ("2", "hotdeck", "0.250")]
    fewer, others = page.split("On fewer tasks")[1].split("Not ranked:")
    assert re.findall(r"^- \[`(\w+)`\]", fewer, re.M) == ["rank"]  # its mean, 0.300, is of one task of the two
    assert re.search(r"`rank`\]\(rank\.md\): 0\.300 [^,]+, [^,]+\] on 1 task \(1 arm\), \d seeds?, 3\.0 s\. ", fewer)
    others = re.findall(r"^- \[`(\w+)`\]", others, re.M)
    assert others[0] == "median"
    assert set(others) == set(NAMES) - {"rank", *(name for _, name, _ in ranked)}
    assert "over the 2 ranked tasks" in page
    assert page.rstrip().endswith("Results: `r.jsonl` (SHA-256 0…).")


def test_a_mean_of_fewer_seeds_is_kept_apart():
    once = [r for r in records() if (r["label"], r["seed"]) != ("hotdeck", 1)]
    page = pages(own_methods(), summarise(Scores.of(once), "x"), "")[INDEX].partition(RESULTS)[2]
    ranked, fewer = page.split("On fewer tasks, arms or seeds")
    assert re.findall(r"^\d+\. \[`(\w+)`\]", ranked, re.M) == [default_method()]
    assert re.search(r"^- \[`hotdeck`\].* on 2 tasks \(2 arms\), 1 seed, ", fewer, re.M)


def test_pages_of_methods_that_are_gone_are_removed_and_nothing_else(tmp_path):
    import json

    journal = tmp_path / "results.jsonl"
    fields = {"method": "shuffle", "settings": {}, "draws": 2, "fits": 1, "data": "d"}
    lines = [{"task": r["task"]} | fields | r for r in records() if r["label"] in ("null", "oracle", "rank")]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = tmp_path / "methods"
    first = write(folder, journal)
    assert {p.name for p in first} == {INDEX, *(f"{n}.md" for n in NAMES)}
    stale, mine = folder / "gone.md", folder / "notes.md"
    stale.write_text((folder / "rank.md").read_text(encoding="utf-8"), encoding="utf-8")
    mine.write_text("my own words")
    before = {p.name: p.read_bytes() for p in first}
    write(folder, journal)
    assert not stale.exists()
    assert mine.read_text() == "my own words"
    assert {p.name: p.read_bytes() for p in first} == before


def test_docstrings_become_markdown():
    told = "Words.\n\n=====  ========\nkind   model\n=====  ========\ncount  Poisson | more\nclass  logit\n=====  ========\n\n- a point"
    assert method_pages._markdown(told) == (
        "Words.\n\n| kind | model |\n|---|---|\n| count | Poisson \\| more |\n| class | logit |\n\n- a point"
    )
    assert method_pages._one_line("Two\nlines.\n\nMore:\n\n- a\n  b\n- c") == "Two lines.<br>More:<br>- a b<br>- c"
    linked = method_pages._linked("See `rank`, ``rank``, `forest` and `ranks`.", ["rank", "forest"], "forest")
    assert linked == "See [`rank`](rank.md), ``rank``, `forest` and `ranks`."
