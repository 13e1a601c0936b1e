"""A method calls itself proper as far as the published study of coverage bears it out, and says so where it counts."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute, impute_missing
from microimpute.described import Description
from microimpute.manifest import cautions
from microimpute.methods.base import Method, methods
from microimpute.methods.shuffle import Shuffle
from microimpute.report import sections
from microimpute.testing import CHECKS

STUDY = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def study():
    """Bias in percent, coverage and repetitions of every figure in benchmarks/coverage.csv.gz, donors resampled."""
    spec = importlib.util.spec_from_file_location("study_of_coverage", STUDY / "coverage.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = pd.read_csv(STUDY / "coverage.csv.gz").drop_duplicates(list(script.CELL))
    parameters = found["resampled"] | ~found["method"].map(lambda name: methods()[name].resampled)
    found = found[parameters & ~((found["population"] == "normal") & (found["figure"] == "share"))]
    place = found["figure"].map(script.FIGURES.index)
    true = np.array([script.truth(p)[k] for p, k in zip(found["population"], place, strict=True)])
    told = found.assign(
        bias=100 * (found["estimate"] / true - 1), covered=(found["low"] <= true) & (true <= found["high"])
    )
    cells = told.groupby(["method", "rule", "m", "donors", "population", "figure"])
    return cells.agg(bias=("bias", "mean"), coverage=("covered", "mean"), count=("covered", "size")).reset_index()


def fails(cells):
    """Say which figures are off by 5% or more, or covered less than 93 times in 100 by more than chance explains."""
    error = np.sqrt(0.93 * 0.07 / cells["count"])
    return (cells["bias"].abs() >= 5) | (cells["coverage"] < 0.93 - 2 * error)


OWN = sorted(n for n, c in methods().items() if c.__module__.startswith("microimpute.methods."))


@pytest.mark.parametrize("name", OWN)
def test_what_a_method_says_of_itself_is_what_the_study_found(name, study):
    cls, cells = methods()[name], study[study["method"] == name]
    if cls.proper:
        right = cells[cells["rule"] == "external donors"]
        assert {20, 5} <= set(right["m"]), "not in the study under the rule that is right"
        assert {"normal", "wealth"} <= set(right["population"])
        assert not fails(right).any(), right[fails(right)].to_string()
    elif cls.proper is None:
        assert not fails(cells).any(), "the study shows that it is not proper"
    else:
        assert cls.coverage
        assert fails(cells).any() or not (cls.valid and cls.uses_predictors)


def test_the_study_fails_what_is_flat_and_what_covers_too_rarely():
    sound = {"bias": 1.0, "coverage": 0.94, "count": 100}
    cells = pd.DataFrame([sound, sound | {"bias": -5.5}, sound | {"coverage": 0.87}, sound | {"coverage": 0.89}])
    assert fails(cells).tolist() == [False, True, True, False]


def test_facts_have_three_answers():
    answers = {
        name: next(f.answer for f in Description.of(methods()[name]).facts if f.name == "proper")
        for name in ("forest", "hotdeck", "constrained")
    }
    assert answers == {"forest": "yes", "hotdeck": "no", "constrained": "not shown"}


def test_a_method_that_says_nothing_is_not_taken_for_proper():
    """As a third party's may be, written before there was a study."""
    silent = type("Silent", (Shuffle,), {"proper": Method.proper, "coverage": Method.coverage})
    assert next(f.answer for f in Description.of(silent).facts if f.name == "proper") == "not shown"
    done = impute(donors_and_receivers(), method=silent(), m=2)
    assert done.manifest["method"]["proper"] is None
    assert cautions(done.manifest) == [
        "Method 'shuffle': no study shows how often its pooled intervals hold the truth."
    ]


def donors_and_receivers():
    rng = np.random.default_rng(1)
    donor = pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    return Fusion(Survey(donor), Survey(pd.DataFrame({"x": rng.normal(size=50), "w": 1.0}), weight="w"), targets=["y"])


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("hotdeck", "Method 'hotdeck' is not proper. Implicates carry the donors' sampling error, but it flattens"),
        ("constrained", "Method 'constrained': no study shows how often its pooled intervals hold the truth."),
        ("pmm", "Method 'pmm' is not proper. Implicates carry the donors' sampling error, and intervals of means"),
        ("srmi", None),
    ],
)
def test_pooled_tables_and_reports_say_it(method, said, tmp_path):
    fusion = donors_and_receivers()
    done = impute(fusion, method=method, m=3)
    done.save(tmp_path / "saved")
    notes = done.pool(lambda d: ([d.y.mean()], [d.y.var() / len(d)])).notes
    again = type(done).load(tmp_path / "saved").pool(lambda d: ([d.y.mean()], [d.y.var() / len(d)])).notes
    assert notes == again
    story = " ".join(sections.story(done, fusion))
    assert "carries the donor's sampling error" in story
    found = [n for n in notes if n.startswith("Method")]
    if said is None:
        assert not found
    else:
        assert [n.startswith(said) for n in found] == [True]
        assert found[0] in story


def test_nothing_is_proper_that_one_of_its_methods_is_not():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({c: np.where(rng.random(80) < 0.1, np.nan, rng.normal(size=80)) for c in "abc"})
    chosen = {"a": "srmi", "b": "constrained", "c": "hotdeck"}
    for left_out, proper in (("", False), ("c", None), ("bc", True)):
        named = chosen | dict.fromkeys(left_out, "srmi")
        done = impute_missing(frame, method=named, m=2, iterations=4)
        assert done.manifest["method"]["proper"] is proper
        assert bool(cautions(done.manifest)) is (proper is not True)
    assert "(hotdeck) Implicates carry" in cautions(impute_missing(frame, method=chosen, m=2, iterations=4).manifest)[0]


def test_every_stage_is_spoken_of():
    stages = [{"method": {"name": n, "proper": p, "coverage": ""}} for n, p in (("one", None), ("two", True))]
    assert cautions({"stages": stages}) == [
        "Method 'one': no study shows how often its pooled intervals hold the truth."
    ]
    assert cautions({"method": {"name": "hotdeck", "proper": True}}) == []  # as older manifests say


def test_a_method_that_is_not_proper_must_say_why():
    declared = next(check for check in CHECKS if check.__name__ == "facts_are_declared")
    silent = type("Silent", (methods()["hotdeck"],), {"coverage": ""})
    with pytest.raises(AssertionError, match="does not say why"):
        declared(silent)
    declared(type("Unstudied", (methods()["hotdeck"],), {"coverage": "", "proper": None}))
