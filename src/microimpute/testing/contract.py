"""The contract: what every method must do with sound data."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from microimpute import drawing
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.keyed import RowRandom, generator
from microimpute.methods.base import DonorMethod, FloatArray, Method
from microimpute.survey import Survey
from microimpute.testing.examples import (
    BOUND,
    TARGETS,
    Check,
    example_donor,
    example_fusion,
    example_receiver,
    impute,
    made,
    refused,
    standard_error,
)

__all__ = [
    "any_number_of_receivers",
    "chunks_do_not_matter",
    "donors_are_told_as_drawn",
    "facts_are_declared",
    "files_of_points_are_refused",
    "inputs_are_left_alone",
    "levels_and_types_are_kept",
    "predictors_are_used_as_declared",
    "row_order_does_not_matter",
    "same_seed_same_draws",
    "save_and_load",
    "targets_are_drawn_jointly",
    "training_arrays_are_left_alone",
    "unknown_settings",
    "weights_are_used_as_declared",
]


def _draw(method: Method, **options: Any) -> Imputations:
    fusion = example_fusion(example_donor(400), example_receiver(300), type(method))
    return impute(fusion, method=method, **{"m": 2, **options})


def _same(a: Imputations, b: Imputations) -> bool:
    return all(x.to_list() == y.to_list() for c in a.columns for x, y in zip(a.values[c], b.values[c], strict=True))


def same_seed_same_draws(method: type[Method]) -> None:
    """Check that a seed repeats, whatever the number of workers, and another seed differs."""
    chosen = made(method, brief=True)
    first = _draw(chosen, workers=1)
    if not _same(first, _draw(made(method, brief=True), workers=3)):
        assert _same(first, _draw(made(method, brief=True), workers=1)), "the same seed gave other draws"
        raise AssertionError("draws depend on the number of workers")
    if not method.valid:
        return
    other = _draw(chosen, m=1, seed=1)
    assert any(first.values[c][0].to_list() != other.values[c][0].to_list() for c in first.columns), (
        "another seed gave the same draws"
    )
    assert first.values["wealth"][0].to_list() != first.values["wealth"][1].to_list(), "implicates are alike"


def chunks_do_not_matter(method: type[Method]) -> None:
    """Check that drawing rows one by one, or all at once, gives the same values; if not declared, in any order."""
    fusion = example_fusion(example_donor(300), example_receiver(50), method)
    training = fusion.training(1)
    fitted = made(method, brief=True).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    rng = RowRandom(0, 1, fusion.receiver_keys)
    whole = fitted.draw(fusion.receivers, rng)
    mixed = np.random.default_rng(2).permutation(50)
    assert np.array_equal(fitted.draw(fusion.receivers.take(mixed), rng.take(mixed)), whole[mixed]), "order matters"
    for row in range(50 if method.rowwise else 0):
        part = slice(row, row + 1)
        single = fitted.draw(fusion.receivers.take(part), rng.take(part))
        assert np.array_equal(single, whole[part]), f"row {row} differs when it is drawn alone"


def row_order_does_not_matter(method: type[Method]) -> None:
    """Check that donors and receivers in another order give each receiver the same draws."""
    donor, receiver = example_donor(300), example_receiver(200)
    plain = impute(example_fusion(donor, receiver, method), method=made(method, brief=True), m=1).complete()
    mixed_donor = donor.sample(frac=1, random_state=1)
    mixed_receiver = receiver.sample(frac=1, random_state=2)
    mixed = impute(example_fusion(mixed_donor, mixed_receiver, method), method=made(method, brief=True), m=1).complete()
    pd.testing.assert_frame_equal(mixed.sort_values("id").reset_index(drop=True), plain)


def inputs_are_left_alone(method: type[Method]) -> None:
    """Check that frames and settings are as they were and observed columns come back bit for bit."""
    donor, receiver = example_donor(200), example_receiver(100)
    kept = donor.copy(deep=True), receiver.copy(deep=True)
    chosen = made(method, brief=True)
    settings = copy.deepcopy(chosen.settings)
    done = impute(example_fusion(donor, receiver, method), method=chosen, m=1).complete()
    pd.testing.assert_frame_equal(donor, kept[0])
    pd.testing.assert_frame_equal(receiver, kept[1])
    pd.testing.assert_frame_equal(done[list(receiver.columns)], kept[1])
    assert chosen.settings == settings, "settings were changed"


def training_arrays_are_left_alone(method: type[Method]) -> None:
    """Check that `fit` and `draw` do not write into what they are given."""
    fusion = example_fusion(example_donor(200), example_receiver(50), method)
    training = fusion.training(1)
    for array in (training.X.values, training.Y.values, training.weight, fusion.receivers.values):
        array.setflags(write=False)
    fitted = made(method, brief=True).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    fitted.draw(fusion.receivers, RowRandom(0, 1, fusion.receiver_keys))


def levels_and_types_are_kept(method: type[Method]) -> None:
    """Check that each target has the donor's type, and classes only the donor's levels."""
    donor = example_donor(400)
    done = _draw(made(method, brief=True), draws=2).complete()
    for target in TARGETS:
        if target not in done:
            continue
        assert done[target].dtype == donor[target].dtype, f"{target} came back as {done[target].dtype}"
        assert not done[target].isna().any(), f"{target} has gaps"
        if donor[target].dtype.kind not in "fi":
            assert set(done[target]) <= set(donor[target]), f"{target} has new levels"


def weights_are_used_as_declared(method: type[Method]) -> None:
    """Check that weighted donor means come back as means of the draws, if weights are declared used."""
    if not method.valid:
        return
    donor, receiver = example_donor(4000), example_receiver(4000)
    rng = np.random.default_rng(5)
    rich = donor["wealth"] > donor["wealth"].quantile(0.8)
    donor["weight"] = np.where(rich, 0.1, 1.0) * rng.uniform(0.9, 1.1, len(donor))
    receiver[["income", "age", "region"]] = donor[["income", "age", "region"]].to_numpy()
    receiver = receiver.astype({"income": float, "age": int})
    receiver["weight"] = donor["weight"]
    fusion = example_fusion(donor, receiver, method, targets=("wealth",))
    got = impute(fusion, method=made(method), m=4, draws=2).numbers("wealth")
    weight = donor["weight"].to_numpy()
    cut = float(donor["wealth"].quantile(0.8))
    figures: dict[str, Callable[[FloatArray], FloatArray]] = {
        "share of the rich": lambda v: (v > cut).astype(float),
        "share non-zero": lambda v: (v != 0).astype(float),
    }
    for name, of in figures.items():
        truth = of(donor["wealth"].to_numpy())
        error = np.average(of(got).mean(axis=0), weights=weight) - np.average(truth, weights=weight)
        bound = BOUND * standard_error(truth, weight)
        if method.uses_weights:
            assert abs(error) < bound, f"{name} is off by {error:.4f}, bound {bound:.4f}: weights are lost"
    unweighted = abs(np.average(got.mean(axis=0), weights=weight) - donor["wealth"].mean())
    if not method.uses_weights:
        spread = donor["wealth"].std() / np.sqrt(len(donor))
        assert unweighted < BOUND * spread, "weights are declared unused but change the draws"


def predictors_are_used_as_declared(method: type[Method]) -> None:
    """Check that draws follow the predictors, or ignore them if the method says so."""
    fusion = example_fusion(example_donor(3000), example_receiver(3000), method, targets=("wealth",))
    drawn = impute(fusion, method=made(method), m=1).numbers("wealth")[0]
    income = np.log(example_receiver(3000)["income"].to_numpy())
    seen = drawn != 0 if method.valid else drawn
    correlation = np.corrcoef(income, seen)[0, 1]  # about .4 among the donors; null: s.e. 1/sqrt(n)
    if method.uses_predictors:
        assert correlation > 0.2, f"wealth hardly follows income (correlation {correlation:.2f})"
    else:
        assert abs(correlation) < BOUND / np.sqrt(3000), "predictors are declared unused but matter"


def targets_are_drawn_jointly(method: type[Method]) -> None:
    """Check that a joint method keeps what binds targets: debt comes with positive wealth only."""
    if not method.joint:
        return
    donor = example_donor(2000)
    fusion = Fusion(
        Survey(donor, weight="weight", keys="id"),
        Survey(example_receiver(2000), weight="weight", keys="id"),
        targets=["wealth", "debt"],
        predictors=["income", "age", "region"],
        rules=["debt requires wealth"],
    )
    done = impute(fusion, method=made(method), m=1)
    assert done.manifest["rules"][0]["broken_draws"] == 0, "a rule is broken"
    drawn = done.numbers("wealth")[0]
    both = np.mean((done.numbers("debt")[0] > 0) & (drawn > 0))
    expected = np.average((donor["debt"] > 0) & (donor["wealth"] > 0), weights=donor["weight"])
    assert abs(both - expected) < 0.05, f"debt and wealth occur together in {both:.2f}, donors {expected:.2f}"


def any_number_of_receivers(method: type[Method]) -> None:
    """Check 0, 1 and 100,000 rows."""
    fusion = example_fusion(example_donor(200), example_receiver(1), method)
    training, chosen = fusion.training(1), made(method, brief=True)
    fitted = chosen.fresh().fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    none = fitted.draw(fusion.receivers.take(slice(0, 0)), RowRandom(0, 1, fusion.receiver_keys[:0]))
    assert none.shape == (0, len(fusion.targets))
    for rows in (1, 100_000):
        big = example_fusion(example_donor(200), example_receiver(rows), method)
        assert len(impute(big, method=chosen, m=1).complete()) == rows


def donors_are_told_as_drawn(method: type[Method]) -> None:
    """Check that a method that takes whole donors draws those that it says it chose."""
    if not issubclass(method, DonorMethod):
        return
    fusion = example_fusion(example_donor(200), example_receiver(100), method)
    training = fusion.training(1)
    fitted = made(method, brief=True).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    if not (isinstance(fitted, DonorMethod) and fitted.whole):
        return
    rng = RowRandom(0, 1, fusion.receiver_keys)
    donor, fell_back = fitted.choose(fusion.receivers, rng)
    assert donor.shape == fell_back.shape == (100,), "not one donor per row"
    assert fell_back.dtype == bool, "rows that fell back are not marked by booleans"
    assert np.array_equal(fitted.draw(fusion.receivers, rng), training.Y.values[donor]), "the donors are others"


def save_and_load(method: type[Method]) -> None:
    """Check that a fitted method comes back from its file and draws the same; no pickle in it."""
    fusion = example_fusion(example_donor(200), example_receiver(50), method)
    training = fusion.training(1)
    fitted = made(method, brief=True).fit(training.X, training.Y, training.weight, generator(0, 1, "fit"))
    rng = RowRandom(0, 1, fusion.receiver_keys)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        fitted.save(path)
        assert b"\x80\x04" not in path.read_bytes()[:2], "the file looks like a pickle"
        again = Method.load(path)
    assert np.array_equal(again.draw(fusion.receivers, rng), fitted.draw(fusion.receivers, rng))


def unknown_settings(method: type[Method]) -> None:
    """Check that a setting that does not exist is refused with the project's error."""
    from microimpute.methods.base import method as make
    from microimpute.methods.base import methods

    if method.name not in methods():
        return  # not registered: only its own constructor can be called
    refused(lambda: make(method.name, {"no_such_setting": 1}), "no_such_setting")


