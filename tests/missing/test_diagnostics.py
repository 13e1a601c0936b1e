"""R-hat and autocorrelation against what is known of them; chains that have not mixed are warned of."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from microimpute import impute, impute_missing
from microimpute.errors import SurveyError
from microimpute.missing import Convergence, ConvergenceWarning, convergence
from microimpute.missing.diagnostics import _plain_r_hat as plain_r_hat
from microimpute.missing.diagnostics import _split as split
from microimpute.missing.diagnostics import autocorrelation, r_hat
from microimpute.report.traces import trace_plots


def test_r_hat_by_hand():
    """Two chains of four: halves 0 2 | 1 3 and 4 6 | 5 7; variance within 2, of means (1, 2, 5, 6) 17/3."""
    chains = np.array([[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]])
    assert plain_r_hat(split(chains)) == pytest.approx(np.sqrt(0.5 + (17 / 3) / 2))
    assert r_hat(chains) >= plain_r_hat(split(chains))
    assert split(np.arange(10.0).reshape(2, 5)).tolist() == [[0, 1], [5, 6], [3, 4], [8, 9]]


def test_independent_passes_are_within_the_limit_and_trends_are_not():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(5, 1000))
    assert r_hat(noise) == pytest.approx(1.0, abs=0.01)
    assert r_hat(noise + np.arange(5)[:, None]) > 1.5
    assert r_hat(noise + np.linspace(0, 4, 1000)) > 1.3  # all drift alike: halves differ
    assert r_hat(noise * np.arange(1, 6)[:, None]) > 1.1  # one mean, other spreads
    assert r_hat(np.ones((3, 8))) == 1.0
    assert r_hat(np.arange(3)[:, None] * np.ones((3, 8))) == np.inf
    assert np.isnan(r_hat(np.ones((3, 1))))


def test_false_alarms_are_as_rare_as_said():
    """Of 300 runs of ten well-mixed figures, about one in a hundred (thrice, for three kinds of R-hat) is flagged."""
    rng = np.random.default_rng(1)
    flagged = over = 0
    for _ in range(300):
        trace = {f"t{k}": {"mean": rng.normal(size=(5, 10)), "sd": rng.normal(size=(5, 10))} for k in range(5)}
        found = Convergence(trace)
        flagged += bool(found.unmixed)
        over += any(row["r_hat"] > 1.1 for row in found.rows)
    assert flagged <= 18  # 3% expected: 9, and four standard errors of 2.95
    assert over > 150  # what a bare limit of 1.1 would call unmixed


def test_autocorrelation():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(4, 4000))
    ar = np.zeros_like(noise)
    for t in range(1, 4000):
        ar[:, t] = 0.7 * ar[:, t - 1] + noise[:, t]
    assert autocorrelation(ar) == pytest.approx(0.7, abs=0.03)
    assert autocorrelation(noise) == pytest.approx(0.0, abs=4 / np.sqrt(16000))
    assert np.isnan(autocorrelation(np.ones((2, 9))))


def collinear():
    """Two variables that are nearly one, both missing in half of the rows."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=400)
    frame = pd.DataFrame({"a": a, "b": a + 0.02 * rng.normal(size=400), "c": rng.normal(size=400)})
    u = rng.random(400)
    frame.loc[u < 0.6, "a"] = np.nan
    frame.loc[(u < 0.5) | (u > 0.88), "b"] = np.nan
    return frame


@pytest.mark.parametrize(("iterations", "said"), [(2, "too few passes"), (10, "have not mixed (R-hat of a, b)")])
def test_chains_that_can_not_have_mixed_are_warned_of(iterations, said):
    with pytest.warns(ConvergenceWarning, match=re.escape(said)):
        done = impute_missing(collinear(), iterations=iterations, seed=2)
    assert any(note["warning"] and said in note["text"] for note in done.manifest["notes"])
    table = convergence(done).table()
    assert list(table.columns) == ["target", "statistic", "r_hat", "limit", "autocorrelation", "mixed"]
    assert table["r_hat"].max() > 1.5
    assert set(convergence(done).unmixed) == set(done.manifest["unmixed"]) == {"a", "b"}


def test_well_behaved_chains_are_not():
    rng = np.random.default_rng(4)
    x = rng.normal(size=500)
    frame = pd.DataFrame({"x": x, "y": x + rng.normal(size=500), "z": rng.normal(size=500)})
    frame = frame.mask(rng.random(frame.shape) < 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = impute_missing(frame, seed=1)
    told = convergence(done)
    assert not told.unmixed
    assert told.trace["y"]["mean"].shape == (5, 10)
    last = done.numbers("y")[:, frame["y"].isna()]
    assert told.trace["y"]["mean"][:, -1] == pytest.approx(last.mean(axis=1))
    assert told.trace["y"]["sd"][:, -1] == pytest.approx(last.std(axis=1))
    svg = trace_plots(done)
    assert svg.startswith("<svg")
    assert svg.count("R-hat") == 6
    assert "x: mean" in svg


def test_the_trace_of_an_unordered_class_is_the_share_of_its_commonest_level():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"k": rng.choice(["a", "b", "c"], 300, p=[0.2, 0.6, 0.2]), "x": rng.normal(size=300)})
    frame = frame.mask(rng.random(frame.shape) < 0.3)
    done = impute_missing(frame, m=2, iterations=4, seed=3)
    lost = frame["k"].isna()
    shares = [(done.complete(i)["k"][lost] == "b").mean() for i in (1, 2)]
    assert convergence(done).trace["k"]["mean"][:, -1] == pytest.approx(shares)


def test_there_is_nothing_to_tell_without_chains():
    frame = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) ** 0.5})
    frame.loc[:5, "y"] = np.nan
    with pytest.raises(SurveyError, match="took no passes"):
        convergence(impute_missing(frame, m=1))
    with pytest.raises(SurveyError, match="took no passes"):
        trace_plots(impute(frame.dropna(), frame[["x"]], targets=["y"], m=1, method="hotdeck"))
