"""Files that travel with the package: survey samples and the consumer price index (see README.md)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from microimpute.errors import SurveyError, closest

__all__ = ["bundled"]


def bundled(name: str) -> Path:
    """Return the path of a file that comes with the package.

    Parameters
    ----------
    name
        File name, e.g. ``"scf_2019_sample.parquet"``.

    Raises
    ------
    SurveyError
        If there is no such file; says which there are.
    """
    folder = Path(str(resources.files(__name__)))
    files = [f.name for f in folder.iterdir() if f.suffix in (".csv", ".parquet", ".gz")]
    if name not in files:
        raise SurveyError(f"no bundled file is called {name!r}", closest(name, files))
    return folder / name