def facts_are_declared(method: type[Method]) -> None:
    """Check that name, summary, reference and facts are there, and why a method is not proper if it is not."""
    for fact in (
        "name",
        "summary",
        "reference",
        "advice",
        "joint",
        "uses_weights",
        "kinds",
        "requires",
        "valid",
        "rowwise",
    ):
        assert getattr(method, fact, None) is not None, f"{fact} is not declared"
    assert method.proper in (True, False, None), f"proper is {method.proper!r}"
    assert method.proper is not False or method.coverage, "it is not proper, and `coverage` does not say why"


def files_of_points_are_refused(method: type[Method]) -> None:
    """Check that `impute` makes files of draws only."""
    fusion = example_fusion(example_donor(50), example_receiver(5), method)
    if not method.valid:
        refused(lambda: drawing.impute(fusion, method=made(method), m=1), method.name)


#: Every check of the contract.
CHECKS: tuple[Check, ...] = (
    facts_are_declared,
    same_seed_same_draws,
    chunks_do_not_matter,
    row_order_does_not_matter,
    inputs_are_left_alone,
    training_arrays_are_left_alone,
    levels_and_types_are_kept,
    weights_are_used_as_declared,
    predictors_are_used_as_declared,
    targets_are_drawn_jointly,
    any_number_of_receivers,
    donors_are_told_as_drawn,
    save_and_load,
    unknown_settings,
    files_of_points_are_refused,
)
