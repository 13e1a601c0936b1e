"""Gates: what no score can make good."""

import numpy as np
import pytest
from own_files import ROWS, TASK, write_task

from microimpute.benchmark.gates import TOLERANCE, gates
from microimpute.benchmark.own_task import find_task

WEALTH, DEBT, TRIPS, OWNER = range(4)
DRAWS = 4
#: One tenth of all rows of all draws.
TENTH = np.broadcast_to(np.arange(ROWS) % 10 == 0, (DRAWS, ROWS))


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return find_task(str(write_task(tmp_path_factory.mktemp("gates")))).problem(0, "split", None)


@pytest.fixture
def draws(problem):
    return np.repeat(problem.truth[None], DRAWS, axis=0)


def measured(problem, draws, **more):
    return gates(problem.fusion, problem.truth, draws, **{"seconds": 1.0, "limit": 600.0} | more)


def test_truth_passes_all(problem, draws):
    assert measured(problem, draws) == {"missing": 0.0, "support": 0.0, "edits": 0.0, "seconds over": 0.0}


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, 7.0])
def test_unknown_class(problem, draws, value):
    draws[TENTH, OWNER] = value
    found = measured(problem, draws)
    assert found.pop("support") == pytest.approx(0.1 / 4)  # a share of the values of all four targets
    assert not any(found.values())


def test_every_level_that_donors_have_passes(problem, draws):
    assert len(problem.fusion.variables["owner"].levels) == 2
    draws[:, :, OWNER] = 1 - draws[:, :, OWNER]
    assert measured(problem, draws)["support"] == 0


def test_fraction_of_a_count(problem, draws):
    draws[TENTH, TRIPS] += 0.5
    assert measured(problem, draws)["support"] == pytest.approx(0.1 / 4)


def test_fractions_of_amounts_and_counts_that_nobody_had_pass(problem, draws):
    draws[TENTH, WEALTH] += 0.5
    draws[TENTH, TRIPS] = 1000
    assert measured(problem, draws)["support"] == 0


def test_negative_amounts_where_donors_have_none(problem, draws):
    assert problem.fusion.donor_columns()["debt"].min() >= 0
    draws[TENTH & (draws[:, :, WEALTH] != 0), DEBT] = -1.0
    share = float((draws[:, :, DEBT] < 0).mean())
    assert share > 0
    assert measured(problem, draws)["support"] == pytest.approx(share / 4)


def test_negative_amounts_where_donors_have_some_pass(problem, draws):
    assert problem.fusion.donor_columns()["wealth"].min() < 0
    draws[TENTH, WEALTH] = -1.0
    assert measured(problem, draws)["support"] == 0


def break_rule(values):
    values[..., WEALTH] = 0.0
    values[..., DEBT] = 100.0


def test_broken_rules_beyond_the_tolerance(problem, draws):
    rows = draws[TENTH]
    break_rule(rows)
    draws[TENTH] = rows
    found = measured(problem, draws)
    assert found.pop("edits") == pytest.approx(0.1 - TOLERANCE)
    assert not any(found.values())


def test_the_truths_own_share_is_allowed(problem, draws):
    truth = problem.truth.copy()
    broken = truth[TENTH[0]]
    break_rule(broken)
    truth[TENTH[0]] = broken
    found = gates(problem.fusion, truth, np.repeat(truth[None], DRAWS, axis=0), 1.0, 600.0)
    assert found["edits"] == 0
    fifth = np.broadcast_to(np.arange(ROWS) % 5 == 0, (DRAWS, ROWS))
    rows = draws[fifth]
    break_rule(rows)
    draws[fifth] = rows
    assert gates(problem.fusion, truth, draws, 1.0, 600.0)["edits"] == pytest.approx(0.1 - TOLERANCE)


def test_rules_of_totals_hold_for_what_is_derived(tmp_path):
    text = TASK.replace('"net = wealth - debt"', '"net = wealth - debt", "net >= 0"')

    def solvent(frame):
        return frame.assign(wealth=frame["wealth"].abs() + frame["debt"])

    made = find_task(str(write_task(tmp_path, text, solvent, solvent))).problem(0, "split", None)
    draws = np.repeat(made.truth[None], DRAWS, axis=0)
    assert measured(made, draws)["edits"] == 0
    draws[TENTH, DEBT] = draws[TENTH, WEALTH] + 1
    draws[TENTH, WEALTH] += 0.5  # not zero, so that the other rule holds
    assert measured(made, draws)["edits"] == pytest.approx(0.1 - TOLERANCE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("target", [WEALTH, OWNER])
def test_missing_and_infinite(problem, draws, value, target):
    draws[0, 0, target] = value
    found = measured(problem, draws)
    assert found.pop("missing") == pytest.approx(1 / draws.size)
    assert not any(found.values())


def test_time_limit(problem, draws):
    assert measured(problem, draws, seconds=10.0, limit=10.0)["seconds over"] == 0
    assert measured(problem, draws, seconds=12.5, limit=10.0)["seconds over"] == 2.5
