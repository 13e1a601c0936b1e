"""Every figure of the scores can be found again on the page, and nothing is passed over in silence."""

import pytest

from microimpute.benchmark.compare import against, default_method, leaders
from microimpute.benchmark.leaderboard import summarise
from microimpute.benchmark.markdown import markdown, part_name
from microimpute.benchmark.ranking import interval, rank
from microimpute.benchmark.scores import KINDS, Scores
from microimpute.metrics.base import FAMILIES, audits, metrics

AUDIT = next(iter(audits()))
#: task → metric → errors of null, oracle, good, bad; `gini` is informative in the first task only.
ERRORS = {
    "one": {"crps": (1.0, None, 0.4321, 0.8), "gini": (0.9, 0.1, 0.2345, 1.1), "c2st": (0.4, 0.0, 0.1234, 0.3)},
    "two": {"crps": (1.0, None, 0.5432, 0.9), "gini": (0.1, 0.1, 0.1, 0.1)},
}


def records():
    for task, found in ERRORS.items():
        for seed in (0, 1):
            for place, label in enumerate(("null", "oracle", "good", "b|ad")):
                values = {m: {"y": e[place] + 0.01 * seed} for m, e in found.items() if e[place] is not None}
                same = {"track": "B", "task": task, "arm": "split", "seed": seed, "label": label, "code": "c0de"}
                same |= {"status": "ok", "reason": "", "rows": {}, "kinds": {"y": "count"}, "values": values}
                same |= {"seconds": 1.25 + seed, "peak_mb": 321, "audits": {AUDIT: {AUDIT: 0.125 + place}}}
                if (task, seed, label) == ("two", 1, "b|ad"):
                    same |= {
                        "status": "failed",
                        "reason": "ValueError: first\n second | line",
                        "values": {},
                        "audits": {},
                    }
                if (task, label) == ("one", "b|ad"):
                    same |= {"status": "gate", "reason": "support"}
                yield same


@pytest.fixture(scope="module")
def scores():
    return Scores.of(records(), {"absent": "task 'absent': a.csv needs a data folder"})


@pytest.fixture(scope="module")
def summary(scores):
    return summarise(scores, "A title")


@pytest.fixture(scope="module")
def text(summary):
    return markdown(summary)


def cells(line):
    return [c.strip().replace(r"\|", "|") for c in line.replace(r"\|", "\0").strip("|").split("|")]


def tables(text):
    """Heading → rows of cells."""
    out, heading = {}, ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("<details>"):
            heading = line.removeprefix("<details><summary>").removesuffix("</summary>")
        elif line.startswith("|"):
            row = [c.replace("\0", "|") for c in cells(line)]
            out.setdefault(heading, []).append(row)
    return out


def lists(text, heading):
    part = text.split(f"## {heading}\n")[1].split("\n##")[0]
    return [line for line in part.splitlines() if line]


def test_all_rows_of_a_table_have_as_many_cells_as_its_head(text):
    """Labels and explanations with a bar in them, too."""
    found = tables(text)
    assert len(found) == 12  # three families among them
    for heading, rows in found.items():
        assert {len(row) for row in rows} == {len(rows[0])}, heading
    assert any("|" in metrics()[m].summary for m in metrics())


def test_the_headline_says_what_scores_and_ranking_say(scores, text):
    head, spans, ranking = scores.headline(), interval(scores), rank(scores)
    rows = tables(text)["A title"]
    assert rows[0][1:4] == ["conditional", "indistinguishability", "tails"]
    assert [row[0] for row in rows[2:]] == list(ranking.table.index) == ["good", "b|ad"]
    for row in rows[2:]:
        method = row[0]
        for place, name in enumerate(["conditional", "indistinguishability", "tails", "mean"], start=1):
            low, high = spans[name].loc[method]
            assert row[place] == f"{head.loc[method, name]:.3f} [{low:.2f}, {high:.2f}]"
        assert row[5] == f"{head.loc[method, 'worst']:.3f} ({head.loc[method, 'worst family']})"
        place = ranking.table.loc[method]
        assert row[6] == f"{place['mean_rank']:.3f} [{place['low']:.2f}, {place['high']:.2f}]"
        assert row[7] == f"{place['p_best']:.3f}"
    assert f"**{ranking.why}**" in text
    assert "2 tasks, 2 seeds, 16 cells" in text


