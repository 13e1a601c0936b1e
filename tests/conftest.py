"""Fixtures that several tests use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the full survey files, beside the checkout unless MICROIMPUTE_SHARED names another."""
    folder = Path(os.environ.get("MICROIMPUTE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("the full survey files are not here (set MICROIMPUTE_SHARED to the folder that holds data/)")
    return folder
