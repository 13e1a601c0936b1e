import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microimpute import Fusion, Survey
from microimpute.margins import UNKNOWN_LEVEL, Margin, format_margins, format_number, margins


def frames(rows: int = 400) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    donor = pd.DataFrame(
        {
            "amount": np.where(rng.random(rows) < 0.3, 0.0, rng.normal(50, 10, rows)),
            "class": rng.choice(["a", "b"], rows),
            "w": rng.integers(1, 5, rows).astype(float),
            "y": rng.normal(size=rows),
        }
    )
    receiver = pd.DataFrame(
        {
            "amount": rng.normal(55, 12, rows),
            "class": rng.choice(["a", "b"], rows, p=[0.8, 0.2]),
            "w": rng.integers(1, 5, rows).astype(float),
        }
    )
    return donor, receiver


def found(donor: pd.DataFrame, receiver: pd.DataFrame, weight: str | None = "w") -> dict[str, Margin]:
    fusion = Fusion(
        Survey(donor, weight=weight),
        Survey(receiver, weight=weight),
        targets=["y"],
        predictors=["amount", "class"],
    )
    return {m.name: m for m in margins(fusion)}


def test_amount_agrees_with_repeating_rows_by_their_weight():
    donor, receiver = frames()
    margin = found(donor, receiver)["amount"]
    many = [f["amount"].to_numpy().repeat(f["w"].astype(int)) for f in (donor, receiver)]
    for side, values in zip((margin.donor, margin.receiver), many, strict=True):
        assert side.figures["non-zero"] == pytest.approx((values != 0).mean())
        assert side.figures["mean"] == pytest.approx(values.mean())
        assert side.figures["median"] == np.quantile(values, 0.5, method="inverted_cdf")
    assert margin.distance == pytest.approx(stats.ks_2samp(*many).statistic)
    spread = np.sqrt((many[0].var() + many[1].var()) / 2)
    assert margin.difference == pytest.approx((many[1].mean() - many[0].mean()) / spread)


def test_class_shares_and_total_variation():
    donor, receiver = frames()
    margin = found(donor, receiver)["class"]
    share = [np.average(f["class"] == "a", weights=f["w"]) for f in (donor, receiver)]
    assert margin.donor.figures["a"] == pytest.approx(share[0])
    assert margin.distance == pytest.approx(abs(share[0] - share[1]))
    assert (margin.measure, margin.difference) == ("TV", None)


def test_same_distributions_are_close_and_a_shift_is_far():
    donor, _ = frames()
    same = found(donor, donor.drop(columns="y"))
    assert all(m.distance == pytest.approx(0, abs=1e-12) and m.verdict == "close" for m in same.values())
    shifted = donor.drop(columns="y").assign(amount=donor["amount"] + 100)
    margin = found(donor, shifted)["amount"]
    assert (margin.distance, margin.verdict) == (pytest.approx(1), "far")


def test_weights_matter():
    donor, receiver = frames()
    assert found(donor, receiver)["amount"].distance != found(donor, receiver, None)["amount"].distance


def test_missing_values_are_counted_and_left_out():
    donor, receiver = frames()
    gappy = receiver.assign(amount=receiver["amount"].where(receiver.index % 4 != 0))
    margin = found(donor, gappy)["amount"]
    gone = gappy["amount"].isna()
    assert margin.receiver.missing == pytest.approx(np.average(gone, weights=gappy["w"]))
    kept = gappy[~gone]
    assert margin.receiver.figures["mean"] == pytest.approx(np.average(kept["amount"], weights=kept["w"]))
    assert margin.verdict == "far"


def test_all_missing_in_the_receiver_is_far_and_prints():
    donor, receiver = frames()
    margin = found(donor, receiver.assign(amount=np.nan))["amount"]
    assert (margin.distance, margin.difference, margin.receiver.figures) == (None, None, {})
    assert margin.verdict == "far"
    assert "100.0%" in format_margins([margin])


def test_level_that_no_donor_has():
    donor, receiver = frames()
    odd = receiver.assign(**{"class": receiver["class"].where(receiver.index % 2 == 0, "z")})
    margin = found(donor, odd)["class"]
    assert margin.receiver.figures[UNKNOWN_LEVEL] == pytest.approx(np.average(odd["class"] == "z", weights=odd["w"]))


def test_constant_predictor_has_no_standardised_difference():
    donor, receiver = frames()
    margin = found(donor.assign(amount=1.0), receiver.assign(amount=1.0))["amount"]
    assert (margin.distance, margin.difference) == (0.0, None)


def test_text_table_is_narrow_and_speaks_in_words():
    donor, receiver = frames()
    names = {"amount": "a predictor with a very long name indeed"}
    fusion = Fusion(
        donor.rename(columns=names), receiver.rename(columns=names).drop(columns="w"),
        targets=["y"], predictors=[names["amount"], "class"],
    )  # fmt: skip
    text = format_margins(margins(fusion))
    assert max(map(len, text.splitlines())) <= 110
    assert "far" in text
    assert "…" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.25, "0.25"),
        (-51.34, "−51.3"),
        (1234.5, "1,234"),
        (62_345, "62,300"),
        (1_254_000, "1.25M"),
        (999_900, "1.00M"),
        (-2.5e9, "−2.50bn"),
        (123_456_789, "123M"),
        (3.1e12, "3.10tn"),
    ],
)
def test_numbers_as_a_reader_wants_them(value, text):
    assert format_number(value) == text
