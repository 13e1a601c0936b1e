"""Totals that are derived from many drawn parts come out right, on real households."""

from dataclasses import replace

import numpy as np
import pytest

from microimpute import Fusion, Survey, method
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.keyed import RowRandom
from microimpute.rules import derive
from microimpute.survey import replace_survey
from microimpute.surveys.base import connector


@pytest.fixture(scope="module")
def same_households():
    """The sample of the SCF as donor and receiver: 26 parts of net worth."""
    walk = crosswalk("scf_to_cps_tax_units")
    cps = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
    survey, _ = walk.harmonise(connector("scf").read(bundled("scf_2019_sample.parquet")), cps, dollars=2019)
    frame = survey.frame.filter(survey.frame["IMPLICATE"] == 1)
    donor = replace_survey(survey, frame=frame, implicate=None)
    receiver = Survey(frame.select("YY1", "WGT", *walk.predictors), weight="WGT", keys="YY1")
    return Fusion(donor, receiver, targets=walk.targets, predictors=walk.predictors, rules=walk.rules)


def drawn(fusion, Y, draws=10, **settings):
    training = fusion.training(1)
    fitted = method("forest", settings).fit(training.X, Y, training.weight, np.random.default_rng(0))
    keys = fusion.receiver_keys
    out = np.concatenate([fitted.draw(fusion.receivers, RowRandom(0, i, keys)) for i in range(draws)])
    return dict(zip(fusion.targets, out.T, strict=True))


def off_in_errors(columns, fusion, total, draws=10):
    """How far the median of a total lies from the donors', in standard errors of the donors' median."""
    weight = fusion.receiver.weights()
    worth = fusion.donor.numbers(total)

    def median(values, weight):
        return np.quantile(values, 0.5, weights=weight, method="inverted_cdf")

    rng = np.random.default_rng(0)
    error = np.std([median(worth, weight * rng.exponential(size=len(weight))) for _ in range(200)])
    got = median(derive(fusion.identities, columns)[total], np.tile(weight, draws))
    return (got - median(worth, weight)) / error


def test_median_of_net_worth_comes_back_and_would_not_without_totals_in_the_lead(same_households):
    """With no lead (the planted fault) parts are too independent and the median comes out a fifth too high."""
    Y = same_households.training(1).Y
    assert abs(off_in_errors(drawn(same_households, Y), same_households, "NETWORTH")) < 1
    fault = replace(Y, totals=None)
    plain = {"predict": False, "adjust": False, "tuned": False}  # what regressions add mends part of the fault
    assert off_in_errors(drawn(same_households, fault, **plain), same_households, "NETWORTH") > 1.5


def test_parts_of_a_small_total_share_a_block_so_that_their_shares_do_not_drift(same_households):
    """Installment loans: with vehicle loans drawn in an earlier block the others made up for its misses."""
    training = same_households.training(1)
    fitted = method("forest").fit(training.X, training.Y, training.weight, np.random.default_rng(0))
    at = [same_households.targets.index(t) + fitted.guides for t in ("VEH_INST", "EDN_INST", "OTH_INST")]
    assert any(set(at) <= set(block.targets) for block in fitted.blocks)
