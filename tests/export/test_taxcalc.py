"""Records for Tax-Calculator: sums kept, everything else unaltered, and the program itself runs on them."""

import json

import numpy as np
import pandas as pd
import pytest
from tax_units_made import households, units, write_units

from microimpute import pool
from microimpute.errors import OutputError, SurveyError
from microimpute.export.taxcalc import HEAD, WEIGHT, read_units, records, write
from microimpute.frames import read_file

RULES = {"liquid": "by e00200", "interest_paid": "head", "cars": "copy"}
OPTIONS = {"names": {"interest_paid": "e19200"}, "replace": ("e19200",)}


@pytest.fixture
def path(tmp_path):
    return write_units(tmp_path)


def test_the_head_is_the_connector_s(path):
    made, read = households(path), read_units(path)
    heads = read.frame.to_pandas().query(f"{HEAD} == 1").sort_values(["FLPDYR", "h_seq"])
    receiver = made.receiver.frame.to_pandas()
    assert heads["age_head"].tolist() == receiver["age_head"].tolist() == [70, 45, 50, 80, 67, 28]
    assert heads[WEIGHT].tolist() == pytest.approx(receiver["household_weight"].tolist())


def test_households_amounts_are_all_there_and_nothing_else_is_altered(path):
    made, read = households(path), read_units(path)
    given = units()
    for i in range(1, made.m + 1):
        out = records(made, i, read, RULES, **OPTIONS).frame.to_pandas()
        theirs = made.complete(i)
        sums = out.groupby(["FLPDYR", "h_seq"])[["liquid", "e19200"]].sum()
        assert sums["liquid"].tolist() == theirs["liquid"].tolist()
        assert sums["e19200"].tolist() == theirs["interest_paid"].tolist()
        assert out.groupby(["FLPDYR", "h_seq"])["cars"].max().tolist() == theirs["cars"].tolist()
        assert out.loc[out[HEAD] == 0, "e19200"].eq(0).all()
        for column in given.columns.drop("e19200"):
            assert out[column].tolist() == given[column].tolist(), column
        assert out["e19200"].tolist() != given["e19200"].tolist()


def test_what_was_not_declared_is_refused(path):
    made, read = households(path), read_units(path)
    with pytest.raises(SurveyError, match="'e19200' is on both sides"):
        records(made, 1, read, {"interest_paid": "head"}, names={"interest_paid": "e19200"})
    with pytest.raises(OutputError, match="'e00300' is to be replaced"):
        records(made, 1, read, {"liquid": "head"}, replace=["e00300"])
    with pytest.raises(SurveyError, match="the rule for 'liquid'"):
        records(made, 1, read, {"liquid": "heads"})
    with pytest.raises(OutputError, match="no column FLPDYR"):
        read_units(write_units(path.parent, units().drop(columns="FLPDYR")))


def test_units_without_household_are_counted_or_refused(path):
    made = households(path)
    more = pd.concat([units(), units().tail(1).assign(h_seq=99, RECID=99)])
    read = read_units(write_units(path.parent, more))
    with pytest.raises(SurveyError, match="1 of 9 members have no household"):
        records(made, 1, read, {"liquid": "head"})
    out = records(made, 1, read, {"liquid": "head"}, unmatched=0.2)
    assert len(out) == 8
    assert "1 of 9 members have no household." in out.notes


def test_files(path, tmp_path):
    made, read = households(path), read_units(path)
    notes = write(made, tmp_path / "out", read, RULES, **OPTIONS)
    said = json.loads((tmp_path / "out" / "records.json").read_text())
    assert said["m"] == 3
    assert said["replaced"] == ["e19200"]
    assert said["notes"] == list(notes)
    back = read_file(tmp_path / "out" / "records_2.csv.gz").to_pandas()
    again = records(made, 2, read, RULES, **OPTIONS).frame.to_pandas()
    assert back["liquid"].tolist() == again["liquid"].tolist()
    with pytest.raises(OutputError):
        write(made, tmp_path / "out", read, RULES, **OPTIONS)


def taxes(frame):
    """Run Tax-Calculator under the law of 2016 and return income tax per unit, and mortgage interest as it read it."""
    tc = pytest.importorskip(
        "taxcalc", reason="taxcalc is not installed; scripts/test_microsimulation.py makes an environment with it"
    )
    made = tc.Records(data=frame, start_year=2016)
    assert {"liquid", "cars"} <= made.IGNORED_VARS
    calc = tc.Calculator(policy=tc.Policy(), records=made, verbose=False)
    interest = calc.array("e19200").copy()
    calc.advance_to_year(2016)
    calc.calc_all()
    return calc.array("iitax"), interest


@pytest.mark.filterwarnings("ignore")
def test_tax_calculator_runs_on_them(path):
    made, read = households(path, m=3), read_units(path)
    # interest that is worth itemising, so that what is imputed matters to the tax
    for i in range(3):
        made.values["interest_paid"][i].to_native().iloc[:] = 30_000.0 + 20_000.0 * i
    plain = read.frame.to_pandas()
    before, _ = taxes(plain.assign(liquid=0.0, cars=0))
    estimates, variances = [], []
    for i in range(1, 4):
        out = records(made, i, read, RULES, **OPTIONS).frame.to_pandas()
        after, interest = taxes(out)
        assert interest.tolist() == pytest.approx(out["e19200"].tolist())
        assert len(after) == len(before) == len(out)
        change = (after - before) * out[WEIGHT].to_numpy()
        # units that are no heads have the records that they had, and the tax that they had
        others = ((out[HEAD] == 0) & (plain["e19200"] == 0)).to_numpy()
        assert (after[others] == before[others]).all()
        estimates.append([change.sum()])
        variances.append([len(change) * change.var(ddof=1)])
    assert np.ptp(estimates) > 0
    pooled = pool(np.array(estimates), np.array(variances), names=["change in income tax"])
    assert pooled.estimate[0] == pytest.approx(np.mean(estimates))
    within, between = np.mean(variances), np.var(estimates, ddof=1)
    assert pooled.std_error[0] ** 2 == pytest.approx(within + (1 + 1 / 3) * between)
    # nothing imputed matters where it was carried along only
    carried = records(made, 1, read, {"liquid": "head", "cars": "copy"}).frame.to_pandas()
    assert taxes(carried)[0].tolist() == before.tolist()
