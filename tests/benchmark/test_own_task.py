"""Tasks of one's own: two files and a list of columns."""

import numpy as np
import pandas as pd
import pytest
from own_files import ROWS, TASK, write_task

from microimpute.benchmark.own_task import OwnTask, find_task
from microimpute.errors import BenchmarkError, MicroImputeError
from microimpute.kinds import Kind
from microimpute.metrics.base import Figure
from microimpute.testing import example_donor

TRUTH = example_donor(2 * ROWS).iloc[ROWS:].reset_index(drop=True)


def problem(path):
    return find_task(str(path)).problem(0, "split", None)


def test_two_files_and_columns_make_a_problem(tmp_path):
    made = problem(write_task(tmp_path))
    fusion = made.fusion
    assert fusion.targets == ("wealth", "debt", "trips", "owner")
    assert fusion.derived == ("net",)
    assert fusion.predictors == ("income", "age", "region")
    assert fusion.variables["trips"].kind is Kind.COUNT
    assert (len(fusion.donor), len(fusion.receiver)) == (ROWS, ROWS)
    np.testing.assert_array_equal(made.truth, TRUTH[["wealth", "debt", "trips", "owner"]].astype(float))
    np.testing.assert_array_equal(fusion.receiver.weights(), TRUTH["weight"])
    assert made.figures == (Figure("asset test", "wealth", 2000.0),)
    assert made.notes == ()
    assert made.sampler is None
    own = find_task(str(tmp_path / "own.toml"))
    assert (own.name, own.summary, own.track, own.arms) == ("own", "An example", "own", ("split",))


def test_receivers_have_neither_targets_nor_totals(tmp_path):
    def totals(frame):
        return frame.assign(net=frame["wealth"] - frame["debt"], note="seen")

    made = problem(write_task(tmp_path, donor=totals, truth=totals))
    assert sorted(made.fusion.receiver.columns) == ["age", "id", "income", "region", "weight"]
    named = problem(write_task(tmp_path, TASK.replace('["wealth", "debt"', '["net", "wealth", "debt"'), totals, totals))
    assert named.fusion.derived == ("net",)
    np.testing.assert_array_equal(named.truth, made.truth)


def test_without_a_weight_every_row_counts_one_and_that_is_noted(tmp_path):
    made = problem(write_task(tmp_path, TASK.replace('weight = "weight"\n', "")))
    assert made.notes == ("No weight is named: every row counts 1.",)
    np.testing.assert_array_equal(made.fusion.receiver.weights(), np.ones(ROWS))
    np.testing.assert_array_equal(made.fusion.donor.weights(), np.ones(ROWS))


def test_groups_of_text_and_of_numbers(tmp_path):
    text = TASK.replace('groups = ["region"]', 'groups = ["region", "age"]')
    groups = problem(write_task(tmp_path, text)).groups
    for name in ("region", "age"):
        assert groups[name].dtype == np.int64
        pairs = set(zip(groups[name], TRUTH[name], strict=True))
        assert len(pairs) == len(set(groups[name])) == TRUTH[name].nunique()


def test_missing_values_are_a_group_of_their_own(tmp_path):
    gap = np.arange(ROWS) % 5 == 0
    groups = problem(write_task(tmp_path, truth=lambda f: f.assign(region=f["region"].mask(gap)))).groups
    assert len(set(groups["region"][gap])) == 1
    assert not set(groups["region"][gap]) & set(groups["region"][~gap])
    assert len(set(groups["region"])) == 4


def test_the_hash_is_of_all_three_files(tmp_path):
    found = {OwnTask(write_task(tmp_path)).data_hash(None)}
    assert OwnTask(write_task(tmp_path)).data_hash(None) in found
    found.add(OwnTask(write_task(tmp_path, TASK + "\n")).data_hash(None))
    found.add(OwnTask(write_task(tmp_path, donor=lambda f: f.assign(age=f["age"] + 1))).data_hash(None))
    found.add(OwnTask(write_task(tmp_path, truth=lambda f: f.assign(age=f["age"] + 1))).data_hash(None))
    assert len(found) == 4