def test_every_task_and_family_can_be_found_again_and_what_is_nothing_is_blank(scores, text):
    table = scores.families().groupby(["task", "method"]).mean()
    rows = {(row[1].partition(",")[0], row[2]): row[3:] for row in tables(text)["All methods on all tasks"][2:]}
    assert set(rows) == set(table.index)
    for key, row in rows.items():
        found = table.loc[key]
        assert row == [*("" if f != f else f"{f:.3f}" for f in found), f"{found.mean():.3f}"]
    assert rows["two", "good"][1:3] == ["", ""]
    assert rows["two", "b|ad"][0] == f"{(0.105 / 1.005 - 1) / 2:.3f}"  # one seed failed


def test_kinds_metrics_costs_and_audits_can_be_found_again(scores, text):
    found = tables(text)
    kinds = scores.by_kind()
    for row in found["All methods for all kinds"][2:]:
        assert row[2:] == [f"{v:.3f}" for v in kinds.loc[row[0], row[1]][list(kinds.columns)]]
    families = [f for f in FAMILIES if f in set(scores.frame["family"])]
    by_name = {}
    for family in families:
        head, _, *rows = found[family.capitalize()]
        by_name |= {name: {row[0]: row[place] for row in rows} for place, name in enumerate(head) if place}
    assert list(by_name) == [m for f in families for m, cls in sorted(metrics().items()) if cls.family == f]
    own = scores.frame[scores.frame["metric"] == "crps"].groupby("method")["skill"].mean()
    assert by_name["crps"] == {m: f"{own[m]:.3f}" for m in ("b|ad", "good")}
    assert by_name["hill"] == {"b|ad": "", "good": ""}
    assert f"- hill: {metrics()['hill'].summary}." in text
    assert found["Cost"][2:] == [["b|ad", "1.750", "2.250", "321"], ["good", "1.750", "2.250", "321"]]
    audit = found["Beside the score: copies and privacy"]
    assert audit[0] == ["method", AUDIT]
    assert audit[2:] == [["null", "0.125"], ["b|ad", "3.125"], ["good", "2.125"]]


def as_default(label, more=()):
    """Records in which the method of that label is called what the default is."""
    name = default_method()
    return [r | {"label": name if r["label"] == label else r["label"]} for r in [*records(), *more]]


def test_the_default_stands_against_each_other_method():
    """Where it did not run there is no such table, and that is said."""
    name = default_method()
    scores = Scores.of(as_default("good"))
    text = markdown(summarise(scores, "x"))
    head, _, row = tables(text)[f"The default, `{name}`, against each method"]
    (found,) = against(scores, name)
    assert head == ["method", "all tracks (2 tasks)", "P(better), all", "track B (2 tasks)", "P(better), B"]
    both = found["tracks"]["all"]
    low, high = both["span"]
    assert row[:3] == ["b|ad", f"{both['difference']:+.3f} [{low:+.3f}, {high:+.3f}]", f"{both['p_better']:.3f}"]
    assert row[1:3] == row[3:5]  # there is one track
    assert "against each method" not in markdown(summarise(Scores.of(records()), "x"))
    assert f"`{name}`, the default, did not run." in markdown(summarise(Scores.of(records()), "x"))


