"""The bundled samples: readable by their connectors, and weighted totals like the published files'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microimpute.crosswalks.scf_to_cps_tax_units import SCFToCPSTaxUnits
from microimpute.data import bundled
from microimpute.readers.scf_waves import IMPLICATES
from microimpute.survey import Survey
from microimpute.surveys.cps_tax_units import CPSTaxUnits
from microimpute.surveys.scf import SCF
from microimpute.weighted import quantile

NAMES = ("scf_2019_sample.parquet", "cps_2013_2015_sample.parquet")


@pytest.fixture(scope="module")
def scf() -> Survey:
    return SCF().read(bundled(NAMES[0]))


@pytest.fixture(scope="module")
def cps() -> Survey:
    return CPSTaxUnits().read(bundled(NAMES[1]))


def test_small() -> None:
    assert sum(bundled(name).stat().st_size for name in NAMES) < 3e6


def test_scf_sample(scf: Survey) -> None:
    worth, weight = scf.numbers("NETWORTH"), scf.weights()
    assert len(scf) == 1_200 * IMPLICATES
    assert weight.sum() == pytest.approx(128_642_431, rel=1e-8)
    assert quantile(worth, 0.5, weight) == pytest.approx(121_760, rel=0.005)
    assert np.average(worth, weights=weight) == pytest.approx(746_821, rel=0.002)
    assert all(check.passed for check in scf.checks)
    assert "a sample of 1,200 households, not the published file" in scf.notes
    assert weight.min() > 10


def test_cps_sample(cps: Survey) -> None:
    assert len(cps) == 6_000
    assert cps.weights().sum() == pytest.approx(123_343_135, rel=1e-6)
    assert all(check.passed for check in cps.checks)
    assert not any("in the file" in check.figure for check in cps.checks)
    assert "a sample of 6,000 households, not the published file" in cps.notes


def test_samples_keep_published_values_and_means(shared: Path, scf: Survey) -> None:
    full = SCF().read(shared / "data" / "scf_2019" / "SCFP2019.zip")
    values = full.native.set_index("Y1").loc[scf.native["Y1"].tolist()]
    for column in SCFToCPSTaxUnits.targets:
        kept = scf.numbers(column)
        np.testing.assert_array_equal(kept, values[column].to_numpy(np.float64))
        mean = np.average(full.numbers(column), weights=full.weights())
        assert np.average(kept, weights=scf.weights()) == pytest.approx(mean, rel=1e-6)
