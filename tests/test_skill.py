"""Skill where one sample must tell its own noise; the rest is in benchmark/test_scores.py."""

import numpy as np
import pandas as pd
import pytest

from microimpute.skill import NULL, ORACLE, mean_skill, with_skill


def frame(value, noise=None, null=1.0, oracle=0.0):
    rows = [(NULL, null), (ORACLE, oracle), ("mine", value)]
    out = pd.DataFrame(
        {
            "task": "t",
            "arm": "a",
            "seed": 0,
            "method": [name for name, _ in rows],
            "metric": "gini",
            "family": "tails",
            "target": "y",
            "value": [v for _, v in rows],
        }
    )
    return out if noise is None else out.assign(noise=noise)


def mine(found):
    return found[found["method"] == "mine"].iloc[0]


def test_a_gap_within_the_noise_tells_nothing():
    assert mine(with_skill(frame(0.25))).counted == 0.75
    assert mine(with_skill(frame(0.25, noise=0.5))).counted == 0.75
    drowned = mine(with_skill(frame(0.25, noise=2.0)))
    assert not drowned.informative
    assert drowned.counted == 0.0


def test_harm_counts_in_units_of_the_noise():
    assert mine(with_skill(frame(1.5, null=1.0, oracle=1.0))).counted == -1.0  # far beyond what matters
    assert mine(with_skill(frame(1.5, noise=1.0, null=1.0, oracle=1.0))).counted == 0.0
    assert mine(with_skill(frame(2.5, noise=1.0, null=1.0, oracle=1.0))).counted == pytest.approx(-0.5)


def test_unknown_noise_is_none():
    assert mine(with_skill(frame(0.25, noise=np.nan))).counted == 0.75


def test_where_nothing_can_be_told_harm_may_still_count():
    found = with_skill(frame(1.5, null=1.0, oracle=1.0))
    assert np.isnan(mean_skill(found, ["method", "family"])["mine", "tails"])
    assert mean_skill(found, ["method", "family"], nothing=0.0)["mine", "tails"] == -1.0