def test_a_method_that_ran_on_fewer_tasks_is_told_with_their_number():
    more = [r | {"label": "half", "status": "ok"} for r in records() if r["label"] == "good" and r["task"] == "one"]
    text = markdown(summarise(Scores.of(as_default("good", more)), "x"))
    cells = {row[0]: row[1] for row in tables(text)[f"The default, `{default_method()}`, against each method"][2:]}
    assert cells["half"].endswith(", 1 task")
    assert "task" not in cells["b|ad"]


def test_tasks_on_which_the_default_is_worse_than_nothing_are_named():
    name = default_method()
    fine = summarise(Scores.of(as_default("good")), "x")
    assert f"There is no task on which a family's skill of `{name}` is negative." in markdown(fine)
    bad = summarise(Scores.of(as_default("b|ad")), "x")
    worst = {row["task"]: row["worst"] for row in bad["overview"]}
    assert min(worst.values()) < 0
    said = f"Tasks on which a family's skill of `{name}` is negative: one, split: {worst['one']:.3f} (tails); two"
    assert said in markdown(bad)
    rows = {row[1]: row[2:] for row in tables(markdown(bad))["By task"][2:]}
    assert rows["one, split"][0] == "good"
    assert rows["one, split"][3] == f"{worst['one']:.3f} (tails)"


def test_leaders_by_kind_stand_on_the_page_and_kinds_without_a_task_too(scores, text):
    rows = tables(text)["By kind of variable"][2:]
    told = {(row[0], row[1]): row[2:] for row in rows}
    for found in leaders(scores):
        low, high = found["span"]
        skill = f"{found['skill']:.3f} [{low:.2f}, {high:.2f}]"
        what = {"conditional": "row by row"}.get(found["part"], found["part"])
        assert told[found["kind"], what] == [str(found["tasks"]), found["leader"], skill, "none"]
    assert [row[0] for row in rows if row[2] == "0"] == [k for k in KINDS if k != "count"]
    assert part_name("binary", "tails") == "shares of levels"


def test_cells_of_several_versions_of_the_code_are_told_apart(text):
    assert "several versions" not in text
    mixed = [r | {"code": "new"} if r["label"] == "good" else r for r in records()]
    said = markdown(summarise(Scores.of(mixed), "x"))
    assert "Cells come from several versions of the code (c0de: b|ad, null, oracle; new: good)." in said


def test_troubles_are_listed_on_one_line_each(text):
    assert lists(text, "Cells that failed or stand behind a gate") == [
        "- b|ad on one/split: gate (support), 2 cells",
        "- b|ad on two/split: failed (ValueError: first second | line), 1 cell",
    ]


def test_what_did_not_run_is_listed(text):
    assert lists(text, "Tasks that did not run") == ["- absent: task 'absent': a.csv needs a data folder"]


def test_metrics_without_a_value_are_listed_with_their_tasks(text, scores):
    listed = lists(text, "Metrics that are not defined for a task's kinds of variables")
    assert "- c2st: two" in listed
    assert "- hill: one, two" in listed
    assert not any(line.startswith(("- crps", "- gini")) for line in listed)
    assert len(listed) == len({m for _, m in scores.undefined})


def test_where_there_is_nothing_to_tell_it_is_said():
    fine = [r for r in records() if r["status"] == "ok" and r["label"] != "b|ad"]
    text = markdown(summarise(Scores.of(fine), "x"))
    for heading in ("Cells that failed or stand behind a gate", "Tasks that did not run"):
        assert lists(text, heading) == ["None."]
    assert "There is only one method." in text
    assert "ranks above" not in text


def test_a_run_that_tells_nothing_makes_a_page_all_the_same():
    """Null and oracle are alike everywhere."""
    same = [r | {"values": {"gini": {"y": 0.1}}, "status": "ok", "reason": ""} for r in records()]
    text = markdown(summarise(Scores.of(same), "x"))
    row = tables(text)["x"][2]
    assert row[1:4] == ["", "", ""]
    assert "nan" not in text.lower().replace("nan-", "")


def test_a_summary_is_plain_values(summary):
    import json

    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