LIST = '["wealth", "debt", "trips", "owner"]'


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("targets =", "tagets =", ("'tagets'", "Did you mean 'targets'?")),
        ("predictors =", "# ", ("'predictors'",)),
        ("truth =", "# ", ("'truth'",)),
        (f"targets = {LIST}", "targets = []", ("'targets'",)),
        (f"targets = {LIST}", 'targets = "wealth"', ("targets is 'wealth'", "list")),
        (f"targets = {LIST}", "targets = [1]", ("targets is [1]", "list")),
        ('groups = ["region"]', 'groups = "region"', ("groups is 'region'", "list")),
        ('donor = "donor.parquet"', "donor = 3", ("donor is 3",)),
        ('weight = "weight"', "weight = 3", ("weight is 3",)),
        ('title = "An example"', "title = 3", ("title is 3",)),
        ('[kinds]\ntrips = "count"', 'kinds = "count"', ("kinds is 'count'", "[kinds]")),
        ("title", "title =", ("TOML",)),
    ],
)
def test_bad_keys(tmp_path, old, new, named):
    assert TASK.count(old) == 1
    with pytest.raises(BenchmarkError) as caught:
        find_task(str(write_task(tmp_path, TASK.replace(old, new))))
    for name in ("own.toml", *named):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('target = "wealth"', 'target = "welth"', ("'welth'", "asset test", "Did you mean 'wealth'?")),
        ('target = "wealth"', 'target = "owner"', ("'owner'", "asset test")),
        ("threshold = 2000", "treshold = 2000", ("no 'threshold'",)),
        ("threshold = 2000", 'threshold = "much"', ("'much'",)),
        ("threshold = 2000", "threshold = nan", ("asset test", "nan")),
    ],
)
def test_bad_figures(tmp_path, old, new, named):
    with pytest.raises(BenchmarkError) as caught:
        problem(write_task(tmp_path, TASK.replace(old, new)))
    for name in ("own.toml", *named):
        assert name in str(caught.value)


def test_figures_may_ask_about_totals(tmp_path):
    text = TASK.replace('target = "wealth"', 'target = "net"')
    assert problem(write_task(tmp_path, text)).figures == (Figure("asset test", "net", 2000.0),)


def every_fifth(frame, column, value):
    return frame.assign(**{column: frame[column].mask(frame.index % 5 == 0, value)})


@pytest.mark.parametrize(
    ("truth", "named"),
    [
        (lambda f: f.drop(columns="wealth"), ("the truth has no column 'wealth'",)),
        (lambda f: f.drop(columns="income"), ("'income'", "receiver")),
        (lambda f: f.drop(columns="weight"), ("weight", "'weight'")),
        (lambda f: f.drop(columns="id"), ("keys", "'id'")),
        (lambda f: f.head(0), ("no rows",)),
        (lambda f: f.assign(wealth="much"), ("'wealth'",)),
        (lambda f: every_fifth(f, "wealth", np.nan), ("'wealth'", "missing or infinite in 24 of 120 rows")),
        (lambda f: every_fifth(f, "wealth", np.inf), ("'wealth'", "missing or infinite in 24 of 120 rows")),
        (lambda f: every_fifth(f.astype({"owner": object}), "owner", None), ("'owner'", "in 24 of 120 rows")),
    ],
    ids=["target", "predictor", "weight", "key", "rows", "text", "missing", "infinite", "class"],
)
def test_truth_that_lacks_something(tmp_path, truth, named):
    with pytest.raises(MicroImputeError) as caught:
        problem(write_task(tmp_path, truth=truth))
    for name in named:
        assert name in str(caught.value)


def test_truth_with_a_level_that_no_donor_has(tmp_path):
    text = TASK.replace("owner", "region_of_work")
    path = write_task(tmp_path, text, truth=lambda f: every_fifth(f, "region_of_work", "moon"))
    with pytest.raises(BenchmarkError, match=r"'region_of_work' is .* a level that no donor has in 24 of 120 rows"):
        problem(path)


def test_groups_that_are_not_there(tmp_path):
    with pytest.raises(BenchmarkError, match="no column 'regon'"):
        problem(write_task(tmp_path, TASK.replace('groups = ["region"]', 'groups = ["regon"]')))


@pytest.mark.parametrize("side", ["donor", "truth"])
def test_missing_files(tmp_path, side):
    path = write_task(tmp_path)
    (tmp_path / f"{side}.parquet").unlink()
    with pytest.raises(BenchmarkError, match=f"{side}.parquet does not exist.*{side} in own.toml"):
        OwnTask(path).data_hash(None)


def test_missing_task_file(tmp_path):
    with pytest.raises(BenchmarkError, match=r"nothing\.toml can't be read"):
        find_task(str(tmp_path / "nothing.toml"))


def test_csv_files_do_as_well(tmp_path):
    path = write_task(tmp_path)
    before = problem(path)
    for side in ("donor", "truth"):
        pd.read_parquet(tmp_path / f"{side}.parquet").to_csv(tmp_path / f"{side}.csv", index=False)
    path.write_text(TASK.replace(".parquet", ".csv"))
    np.testing.assert_array_equal(problem(path).truth, before.truth)
