"""Fusion: gaps are filled, flagged and counted; what is learnt from does not depend on the file's order."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute import Fusion, Survey, impute
from microimpute.errors import FusionError, SurveyError
from microimpute.kinds import Kind
from microimpute.survey import Check

NAN = float("nan")


def donor(**columns):
    frame = {"id": range(5), "y": [10.0, 20.0, 30.0, 40.0, 50.0], "w": [1.0, 1.0, 1.0, 4.0, 1.0]}
    return Survey(pd.DataFrame(frame | columns), weight="w", keys="id")


def fuse(left, right, **how):
    return Fusion(left, pd.DataFrame(right), **{"targets": ["y"], "predictors": list(right), **how})


def by_target(fusion, implicate=1):
    """Return the training predictors in the order of `y`, which numbers the donors."""
    training = fusion.training(implicate)
    return training.X.values[np.argsort(training.Y.values[:, 0])]


def told(fusion, start):
    return [(n.text, n.count, n.warning) for n in fusion.notes if n.text.startswith(start)]


def test_amounts_are_filled_with_the_weighted_median_and_flagged():
    fusion = fuse(donor(x=[1.0, 2.0, 3.0, 9.0, NAN]), {"x": [5.0, NAN, NAN]})
    assert by_target(fusion).tolist() == [[1, 0], [2, 0], [3, 0], [9, 0], [9, 1]]  # unweighted it were 2 or 3
    assert fusion.receivers.values.tolist() == [[5, 0], [9, 1], [9, 1]]
    assert fusion.receivers.names == fusion.training(1).X.names == ("x", "x missing")
    assert [v.kind for v in fusion.receivers.variables] == [Kind.CONTINUOUS, Kind.BINARY]
    text = "x is missing in 1 donor and 2 receiver rows; filled with the donor's median and flagged."
    assert told(fusion, "x ") == [(text, 3, False)]


@pytest.mark.parametrize(("weights", "middle"), [([1, 1, 1, 1, 9], 2), ([1, 0, 5, 1, 0], 3), ([3, 1, 1, 1, 0], 1)])
def test_the_median_counts_only_weights_of_known_values(weights, middle):
    fusion = fuse(donor(x=[1.0, 2.0, 3.0, 4.0, NAN], w=np.array(weights, float)), {"x": [NAN]})
    assert fusion.receivers.values[0, 0] == middle


@pytest.mark.parametrize("order", [range(7), [1, 2, 0, 4, 5, 3, 6], [6, 5, 4, 2, 1, 3, 0]])
def test_the_median_does_not_depend_on_the_order_of_donors(order):
    frame = pd.DataFrame({"x": [1, 1, 1, 2, 2, 2, NAN], "w": [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 1], "y": range(7)})
    fusion = fuse(Survey(frame.iloc[list(order)], weight="w"), {"x": [NAN]})
    assert fusion.receivers.values[0, 0] == 1  # half of the weight lies at 1, whichever way it is summed


def test_flags_take_no_other_predictors_name():
    columns = {"x": [1.0, NAN], "x missing": [1.0, NAN], "x missing (flag)": [1.0, 2.0]}
    left = Survey(pd.DataFrame(columns | {"y": [1.0, 2.0]}))
    names = fuse(left, columns).receivers.names
    flags = ("x missing (flag) (flag)", "x missing missing")
    assert names == ("x", flags[0], "x missing", flags[1], "x missing (flag)")


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", None, "a", None], ("a", "b", "(missing)")),
        (pd.array([True, False, None, False, None], "boolean"), (False, True, "(missing)")),
    ],
)
def test_missing_is_a_level_of_a_class(values, levels):
    fusion = fuse(donor(x=values), {"x": pd.Series(values).iloc[[2, 0]].reset_index(drop=True)})
    (variable,) = fusion.receivers.variables
    assert (variable.kind, variable.levels) == (Kind.CATEGORICAL, levels)
    assert (by_target(fusion).T.tolist(), fusion.receivers.values.T.tolist()) == ([[1, 0, 2, 0, 2]], [[2, 1]])
    assert [n[1] for n in told(fusion, "x is missing in 2 donor and 1 receiver rows; missing counts")] == [3]


def test_gaps_among_receivers_alone_are_a_warning():
    notes = told(fuse(donor(x=[1.0, 2.0, 3.0, 9.0, 9.0]), {"x": [NAN, NAN, 4.0]}), "x is never missing among")
    assert [n[1:] for n in notes] == [(2, True)]
    assert not told(fuse(donor(x=[1.0, 2.0, 3.0, 9.0, NAN]), {"x": [NAN]}), "x is never")


def test_without_gaps_nothing_is_added_and_without_values_nothing_is_filled():
    fusion = fuse(donor(x=[1.0, 2.0, 3.0, 4.0, 5.0]), {"x": [1.0]})
    assert (fusion.receivers.names, told(fusion, "x")) == (("x",), [])
    with pytest.raises(FusionError, match="'x' is missing in every donor row"):
        fuse(donor(x=[NAN] * 5), {"x": [1.0]})
    for x in ([NAN, 1.0, NAN, NAN, NAN], [None, "a", None, None, None]):
        with pytest.raises(FusionError, match="'x' is missing in every donor row with a weight"):
            fuse(donor(x=x, w=[1.0, 0.0, 1.0, 1.0, 1.0]), {"x": x[:2]})


def test_an_implicate_without_weight_is_refused():
    frame = {"id": [1, 2] * 2, "part": [1, 1, 2, 2], "w": [1.0, 2.0, 0.0, 0.0], "x": 1.0, "y": 1.0}
    left = Survey(pd.DataFrame(frame), keys="id", implicate="part", weight="w")
    with pytest.raises(FusionError, match="weight 'w' of the donor is zero in every row where 'part' is 2"):
        fuse(left, {"x": [1.0]})


def test_a_total_that_is_text_is_named():
    with pytest.raises(SurveyError, match="column 'net' holds String, not numbers"):
        fuse(donor(x=range(5), net=list("abcde")), {"x": [1]}, rules=["net = y"])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.randoms(use_true_random=False), st.booleans(), st.sampled_from([1, 3]))
def test_training_does_not_depend_on_the_order_of_the_donor_file(seed, random, keyed, implicates):
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(8), implicates)
    frame = pd.DataFrame({"id": unit, "home": unit // 2, "part": np.tile(np.arange(implicates) + 1, 8)})
    for name, values in {"x": [1.0, 2.0, NAN], "t": ["a", "b", None], "y": range(3), "w": range(4)}.items():
        frame[name] = rng.choice(np.array(values), len(frame))
    frame.loc[: implicates - 1, ["x", "t", "w"]] = [1.0, "a", 1]  # so that something is known and counts
    order = random.sample(range(len(frame)), len(frame))
    how = {"weight": "w", "implicate": "part", "household": "home", "keys": "id" if keyed else ()}
    plain, mixed = (fuse(Survey(f, **how), {"x": [1.0, NAN], "t": ["a", "b"]}) for f in (frame, frame.iloc[order]))
    assert plain.notes == mixed.notes
    for i in range(1, implicates + 1):
        a, b = plain.training(i), mixed.training(i)
        assert len(a.X) == (frame["w"][frame["part"] == i] > 0).sum()
        for part in (lambda t: t.X.values, lambda t: t.Y.values, lambda t: t.weight, lambda t: t.households):
            assert np.array_equal(part(a), part(b))


def test_donor_implicates_are_used_in_turn_whatever_their_numbers():
    frame = {"id": [1, 2] * 3, "part": [7, 7, 2, 2, 4, 4], "x": [1.0] * 6, "y": np.arange(6.0)}
    fusion = fuse(Survey(pd.DataFrame(frame), keys="id", implicate="part"), {"x": [1.0]})
    assert fusion.implicates == (2, 4, 7)
    learnt = [sorted(fusion.training(i).Y.values.ravel().tolist()) for i in range(1, 6)]
    assert learnt == [[2, 3], [4, 5], [0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("method", ["forest", "hotdeck", "shuffle"])
def test_donors_of_weight_zero_are_counted_and_never_drawn(method):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": np.arange(60) + 0.5, "w": np.tile([1.0, 0.0, 2.0], 20)})
    fusion = fuse(Survey(frame, weight="w"), {"x": rng.normal(size=300)})
    assert told(fusion, "20 donor rows") == [("20 donor rows have weight zero and are never drawn.", 20, False)]
    training, counting = fusion.training(1), frame["y"][frame["w"] > 0]
    assert sorted(training.Y.values.ravel()) == counting.tolist()
    assert training.weight.tolist() == [frame["w"][int(y)] for y in training.Y.values.ravel()]
    assert set(impute(fusion, method=method, m=2, workers=1).numbers("y").ravel()) <= set(counting)


@pytest.mark.parametrize(("rows", "taken"), [(20, ("code", "x", "part")), (21, ("x", "part"))])
def test_default_predictors_leave_out_design_targets_and_what_names_rows(rows, taken):
    n = np.arange(rows)
    frame = pd.DataFrame({"id": n, "w": 1.0, "code": n + 5, "x": n / 7, "part": n, "y": 2.0 * n, "z": 1.0})
    other = frame[["part", "x", "code", "id"]].assign(part=1, psu=3)
    left, right = Survey(frame.assign(net=2.0 * n + 1), weight="w"), Survey(other, keys="id")
    fusion = Fusion(left, right, targets=["net", "y", "z"], rules=["net = y + z"])
    assert fusion.predictors == taken
    assert (fusion.targets, fusion.derived) == (("y", "z"), ("net",))
    assert told(fusion, "Predictors are")[0][0].endswith(f"both surveys have: {', '.join(taken)}.")
    assert len(told(fusion, "code names each row and is left out")) == (rows > 20)
    assert told(fusion, "net is derived from its parts, not drawn.")


def test_what_the_surveys_say_comes_first_and_failed_checks_warn():
    checks = [Check("homes", 100, 90, 0.05, "table 1"), Check("people", 100, 99, 0.05, "table 1")]
    left = Survey(pd.DataFrame({"x": [1.0], "y": [1.0]}), notes=["Two rows were dropped."], checks=checks)
    fusion = fuse(left, {"x": [1.0]})
    assert fusion.notes[0].text == "Two rows were dropped."
    assert [n.text for n in fusion.notes if n.warning] == ["donor: homes is 90, published 100 (table 1)."]
    assert len(told(fusion, "The donor has no weights")) == len(told(fusion, "The receiver has no weights")) == 1
    assert not told(fusion, "Predictors are")  # they were named


def test_kinds_of_the_call_go_before_the_donors_and_those_before_the_receivers():
    frame = pd.DataFrame({c: [1, 2] for c in "abcy"})
    left = Survey(frame, kinds=dict.fromkeys("ab", "ordinal"))
    right = Survey(frame[[*"abc"]], kinds=dict.fromkeys("abc", "categorical"))
    variables = Fusion(left, right, targets=["y"], kinds={"a": "count"}).variables
    assert [variables[c].kind.value for c in "abc"] == ["count", "ordinal", "categorical"]


def test_receivers_beyond_the_donors_are_counted_without_telling_the_donors_range():
    left = donor(x=[1.0, 2.0, 3.0, 4.0, 99.0], w=[1.0, 1.0, 1.0, 1.0, 0.0])  # the last is never drawn
    fusion = fuse(left, {"x": [0.5, 1.0, 2.5, 4.0, 4.5, 5.0, NAN]})
    text = (
        "x is below all donors' in 1 and above all donors' in 2 receiver rows; "
        "no donor is like them, and the method decides what they get."
    )
    assert told(fusion, "x is below") == [(text, 3, True)]  # three of seven: a warning


@pytest.mark.parametrize(("value", "warned"), [(4.5, False), (7.5, True), (-2.5, True), (-1.9, False)])
def test_few_receivers_beyond_the_donors_are_a_warning_only_if_they_are_far(value, warned):
    fusion = fuse(donor(x=[1.0, 2.0, 3.0, 4.0, 4.0]), {"x": [2.0] * 200 + [value]})
    assert [n[1:] for n in told(fusion, "x is below")] == [(1, warned)]


def test_receivers_within_the_donors_range_are_not_noted():
    assert not told(fuse(donor(x=[1.0, 2.0, 3.0, 4.0, 4.0]), {"x": [1.0, 4.0, 2.2]}), "x is")


@pytest.mark.parametrize("named", [pd.Index(["y"]), np.array(["y"]), ("y",), {"y"}], ids=lambda n: type(n).__name__)
def test_names_may_come_in_any_collection(named):
    fusion = Fusion(donor(x=range(5)), pd.DataFrame({"x": [1]}), targets=named, predictors=pd.Index(["x"]))
    assert fusion.targets == ("y",)
    assert fusion.predictors == ("x",)


@pytest.mark.parametrize("role", ["targets", "predictors"])
@pytest.mark.parametrize(("named", "said"), [(7, "is 7"), ([7], "has 7, which is no name"), ("y", "is one string")])
def test_names_that_are_none(role, named, said):
    with pytest.raises(FusionError, match=f"{role} {said}"):
        fuse(donor(x=range(5)), {"x": [1]}, **{role: named})


def test_sizes_that_are_not_computed_with_are_refused():
    large = [1.0, 2.0, 3.0, 4.0, 2e30]
    with pytest.raises(
        FusionError, match=r"target 'y' is larger than 1e\+30 in 1 donor rows\. Give it in another unit"
    ):
        fuse(donor(x=range(5), y=large), {"x": [1]})
    with pytest.raises(FusionError, match=r"predictor 'x' is larger than 1e\+30 in 1 donor rows"):
        fuse(donor(x=large), {"x": [1.0]})
    with pytest.raises(FusionError, match=r"predictor 'x' is larger than 1e\+30 in 1 receiver rows"):
        fuse(donor(x=range(5)), {"x": [-1e31]})
    for size in (1e300, 1e-300):
        with pytest.raises(FusionError, match=re.escape(f"weight 'w' of the donor is {size:g} at its largest")):
            fuse(donor(x=range(5), w=np.full(5, size)), {"x": [1]})


@pytest.mark.parametrize("method", ["forest", "srmi", "nearest", "copula", "rank", "regression"])
def test_what_is_just_small_enough_is_drawn_as_in_another_unit(method):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 400))
    frame = pd.DataFrame({"x": x * 1e29, "y": (10 * x + noise) * 1e28, "w": rng.uniform(1, 2, 400) * 1e29})
    done = impute(Survey(frame, weight="w"), frame[["x"]], targets=["y"], method=method, m=1).complete(1)
    correlation = np.corrcoef(done["x"] / 1e29, done["y"] / 1e29)[0, 1]
    # drawn independently it would be 0 ± 0.05; 0.995 is the donors', and rank matches among a quarter of them
    assert correlation > 0.7


@pytest.mark.parametrize(("values", "said"), [([0, 1, 2, 3, -1], "negative"), ([0, 1, 2, 3, 0.5], "no whole number")])
def test_counts_that_are_none_are_refused(values, said):
    with pytest.raises(FusionError, match=f"target 'y' is declared count but is {said} in 1 of 5 donor rows"):
        fuse(donor(x=range(5), y=values), {"x": [1]}, kinds={"y": "count"})
    assert fuse(donor(x=range(5), y=values), {"x": [1]}, kinds={"y": "semicontinuous"}).targets == ("y",)


@pytest.mark.parametrize(
    ("offset", "unit", "seen"), [(1e12, 1.0, 1), (0.0, 1e-12, 1), (0.0, 1.0, None), (1e6, 1.0, None)]
)
def test_amounts_that_trees_cannot_tell_apart_are_a_warning(offset, unit, seen):
    fusion = fuse(donor(x=offset + np.arange(5) * unit), {"x": [offset + 1.0 * unit]})
    text = f"x has 5 values among donors, of which trees (single precision) see {seen}: subtract its mean, or give it"
    notes = told(fusion, "x has")
    assert [(n[0].startswith(text), *n[1:]) for n in notes] == ([] if seen is None else [(True, 5, True)])
